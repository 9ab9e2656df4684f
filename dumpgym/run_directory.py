"""A run's directory: configuration, logs of one JSON object a line, and checkpoints that appear whole or not at all."""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dumpgym.config import TrainConfig, to_json, validated
from dumpgym.errors import DumpgymError, InvalidValueError

LOGS = ("metrics.jsonl", "evaluations.jsonl", "transcripts.jsonl")
_KEPT_CHECKPOINTS = 2


class RunDirectory:
    """The files of one run.

    Args:
        path: the directory, made by ``create`` or left by an earlier run.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, config: TrainConfig) -> "RunDirectory":
        """Makes the directory of a new run and writes its configuration.

        Raises:
            DumpgymError: if something stands there already, or it cannot be written.
        """
        path = config.output
        try:
            if path.exists() and (not path.is_dir() or any(path.iterdir())):
                raise InvalidValueError("output", str(path), "a directory that is new or empty, or --resume")
            path.mkdir(parents=True, exist_ok=True)
            (path / "config.json").write_text(to_json(config) + "\n", encoding="utf-8")
        except OSError as error:
            raise DumpgymError(f"output {str(path)!r} cannot be written: {error.strerror}") from error
        return cls(path)

    @staticmethod
    def stored_config(path: Path) -> TrainConfig:
        """The configuration of the run in a directory.

        Raises:
            InvalidValueError: if there is no run.
        """
        try:
            values = json.loads((path / "config.json").read_text(encoding="utf-8"))
        except OSError as error:
            raise InvalidValueError("output", str(path), "with --resume, the directory of a run") from error
        return validated(values | {"output": path}, TrainConfig)

    def append(self, log: str, record: Mapping[str, Any]) -> None:
        """Adds one line to a log."""
        with (self.path / log).open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def read(self, log: str) -> list[dict[str, Any]]:
        """All records of a log, none if it does not exist."""
        path = self.path / log
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []

    def write_json(self, name: str, value: Mapping[str, Any]) -> None:
        """Writes a JSON file."""
        (self.path / name).write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")

    def save_checkpoint(self, step: int, state: Mapping[str, Any], save_learner: Callable[[Path], None]) -> None:
        """Writes a checkpoint and forgets all but the newest two.

        Args:
            step: steps done so far.
            state: JSON-compatible; the logs' present lengths are added to it.
            save_learner: writes the learner's part into a directory.
        """
        folder = self.path / "checkpoints"
        temporary, final = folder / f".step_{step:06d}", folder / f"step_{step:06d}"
        for stale in (temporary, final):
            shutil.rmtree(stale, ignore_errors=True)
        temporary.mkdir(parents=True)
        save_learner(temporary)
        sizes = {log: (self.path / log).stat().st_size if (self.path / log).exists() else 0 for log in LOGS}
        (temporary / "state.json").write_text(json.dumps({**state, "step": step, "log_sizes": sizes}), encoding="utf-8")
        for path in (*(self.path / log for log in LOGS), *temporary.rglob("*"), temporary):
            _sync(path)
        temporary.rename(final)
        _sync(folder)
        for old in self._checkpoints()[:-_KEPT_CHECKPOINTS]:
            shutil.rmtree(old)

    def load_checkpoint(self) -> tuple[dict[str, Any], Path] | None:
        """The newest checkpoint's state and directory; what was logged after it is taken back.

        Returns None, and empties the logs, when no checkpoint was reached.
        """
        checkpoints = self._checkpoints()
        if not checkpoints:
            for log in LOGS:
                (self.path / log).unlink(missing_ok=True)
            return None
        state = json.loads((checkpoints[-1] / "state.json").read_text(encoding="utf-8"))
        for log, size in state["log_sizes"].items():
            if (self.path / log).exists():
                os.truncate(self.path / log, size)
        return state, checkpoints[-1]

    def _checkpoints(self) -> list[Path]:
        return sorted((self.path / "checkpoints").glob("step_*"))


def _sync(path: Path) -> None:
    if path.exists():
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
