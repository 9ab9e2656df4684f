"""``dumpgym pretrain``: trains an embedded model by its recipe."""

import dataclasses
from dataclasses import dataclass

from dumpgym.commands import PlainVerb, verb
from dumpgym.pretraining.config import PretrainConfig
from dumpgym.runs.validation import validated


@verb("pretrain")
@dataclass(frozen=True, slots=True, kw_only=True)
class Pretrain(PretrainConfig, PlainVerb):
    """Train an embedded model by its recipe; the default, embedded, takes half an hour."""

    def run(self) -> None:
        """Runs the recipe."""
        config = validated(dataclasses.asdict(self), PretrainConfig)

        from dumpgym.pretraining.runner import pretrain

        pretrain(config)
