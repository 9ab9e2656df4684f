"""Metrics of a run in TensorBoard, Weights & Biases or trackio, through accelerate.

Trackers receive the numbers of ``metrics.jsonl`` and the successes of ``evaluations.jsonl`` under their names, at their
steps. They are views: the logs are the record. When a run resumes from a checkpoint, TensorBoard drops what came after
the checkpoint; the others keep it and receive the same numbers at the same steps again.
"""

import dataclasses
import os
import uuid
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dumpgym.contracts.errors import InvalidValueError
from dumpgym.runs.config import TrainConfig
from dumpgym.runs.files import write_file, writing

_PROJECT = "dumpgym"
_WANDB_WITHOUT_LOGIN = ("offline", "dryrun", "disabled")
_SHOWN: dict[str, str | tuple[str, ...]] = {  # by log, how the names of its tracked numbers begin
    "metrics.jsonl": "",
    "evaluations.jsonl": ("eval/", "eval_sampled/"),
}


class Trackers:
    """An observer of a training run, and a context manager that closes its trackers however the run ends.

    TensorBoard writes into ``trackers/tensorboard`` in the run's directory, Weights & Biases into ``trackers/wandb``
    (and to its server, unless ``WANDB_MODE`` is "offline"), trackio where ``TRACKIO_DIR`` says. The last
    two know a run by the id in ``trackers/run_id``, so a new run in the place of a deleted one is a new run there too.

    Args:
        config: configuration of the run, which names the trackers.
        is_main: whether this is the main process of the run; the others track nothing.

    Raises:
        InvalidValueError: if the package of a tracker is not installed, or it is not logged in.
    """

    def __init__(self, config: TrainConfig, *, is_main: bool = True) -> None:
        self.config = config
        self.names = config.trackers if is_main else ()
        check_trackers(self.names)
        self._open: list[Any] = []

    def start(self, step: int, begun: bool) -> None:
        """Starts to track a run, or continues when it resumes.

        Args:
            step: the last step that is done.
            begun: whether the evaluation before the first step is done.
        """
        if not self.names:
            return
        from accelerate import PartialState
        from accelerate.tracking import LOGGER_TYPE_TO_CLASS

        PartialState(cpu=self.config.agent.device == "cpu")  # without it, accelerate's trackers do not log
        for name in self.names:
            run_name, options = self._options(name, step + 1 if begun else 0)
            tracker = LOGGER_TYPE_TO_CLASS[name](run_name, **options)
            tracker.start()
            self._open.append(tracker)
            if not begun:
                tracker.store_init_configuration(_settings(self.config))

    def _options(self, name: str, first: int) -> tuple[str, dict[str, Any]]:
        folder = self.config.output / "trackers"
        if name == "tensorboard":
            return name, {"logging_dir": str(folder), "purge_step": first}
        output = self.config.output.absolute()
        run, identity = "-".join(output.parts[1:][-3:]), _run_id(folder)
        if name == "trackio":  # which knows a run by its name
            return _PROJECT, {"name": f"{run}-{identity}", "resume": "allow", "embed": False}
        return _PROJECT, {"name": run, "id": identity, "dir": str(folder), "resume": "allow"}

    def observe(self, log: str, record: Mapping[str, Any]) -> None:
        """Passes the numbers of a record to the trackers."""
        if log not in _SHOWN or not self._open:
            return
        shown = {key: value for key, value in record.items() if key != "step" and key.startswith(_SHOWN[log])}
        numbers = {key: value for key, value in shown.items() if isinstance(value, int | float)}
        for tracker in self._open:
            tracker.log(numbers, step=record["step"])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._open:
            self._open.pop().finish()


def _run_id(folder: Path) -> str:
    """The id of the run, made at random when it is first needed."""
    file = folder / "run_id"
    with writing(file):
        folder.mkdir(exist_ok=True)
        if not file.exists():
            write_file(file, f"{uuid.uuid4().hex[:16]}\n")
        return file.read_text(encoding="ascii").strip()


def check_trackers(names: Sequence[str]) -> None:
    """Checks that trackers can be started, before anything is written.

    Raises:
        InvalidValueError: if the package of a tracker is not installed, a tracker is named twice, or Weights & Biases
            is neither offline nor logged in.
    """
    for name in names:
        if names.count(name) > 1:
            raise InvalidValueError("trackers", list(names), f"every tracker once, and not {name!r} twice")
        if find_spec(name) is None:
            raise InvalidValueError("trackers", name, f"one that is installed: pip install 'dumpgym[{name}]'")
    if "wandb" in names and os.environ.get("WANDB_MODE", "online") not in _WANDB_WITHOUT_LOGIN:
        _check_wandb_login()


def _check_wandb_login() -> None:
    import wandb

    accepted = "one that is logged in: run 'wandb login', or set WANDB_API_KEY, or WANDB_MODE=offline"
    try:
        if wandb.login(prompt=False):
            return
        reason = ""
    except wandb.Error as error:
        reason = f" ({' '.join(str(error).split())})"
    # wandb reads WANDB_MODE once for the whole process. Without this, it would ignore the "offline" that is set next.
    wandb.teardown()
    raise InvalidValueError("trackers", "wandb", accepted + reason)


def _settings(config: TrainConfig) -> dict[str, bool | int | float | str]:
    """The configuration as a flat dictionary of plain values, which is all that trackers accept."""
    values = dataclasses.asdict(config)
    agent = {f"agent.{key}": value for key, value in values.pop("agent").items()}
    options = {f"policy_options.{key}": value for key, value in values.pop("policy_options").items()}
    plain = {**values, **agent, **options}
    return {key: value if isinstance(value, int | float | str) else _text(value) for key, value in plain.items()}


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else "" if value is None else str(value)
