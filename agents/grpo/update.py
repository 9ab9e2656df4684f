"""One GRPO update: from completions and their rewards to optimiser steps.

What a sum over tokens is divided by, and which completions have a gradient at all, is settled for the whole optimiser
batch, over all processes, before anything is computed. So the gradient does not depend on how the work is cut up.
Completions without advantage, as in groups whose rewards are all equal, are not forwarded, unless a penalty or a bonus
gives them a gradient.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dumpgym.agents.grpo.config import GRPOConfig
from dumpgym.agents.grpo.forward import ModelForward, PromptStates
from dumpgym.agents.grpo.loss import GRPOLoss, LossTokens, group_advantages, token_weights
from dumpgym.agents.grpo.optimizer import Optimizer
from dumpgym.agents.grpo.processes import gather_over_processes, num_processes, process_index
from dumpgym.contracts.errors import NonFiniteError
from dumpgym.contracts.learner import Completions, Learned, RewardedCompletions

Item = TypeVar("Item")
Reference = Callable[[], AbstractContextManager[ModelForward]]
"""Forward passes of the model as it was at the start, within a ``with`` block."""


@dataclass(slots=True)
class Row:
    """One completion as the loss needs it; weights are those of each of its tokens, log-probabilities (tokens,)."""

    number: int
    group: int
    prompt: tuple[int, ...]
    completion: tuple[int, ...]
    advantage: float
    counted: bool
    weight: float = 0.0
    entropy_weight: float = 0.0
    old_log_probs: Tensor | None = None
    reference_log_probs: Tensor | None = None


@dataclass(frozen=True, slots=True)
class OptimizerBatch:
    """The completions behind one optimiser step.

    Attributes:
        share: those whose gradient this process computes.
        has_gradient: whether there are any in any process.
    """

    share: list[Row]
    has_gradient: bool


@dataclass(frozen=True, slots=True)
class Pass:
    """Some prompts that were forwarded, and the completions to forward on top of them, micro-batch by micro-batch."""

    forward: ModelForward
    states: PromptStates
    numbers: dict[int, int]  # which of the prompts belongs to a group
    micro_batches: list[list[Row]]

    def log_probs(self, rows: Sequence[Row]) -> tuple[Tensor, Tensor]:
        """Log-probabilities and entropies of the rows' tokens, (tokens,)."""
        numbers = [self.numbers[row.group] for row in rows]
        return self.forward.log_probs(self.states, numbers, [row.completion for row in rows])


class Totals:
    """Sums over the tokens that were forwarded, by group.

    Args:
        groups: in the batch.
    """

    _ROWS = ("tokens", "loss", "entropy", "clip_ratio", "kl")

    def __init__(self, groups: int) -> None:
        self.sums = np.zeros((len(self._ROWS), groups))

    def add(
        self, rows: Sequence[Row], losses: Tensor, entropies: Tensor, clipped: Tensor, kl: Tensor
    ) -> NDArray[np.float64]:
        """Counts the tokens of some completions, (tokens,), and returns the loss of each completion, (rows,)."""
        values = torch.stack([torch.ones_like(losses), losses, entropies, clipped.to(losses.dtype), kl])
        starts = np.cumsum([0, *(len(row.completion) for row in rows[:-1])])
        by_row = np.add.reduceat(values.detach().double().cpu().numpy(), starts, axis=1)
        for sums, values_of_rows in zip(self.sums, by_row, strict=True):
            np.add.at(sums, [row.group for row in rows], values_of_rows)
        of_rows: NDArray[np.float64] = by_row[self._ROWS.index("loss")]
        return of_rows

    def gather(self) -> dict[str, NDArray[np.float64]]:
        """The sums of all processes, each (groups,)."""
        return dict(zip(self._ROWS, np.sum(gather_over_processes(self.sums), axis=0), strict=True))


class GRPOUpdate:
    """Takes optimiser steps on a model.

    Args:
        config: see ``GRPOConfig``.
        forward: forward passes of the model.
        optimizer: of its weights.
        reference: for the divergence; not asked where ``config.beta`` is 0.
    """

    def __init__(self, config: GRPOConfig, forward: ModelForward, optimizer: Optimizer, reference: Reference) -> None:
        self.config, self.forward, self.optimizer, self.reference = config, forward, optimizer, reference
        self.loss = GRPOLoss(config.loss_type, config.epsilon, config.epsilon_high, config.beta, config.entropy_coef)

    def __call__(self, rewarded: RewardedCompletions, learning_rate: float) -> Learned:
        """Takes ``num_iterations * mini_batches`` optimiser steps, fewer where nothing has a gradient.

        Raises:
            NonFiniteError: if a loss or the gradient is not finite; the step in question was not taken.
        """
        config = self.config
        rows = _rows(rewarded, config)
        batches = [
            self._batch([row for row in rows if row.group % config.mini_batches == k])
            for k in range(config.mini_batches)
        ]
        self._compare([row for batch in batches for row in batch.share], rewarded.completions)
        totals = Totals(len(rewarded.rewards))
        grad_norms = [
            self._optimizer_step(batch.share, totals, learning_rate)
            for _ in range(config.num_iterations)
            for batch in batches
            if batch.has_gradient
        ]
        return self._learned(totals.gather(), grad_norms, learning_rate)

    def _batch(self, rows: Sequence[Row]) -> OptimizerBatch:
        """Weights the rows of an optimiser batch and divides them among the processes, by groups."""
        config = self.config
        lengths = np.array([len(row.completion) for row in rows], dtype=np.int64)
        counted = np.array([row.counted for row in rows], dtype=np.bool_)
        weights = token_weights(lengths, counted, config.loss_type, config.max_completion_length)
        for row, weight in zip(rows, weights.tolist(), strict=True):
            row.weight = weight
            row.entropy_weight = row.counted / max(1, int(lengths[counted].sum()))
        all_have = config.beta > 0 or config.entropy_coef > 0
        with_gradient = [row for row in rows if row.counted and (all_have or row.advantage != 0)]
        groups = sorted({row.group for row in with_gradient})
        mine = set(groups[process_index() :: num_processes()])
        return OptimizerBatch([row for row in with_gradient if row.group in mine], bool(groups))

    def _compare(self, rows: Sequence[Row], completions: Completions) -> None:
        """Fills in the log-probabilities of the reference, and of the model that sampled where it will have changed."""
        if self.config.beta > 0:
            with self.reference() as reference:
                for row, values in self._log_probs(reference, rows):
                    row.reference_log_probs = values
        if self.config.num_iterations * self.config.mini_batches == 1:
            return
        if completions.log_probs is not None and self.config.dtype == "float32":
            for row in rows:
                row.old_log_probs = torch.tensor(completions.log_probs[row.number], device=self.forward.model.device)
            return
        # In coarser formats sampling, token by token, rounds differently from a pass over whole completions.
        for row, values in self._log_probs(self.forward, rows):
            row.old_log_probs = values

    @torch.no_grad()
    def _log_probs(self, forward: ModelForward, rows: Sequence[Row]) -> Iterator[tuple[Row, Tensor]]:
        for one_pass in self._passes(forward, rows):
            for micro_batch in one_pass.micro_batches:
                log_probs, _ = one_pass.log_probs(micro_batch)
                yield from zip(micro_batch, log_probs.split([len(row.completion) for row in micro_batch]), strict=True)

    def _optimizer_step(self, share: Sequence[Row], totals: Totals, learning_rate: float) -> float:
        """Returns the norm of the gradient, before it was clipped."""
        self.optimizer.zero_grad()
        spoilt: list[int] = []
        for one_pass in self._passes(self.forward, share):
            for rows in one_pass.micro_batches:
                tokens = _loss_tokens(rows, *one_pass.log_probs(rows))
                losses, clipped, k3 = self.loss(tokens)
                losses.sum().backward()
                of_rows = totals.add(rows, losses, tokens.entropies, clipped, k3)
                spoilt += [row.group for row, loss in zip(rows, of_rows, strict=True) if not np.isfinite(loss)]
            one_pass.states.backward()
        grad_norm = self.optimizer.gather()
        if not np.isfinite(grad_norm):
            groups = sorted({group for groups in gather_over_processes(spoilt) for group in groups})
            raise NonFiniteError("loss" if groups else "gradient", groups)
        self.optimizer.step(learning_rate)
        return grad_norm

    def _passes(self, forward: ModelForward, rows: Sequence[Row]) -> Iterator[Pass]:
        """Cuts rows up so that at most ``micro_batch_tokens`` of prompts or of completions are forwarded at a time."""
        by_group: dict[int, list[Row]] = {}
        for row in rows:
            by_group.setdefault(row.group, []).append(row)
        groups = list(by_group.values())
        limit = self.config.micro_batch_tokens
        for chunk in _cut(groups, [len(group[0].prompt) for group in groups], limit):
            mine = [row for group in chunk for row in group]
            lengths = [len(row.completion) + (0 if forward.shares_prompts else len(row.prompt)) for row in mine]
            states = forward.prompts([group[0].prompt for group in chunk])
            numbers = {group[0].group: i for i, group in enumerate(chunk)}
            yield Pass(forward, states, numbers, _cut(mine, lengths, limit))

    def _learned(
        self, sums: dict[str, NDArray[np.float64]], grad_norms: Sequence[float], learning_rate: float
    ) -> Learned:
        config = self.config
        tokens = sums["tokens"]
        known = ("clip_ratio", "kl") if config.beta > 0 else ("clip_ratio",)
        means = {name: float(sums[name].sum() / max(1.0, tokens.sum())) for name in ("entropy", *known)}
        with np.errstate(invalid="ignore"):
            by_group = {name: sums[name] / tokens for name in known} | {"num_tokens": tokens / config.num_iterations}
        metrics = {
            "loss": float(sums["loss"].sum()) / (config.num_iterations * config.mini_batches),
            "grad_norm": float(np.mean(grad_norms)) if grad_norms else 0.0,
            "learning_rate": learning_rate,
        }
        return Learned(metrics | means, by_group)


def _cut(items: Sequence[Item], lengths: Sequence[int], limit: int) -> list[list[Item]]:
    """Items of similar length together, at most ``limit`` in all with their padding, at least one at a time."""
    batches: list[list[Item]] = []
    for i in sorted(range(len(items)), key=lambda i: lengths[i]):
        if batches and (len(batches[-1]) + 1) * lengths[i] <= limit:
            batches[-1].append(items[i])
        else:
            batches.append([items[i]])
    return batches


def _rows(rewarded: RewardedCompletions, config: GRPOConfig) -> list[Row]:
    completions = rewarded.completions
    advantages = group_advantages(rewarded.rewards, config.scale_rewards)
    left_out = completions.truncated & config.mask_truncated_completions
    size = advantages.shape[1]
    return [
        Row(i, i // size, completions.prompt_ids[i // size], ids, float(advantages.flat[i]), not left_out.flat[i])
        for i, ids in enumerate(completions.token_ids)
    ]


def _loss_tokens(rows: Sequence[Row], log_probs: Tensor, entropies: Tensor) -> LossTokens:
    lengths = [len(row.completion) for row in rows]

    def per_token(values: Sequence[float]) -> Tensor:
        return torch.tensor(np.repeat(values, lengths), dtype=torch.float32, device=log_probs.device)

    old = [row.old_log_probs for row in rows if row.old_log_probs is not None]
    reference = [row.reference_log_probs for row in rows if row.reference_log_probs is not None]
    return LossTokens(
        log_probs,
        entropies,
        torch.cat(old) if old else log_probs.detach(),
        torch.cat(reference) if reference else None,
        per_token([row.advantage for row in rows]),
        per_token([row.weight for row in rows]),
        per_token([row.entropy_weight for row in rows]),
        lengths,
    )
