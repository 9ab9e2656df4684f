"""The work of ``dumpgym simulate``: runs policies on simulated students over many seeds, in parallel processes."""

import dataclasses
import json
import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Le, MinLen
from rich.console import Console

from dumpgym.contracts.errors import LARGEST_WHOLE_NUMBER, InvalidValueError, require_number
from dumpgym.contracts.policy_registry import policy_for_run, policy_registry, spec_identity
from dumpgym.contracts.specs import read_spec
from dumpgym.contracts.student import Student
from dumpgym.contracts.student_registry import make_students, student_identity
from dumpgym.contracts.threads import available_cpus
from dumpgym.contracts.version import __version__
from dumpgym.runs.files import check_output
from dumpgym.runs.validation import STRICT, PathOfFiles
from dumpgym.signals.signal import make_signal
from dumpgym.simulating.allocation import Predictable
from dumpgym.simulating.lockstep import BEST_ALLOCATION, SimulationPlan, run_seeds
from dumpgym.simulating.results import (
    CONTROL,
    PolicyResult,
    StudentResult,
    markdown_table,
    policy_rows,
    rich_table,
    student_record,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulateConfig:
    """A comparison of policies on simulated students.

    Attributes:
        output: directory for results.json and table.md; the command also writes a figure for every student there.
        policies: policies as ``id?option=value&...``, or ``module:id?...`` for your own; none for all registered
            policies. Uniform sampling is always included, as the control.
        students: students as ``id?argument=value&...`` with the id "skills", "softmax" or "replay", or as
            ``module:Class?...``.
        seeds: number of runs of every policy on every student.
        first_seed: first of the consecutive seeds.
        steps: number of batches in a run.
        prompts_per_step: number of groups in a batch.
        num_generations: number of completions in a group.
        signal: registered name of the signal that the bandit learns from.
        threshold: mean success for the measure "steps to threshold".
        best_allocation: whether to compare with the best allocation, for students for which it can be computed.
        processes: number of processes; 0 for one per core, 1 to run in the calling process.
    """

    output: PathOfFiles = Path("runs/simulate")
    policies: tuple[str, ...] = ()
    students: Annotated[tuple[str, ...], MinLen(1)] = ("skills",)
    seeds: Annotated[int, Ge(2), Le(100_000)] = 200
    first_seed: Annotated[int, Ge(0)] = 0
    steps: Annotated[int, Ge(1)] = 150
    prompts_per_step: Annotated[int, Ge(1)] = 128
    num_generations: Annotated[int, Ge(2)] = 16
    signal: str = "mean_absolute_advantage"
    threshold: Annotated[float, Ge(0), Le(1)] = 0.5
    best_allocation: bool = True
    processes: Annotated[int, Ge(0)] = 0

    @property
    def plan(self) -> SimulationPlan:
        """Number and size of the batches, and the signal."""
        return SimulationPlan(self.steps, self.prompts_per_step, self.num_generations, self.signal)


SimulateConfig.__pydantic_config__ = STRICT  # type: ignore[attr-defined]


def simulate(
    config: SimulateConfig,
    console: Console | None = None,
    on_progress: Callable[[str, float], None] = lambda text, share: None,
) -> dict[str, StudentResult]:
    """Runs the comparison and writes its files.

    Args:
        config: the comparison.
        console: console for the tables; None for no output.
        on_progress: called with what is being done, and with the share that is done, from 0 to 1.

    Returns:
        The results by student.

    Raises:
        DumpgymError: if a policy, student or signal does not exist, an option is out of range, or the directory is not
            empty. Nothing has been run in this case.
    """
    named = map(policy_registry.canonical, config.policies or policy_registry)
    policies = tuple(dict.fromkeys((CONTROL, *named)))
    _check(config, policies)
    found: dict[str, dict[str, PolicyResult]] = {student: {} for student in config.students}
    for student, policy, result in _run_all(config, policies, on_progress):
        found[student][policy] = result
    config.output.mkdir(parents=True, exist_ok=True)
    results = {
        student: StudentResult(_arm_names(student), of_policies, policy_rows(of_policies, config.steps))
        for student, of_policies in found.items()
    }
    if console is not None:
        for student, of_student in results.items():
            console.print(rich_table(student, of_student, config.steps))
    _write(config, results)
    return results


def _check(config: SimulateConfig, policies: Sequence[str]) -> None:
    """Makes every student, signal and policy once, so that a mistake is reported before anything runs."""
    check_output(config.output)
    require_number("first_seed", config.first_seed, high=LARGEST_WHOLE_NUMBER - config.seeds, whole=True)
    for student in config.students:
        ((made, _),) = make_students(student, [0])
        if not isinstance(made, Student):
            accepted = f"one that makes a dumpgym.Student, and not {type(made).__name__!r}"
            raise InvalidValueError("student", student, accepted)
        num_arms = len(made.arm_names)
        make_signal(config.signal, (num_arms,))
        for policy in policies:
            policy_id, options = read_spec("policy", policy)
            policy_for_run(policy_id, options, num_arms=num_arms, seed=0, steps=config.steps)
    _refuse_repeated("policies", config.policies, partial(spec_identity, steps=config.steps))
    _refuse_repeated("students", config.students, student_identity)


def _refuse_repeated(name: str, specs: Sequence[str], identity: Callable[[str], object]) -> None:
    """Refuses specifications of the same thing, however they are spelt: their results would have different names."""
    found: list[tuple[object, str]] = []
    for spec in specs:
        mine = identity(spec)
        if same := next((other for known, other in found if known == mine), None):
            raise InvalidValueError(name, list(specs), f"each of them once; {spec!r} is the same as {same!r}")
        found.append((mine, spec))


def _arm_names(student: str) -> Sequence[str]:
    return make_students(student, [0])[0][0].arm_names


def _is_predictable(student: str) -> bool:
    return isinstance(make_students(student, [0])[0][0], Predictable)


def _run_all(
    config: SimulateConfig, policies: Sequence[str], on_progress: Callable[[str, float], None]
) -> Iterator[tuple[str, str, PolicyResult]]:
    """Yields every student and policy with their result, in the order of completion."""
    # Best allocations come first, because their search takes the longest.
    predictable = filter(_is_predictable, config.students) if config.best_allocation else ()
    pairs = [(student, BEST_ALLOCATION) for student in predictable]
    pairs += [(student, policy) for student in config.students for policy in policies]
    workers = min(config.processes or max(1, int(available_cpus())), len(pairs))
    on_progress(f"simulating {len(pairs)} policies", 0.0)
    results = _in_process(config, pairs) if workers == 1 else _in_pool(config, pairs, workers)
    for done, (pair, result) in enumerate(results, 1):
        yield *pair, result
        on_progress(f"simulated {done} of {len(pairs)} policies", done / len(pairs))


Pair = tuple[str, str]
"""A student and a policy."""


def _in_process(config: SimulateConfig, pairs: Sequence[Pair]) -> Iterator[tuple[Pair, PolicyResult]]:
    for student, policy in pairs:
        yield (student, policy), run_pair(config, student, policy)


def _in_pool(config: SimulateConfig, pairs: Sequence[Pair], workers: int) -> Iterator[tuple[Pair, PolicyResult]]:
    # Spawning instead of forking: a fork copies locks that other threads of the caller hold, and no thread in the child
    # would ever release them.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        futures: dict[Future[PolicyResult], Pair] = {pool.submit(run_pair, config, *pair): pair for pair in pairs}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def run_pair(config: SimulateConfig, student: str, policy: str) -> PolicyResult:
    """Runs one policy, or the best allocation if it is "best-allocation", on one student over all seeds."""
    seeds = range(config.first_seed, config.first_seed + config.seeds)
    return PolicyResult.of_trajectories(run_seeds(policy, student, seeds, config.plan), config.threshold)


def _write(config: SimulateConfig, results: Mapping[str, StudentResult]) -> None:
    """Writes results.json, which holds the configuration and all results, and table.md."""
    settings = dataclasses.asdict(config) | {"output": str(config.output)}
    students = {student: student_record(result) for student, result in results.items()}
    record = {"dumpgym": __version__, "config": settings, "students": students}
    (config.output / "results.json").write_text(json.dumps(record) + "\n", encoding="utf-8")
    tables = [markdown_table(student, result, config.steps) for student, result in results.items()]
    (config.output / "table.md").write_text("\n".join(tables), encoding="utf-8")
