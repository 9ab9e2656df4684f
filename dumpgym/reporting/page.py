"""``dumpgym report``: one HTML page that needs no network, and its figures as PNG and SVG files."""

import base64
import json
import math
from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from dumpgym.comparing.comparison import FEWEST_SEEDS, Comparison
from dumpgym.comparing.loading import load_comparison
from dumpgym.contracts.errors import InvalidValueError
from dumpgym.reporting.figures import FIGURES
from dumpgym.reporting.figures.canvas import drawing, image
from dumpgym.reporting.tables import (
    Table,
    differences_table,
    power_lines,
    results_table,
    scale_line,
    seconds_line,
    skew_lines,
    spending_table,
    steering_table,
)
from dumpgym.runs.files import write_file, writing

_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a; }
h1 { margin-bottom: 0; } h2 { margin-top: 2.5rem; }
.table { overflow-x: auto; } table { border-collapse: collapse; font-size: .88rem; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
th { vertical-align: bottom; }
img { max-width: 100%; height: auto; } figure { margin: 2rem 0; }
figcaption { color: #555; font-size: .9rem; }
.note { background: #fff6df; border-left: 4px solid #E69F00; padding: .5rem 1rem; margin: .5rem 0; }
.question { font-size: 1.15rem; color: #444; margin-top: .3rem; }
code { background: #f3f3f3; padding: 0 .2rem; }
"""


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
    """The settings, seeds and table of a comparison, JSON-compatible; numbers that are not finite become None."""
    kept = ("name", "question", "metric", "threshold", "margin", "margin_as_speedup", "settings_tried",
            "machine_shared", "control", "budget", "notes")  # fmt: skip
    rows = [{key: _finite(value) for key, value in row.items()} for row in comparison.table]
    seeds = {label: sorted(cell.runs) for label, cell in comparison.cells.items()}
    settings = {key: _finite(getattr(comparison, key)) for key in kept}
    return settings | {"arms": comparison.arms, "seeds": seeds, "table": rows}


def _finite(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def page(comparison: Comparison, images: dict[str, bytes]) -> str:
    """The page as HTML.

    Args:
        comparison: the comparison to report.
        images: PNG files by name of the figure. They are embedded, so the page can be sent as a single file.
    """
    figures = "".join(
        f'<figure id="{name}"><img alt="{escape(FIGURES[name].caption)}" '
        f'src="data:image/png;base64,{base64.b64encode(png).decode()}">'
        f"<figcaption>{escape(FIGURES[name].caption)}</figcaption></figure>\n"
        for name, png in images.items()
    )
    notes = "".join(f'<p class="note">{escape(note)}</p>\n' for note in _notes(comparison))
    title = escape(comparison.name)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>{_STYLE}</style></head><body>
<h1>{title}</h1>
<p class="question">{escape(comparison.question)}</p>
<p>{escape(_protocol(comparison))}</p>
{notes}<h2>Results</h2>
{_html_table(results_table(comparison))}
<h2>Compared with {escape(comparison.control or "no control")}</h2>
{_html_table(differences_table(comparison))}
{"".join(f"<p>{escape(line)}</p>" for line in [*skew_lines(comparison), *power_lines(comparison)])}
<h2>Steering and health</h2>
{_html_table(steering_table(comparison))}
<h2>Figures</h2>
{figures}<h2>Ledger</h2>
{_html_table(spending_table(comparison))}
<p>{escape(seconds_line(comparison))}</p>
</body></html>
"""


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


def _html_table(rows: Table) -> str:
    def line(cells: Iterable[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>\n"

    body = "".join(line(row, "td") for row in rows[1:])
    return f'<div class="table"><table><thead>{line(rows[0], "th")}</thead><tbody>{body}</tbody></table></div>'
