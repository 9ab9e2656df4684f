"""The answer of a comparison in one sentence, which says no more than its verdicts."""

from collections.abc import Sequence
from typing import Any

from dumpgym.comparing.comparison import FEWEST_SEEDS, Comparison
from dumpgym.reporting.tables import format_interval
from dumpgym.statistics.intervals import success_change

_NAMED = 3
"""Cells that a sentence names in a group; it counts the others."""


def answer(comparison: Comparison) -> str:
    """One sentence: what was found, the differences with their intervals, the pairs and the budget; or "undecided"."""
    if len(comparison.cells) == 1:
        return _of_one_cell(comparison)
    rows = [row for row in comparison.table if "verdict" in row]
    if comparison.control is None:
        return _without_control(comparison)
    if not rows:
        return f"Nothing can be said: no cell has a seed in common with {comparison.control}, so there are no pairs."
    return _of_pair(comparison, rows[0]) if len(rows) == 1 else _of_many(comparison, rows)


def metric_name(comparison: Comparison) -> str:
    """The primary metric in words."""
    return {
        "area": "area under held-out success",
        "final": "held-out success at the end",
        "tokens_to_threshold": f"tokens to a held-out success of {comparison.threshold:g}",
    }[comparison.metric]


def _of_one_cell(comparison: Comparison) -> str:
    (label, cell), row = next(iter(comparison.cells.items())), comparison.table[0]
    first = sum(run.success[0] for run in cell.runs.values()) / len(cell.runs)
    if len(cell.runs) > 1:
        few = f", fewer than {FEWEST_SEEDS}: an anecdote" if row["is_anecdote"] else ""
        return (
            f"{label} takes held-out success from {first:.3f} to {format_interval(row['final'])}, mean and 95 % "
            f"interval over {row['seeds']} seeds{few}; there is nothing to compare it with."
        )
    ((seed, run),) = cell.runs.items()
    change: Any = success_change(run.evaluations[0]["eval/solved"], run.evaluations[-1]["eval/solved"])
    before, after = (f"{change[f'success_{when}']:.3f}" for when in ("before", "after"))
    interval = format_interval((change["success_difference"], *change["success_difference_interval"]), sign="+")
    return (
        f"{label} takes held-out success from {before} to {after}, a difference of {interval} over puzzles, with "
        f"{run.tokens[-1]:,.0f} generated tokens and one seed, {seed}: an anecdote, with nothing to compare it with."
    )


def _without_control(comparison: Comparison) -> str:
    best = comparison.table[0]
    return (
        f"Nothing is tested, because no run is of the control: of {len(comparison.cells)} cells, {best['label']} has "
        f"the best {metric_name(comparison)}, {_interval(comparison, best['primary'])} with {_seeds(best['seeds'])}."
    )


def _of_pair(comparison: Comparison, row: dict[str, Any]) -> str:
    label, control, margin = row["label"], comparison.control, _number(comparison, comparison.margin_in_units)
    side = "better" if _is_better(comparison, row) else "worse"
    finding = {
        "different": f"{label} is {side} than {control}",
        "different, within the margin": f"{label} is {side} than {control}, but by less than the margin, {margin}",
        "equivalent": f"{label} and {control} are equivalent within the margin, {margin}",
        "undecided": f"Undecided: these runs show neither that {label} and {control} differ nor that they are "
        f"equivalent within the margin, {margin}",
    }[row["verdict"]]
    found = _interval(comparison, row["difference"], "+")
    single = "" if row["pairs"] > 1 else ", which has no interval"
    return (
        f"{finding}; the {metric_name(comparison)} differs by {found}{single} "
        f"({_conditions(comparison, [row['pairs']])})."
    )


def _of_many(comparison: Comparison, rows: Sequence[dict[str, Any]]) -> str:
    margin = _number(comparison, comparison.margin_in_units)
    groups: dict[str, list[str]] = {}
    for row in rows:
        verdict, side = row["verdict"], "better" if _is_better(comparison, row) else "worse"
        if verdict.startswith("different"):
            small = " (less than the margin)" if verdict != "different" else ""
            shown = f"{_quoted(row['label'])} by {_interval(comparison, row['difference'], '+')}{small}"
            groups.setdefault(side, []).append(shown)
        elif verdict == "equivalent":
            groups.setdefault(f"equivalent within {margin}", []).append(_quoted(row["label"]))
        else:
            groups.setdefault("undecided", []).append(_quoted(row["label"]))
    order = ("better", "worse", f"equivalent within {margin}", "undecided")
    if list(groups) == ["undecided"]:
        parts = [f"all {len(rows)} are undecided, neither shown to differ nor to be equivalent within {margin}"]
    else:
        parts = [_group(name, groups[name]) for name in order if name in groups]
    return (
        f"Of {len(rows)} cells compared with {comparison.control} in {metric_name(comparison)}, {'; '.join(parts)} "
        f"({_conditions(comparison, [row['pairs'] for row in rows])})."
    )


def _quoted(label: str) -> str:
    """The label as it can stand in a list."""
    return f"'{label}'" if set(label) & {",", ";"} else label


def _group(name: str, cells: Sequence[str]) -> str:
    named, more = cells[:_NAMED], len(cells) - _NAMED
    listed = ", ".join(named) + (f" and {more} more" if more > 0 else "")
    return f"{len(cells)} {'is' if len(cells) == 1 else 'are'} {name}: {listed}"


def _conditions(comparison: Comparison, pairs: Sequence[int]) -> str:
    count = f"{min(pairs)}" if min(pairs) == max(pairs) else f"{min(pairs)} to {max(pairs)}"
    few = f", fewer than {FEWEST_SEEDS} and so an anecdote" if min(pairs) < FEWEST_SEEDS else ""
    paired = "pair" if max(pairs) == 1 else "pairs"
    intervals = "95 % intervals, " if max(pairs) > 1 else ""
    starts = f" from {len(comparison.warm_starts)} warm starts" if comparison.warm_starts else ""
    return f"{intervals}{count} {paired} of seeds{starts}{few}, {comparison.budget:,.0f} generated tokens a run"


def _is_better(comparison: Comparison, row: dict[str, Any]) -> bool:
    return bool((row["difference"][0] > 0) == comparison.higher_is_better())


def _interval(comparison: Comparison, interval: tuple[float, float, float], sign: str = "") -> str:
    return format_interval(interval, not comparison.higher_is_better(), sign=sign)


def _number(comparison: Comparison, value: float) -> str:
    return f"{value:g}" if comparison.higher_is_better() else f"{value:,.0f} tokens"


def _seeds(count: int) -> str:
    return f"{count} seed{'' if count == 1 else 's'}"
