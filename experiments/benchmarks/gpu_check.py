"""Everything that needs a GPU to be checked, in one call that writes one JSON file.

    python experiments/benchmarks/gpu_check.py --output gpu.json
    python experiments/benchmarks/gpu_check.py --small --device cpu --output cpu.json

The parts run one after another, each in its own process, and the file is written after each part, so a part that fails
or runs out of time does not affect the others:

- ``tests``: the tests marked ``gpu``; on a CPU they are only collected.
- ``agreement``: the embedded model on this device and on the CPU: greedy completions and one gradient step.
- ``embedded``, ``smollm2-135m``, ``qwen2-0.5b``, ``qwen2-1.5b``: the speed of sampling and of learning from 256
  completions of 512 tokens, compared with ``generate`` of ``transformers`` on the same prompts, with which TRL samples
  by default; the share of the time that reading weights, keys and values once per step would take; and peak memory.
  All except the embedded model have random weights in bfloat16.
- ``trl``: whole steps compared with TRL's, see ``grpo.py``, if TRL is installed.
- ``training``: a short real run, with its success before and after.

The exit status is 0 if every part ran and the devices agree.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Literal

import numpy as np
import torch
import transformers
import tyro
from transformers import AutoModelForCausalLM

from dumpgym.agents.grpo.agent import GRPOAgent
from dumpgym.agents.grpo.config import GRPOConfig
from dumpgym.agents.grpo.models import find_device, load_tokenizer
from dumpgym.agents.grpo.sampling.sampler import bytes_per_token
from dumpgym.contracts.arms import make_arms
from dumpgym.contracts.learner import Completions, RewardedCompletions
from dumpgym.runs.config import TrainConfig
from dumpgym.training.launch import train

HERE = Path(__file__).parent
GROUP = 8
SECONDS = 600  # time limit of a part
REPEATS = 2
QWEN2 = {"vocab_size": 151_936, "num_key_value_heads": 2, "tie_word_embeddings": True, "max_position_embeddings": 4096}
RANDOM = {
    "smollm2-135m": lambda: transformers.LlamaConfig(
        vocab_size=49_152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
        num_key_value_heads=3, tie_word_embeddings=True, max_position_embeddings=4096,
    ),
    "qwen2-0.5b": lambda: transformers.Qwen2Config(
        hidden_size=896, intermediate_size=4864, num_hidden_layers=24, num_attention_heads=14, **QWEN2
    ),
    "qwen2-1.5b": lambda: transformers.Qwen2Config(
        hidden_size=1536, intermediate_size=8960, num_hidden_layers=28, num_attention_heads=12, **QWEN2
    ),
}  # fmt: skip
SMALL = {
    "vocab_size": 1024, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1,
}  # fmt: skip
Part = Literal["tests", "agreement", "embedded", "smollm2-135m", "qwen2-0.5b", "qwen2-1.5b", "trl", "training"]
PARTS: tuple[Part, ...] = Part.__args__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Options:
    """What to check.

    Attributes:
        output: the JSON file.
        device: "cuda", or "cpu" to see that the script works.
        small: use models, batches and runs small enough for a CPU.
        parts: the parts to run.
    """

    output: Path = Path("gpu.json")
    device: str = "cuda"
    small: bool = False
    parts: tuple[Part, ...] = PARTS


def prompts_of(num_people: Sequence[int], each: int) -> list[Any]:
    arms = make_arms([f"dumpgym/KnightsKnaves{n}-v0" for n in num_people])
    return [arm.env.sample_problem(0, "test", i).learner_prompt for arm in arms for i in range(each)]


def random_rewards(groups: int) -> np.ndarray:
    return np.random.default_rng(0).choice([-0.5, 3.0], size=(groups, GROUP))


def seconds_of(device: torch.device, work: Callable[[], Any]) -> tuple[float, Any]:
    if device.type == "cuda":
        torch.cuda.synchronize()
    started = perf_counter()
    result = work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return perf_counter() - started, result


def tests(options: Options) -> dict[str, Any]:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-m",
        "gpu",
        "-p",
        "no:cacheprovider",
        "tests/agents/grpo/test_gpu.py",
    ]
    command += ["--collect-only"] * (options.device == "cpu")
    ended = subprocess.run(command, cwd=HERE.parents[1], capture_output=True, text=True)
    if ended.returncode != 0:
        raise RuntimeError(ended.stdout[-4000:] + ended.stderr[-1000:])
    return {"summary": ended.stdout.strip().splitlines()[-1]}


def agreement(options: Options) -> dict[str, Any]:
    prompts = prompts_of(range(2, 8), 1 if options.small else 8)
    limit = 16 if options.small else 640
    cpu, other = (
        GRPOAgent(GRPOConfig(device=device, max_completion_length=limit)) for device in ("cpu", options.device)
    )
    greedy = [agent.generate(prompts, 1, greedy=True).texts for agent in (cpu, other)]
    same = float(np.mean([a == b for a, b in zip(*greedy, strict=True)]))
    prompts = prompts[: 2 if options.small else 16]
    rewarded = RewardedCompletions(cpu.generate(prompts, GROUP), random_rewards(len(prompts)))
    before = torch.cat([p.detach().flatten() for p in cpu.optimizer.parameters.values()])
    steps = []
    for agent in (cpu, other):
        agent.optimizer.methods = [torch.optim.SGD(agent.optimizer.masters.values())]
        agent.update(rewarded, 1.0)
        after = torch.cat([p.detach().cpu().flatten() for p in agent.optimizer.parameters.values()])
        steps.append(after - before)
    difference = float((steps[0] - steps[1]).norm() / steps[0].norm())
    if same < 0.95 or difference > 1e-3:
        raise RuntimeError(f"the devices disagree: greedy completions {same}, gradient {difference}")
    return {"greedy_completions_equal": same, "relative_difference_of_a_gradient_step": difference}


def bandwidth(device: torch.device) -> float:
    """Bytes per second that a copy within the device reads and writes."""
    size = 2**30 if device.type == "cuda" else 2**26
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    target.copy_(source)
    return max(2 * size / seconds_of(device, lambda: target.copy_(source))[0] for _ in range(5))


def bytes_read(agent: GRPOAgent, completions: Completions) -> int:
    """The bytes that decoding must read at least: the weights once per step, and each row's keys and values so far."""
    lengths = completions.num_tokens.flatten()
    prompts = np.repeat([len(ids) for ids in completions.prompt_ids], GROUP)
    columns = (lengths * prompts + lengths * (lengths - 1) // 2).sum()
    weights = sum(p.numel() * p.element_size() for p in agent.base.parameters())
    return int(columns) * bytes_per_token(agent.base) + int(lengths.max()) * weights


def model_folder(name: str, options: Options, folder: str) -> str:
    if name == "embedded":
        return name
    config = RANDOM[name]()
    if options.small:
        config = type(config)(**SMALL)
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).save_pretrained(folder)
    load_tokenizer("embedded").save_pretrained(folder)
    return folder


def with_generate(agent: GRPOAgent, prompts: Sequence[Any], new_tokens: int, *, to_the_limit: bool) -> int:
    """Samples as TRL does by default, and returns the number of tokens."""
    ids = [agent.encode(prompt) for prompt in prompts for _ in range(GROUP)]
    padded = agent.tokenizer.pad({"input_ids": ids}, padding_side="left", return_tensors="pt").to(agent.device)
    output = agent.base.generate(
        **padded,
        do_sample=True,
        top_k=0,
        max_new_tokens=new_tokens,
        min_new_tokens=new_tokens if to_the_limit else None,
        eos_token_id=list(agent.end_token_ids),
        pad_token_id=agent.tokenizer.pad_token_id,
    )[:, padded["input_ids"].shape[1] :]
    ended = torch.isin(output, torch.tensor(agent.end_token_ids, device=output.device))
    return int((ended.cumsum(-1) - ended.long() == 0).sum())


def speed(name: str, options: Options) -> dict[str, Any]:
    num_prompts, new_tokens = (2, 16) if options.small else (32, 512)
    device = find_device(options.device)
    with tempfile.TemporaryDirectory() as folder:
        config = GRPOConfig(
            model=model_folder(name, options, folder),
            device=options.device,
            dtype="float32" if name == "embedded" else "bfloat16",
            max_completion_length=new_tokens,
            micro_batch_tokens=16_384,
        )
        agent = GRPOAgent(config)
    prompts = prompts_of([5], num_prompts)
    agent.generate(prompts, GROUP)  # the first call captures the CUDA graphs
    runs = [seconds_of(device, lambda: agent.generate(prompts, GROUP)) for _ in range(REPEATS)]
    sampled = median(seconds for seconds, _ in runs)
    completions: Completions = runs[-1][1]
    tokens = int(completions.num_tokens.sum())
    to_the_limit = name != "embedded"
    with_generate(agent, prompts[:1], 4, to_the_limit=True)
    theirs, their_tokens = seconds_of(
        device, lambda: with_generate(agent, prompts, new_tokens, to_the_limit=to_the_limit)
    )
    report = {
        "parameters": sum(p.numel() for p in agent.base.parameters()),
        "rows": num_prompts * GROUP,
        "tokens": tokens,
        "sampling_tokens_per_second": tokens / sampled,
        "generate_tokens_per_second": their_tokens / theirs,
        "sampling_ratio": (tokens / sampled) / (their_tokens / theirs),
        "share_of_bandwidth_floor": bytes_read(agent, completions) / bandwidth(device) / sampled,
    }
    rewarded = RewardedCompletions(completions, random_rewards(num_prompts))
    agent.learn(rewarded)
    if device.type == "cuda":
        report["sampling_peak_bytes"] = torch.cuda.max_memory_allocated()
        torch.cuda.reset_peak_memory_stats()
    learned = median(seconds_of(device, lambda: agent.learn(rewarded))[0] for _ in range(REPEATS))
    if device.type == "cuda":
        report["update_peak_bytes"] = torch.cuda.max_memory_allocated()
    return report | {"update_tokens_per_second": tokens / learned}


def trl(options: Options) -> dict[str, Any]:
    if find_spec("trl") is None:
        return {"left_out": "TRL is not installed"}
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        command = [sys.executable, str(HERE / "grpo.py"), "--device", options.device, "--output", file.name]
        ended = subprocess.run(command + ["--small"] * options.small, capture_output=True, text=True)
        if ended.returncode != 0:
            raise RuntimeError(ended.stderr[-4000:])
        return dict(json.loads(Path(file.name).read_text()))


def training(options: Options) -> dict[str, Any]:
    agent = GRPOConfig(device=options.device)
    with tempfile.TemporaryDirectory() as folder:
        config = TrainConfig(output=Path(folder) / "run", agent=agent)
        if options.small:
            config = replace(
                config, steps=1, prompts_per_step=2, evaluation_problems=2, final_evaluation_problems=2,
                agent=replace(agent, max_completion_length=16),
            )  # fmt: skip
        summary = train(config)
    kept = ("steps", "success_before", "success_after", "success_difference_interval", "generated_tokens", "seconds")
    return {key: summary[key] for key in kept}


def run_part(part: Part, options: Options) -> dict[str, Any]:
    parts: dict[str, Callable[[Options], dict[str, Any]]] = {
        "tests": tests, "agreement": agreement, "trl": trl, "training": training
    }  # fmt: skip
    return parts[part](options) if part in parts else speed(part, options)


def run_apart(part: Part, options: Options) -> dict[str, Any]:
    """Runs a part in its own process."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        arguments = ["--output", file.name, "--device", options.device, "--parts", part]
        command = [sys.executable, __file__, *arguments, *["--small"] * options.small]
        started = perf_counter()
        try:
            ended = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            return {"failed": f"it took longer than {SECONDS} s"}
        if ended.returncode != 0:
            return {"failed": ended.stderr[-4000:]}
        return json.loads(Path(file.name).read_text()) | {"seconds_in_all": perf_counter() - started}


def main(options: Options) -> int:
    if options.device == "cuda" and not torch.cuda.is_available():
        print("no CUDA device: nothing to check", file=sys.stderr)
        return 2
    if len(options.parts) == 1:
        options.output.write_text(json.dumps(run_part(options.parts[0], options)))
        return 0
    name = torch.cuda.get_device_name() if options.device == "cuda" else "CPU"
    report: dict[str, Any] = {
        "device": name, "torch": torch.__version__, "transformers": transformers.__version__, "small": options.small
    }  # fmt: skip
    for part in options.parts:
        report[part] = run_apart(part, options)
        options.output.write_text(json.dumps(report, indent=2) + "\n")
        print(f"{part}: {json.dumps(report[part])}", flush=True)
    return int(any("failed" in report[part] for part in options.parts))


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options)))
