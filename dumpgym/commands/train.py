"""``dumpgym train``: trains a language model in one run."""

import dataclasses
import sys
from dataclasses import dataclass
from typing import Annotated, Any, Self

from tyro.conf import Positional, arg

from dumpgym.commands import verb
from dumpgym.runs.config import TrainConfig
from dumpgym.runs.directory import RunDirectory
from dumpgym.runs.validation import PathOfFiles, read_toml, validated


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
        dry_run: check everything, load the model, print what would be run, and write nothing.
    """

    config: Annotated[PathOfFiles | None, Positional, arg(metavar="[CONFIG.toml]")] = None
    resume: bool = False
    dry_run: bool = False

    def __post_init__(self) -> None:
        """Leaves the policy's options to ``run``, so that errors look like those of other verbs."""

    def file_default(self) -> Self | None:
        """The settings of the file, or of the run to resume, which the command then need not repeat."""
        written: dict[str, Any] = {}
        if self.config is not None:
            written = read_toml(self.config)
            stored = validated(written, TrainConfig)
        elif self.resume:
            stored = RunDirectory.stored_config(self.output)
        else:
            return None
        values = {f.name: getattr(stored, f.name) for f in dataclasses.fields(TrainConfig)}
        if "?" in written.get("policy", ""):
            # As written, so that --policy replaces the policy together with the options in its text.
            values |= {"policy": written["policy"], "policy_options": written.get("policy_options", {})}
        return type(self)(**values, config=self.config, resume=self.resume, dry_run=self.dry_run)

    def run(self) -> None:
        """Trains, shows the progress, and draws the figure of the run."""
        values = dataclasses.asdict(self)
        config = validated({f.name: values[f.name] for f in dataclasses.fields(TrainConfig)}, TrainConfig)

        if self.dry_run:
            from dumpgym.training.launch import check

            check(config, resume=self.resume)
            sys.stdout.write(plan_text(config, resume=self.resume))
            return

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


def plan_text(config: TrainConfig, *, resume: bool) -> str:
    """What a run would do, in one line for each of its parts."""
    limits = [f"{config.steps} steps"]
    if config.budget_tokens is not None:
        limits.append(f"{config.budget_tokens:,} generated tokens")
    if config.budget_seconds is not None:
        limits.append(f"{config.budget_seconds:g} seconds of training")
    agent = config.agent
    lines = {
        "output": f"{config.output}, {'which it resumes' if resume else 'a new run'}",
        "arms": " ".join(config.arms),
        "policy": config.policy_spec,
        "signal": config.signal,
        "model": f"{agent.model}, {agent.dtype}" + (f", LoRA of rank {agent.lora_rank}" if agent.lora_rank else ""),
        "batch": f"{config.prompts_per_step} prompts with {config.num_generations} completions each",
        "ends after": ", or ".join(limits) + (", whichever comes first" if len(limits) > 1 else ""),
        "seed": str(config.seed),
        "trackers": ", ".join(config.trackers) or "none",
    }
    return "".join(f"{name:<11}{text}\n" for name, text in lines.items()) + "dry run: nothing was written\n"
