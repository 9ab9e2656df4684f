"""The tables of a comparison, as rows of text and as Markdown."""

import math

from dumpgym.comparing.comparison import FEWEST_SEEDS, Comparison
from dumpgym.statistics.intervals import Interval

Table = list[list[str]]
"""Rows of cells, the header first."""


def power_lines(comparison: Comparison) -> list[str]:
    """For every cell, the seeds that its observed difference needs, and the difference that its own seeds can show."""
    return [
        f"{row['label']}: a difference of the observed size needs {_count(row['pairs_needed'])} seeds for a power of "
        f"0.8; {row['pairs']} seeds show one of {_number(comparison, row['detectable'])}."
        for row in comparison.table
        if "detectable" in row
    ]


def results_table(comparison: Comparison) -> Table:
    """The primary metric, final success, tokens to the threshold, and forgetting of every cell."""
    head = ["policy", "seeds", f"{comparison.metric} (primary)", "interquartile mean by arm", "final success"]
    rows = [[*head, f"tokens to {comparison.threshold:g}, mean", "median", "reached", "forgetting"]]
    for row in comparison.table:
        seeds = f"{row['seeds']}{', an anecdote' if row['is_anecdote'] else ''}"
        several = format_interval(row["interquartile_mean"]) if "interquartile_mean" in row else "-"
        primary = format_interval(row["primary"], comparison.metric == "tokens_to_threshold")
        times = format_interval(row["tokens_to_threshold"], True)
        median = row["median_to_threshold"]
        never = f"> {comparison.budget:,.0f}"
        rows.append([row["label"], seeds, primary, several, format_interval(row["final"]), times])
        rows[-1] += [never if math.isnan(median) else f"{median:,.0f}"]
        rows[-1] += [f"{row['runs_that_reached']}/{row['seeds']}", format_interval(row["forgetting"])]
    return rows


def differences_table(comparison: Comparison) -> Table:
    """Paired differences of every cell from the control, with p-values, verdicts, and differences over steps."""
    head = ["policy", "pairs", "difference", "p, Holm", "p, equivalence", "verdict", "probability of improvement"]
    rows = [[*head, "area over steps, difference"]]
    for row in comparison.table:
        if "difference" in row:
            rows.append(
                [
                    row["label"],
                    f"{row['pairs']}{', an anecdote' if row['pairs'] < FEWEST_SEEDS else ''}",
                    format_interval(row["difference"], comparison.metric == "tokens_to_threshold", sign="+"),
                    format_p_value(row.get("p_holm", math.nan)),
                    format_p_value(row["equivalence_p"]),
                    row["verdict"],
                    format_interval(row["improvement"]) if "improvement" in row else "-",
                    format_interval(row["difference_over_steps"], sign="+"),
                ]
            )
    return rows


def steering_table(comparison: Comparison) -> Table:
    """The distribution that every policy asked for, and the health of its batches."""
    keys = ("effective_arms", "largest_share", "kl_from_uniform", "zero_variance", "truncated")
    head = [
        "policy",
        "seeds",
        "effective arms",
        "largest share",
        "KL from uniform",
        "without variance",
        "truncated",
    ]
    return [
        head,
        *([r["label"], str(r["seeds"]), *(format_interval(r[key]) for key in keys)] for r in comparison.table),
    ]


def spending_table(comparison: Comparison) -> Table:
    """Tokens by purpose and seconds by phase of every cell, averaged over seeds."""
    names = ("num_tokens", "redrawn_tokens", "trained_tokens", "evaluation_tokens")
    head = ["policy", "seeds", "generated", "redrawn", "trained on", "in evaluation"]
    first = next(iter(comparison.cells.values()))
    phases = list(next(iter(first.runs.values())).ledger["seconds"])
    rows = [[*head, *(f"{phase}, s" for phase in phases)]]
    for label, cell in comparison.cells.items():
        ledgers = [run.ledger for run in cell.runs.values()]
        means = [sum(one["tokens"][name] for one in ledgers) / len(ledgers) for name in names]
        seconds = [sum(one["seconds"][phase] for one in ledgers) / len(ledgers) for phase in phases]
        rows.append([label, str(len(ledgers)), *(f"{m:,.0f}" for m in means), *(f"{s:,.1f}" for s in seconds)])
    return rows


def markdown(rows: Table) -> str:
    """A table as Markdown."""
    lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def markdown_tables(comparison: Comparison) -> str:
    """The report's tables as Markdown: results, differences from the control, steering and spending."""
    return "\n\n".join(
        markdown(table(comparison)) for table in (results_table, differences_table, steering_table, spending_table)
    )


def format_interval(interval: Interval, large: bool = False, sign: str = "") -> str:
    """An estimate with its interval, to three decimals, or none if it is large; sign "+" for differences."""
    form = f"{sign},.0f" if large else f"{sign}.3f"
    value, low, high = interval
    if math.isnan(value):
        return "-"
    return f"{value:{form}}" + ("" if math.isnan(low) else f" [{low:{form}}, {high:{form}}]")


def _number(comparison: Comparison, value: float) -> str:
    return f"{value:,.0f}" if comparison.metric == "tokens_to_threshold" else f"{value:.4f}"


def format_p_value(p: float) -> str:
    """A p-value to three decimals; "-" for NaN."""
    return "-" if math.isnan(p) else "< .001" if p < 0.001 else f"{p:.3f}"


def _count(number: float) -> str:
    return f"{number:,.0f}" if math.isfinite(number) else "more than 10,000"
