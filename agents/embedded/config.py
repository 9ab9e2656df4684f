"""The settings with which the embedded model is trained from scratch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Gt, Le


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainConfig:
    """How the embedded model is trained.

    Attributes:
        output: directory for the state between steps and for the finished model, in ``model``.
        seed: seed of the weights and the puzzles.
        scale: share of each stage's steps to take; less than 1 for a trial.
        hidden_size: width of the model, an even number for each of its heads.
        num_layers: layers of the model.
        num_heads: attention heads of the model.
        evaluation_problems: held-out problems per size for the model card.
        resume: continue where an interrupted call with the same output stopped.
    """

    output: Path = Path("runs/pretrain")
    seed: Annotated[int, Ge(0), Le(2**53)] = 0
    scale: Annotated[float, Gt(0), Le(1000)] = 1.0
    hidden_size: Annotated[int, Ge(4), Le(65_536)] = 128
    num_layers: Annotated[int, Ge(1), Le(1000)] = 4
    num_heads: Annotated[int, Ge(1)] = 4
    evaluation_problems: Annotated[int, Ge(1)] = 200
    resume: bool = False
