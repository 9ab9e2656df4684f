"""Starting a run: the one place that puts the GRPO agent, the trackers and the training loop together."""

from collections.abc import Callable, Mapping
from typing import Any

from dumpgym.agents.grpo import processes
from dumpgym.agents.grpo.agent import GRPOAgent
from dumpgym.runs.checks import check_config
from dumpgym.runs.config import TrainConfig
from dumpgym.runs.files import check_output
from dumpgym.runs.resuming import resume_point
from dumpgym.training.loop import Trainer
from dumpgym.training.recorder import Observer
from dumpgym.training.trackers import Trackers, check_trackers


def make_trainer(
    config: TrainConfig, *, resume: bool = False, observer: Observer = lambda log, record: None
) -> Trainer:
    """Makes the training loop of a configuration with its GRPO agent, in every process that a launcher has started.

    Args:
        config: configuration of the run.
        resume: continue the run in the directory ``config.output``.
        observer: is shown every record that the run logs.

    Raises:
        DumpgymError: if the configuration names something that does not exist or contradicts itself, the directory is
            in use, or the run cannot resume.
    """
    agent = check(config, resume=resume)
    starts = resume_point(config, contents=False).starts if resume else []
    # A run keeps its number of threads on a machine with other CPUs: each thread adds up its part of a sum, so another
    # number of threads may give other last bits.
    if starts and isinstance(threads := starts[-1].get("threads"), int) and threads > 0:
        processes.use_threads(threads)
    return Trainer(config, agent, resume=resume, observer=observer, processes=processes)


def check(config: TrainConfig, *, resume: bool = False) -> GRPOAgent:
    """Checks everything that a run needs, as ``dumpgym train --dry-run`` does, and returns its agent; writes nothing.

    Args:
        config: configuration of the run.
        resume: whether the run would continue in the directory ``config.output``.

    Raises:
        DumpgymError: if the configuration names something that does not exist or contradicts itself, if the directory
            is in use, if the run cannot resume, or if the model cannot be loaded.
    """
    check_config(config)  # before a large model is loaded
    processes.start_processes(config.agent.device)
    if processes.is_main_process():
        check_trackers(config.trackers)
        if resume:
            resume_point(config, contents=False)
        else:
            check_output(config.output, or_else=", or --resume")
    return GRPOAgent(config.agent, seed=config.seed)


def train(
    config: TrainConfig,
    *,
    resume: bool = False,
    observer: Observer = lambda log, record: None,
    on_start: Callable[[float], None] = lambda progress: None,
) -> dict[str, Any]:
    """Trains a language model under a curriculum, as ``dumpgym train`` does, and returns the summary.

    Args:
        config: configuration of the run.
        resume: continue the run in the directory ``config.output``; one that has finished stays as it is.
        observer: is shown every record that the run logs.
        on_start: called with how far the run has come, from 0 to 1, before it continues.

    Raises:
        DumpgymError: if the configuration cannot be run, a number is not finite, or a file cannot be written.
        KeyboardInterrupt: at Ctrl-C, or at SIGTERM.
    """
    if resume and (summary := resume_point(config, contents=False).summary) is not None:
        return summary
    processes.start_processes(config.agent.device)  # the trackers need to know which process is the main one
    with Trackers(config, is_main=processes.is_main_process()) as trackers:

        def observe(log: str, record: Mapping[str, Any]) -> None:
            observer(log, record)
            trackers.observe(log, record)

        trainer = make_trainer(config, resume=resume, observer=observe)
        on_start(trainer.progress)
        trackers.start(trainer.step, trainer.begun)
        return trainer.run()
