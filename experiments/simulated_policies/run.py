"""Which bandit policies help a student with many skills, and which of DUMP's constants matter?

    python experiments/simulated_policies/run.py [--seeds 200] [--output experiments/simulated_policies]

The script compares every policy at its defaults on the simulated student with the paper's twelve arms, with added
nuisance arms, without prerequisites and with little transfer, and DUMP with one constant changed at a time. Batches
have the paper's size (128 prompts x 16) or a small one (16 x 8). The seeds are paired. It takes ten minutes on two
cores and writes tables.md, summary.json and the figures; README.md has the findings.
"""

import argparse
import json
import tempfile
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.console import Console

from dumpgym.reporting.figures.simulation import simulation_figure
from dumpgym.simulating.results import StudentResult, markdown_table
from dumpgym.simulating.runner import SimulateConfig, simulate

FOLDER = Path(__file__).parent
NUISANCE = ("too-hard", "mastered", "noisy", "spurious", "duplicate", "wrong-format")
STUDENTS = {
    "twelve arms": "skills",
    "with nuisance arms": "skills?nuisance=" + ",".join(NUISANCE),
    "without prerequisites": "skills?gate_floor=1",
    "little transfer": "skills?transfer_length=2",
}
SHOWN = ("dump", "thompson", "tscl-online", "adarft", "informative-thompson", "sfl")  # with one nuisance arm each
VARIED = ("twelve arms", "with nuisance arms")  # students on which DUMP's constants are varied
BATCHES = {"128 x 16": (128, 16), "16 x 8": (16, 8)}
CONSTANTS = {
    "published": ["dump"],
    "window": [f"dump?window={w}" for w in (75, 1200, 4800)],
    "exploration": [f"dump?exploration={c}" for c in (0, 0.5, 2)],
    "temperature": [f"dump?temperature={t}" for t in (0, 0.03, 0.3, 1, "cosine:1:0.03:150")],
    "count unit": ["dump?count_unit=prompts"],
    "floor, warm-up": ["dump?floor=0.02", "dump?warmup_steps=1"],
}
SIGNALS = (
    "mean_absolute_advantage",
    "mean_absolute_deviation",
    "clipped_absolute_advantage",
    "success_variance",
    "informative_group",
    "pass_at_n_gap",
    "learning_progress",
    "mean_absolute_advantage_per_token",
)


def score(rows: Sequence[Mapping[str, Any]], policy: str) -> float:
    """The share of the possible gain that a policy achieves: 0 is uniform, 1 the best allocation.

    Args:
        rows: the table of one student, with "uniform" and "best-allocation".
        policy: one of the policies in the table.
    """
    area = {row["policy"]: row["area"][0] for row in rows}
    return float((area[policy] - area["uniform"]) / (area["best-allocation"] - area["uniform"]))


def compare(
    policies: Sequence[str],
    student: str,
    batch: str,
    seeds: int,
    signal: str = SIGNALS[0],
    best_allocation: bool = False,
) -> StudentResult:
    """Runs one comparison and keeps only its results, not its files."""
    prompts, generations = BATCHES[batch]
    with tempfile.TemporaryDirectory() as folder:
        config = SimulateConfig(
            output=Path(folder) / "run",
            policies=tuple(policies),
            students=(student,),
            seeds=seeds,
            prompts_per_step=prompts,
            num_generations=generations,
            signal=signal,
            best_allocation=best_allocation,
        )
        (result,) = simulate(config, Console(stderr=True, quiet=True)).values()
    return result


def constants_figure(panels: Mapping[str, Sequence[tuple[str, Sequence[Mapping[str, Any]]]]]) -> Figure:
    """DUMP's area minus uniform's by constant, with a panel for every student and batch size.

    Args:
        panels: by title, pairs of the changed constant and its row of the table, in the order to show.
    """
    rows = (len(panels) + 1) // 2
    figure = Figure(figsize=(11, 5.5 * rows), layout="constrained")
    for axes, (title, entries) in zip(figure.subplots(rows, 2, sharey=True).flat, panels.items(), strict=True):
        labels = []
        for place, (label, row) in enumerate(reversed(entries)):
            value, low, high = row["area_minus_uniform"]
            colour = "#D55E00" if label in ("dump", f"signal {SIGNALS[0]}") else "#0072B2"
            axes.plot([low, high], [place, place], color=colour)
            axes.plot(value, place, "o", color=colour, ms=5)
            labels.append(label.removeprefix("dump?"))
        axes.set_yticks(range(len(labels)), labels, fontsize="small")
        axes.axvline(0, color="black", linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_title(title, fontsize="medium")
        axes.set_xlabel("area minus uniform, paired")
    figure.suptitle("DUMP with one constant changed, 95 % intervals", fontsize="medium")
    return figure


def scores_figure(scores: Mapping[str, Mapping[str, float]]) -> Figure:
    """The score of every policy in every setting, best mean first.

    Args:
        scores: scores by setting and policy.
    """
    names = sorted(next(iter(scores.values())), key=lambda name: -np.mean([found[name] for found in scores.values()]))
    values = np.array([[found[name] for found in scores.values()] for name in names])
    figure = Figure(figsize=(9, 0.27 * len(names) + 1.6), layout="constrained")
    axes = figure.subplots()
    axes.imshow(values, cmap="PuOr_r", vmin=-1, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        colour = "white" if abs(value) > 0.7 else "black"
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize="x-small", color=colour)
    titles = [textwrap.fill(title.replace(" completions a step", "").replace(", ", " "), 15) for title in scores]
    axes.set_xticks(range(len(titles)), titles, fontsize="x-small")
    axes.set_yticks(range(len(names)), names, fontsize="x-small")
    axes.xaxis.tick_top()
    axes.spines[:].set_visible(False)
    figure.suptitle("share of the gain from uniform (0) to the best allocation (1)", fontsize="medium")
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=200, help="paired seeds of every comparison")
    parser.add_argument("--output", type=Path, default=FOLDER, help="folder for the tables and figures")
    arguments = parser.parse_args()
    output, seeds = arguments.output, arguments.seeds
    output.mkdir(parents=True, exist_ok=True)
    tables: list[str] = []
    summary: dict[str, Any] = {"seeds": seeds, "policies": {}, "constants": {}}
    panels: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for batch in BATCHES:
        for student in STUDENTS:
            title = f"{student}, {batch} completions a step"
            result = compare((), STUDENTS[student], batch, seeds, best_allocation=True)
            tables.append(markdown_table(title, result, 150))
            if student in VARIED and batch == "128 x 16":
                path = output / f"policies_{student.replace(' ', '_')}.png"
                simulation_figure(title, result).savefig(path, dpi=150)
            scores = {row["policy"]: score(result.rows, row["policy"]) for row in result.rows}
            summary["policies"][title] = {"rows": result.rows, "score": scores}
            if student in VARIED:
                panels[title] = _constants(student, batch, seeds)
                summary["constants"][title] = dict(panels[title])
            print(title, "done", flush=True)
    summary["nuisance"] = {name: _with_nuisance(name, seeds) for name in ("none", *NUISANCE)}
    tables.append(_nuisance_table(summary["nuisance"]))
    scores_figure({title: found["score"] for title, found in summary["policies"].items()}).savefig(
        output / "scores.png", dpi=120
    )
    constants_figure(panels).savefig(output / "constants.png", dpi=150)
    (output / "tables.md").write_text("\n".join(tables), encoding="utf-8")
    (output / "summary.json").write_text(json.dumps(_rounded(summary), indent=1) + "\n", encoding="utf-8")


def _constants(student: str, batch: str, seeds: int) -> list[tuple[str, Mapping[str, Any]]]:
    """DUMP's row for every constant and for every signal."""
    specs = [spec for group in CONSTANTS.values() for spec in group]
    rows = {row["policy"]: row for row in compare(specs, STUDENTS[student], batch, seeds).rows}
    entries = [(spec, rows[spec]) for spec in specs]
    for signal in SIGNALS:
        found = compare(["dump"], STUDENTS[student], batch, seeds, signal).rows
        entries.append((f"signal {signal}", next(row for row in found if row["policy"] == "dump")))
    return entries


def _with_nuisance(name: str, seeds: int) -> dict[str, Mapping[str, Any]]:
    """The rows of some policies on the twelve arms with one nuisance arm added."""
    student = "skills" if name == "none" else f"skills?nuisance={name}"
    rows = compare(SHOWN, student, "128 x 16", seeds).rows
    return {row["policy"]: row for row in rows}


def _nuisance_table(found: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    lines = ["## Area minus uniform with one nuisance arm, 128 x 16 completions a step", ""]
    lines += [f"| policy | {' | '.join(found)} |", "|---" * (len(found) + 1) + "|"]
    for policy in SHOWN:
        cells = []
        for rows in found.values():
            value, low, high = rows[policy]["area_minus_uniform"]
            cells.append(f"{value:+.3f} ± {(high - low) / 2:.3f}")
        lines.append(f"| `{policy}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return float(f"{value:.5g}") if isinstance(value, float | np.floating) else value


if __name__ == "__main__":
    main()
