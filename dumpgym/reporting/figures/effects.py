"""The figures of a comparison: each function takes it and returns a figure.

Colours are those of Okabe and Ito, which readers who do not see all colours can tell apart, and line styles help where
there are more cells than colours. The control is black throughout. Bands and bars are 95 % intervals over seeds, by
the bootstrap.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, PercentFormatter

from dumpgym.comparing.comparison import FEWEST_SEEDS, Array, Comparison, FinishedRun, option_of
from dumpgym.statistics.intervals import Interval, interval_over_runs, performance_profile, probability_of_improvement
from dumpgym.training.ledger import TOKENS

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
_STYLES = ("-", "--", ":", "-.")
_POINTS = 60  # of a curve, where runs are brought to one axis
_WIDTH = 10.0  # of a figure, inches
_LEGEND_ROW = 0.2  # inches
_LEGEND_CHARACTERS = 135  # that fit side by side


def _look(comparison: Comparison) -> dict[str, dict[str, Any]]:
    others = [label for label in comparison.cells if label != comparison.control]
    looks = {
        label: {"color": _COLOURS[i % len(_COLOURS)], "linestyle": _STYLES[i // len(_COLOURS) % len(_STYLES)]}
        for i, label in enumerate(others)
    }
    return looks | ({comparison.control: {"color": "black", "linestyle": "-"}} if comparison.control else {})


def _caption(comparison: Comparison) -> str:
    counts = sorted({len(cell.runs) for cell in comparison.cells.values()})
    seeds = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    anecdote = " (an anecdote)" if counts[0] < FEWEST_SEEDS else ""
    return f"{comparison.name}, {seeds} seed{'' if counts == [1] else 's'}{anecdote}"


def _figure(comparison: Comparison, title: str, rows: int, columns: int, height: float) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{title}\n{_caption(comparison)}", fontsize="medium")
    return figure, axes


def _legend(figure: Figure, axes: Axes) -> None:
    """Below the axes, which keep their height: the figure grows by its rows."""
    handles, labels = axes.get_legend_handles_labels()
    longest = max(map(len, labels), default=0)
    columns = max(1, min(4, len(labels), _LEGEND_CHARACTERS // (longest + 6)))
    figure.set_figheight(figure.get_figheight() + _LEGEND_ROW * (-(-len(labels) // columns) - 1))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize="small", frameon=False)


def _bands(samples: Array) -> tuple[Array, Array, Array]:
    """Mean, and lower and upper end of its interval, at every point: (runs, points) to three of (points,)."""
    found = [interval_over_runs(column) if len(column) > 1 else (column[0],) * 3 for column in samples.T]
    mean, low, high = np.array(found).T
    return mean, low, high


def _curve(axes: Axes, x: Array, samples: Array, label: str, look: dict[str, Any]) -> None:
    mean, low, high = _bands(samples)
    axes.plot(x, mean, label=label, linewidth=2, **look)
    axes.fill_between(x, low, high, color=look["color"], alpha=0.15, linewidth=0)


def _common(runs: Sequence[FinishedRun], x: Callable[[FinishedRun], Array]) -> Array:
    return np.linspace(0, min(x(run)[-1] for run in runs), _POINTS)


def _evaluation_seconds(run: FinishedRun) -> Array:
    """Seconds of training at every evaluation, those of evaluations left out."""
    return run.of_evaluations("time/seconds") - run.of_evaluations("time/evaluate")


_AXES: dict[str, tuple[str, Callable[[FinishedRun], Array]]] = {
    "tokens": ("generated tokens", lambda run: run.tokens),
    "steps": ("optimiser steps", lambda run: run.of_evaluations("step")),
    "seconds": ("seconds of training", _evaluation_seconds),
}


def success(comparison: Comparison) -> Figure:
    """Held-out success in the mean over arms, over generated tokens, steps and seconds."""
    figure, axes = _figure(comparison, "Held-out success, greedy, mean over arms", 1, 3, 4.6)
    looks = _look(comparison)
    for ax, (name, x) in zip(axes, _AXES.values(), strict=True):
        for label, cell in comparison.cells.items():
            runs = list(cell.runs.values())
            at = _common(runs, x)
            _curve(ax, at, np.stack([np.interp(at, x(run), run.success) for run in runs]), label, looks[label])
        ax.set(xlabel=name)
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
        ax.set_xlim(left=0)
    axes[0].set_ylabel("share of problems solved")
    axes[0].axvline(comparison.budget, color="grey", linewidth=0.8, linestyle=":")
    _legend(figure, axes[0])
    return figure


def success_by_arm(comparison: Comparison) -> Figure:
    """Held-out success of every arm over generated tokens."""
    arms = comparison.arms
    columns = min(3, len(arms))
    rows = -(-len(arms) // columns)
    figure, axes = _figure(comparison, "Held-out success of every arm, greedy", rows, columns, 1.2 + 2.4 * rows)
    looks = _look(comparison)
    for i, (ax, arm) in enumerate(zip(axes, arms, strict=False)):
        for label, cell in comparison.cells.items():
            runs = list(cell.runs.values())
            at = _common(runs, lambda run: run.tokens)
            samples = np.stack([np.interp(at, run.tokens, run.success_by_arm[:, i]) for run in runs])
            _curve(ax, at, samples, label, looks[label])
        ax.set(
            title=arm, ylim=(-0.02, 1.02), xlim=(0, None), xlabel="generated tokens" if i + columns >= len(arms) else ""
        )
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    for ax in axes[len(arms) :]:
        ax.remove()
    _legend(figure, axes[0])
    return figure


def arm_shares(comparison: Comparison) -> Figure:
    """The realised share of every arm in the batches, over generated tokens, in the mean over seeds."""
    columns = min(4, len(comparison.cells))
    rows = -(-len(comparison.cells) // columns)
    figure, axes = _figure(comparison, "Share of the batch, realised", rows, columns, 1.4 + 2.2 * rows)
    colours = matplotlib.colormaps["viridis"](np.linspace(0, 0.92, len(comparison.arms)))
    for i, (ax, (label, cell)) in enumerate(zip(axes, comparison.cells.items(), strict=False)):
        runs = list(cell.runs.values())
        at = np.linspace(min(run.of_steps("num_tokens")[0] for run in runs), comparison.budget, _POINTS)
        shares = np.mean([_smoothed(run, at) for run in runs], axis=0)
        ax.stackplot(at, shares.T, labels=comparison.arms, colors=colours, edgecolor="white", linewidth=0.2)
        ax.set_title(label, fontsize="small", wrap=True)
        is_last = i + columns >= len(comparison.cells)
        ax.set(ylim=(0, 1), xlim=(at[0], at[-1]), xlabel="generated tokens" if is_last else "")
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    for ax in axes[len(comparison.cells) :]:
        ax.remove()
    _legend(figure, axes[0])
    return figure


def _smoothed(run: FinishedRun, at: Array, window: int = 5) -> Array:
    """Shares averaged over some steps, at given tokens, (points, arms)."""
    shares = run.arms_of_steps("share")
    width = min(window, len(shares))
    ends = np.repeat(shares[[0, -1]], width // 2, axis=0)
    padded = np.concatenate([ends[: width // 2], shares, ends[width // 2 :]])
    smooth = np.stack([np.convolve(arm, np.ones(width) / width, mode="valid") for arm in padded.T], axis=1)
    found = np.stack([np.interp(at, run.of_steps("num_tokens"), arm[: len(shares)]) for arm in smooth.T], axis=1)
    total: Array = found / found.sum(axis=1, keepdims=True)
    return total


def dose(comparison: Comparison) -> Figure:
    """Requested against realised share of every arm over the whole run, one point a run and arm."""
    figure, (ax,) = _figure(comparison, "Was the batch what the policy asked for?", 1, 1, 5.0)
    looks = _look(comparison)
    largest = 0.0
    for label, cell in comparison.cells.items():
        runs = cell.runs.values()
        requested, realised = (
            np.concatenate([run.arms_of_steps(key).mean(axis=0) for run in runs])
            for key in ("requested_share", "share")
        )
        ax.plot(requested, realised, "o", ms=4, alpha=0.6, color=looks[label]["color"], label=label)
        largest = max(largest, requested.max(), realised.max())
    ax.plot([0, largest], [0, largest], color="grey", linewidth=0.8)
    ax.set(xlabel="requested share, mean over steps", ylabel="realised share, mean over steps")
    _legend(figure, ax)
    return figure


def steering(comparison: Comparison) -> Figure:
    """The effective number of arms, and the learnability that the policy saw, over generated tokens."""
    figure, axes = _figure(comparison, "How the policy steers, and what it sees", 1, 2, 4.6)
    looks = _look(comparison)
    for label, cell in comparison.cells.items():
        runs = list(cell.runs.values())
        at = np.linspace(0, comparison.budget, _POINTS)
        effective = [np.interp(at, run.of_steps("num_tokens"), run.of_steps("policy/effective_arms")) for run in runs]
        _curve(axes[0], at, np.stack(effective), label, looks[label])
        seen = [np.interp(at, run.of_steps("num_tokens"), _mean_learnability(run)) for run in runs]
        _curve(axes[1], at, np.stack(seen), label, looks[label])
    axes[0].set(ylabel="effective number of arms requested", ylim=(0, len(comparison.arms) + 0.2))
    axes[1].set(ylabel="the policy's signal, mean over the batch", ylim=(0, None))
    for ax in axes:
        ax.set(xlabel="generated tokens", xlim=(0, comparison.budget))
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    _legend(figure, axes[0])
    return figure


def _mean_learnability(run: FinishedRun) -> Array:
    values, shares = run.arms_of_steps("learnability"), run.arms_of_steps("share")
    mean: Array = np.nansum(np.where(shares > 0, values, 0) * shares, axis=1)
    return mean


def velocity(comparison: Comparison) -> Figure:
    """How fast success rises on an arm, against its success: from evaluation to evaluation, of all runs."""
    figure, (ax,) = _figure(comparison, "Learning velocity against pass rate", 1, 1, 4.6)
    starts, gains = [], []
    for cell in comparison.cells.values():
        for run in cell.runs.values():
            spent = np.diff(run.tokens)[:, None] / 1e5
            starts.append(run.success_by_arm[:-1].ravel())
            gains.append((np.diff(run.success_by_arm, axis=0) / spent).ravel())
    start, gain = np.concatenate(starts), np.concatenate(gains)
    edges = np.linspace(0, 1, 11)
    number = np.clip(np.digitize(start, edges) - 1, 0, 9)
    filled = [i for i in range(10) if (number == i).sum() > 1]
    ax.plot(start, gain, ".", ms=3, color="#BBBBBB", zorder=1)
    found = np.array([interval_over_runs(gain[number == i]) for i in filled])
    if filled:
        middle = [start[number == i].mean() for i in filled]
        error = np.abs(found[:, 1:].T - found[:, 0])
        ax.errorbar(middle, found[:, 0], _distances(error), fmt="o-", color=_COLOURS[0], capsize=2, zorder=2)
        low, high = np.quantile(gain, [0.02, 0.98])
        ax.set_ylim(min(low, found[:, 1].min()), max(high, found[:, 2].max()))
    ax.axhline(0, color="black", linewidth=0.8)
    ax.set(xlabel="success before", ylabel="change of success per 100,000 tokens of the run", xlim=(-0.02, 1.02))
    return figure


def _distances(error: Array) -> Array:
    """Distances to both ends of intervals, as ``errorbar`` takes them; none is below 0."""
    return np.maximum(error, 0)


def _dots(ax: Axes, found: dict[str, Interval], looks: dict[str, dict[str, Any]]) -> None:
    for place, (label, (value, low, high)) in enumerate(reversed(found.items())):
        colour = looks[label]["color"]
        ax.plot([low, high], [place, place], color=colour, linewidth=2)
        ax.plot(value, place, "o", color=colour, ms=5)
    ax.set_yticks(range(len(found)), list(reversed(found)), fontsize="small")
    ax.set_ylim(-0.6, len(found) - 0.4)


def mark_differences(ax: Axes, place: float, over_tokens: Interval, over_steps: Interval, colour: str) -> None:
    """One row of paired differences: over tokens as a full dot, below it over steps as a hollow one."""
    for height, (value, low, high), face, width in ((0.13, over_tokens, colour, 2), (-0.17, over_steps, "white", 1)):
        ax.plot([low, high], [place + height] * 2, color=colour, linewidth=width)
        ax.plot(value, place + height, "o", color=colour, markerfacecolor=face, ms=5)


def intervals(comparison: Comparison) -> Figure:
    """The primary metric of every cell: its mean, and its interquartile mean over runs and arms."""
    rows = comparison.table
    figure, axes = _figure(comparison, f"Primary metric: {comparison.metric}", 1, 2, 1.6 + 0.35 * len(rows))
    looks = _look(comparison)
    _dots(axes[0], {row["label"]: row["primary"] for row in rows}, looks)
    axes[0].set_xlabel("mean over seeds")
    several = {row["label"]: row["interquartile_mean"] for row in rows if "interquartile_mean" in row}
    _dots(axes[1], several, looks)
    axes[1].set_xlabel("interquartile mean over seeds and arms")
    axes[1].set_yticklabels([])
    return figure


def differences(comparison: Comparison) -> Figure:
    """Paired differences of the primary metric to the control, with the margin of equivalence and every pair."""
    rows = [row for row in comparison.table if "difference" in row]
    title = f"Paired differences to {comparison.control}: {comparison.metric}"
    figure, (ax,) = _figure(comparison, title, 1, 1, 1.6 + 0.4 * max(1, len(rows)))
    looks = _look(comparison)
    margin = comparison.margin_in_units
    ax.axvspan(-margin, margin, color="#EEEEEE", zorder=0)
    ax.axvline(0, color="black", linewidth=0.8)
    _dots(ax, {row["label"]: row["difference"] for row in rows}, looks)
    for place, row in enumerate(reversed(rows)):
        pairs = comparison.differences(row["label"])
        ax.plot(pairs, np.full(len(pairs), place - 0.22), "|", color=looks[row["label"]]["color"], alpha=0.6)
        ax.annotate(row["verdict"], (1.0, place), xycoords=("axes fraction", "data"), fontsize="x-small", va="center")
    ax.set_xlabel(f"difference, mean over pairs; every pair is a tick; grey: smaller than the margin, {margin:g}")
    return figure


def improvement(comparison: Comparison) -> Figure:
    """The probability that a run is better than one of the control, over all pairs of runs, in the mean over arms."""
    rows = [row for row in comparison.table if "improvement" in row]
    title = f"Probability of improvement over {comparison.control}"
    figure, (ax,) = _figure(comparison, title, 1, 1, 1.6 + 0.35 * max(1, len(rows)))
    _dots(ax, {row["label"]: row["improvement"] for row in rows}, _look(comparison))
    ax.axvline(0.5, color="black", linewidth=0.8)
    ax.set(xlim=(0, 1), xlabel="probability")
    return figure


def improvement_matrix(comparison: Comparison) -> Figure:
    """The probability of improvement of every cell over every other."""
    labels = [label for label, cell in comparison.cells.items() if len(cell.runs) > 1]
    size = 2.5 + 0.5 * len(labels)
    figure, (ax,) = _figure(comparison, "Probability that the row is better than the column", 1, 1, max(3.5, size))
    values = {label: comparison.values_by_arm(label) for label in labels}
    matrix = np.array([[probability_of_improvement(values[a], values[b])[0] for b in labels] for a in labels])
    if labels:
        ax.imshow(matrix, cmap="PuOr", vmin=0, vmax=1, aspect="auto")
        for (row, column), value in np.ndenumerate(matrix):
            shade = "white" if abs(value - 0.5) > 0.35 else "black"
            ax.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize="x-small", color=shade)
    ax.set_xticks(range(len(labels)), labels, rotation=30, ha="right", fontsize="x-small")
    ax.set_yticks(range(len(labels)), labels, fontsize="x-small")
    return figure


def profile(comparison: Comparison) -> Figure:
    """The share of runs and arms whose value is above a threshold, over thresholds."""
    figure, (ax,) = _figure(comparison, f"Performance profile: {comparison.metric} by arm", 1, 1, 4.6)
    looks = _look(comparison)
    several = {label: comparison.values_by_arm(label) for label, c in comparison.cells.items() if len(c.runs) > 1}
    if several:
        pooled = np.concatenate([values.ravel() for values in several.values()])
        thresholds = np.linspace(pooled.min(), pooled.max(), 80)
        for label, values in several.items():
            share, low, high = performance_profile(values, thresholds)
            ax.plot(thresholds, share, label=label, linewidth=2, **looks[label])
            ax.fill_between(thresholds, low, high, color=looks[label]["color"], alpha=0.1, linewidth=0)
        _legend(figure, ax)
    ax.set(xlabel="threshold", ylabel="share of runs and arms above it", ylim=(-0.02, 1.02))
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    return figure


def forgotten(comparison: Comparison) -> Figure:
    """Forgetting: the best success so far less that at the end, of every arm."""
    figure, (ax,) = _figure(comparison, "Forgetting: best success so far minus the last", 1, 1, 4.2)
    looks, arms = _look(comparison), comparison.arms
    width = 0.8 / len(comparison.cells)
    for i, (label, cell) in enumerate(comparison.cells.items()):
        lost = np.stack([run.success_by_arm.max(axis=0) - run.success_by_arm[-1] for run in cell.runs.values()])
        mean, low, high = _bands(lost)
        at = np.arange(len(arms)) + (i - (len(comparison.cells) - 1) / 2) * width
        ax.bar(at, mean, width, color=looks[label]["color"], alpha=0.8, label=label)
        ax.errorbar(
            at, mean, _distances(np.stack([mean - low, high - mean])), fmt="none", ecolor="black", linewidth=0.8
        )
    ax.set_xticks(range(len(arms)), arms, fontsize="small")
    ax.set_ylabel("success")
    _legend(figure, ax)
    return figure


def ablation(comparison: Comparison) -> Figure:
    """The primary metric over the values of every option that several cells of one policy differ in."""
    sweeps = _sweeps(comparison)
    columns = min(3, max(1, len(sweeps)))
    rows = max(1, -(-len(sweeps) // columns))
    figure, axes = _figure(comparison, f"Ablation: {comparison.metric}", rows, columns, 1.4 + 2.8 * rows)
    means = {row["label"]: row["primary"] for row in comparison.table}
    for ax, (name, points) in zip(axes, sweeps.items(), strict=False):
        found = np.array([means[label] for _, label in points])
        ax.errorbar(
            range(len(points)), found[:, 0], _distances(np.abs(found[:, 1:].T - found[:, 0])), fmt="o-",
            color=_COLOURS[0], capsize=2,
        )  # fmt: skip
        if comparison.control:
            value, low, high = means[comparison.control]
            ax.axhspan(low, high, color="#DDDDDD", zorder=0)
            ax.axhline(value, color="black", linewidth=0.8, label=comparison.control)
        values = [value for value, _ in points]
        is_long = max(map(len, values)) > 8
        ax.set_xticks(range(len(points)), values, fontsize="small", rotation=30 if is_long else 0)
        ax.set_title(name, fontsize="small")
    for ax in axes[max(1, len(sweeps)) :]:
        ax.remove()
    if not sweeps:
        axes[0].text(0.5, 0.5, "no two cells of one policy differ in one option alone", ha="center", va="center")
        axes[0].axis("off")
    return figure


def heat_map(comparison: Comparison) -> Figure:
    """The primary metric by policy and by the first setting that cells differ in besides."""
    grid = comparison.grid
    policies, values = list(dict.fromkeys(p for p, _ in grid)), list(dict.fromkeys(v for _, v in grid))
    means = {row["label"]: row["primary"][0] for row in comparison.table}
    matrix = np.array([[means.get(grid.get((p, v), ""), np.nan) for v in values] for p in policies])
    figure, (ax,) = _figure(comparison, f"{comparison.metric} by policy and setting", 1, 1, 1.8 + 0.4 * len(policies))
    image = ax.imshow(matrix, cmap="viridis", aspect="auto")
    middle = (np.nanmin(matrix) + np.nanmax(matrix)) / 2
    for (row, column), value in np.ndenumerate(matrix):
        if np.isfinite(value):
            shade = "white" if value < middle else "black"
            ax.text(column, row, f"{value:.3g}", ha="center", va="center", fontsize="x-small", color=shade)
    rotation: dict[str, Any] = {"rotation": 20, "ha": "right"} if max(map(len, values)) > 12 else {}
    ax.set_xticks(range(len(values)), values, fontsize="small", **rotation)
    ax.set_yticks(range(len(policies)), policies, fontsize="small")
    figure.colorbar(image, ax=ax)
    return figure


def _sweeps(comparison: Comparison) -> dict[str, list[tuple[str, str]]]:
    """By policy and option, the values with the labels of their cells, in order; at least two of each."""
    sweeps: dict[str, list[tuple[str, str]]] = {}
    of_policy: dict[str, list[str]] = {}
    for label, cell in comparison.cells.items():
        of_policy.setdefault(cell.config.policy, []).append(label)
    for policy, labels in of_policy.items():
        configs = {label: comparison.cells[label].config for label in labels}
        names = sorted({name for config in configs.values() for name in config.policy_options})
        for name in names:
            alike = [
                label
                for label, config in configs.items()
                if not (config.policy_options.keys() - {name}) and comparison.is_plain(label)
            ]
            points = sorted(((option_of(configs[label], name), label) for label in alike), key=_by_size)
            if len(points) > 1:
                sweeps[f"{policy}: {name}"] = [(str(value), label) for value, label in points]
    return sweeps


def _by_size(point: tuple[object, str]) -> tuple[bool, float, str]:
    value = point[0]
    is_number = isinstance(value, int | float)
    return not is_number, float(value) if isinstance(value, int | float) else 0.0, str(value)


def ledger(comparison: Comparison) -> Figure:
    """What every cell spent: tokens by what they were for, and seconds by phase, in the mean over seeds."""
    figure, axes = _figure(comparison, "What was spent, mean over seeds", 1, 2, 1.8 + 0.35 * len(comparison.cells))
    labels = list(reversed(comparison.cells))
    spent = {label: [run.ledger for run in comparison.cells[label].runs.values()] for label in labels}
    tokens = {
        column: [np.mean([one["tokens"][column] for one in spent[label]]) for label in labels] for column in TOKENS
    }
    generated, redrawn, trained = (np.array(tokens[c]) for c in ("num_tokens", "redrawn_tokens", "trained_tokens"))
    parts = {
        "trained on": trained,
        "generated, without gradient": generated - redrawn - trained,
        "redrawn by the group filter": redrawn,
        "evaluation": np.array(tokens["evaluation_tokens"]),
    }
    phases = {
        phase: np.array([np.mean([one["seconds"][phase] for one in spent[label]]) for label in labels])
        for phase in spent[labels[0]][0]["seconds"]
    }
    for ax, found, unit in ((axes[0], parts, "tokens"), (axes[1], phases, "seconds")):
        left = np.zeros(len(labels))
        for (name, widths), colour in zip(found.items(), _COLOURS, strict=False):
            ax.barh(range(len(labels)), widths, left=left, color=colour, label=name)
            left += widths
        ax.set_xlabel(unit)
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
        ax.legend(fontsize="x-small", frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    axes[0].set_yticks(range(len(labels)), labels, fontsize="small")
    axes[1].set_yticks([])
    return figure


FIGURES: dict[str, Callable[[Comparison], Figure]] = {
    "success": success,
    "intervals": intervals,
    "differences": differences,
    "success_by_arm": success_by_arm,
    "arm_shares": arm_shares,
    "dose": dose,
    "steering": steering,
    "velocity": velocity,
    "improvement": improvement,
    "improvement_matrix": improvement_matrix,
    "profile": profile,
    "forgetting": forgotten,
    "ablation": ablation,
    "heat_map": heat_map,
    "ledger": ledger,
}
"""All figures, by the names under which a report has them, in its order."""


def save_figures(figures: Mapping[str, Figure], output: Path) -> None:
    """Writes figures as PNG, by their names, into a directory that is there."""
    for name, figure in figures.items():
        figure.savefig(output / f"{name}.png", dpi=110)
