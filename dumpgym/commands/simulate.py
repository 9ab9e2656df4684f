"""``dumpgym simulate``: compares policies on simulated students."""

import dataclasses
from dataclasses import dataclass

from dumpgym.commands import PlainVerb, verb
from dumpgym.runs.validation import validated
from dumpgym.simulating.runner import SimulateConfig, simulate


@verb("simulate")
@dataclass(frozen=True, slots=True, kw_only=True)
class Simulate(SimulateConfig, PlainVerb):
    """Compare policies on simulated students, in a minute, without a language model.

    Writes a table, results.json, and a figure for every student.
    """

    def run(self) -> None:
        """Runs the simulation, prints its tables, and draws its figures."""
        from rich.console import Console

        from dumpgym.commands.figures import draw_simulation
        from dumpgym.commands.progress import CommandProgress

        config = validated(dataclasses.asdict(self), SimulateConfig)
        console = Console()
        with CommandProgress(console) as progress:
            results = simulate(config, console, progress)
        figures = draw_simulation(config.output, results)
        console.print(f"results and table: {config.output}\nfigures: {figures}", soft_wrap=True, markup=False)
