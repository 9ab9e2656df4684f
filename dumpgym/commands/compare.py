"""``dumpgym compare``: the runs of an experiment."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from dumpgym.commands import PlainVerb, verb
from dumpgym.comparing.experiment import cells_of
from dumpgym.comparing.planned_runs import runs_of
from dumpgym.comparing.runner import CompareConfig, compare, experiment_of
from dumpgym.runs.validation import validated


@verb("compare")
@dataclass(frozen=True, slots=True, kw_only=True)
class Compare(CompareConfig, PlainVerb):
    """Run an experiment: several policies with paired seeds.

    The same command continues an experiment that was stopped. Flags override settings of the file.

    Attributes:
        experiment: the TOML file of the experiment.
        live: show success and share of every arm, under each policy, for the first seed.
    """

    experiment: Annotated[Path, Positional, arg(metavar="EXPERIMENT.toml")]
    live: bool = False

    def run(self) -> None:
        """Runs what is left of the experiment."""
        from rich.console import Console

        from dumpgym.commands.progress import CommandProgress, FrontierProgress

        values = dataclasses.asdict(self)
        values.pop("experiment")
        values.pop("live")
        console = Console()
        config = validated(values, CompareConfig)
        if self.dry_run:
            compare(self.experiment, config, console)
            return
        shown = CommandProgress(console)
        if self.live:
            experiment, output = experiment_of(self.experiment, config)
            runs = runs_of(experiment, cells_of(experiment), output)
            shown = FrontierProgress(console, [run for run in runs if run.config.seed == experiment.first_seed])
        with shown as progress:
            output = compare(self.experiment, config, console, on_progress=progress)
        console.print(f"runs: {output}; for a report: dumpgym report {output}", soft_wrap=True)
