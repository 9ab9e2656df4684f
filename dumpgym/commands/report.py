"""``dumpgym report``: writes tables and figures of finished runs."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from dumpgym.commands import PlainVerb, verb
from dumpgym.contracts.errors import DumpgymError


@verb("report")
@dataclass(frozen=True, slots=True, kw_only=True)
class Report(PlainVerb):
    """Write a report of finished runs: one page with tables and figures.

    Attributes:
        runs: directories of runs, or of comparisons.
        output: directory of report.html, results.json and figures/; by default that of the runs.
        figure: write only this figure, by name, or "my_module:name" for your own.
    """

    runs: Annotated[tuple[Path, ...], Positional, arg(metavar="DIR ...")] = ()
    output: Path | None = None
    figure: str | None = None

    def run(self) -> None:
        """Writes the report and prints the names of the files."""
        if not self.runs:
            raise DumpgymError("the runs are missing; accepted: dumpgym report DIR... [FLAGS]")

        from rich.console import Console

        from dumpgym.commands.progress import CommandProgress
        from dumpgym.reporting.page import report

        # On standard error, because programs may read the names of the files.
        with CommandProgress(Console(stderr=True)) as progress:
            _, files = report(self.runs, output=self.output, figure=self.figure, on_progress=progress)
        shown = files if self.figure is not None else files[:1]  # the page, which has all the figures
        sys.stdout.write("".join(f"{file}\n" for file in shown))
