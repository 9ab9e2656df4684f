"""The processes of a run: several may train one model together, and one of them writes files."""

from typing import Protocol


class Processes(Protocol):
    """What the training loop asks about the processes of its run.

    All of them go through the loop alike and come to the same decisions, since each computes the policy from the same
    rewards. ``dumpgym.agents.grpo.processes`` is one; ``SingleProcess`` is the other.
    """

    def num_processes(self) -> int:
        """Number of processes that train together."""
        ...

    def is_main_process(self) -> bool:
        """Whether this is the process that writes files and talks to people."""
        ...

    def wait_for_everyone(self) -> None:
        """Returns when all processes have come to this point."""
        ...


class SingleProcess:
    """A run in one process."""

    def num_processes(self) -> int:
        """See ``Processes``."""
        return 1

    def is_main_process(self) -> bool:
        """See ``Processes``."""
        return True

    def wait_for_everyone(self) -> None:
        """See ``Processes``."""
