"""The training loop: the bandit draws arms, the learner completes their problems, the verifier judges, both learn.

The bandit is asked when the batch is drawn, sees training rollouts alone, and is updated once a step, after the
rewards are known. Arm d's i-th problem is the same for every policy: (seed, "train", i). ``practice.py`` has the part
of a step that is the student's.

A run can be stopped at any moment. What it leaves is either of its newest checkpoint, or taken back when it goes on
from there, so that it ends as if it had never been stopped. Several processes may train one model: all go through this
loop alike and come to the same decisions, and the main one writes.
"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dumpgym.agents.grpo.agent import GRPOAgent
from dumpgym.agents.grpo.processes import is_main_process, num_processes, wait_for_everyone
from dumpgym.contracts.arms import make_arms
from dumpgym.contracts.errors import DumpgymError, InvalidValueError
from dumpgym.contracts.feedback import Feedback
from dumpgym.contracts.learner import Learner, SavesModel
from dumpgym.contracts.policy_registry import policy_for_run
from dumpgym.contracts.state import Stateful
from dumpgym.runs.config import TrainConfig
from dumpgym.runs.directory import RunDirectory
from dumpgym.signals.signal import make_signal
from dumpgym.training import transcripts
from dumpgym.training.batch import BrokenBatchError, TrainingBatch
from dumpgym.training.evaluation import evaluate
from dumpgym.training.interruption import sigterm_as_ctrl_c
from dumpgym.training.learner_alarms import LearnerAlarms
from dumpgym.training.ledger import Ledger
from dumpgym.training.metrics import (
    arm_health,
    arm_metrics,
    batch_metrics,
    evaluation_metrics,
    policy_metrics,
    summarise,
)
from dumpgym.training.model_card import versions, write_model_card
from dumpgym.training.policy_alarms import PolicyAlarms, format_alarms
from dumpgym.training.puzzle_student import PuzzleStudent

LIMITS = ("steps", "budget_tokens", "budget_seconds")
"""The settings that end a run, and that a run which goes on may have anew."""
Observer = Callable[[str, Mapping[str, Any]], None]
"""Called with the name of a log and the record that was added to it."""


class Trainer:
    """One run, which goes on from its newest checkpoint when it was resumed.

    Args:
        config: the run's configuration.
        resume: go on in the directory ``config.output`` instead of making it.
        observer: is shown every record that the run logs.
        learner: the student; by default the GRPO agent that the configuration describes.

    Raises:
        DumpgymError: if the configuration names something that does not exist, or the directory is in use.
    """

    def __init__(
        self,
        config: TrainConfig,
        *,
        resume: bool = False,
        observer: Observer = lambda log, record: None,
        learner: Learner | None = None,
    ) -> None:
        self.config = config
        self.observer = observer
        self.arms = make_arms(config.arms, config.max_completion_lengths)
        self.names = [arm.name for arm in self.arms]
        self.signal = make_signal(config.signal, (len(self.arms),))
        self.policy = policy_for_run(
            config.policy, config.policy_options, num_arms=len(self.arms), seed=config.seed, steps=config.steps
        )
        self.policy_alarms = PolicyAlarms(self.names)
        self.learner_alarms = LearnerAlarms(self.names)
        if resume:
            self._refuse_changes(RunDirectory.stored_config(config.output))
        if config.prompts_per_step % config.agent.mini_batches:
            accepted = f"a divisor of prompts_per_step, {config.prompts_per_step}"
            raise InvalidValueError("mini_batches", config.agent.mini_batches, accepted)
        self.learner = learner or GRPOAgent(config.agent, seed=config.seed)
        if config.prompts_per_step < num_processes():
            accepted = f"at least one for each of the {num_processes()} processes"
            raise InvalidValueError("prompts_per_step", config.prompts_per_step, accepted)
        self.student = PuzzleStudent(self.learner, self.arms, seed=config.seed)
        self.step = 0
        self.begun = False  # whether there is a checkpoint, the first of which is that of step 0
        self.ledger = Ledger(self.names)
        if resume:
            self.directory = RunDirectory(config.output, writes=is_main_process())
            self._load()
            self.directory.write_config(config)  # it may have more steps
        else:
            self.directory = RunDirectory.create(config, writes=is_main_process())
        self.made_by = versions() | dict(self.learner.describe())
        if command := self.directory.first_command():
            self.made_by["command"] = command
        self.directory.write_json("versions.json", self.made_by)
        wait_for_everyone()

    def run(self) -> dict[str, Any]:
        """Trains to the last step, evaluates before, between and after, and returns the summary.

        Raises:
            DumpgymError: if a number is not finite or a file cannot be written; the last checkpoint is as it was.
            KeyboardInterrupt: at Ctrl-C, or at SIGTERM.
        """
        with sigterm_as_ctrl_c():
            return self._run()

    def _run(self) -> dict[str, Any]:
        config = self.config
        if not self.begun:
            self._evaluate(config.final_evaluation_problems, with_sampling=True)
            self._save()
        while self.progress < 1:
            self._train_step()
            if self.progress >= 1:
                self._evaluate(config.final_evaluation_problems, with_sampling=True)
            elif self.step % config.evaluate_every == 0:
                self._evaluate(config.evaluation_problems, with_sampling=False)
            if self.step % config.checkpoint_every == 0 or self.progress >= 1:
                self._save()
        summary = summarise(self.directory) | {"policy": config.policy, "seed": config.seed}
        self._save_model(summary)
        self.directory.write_json("summary.json", summary)
        return summary

    @property
    def progress(self) -> float:
        """How far the run has come towards the first of its limits, which it reaches at 1."""
        config = self.config
        spent = [self.step / config.steps]
        if config.budget_tokens is not None:
            spent.append(self.ledger.num_tokens.sum() / config.budget_tokens)
        if config.budget_seconds is not None:
            spent.append(self.ledger.training_seconds / config.budget_seconds)
        return float(max(spent))

    def _train_step(self) -> None:
        started = perf_counter()
        requested = self.policy.probabilities()
        arms = self.policy.select_arms(self.config.prompts_per_step)
        batch = self._practise(arms)
        results = batch.results
        signal = self.signal(results)
        self.policy.update(Feedback.of_results(self.step, results, signal, requested))
        alarms, guarded = self.policy_alarms.observe(requested, results, batch.unreadable)
        self.step += 1
        self.ledger.add_batch(batch, perf_counter() - started)
        self._log(
            "metrics.jsonl",
            {"step": self.step}
            | batch_metrics(batch)
            | dict(batch.learned.metrics)
            | policy_metrics(requested)
            | guarded
            | {"alarms": alarms + self.learner_alarms.observe(batch)}
            | arm_metrics(self.names, requested, signal, batch)
            | arm_health(self.names, batch)
            | {f"arms/{name}/count": int(n) for name, n in zip(self.names, self.student.practised, strict=True)}
            | self.ledger.record()
            | {"time/progress": self.progress},
        )
        self._log("transcripts.jsonl", transcripts.of_step(self.step, self.names, batch))

    def _practise(self, arms: NDArray[np.int64]) -> TrainingBatch:
        config, redraw = self.config, self.policy.select_arms
        try:
            return self.student.practise_batch(
                arms, config.num_generations, redraw=redraw, max_redraws=config.max_redraws
            )
        except BrokenBatchError as error:
            step = self.step + 1
            for record in transcripts.of_broken_step(step, self.names, error):
                self._log("transcripts.jsonl", record)
            raise DumpgymError(
                f"step {step}: {error}; its completions are in transcripts.jsonl, and once the cause is mended, "
                "--resume goes on from the last checkpoint"
            ) from error

    def _evaluate(self, num_problems: int, *, with_sampling: bool) -> None:
        started = perf_counter()
        record: dict[str, Any] = {"step": self.step}
        tokens = dict.fromkeys(self.names, 0)
        for mode in ("greedy", "sampled") if with_sampling else ("greedy",):
            result = evaluate(self.learner, self.arms, num_problems, seed=self.config.seed, greedy=mode == "greedy")
            tokens = {name: spent + result.tokens[name] for name, spent in tokens.items()}
            record |= evaluation_metrics("eval" if mode == "greedy" else "eval_sampled", result)
            if mode == "greedy":
                for shown in transcripts.of_evaluation(self.step, result, self.config.transcripts_per_arm):
                    self._log("transcripts.jsonl", shown)
        record["alarms"] = format_alarms(record, self.names, num_problems)
        self.ledger.add_evaluation(tokens, perf_counter() - started)
        self._log("evaluations.jsonl", record | self.ledger.record())

    def _log(self, log: str, record: Mapping[str, Any]) -> None:
        self.directory.append(log, record)
        self.observer(log, record)

    def _stateful(self) -> dict[str, Stateful]:
        parts = ("policy", "signal", "student", "guards", "health", "ledger")
        return {name: getattr(self, name) for name in parts}

    def _save(self) -> None:
        state = {
            **{name: part.state_dict() for name, part in self._stateful().items()},
            "seconds": self.ledger.seconds,
        }
        self.directory.save_checkpoint(self.step, state, self.learner.save)
        wait_for_everyone()

    def _save_model(self, summary: Mapping[str, Any]) -> None:
        learner = self.learner
        if not isinstance(learner, SavesModel):
            return

        def fill(directory: Path) -> None:
            learner.save_model(directory)
            if is_main_process():
                write_model_card(directory, self.config, summary, self.made_by)

        self.directory.write_folder("model", fill)
        wait_for_everyone()

    def _load(self) -> None:
        checkpoint = self.directory.load_checkpoint()
        if checkpoint is None:
            return
        state, directory = checkpoint
        if missing := self._stateful().keys() - state.keys():
            raise InvalidValueError("checkpoint", str(directory), f"one with the state of {', '.join(sorted(missing))}")
        self.learner.load(directory)
        for name, part in self._stateful().items():
            part.load_state_dict(state[name])
        self.step, self.begun = state["step"], True
        self.ledger.seconds = state["seconds"]

    def _refuse_changes(self, stored: TrainConfig) -> None:
        for f in dataclasses.fields(TrainConfig):
            mine, theirs = getattr(self.config, f.name), getattr(stored, f.name)
            if f.name not in ("output", "trackers", *LIMITS) and mine != theirs:
                raise InvalidValueError(f.name, mine, f"with --resume, the run's own value {theirs!r}")
