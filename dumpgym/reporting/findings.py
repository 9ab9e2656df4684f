"""What every experiment's ``analysis.py`` shares: its command line, and how it writes its findings.

An experiment is a folder that answers one question: ``experiment.toml`` says what is run, ``analysis.py`` computes a
``score`` and whatever else the question needs, and the findings are written beside them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import tyro

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


def analysis_config(script: str) -> AnalysisConfig:
    """Reads the command line of an analysis.

    By default it reads ``runs/NAME``, where NAME is the folder that holds the script, and writes into that folder.

    Args:
        script: path of the script, its ``__file__``.
    """
    folder = Path(script).resolve().parent
    return tyro.cli(AnalysisConfig, default=AnalysisConfig(Path("runs") / folder.name, folder))


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
