"""A run's directory: configuration, logs of one JSON object a line, and checkpoints that appear whole or not at all.

A checkpoint is one moment of the run, with everything in it. Its state says how long the logs were, which were synced
before it counts; what was logged after it is taken back when the run goes on from it.
"""

import json
import os
import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dumpgym.contracts.errors import DumpgymError, InvalidValueError
from dumpgym.runs.config import TrainConfig, config_json
from dumpgym.runs.files import (
    PARTIAL,
    append_line,
    find_damage,
    partial_of,
    remove_directory,
    remove_partial,
    sync,
    write_directory,
    write_file,
    writing,
)
from dumpgym.runs.validation import validated

LOGS = ("metrics.jsonl", "evaluations.jsonl", "transcripts.jsonl")
_KEPT_CHECKPOINTS = 2
_STATE = "state.json"
_GO_ON = "; when it can be, --resume goes on from the last checkpoint"


class RunDirectory:
    """The files of one run.

    Args:
        path: the directory, made by ``create`` or left by an earlier run.
        writes: whether this process writes; in the others of a run, everything that writes does nothing.
    """

    def __init__(self, path: Path, *, writes: bool = True) -> None:
        self.path = path
        self.writes = writes

    @classmethod
    def create(cls, config: TrainConfig, *, writes: bool = True) -> "RunDirectory":
        """Makes the directory of a new run and writes its configuration.

        Raises:
            DumpgymError: if something stands there already, or it cannot be written.
        """
        path = config.output
        if writes:
            with writing(path):
                if path.exists() and (not path.is_dir() or any(p.suffix != PARTIAL for p in path.iterdir())):
                    raise InvalidValueError("output", str(path), "a directory that is new or empty, or --resume")
                path.mkdir(parents=True, exist_ok=True)
        run = cls(path, writes=writes)
        run._write("config.json", config_json(config), hint="")  # until it stands there, there is no run to go on with
        return run

    @staticmethod
    def stored_config(path: Path) -> TrainConfig:
        """The configuration of the run in a directory.

        Raises:
            InvalidValueError: if there is no run.
        """
        try:
            values = json.loads((path / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InvalidValueError("output", str(path), "with --resume, the directory of a run") from error
        return validated(values | {"output": path}, TrainConfig)

    def write_config(self, config: TrainConfig) -> None:
        """Replaces the configuration that ``stored_config`` reads."""
        self._write("config.json", config_json(config))

    def first_command(self) -> list[str] | None:
        """The command that began the run, if it came as far as to write it down."""
        path = self.path / "versions.json"
        return list(json.loads(path.read_text(encoding="utf-8"))["command"]) if path.exists() else None

    def write_json(self, name: str, value: Mapping[str, Any]) -> None:
        """Writes a JSON file."""
        self._write(name, json.dumps(value, indent=2))

    def _write(self, name: str, text: str, hint: str = _GO_ON) -> None:
        if self.writes:
            with writing(self.path / name, hint):
                write_file(self.path / name, text + "\n")

    def append(self, log: str, record: Mapping[str, Any]) -> None:
        """Adds one line to a log.

        Raises:
            DumpgymError: if it cannot be written; a part of the line may stand there then, until the run goes on.
        """
        if self.writes:
            with writing(self.path / log, _GO_ON):
                append_line(self.path / log, json.dumps(record))

    def read(self, log: str) -> list[dict[str, Any]]:
        """All records of a log, none if it does not exist; half a line, which a killed run leaves, is no record."""
        path = self.path / log
        if not path.exists():
            return []
        lines = path.read_text(encoding="utf-8").split("\n")
        return [json.loads(line) for line in lines[:-1]]

    def write_folder(self, name: str, fill: Callable[[Path], None]) -> None:
        """Writes a folder, or replaces it.

        Args:
            name: of the folder.
            fill: writes its files into a directory that it is given; called in every process.

        Raises:
            DumpgymError: if it cannot be written.
        """
        path = self.path / name
        if not self.writes:
            fill(partial_of(path))
            return
        with writing(path, _GO_ON):
            write_directory(path, fill)

    def save_checkpoint(self, step: int, state: Mapping[str, Any], save_learner: Callable[[Path], None]) -> None:
        """Writes a checkpoint and forgets all but the newest two that are whole.

        Args:
            step: steps done so far.
            state: JSON-compatible; the logs' present lengths are added to it.
            save_learner: writes the learner's part into a directory; called in every process.

        Raises:
            DumpgymError: if it cannot be written; the checkpoints before it are as they were.
        """

        def fill(directory: Path) -> None:
            save_learner(directory)
            if self.writes:
                stored = {**state, "step": step, "log_sizes": {log: self._size(log) for log in LOGS}}
                (directory / _STATE).write_text(json.dumps(stored), encoding="utf-8")

        name = f"checkpoints/step_{step:06d}"
        if self.writes:
            with writing(self.path / name, _GO_ON):
                self._sync_logs()
                _set_aside(self.path / name)
        self.write_folder(name, fill)
        self._forget_old()

    def _forget_old(self) -> None:
        """Removes all whole checkpoints but the newest."""
        if self.writes:
            with writing(self.path / "checkpoints", _GO_ON):
                whole = [
                    checkpoint for checkpoint in self._checkpoints() if find_damage(checkpoint, contents=False) is None
                ]
                for old in whole[:-_KEPT_CHECKPOINTS]:
                    remove_directory(old)

    def load_checkpoint(self) -> tuple[dict[str, Any], Path] | None:
        """The state and the directory of the newest checkpoint that is whole; what was logged after it is taken back.

        A checkpoint that is not whole is left where it is, with a warning. Returns None, and empties the logs, when no
        checkpoint was reached.

        Raises:
            DumpgymError: if there are checkpoints, and none is whole.
        """
        if self.writes:
            remove_partial(self.path)
            remove_partial(self.path / "checkpoints")
        broken: dict[str, str] = {}
        for checkpoint in reversed(self._checkpoints()):
            reason = find_damage(checkpoint) or self._lost_log(checkpoint)
            if reason is None:
                state: dict[str, Any] = json.loads((checkpoint / _STATE).read_text(encoding="utf-8"))
                self._cut_logs(state["log_sizes"])
                self._forget_old()  # a run may have ended between writing one checkpoint and removing another
                return state, checkpoint
            broken[checkpoint.name] = reason
            if self.writes:
                warnings.warn(f"checkpoint {str(checkpoint)!r} is left out: {reason}", UserWarning, stacklevel=2)
        if broken:
            found = ", ".join(f"{name} ({reason})" for name, reason in broken.items())
            raise DumpgymError(f"no checkpoint in {str(self.path / 'checkpoints')!r} is whole: {found}")
        self._cut_logs({})
        return None

    def _checkpoints(self) -> list[Path]:
        """Oldest first, whole or not."""
        found = (self.path / "checkpoints").glob("step_*")
        steps = {int(path.name[5:]): path for path in found if re.fullmatch(r"step_\d+", path.name)}
        return [steps[step] for step in sorted(steps)]

    def _size(self, log: str) -> int:
        return (self.path / log).stat().st_size if (self.path / log).exists() else 0

    def _lost_log(self, checkpoint: Path) -> str | None:
        sizes = json.loads((checkpoint / _STATE).read_text(encoding="utf-8"))["log_sizes"]
        short = [log for log, size in sizes.items() if self._size(log) < size]
        return f"{short[0]} is shorter than it was then" if short else None

    def _cut_logs(self, sizes: Mapping[str, int]) -> None:
        for log in LOGS if self.writes else ():
            if self._size(log) > sizes.get(log, 0):
                with writing(self.path / log):
                    os.truncate(self.path / log, sizes.get(log, 0))

    def _sync_logs(self) -> None:
        for log in LOGS:
            if (self.path / log).exists():
                sync(self.path / log)
        sync(self.path)


def _set_aside(path: Path) -> None:
    """A checkpoint that a resumed run left out makes place for its successor, but stays to be looked at."""
    number = 0
    while path.exists():
        number += 1
        aside = path.with_name(f"{path.name}.broken{number}")
        if not aside.exists():
            os.rename(path, aside)
