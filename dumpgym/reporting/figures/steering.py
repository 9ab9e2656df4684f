"""Figures of what the policies did: requested and realised shares of the arms, and the signal that they saw."""

from collections.abc import Callable

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from dumpgym.comparing.comparison import Comparison, FinishedCell
from dumpgym.reporting.figures import report_figure
from dumpgym.reporting.figures.style import (
    NUISANCE,
    POINTS,
    add_legend,
    cell_looks,
    draw_cells,
    new_figure,
    panels,
    token_axis,
)
from dumpgym.runs.finished import Array, FinishedRun

SECTION = "What the policies did"


@report_figure(
    "arm_shares", place=30, section=SECTION, caption="Share of every arm in the batches, averaged over five records."
)
def arm_shares(comparison: Comparison) -> Figure:
    """The realised share of every arm in the batches over generated tokens, averaged over seeds."""
    figure, axes = panels(comparison, "Share of the batch, realised", list(comparison.cells))
    colours = matplotlib.colormaps["viridis"](np.linspace(0, 0.92, len(comparison.arms)))
    labels = [*comparison.arms, *(["nuisance arms"] if comparison.has_nuisance else [])]
    for ax, cell in zip(axes, comparison.cells.values(), strict=True):
        runs = list(cell.runs.values())
        at = np.linspace(min(run.of_records("num_tokens")[0] for run in runs), comparison.budget, POINTS)
        shares = np.mean([_smoothed(run, at) for run in runs], axis=0)
        ax.stackplot(at, shares.T, labels=labels, colors=[*colours, NUISANCE], edgecolor="white", linewidth=0.2)
        ax.set_ylim(0, 1)
    token_axis(axes, comparison.budget, columns=4)
    add_legend(figure, axes[0])
    return figure


def _smoothed(run: FinishedRun, at: Array) -> Array:
    """Shares averaged over a window of records, at given numbers of tokens, (points, arms).

    The last column is that of all nuisance arms together, if there are any.
    """
    shares = run.arms_of_records("share")
    if run.config.nuisance_arms:
        shares = np.column_stack([shares, 1 - shares.sum(axis=1)])
    smooth = _moving_mean(shares)
    found = np.stack([np.interp(at, run.of_records("num_tokens"), arm) for arm in smooth.T], axis=1)
    total: Array = found / found.sum(axis=1, keepdims=True)
    return total


def _moving_mean(values: Array, window: int = 5) -> Array:
    """The mean over a window of records around each, (records, columns); both ends are repeated."""
    width = min(window, len(values))
    ends = np.repeat(values[[0, -1]], width // 2, axis=0)
    padded = np.concatenate([ends[: width // 2], values, ends[width // 2 :]])
    smooth = [np.convolve(column, np.ones(width) / width, mode="valid")[: len(values)] for column in padded.T]
    return np.stack(smooth, axis=1)


@report_figure(
    "dose",
    place=31,
    section=SECTION,
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
            np.concatenate([run.mean_of_steps(run.arms_of_records(key)) for run in runs])
            for key in ("requested_share", "share")
        )
        look = {**looks[label], "linestyle": ""}
        ax.plot(requested, realised, ms=5, alpha=0.7, label=label, **{**look, "marker": look["marker"] or "o"})
        largest = max(largest, requested.max(), realised.max())
    ax.plot([0, largest], [0, largest], color="grey", linewidth=0.8)
    ax.set(xlabel="requested share, mean over steps", ylabel="realised share, mean over steps")
    add_legend(figure, ax)
    return figure


@report_figure(
    "steering",
    place=32,
    section=SECTION,
    caption="When all arms are effective, the policy samples uniformly. Both are averaged over five records.",
)
def steering(comparison: Comparison) -> Figure:
    """The effective number of arms, and the signal that the policy saw, over generated tokens."""
    figure, axes = new_figure(comparison, "How the policy steers, and what it sees", 1, 2, 4.6)
    draw_cells(axes[0], comparison, _over_steps(comparison, lambda run: run.of_records("policy/effective_arms")))
    draw_cells(axes[1], comparison, _over_steps(comparison, _mean_signal))
    axes[0].set(ylabel="effective number of arms requested", ylim=(0, None))
    axes[1].set(ylabel="the policy's signal, mean over the batch", ylim=(0, None))
    token_axis(axes, comparison.budget, columns=2)
    add_legend(figure, axes[0])
    return figure


def _over_steps(
    comparison: Comparison, value: Callable[[FinishedRun], Array]
) -> Callable[[FinishedCell], tuple[Array, Array]]:
    """Gives a cell's curves of a logged number, averaged over a window of records, up to the budget."""

    def curves(cell: FinishedCell) -> tuple[Array, Array]:
        runs = list(cell.runs.values())
        at = np.linspace(min(run.of_records("num_tokens")[0] for run in runs), comparison.budget, POINTS)
        found = [np.interp(at, run.of_records("num_tokens"), _moving_mean(value(run)[:, None])[:, 0]) for run in runs]
        return at, np.stack(found)

    return curves


def _mean_signal(run: FinishedRun) -> Array:
    values, shares = run.arms_of_records("learnability"), run.arms_of_records("share")
    mean: Array = np.nansum(np.where(shares > 0, values, 0) * shares, axis=1)
    return mean
