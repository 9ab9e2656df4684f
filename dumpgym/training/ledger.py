"""The ledger: what a run spends, in tokens by arm and seconds by phase. Every claim of efficiency reads from it."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dumpgym.contracts.state import Stateful
from dumpgym.runs.finished import TOKEN_COLUMNS
from dumpgym.training.batch import TrainingBatch


class Ledger(Stateful):
    """Adds up what a run spends.

    Args:
        names: names of the arms.

    Attributes:
        num_tokens: tokens generated in training, including redrawn ones, (num_arms,).
        redrawn_tokens: tokens of groups that the group filter left out of the batch, (num_arms,).
        trained_tokens: tokens that a gradient was computed for, each counted once, (num_arms,).
        evaluation_tokens: tokens generated in evaluation, (num_arms,).
        seconds: seconds by phase: "generate", "verify", "learn", "evaluate", and "other" for the rest of training.
    """

    state_fields: ClassVar[tuple[str, ...]] = TOKEN_COLUMNS

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self.num_tokens, self.redrawn_tokens, self.trained_tokens, self.evaluation_tokens = np.zeros(
            (len(TOKEN_COLUMNS), len(names)), dtype=np.int64
        )
        self.seconds = dict.fromkeys(("generate", "verify", "learn", "evaluate", "other"), 0.0)

    @property
    def training_seconds(self) -> float:
        """Seconds so far, except those of evaluations."""
        return sum(self.seconds.values()) - self.seconds["evaluate"]

    def add_batch(self, batch: TrainingBatch, seconds: float) -> None:
        """Adds a step of training, which took ``seconds`` in total."""
        results = batch.results
        trained = batch.learned.by_group.get("num_tokens", np.where(batch.without_variance, 0, results.tokens))
        for column, tokens in (
            (self.num_tokens, results.tokens),
            (self.redrawn_tokens, np.where(batch.kept, 0, results.tokens)),
            (self.trained_tokens, np.nan_to_num(trained).astype(np.int64)),
        ):
            np.add.at(column, results.arm, tokens)
        for phase, spent in batch.seconds.items():
            self.seconds[phase] += spent
        self.seconds["other"] += seconds - sum(batch.seconds.values())

    def add_evaluation(self, tokens: Mapping[str, int], seconds: float) -> None:
        """Adds an evaluation.

        Args:
            tokens: tokens generated, by the name of each arm that was evaluated.
            seconds: seconds that it took in total.
        """
        self.evaluation_tokens += [tokens.get(name, 0) for name in self.names]
        self.seconds["evaluate"] += seconds

    def record(self) -> dict[str, Any]:
        """The present state as it is logged: totals, totals by arm, and the seconds so far."""
        columns: dict[str, NDArray[np.int64]] = {column: getattr(self, column) for column in TOKEN_COLUMNS}
        return {
            **{column: int(tokens.sum()) for column, tokens in columns.items()},
            **{
                f"arms/{name}/{column}": int(tokens[i])
                for column, tokens in columns.items()
                for i, name in enumerate(self.names)
            },
            **{f"time/{phase}": seconds for phase, seconds in self.seconds.items()},
            "time/seconds": sum(self.seconds.values()),
        }
