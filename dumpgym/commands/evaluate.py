"""``dumpgym evaluate``: how well a model, or two, solve the problems of arms."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from rich.console import Console
from tyro.conf import Positional, arg

from dumpgym.commands import verb
from dumpgym.commands.tables import Column, FittingTable
from dumpgym.contracts.errors import InvalidValueError
from dumpgym.evaluating.config import EvaluateConfig
from dumpgym.runs.files import check_writable, write_file, writing
from dumpgym.runs.validation import validated

_MEAN = "mean over arms"
_INTERVALS = (
    "Intervals: 95 %. Per arm Wilson's, in which the completions of one problem are one cluster; for the mean over "
    "arms, the arms' intervals combined (MOVER)."
)
_TESTS = (
    "Differences are paired by problem. Greedy: Newcombe's interval and McNemar's exact test. Sampled: Student's "
    "paired test over problems; - where the models differ on no problem."
)
_FLIPS = {
    "only_model": Column("only the first", "won"),
    "only_other": Column("only the second", "lost"),
    "both": Column("both", "both", 1),
    "neither": Column("neither", "neither", 1),
}


@verb("evaluate")
@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluate(EvaluateConfig):
    """Evaluate a model, an adapter, a run or a checkpoint on held-out problems.

    For a run or one of its checkpoints, the arms, the seed and the settings of the agent are those of the run unless
    flags say otherwise. Prints success with intervals, tokens and outcomes by arm, with --sampled also pass@k.

    Attributes:
        output: a new JSON file for the results.
    """

    model: Annotated[str, Positional, arg(metavar="MODEL")]
    output: Path | None = None

    def file_default(self) -> Self:
        """The settings of the run that made the model, if a run did."""
        return type(self).of_model(self.model)

    def run(self) -> None:
        """Evaluates, prints tables, and writes the results."""
        values = dataclasses.asdict(self)
        values.pop("output")
        config = validated(values, EvaluateConfig)
        check_new_file(self.output)

        from dumpgym.agents.grpo.processes import is_main_process, start_processes
        from dumpgym.commands.progress import CommandProgress
        from dumpgym.evaluating.runner import evaluate_model

        start_processes(config.agent.device)
        console = Console()
        with CommandProgress(Console(stderr=True, quiet=not is_main_process())) as progress:
            record = evaluate_model(config, on_progress=progress)
        if is_main_process():
            show_evaluation(record, console)  # first, so that a disk that has become full loses nothing
            if self.output is not None:
                with writing(self.output):
                    self.output.parent.mkdir(parents=True, exist_ok=True)
                    write_file(self.output, json.dumps(record, indent=1, default=str) + "\n")
                console.print(f"results: {self.output}", soft_wrap=True, markup=False, highlight=False)


def check_new_file(path: Path | None) -> None:
    """Checks that a file does not exist yet and can be written.

    Raises:
        InvalidValueError: if not.
    """
    if path is None:
        return
    if path.exists() or not path.name:
        raise InvalidValueError("output", str(path), "the name of a file that does not exist yet")
    check_writable(path, "file")


def show_evaluation(record: Mapping[str, Any], console: Console) -> None:
    """Prints the results of ``evaluate_model`` as tables."""
    for model in filter(None, (record["model"], record["other"])):
        for mode in filter(model.get, ("greedy", "sampled")):
            console.print(_success(model["name"], mode, model[mode]))
            console.print(_completions(mode, model[mode]))
    for mode, difference in (record["difference"] or {}).items():
        if difference is not None:
            console.print(_differences(record, mode, difference))
    for line in [_INTERVALS] + ([_TESTS] if record["difference"] else []):
        console.print(line, highlight=False, markup=False)


def _rows(record: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    means = [(_MEAN, record["mean"])] if len(record["arms"]) > 1 else []
    return [*record["arms"].items(), *means]


def _success(name: str, mode: str, record: Mapping[str, Any]) -> FittingTable:
    size, sampled = record["num_generations"], mode == "sampled"
    # All k are in the JSON file; powers of two show the curve.
    shown = [k for k in range(2, size + 1) if k == size or k & (k - 1) == 0] if sampled else []
    columns = [
        Column("success, which is pass@1" if sampled else "success", "pass@1" if sampled else "success"),
        *(Column(f"pass@{k}", f"pass@{k}", 0 if k == size else 1) for k in shown),
    ]
    rows = [
        [arm, _with_interval("success", row), *(_with_interval("value", row["pass_at_k"][str(k)]) for k in shown)]
        for arm, row in _rows(record)
    ]
    problems = next(iter(record["arms"].values()))["problems"]
    title = f"{name}, {mode}: {problems} problems per arm" + (f", {size} completions of each" if sampled else "")
    return FittingTable("arm", columns, rows, title=title)


def _completions(mode: str, record: Mapping[str, Any]) -> FittingTable:
    outcomes = list(record["mean"]["outcomes"])
    columns = [Column("tokens", "tokens"), Column("truncated", "cut"), *(Column(name, name) for name in outcomes)]
    rows = [
        [arm, f"{row['tokens']:.0f}", f"{row['truncated']:.0%}", *(str(row["outcomes"].get(o, 0)) for o in outcomes)]
        for arm, row in _rows(record)
    ]
    title = f"{mode} completions: mean length, share cut off at the limit, outcomes"
    return FittingTable("arm", columns, rows, title=title)


def _differences(record: Mapping[str, Any], mode: str, difference: Mapping[str, Any]) -> FittingTable:
    flips = _FLIPS if mode == "greedy" else {}
    columns = [Column("difference", "difference"), Column("p", "p"), *flips.values()]
    rows: list[Sequence[str]] = [
        [arm, _with_interval("difference", row, sign="+"), _p(row["p"]), *(str(row[key]) for key in flips)]
        for arm, row in _rows(difference)
    ]
    title = f"{record['model']['name']} minus {record['other']['name']}, {mode}"
    return FittingTable("arm", columns, rows, title=title)


def _with_interval(key: str, row: Mapping[str, Any], sign: str = "") -> str:
    if row["interval"] is None:
        return f"{row[key]:{sign}.3f} -"
    low, high = row["interval"]
    return f"{row[key]:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"


def _p(value: float | None) -> str:
    if value is None:
        return "-"
    return "<.001" if value < 0.001 else f"{value:.3f}"
