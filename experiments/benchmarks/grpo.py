"""A step of GRPO here and in TRL: the same model, prompts, group size, rewards and optimiser, taking turns.

    python experiments/benchmarks/grpo.py
    python experiments/benchmarks/grpo.py --memory

TRL is set up for the CPU: float32, no checkpointing, micro-batches of 16 completions. The learning rate is 0, so every
step starts from the same weights. The two sample different completions, so seconds are also given per thousand tokens.
Ratios are of these, TRL's over ours: the median over pairs, with the lowest and the highest. Rewards are a hash of the
text, so both have to learn from every group. In one setting the verifier gives the rewards, and our update leaves out
groups of equal rewards. In the setting "to the limit", no token ends a completion.

``--memory`` measures the extra peak memory of log-probabilities with their gradient, compared with a plain log-softmax.
"""

import json
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
import tyro

from dumpgym.agents.embedded.names import EMBEDDED_MODELS
from dumpgym.agents.grpo.agent import GRPOAgent
from dumpgym.agents.grpo.config import GRPOConfig
from dumpgym.agents.grpo.log_probs import Head, token_log_probs
from dumpgym.agents.grpo.models import load_tokenizer
from dumpgym.contracts.arms import make_arms
from dumpgym.contracts.learner import RewardedCompletions

if TYPE_CHECKING:
    from grpo_peers import Rewards

PEOPLE = range(2, 8)
PHASES = ("generation", "update", "step")
Kind = Literal["idle", "ours", "plain"]


@dataclass(frozen=True)
class Options:
    """What to measure.

    Attributes:
        model: folder of the model; by default the embedded model.
        num_prompts: prompts per step.
        num_generations: completions per prompt.
        natural_limit: maximum tokens of a completion that may end by itself.
        limit: tokens of a completion that may not.
        repeats: repetitions of every measurement, after one that does not count.
        threads: threads of torch.
        device: "cpu" or "cuda".
        small: use tiny sizes, to see that the script works.
        memory: measure the memory of log-probabilities instead.
        vocabulary: size of the vocabulary, with --memory.
        tokens: number of tokens, with --memory.
        hidden_size: hidden size, with --memory.
        child: what the separate process computes, with --memory; set by the script itself.
        output: file for the results as JSON.
    """

    model: Path = EMBEDDED_MODELS["embedded"]
    num_prompts: int = 16
    num_generations: int = 8
    natural_limit: int = 640
    limit: int = 256
    repeats: int = 5
    threads: int = 2
    device: str = "cpu"
    small: bool = False
    memory: bool = False
    vocabulary: int = 152_000
    tokens: int = 2048
    hidden_size: int = 896
    child: Kind | None = None
    output: Path | None = None


def problems(number: int) -> dict[str, Any]:
    """Puzzles of all sizes with their environments, by prompt."""
    arms = make_arms([f"dumpgym/KnightsKnaves{n}-v0" for n in PEOPLE])
    found = [(arms[i % len(arms)].env, i) for i in range(number)]
    return {env.sample_problem(0, "train", i).prompt: (env, env.sample_problem(0, "train", i)) for env, i in found}


def endless(model: Path, folder: Path) -> Path:
    """A copy of a model whose only end token is one that it never samples."""
    shutil.copytree(model, folder)
    tokenizer = load_tokenizer(str(model))
    never = tokenizer.convert_ids_to_tokens(0)
    for name in ("config.json", "generation_config.json"):
        if (folder / name).exists():
            settings = json.loads((folder / name).read_text())
            (folder / name).write_text(json.dumps({**settings, "eos_token_id": 0, "pad_token_id": 0}))
    tokenizer.eos_token = tokenizer.pad_token = never
    tokenizer.save_pretrained(folder)
    return folder


class Ours:
    """Our agent, timed step by step."""

    def __init__(self, model: Path, limit: int, options: Options, prompts: Sequence[str], rewards: "Rewards") -> None:
        config = GRPOConfig(
            model=str(model), device=options.device, max_completion_length=limit, learning_rate=0.0, loss_type="dapo"
        )
        self.agent = GRPOAgent(config)
        self.prompts, self.group, self.rewards = prompts, options.num_generations, rewards
        self.seconds: dict[str, list[float]] = {phase: [] for phase in PHASES}
        self.tokens: list[int] = []

    def step(self) -> None:
        started = perf_counter()
        completions = self.agent.generate(self.prompts, self.group)
        generated = perf_counter()
        prompts = np.repeat(self.prompts, self.group).tolist()
        rewards = np.reshape(self.rewards(prompts, completions.texts), (len(self.prompts), self.group))
        self.agent.learn(RewardedCompletions(completions, rewards))
        ended = perf_counter()
        for phase, spent in zip(PHASES, (generated - started, ended - generated, ended - started), strict=True):
            self.seconds[phase].append(spent)
        self.tokens.append(int(completions.num_tokens.sum()))


def measure(name: str, model: Path, limit: int, options: Options, *, verified: bool = False) -> dict[str, Any]:
    """Seconds of both, whose steps take turns."""
    from grpo_peers import Stopwatch, hashed_rewards, make_trainer  # slow, and not needed to measure memory

    found = problems(options.num_prompts)

    def verifier(prompts: Sequence[str], completions: Sequence[str]) -> list[float]:
        pairs = zip(prompts, completions, strict=True)
        return [env.verify(problem, text).reward for prompt, text in pairs for env, problem in [found[prompt]]]

    rewards = verifier if verified else hashed_rewards
    ours = Ours(model, limit, options, list(found), rewards)
    watch = Stopwatch(between=ours.step)
    rows = len(found) * options.num_generations
    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(
            str(model), list(found), rewards, Path(folder), num_generations=options.num_generations,
            max_completion_length=limit, micro_batch=min(16, rows), steps=options.repeats + 1, device=options.device,
            callbacks=[watch],
        )  # fmt: skip
        watch.watch(trainer)
        trainer.train()
    theirs = {"generation": watch.generation, "step": watch.steps}
    theirs["update"] = [step - spent for step, spent in zip(watch.steps, watch.generation, strict=True)]
    row: dict[str, Any] = {"setting": name, "tokens": {"ours": ours.tokens[1:], "trl": watch.tokens[1:]}}
    for phase in PHASES:
        mine = [1000 * s / n for s, n in zip(ours.seconds[phase][1:], ours.tokens[1:], strict=True)]
        peer = [1000 * s / n for s, n in zip(theirs[phase][1:], watch.tokens[1:], strict=True)]
        ratios = [one / other for one, other in zip(peer, mine, strict=True)]
        row[phase] = {
            "ours": median(ours.seconds[phase][1:]),
            "trl": median(theirs[phase][1:]),
            "ours_per_1000_tokens": median(mine),
            "trl_per_1000_tokens": median(peer),
            "ratio": median(ratios),
            "range": [min(ratios), max(ratios)],
        }
    return row


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The measurements as Markdown."""
    lines = [
        "| setting | phase | ours, s | TRL, s | ours, s per 1,000 tokens | TRL | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        for phase in PHASES:
            found = row[phase]
            low, high = found["range"]
            lines.append(
                f"| {row['setting']} | {phase} | {found['ours']:.2f} | {found['trl']:.2f} | "
                f"{found['ours_per_1000_tokens']:.3f} | {found['trl_per_1000_tokens']:.3f} | "
                f"{found['ratio']:.2f} ({low:.2f} to {high:.2f}) |"
            )
    return "\n".join(lines)


def speed(options: Options) -> dict[str, Any]:
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        without_end = endless(options.model, Path(folder) / "model")
        rows = [
            measure("natural lengths", options.model, options.natural_limit, options),
            measure("natural lengths, verifier", options.model, options.natural_limit, options, verified=True),
            measure("to the limit", without_end, options.limit, options),
        ]
    print(f"{options.num_prompts} prompts x {options.num_generations}, {options.threads} threads, {options.device}\n")
    print(table(rows))
    return {"rows": rows}


def log_probs_once(options: Options) -> None:
    """What the separate process does: it makes the tensors and, unless idle, log-probabilities and their gradient."""
    torch.set_num_threads(options.threads)
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(options.tokens, options.hidden_size, generator=generator, requires_grad=True)
    head = torch.nn.Linear(options.hidden_size, options.vocabulary, bias=False)
    targets = torch.randint(options.vocabulary, (options.tokens,), generator=generator)
    head.weight.grad, hidden.grad = torch.zeros_like(head.weight), torch.zeros_like(hidden)
    if options.child == "ours":
        token_log_probs(hidden, Head(head.weight), targets, 1.0)[0].sum().backward()
    elif options.child == "plain":
        head(hidden).log_softmax(-1).gather(-1, targets[:, None]).sum().backward()
    print(peak_memory())


def peak_memory() -> float:
    """The peak resident memory of this process in MiB.

    Linux counts the memory of the process that started this one into ``ru_maxrss``, so its own file is read there.
    """
    if platform.system() == "Linux":
        status = Path("/proc/self/status").read_text()
        return float(status.partition("VmHWM:")[2].split()[0]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def memory(options: Options) -> dict[str, Any]:
    """Extra peak memory in MiB, beyond a process that holds hidden states, weights and their gradients."""
    peaks = {}
    for child in ("idle", "ours", "plain"):
        sizes = {"vocabulary": options.vocabulary, "tokens": options.tokens, "hidden-size": options.hidden_size}
        flags = [text for name, size in sizes.items() for text in (f"--{name}", str(size))]
        command = [sys.executable, __file__, "--child", child, *flags]
        ended = subprocess.run(command, check=True, capture_output=True, text=True)
        peaks[child] = float(ended.stdout)
    extra = {child: peaks[child] - peaks["idle"] for child in ("ours", "plain")}
    print(f"vocabulary {options.vocabulary:,}, {options.tokens:,} tokens: extra peak memory in MiB, with gradient\n")
    print("| ours | plain log-softmax |\n|---|---|")
    print(f"| {extra['ours']:,.0f} | {extra['plain']:,.0f} |")
    return extra


def main(options: Options) -> None:
    if options.child is not None:
        log_probs_once(options)
        return
    if options.small:
        sizes = {"num_prompts": 2, "num_generations": 2, "natural_limit": 8, "limit": 8, "repeats": 1}
        sizes |= {"vocabulary": 152_000, "tokens": 256, "hidden_size": 4}
        options = Options(**{**vars(options), **sizes})
    found = memory(options) if options.memory else speed(options)
    if options.output is not None:
        options.output.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main(tyro.cli(Options))
