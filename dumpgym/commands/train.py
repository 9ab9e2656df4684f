"""``dumpgym train``: trains a language model in one run."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

from tyro.conf import Positional, arg

from dumpgym.commands import verb
from dumpgym.runs.config import TrainConfig, load_toml
from dumpgym.runs.directory import RunDirectory
from dumpgym.runs.validation import validated


@verb("train")
@dataclass(frozen=True, slots=True, kw_only=True)
class Train(TrainConfig):
    """Train a language model under a curriculum.

    Flags override the file. A run writes config.json, one JSON line per step and evaluation, transcripts, checkpoints,
    a figure, and at its end the model with a model card.

    Attributes:
        config: a TOML file with settings; settings that it leaves out keep their defaults.
        resume: continue the run in the output directory from its newest checkpoint, with the run's own settings; a run
            that has finished stays as it is, unless --steps or a budget is raised.
    """

    config: Annotated[Path | None, Positional, arg(metavar="[CONFIG.toml]")] = None
    resume: bool = False

    def file_default(self) -> Self | None:
        """The settings of the file, or of the run to resume, which the command then need not repeat."""
        if self.config is not None:
            stored = load_toml(self.config)
        elif self.resume:
            stored = RunDirectory.stored_config(self.output)
        else:
            return None
        values = {f.name: getattr(stored, f.name) for f in dataclasses.fields(TrainConfig)}
        return type(self)(**values, config=self.config, resume=self.resume)

    def run(self) -> None:
        """Trains, shows the progress, and draws the figure of the run."""
        values = dataclasses.asdict(self)
        config = validated({f.name: values[f.name] for f in dataclasses.fields(TrainConfig)}, TrainConfig)

        from dumpgym.agents.grpo.processes import is_main_process, start_processes
        from dumpgym.commands.display import TrainDisplay
        from dumpgym.commands.figures import draw_run
        from dumpgym.runs.resuming import resume_point
        from dumpgym.training.launch import train

        start_processes(config.agent.device)
        if self.resume and (summary := resume_point(config, contents=False).summary) is not None:
            TrainDisplay(config, quiet=not is_main_process()).show_finished(summary)
            return
        with TrainDisplay(config, quiet=not is_main_process()) as display:
            summary = train(config, resume=self.resume, observer=display.observe, on_start=display.start)
        if is_main_process():
            display.show_summary(summary, config.output, draw_run(config.output))
