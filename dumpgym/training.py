"""The training loop: the bandit draws arms, the learner completes their problems, the verifier judges, both learn.

The bandit is asked when the batch is drawn, sees training rollouts alone, and is updated once a step, after the
rewards are known. Arm d's i-th problem is the same for every policy: (seed, "train", i). ``practice.py`` has the part
of a step that is the student's.
"""

import dataclasses
import importlib.metadata
import platform
import sys
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

import numpy as np

import dumpgym
from dumpgym.agents.language_model import LanguageModelAgent
from dumpgym.agents.signals import make_signal
from dumpgym.arms import evaluate, make_arms
from dumpgym.config import TrainConfig
from dumpgym.errors import InvalidValueError
from dumpgym.guards import Guards, audit
from dumpgym.learner import Learner
from dumpgym.metrics import arm_metrics, batch_metrics, policy_metrics, summarise
from dumpgym.policy import Feedback
from dumpgym.practice import UNREADABLE, Lesson, PuzzleStudent
from dumpgym.registration import policy_for_run
from dumpgym.run_directory import RunDirectory
from dumpgym.state import Stateful

Observer = Callable[[str, Mapping[str, Any]], None]
"""Called with the name of a log and the record that was added to it."""

PACKAGES = ("torch", "transformers", "peft", "numpy", "scipy", "gymnasium")


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
        self.arms = make_arms(config.arms)
        self.names = [arm.name for arm in self.arms]
        self.signal = make_signal(config.signal, (len(self.arms),))
        self.policy = policy_for_run(
            config.policy, config.policy_options, num_arms=len(self.arms), seed=config.seed, steps=config.steps
        )
        self.guards = Guards(self.names)
        if resume:
            self._refuse_changes(RunDirectory.stored_config(config.output))
        self.learner = learner or LanguageModelAgent(config.agent, seed=config.seed)
        self.student = PuzzleStudent(self.learner, self.arms, seed=config.seed)
        self.directory = RunDirectory(config.output) if resume else RunDirectory.create(config)
        self.step = 0
        self.arm_tokens = np.zeros(len(self.arms), dtype=np.int64)
        self.evaluation_tokens = 0
        self.seconds = 0.0
        if resume:
            self._load()
        self.directory.write_json("versions.json", _versions() | dict(self.learner.describe()))

    def run(self) -> dict[str, Any]:
        """Trains to the last step, evaluates before, between and after, and returns the summary."""
        config = self.config
        if self.step == 0 and not self.directory.read("evaluations.jsonl"):
            self._evaluate(config.final_evaluation_problems, with_sampling=True)
            self._save()
        while self.step < config.steps:
            self._train_step()
            if self.step == config.steps:
                self._evaluate(config.final_evaluation_problems, with_sampling=True)
            elif self.step % config.evaluate_every == 0:
                self._evaluate(config.evaluation_problems, with_sampling=False)
            if self.step % config.checkpoint_every == 0 or self.step == config.steps:
                self._save()
        summary = summarise(self.directory) | {"policy": config.policy, "seed": config.seed}
        self.directory.write_json("summary.json", summary)
        return summary

    def _train_step(self) -> None:
        started = perf_counter()
        requested = self.policy.probabilities()
        arms = self.policy.select_arms(self.config.prompts_per_step)
        lesson = self.student.lesson(arms, self.config.num_generations)
        outcomes = lesson.outcomes
        signal = self.signal(outcomes)
        self.policy.update(Feedback.of_outcomes(self.step, outcomes, signal, requested))
        alarms, guarded = self.guards.observe(requested, outcomes, lesson.unreadable)
        self.step += 1
        np.add.at(self.arm_tokens, arms, outcomes.tokens)
        self.seconds += perf_counter() - started
        self._log(
            "metrics.jsonl",
            {"step": self.step, "num_tokens": int(self.arm_tokens.sum())}
            | batch_metrics(lesson)
            | dict(lesson.learned)
            | policy_metrics(requested)
            | guarded
            | {"alarms": alarms}
            | arm_metrics(self.names, requested, signal, lesson)
            | {f"arms/{name}/count": int(n) for name, n in zip(self.names, self.student.practised, strict=True)}
            | {f"arms/{name}/num_tokens": int(n) for name, n in zip(self.names, self.arm_tokens, strict=True)}
            | {f"time/{phase}": seconds for phase, seconds in lesson.seconds.items()}
            | {"time/seconds": self.seconds},
        )
        self._log_transcript(self.names[arms[0]], lesson)

    def _log_transcript(self, name: str, lesson: Lesson) -> None:
        problem, verdict = lesson.problems[0], lesson.verdicts[0][0]
        record = {
            "step": self.step,
            "arm": name,
            "address": problem.address,
            "prompt": problem.prompt,
            "completion": lesson.completions.texts[0],
            "outcome": verdict.outcome,
            "reward": verdict.reward,
        }
        self._log("transcripts.jsonl", record)

    def _evaluate(self, num_problems: int, *, with_sampling: bool) -> None:
        started = perf_counter()
        record: dict[str, Any] = {"step": self.step, "num_tokens": int(self.arm_tokens.sum())}
        for mode in ("greedy", "sampled") if with_sampling else ("greedy",):
            result = evaluate(self.learner, self.arms, num_problems, seed=self.config.seed, greedy=mode == "greedy")
            self.evaluation_tokens += result.tokens
            prefix = "eval" if mode == "greedy" else "eval_sampled"
            per_arm = {name: float(np.mean(solved)) for name, solved in result.successes.items()}
            record[f"{prefix}/success"] = float(np.mean(list(per_arm.values())))
            for name, verdicts in result.verdicts.items():
                record[f"{prefix}/{name}/success"] = per_arm[name]
                record[f"{prefix}/{name}/format"] = float(np.mean([v.outcome not in UNREADABLE for v in verdicts]))
            record[f"{prefix}/solved"] = {name: [int(s) for s in solved] for name, solved in result.successes.items()}
        record["evaluation_tokens"] = self.evaluation_tokens
        record["alarms"] = audit(record, self.names, num_problems)
        self.seconds += perf_counter() - started
        self._log("evaluations.jsonl", record | {"time/seconds": self.seconds})

    def _log(self, log: str, record: Mapping[str, Any]) -> None:
        self.directory.append(log, record)
        self.observer(log, record)

    def _stateful(self) -> dict[str, Stateful]:
        return {"policy": self.policy, "signal": self.signal, "student": self.student, "guards": self.guards}

    def _save(self) -> None:
        state = {
            **{name: part.state_dict() for name, part in self._stateful().items()},
            "arm_tokens": self.arm_tokens.tolist(),
            "evaluation_tokens": self.evaluation_tokens,
            "seconds": self.seconds,
        }
        self.directory.save_checkpoint(self.step, state, self.learner.save)

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
        self.step = state["step"]
        self.arm_tokens = np.array(state["arm_tokens"], dtype=np.int64)
        self.evaluation_tokens = state["evaluation_tokens"]
        self.seconds = state["seconds"]

    def _refuse_changes(self, stored: TrainConfig) -> None:
        for f in dataclasses.fields(TrainConfig):
            mine, theirs = getattr(self.config, f.name), getattr(stored, f.name)
            if f.name not in ("output", "steps") and mine != theirs:
                raise InvalidValueError(f.name, mine, f"with --resume, the run's own value {theirs!r}")


def _versions() -> dict[str, Any]:
    packages = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"dumpgym": dumpgym.__version__, "python": platform.python_version(), **packages, "command": sys.argv}
