"""``dumpgym pretrain``: trains the embedded model from scratch."""

import dataclasses
from dataclasses import dataclass

from dumpgym.agents.embedded.config import PretrainConfig
from dumpgym.commands import PlainVerb, verb
from dumpgym.runs.validation import validated


@verb("pretrain")
@dataclass(frozen=True, slots=True, kw_only=True)
class Pretrain(PretrainConfig, PlainVerb):
    """Train the embedded model from scratch, in half an hour."""

    def run(self) -> None:
        """Runs the recipe."""
        config = validated(dataclasses.asdict(self), PretrainConfig)

        from dumpgym.training.warm_start import pretrain

        pretrain(config)
