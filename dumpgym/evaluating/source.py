"""Which model is meant: a name, a folder, or a run or a checkpoint in place of the folder with its model."""

from dataclasses import dataclass
from pathlib import Path

from dumpgym.agents.embedded.names import EMBEDDED_MODELS
from dumpgym.contracts.errors import InvalidValueError
from dumpgym.runs.config import TrainConfig
from dumpgym.runs.directory import RunDirectory
from dumpgym.runs.finished import is_run

_LEVELS = 3  # from the folder of a checkpoint's model up to its run: checkpoints/step_000010/model


@dataclass(frozen=True, slots=True)
class ModelSource:
    """Where a model is loaded from.

    Attributes:
        name: what ``GRPOConfig.model`` takes: an embedded model such as "embedded", a folder, a .gguf file, or a name
            on the Hugging Face hub.
        run: configuration of the run that made the model; None if no run did.
    """

    name: str
    run: TrainConfig | None = None


def find_model(model: str) -> ModelSource:
    """Finds the model that a user names.

    Args:
        model: what ``GRPOConfig.model`` takes, or the directory of a run for its final model, or a checkpoint of a run.

    Raises:
        InvalidValueError: if a run has not finished, so that it has no final model, or its configuration is damaged.
    """
    if not model.strip():
        raise InvalidValueError("model", model, "the name of a model, a folder or a run")
    path = Path(model)
    if model in EMBEDDED_MODELS or not path.is_dir():
        return ModelSource(model)
    if is_run(path) and not (path / "model").is_dir():
        checkpoints = sorted(path.glob("checkpoints/step_*[0-9]"))
        hint = f"one of its checkpoints: {checkpoints[-1]}" if checkpoints else "a run with a checkpoint"
        raise InvalidValueError("model", model, f"a finished run, or {hint}")
    is_model = (path / "config.json").is_file() and not is_run(path)
    folder = path if is_model or not (path / "model").is_dir() else path / "model"
    above = [path, *list(path.absolute().parents)[:_LEVELS]]
    run = next((folder for folder in above if is_run(folder)), None)
    return ModelSource(str(folder), None if run is None else RunDirectory.stored_config(run))
