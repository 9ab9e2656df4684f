"""What every experiment's ``analysis.py`` shares: its command line, and how it writes its findings.

An experiment is a folder that answers one question: ``experiment.toml`` says what is run, ``analysis.py`` computes a
``score`` and whatever else the question needs, and the findings are written beside them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import tyro

from dumpgym.comparing.comparison import Comparison
from dumpgym.comparing.experiment import load_experiment
from dumpgym.comparing.loading import load_comparison
from dumpgym.runs.files import write_file, writing


@dataclass(frozen=True, slots=True)
class AnalysisConfig:
    """Where an analysis reads and writes.

    Attributes:
        runs: directory of the runs.
        output: directory of the findings.
    """

    runs: Path
    output: Path


def analysis_config(script: str, runs: Path | None = None) -> AnalysisConfig:
    """Reads the command line of an analysis.

    By default it writes into the folder that holds the script.

    Args:
        script: path of the script, its ``__file__``.
        runs: directory that it reads by default; ``runs/NAME`` with the folder's name, if there is none.
    """
    folder = Path(script).resolve().parent
    return tyro.cli(AnalysisConfig, default=AnalysisConfig(runs or Path("runs") / folder.name, folder))


def load_findings(runs: Path, script: str) -> Comparison:
    """Loads the runs of an experiment, with what ``experiment.toml`` says today of its tuning and its machine.

    The runs keep the file of their time, which may be older than these keys.

    Args:
        runs: directory of the runs.
        script: path of the analysis, its ``__file__``; ``experiment.toml`` is beside it.
    """
    experiment = load_experiment(Path(script).with_name("experiment.toml"))
    return replace(
        load_comparison([runs]), settings_tried=experiment.settings_tried, machine_shared=experiment.machine_shared
    )


def write_findings(output: Path, tables: str, scores: Mapping[str, float]) -> None:
    """Writes ``tables.md`` and ``scores.json``; ``save_figures`` writes the figures beside them.

    Args:
        output: directory of the findings.
        tables: text in Markdown.
        scores: scores by name.

    Raises:
        DumpgymError: if a file cannot be written.
    """
    with writing(output):
        output.mkdir(parents=True, exist_ok=True)
        write_file(output / "tables.md", tables)
        write_file(output / "scores.json", json.dumps(scores, indent=2) + "\n")
