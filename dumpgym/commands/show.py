"""``dumpgym show``: a run in the terminal, finished or not."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge
from rich.console import Console
from tyro.conf import Positional, arg

from dumpgym.commands import PlainVerb, verb
from dumpgym.commands.charts import curve, sparkline
from dumpgym.commands.progress import duration
from dumpgym.commands.tables import Column, FittingTable
from dumpgym.contracts.arms import arms_that_count, make_arms
from dumpgym.contracts.errors import InvalidValueError, UnknownNameError, require_number
from dumpgym.runs.config import TrainConfig
from dumpgym.runs.directory import LOGS, RunDirectory
from dumpgym.runs.finished import is_run
from dumpgym.training.policy_alarms import alarm_kind

_WIDEST, _HEIGHT = 78, 8  # of the curve, in characters
_SPARKS = 16  # evaluations in a sparkline


@verb("show")
@dataclass(frozen=True, slots=True, kw_only=True)
class Show(PlainVerb):
    """Show a run in the terminal: its curve, its arms, alarms that rang, and transcripts. It may still be running.

    Attributes:
        directory: directory of the run.
        transcripts: number of transcripts to print, the newest of every arm and outcome first.
        arm: print transcripts of this arm only.
        outcome: print transcripts with this outcome only, such as correct or wrong.
        figure: draw the run's figure.png again, for example while it is running. Nothing else is written.
    """

    directory: Annotated[Path, Positional, arg(metavar="RUN")]
    transcripts: Annotated[int, Ge(0)] = 1
    arm: str | None = None
    outcome: str | None = None
    figure: bool = False

    def run(self) -> None:
        """Prints the run, and draws its figure if asked to."""
        require_number("transcripts", self.transcripts, low=0, whole=True)
        run = read_run(self.directory)
        chosen = run.transcripts(self.transcripts, self.arm, self.outcome)
        if self.figure and not (run.metrics and run.evaluations):
            raise InvalidValueError("figure", True, f"False, until {str(self.directory)!r} has its first step")
        console = Console()
        show_run(run, chosen, console)
        if self.figure:
            from dumpgym.reporting.figures.one_run import save_training_figure

            console.print(f"figure: {save_training_figure(self.directory)}", soft_wrap=True, markup=False)


@dataclass(frozen=True, slots=True)
class ShownRun:
    """A run as far as it has come.

    Attributes:
        path: directory of the run.
        config: configuration of the run.
        metrics: records of the steps.
        evaluations: records of the evaluations.
        logged: logged completions, oldest first.
    """

    path: Path
    config: TrainConfig
    metrics: Sequence[Mapping[str, Any]]
    evaluations: Sequence[Mapping[str, Any]]
    logged: Sequence[Mapping[str, Any]]

    @property
    def arms(self) -> list[str]:
        """Names of the arms, easiest first."""
        if self.evaluations:
            return list(self.evaluations[0]["eval/solved"])
        arms = make_arms(self.config.arms, nuisance=self.config.nuisance_arms)
        return [arm.name for arm in arms_that_count(arms)]

    def transcripts(self, number: int, arm: str | None, outcome: str | None) -> list[Mapping[str, Any]]:
        """Chooses transcripts: the newest of every arm and outcome, then the second newest, and so on.

        Args:
            number: most transcripts.
            arm: name of an arm; None for all.
            outcome: an outcome; None for all.

        Raises:
            UnknownNameError: if the run has no such arm, or no transcript with this outcome.
        """
        outcomes = dict.fromkeys(str(record["outcome"]) for record in self.logged)
        for kind, value, known in (("arm", arm, self.arms), ("outcome", outcome, outcomes)):
            if value is not None and value not in known:
                raise UnknownNameError(f"{kind} of {str(self.path)!r}", value, known)
        ranked: list[tuple[int, int, Mapping[str, Any]]] = []
        seen: dict[tuple[str, str], int] = {}
        for place, record in enumerate(reversed(self.logged)):
            key = record["arm"], record["outcome"]
            if arm in (None, key[0]) and outcome in (None, key[1]):
                ranked.append((seen.get(key, 0), place, record))
                seen[key] = seen.get(key, 0) + 1
        return [record for *_, record in sorted(ranked, key=lambda entry: entry[:2])[:number]]


def read_run(path: Path) -> ShownRun:
    """Reads a run, finished or not.

    Raises:
        DumpgymError: if the directory holds no run, or a log is damaged.
    """
    if not is_run(path):
        inside = sorted(config.parent for config in path.glob("*/*/config.json") if is_run(config.parent))
        hint = f", such as {inside[0]}" if inside else ""
        raise InvalidValueError("run", str(path), f"the directory of one run{hint}")
    run = RunDirectory(path)
    return ShownRun(path, RunDirectory.stored_config(path), *(run.read(log) for log in LOGS))


def show_run(run: ShownRun, transcripts: Sequence[Mapping[str, Any]], console: Console) -> None:
    """Prints a run."""
    plain = console.options.ascii_only

    def tell(*lines: str) -> None:
        for line in lines:
            console.print(line, soft_wrap=True, markup=False, highlight=False)

    config = run.config
    tell(f"{run.path}: {config.policy_spec}, seed {config.seed}, signal {config.signal}, model {config.agent.model}")
    tell(_state(run))
    if run.evaluations:
        tell("", "greedy held-out success, mean over arms, over generated tokens")
        places = [record["num_tokens"] for record in run.evaluations]
        values = [record["eval/success"] for record in run.evaluations]
        tell(*curve(places, values, width=min(console.width, _WIDEST), height=_HEIGHT, plain=plain), "")
    console.print(_arms_table(run, plain=plain))
    alarms = alarms_that_rang(run)
    tell(*([f"alarm: {line}" for line in alarms] or ["no alarm rang"]))
    for record in transcripts:
        head = f"step {record['step']}, {record['split']}, {record['arm']}, {record['outcome']}"
        tell("", f"--- {head}, reward {record['reward']}", record["prompt"].rstrip(), "--- completion")
        tell(record["completion"].rstrip())


def _state(run: ShownRun) -> str:
    records = run.metrics or run.evaluations
    if not records:
        return "begun; nothing is logged yet"
    config, last = run.config, records[-1]
    spent = f"{last['num_tokens']:,} tokens in {duration(last['time/seconds'])}"
    if (run.path / "summary.json").exists():
        first, final = (record["eval/success"] for record in (run.evaluations[0], run.evaluations[-1]))
        return f"finished: {last['step']} steps, {spent}; success {first:.3f} -> {final:.3f}, one seed"
    written = max((run.path / log).stat().st_mtime for log in LOGS if (run.path / log).exists())
    age = duration(max(0.0, time.time() - written))
    share = last.get("time/progress", 0.0)
    return f"not finished: step {last['step']} of {config.steps}, {share:.0%}, {spent}; last record {age} ago"


def _arms_table(run: ShownRun, *, plain: bool) -> FittingTable:
    columns = [
        Column("problems", "problems", 2),
        Column("share", "share", 1),
        Column("held-out success", "success", 4),
        Column("start -> now", "start -> now"),
        Column("tokens", "tokens", 3),
    ]
    last = run.metrics[-1] if run.metrics else {}
    counts, tokens = (_of_arms(last, key) for key in ("count", "num_tokens"))
    total = max(1, sum(counts.values()))
    rows = []
    for name in run.arms:
        success = [record[f"eval/{name}/success"] for record in run.evaluations]
        few = [success[i * (len(success) - 1) // max(1, _SPARKS - 1)] for i in range(_SPARKS)] if success else []
        sparks = sparkline(success if len(success) <= _SPARKS else few, plain=plain)
        change = f"{success[0]:.2f} -> {success[-1]:.2f}" if success else "-"
        count = counts.get(name, 0)
        rows.append([name, f"{count:,}", f"{count / total:.2f}", sparks, change, f"{tokens.get(name, 0):,}"])
    if run.config.nuisance_arms:
        count, spent = (sum(of[name] for name in of.keys() - set(run.arms)) for of in (counts, tokens))
        rows.append(["nuisance arms", f"{count:,}", f"{count / total:.2f}", "-", "-", f"{spent:,}"])
    return FittingTable("arm", columns, rows)


def _of_arms(record: Mapping[str, Any], key: str) -> dict[str, int]:
    """A number of every arm in a record, by the names of the arms."""
    split = {name: name.split("/") for name in record if name.startswith("arms/")}
    return {parts[1]: int(record[name]) for name, parts in split.items() if parts[2] == key}


def alarms_that_rang(run: ShownRun) -> list[str]:
    """One line for every arm and alarm: when it rang, for how many steps, and what it said last."""
    rang: dict[str, list[tuple[int, str]]] = {}
    for record in [*run.evaluations[:1], *run.metrics]:
        for alarm in record.get("alarms", ()):
            rang.setdefault(alarm_kind(alarm), []).append((record["step"], alarm))
    lines = []
    for found in rang.values():
        steps = [step for step, _ in found]
        when = f"step {steps[0]}" if len(steps) == 1 else f"{len(steps)} times, steps {steps[0]} to {steps[-1]}"
        lines.append(f"{found[-1][1]} ({when})")
    return lines
