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
    means_over_steps,
    policy_metrics,
    told_metrics,
)
from dumpgym.training.policy_alarms import PolicyAlarms, alarm_kind, format_alarms

Observer = Callable[[str, Mapping[str, Any]], None]
"""Called with the name of a log and the record that was added to it."""


class Recorder(Stateful):
    """Writes the logs of a run and shows every record to an observer.

    Args:
        directory: directory of the run.
        names: names of the arms.
        log_every: steps in a record of ``metrics.jsonl``.
        transcripts_per_arm: completions of each arm that an evaluation logs.
        observer: is shown every record.

    Attributes:
        ledger: what the run has spent.
    """

    state_fields: ClassVar[tuple[str, ...]] = ("policy_alarms", "learner_alarms", "ledger")

    def __init__(
        self,
        directory: RunDirectory,
        names: Sequence[str],
        *,
        log_every: int,
        transcripts_per_arm: int,
        observer: Observer,
    ) -> None:
        self.directory = directory
        self.names = list(names)
        self.log_every = log_every
        self.transcripts_per_arm = transcripts_per_arm
        self.observer = observer
        self.policy_alarms = PolicyAlarms(self.names)
        self.learner_alarms = LearnerAlarms(self.names)
        self.ledger = Ledger(self.names)
        self._steps: list[dict[str, float]] = []  # numbers of the steps since the last record
        self._alarms: dict[str, str] = {}  # the last alarm of each kind since then
        self._totals: dict[str, Any] = {}  # after the last step

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
        """Adds a step of training, which the ledger has already, to the record, and logs the record if it is complete.

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
        self._alarms |= {alarm_kind(alarm): alarm for alarm in alarms + self.learner_alarms.observe(batch)}
        self._steps.append(
            batch_metrics(batch)
            | dict(batch.learned.metrics)
            | policy_metrics(requested)
            | guarded
            | arm_metrics(self.names, requested, signal, batch)
            | arm_health(self.names, batch)
            | ({} if told is None else told_metrics(self.names, told))
        )
        counts = {f"arms/{name}/count": int(count) for name, count in zip(self.names, practised, strict=True)}
        self._totals = {"step": step, "counts": counts, "time/progress": progress}
        if step % self.log_every == 0 or progress >= 1:
            self.end_record()
            self._log("transcripts.jsonl", transcripts.of_step(step, self.names, batch))

    def end_record(self) -> None:
        """Logs the steps since the last record of ``metrics.jsonl``, if there are any."""
        if self._steps:
            totals = self._totals
            self._log(
                "metrics.jsonl",
                {"step": totals["step"]}
                | means_over_steps(self._steps)
                | {"alarms": list(self._alarms.values())}
                | totals["counts"]
                | self.ledger.record()
                | {"time/progress": totals["time/progress"]},
            )
        self._steps, self._alarms = [], {}

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
        self.end_record()
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
