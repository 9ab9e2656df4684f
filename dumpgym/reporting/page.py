"""``dumpgym report``: one HTML page that needs no network, and its figures as PNG and SVG files."""

import json
import math
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from dumpgym.comparing.comparison import FEWEST_SEEDS, Comparison
from dumpgym.comparing.loading import load_comparison
from dumpgym.contracts.errors import InvalidValueError
from dumpgym.contracts.version import __version__
from dumpgym.reporting import html
from dumpgym.reporting.answer import answer
from dumpgym.reporting.definitions import definitions
from dumpgym.reporting.facts import runs_table, seeds_table, settings_table, setup_table
from dumpgym.reporting.figures import FIGURES
from dumpgym.reporting.figures.canvas import drawing, image
from dumpgym.reporting.tables import (
    differences_table,
    power_lines,
    results_table,
    scale_line,
    seconds_line,
    skew_lines,
    spending_table,
    steering_table,
    warm_starts_line,
    warm_starts_table,
)
from dumpgym.runs.files import write_file, writing


def report(
    runs: Sequence[Path],
    *,
    output: Path | None = None,
    figure: str | None = None,
    on_progress: Callable[[str, float], None] = lambda text, share: None,
) -> tuple[Comparison, list[Path]]:
    """Writes the report of finished runs, or one of its figures.

    Args:
        runs: directories of runs, or of comparisons.
        output: directory of report.html, results.json and figures/; by default that of the runs.
        figure: write only this figure, by name, or "my_module:name" for your own.
        on_progress: called with what is being done, and with the share that is done, from 0 to 1.

    Returns:
        The comparison, and the files that were written.

    Raises:
        DumpgymError: if the runs cannot be compared, if there is no such figure, or if a file cannot be written.
    """
    if figure is not None:
        FIGURES.find(figure)  # first, because reading many runs takes a while
    on_progress(f"reading the runs of {', '.join(map(str, runs))}", 0.0)
    comparison = load_comparison(runs)
    names = [figure.rpartition(":")[2]] if figure is not None else sorted(FIGURES, key=lambda name: FIGURES[name].place)
    shown = [name for name in names if FIGURES[name].applies(comparison)]
    if figure is not None and not shown:
        applicable = ", ".join(sorted(name for name in FIGURES if FIGURES[name].applies(comparison)))
        raise InvalidValueError("figure", figure, f"one that shows something for these runs: {applicable}")
    output = output or runs[0]
    with writing(output):
        (output / "figures").mkdir(parents=True, exist_ok=True)
        images = {}
        for done, name in enumerate(shown):
            on_progress(f"drawing figure {done + 1} of {len(shown)}, {name}", done / len(shown))
            images[name] = _write_figure(comparison, name, output / "figures")
        files = [output / "figures" / f"{name}.{kind}" for name in shown for kind in ("png", "svg")]
        if figure is None:
            write_file(output / "report.html", page(comparison, images))
            write_file(output / "results.json", json.dumps(comparison_record(comparison), indent=1) + "\n")
            files = [output / "report.html", output / "results.json", *files]
    return comparison, files


def _write_figure(comparison: Comparison, name: str, folder: Path) -> bytes:
    with drawing(folder / f"{name}.png"):
        figure = FIGURES[name](comparison)
        png = image(figure, "png")
        write_file(folder / f"{name}.png", png)
        write_file(folder / f"{name}.svg", image(figure, "svg"))
    return png


def comparison_record(comparison: Comparison) -> dict[str, Any]:
    """The answer, settings, values and table of a comparison, JSON-compatible; None for numbers that are not finite."""
    kept = ("name", "question", "metric", "threshold", "margin", "margin_as_speedup", "settings_tried",
            "machine_shared", "warm_starts", "control", "budget", "notes")  # fmt: skip
    rows = [{key: _finite(value) for key, value in row.items()} for row in comparison.table]
    seeds = {label: sorted(cell.runs) for label, cell in comparison.cells.items()}
    values = {
        label: {seed: _finite(comparison.primary(run)) for seed, run in cell.runs.items()}
        for label, cell in comparison.cells.items()
    }
    return {
        "answer": answer(comparison),
        **{key: _finite(getattr(comparison, key)) for key in kept},
        "arms": comparison.arms,
        "seeds": seeds,
        "values": values,
        "table": rows,
    }


def _finite(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_finite(part) for part in value]
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def page(comparison: Comparison, images: dict[str, bytes]) -> str:
    """The page as HTML: the answer, then what it rests on.

    Args:
        comparison: the comparison to report.
        images: PNG files by name of the figure. They are embedded, so the page can be sent as a single file; links to
            the full size lead to the folder "figures" beside it.
    """
    sections = {heading: html.section(heading, content) for heading, content in _sections(comparison, images).items()}
    sections = {heading: content for heading, content in sections.items() if content}
    files = f"The numbers are also in {html.link('results.json', 'results.json')}."
    body = (
        f"<header><h1>{escape(comparison.name)}</h1>\n"
        f"{html.paragraph(comparison.question, 'question') if comparison.question else ''}"
        f"{html.paragraph(answer(comparison), 'answer')}"
        f"{''.join(html.paragraph(note, 'note') for note in _notes(comparison))}</header>\n"
        f"{html.contents(sections, files)}<main>\n{''.join(sections.values())}</main>\n"
        f"<footer>dumpgym {__version__}. {files}</footer>\n"
    )
    return html.document(comparison.name, body)


def _sections(comparison: Comparison, images: dict[str, bytes]) -> dict[str, str]:
    """The content of every section by its heading, in order; empty where there is nothing to show."""
    drawn: dict[str, str] = {}
    for name, png in images.items():
        drawn.setdefault(FIGURES[name].section, "")
        drawn[FIGURES[name].section] += html.figure(name, FIGURES[name], png)

    def take(section: str) -> str:
        return drawn.pop(section, "")

    differences = html.table(differences_table(comparison), "Each cell minus the control, mean over pairs of seeds")
    differences += html.table(warm_starts_table(comparison), "Each cell minus the control, for each warm start")
    if line := warm_starts_line(comparison):
        differences += html.paragraph(line)
    lines = html.items([*skew_lines(comparison), *power_lines(comparison)])
    sections = {
        "Results": html.table(results_table(comparison), "Every cell: means over seeds with 95 % intervals")
        + take("Results"),
        f"Compared with {comparison.control}": differences
        + html.details("What these seeds can show", lines)
        + take("Comparison with the control"),
        "By arm": take("By arm"),
        "What the policies did": html.table(steering_table(comparison), "Steering, and the health of the batches")
        + take("What the policies did"),
        "Settings compared": take("Settings"),
        "Cost": html.table(spending_table(comparison), "What was spent, for each cell")
        + html.paragraph(seconds_line(comparison))
        + take("Cost"),
    }
    sections |= dict(drawn)  # of figures that name a section of their own
    return sections | {
        "Every seed": html.table(seeds_table(comparison), f"Primary metric of every run: {comparison.metric}")
        + html.details("All runs", html.table(runs_table(comparison), "Every run and its directory")),
        "What was run": html.table(setup_table(comparison), "The runs of this report", words=True)
        + html.paragraph(_protocol(comparison))
        + html.details("All settings", html.table(settings_table(comparison), "Settings of the runs", words=True)),
        "Definitions": html.definition_list(definitions(comparison)),
    }


def _notes(comparison: Comparison) -> list[str]:
    few = [row["label"] for row in comparison.table if row["is_anecdote"]]
    anecdote = [f"Fewer than {FEWEST_SEEDS} seeds are an anecdote, not evidence about a policy: {', '.join(few)}."]
    return (anecdote if few else []) + comparison.notes


def _protocol(comparison: Comparison) -> str:
    tried, speedup = comparison.settings_tried, comparison.margin_as_speedup
    tuning = f"{tried} settings of every policy on other seeds" if tried else "none, as the experiment says"
    margin = "" if math.isnan(speedup) else f", which the control would gain by being {speedup:.2f} times as fast,"
    return (
        f"Primary metric: {comparison.metric}. Runs are compared up to {comparison.budget:,.0f} generated tokens each. "
        f"The success threshold is {comparison.threshold:g}; differences below {comparison.margin:g}{margin} do not "
        "matter. Intervals are of 95 %: Student's over seeds, and for statistics by arm jackknife intervals over whole "
        "runs. Differences are paired by seed. p-values of differences and of equivalence are each adjusted by Holm's "
        "method. Over steps, two policies are compared up to the last step that all their runs reached. "
        f"{scale_line(comparison)} Tuning beforehand: {'not stated' if tried is None else tuning}."
    )
