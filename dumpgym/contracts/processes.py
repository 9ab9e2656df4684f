"""The contract of a run's processes: several may train one model together, and one of them writes the files."""

from typing import Protocol


class Processes(Protocol):
    """What the training loop needs to know about the processes of its run.

    All processes run the whole loop and make the same decisions, because each updates its own copy of the policy with
    the same rewards. The module ``dumpgym.agents.grpo.processes`` implements this contract for several processes, and
    ``SingleProcess`` implements it for one.
    """

    def num_processes(self) -> int:
        """Returns the number of processes that train together."""
        ...

    def is_main_process(self) -> bool:
        """Returns whether this is the process that writes files and shows progress."""
        ...

    def wait_for_everyone(self) -> None:
        """Returns when all processes have reached this call."""
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
