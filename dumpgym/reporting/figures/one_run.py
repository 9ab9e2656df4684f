"""The figure of a single run, drawn from the files in its directory."""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from dumpgym.reporting.figures.canvas import drawing, save_png
from dumpgym.reporting.figures.style import MARKERS, NUISANCE, STYLES
from dumpgym.runs.directory import RunDirectory


def training_figure(directory: Path) -> Figure:
    """Arm shares and held-out success over generated tokens.

    Args:
        directory: directory of the run.
    """
    run = RunDirectory(directory)
    config = run.stored_config(directory)
    metrics, evaluations = run.read("metrics.jsonl"), run.read("evaluations.jsonl")
    names = list(evaluations[0]["eval/solved"])
    colours = matplotlib.colormaps["viridis"](np.linspace(0, 0.92, len(names)))
    figure = Figure(figsize=(10, 4), layout="constrained")
    shares, success = figure.subplots(1, 2)
    tokens = [0, *(record["num_tokens"] for record in metrics)]
    requested = np.array([[record[f"arms/{name}/requested_share"] for record in metrics] for name in names])
    layers = [*requested, *([1 - requested.sum(axis=0)] if config.nuisance_arms else [])]
    shares.stackplot(
        tokens, [[row[0], *row] for row in layers], colors=[*colours, NUISANCE], edgecolor="white", linewidth=0.3
    )
    title = "share of the batch" + (", nuisance arms in grey" if config.nuisance_arms else "")
    shares.set(title=title, ylim=(0, 1), ylabel="requested share")
    at = [record["num_tokens"] for record in evaluations]
    for i, (name, colour) in enumerate(zip(names, colours, strict=True)):
        # The colours are those of the shares. Neighbours are alike, so the line styles and markers differ.
        look = {"color": colour, "linestyle": STYLES[i % len(STYLES)], "marker": MARKERS[i % len(MARKERS)]}
        success.plot(at, [record[f"eval/{name}/success"] for record in evaluations], **look, ms=4, label=name)
    success.plot(at, [r["eval/success"] for r in evaluations], color="black", linewidth=2.5, label="mean over arms")
    success.set(title="held-out success, greedy", ylim=(-0.02, 1.02), ylabel="share of problems solved")
    for axes in (shares, success):
        axes.set_xlabel("generated tokens")
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.set_xlim(0, tokens[-1])
    success.legend(fontsize="x-small", loc="upper left", bbox_to_anchor=(1.01, 1), handlelength=3)
    figure.suptitle(f"{config.policy_spec}, seed {config.seed} (one seed: an anecdote)", fontsize="medium")
    return figure


def save_training_figure(directory: Path) -> Path:
    """Writes the figure into the run's directory as ``figure.png`` and returns its path.

    Raises:
        DumpgymError: if the figure cannot be drawn or written; nothing else in the directory changes.
    """
    path = directory / "figure.png"
    with drawing(path):
        save_png(training_figure(directory), path)
    return path
