"""A short supervised start for SmolLM2: what an answer looks like, before reinforcement learning.

    python experiments/smollm2/warm_start.py --output runs/smollm2/adapter

A LoRA adapter learns brief solutions of puzzles of 2 to 4 people: every statement in the form of our worked solutions,
then the answer, without the search between them. The model cannot find the answer without the search, but it learns to
read, to answer in the format, and to guess well. The loss is logged. The adapter is written every 50 steps and at the
end, and GRPO continues from it with ``--agent.model``.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import torch
import tyro
from convert import convert
from torch.nn.functional import cross_entropy

from dumpgym.agents.grpo.models import load_model, new_adapter, render_prompt
from dumpgym.agents.grpo.saving import follow_umask
from dumpgym.contracts.errors import DumpgymError
from dumpgym.envs.knights_knaves.language.worked_solution import worked_solution
from dumpgym.envs.knights_knaves.problems import PuzzleSettings, locate

PEOPLE = (2, 3, 4)
SEED = 1000  # far from the seeds of training runs, so none of them draws these puzzles again


@dataclass(frozen=True)
class Options:
    base: Path = Path("runs/smollm2/base")
    output: Path = Path("runs/smollm2/adapter")
    steps: int = 150
    batch: int = 8
    lora_rank: int = 16
    learning_rate: float = 5e-4
    threads: int = 2


def brief_solution(num_people: int, index: int) -> tuple[str, str]:
    """A prompt and its brief solution, as texts."""
    block, row = locate(PuzzleSettings(num_people=num_people), SEED, "train", index)
    lines = worked_solution(block.puzzles.puzzle(row), block.wording.people(row)).split("\n")
    # The lines are <think>, one for every statement, the search, </think>, and the answer.
    return block.prompts[row], "\n".join([*lines[: 1 + num_people], *lines[-2:]])


def batches(tokenizer, options: Options) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Token ids, mask and targets of batches, each (batch, width); -100 marks tokens without a loss.

    A batch has puzzles of one size, and the sizes take turns.
    """
    for step in range(options.steps):
        num_people, first = PEOPLE[step % len(PEOPLE)], step // len(PEOPLE) * options.batch
        rows = []
        for index in range(first, first + options.batch):
            prompt, solution = brief_solution(num_people, index)
            start = tokenizer(render_prompt(tokenizer, prompt), add_special_tokens=False)["input_ids"]
            end = [*tokenizer(solution, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
            rows.append((start, end))
        width = max(len(start) + len(end) for start, end in rows)
        ids = torch.zeros(len(rows), width, dtype=torch.long)
        mask, targets = torch.zeros_like(ids), torch.full_like(ids, -100)
        for i, (start, end) in enumerate(rows):
            length = len(start) + len(end)
            ids[i, :length], mask[i, :length] = torch.tensor(start + end), 1
            targets[i, len(start) : length] = torch.tensor(end)
        yield ids, mask, targets


def main(options: Options) -> None:
    torch.set_num_threads(options.threads)
    base, tokenizer = load_model(str(convert(options.base)), torch.bfloat16)
    model = new_adapter(base, options.lora_rank, seed=0)
    trained = [p for p in model.parameters() if p.requires_grad]
    for parameter in trained:
        parameter.data = parameter.data.float()
    optimizer = torch.optim.AdamW(trained, lr=options.learning_rate, betas=(0.9, 0.95), weight_decay=0.0)
    options.output.mkdir(parents=True, exist_ok=True)
    with (options.output / "loss.jsonl").open("w") as log:
        for step, (ids, mask, targets) in enumerate(batches(tokenizer, options), start=1):
            started = perf_counter()
            for group in optimizer.param_groups:
                group["lr"] = options.learning_rate * min(1, step / 10) * (1 - step / (options.steps + 1))
            hidden = base.model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state[:, :-1]
            chosen = targets[:, 1:] != -100  # the vocabulary is large, so logits are computed for targets only
            loss = cross_entropy(base.lm_head(hidden[chosen]).float(), targets[:, 1:][chosen])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            optimizer.zero_grad()
            record = {"step": step, "loss": round(loss.item(), 4), "tokens": int(mask.sum())}
            log.write(json.dumps(record | {"seconds": round(perf_counter() - started, 2)}) + "\n")
            log.flush()
            if step % 50 == 0 or step == options.steps:
                model.save_pretrained(options.output)
                tokenizer.save_pretrained(options.output)
                follow_umask(options.output)
    print(options.output)


if __name__ == "__main__":
    try:
        main(tyro.cli(Options))
    except DumpgymError as error:
        sys.exit(str(error))
