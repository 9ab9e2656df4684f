"""Figures of what the policies did: requested and realised shares of the arms, and the signal that they saw."""

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from dumpgym.comparing.comparison import Comparison
from dumpgym.reporting.figures import report_figure
from dumpgym.reporting.figures.style import POINTS, add_legend, cell_looks, draw_curve, new_figure
from dumpgym.runs.finished import Array, FinishedRun


@report_figure("arm_shares", place=5, caption="Share of every arm in the batches, averaged over five steps.")
def arm_shares(comparison: Comparison) -> Figure:
    """The realised share of every arm in the batches over generated tokens, averaged over seeds."""
    columns = min(4, len(comparison.cells))
    rows = -(-len(comparison.cells) // columns)
    figure, axes = new_figure(comparison, "Share of the batch, realised", rows, columns, 1.4 + 2.2 * rows)
    colours = matplotlib.colormaps["viridis"](np.linspace(0, 0.92, len(comparison.arms)))
    for i, (ax, (label, cell)) in enumerate(zip(axes, comparison.cells.items(), strict=False)):
        runs = list(cell.runs.values())
        at = np.linspace(min(run.of_steps("num_tokens")[0] for run in runs), comparison.budget, POINTS)
        shares = np.mean([_smoothed(run, at) for run in runs], axis=0)
        ax.stackplot(at, shares.T, labels=comparison.arms, colors=colours, edgecolor="white", linewidth=0.2)
        ax.set_title(label, fontsize="small", wrap=True)
        is_last = i + columns >= len(comparison.cells)
        ax.set(ylim=(0, 1), xlim=(at[0], at[-1]), xlabel="generated tokens" if is_last else "")
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    for ax in axes[len(comparison.cells) :]:
        ax.remove()
    add_legend(figure, axes[0])
    return figure


def _smoothed(run: FinishedRun, at: Array, window: int = 5) -> Array:
    """Shares averaged over a window of steps, at given numbers of tokens, (points, arms)."""
    shares = run.arms_of_steps("share")
    width = min(window, len(shares))
    ends = np.repeat(shares[[0, -1]], width // 2, axis=0)
    padded = np.concatenate([ends[: width // 2], shares, ends[width // 2 :]])
    smooth = np.stack([np.convolve(arm, np.ones(width) / width, mode="valid") for arm in padded.T], axis=1)
    found = np.stack([np.interp(at, run.of_steps("num_tokens"), arm[: len(shares)]) for arm in smooth.T], axis=1)
    total: Array = found / found.sum(axis=1, keepdims=True)
    return total


@report_figure(
    "dose",
    place=6,
    caption="On the line, the batch was what the policy asked for. Equal shares mean that the policy does not steer.",
)
def dose(comparison: Comparison) -> Figure:
    """Realised against requested share of every arm over the whole run, one point per run and arm."""
    figure, (ax,) = new_figure(comparison, "Was the batch what the policy asked for?", 1, 1, 5.0)
    looks = cell_looks(comparison)
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
    add_legend(figure, ax)
    return figure


@report_figure("steering", place=7, caption="When all arms are effective, the policy samples uniformly.")
def steering(comparison: Comparison) -> Figure:
    """The effective number of arms, and the signal that the policy saw, over generated tokens."""
    figure, axes = new_figure(comparison, "How the policy steers, and what it sees", 1, 2, 4.6)
    looks = cell_looks(comparison)
    for label, cell in comparison.cells.items():
        runs = list(cell.runs.values())
        at = np.linspace(0, comparison.budget, POINTS)
        effective = [np.interp(at, run.of_steps("num_tokens"), run.of_steps("policy/effective_arms")) for run in runs]
        draw_curve(axes[0], at, np.stack(effective), label, looks[label])
        seen = [np.interp(at, run.of_steps("num_tokens"), _mean_signal(run)) for run in runs]
        draw_curve(axes[1], at, np.stack(seen), label, looks[label])
    axes[0].set(ylabel="effective number of arms requested", ylim=(0, len(comparison.arms) + 0.2))
    axes[1].set(ylabel="the policy's signal, mean over the batch", ylim=(0, None))
    for ax in axes:
        ax.set(xlabel="generated tokens", xlim=(0, comparison.budget))
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    add_legend(figure, axes[0])
    return figure


def _mean_signal(run: FinishedRun) -> Array:
    values, shares = run.arms_of_steps("learnability"), run.arms_of_steps("share")
    mean: Array = np.nansum(np.where(shares > 0, values, 0) * shares, axis=1)
    return mean
