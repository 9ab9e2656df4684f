"""Which token a row draws at a step, and what is kept of it."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerFast, StopStringCriteria


def uniform_numbers(key: tuple[int, int], rows: Sequence[int], length: int) -> NDArray[np.float32]:
    """Random numbers in [0, 1) by their address: the number of a row at a step depends on the key and these two alone.

    Args:
        key: of the stream, two non-negative numbers below 2 ** 64.
        rows: numbers of the rows.
        length: steps.

    Returns:
        (rows, length); a longer one begins with the same numbers. Philox is a function of key and counter (Salmon et
        al., "Parallel random numbers: as easy as 1, 2, 3", 2011), and the counters of two rows are 2 ** 128 apart.
    """
    numbers = np.empty((len(rows), length), dtype=np.float32)
    for place, row in enumerate(rows):
        bits = np.random.Philox(key=np.array(key, dtype=np.uint64), counter=np.array([0, 0, row, 0], dtype=np.uint64))
        np.random.Generator(bits).random(out=numbers[place], dtype=np.float32)
    return numbers


def draw(log_probs: Tensor, uniform: Tensor) -> Tensor:
    """Inverts the cumulative distribution.

    Args:
        log_probs: (rows, vocabulary), float32.
        uniform: numbers in [0, 1), (rows,).

    Returns:
        Token ids, (rows,), none of them impossible.
    """
    cumulative = log_probs.exp().cumsum(-1)
    # A number below one, times the total, rounds to less than the total, so there is always a token above it.
    threshold = uniform[:, None] * cumulative[:, -1:]
    token = torch.searchsorted(cumulative, threshold, right=True).clamp(max=log_probs.shape[-1] - 1)
    if not log_probs.is_cuda:
        return token.squeeze(-1)
    # Sums that a GPU adds up in parts need not be monotone to the last bit, and may seem to rise at a zero.
    possible = log_probs.gather(-1, token) > -torch.inf
    return torch.where(possible, token, log_probs.argmax(-1, keepdim=True)).squeeze(-1)


class Sheet:
    """What rows draw and have drawn. Its memory stays where it is when it is filled anew.

    Args:
        rows: how many completions there is room for; there is one row more, for batch rows that are nobody's.
        length: most tokens of a completion.
        ends: a completion ends with the first of its tokens or stop strings.
        device: of the model.
    """

    def __init__(self, rows: int, length: int, ends: "Ends", device: torch.device) -> None:
        self.tokens = torch.zeros(rows + 1, length, dtype=torch.long, device=device)
        self.log_probs = torch.zeros(rows + 1, length, device=device)
        self._uniform = torch.zeros(rows + 1, length, device=device)
        self._limits = torch.zeros(rows + 1, dtype=torch.long, device=device)
        self._stopped = torch.zeros_like(self._limits)  # tokens of the completion up to its first stop string
        self._temperature = torch.ones(1, device=device)
        self._ends, self._end_token_ids = ends, torch.tensor(list(ends.token_ids), dtype=torch.long, device=device)
        self.is_greedy = False

    @property
    def size(self) -> tuple[int, int]:
        """Completions and tokens for which there is room."""
        return len(self.tokens) - 1, self.tokens.shape[1]

    def fill(self, uniform: NDArray[np.float32], limits: Sequence[int], temperature: float) -> None:
        """Begins anew.

        Args:
            uniform: numbers in [0, 1), (completions, tokens).
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
        """Draws one token a row and notes it.

        Args:
            logits: (rows, vocabulary).
            rows: their places on the sheet, (rows,).
            step: number of the token, (1,).

        Returns:
            The tokens, and whether their rows go on as far as tokens and limits say, both (rows,).
        """
        log_probs = (logits.float() / self._temperature).log_softmax(-1)
        places = rows * self.size[1] + step
        token = logits.argmax(-1) if self.is_greedy else draw(log_probs, self._uniform.view(-1).index_select(0, places))
        self.tokens.view(-1).index_copy_(0, places, token)
        self.log_probs.view(-1).index_copy_(0, places, log_probs.gather(-1, token[:, None]).squeeze(-1))
        unfinished = (token[:, None] != self._end_token_ids).all(-1) & (self._limits.index_select(0, rows) > step + 1)
        return token, unfinished

    def stopped(self, rows: Tensor, first: int, last: int) -> Tensor | None:
        """Whether rows, (rows,), have met a stop string by the steps from first to before last; None without any."""
        criterion = self._ends.criterion
        if criterion is None:
            return None
        for length in range(first + 1, last + 1):
            tail = self.tokens[rows, max(0, length - criterion.maximum_token_len) : length]
            met = criterion(tail, None).to(rows.device)
            self._stopped[rows] = torch.where(met, self._stopped[rows].clamp(max=length), self._stopped[rows])
        return self._stopped[rows] <= last

    def completions(self, rows: int) -> tuple[list[list[int]], list[list[float]], list[bool]]:
        """The first so many completions: tokens, log-probabilities, and whether they ended by themselves."""
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
        token_ids: any of these.
        stop_strings: any of these, once they stand in the text in full.
        tokenizer: says which tokens spell them.
    """

    def __init__(
        self, token_ids: Sequence[int], stop_strings: Sequence[str], tokenizer: PreTrainedTokenizerFast
    ) -> None:
        self.token_ids = tuple(token_ids)
        self.criterion = StopStringCriteria(tokenizer, list(stop_strings)) if stop_strings else None
