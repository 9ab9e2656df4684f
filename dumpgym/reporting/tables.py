"""The tables of a comparison, as rows of text and as Markdown."""

import math

from dumpgym.comparing.comparison import FEWEST_SEEDS, Comparison
from dumpgym.comparing.timing import STALLED, median_seconds
from dumpgym.statistics.intervals import Interval

Table = list[list[str]]
"""Rows of cells, the header first."""
_NO_WIDTH = 1e-9


def power_lines(comparison: Comparison) -> list[str]:
    """For every cell, the seeds that the margin needs given the observed spread, and what its own seeds can show."""
    margin = _number(comparison, comparison.margin_in_units)
    return [
        f"{row['label']}: to detect a difference of the margin, {margin}, takes {_count(row['pairs_needed'])} seeds at "
        f"a power of 0.8; to show equivalence, if there is no difference, {_count(row['pairs_for_equivalence'])}. "
        f"{row['pairs']} seeds show a difference of {_number(comparison, row['detectable'])}."
        for row in comparison.table
        if "detectable" in row
    ]


def skew_lines(comparison: Comparison) -> list[str]:
    """For every cell whose differences are skewed, the interval of the studentised bootstrap beside Student's."""
    large = comparison.metric == "tokens_to_threshold"
    return [
        f"{row['label']}: the differences are skewed ({row['skewness']:+.1f}, more than two standard errors). The "
        f"studentised bootstrap gives {format_interval(row['difference_studentised'], large, sign='+')}."
        for row in comparison.table
        if "difference_studentised" in row
    ]


def scale_line(comparison: Comparison) -> str:
    """At what scale the cells ran: how many completions an arm gets in a step, beside DUMP's published runs."""
    batches = {cell.config.prompts_per_step * cell.config.num_generations for cell in comparison.cells.values()}
    batch = " or ".join(f"{size:,}" for size in sorted(batches))
    arms = max(len(cell.config.arms) for cell in comparison.cells.values())
    per_arm = " or ".join(f"{size / arms:,.1f}" for size in sorted(batches))
    return (
        f"Scale: {batch} rollouts a step on {arms} arms, {per_arm} an arm under uniform sampling. DUMP's published "
        "runs have 171 (128 prompts of 16 completions, 12 arms): a window of 300 rollouts is two steps there, and "
        f"{' or '.join(f'{300 * arms / size:,.0f}' for size in sorted(batches, reverse=True))} here."
    )


def margin_line(comparison: Comparison) -> str:
    """The margin, also as a speed-up of the control; empty without a control."""
    if comparison.control is None:
        return ""
    margin, speedup = _number(comparison, comparison.margin_in_units), comparison.margin_as_speedup
    if math.isnan(speedup):
        return f"Margin: {margin}."
    return f"Margin: {margin}, which {comparison.control} would gain by being {speedup:.2f} times as fast."


def results_table(comparison: Comparison) -> Table:
    """The primary metric, final success, tokens to the threshold, and forgetting of every cell."""
    head = ["policy", "seeds", f"{comparison.metric} (primary)", "interquartile mean by arm", "final success"]
    head += [f"tokens to {comparison.threshold:g}, mean", "median", "reached", "forgetting"]
    rows = [[*head, "rollouts an arm and step"]]
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
        rows[-1] += [f"{row['rollouts_per_arm'][0]:,.1f}"]
    return rows


def differences_table(comparison: Comparison) -> Table:
    """Paired differences of every cell from the control, with p-values, verdicts, and differences over steps."""
    head = ["policy", "pairs", "difference", "p, Holm", "p, equivalence, Holm", "verdict"]
    head += [f"speed-up to {comparison.threshold:g}", "probability of improvement"]
    rows = [[*head, "area over steps, difference", "variance removed by pairing"]]
    for row in comparison.table:
        if "difference" in row:
            rows.append(
                [
                    row["label"],
                    f"{row['pairs']}{', an anecdote' if row['pairs'] < FEWEST_SEEDS else ''}",
                    format_interval(row["difference"], comparison.metric == "tokens_to_threshold", sign="+"),
                    format_p_value(row.get("p_holm", math.nan)),
                    format_p_value(row.get("equivalence_p_holm", math.nan)),
                    row["verdict"],
                    format_speedup(row["speedup"]),
                    format_interval(row["improvement"]) if "improvement" in row else "-",
                    format_interval(row["difference_over_steps"], sign="+"),
                    "-" if math.isnan(row["variance_removed"]) else f"{row['variance_removed']:.0%}",
                ]
            )
    return rows


def warm_starts_table(comparison: Comparison) -> Table:
    """Paired differences from the control: of all pairs, over warm starts, and of each; a head alone without any."""
    large = comparison.metric == "tokens_to_threshold"
    rows = [["policy", "all pairs", "over warm starts", *comparison.warm_starts]]
    for row in comparison.table:
        if "by_warm_start" in row:
            pooled = [format_interval(row[key], large, "+") for key in ("difference", "difference_over_warm_starts")]
            rows.append([row["label"], *pooled])
            for name in comparison.warm_starts:
                count = row["pairs_by_warm_start"].get(name, 0)
                shown = f"{format_interval(row['by_warm_start'][name], large, '+')} ({count})" if count else "no pair"
                rows[-1].append(shown)
    return rows


def warm_starts_line(comparison: Comparison) -> str:
    """What may be made of the differences by warm start; empty without warm starts."""
    if not comparison.warm_starts:
        return ""
    return (
        "Seeds of one warm start share its weights, so they are independent in their puzzles and samples only. The "
        "interval of all pairs is about other seeds of these warm starts; that over warm starts, Student's for their "
        "means, is about other warm starts. In brackets: pairs."
    )


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
    """Tokens by purpose, means over seeds, and seconds by phase, medians over seeds, of every cell.

    Without the seconds, if the machine was shared; see ``seconds_line``.
    """
    names = ("num_tokens", "redrawn_tokens", "trained_tokens", "evaluation_tokens")
    rows = [["policy", "seeds", "generated", "redrawn", "trained on", "in evaluation"]]
    for label, cell in comparison.cells.items():
        ledgers = [run.ledger for run in cell.runs.values()]
        means = [sum(one["tokens"][name] for one in ledgers) / len(ledgers) for name in names]
        rows.append([label, str(len(ledgers)), *(f"{m:,.0f}" for m in means)])
    if not comparison.machine_shared:
        medians = {label: median_seconds(cell.runs) for label, cell in comparison.cells.items()}
        stalled = {row["label"]: row["stalled_seeds"] for row in comparison.table}
        rows[0] += [*(f"{phase}, s" for phase in medians[rows[1][0]]), "stalled seeds"]
        for row in rows[1:]:
            row += [*(f"{seconds:,.1f}" for seconds in medians[row[0]].values())]
            row.append(", ".join(map(str, stalled[row[0]])) or "-")
    return rows


def seconds_line(comparison: Comparison) -> str:
    """What may be made of the seconds of these runs."""
    if comparison.machine_shared:
        return "Seconds are not shown: the machine did other work during the runs (machine_shared in the experiment)."
    known = "" if comparison.machine_shared is False else " The experiment does not say if the machine did other work."
    return (
        f"Seconds are medians over seeds.{known} Stalled seeds have a step that took over {STALLED:g} times the median."
    )


def markdown(rows: Table) -> str:
    """A table as Markdown."""
    lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def markdown_tables(comparison: Comparison) -> str:
    """The report's tables as Markdown, with what they need to be read: scale, margin, skew, power and seconds."""
    tables = [markdown(table(comparison)) for table in (results_table, differences_table)]
    lines = [scale_line(comparison), margin_line(comparison), *skew_lines(comparison), *power_lines(comparison)]
    if len(by_warm_start := warm_starts_table(comparison)) > 1:
        tables.append(f"{markdown(by_warm_start)}\n\n{warm_starts_line(comparison)}")
    tables.append("\n".join(f"- {line}" for line in lines if line))
    tables += [markdown(table(comparison)) for table in (steering_table, spending_table)]
    return "\n\n".join([*tables, seconds_line(comparison)])


def format_interval(interval: Interval, large: bool = False, sign: str = "") -> str:
    """An estimate with its interval, to three decimals, or none if it is large; sign "+" for differences.

    Only the estimate is shown if there is no interval: for one run, and where all runs have the same value. A narrow
    interval gets as many decimals as it needs to differ from a point.
    """
    value, low, high = interval
    if math.isnan(value):
        return "-"
    places = 0 if large else 3
    if math.isnan(low) or math.isclose(low, high, abs_tol=_NO_WIDTH):
        return f"{value:{sign},.{places}f}"
    while round(low, places) == round(high, places):
        places += 1
    form = f"{sign},.{places}f"
    return f"{value:{form}} [{low:{form}}, {high:{form}}]"


def format_speedup(interval: Interval) -> str:
    """A speed-up with its interval, such as "x1.04 [0.91, 1.18]"; "-" if it is not known."""
    value, low, high = interval
    if math.isnan(value):
        return "-"
    return f"x{value:.2f}" + ("" if math.isnan(low) else f" [{low:.2f}, {high:.2f}]")


def _number(comparison: Comparison, value: float) -> str:
    return f"{value:,.0f}" if comparison.metric == "tokens_to_threshold" else f"{value:.4f}"


def format_p_value(p: float) -> str:
    """A p-value to three decimals; "-" for NaN."""
    return "-" if math.isnan(p) else "< .001" if p < 0.001 else f"{p:.3f}"


def _count(number: float) -> str:
    return f"{number:,.0f}" if math.isfinite(number) else "more than 10,000"
