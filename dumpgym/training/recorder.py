"""What a run logs: the recorder turns steps and evaluations into records, and watches for alarms."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dumpgym.contracts.state import Stateful
from dumpgym.runs.directory import RunDirectory
from dumpgym.training import transcripts
from dumpgym.training.batch import BrokenBatchError, TrainingBatch
from dumpgym.training.evaluation import Evaluation
from dumpgym.training.learner_alarms import LearnerAlarms
from dumpgym.training.ledger import Ledger
from dumpgym.training.metrics import (
    arm_health,
    arm_metrics,
    batch_metrics,
    evaluation_metrics,
    policy_metrics,
    told_metrics,
)
from dumpgym.training.policy_alarms import PolicyAlarms, format_alarms

Observer = Callable[[str, Mapping[str, Any]], None]
"""Called with the name of a log and the record that was added to it."""


class Recorder(Stateful):
    """Writes the logs of a run and shows every record to an observer.

    Args:
        directory: directory of the run.
        names: names of the arms.
        transcripts_per_arm: completions of each arm that an evaluation logs.
        observer: is shown every record.

    Attributes:
        ledger: what the run has spent.
    """

    state_fields: ClassVar[tuple[str, ...]] = ("policy_alarms", "learner_alarms", "ledger")

    def __init__(
        self, directory: RunDirectory, names: Sequence[str], transcripts_per_arm: int, observer: Observer
    ) -> None:
        self.directory = directory
        self.names = list(names)
        self.transcripts_per_arm = transcripts_per_arm
        self.observer = observer
        self.policy_alarms = PolicyAlarms(self.names)
        self.learner_alarms = LearnerAlarms(self.names)
        self.ledger = Ledger(self.names)

    def log_step(
        self,
        step: int,
        requested: NDArray[np.float64],
        signal: NDArray[np.float64],
        batch: TrainingBatch,
        practised: NDArray[np.int64],
        progress: float,
        told: NDArray[np.float64] | None = None,
    ) -> None:
        """Logs a step of training, which the ledger has already.

        Args:
            step: number of the step, from 1.
            requested: probabilities of the policy when the batch was drawn, (num_arms,).
            signal: signal of each group, (groups,).
            batch: the batch.
            practised: number of problems of every arm so far, (num_arms,).
            progress: how far the run has come, from 0 to 1.
            told: success on every arm that the policy was told before the batch, (num_arms,); None if it was not.
        """
        alarms, guarded = self.policy_alarms.observe(requested, batch.results, batch.unreadable)
        self._log(
            "metrics.jsonl",
            {"step": step}
            | batch_metrics(batch)
            | dict(batch.learned.metrics)
            | policy_metrics(requested)
            | guarded
            | {"alarms": alarms + self.learner_alarms.observe(batch)}
            | arm_metrics(self.names, requested, signal, batch)
            | arm_health(self.names, batch)
            | ({} if told is None else told_metrics(self.names, told))
            | {f"arms/{name}/count": int(count) for name, count in zip(self.names, practised, strict=True)}
            | self.ledger.record()
            | {"time/progress": progress},
        )
        self._log("transcripts.jsonl", transcripts.of_step(step, self.names, batch))

    def log_broken_step(self, step: int, error: BrokenBatchError) -> None:
        """Logs the completions that caused an error."""
        for record in transcripts.of_broken_step(step, self.names, error):
            self._log("transcripts.jsonl", record)

    def log_evaluation(self, step: int, results: Mapping[str, Evaluation], num_problems: int, seconds: float) -> None:
        """Adds an evaluation to the ledger and logs it.

        Args:
            step: steps done before it.
            results: greedy results as "eval", and sampled ones as "eval_sampled" if there are any.
            num_problems: problems of every arm that is evaluated.
            seconds: seconds that it took in total.
        """
        for shown in transcripts.of_evaluation(step, results["eval"], self.transcripts_per_arm):
            self._log("transcripts.jsonl", shown)
        record: dict[str, Any] = {"step": step}
        for prefix, result in results.items():
            record |= evaluation_metrics(prefix, result)
        record["alarms"] = format_alarms(record, list(results["eval"].completions), num_problems)
        tokens = {name: sum(result.tokens[name] for result in results.values()) for name in results["eval"].tokens}
        self.ledger.add_evaluation(tokens, seconds)
        self._log("evaluations.jsonl", record | self.ledger.record())

    def _log(self, log: str, record: Mapping[str, Any]) -> None:
        self.directory.append(log, record)
        self.observer(log, record)
