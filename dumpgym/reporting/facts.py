"""What was run, as tables: settings, evaluation, software, hardware, and the values of every run."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from dumpgym.comparing.comparison import Comparison
from dumpgym.comparing.labels import value_text
from dumpgym.comparing.warm_starts import warm_start_of
from dumpgym.reporting.tables import Table
from dumpgym.runs.finished import FinishedRun
from dumpgym.runs.versions import PACKAGES
from dumpgym.statistics.curves import tokens_to_threshold

_SOFTWARE = ("dumpgym", "python", *PACKAGES)
_NOT_HARDWARE = ("command", "step", "model_type", "parameters", "trained_parameters")
_DIFFERS = "differs between cells"


def all_runs(comparison: Comparison) -> list[FinishedRun]:
    """The runs of all cells."""
    return [run for cell in comparison.cells.values() for run in cell.runs.values()]


def setup_table(comparison: Comparison) -> Table:
    """What was run, in words: cells, seeds, model, arms, evaluation, batch, limits, software and hardware."""
    run = all_runs(comparison)[0]
    common = {key: value for key, value in settings_rows(comparison) if value != _DIFFERS}
    rows = [
        ["cells", "; ".join(comparison.cells)],
        ["seeds", _seeds(comparison)],
        ["model", _model(comparison)],
        *_warm_starts(comparison),
        ["arms", ", ".join(comparison.arms)],
        ["puzzles evaluated", _puzzles(run)],
        ["a step", f"{_shown(common, 'prompts_per_step')} prompts with {_shown(common, 'num_generations')} completions "
         f"each, at most {_shown(common, 'agent.max_completion_length')} tokens long"],
        ["a run ends", _limits(comparison)],
        ["signal", _shown(common, "signal")],
    ]  # fmt: skip
    return [["what", "as it was run"], *rows, *_surroundings(comparison)]


def settings_rows(comparison: Comparison) -> list[tuple[str, str]]:
    """Every setting with its value, or a remark where cells differ in it."""
    flat = [comparison.settings(label) for label in comparison.cells]
    return [
        (key, value_text(value) if all(other[key] == value for other in flat) else _DIFFERS)
        for key, value in flat[0].items()
    ]


def settings_table(comparison: Comparison) -> Table:
    """The same as a table."""
    return [["setting", "value"], *([key, value or "none"] for key, value in settings_rows(comparison))]


def seeds_table(comparison: Comparison) -> Table:
    """The primary metric of every run: one row for each cell, one column for each seed."""
    seeds = sorted({seed for cell in comparison.cells.values() for seed in cell.runs})
    rows = [["cell", *(f"seed {seed}" for seed in seeds)]]
    for label, cell in comparison.cells.items():
        values = {seed: comparison.primary(run) for seed, run in cell.runs.items()}
        rows.append([label, *(_metric(comparison, values[seed]) if seed in values else "no run" for seed in seeds)])
    return rows


def runs_table(comparison: Comparison) -> Table:
    """Every run with its primary metric, final success, tokens to the threshold, steps, tokens and directory."""
    head = ["cell", "seed", comparison.metric, "final success", f"tokens to {comparison.threshold:g}"]
    rows = [[*head, "steps", "generated tokens", "directory"]]
    for label, cell in comparison.cells.items():
        for seed, run in cell.runs.items():
            reached = tokens_to_threshold(run.tokens, run.success, comparison.threshold)
            rows.append(
                [
                    label,
                    str(seed),
                    _metric(comparison, comparison.primary(run)),
                    f"{run.success[-1]:.3f}",
                    "never" if math.isnan(reached) else f"{reached:,.0f}",
                    f"{run.evaluations[-1]['step']:,}",
                    f"{run.tokens[-1]:,.0f}",
                    str(run.path),
                ]
            )
    return rows


def _metric(comparison: Comparison, value: float) -> str:
    return f"{value:.4f}" if comparison.higher_is_better() else f"{value:,.0f}"


def _shown(common: dict[str, str], key: str) -> str:
    return common.get(key, f"({_DIFFERS})")


def _seeds(comparison: Comparison) -> str:
    seeds = {label: sorted(cell.runs) for label, cell in comparison.cells.items()}
    first = next(iter(seeds.values()))
    if all(found == first for found in seeds.values()):
        return f"{len(first)}: {', '.join(map(str, first))}"
    return "; ".join(f"{label}: {', '.join(map(str, found))}" for label, found in seeds.items())


def _model(comparison: Comparison) -> str:
    name = dict(settings_rows(comparison))["agent.model"]
    keys = ("model_type", "parameters", "trained_parameters")
    found = [[start.get(key) for key in keys] for run in all_runs(comparison) for start in run.starts]
    sizes = {
        (str(kind), count, part) for kind, count, part in found if isinstance(count, int) and isinstance(part, int)
    }
    shown = [f"{kind}, {count:,} parameters, {part:,} of them trained" for kind, count, part in sorted(sizes)]
    return f"{name} ({'; or '.join(shown)})" if shown else name


def _warm_starts(comparison: Comparison) -> Table:
    """Which seeds start from which warm start, as rows of the table; none if all start from the same model."""
    names = comparison.warm_starts
    if not names:
        return []
    seeds = sorted({seed for cell in comparison.cells.values() for seed in cell.runs})
    of_each = {name: [seed for seed in seeds if warm_start_of(names, seed) == name] for name in names}
    shown = "; ".join(f"{name}: seeds {', '.join(map(str, found)) or 'none'}" for name, found in of_each.items())
    return [["warm starts", f"{len(names)}, crossed with seeds. Seeds of one warm start share its weights. {shown}"]]


def _puzzles(run: FinishedRun) -> str:
    ends, between = _each(run.evaluations[-1]), _each(run.evaluations[-2 if len(run.evaluations) > 2 else -1])
    return (
        f"{ends} at the start and at the end; {between} in between, every {run.config.evaluate_every} steps. Greedy "
        "decoding. Runs of one seed have the same puzzles, and none of them is trained on."
    )


def _each(evaluation: Mapping[str, Any]) -> str:
    counts = [len(solved) for solved in evaluation["eval/solved"].values()]
    few, many = min(counts), max(counts)
    return f"{few if few == many else f'{few} to {many}'} for each arm, {sum(counts)} in all,"


def _limits(comparison: Comparison) -> str:
    config = all_runs(comparison)[0].config
    limits = [f"after {config.steps:,} steps"]
    if config.budget_tokens is not None:
        limits.append(f"at {config.budget_tokens:,} generated tokens")
    if config.budget_seconds is not None:
        limits.append(f"after {config.budget_seconds:,} seconds of training")
    return " or ".join(limits) + (", whichever is first" if len(limits) > 1 else "")


def _surroundings(comparison: Comparison) -> Iterable[list[str]]:
    """Software and hardware, as every start of every run recorded them."""
    starts = [start for run in all_runs(comparison) for start in run.starts]
    if not starts:
        return
    yield ["software", ", ".join(f"{name} {found}" for name in _SOFTWARE if (found := _found(starts, name)))]
    keys = dict.fromkeys(key for start in starts for key in start if key not in (*_SOFTWARE, *_NOT_HARDWARE))
    yield ["hardware", ", ".join(f"{key.replace('_', ' ')} {_found(starts, key)}" for key in keys)]
    commands = sorted({" ".join(map(str, start["command"])) for start in starts if "command" in start})
    if commands:
        more = f", and {len(commands) - 1} more" if len(commands) > 1 else ""
        yield ["command", f"{commands[0]}{more}"]


def _found(starts: list[dict[str, Any]], key: str) -> str:
    return " or ".join(sorted({str(start[key]) for start in starts if key in start}))
