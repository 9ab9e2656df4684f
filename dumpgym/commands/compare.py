"""``dumpgym compare``: the runs of an experiment."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from dumpgym.commands import PlainVerb, verb
from dumpgym.comparing.runner import CompareConfig, compare
from dumpgym.runs.validation import validated


@verb("compare")
@dataclass(frozen=True, slots=True, kw_only=True)
class Compare(CompareConfig, PlainVerb):
    """Run an experiment: several policies with paired seeds.

    The same command continues an experiment that was stopped. Flags override settings of the file.

    Attributes:
        experiment: the TOML file of the experiment.
    """

    experiment: Annotated[Path, Positional, arg(metavar="EXPERIMENT.toml")]

    def run(self) -> None:
        """Runs what is left of the experiment."""
        from rich.console import Console

        from dumpgym.commands.progress import CommandProgress

        values = dataclasses.asdict(self)
        values.pop("experiment")
        console = Console()
        config = validated(values, CompareConfig)
        if self.dry_run:
            compare(self.experiment, config, console)
            return
        with CommandProgress(console) as progress:
            output = compare(self.experiment, config, console, on_progress=progress)
        console.print(f"runs: {output}; for a report: dumpgym report {output}", soft_wrap=True)
