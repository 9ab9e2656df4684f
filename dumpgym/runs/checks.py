"""What is checked before a run starts: nothing is written, and no model is loaded, until all of this has passed."""

import re
from collections.abc import Sequence
from pathlib import Path

from dumpgym.agents.embedded.names import EMBEDDED_MODELS
from dumpgym.contracts.arms import Arm, make_arms
from dumpgym.contracts.errors import DumpgymError, InvalidValueError
from dumpgym.contracts.policy_registry import policy_for_run
from dumpgym.contracts.schedules import Schedule
from dumpgym.runs.config import TrainConfig
from dumpgym.signals.signal import make_signal

_MODEL_FILES = ("config.json", "adapter_config.json")
_MODELS = (
    f"{', '.join(map(repr, EMBEDDED_MODELS))}, a folder with {' or '.join(_MODEL_FILES)}, a .gguf file, "
    "or a hub name such as 'owner/name'"
)


def check_config(config: TrainConfig) -> None:
    """Checks that a configuration can be run, as far as that is known without its model.

    Raises:
        DumpgymError: if an arm, the policy, one of its options, the signal or the model does not exist or is out of
            range; if an arm has too few problems; or if the settings contradict each other.
    """
    arms = make_arms(config.arms, config.max_completion_lengths, config.nuisance_arms)
    make_signal(config.signal, (len(arms),))
    policy_for_run(config.policy, config.policy_options, num_arms=len(arms), seed=0, steps=config.steps)
    Schedule.parse("learning_rate", config.agent.learning_rate, low=0)
    if config.prompts_per_step % config.agent.mini_batches:
        accepted = f"a divisor of prompts_per_step, {config.prompts_per_step}"
        raise InvalidValueError("mini_batches", config.agent.mini_batches, accepted)
    check_model(config.agent.model)
    check_problems(config, arms)


def check_problems(config: TrainConfig, arms: Sequence[Arm]) -> None:
    """Checks that every arm has a first training problem and, if it is evaluated, all the held-out problems of that.

    Raises:
        InvalidValueError: if an arm has too few problems.
    """
    held_out = max(config.evaluation_problems, config.final_evaluation_problems)
    for spec, arm in zip(config.arms, arms, strict=True):
        for split, number in (("train", 1), *([] if arm.is_nuisance else [("test", held_out)])):
            try:
                arm.env.sample_problem(config.seed, split, number - 1)
            except (DumpgymError, LookupError) as error:
                accepted = f"an environment with {number} {split} problem{'s' * (number > 1)} or more ({error})"
                raise InvalidValueError("arm", spec, accepted) from error


def model_path(name: str) -> Path:
    """The folder or file of a model; that of a name on the hub does not exist, and is as unique as the name."""
    return EMBEDDED_MODELS.get(name, Path(name).expanduser())


def check_model(name: str) -> None:
    """Checks that a name may be that of a model; it is not loaded.

    Raises:
        InvalidValueError: if not.
    """
    path = Path(name).expanduser()
    if name.endswith(".gguf"):
        exists = path.is_file()
    elif path.exists():
        exists = any((path / file).is_file() for file in _MODEL_FILES)
    else:
        exists = name in EMBEDDED_MODELS or re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)?", name) is not None
    if not exists:
        raise InvalidValueError("model", name, _MODELS)
