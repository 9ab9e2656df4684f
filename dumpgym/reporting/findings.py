"""What the ``analysis.py`` of every experiment does: read finished runs, and write what was found.

An experiment is a folder of its own, which answers a question: ``experiment.toml`` says what is run, ``analysis.py``
has a ``score`` and whatever else the question asks for, and the findings stand beside them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import tyro

from dumpgym.runs.files import write_file, writing


@dataclass(frozen=True, slots=True)
class AnalysisConfig:
    """What is analysed.

    Attributes:
        runs: directory of the runs.
        output: directory of the findings.
    """

    runs: Path
    output: Path


def analysis_config(script: str) -> AnalysisConfig:
    """The command line's; by default the runs of the experiment in whose folder a script stands, and that folder.

    Args:
        script: path of the script, its ``__file__``.
    """
    folder = Path(script).resolve().parent
    return tyro.cli(AnalysisConfig, default=AnalysisConfig(Path("runs") / folder.name, folder))


def write_findings(output: Path, tables: str, scores: Mapping[str, float]) -> None:
    """Writes ``tables.md`` and ``scores.json``; ``save_figures`` writes the figures beside them.

    Args:
        output: directory of the findings.
        tables: Markdown.
        scores: by what they are of.

    Raises:
        DumpgymError: if a file cannot be written.
    """
    with writing(output):
        output.mkdir(parents=True, exist_ok=True)
        write_file(output / "tables.md", tables)
        write_file(output / "scores.json", json.dumps(scores, indent=2) + "\n")
