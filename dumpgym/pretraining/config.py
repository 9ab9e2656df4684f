"""The settings with which an embedded model is trained."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Gt, Le


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainConfig:
    """How an embedded model is trained.

    Attributes:
        recipe: name of the recipe, which is the name of the embedded model that it makes.
        output: directory for the state between steps and for the finished model, in ``model``.
        seed: seed of the weights and the texts.
        scale: share of each stage's steps to take; less than 1 for a trial.
        hidden_size: width of the model; the recipe's own by default.
        num_layers: layers of the model; the recipe's own by default.
        num_heads: attention heads of the model; the recipe's own by default.
        evaluation_problems: held-out problems per environment for the model card.
        resume: continue where an interrupted call with the same output stopped.
    """

    recipe: str = "embedded"
    output: Path = Path("runs/pretrain")
    seed: Annotated[int, Ge(0), Le(2**53)] = 0
    scale: Annotated[float, Gt(0), Le(1000)] = 1.0
    hidden_size: Annotated[int, Ge(4), Le(65_536)] | None = None
    num_layers: Annotated[int, Ge(1), Le(1000)] | None = None
    num_heads: Annotated[int, Ge(1)] | None = None
    evaluation_problems: Annotated[int, Ge(1)] = 200
    resume: bool = False
