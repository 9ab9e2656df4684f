"""A run's directory: its configuration, logs with one JSON object per line, and checkpoints.

A checkpoint captures the run at one moment and appears whole or not at all. The logs are not copied into it. They are
synced to the disk before it, and its state records how long they were. A run that resumes cuts the logs back to those
lengths and repeats the steps after the checkpoint, so in the end its logs equal those of a run that never stopped.
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
    DamagedFileError,
    append_line,
    check_output,
    find_damage,
    partial_of,
    read_lines,
    read_object,
    remove_directory,
    remove_partial,
    sync,
    write_directory,
    write_file,
    writing,
)
from dumpgym.runs.lock import DirectoryLock
from dumpgym.runs.validation import validated

CONFIG, SUMMARY = "config.json", "summary.json"
LOGS = ("metrics.jsonl", "evaluations.jsonl", "transcripts.jsonl")
_KEPT_CHECKPOINTS = 2
_STATE = "state.json"
_RESUME_HINT = "; when it can be, --resume continues from the last checkpoint"


class RunDirectory:
    """The files of one run.

    Args:
        path: the directory, made by ``create`` or left by an earlier run.
        writes: whether this process writes. Several processes may train one run, and only the main one writes: in the
            others, the methods that write do nothing.
    """

    def __init__(self, path: Path, *, writes: bool = True) -> None:
        self.path = path
        self.writes = writes
        self._lock: DirectoryLock | None = None

    @classmethod
    def create(cls, config: TrainConfig, *, writes: bool = True) -> "RunDirectory":
        """Makes the directory of a new run, locks it, and writes the run's configuration.

        Raises:
            DumpgymError: if the directory holds anything already, is locked, or cannot be written.
        """
        run = cls(config.output, writes=writes)
        run._refuse_content()
        if writes:
            with writing(run.path):
                run.path.mkdir(parents=True, exist_ok=True)
        run.lock()
        try:
            run._refuse_content()  # of two starts that found it empty, the other one may have been first
            run._write(CONFIG, config_json(config), hint="")  # no hint: until this file exists, nothing can resume
        except DumpgymError:
            run.unlock()
            raise
        return run

    def _refuse_content(self) -> None:
        if self.writes:
            check_output(self.path, or_else=", or --resume")

    def lock(self) -> None:
        """Keeps other runs out of the directory until ``unlock``, or until this process ends.

        Raises:
            InvalidValueError: if another run is at work in it.
        """
        if self.writes:
            with writing(self.path):
                self._lock = DirectoryLock(self.path)

    def unlock(self) -> None:
        """Lets other runs into the directory."""
        if self._lock is not None:
            self._lock.release()

    @staticmethod
    def stored_config(path: Path) -> TrainConfig:
        """The configuration of the run in a directory.

        Raises:
            InvalidValueError: if the directory holds no run.
        """
        try:
            values = read_object(path / CONFIG)
        except DamagedFileError as error:
            raise InvalidValueError("output", str(path), "with --resume, the directory of a run") from error
        return validated(values | {"output": path}, TrainConfig)  # the directory may have been moved since

    def write_config(self, config: TrainConfig) -> None:
        """Replaces the configuration that ``stored_config`` reads."""
        self._write(CONFIG, config_json(config))

    def write_json(self, name: str, value: Mapping[str, Any]) -> None:
        """Writes a JSON file."""
        self._write(name, json.dumps(value, indent=2))

    def _write(self, name: str, text: str, hint: str = _RESUME_HINT) -> None:
        if self.writes:
            with writing(self.path / name, hint):
                write_file(self.path / name, text + "\n")

    def append(self, log: str, record: Mapping[str, Any]) -> None:
        """Adds one line to a log.

        Raises:
            DumpgymError: if it cannot be written; part of the line may then remain until the run resumes.
        """
        if self.writes:
            with writing(self.path / log, _RESUME_HINT):
                append_line(self.path / log, json.dumps(record))

    def read(self, log: str) -> list[dict[str, Any]]:
        """All records of a log; none if it does not exist.

        A killed run may leave part of a line at the end, which is not a record.

        Raises:
            DumpgymError: if a line is not a record.
        """
        path = self.path / log
        return read_lines(path) if path.exists() else []

    def write_folder(self, name: str, fill: Callable[[Path], None]) -> None:
        """Writes a folder, or replaces it.

        Args:
            name: name of the folder.
            fill: writes the folder's files into the directory that it receives; called in every process.

        Raises:
            DumpgymError: if it cannot be written.
        """
        path = self.path / name
        if not self.writes:
            # A learner whose optimiser state is spread over the processes gathers it with the help of all of them. If
            # only the main process called ``fill``, it would wait for the others forever.
            fill(partial_of(path))
            return
        with writing(path, _RESUME_HINT):
            write_directory(path, fill)

    def save_checkpoint(self, step: int, state: Mapping[str, Any], save_learner: Callable[[Path], None]) -> None:
        """Writes a checkpoint and removes all intact checkpoints except the newest two.

        Args:
            step: steps done so far.
            state: JSON-compatible; the current lengths of the logs are added to it.
            save_learner: writes the learner's part into a directory; called in every process.

        Raises:
            DumpgymError: if it cannot be written; earlier checkpoints are unchanged.
        """

        def fill(directory: Path) -> None:
            save_learner(directory)
            if self.writes:
                # The logs keep growing after the checkpoint. With their lengths in it, a run that resumes here can cut
                # off exactly the records that it is about to write again.
                stored = {**state, "step": step, "log_sizes": {log: self._size(log) for log in LOGS}}
                (directory / _STATE).write_text(json.dumps(stored), encoding="utf-8")

        name = f"checkpoints/step_{step:06d}"
        if self.writes:
            with writing(self.path / name, _RESUME_HINT):
                # The logs first: otherwise a power failure could leave a checkpoint on the disk that counts log records
                # which never reached it.
                self._sync_logs()
                # A checkpoint of this step exists only if it was found damaged and skipped when the run resumed.
                _set_aside(self.path / name)
        self.write_folder(name, fill)
        self._forget_old()

    def _forget_old(self) -> None:
        """Removes all intact checkpoints except the newest two."""
        if self.writes:
            with writing(self.path / "checkpoints", _RESUME_HINT):
                # Two, because the newest may be damaged later. A damaged one does not count as one of them. Files
                # are checked by size only: hashing gigabytes of weights at every checkpoint would take long, and
                # loading checks the hashes anyway.
                whole = [
                    checkpoint for checkpoint in self._checkpoints() if find_damage(checkpoint, contents=False) is None
                ]
                for old in whole[:-_KEPT_CHECKPOINTS]:
                    remove_directory(old)

    def load_checkpoint(self) -> tuple[dict[str, Any], Path] | None:
        """Finds the newest intact checkpoint and cuts the logs back to its moment.

        Returns:
            The state and the directory of the checkpoint; see ``find_checkpoint``.

        Raises:
            DumpgymError: see ``find_checkpoint``; nothing is changed.
        """
        found = self.find_checkpoint()
        self.cut_back(found[0] if found is not None else None)
        return found

    def find_checkpoint(self, *, contents: bool = True) -> tuple[dict[str, Any], Path] | None:
        """Finds the newest intact checkpoint, and changes nothing. Damaged ones are left out with a warning.

        Args:
            contents: compare the hashes as well, which reads every file.

        Returns:
            The state and the directory of the checkpoint; None if the run was stopped before its first one.

        Raises:
            DumpgymError: if no checkpoint is intact, or there is none although the logs go beyond the first one.
        """
        broken: dict[str, str] = {}
        for checkpoint in reversed(self._checkpoints()):
            reason = find_damage(checkpoint, contents=contents) or self._lost_log(checkpoint)
            if reason is None:
                return read_object(checkpoint / _STATE), checkpoint
            broken[checkpoint.name] = reason
            if self.writes:
                warnings.warn(f"checkpoint {str(checkpoint)!r} is left out: {reason}", UserWarning, stacklevel=2)
        if broken:
            found = ", ".join(f"{name} ({reason})" for name, reason in broken.items())
            raise DumpgymError(f"no checkpoint in {str(self.path / 'checkpoints')!r} is whole: {found}")
        if log := self._log_beyond_start():
            raise DumpgymError(
                f"{str(self.path)!r} has no checkpoint, and {log} goes beyond the first one; accepted: a run with its "
                "checkpoints, or another output directory"
            )
        return None

    def _log_beyond_start(self) -> str | None:
        """The name of a log whose records a run would lose if it started from the beginning."""
        # The first checkpoint follows the evaluation of step 0. Up to there a run logs only what it logs again, to the
        # bit, when it starts from the beginning. Anything later is training that only a checkpoint can bring back.
        if self._size("metrics.jsonl"):
            return "metrics.jsonl"
        return next((log for log in LOGS if any(record.get("step") != 0 for record in self.read(log))), None)

    def cut_back(self, state: Mapping[str, Any] | None) -> None:
        """Takes back what the run did after a checkpoint.

        Args:
            state: state of the checkpoint; None to take back everything. See ``find_checkpoint``.
        """
        if not self.writes:
            return
        with writing(self.path):
            # The run is no longer finished, if it was. The mark goes first: together with the logs of half an extended
            # run, it would make readers take that half for the whole.
            (self.path / SUMMARY).unlink(missing_ok=True)
            sync(self.path)
            remove_partial(self.path)
            remove_partial(self.path / "checkpoints")
        self._cut_logs(state["log_sizes"] if state is not None else {})
        self._forget_old()  # the run may have been killed between writing a checkpoint and removing an old one

    def _checkpoints(self) -> list[Path]:
        """All checkpoints, intact or damaged, oldest first."""
        found = (self.path / "checkpoints").glob("step_*")
        steps = {int(path.name[5:]): path for path in found if re.fullmatch(r"step_\d+", path.name)}
        return [steps[step] for step in sorted(steps)]

    def _size(self, log: str) -> int:
        return (self.path / log).stat().st_size if (self.path / log).exists() else 0

    def _lost_log(self, checkpoint: Path) -> str | None:
        # Records before the checkpoint cannot be computed again from it. If some are missing, only an earlier
        # checkpoint leads to complete logs.
        sizes = read_object(checkpoint / _STATE)["log_sizes"]
        short = [log for log, size in sizes.items() if self._size(log) < size]
        return f"{short[0]} is shorter than it was then" if short else None

    def _cut_logs(self, sizes: Mapping[str, int]) -> None:
        # The resumed run logs the steps after the checkpoint again. Without the cut they would appear twice, and the
        # first new record would be glued to the part of a line that a killed run leaves.
        for log in LOGS:
            if self._size(log) > sizes.get(log, 0):
                with writing(self.path / log):
                    os.truncate(self.path / log, sizes.get(log, 0))

    def _sync_logs(self) -> None:
        for log in LOGS:
            if (self.path / log).exists():
                sync(self.path / log)
        sync(self.path)


def _set_aside(path: Path) -> None:
    """Renames a damaged checkpoint, which makes room for its successor and keeps the files for inspection."""
    number = 0
    while path.exists():
        number += 1
        aside = path.with_name(f"{path.name}.broken{number}")
        if not aside.exists():
            os.rename(path, aside)
