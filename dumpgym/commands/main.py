"""The command line: ``dumpgym VERB ...``, the same as ``python -m dumpgym VERB ...``."""

import contextlib
import dataclasses
import io
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from dumpgym.contracts.errors import DumpgymError, UnknownNameError

Config = TypeVar("Config")

USAGE = """usage: dumpgym VERB [FLAGS]

verbs:
  list      the environments, policies and signals that are registered
  play      solve puzzles yourself, or see the text that a model is given: dumpgym play ENV [--split train|test]
            [--seed S] [--index I] [--show-prompt] [--model NAME]; ENV is an id, with arguments where wanted:
            'dumpgym/KnightsKnaves-v0?num_people=5'
  export    write puzzles to a file: dumpgym export --num-people N --output FILE.jsonl [--num-puzzles K] [--seed S]
            [--split train|test] ...; the paper's: --puzzles dump; leaks: --check-leaks FILE FILE
  simulate  compare policies on simulated students, in a minute: dumpgym simulate [--policies ID...] [--students ID...]
            [--seeds N] [--steps N] [--output DIR] ...; with options as 'dump?window=1200', of one's own as my_module:id
  train     train a language model under a curriculum: dumpgym train [CONFIG.toml] [--output DIR] [--steps N]
            [--seed S] [--policy ID] [--resume] ...; all flags: dumpgym train --help
  compare   run an experiment, many policies with paired seeds: dumpgym compare EXPERIMENT.toml [--seeds N]
            [--budget-tokens N] [--output DIR] [--processes N] [--dry-run] ...; the same command goes on after a stop
  report    what came of runs, as one page with tables and figures: dumpgym report DIR... [--output DIR]
            [--figure NAME]
  pretrain  train the embedded student's warm start from scratch: dumpgym pretrain --output DIR
"""

_RESUMES = "; the same command with --resume goes on from the last checkpoint"
_GOES_ON = {"train": _RESUMES, "pretrain": _RESUMES, "compare": "; the same command goes on"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one verb and returns the exit status: 0, 2 for bad input, 130 when interrupted."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))  # modules of one's own, as in my_module:my-policy
    verbs: dict[str, Callable[[list[str]], None]] = {
        "list": _list,
        "play": _play,
        "export": _export,
        "simulate": _simulate,
        "train": _train,
        "compare": _compare,
        "report": _report,
        "pretrain": _pretrain,
    }
    if not arguments or arguments[0] in ("-h", "--help"):
        sys.stdout.write(USAGE)
        return 0
    try:
        if arguments[0] not in verbs:
            raise UnknownNameError("verb", arguments[0], verbs)
        verbs[arguments[0]](arguments[1:])
    except DumpgymError as error:
        sys.stderr.write(f"dumpgym: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write(f"dumpgym: interrupted{_GOES_ON.get(arguments[0], '')}\n")
        return 130
    return 0


def _list(arguments: list[str]) -> None:
    import gymnasium as gym

    import dumpgym.signals.signal as signals
    from dumpgym.contracts.policy import PolicyOptions
    from dumpgym.contracts.policy_registry import policy_registry
    from dumpgym.contracts.student_registry import student_registry

    if arguments:
        raise DumpgymError(f"unexpected argument {arguments[0]!r}; accepted: none")
    specs = [spec for spec in gym.registry.values() if spec.namespace == "dumpgym"]
    environments = [f"{spec.id}  {spec.kwargs or ''}" for spec in specs if spec.name != "Curriculum"]
    common = PolicyOptions.__annotations__
    policies = []
    for spec in policy_registry.values():
        own = [f"{name}={p.default!r}" for name, p in spec.parameters.items() if name not in common]
        policies.append(f"{spec.id}  {' '.join(own)}")
    shared = ", ".join(name for name in common if name not in ("seed", "num_runs"))
    for title, lines in (
        ("environments", environments),
        ("the curriculum as an environment", ["dumpgym/Curriculum-v0"]),
        (f"policies, each also with {shared}", policies),
        (f"signals, each also with the end {' or '.join(signals.COSTS)}", list(signals.signal_registry)),
        ("students", list(student_registry)),
    ):
        sys.stdout.write(f"{title}:\n" + "".join(f"  {line.rstrip()}\n" for line in lines))


def _play(arguments: list[str]) -> None:
    from dumpgym.commands.play import PlayConfig, play

    if not {"-h", "--help"} & set(arguments) and (not arguments or arguments[0].startswith("-")):
        raise DumpgymError("ENV is missing; accepted: dumpgym play ENV [FLAGS], with an id that dumpgym list shows")
    spec = arguments.pop(0) if not arguments[0].startswith("-") else ""
    play(spec, parse(PlayConfig, PlayConfig(), arguments))


def _export(arguments: list[str]) -> None:
    from dumpgym.commands.export import ExportConfig, export

    sys.stdout.write(export(parse(ExportConfig, ExportConfig(), arguments)))


def _simulate(arguments: list[str]) -> None:
    from rich.console import Console

    from dumpgym.runs.validation import validated
    from dumpgym.simulating.runner import SimulateConfig, simulate

    config = parse(SimulateConfig, SimulateConfig(), arguments)
    console = Console()
    simulate(validated(dataclasses.asdict(config), SimulateConfig), console)
    console.print(f"results, table and figure: {config.output}", soft_wrap=True)


def _train(arguments: list[str]) -> None:
    from dumpgym.agents.grpo.processes import is_main_process, start_processes
    from dumpgym.commands.display import TrainDisplay
    from dumpgym.reporting.figures.one_run import save_training_figure
    from dumpgym.runs.config import TrainConfig, load_toml
    from dumpgym.runs.directory import RunDirectory
    from dumpgym.runs.validation import validated
    from dumpgym.training.loop import Trainer
    from dumpgym.training.trackers import Trackers

    resume = "--resume" in arguments
    arguments = [argument for argument in arguments if argument != "--resume"]
    default = TrainConfig()
    if arguments and arguments[0].endswith(".toml"):
        default = load_toml(Path(arguments.pop(0)))
    elif resume:
        # The run's own configuration is the default, so that nothing has to be said again.
        output = parse(TrainConfig, default, arguments).output
        default = RunDirectory.stored_config(output)
    config = validated(dataclasses.asdict(parse(TrainConfig, default, arguments)), TrainConfig)
    start_processes(config.agent.device)
    with (
        TrainDisplay(config, quiet=not is_main_process()) as display,
        Trackers(config, is_main=is_main_process()) as trackers,
    ):

        def observe(log: str, record: Mapping[str, Any]) -> None:
            display.observe(log, record)
            trackers.observe(log, record)

        trainer = Trainer(config, resume=resume, observer=observe)
        display.start(trainer.progress)
        trackers.start(trainer.step, trainer.begun)
        summary = trainer.run()
    if is_main_process():
        display.show_summary(summary, save_training_figure(config.output))


def _compare(arguments: list[str]) -> None:
    from rich.console import Console

    from dumpgym.comparing.runner import CompareConfig, compare
    from dumpgym.runs.validation import validated

    if not {"-h", "--help"} & set(arguments) and not (arguments and arguments[0].endswith(".toml")):
        raise DumpgymError("the experiment is missing; accepted: dumpgym compare EXPERIMENT.toml [FLAGS]")
    path = Path(arguments.pop(0)) if arguments[0].endswith(".toml") else Path()
    config = validated(dataclasses.asdict(parse(CompareConfig, CompareConfig(), arguments)), CompareConfig)
    console = Console()
    output = compare(path, config, console)
    if not config.dry_run:
        console.print(f"runs: {output}; what came of them: dumpgym report {output}", soft_wrap=True)


def _report(arguments: list[str]) -> None:
    from itertools import takewhile

    from dumpgym.reporting.page import ReportConfig, report

    runs = [Path(text) for text in takewhile(lambda text: not text.startswith("-"), arguments)]
    if not runs and not {"-h", "--help"} & set(arguments):
        raise DumpgymError("the runs are missing; accepted: dumpgym report DIR... [FLAGS]")
    config = parse(ReportConfig, ReportConfig(), arguments[len(runs) :])
    _, files = report(runs, config)
    shown = files if config.figure is not None else files[:1]  # the page, which has all the figures
    sys.stdout.write("".join(f"{file}\n" for file in shown))


def _pretrain(arguments: list[str]) -> None:
    from dumpgym.commands.pretrain import PretrainConfig, pretrain
    from dumpgym.runs.validation import validated

    config = parse(PretrainConfig, PretrainConfig(), arguments)
    pretrain(validated(dataclasses.asdict(config), PretrainConfig))


def parse(config_class: type[Config], default: Config, arguments: Sequence[str]) -> Config:
    """Reads flags over a default.

    Raises:
        UnknownNameError: for a flag that does not exist.
        DumpgymError: for a value that cannot be read.
    """
    import tyro

    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tyro's remarks on annotations
            config, unknown = tyro.cli(
                config_class, default=default, args=list(arguments), prog="dumpgym", return_unknown_args=True
            )
    except SystemExit as end:
        if not end.code:
            raise
        message = _one_line(complaint.getvalue())
        raise DumpgymError(message.removeprefix(f"Error parsing {config_class.__name__}: ")) from end
    if unknown:
        flag = unknown[0].partition("=")[0]
        known = _flags(default, "")
        if not flag.startswith("-"):
            raise DumpgymError(f"unexpected argument {flag!r}; accepted: {', '.join(known)}")
        near = get_close_matches(flag, known, n=1)
        raise UnknownNameError("flag", flag, near or known)
    return config


def _flags(config: object, prefix: str) -> list[str]:
    flags = []
    for field in dataclasses.fields(config):  # type: ignore[arg-type]
        value = getattr(config, field.name)
        name = prefix + field.name.replace("_", "-")
        flags += _flags(value, f"{name}.") if dataclasses.is_dataclass(value) else [f"--{name}"]
    return flags


def _one_line(box: str) -> str:
    """What stands in tyro's box above its first rule."""
    lines = [line.strip("│ \n") for line in box.splitlines()[1:]]
    message = []
    for line in lines:
        if line.startswith(("─", "╰")):
            break
        message.append(line)
    return " ".join(message)
