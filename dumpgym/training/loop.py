"""The training loop: the policy draws arms, the learner completes their problems, the verifier judges, both learn.

The policy is asked when a batch is drawn, sees training completions only, and is updated once per step, after the
rewards are known. A policy that cheats, as the oracle does, is also told the success on every arm.
``puzzle_student.py`` has the student's part of a step, ``recorder.py`` what a step logs, and ``launch.py`` makes the
learner: the loop knows no language model.

A run can be stopped at any moment. What it leaves either belongs to its newest checkpoint or is taken back when it
resumes from there, so it ends as if it had never been stopped. Several processes may train one model: all go through
this loop alike and come to the same decisions, and the main one writes.
"""

import warnings
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dumpgym.contracts.arms import arms_that_count, make_arms
from dumpgym.contracts.errors import DumpgymError, InvalidValueError
from dumpgym.contracts.feedback import Feedback
from dumpgym.contracts.learner import Learner, SavesModel
from dumpgym.contracts.policy_registry import policy_for_run
from dumpgym.contracts.processes import Processes, SingleProcess
from dumpgym.contracts.state import Stateful
from dumpgym.contracts.success import must_be_told
from dumpgym.runs.config import TrainConfig, progress, refuse_changes
from dumpgym.runs.directory import SUMMARY, RunDirectory
from dumpgym.runs.resuming import ResumePoint, resume_point
from dumpgym.runs.versions import VERSIONS, record_of_starts, version_changes, versions
from dumpgym.signals.signal import make_signal
from dumpgym.training.batch import BrokenBatchError
from dumpgym.training.evaluation import evaluate
from dumpgym.training.interruption import sigterm_as_ctrl_c
from dumpgym.training.metrics import run_summary
from dumpgym.training.model_card import write_model_card
from dumpgym.training.puzzle_student import PuzzleStudent
from dumpgym.training.recorder import Observer, Recorder


class Trainer:
    """One run, which continues from its newest checkpoint if it is resumed. A run that has finished stays as it is.

    Args:
        config: configuration of the run.
        learner: completes prompts and learns from rewards; ``dumpgym.train`` makes the GRPO agent of the configuration.
        resume: continue the run in the directory ``config.output`` instead of starting a new one there.
        observer: is shown every record that the run logs.
        processes: the processes that train together.

    Raises:
        DumpgymError: if the configuration names something that does not exist, the directory is in use, or the run
            cannot resume; see ``resume_point``.
    """

    def __init__(
        self,
        config: TrainConfig,
        learner: Learner,
        *,
        resume: bool = False,
        observer: Observer = lambda log, record: None,
        processes: Processes | None = None,
    ) -> None:
        self.config, self.learner = config, learner
        self.processes = processes or SingleProcess()
        self.arms = make_arms(config.arms, config.max_completion_lengths, config.nuisance_arms)
        num_arms = len(self.arms)
        self.signal = make_signal(config.signal, (num_arms,))
        self.policy = policy_for_run(
            config.policy, config.policy_options, num_arms=num_arms, seed=config.seed, steps=config.steps
        )
        if resume:
            refuse_changes(config, RunDirectory.stored_config(config.output))
        if config.prompts_per_step < self.processes.num_processes():
            accepted = f"at least one for each of the {self.processes.num_processes()} processes"
            raise InvalidValueError("prompts_per_step", config.prompts_per_step, accepted)
        self.student = PuzzleStudent(learner, self.arms, seed=config.seed)
        self.step = 0
        self.begun = False  # whether there is a checkpoint; the first one is that of step 0
        self.summary: dict[str, Any] | None = None  # of a run that has finished
        self.starts: list[dict[str, Any]] = []
        writes = self.processes.is_main_process()
        if resume:
            self.directory = RunDirectory(config.output, writes=writes)
            self.directory.lock()
        else:
            self.directory = RunDirectory.create(config, writes=writes)
        with ExitStack() as stack:
            stack.callback(self.directory.unlock)  # unless the run can start: then it keeps the lock to its end
            names = [arm.name for arm in self.arms]
            self.recorder = Recorder(
                self.directory,
                names,
                log_every=config.log_every,
                transcripts_per_arm=config.transcripts_per_arm,
                observer=observer,
            )
            self.ledger = self.recorder.ledger
            if resume:
                self._resume(resume_point(config, writes=writes))
            if self.summary is None:
                self._record_start()
                stack.pop_all()
        self.processes.wait_for_everyone()

    @property
    def progress(self) -> float:
        """How far the run has come towards the first of its limits; it ends at 1."""
        if self.summary is not None:
            return 1.0
        return progress(self.config, self.step, self.ledger.num_tokens.sum(), self.ledger.training_seconds)

    def run(self) -> dict[str, Any]:
        """Trains to the last step, evaluates before, between and after, and returns the summary.

        For a run that has finished, it returns the summary and does nothing.

        Raises:
            DumpgymError: if a number is not finite or a file cannot be written; the last checkpoint is unchanged.
            KeyboardInterrupt: at Ctrl-C, or at SIGTERM.
        """
        if self.summary is not None:
            return self.summary
        try:
            with sigterm_as_ctrl_c():
                return self._run()
        finally:
            self.directory.unlock()

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
            # An evaluation comes before the checkpoint of its step, so a checkpoint never repeats or skips one.
            if self.step % config.checkpoint_every == 0 or self.progress >= 1:
                self._save()
        summary = run_summary(self.directory) | {"policy": config.policy, "seed": config.seed}
        self._save_model(summary)
        self.directory.write_json(SUMMARY, summary)  # last, because it marks the run as finished
        return summary

    def _train_step(self) -> None:
        told = self._tell_success()
        started, config = perf_counter(), self.config
        # The probabilities are read before the draw, since drawing may advance the policy's generator. They go back to
        # the policy with the feedback, because importance-weighted policies divide by those of the draw.
        requested = self.policy.probabilities()  # (num_arms,)
        arms = self.policy.select_arms(config.prompts_per_step)  # (groups,)
        try:
            batch = self.student.practise_batch(
                arms, config.num_generations, redraw=self.policy.select_arms, max_redraws=config.max_redraws
            )
        except BrokenBatchError as error:
            step = self.step + 1
            self.recorder.log_broken_step(step, error)
            raise DumpgymError(
                f"step {step}: {error}; its completions are in transcripts.jsonl, and once the cause is fixed, "
                "--resume continues from the last checkpoint"
            ) from error
        # The policy sees every group that was generated, including those that the group filter kept from the learner:
        # groups without variance are what an arm without signal looks like.
        signal = self.signal(batch.results)  # (groups,)
        self.policy.update(Feedback.of_results(self.step, batch.results, signal, requested))
        self.step += 1
        self.ledger.add_batch(batch, perf_counter() - started)
        self.recorder.log_step(self.step, requested, signal, batch, self.student.practised, self.progress, told)

    def _tell_success(self) -> NDArray[np.float64] | None:
        """Tells a policy that cheats the success on every arm, (num_arms,), and returns it; see ``NeedsSuccess``."""
        if not must_be_told(self.policy, self.step):
            return None
        started = perf_counter()
        measured = self.student.measure(self.policy.problems, self.step // self.policy.refresh)
        # There is nothing to know about nuisance arms, so they are not measured.
        success = np.array([np.mean(measured.successes.get(name, 0.0)) for name in self.recorder.names])
        self.policy.tell_success(success)
        self.ledger.add_evaluation(measured.tokens, perf_counter() - started)
        return success

    def _evaluate(self, num_problems: int, *, with_sampling: bool) -> None:
        started, modes = perf_counter(), {"eval": True, "eval_sampled": False}
        evaluated = arms_that_count(self.arms)
        results = {
            prefix: evaluate(self.learner, evaluated, num_problems, seed=self.config.seed, greedy=greedy)
            for prefix, greedy in modes.items()
            if greedy or with_sampling
        }
        self.recorder.log_evaluation(self.step, results, num_problems, perf_counter() - started)

    def _stateful(self) -> dict[str, Stateful]:
        return {name: getattr(self, name) for name in ("policy", "signal", "student", "recorder")}

    def _save(self) -> None:
        self.recorder.end_record()  # so that no checkpoint has to hold a part of one
        state = {name: part.state_dict() for name, part in self._stateful().items()}
        self.directory.save_checkpoint(self.step, state | {"seconds": self.ledger.seconds}, self.learner.save)
        self.processes.wait_for_everyone()

    def _save_model(self, summary: Mapping[str, Any]) -> None:
        learner = self.learner
        if not isinstance(learner, SavesModel):
            return

        def fill(directory: Path) -> None:  # the card is part of the folder, which appears whole or not at all
            learner.save_model(directory)
            if self.processes.is_main_process():
                write_model_card(directory, self.config, summary, self.starts)

        self.directory.write_folder("model", fill)
        self.processes.wait_for_everyone()

    def _resume(self, point: ResumePoint) -> None:
        self.starts = point.starts
        if point.summary is not None:
            self.summary, self.step, self.begun = point.summary, point.summary["steps"], True
        else:
            if point.state is not None and point.checkpoint is not None:
                self._load(point.state, point.checkpoint)
            self.processes.wait_for_everyone()  # all have read the directory that the main process changes now
            self.directory.cut_back(point.state)
            self.directory.write_config(self.config)  # it may have more steps

    def _load(self, state: Mapping[str, Any], checkpoint: Path) -> None:
        if missing := self._stateful().keys() - state.keys():
            accepted = f"one with the state of {', '.join(sorted(missing))}"
            raise InvalidValueError("checkpoint", str(checkpoint), accepted)
        self.learner.load(checkpoint)
        for name, part in self._stateful().items():
            part.load_state_dict(state[name])
        self.step, self.begun = state["step"], True
        self.ledger.seconds = state["seconds"]

    def _record_start(self) -> None:
        start = {"step": self.step, **versions(), **self.learner.describe()}
        if self.starts and self.directory.writes and (changes := version_changes(self.starts[-1], start)):
            text = f"the run resumes under other versions, so it may not continue bit for bit: {', '.join(changes)}"
            warnings.warn(text, UserWarning, stacklevel=3)
        self.starts = [*self.starts, start]
        self.directory.write_json(VERSIONS, record_of_starts(self.starts))
