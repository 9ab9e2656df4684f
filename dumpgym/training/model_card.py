"""The card of a trained model: how it was made and what it can do, as the Hugging Face hub reads it."""

import shlex
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from dumpgym.agents.embedded.names import EMBEDDED_MODELS
from dumpgym.runs.config import TrainConfig
from dumpgym.runs.versions import PACKAGES, mixed_versions


def write_model_card(
    directory: Path, config: TrainConfig, summary: Mapping[str, Any], starts: Sequence[Mapping[str, Any]]
) -> None:
    """Writes the card beside the weights, as ``README.md``.

    Args:
        directory: directory of the model.
        config: configuration of the run.
        summary: summary of the finished run, see ``dumpgym.training.metrics.run_summary``.
        starts: every start of the run with its command and versions, see ``dumpgym.runs.versions.read_starts``.
    """
    from huggingface_hub import ModelCard, ModelCardData

    is_adapter = (directory / "adapter_config.json").exists()
    data = ModelCardData(
        base_model=config.agent.model if _on_the_hub(config.agent.model) else None,
        library_name="peft" if is_adapter else "transformers",
        pipeline_tag="text-generation",
        tags=["grpo", "curriculum", "dumpgym"],
    )
    ModelCard(f"---\n{data.to_yaml()}\n---\n\n{card_text(config, summary, starts)}").save(directory / "README.md")


def _on_the_hub(model: str) -> bool:
    return model not in EMBEDDED_MODELS and not Path(model).exists()


def card_text(config: TrainConfig, summary: Mapping[str, Any], starts: Sequence[Mapping[str, Any]]) -> str:
    """The card without its metadata; see ``write_model_card``."""
    used = [f"{name} {starts[0][name]}" for name in ("dumpgym", "python", *PACKAGES) if name in starts[0]]
    changed = "".join(f"; {change}" for change in mixed_versions(starts))
    evaluated = [spec for spec in config.arms if spec not in config.nuisance_arms]
    rows = [_row("mean over arms", summary), *(_row(f"`{name}`", arm) for name, arm in summary["arms"].items())]
    return f"""# A model trained by dumpgym

`{config.agent.model}`, trained by GRPO for {summary["steps"]} steps of {config.prompts_per_step} prompts with
{config.num_generations} completions each. A bandit chose the puzzle distributions of every batch: policy
`{config.policy_spec}`, on the signal `{config.signal}`. Seed {config.seed}; one seed is an anecdote.

```bash
{chr(10).join(_commands(starts))}
```

## Success on {config.final_evaluation_problems} held-out problems of each arm

Greedy, with the 95 % interval of the difference (paired, over problems).

| arm | before | after | difference | interval |
|---|---|---|---|---|
{chr(10).join(rows)}

Sampled at temperature {config.agent.temperature:g}, mean over arms:
{summary["sampled"]["success_before"]:.3f} before and {summary["sampled"]["success_after"]:.3f} after.

## Training

Generated tokens: {summary["generated_tokens"]:,} in training, {summary["evaluation_tokens"]:,} in evaluation. Time:
{summary["seconds"]:,.0f} s.

| arm | environment | problems | generated tokens |
|---|---|---|---|
{chr(10).join(_cost(spec, name, arm) for spec, (name, arm) in zip(evaluated, summary["arms"].items(), strict=True))}

Versions: {", ".join(used)}{changed}. The run's
`config.json` has all settings.
"""


def _commands(starts: Sequence[Mapping[str, Any]]) -> list[str]:
    """The commands in their order. One that only repeats the command before it, as after a crash, is shown once."""
    return [
        shlex.join(starts[0]["command"]),
        *(
            f"{shlex.join(start['command'])}  # from step {start['step']}"
            for before, start in pairwise(starts)
            if start["command"] != before["command"]
        ),
    ]


def _row(name: str, change: Mapping[str, Any]) -> str:
    low, high = change["success_difference_interval"]
    before, after, difference = (change[f"success_{key}"] for key in ("before", "after", "difference"))
    return f"| {name} | {before:.3f} | {after:.3f} | {difference:+.3f} | [{low:+.3f}, {high:+.3f}] |"


def _cost(spec: str, name: str, arm: Mapping[str, Any]) -> str:
    return f"| `{name}` | `{spec}` | {arm['problems']:,} | {arm['generated_tokens']:,} |"
