"""One GRPO update: from completions and their rewards to optimiser steps.

The update first fixes, for a whole optimiser batch and over all processes, the weight of every token in the loss and
which completions have a gradient at all. Only then does it run the model. The loss is therefore a plain weighted sum
over tokens, and its gradient does not depend on how the tokens are divided into micro-batches or among processes.
Completions whose advantage is 0, as in groups whose rewards are all equal, are not forwarded, unless the penalty or the
entropy bonus gives them a gradient. What the loss leaves out of GRPO is listed in ``loss.py``.
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
"""Returns a context manager that provides the forward passes of the model as it was at the start of training."""


@dataclass(slots=True)
class Row:
    """One completion, with what the loss needs to know about it.

    Attributes:
        number: index of the completion in the batch, 0 to groups * num_generations - 1.
        group: index of its group in the batch.
        prompt: token ids of its prompt.
        completion: its token ids.
        advantage: its advantage within the group.
        counted: whether it takes part in the loss and in the denominators.
        weight: weight of each of its tokens in the loss.
        entropy_weight: weight of each of its tokens in the mean entropy.
        old_log_probs: log-probabilities under the model that sampled, (tokens,); None if they equal the current ones.
        reference_log_probs: log-probabilities under the reference, (tokens,); None without a penalty.
    """

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
    """The completions of one optimiser step.

    Attributes:
        share: the completions whose gradient this process computes; may be empty.
        has_gradient: whether any process has a completion with a gradient.
    """

    share: list[Row]
    has_gradient: bool


@dataclass(frozen=True, slots=True)
class Pass:
    """Some prompts after their forward pass, and their completions, which are forwarded one micro-batch at a time."""

    forward: ModelForward
    states: PromptStates
    numbers: dict[int, int]  # from the index of a group to the index of its prompt in ``states``
    micro_batches: list[list[Row]]

    def log_probs(self, rows: Sequence[Row]) -> tuple[Tensor, Tensor]:
        """Log-probabilities and entropies of the rows' tokens, each (tokens,)."""
        numbers = [self.numbers[row.group] for row in rows]
        return self.forward.log_probs(self.states, numbers, [row.completion for row in rows])


class Totals:
    """Sums over the tokens that were forwarded, by group.

    Args:
        groups: number of groups in the batch.
    """

    _ROWS = ("tokens", "loss", "entropy", "clip_ratio", "kl")

    def __init__(self, groups: int) -> None:
        self.sums = np.zeros((len(self._ROWS), groups))

    def add(
        self, rows: Sequence[Row], losses: Tensor, entropies: Tensor, clipped: Tensor, kl: Tensor
    ) -> NDArray[np.float64]:
        """Adds the tokens of some completions to the sums.

        Args:
            rows: the completions.
            losses: loss of each of their tokens, one completion after another, (tokens,).
            entropies: entropy at each token, (tokens,).
            clipped: whether each token was clipped, (tokens,).
            kl: estimate of the divergence at each token, (tokens,).

        Returns:
            The loss of each completion, (rows,).
        """
        # One transfer from the device for all five quantities, (5, tokens). Thousands are added up, hence float64.
        values = torch.stack([torch.ones_like(losses), losses, entropies, clipped.to(losses.dtype), kl])
        starts = np.cumsum([0, *(len(row.completion) for row in rows[:-1])])
        by_row = np.add.reduceat(values.detach().double().cpu().numpy(), starts, axis=1)
        for sums, values_of_rows in zip(self.sums, by_row, strict=True):
            np.add.at(sums, [row.group for row in rows], values_of_rows)
        of_rows: NDArray[np.float64] = by_row[self._ROWS.index("loss")]
        return of_rows

    def gather(self) -> dict[str, NDArray[np.float64]]:
        """Adds up the sums of all processes, each (groups,)."""
        return dict(zip(self._ROWS, np.sum(gather_over_processes(self.sums), axis=0), strict=True))


class GRPOUpdate:
    """Takes optimiser steps on a model.

    Args:
        config: settings of the agent.
        forward: forward passes of the model.
        optimizer: optimiser of the model's weights.
        reference: the reference for the divergence; unused if ``config.beta`` is 0.
    """

    def __init__(self, config: GRPOConfig, forward: ModelForward, optimizer: Optimizer, reference: Reference) -> None:
        self.config, self.forward, self.optimizer, self.reference = config, forward, optimizer, reference
        self.loss = GRPOLoss(config.loss_type, config.epsilon, config.epsilon_high, config.beta, config.entropy_coef)

    def __call__(self, rewarded: RewardedCompletions, learning_rate: float) -> Learned:
        """Takes ``num_iterations * mini_batches`` optimiser steps; mini-batches without any gradient are skipped.

        Args:
            rewarded: completions of ``groups`` prompts and their rewards, (groups, num_generations).
            learning_rate: learning rate of all these steps.

        Raises:
            NonFiniteError: if a loss or the gradient is not finite. The step in question is not taken.
        """
        config = self.config
        # 1. Advantages, (groups, num_generations), from the rewards of the whole batch; one row per completion.
        rows = _rows(rewarded, config)
        # 2. Optimiser batches: group g is in mini-batch g % mini_batches. A group is never split, so each step sees the
        #    better and the worse completions of a prompt together. All weights and shares are fixed here, before any
        #    forward pass: a denominator taken from a micro-batch would make the gradient depend on micro_batch_tokens.
        batches = [
            self._batch([row for row in rows if row.group % config.mini_batches == k])
            for k in range(config.mini_batches)
        ]
        # 3. Log-probabilities that the loss compares with, before the first step changes the model that sampled.
        self._compare([row for batch in batches for row in batch.share], rewarded.completions)
        # 4. The steps. One without a gradient in any process is skipped in all of them; AdamW would otherwise move the
        #    weights along its momentum and decay them.
        totals = Totals(len(rewarded.rewards))
        grad_norms = [
            self._optimizer_step(batch.share, totals, learning_rate)
            for _ in range(config.num_iterations)
            for batch in batches
            if batch.has_gradient
        ]
        return self._learned(totals.gather(), grad_norms, learning_rate)

    def _batch(self, rows: Sequence[Row]) -> OptimizerBatch:
        """Fixes the token weights of an optimiser batch, and divides its rows among the processes.

        Every process sees all rows and computes the same weights, so the denominators cover the whole optimiser batch
        without any message between processes. With weights fixed in advance, the loss of a micro-batch is a sum, and
        the sums of micro-batches and processes add up to the loss of the batch. Means do not: the mean of the means of
        two micro-batches with 10 and 1000 tokens gives a token of the first 100 times the weight of one of the second.
        """
        config = self.config
        lengths = np.array([len(row.completion) for row in rows], dtype=np.int64)
        counted = np.array([row.counted for row in rows], dtype=np.bool_)
        weights = token_weights(lengths, counted, config.loss_type, config.max_completion_length)
        for row, weight in zip(rows, weights.tolist(), strict=True):
            row.weight = weight
            row.entropy_weight = row.counted / max(1, int(lengths[counted].sum()))
        # The GRPO loss of a token is a multiple of its advantage. Where that is 0, so is the gradient, and a forward
        # pass would be wasted; where an arm is almost always solved, or almost never, that is most groups. These rows
        # still count in the denominators above: without them, the scale of the gradient would depend on how many groups
        # have equal rewards. The penalty and the entropy bonus do not depend on the advantage, so with either one every
        # counted row is forwarded.
        all_have_gradients = config.beta > 0 or config.entropy_coef > 0
        with_gradient = [row for row in rows if row.counted and (all_have_gradients or row.advantage != 0)]
        # Whole groups go to one process, which then forwards their prompt once; only groups with a gradient are dealt
        # out, so that the work is even.
        groups = sorted({row.group for row in with_gradient})
        mine = set(groups[process_index() :: num_processes()])
        return OptimizerBatch([row for row in with_gradient if row.group in mine], bool(groups))

    def _compare(self, rows: Sequence[Row], completions: Completions) -> None:
        """Fills in the log-probabilities that the loss compares with, (tokens,) for each row.

        The reference's are needed for the penalty. Those of the model that sampled are needed only if the batch takes
        more than one optimiser step: in the first and only step, the model is the one that sampled, every ratio is
        exactly 1, and ``_loss_tokens`` uses the current log-probabilities without gradient.
        """
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
        # In bfloat16 the old log-probabilities are recomputed, at the cost of a forward pass without gradient. Sampling
        # one token at a time and forwarding whole completions round differently, and bfloat16 holds a logit near 20 to
        # within 1/16 at best, about 6 % of a probability: ratios of the two would differ from 1, and be clipped, only
        # because of rounding. Old and new log-probabilities from the same kind of pass share most of their rounding. In
        # float32 the difference is negligible, and the log-probabilities that sampling recorded cost nothing.
        for row, values in self._log_probs(self.forward, rows):
            row.old_log_probs = values

    @torch.no_grad()
    def _log_probs(self, forward: ModelForward, rows: Sequence[Row]) -> Iterator[tuple[Row, Tensor]]:
        """Yields each row with the log-probabilities of its tokens, (tokens,), without gradient."""
        for one_pass in self._passes(forward, rows):
            for micro_batch in one_pass.micro_batches:
                log_probs, _ = one_pass.log_probs(micro_batch)
                yield from zip(micro_batch, log_probs.split([len(row.completion) for row in micro_batch]), strict=True)

    def _optimizer_step(self, share: Sequence[Row], totals: Totals, learning_rate: float) -> float:
        """Takes one optimiser step, and returns the norm of the gradient before clipping."""
        self.optimizer.zero_grad()
        non_finite: list[int] = []
        for one_pass in self._passes(self.forward, share):
            for rows in one_pass.micro_batches:
                # No padding from here on: the tokens of the rows follow one another in tensors of shape (tokens,).
                tokens = _loss_tokens(rows, *one_pass.log_probs(rows))
                losses, clipped, k3 = self.loss(tokens)
                # A sum, not a mean: the weights hold the denominators. This frees the activations of the micro-batch
                # and leaves gradients on the weights and on the keys and values of the prompts.
                losses.sum().backward()
                row_losses = totals.add(rows, losses, tokens.entropies, clipped, k3)
                non_finite += [row.group for row, loss in zip(rows, row_losses, strict=True) if not np.isfinite(loss)]
            # Once per prompt, not once per completion: backpropagation is linear in the incoming gradient, so the
            # gradients of all completions on a prompt's keys and values are added up and sent through it together.
            one_pass.states.backward()
        # A process with an empty share has run no pass, but still has to take part in the sum over processes.
        grad_norm = self.optimizer.gather()
        # Checked before the step, so that the weights survive. The norm is that of the summed gradient and the same in
        # all processes, so either all of them enter this branch, and gather in it, or none does.
        if not np.isfinite(grad_norm):
            groups = sorted({group for groups in gather_over_processes(non_finite) for group in groups})
            raise NonFiniteError("loss" if groups else "gradient", groups)
        self.optimizer.step(learning_rate)
        return grad_norm

    def _passes(self, forward: ModelForward, rows: Sequence[Row]) -> Iterator[Pass]:
        """Forwards prompts in chunks, and yields each chunk with its completions, cut into micro-batches.

        At most ``micro_batch_tokens`` tokens, padding included, are forwarded at a time: of prompts, (prompts, longest
        prompt), then of completions, (rows, longest completion). A prompt is forwarded once for all completions of its
        group: with 8 completions per group, this saves 7 of 8 prompt passes. The prompts of a chunk keep their
        activations until the last of its completions has been through the backward pass, so the limit applies to
        prompts as well. Micro-batches collect completions of similar length from all groups of a chunk, which keeps
        padding small.
        """
        by_group: dict[int, list[Row]] = {}
        for row in rows:
            by_group.setdefault(row.group, []).append(row)
        groups = list(by_group.values())
        limit = self.config.micro_batch_tokens
        for chunk in _cut(groups, [len(group[0].prompt) for group in groups], limit):
            mine = [row for group in chunk for row in group]
            # A model that cannot share prompts forwards each completion together with its prompt.
            lengths = [len(row.completion) + (0 if forward.shares_prompts else len(row.prompt)) for row in mine]
            states = forward.prompts([group[0].prompt for group in chunk])
            numbers = {group[0].group: i for i, group in enumerate(chunk)}
            yield Pass(forward, states, numbers, _cut(mine, lengths, limit))

    def _learned(
        self, sums: dict[str, NDArray[np.float64]], grad_norms: Sequence[float], learning_rate: float
    ) -> Learned:
        """The report of the update: means over all tokens that were forwarded, in all passes and mini-batches."""
        config = self.config
        tokens = sums["tokens"]
        known = ("clip_ratio", "kl") if config.beta > 0 else ("clip_ratio",)
        means = {name: float(sums[name].sum() / max(1.0, tokens.sum())) for name in ("entropy", *known)}
        # 0 / 0 gives NaN, "not known", for the groups that were not forwarded.
        with np.errstate(invalid="ignore"):
            by_group = {name: sums[name] / tokens for name in known} | {"num_tokens": tokens / config.num_iterations}
        # The losses of the mini-batches add up over all optimiser steps; their mean is reported.
        metrics = {
            "loss": float(sums["loss"].sum()) / (config.num_iterations * config.mini_batches),
            "grad_norm": float(np.mean(grad_norms)) if grad_norms else 0.0,
            "learning_rate": learning_rate,
        }
        return Learned(metrics | means, by_group)


def _cut(items: Sequence[Item], lengths: Sequence[int], limit: int) -> list[list[Item]]:
    """Puts items of similar length into batches of at most ``limit`` tokens with padding, or of one longer item."""
    batches: list[list[Item]] = []
    # In ascending order of length, so each new item is the longest of its batch and sets the padded width.
    for i in sorted(range(len(items)), key=lambda i: lengths[i]):
        if batches and (len(batches[-1]) + 1) * lengths[i] <= limit:
            batches[-1].append(items[i])
        else:
            batches.append([items[i]])
    return batches


def _rows(rewarded: RewardedCompletions, config: GRPOConfig) -> list[Row]:
    """One row per completion, (groups * num_generations,), with its advantage and not yet with its weights."""
    completions = rewarded.completions
    advantages = group_advantages(rewarded.rewards, config.scale_rewards)
    left_out = completions.truncated & config.mask_truncated_completions
    size = advantages.shape[1]
    return [
        Row(i, i // size, completions.prompt_ids[i // size], ids, float(advantages.flat[i]), not left_out.flat[i])
        for i, ids in enumerate(completions.token_ids)
    ]


def _loss_tokens(rows: Sequence[Row], log_probs: Tensor, entropies: Tensor) -> LossTokens:
    """The tokens of the rows, one row after another; ``log_probs`` and ``entropies`` have shape (tokens,)."""
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
