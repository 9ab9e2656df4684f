"""``dumpgym report``: writes tables and figures of finished runs."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from dumpgym.commands import PlainVerb, verb
from dumpgym.contracts.errors import DumpgymError, InvalidValueError
from dumpgym.runs.files import check_folder


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
        """Writes the report, and prints its answer and the path of the page, or the paths of one figure."""
        if not self.runs:
            raise DumpgymError("the runs are missing; accepted: dumpgym report DIR... [FLAGS]")

        for folder in self.runs:
            if not folder.is_dir():
                raise InvalidValueError("runs", str(folder), "a directory with runs")
        check_folder(self.output or self.runs[0])

        from rich.console import Console

        from dumpgym.commands.progress import CommandProgress
        from dumpgym.reporting.answer import answer
        from dumpgym.reporting.page import report

        # On standard error, because programs may read the names of the files.
        with CommandProgress(Console(stderr=True)) as progress:
            comparison, files = report(self.runs, output=self.output, figure=self.figure, on_progress=progress)
        # The answer is of the page; a program that asks for one figure reads nothing but its files.
        lines = files if self.figure is not None else (answer(comparison), files[0])
        sys.stdout.write("".join(f"{line}\n" for line in lines))
