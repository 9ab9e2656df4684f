"""Drawing tokens, and the record of what each row has drawn.

Each random number has an address: key, row and step. A stream that rows draw from in turn would give a completion other
tokens whenever the rest of the batch changes: when another row ends earlier, when memory allows fewer rows at a time,
when a run has more processes, or when rows are moved. With addresses, none of this matters, and a run that is resumed
needs no generator state, only the number of its next draw.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerFast, StopStringCriteria


def uniform_numbers(key: tuple[int, int], rows: Sequence[int], length: int) -> NDArray[np.float32]:
    """Random numbers in [0, 1), each a function of the key, the row and the step.

    They come from Philox, a generator that computes numbers from a key and a counter (Salmon et al., "Parallel random
    numbers: as easy as 1, 2, 3", 2011). The counters of two rows are at least 2 ** 128 apart, so rows never overlap.

    Args:
        key: key of the stream, two non-negative numbers below 2 ** 64.
        rows: numbers of the rows.
        length: number of steps.

    Returns:
        (rows, length), float32. A greater length begins with the same numbers.
    """
    numbers = np.empty((len(rows), length), dtype=np.float32)
    for place, row in enumerate(rows):
        bits = np.random.Philox(key=np.array(key, dtype=np.uint64), counter=np.array([0, 0, row, 0], dtype=np.uint64))
        np.random.Generator(bits).random(out=numbers[place], dtype=np.float32)
    return numbers


def draw(log_probs: Tensor, uniform: Tensor) -> Tensor:
    """Draws one token per row by inverting the cumulative distribution.

    Args:
        log_probs: (rows, vocabulary), float32.
        uniform: numbers in [0, 1), (rows,).

    Returns:
        Token ids, (rows,), none of them of probability 0.
    """
    cumulative = log_probs.exp().cumsum(-1)
    # The total is 1 except for rounding, and scaling by it corrects that. A number below 1, times the total, rounds to
    # less than the total, so some token's cumulative sum always exceeds it.
    threshold = uniform[:, None] * cumulative[:, -1:]
    token = torch.searchsorted(cumulative, threshold, right=True).clamp(max=log_probs.shape[-1] - 1)
    if not log_probs.is_cuda:
        return token.squeeze(-1)
    # A GPU adds up in parts, so its cumulative sums need not be monotone to the last bit and may rise at a token of
    # probability 0. Such a token is replaced by the most probable one.
    possible = log_probs.gather(-1, token) > -torch.inf
    return torch.where(possible, token, log_probs.argmax(-1, keepdim=True)).squeeze(-1)


class Sheet:
    """The random numbers that rows draw with, and the tokens they have drawn, by completion and step.

    The buffers keep their addresses when the sheet is filled again, so captured graphs stay valid.

    Args:
        rows: number of completions. The buffers have one row more, for batch rows that belong to no completion.
        length: most tokens of a completion.
        ends: what ends a completion.
        device: the model's device.
    """

    def __init__(self, rows: int, length: int, ends: "Ends", device: torch.device) -> None:
        self.tokens = torch.zeros(rows + 1, length, dtype=torch.long, device=device)
        self.log_probs = torch.zeros(rows + 1, length, device=device)
        self._uniform = torch.zeros(rows + 1, length, device=device)
        self._limits = torch.zeros(rows + 1, dtype=torch.long, device=device)
        self._stopped = torch.zeros_like(self._limits)  # tokens of a completion up to the end of its first stop string
        self._temperature = torch.ones(1, device=device)
        self._ends, self._end_token_ids = ends, torch.tensor(list(ends.token_ids), dtype=torch.long, device=device)
        self.is_greedy = False

    @property
    def size(self) -> tuple[int, int]:
        """Largest numbers of completions and of tokens per completion."""
        return len(self.tokens) - 1, self.tokens.shape[1]

    def fill(self, uniform: NDArray[np.float32], limits: Sequence[int], temperature: float) -> None:
        """Prepares the sheet for new completions.

        Args:
            uniform: random numbers in [0, 1), (completions, tokens).
            limits: most tokens of each completion.
            temperature: divides the logits; 0 takes the most probable token.
        """
        rows, length = uniform.shape
        self._uniform[:rows, :length] = torch.from_numpy(uniform).to(self._uniform.device)
        self._limits[:rows] = torch.tensor(list(limits), device=self._limits.device)
        self._stopped.fill_(torch.iinfo(torch.long).max)
        self.is_greedy = temperature == 0
        self._temperature.fill_(temperature or 1.0)

    def take(self, logits: Tensor, rows: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
        """Draws one token per row and records it.

        Args:
            logits: logits of the next token, (rows, vocabulary).
            rows: the rows' places on the sheet, (rows,).
            step: step of the token, (1,), on the device.

        Returns:
            The tokens, and whether their rows are unfinished as far as end tokens and limits decide, both (rows,).
        """
        # Everything stays on the device, since a captured graph cannot read a value. The recorded log-probability comes
        # from the same tensor as the draw, so it is exactly that of the distribution that was sampled from.
        log_probs = (logits.float() / self._temperature).log_softmax(-1)
        places = rows * self.size[1] + step
        token = logits.argmax(-1) if self.is_greedy else draw(log_probs, self._uniform.view(-1).index_select(0, places))
        self.tokens.view(-1).index_copy_(0, places, token)
        self.log_probs.view(-1).index_copy_(0, places, log_probs.gather(-1, token[:, None]).squeeze(-1))
        unfinished = (token[:, None] != self._end_token_ids).all(-1) & (self._limits.index_select(0, rows) > step + 1)
        return token, unfinished

    def stopped(self, rows: Tensor, first: int, last: int) -> Tensor | None:
        """Whether rows have completed a stop string; not part of a captured step.

        Args:
            rows: the rows' places on the sheet, (rows,).
            first: first step that has not been checked yet.
            last: step after the last one to check.

        Returns:
            (rows,), or None if there are no stop strings.
        """
        criterion = self._ends.criterion
        if criterion is None:
            return None
        for length in range(first + 1, last + 1):
            tail = self.tokens[rows, max(0, length - criterion.maximum_token_len) : length]
            met = criterion(tail, None).to(rows.device)
            self._stopped[rows] = torch.where(met, self._stopped[rows].clamp(max=length), self._stopped[rows])
        return self._stopped[rows] <= last

    def completions(self, rows: int) -> tuple[list[list[int]], list[list[float]], list[bool]]:
        """The first completions on the sheet.

        Args:
            rows: number of completions.

        Returns:
            Token ids and log-probabilities of each completion, and whether it ended before or at its limit by an end
            token or a stop string. Tokens that a row drew after its end are cut off here.
        """
        tokens, log_probs = self.tokens[:rows].cpu().numpy(), self.log_probs[:rows].cpu().numpy()
        limits, stopped = self._limits[:rows].cpu().numpy(), self._stopped[:rows].cpu().numpy()
        is_end = np.isin(tokens, self._ends.token_ids)
        ends = np.where(is_end.any(1), is_end.argmax(1) + 1, np.iinfo(np.int64).max)
        by_itself = np.minimum(ends, stopped)
        lengths = np.minimum(by_itself, limits)
        return (
            [row[:length].tolist() for row, length in zip(tokens, lengths, strict=True)],
            [row[:length].tolist() for row, length in zip(log_probs, lengths, strict=True)],
            (by_itself <= limits).tolist(),
        )


class Ends:
    """What ends a completion.

    Args:
        token_ids: tokens that end a completion.
        stop_strings: texts that end a completion, with the token that completes them.
        tokenizer: the model's tokenizer, which knows how its tokens are spelt.
    """

    def __init__(
        self, token_ids: Sequence[int], stop_strings: Sequence[str], tokenizer: PreTrainedTokenizerFast
    ) -> None:
        self.token_ids = tuple(token_ids)
        self.criterion = StopStringCriteria(tokenizer, list(stop_strings)) if stop_strings else None
