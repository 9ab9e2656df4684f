"""Sampling from any causal language model.

The random numbers of a completion are a function of a key, a row number and the step. They do not depend on the other
rows of the batch, on the order in which rows end, or on the number of processes (``sheet.py``). If every prompt has its
own key, they do not depend on the call either: a prompt is completed with the same numbers whenever it returns.

The sampler runs a model in the fastest way that works for it, and finds out by a trial which ways work: a decoder is
used if the tokens that it draws in a small trial have the log-probabilities that a plain forward pass over the same
texts gives them. A list of supported model types would be out of date with each release of transformers.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from dumpgym.agents.grpo.model_inputs import UNSUITED, rotary_boundary, vocabulary_size
from dumpgym.agents.grpo.sampling.graphs import CudaCapture
from dumpgym.agents.grpo.sampling.llama import LlamaDecoder
from dumpgym.agents.grpo.sampling.plain import FullPassDecoder, PlainDecoder
from dumpgym.agents.grpo.sampling.shared import SharedPromptDecoder
from dumpgym.agents.grpo.sampling.sheet import Ends, Sheet, uniform_numbers
from dumpgym.agents.grpo.sampling.static import ON_CPU, ON_CUDA, StaticDecoder
from dumpgym.contracts.errors import InvalidValueError

Decoder = Callable[[Sequence[Sequence[int]], int, NDArray[np.float32], Sequence[int], float], Sheet]

# Second half of the keys of prompts. The other streams count their calls in it, or have 2 ** 63 there (``agent.py``).
_OF_A_PROMPT = 2**63 + 1
_PROBE_LENGTHS = (3, 7, 5)
# Limits of two completions per prompt. Rows end at different steps, the first at once, so the trial also moves rows.
_PROBE_LIMITS = (1, 4, 4, 3, 4, 2)


@dataclass(frozen=True, slots=True)
class Sampled:
    """Completions, one group after another, (prompts * num_generations,).

    Attributes:
        token_ids: token ids of each completion, with its end token unless it was cut off.
        log_probs: log-probability of each of these tokens, at the sampling temperature, or at temperature 1 if greedy.
        ended: whether each completion ended with an end token or a stop string; the others were cut off at their limit.
    """

    token_ids: list[list[int]]
    log_probs: list[list[float]]
    ended: list[bool]


class Sampler:
    """Completes prompts.

    Args:
        model: a causal language model in evaluation mode. Its weights may change between calls.
        tokenizer: the model's tokenizer.
        end_token_ids: a completion ends with the first of these.
        stop_strings: a completion also ends with the token that completes the first of these.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        *,
        end_token_ids: Sequence[int],
        stop_strings: Sequence[str] = (),
    ) -> None:
        self._model, self._ends = model, Ends(end_token_ids, stop_strings, tokenizer)
        self._boundary = rotary_boundary(model)  # None once the user is warned
        self._decoder: Decoder | None = None
        self._memory: tuple[int, ...] = ()  # addresses of the parameters when the decoder was made

    @torch.no_grad()
    def prepare(self) -> None:
        """Finds out how to run the model, which otherwise happens in the first call.

        Raises:
            InvalidValueError: if no way gives the log-probabilities of a plain forward pass.
        """
        self._current_decoder()

    @torch.no_grad()
    def __call__(
        self,
        prompt_ids: Sequence[Sequence[int]],
        num_generations: int,
        *,
        max_completion_lengths: Sequence[int],
        temperature: float = 1.0,
        key: tuple[int, int] = (0, 0),
        groups: Sequence[int] | None = None,
        prompt_keys: Sequence[int] | None = None,
    ) -> Sampled:
        """Completes each prompt ``num_generations`` times.

        Args:
            prompt_ids: token ids of each prompt, none of them empty.
            num_generations: completions per prompt.
            max_completion_lengths: most tokens in a completion of each prompt, the end token included.
            temperature: divides the logits; 0 takes the most probable token.
            key: key of the random numbers; see ``uniform_numbers``.
            groups: group number of each prompt, by default 0, 1, ... Completion k of group g draws the random numbers
                of row ``g * num_generations + k``.
            prompt_keys: a key for every prompt instead of ``key`` and ``groups``, below 2 ** 64. Completion k of a
                prompt draws the random numbers of row k of the prompt's key.

        Raises:
            InvalidValueError: if a prompt is empty, a limit is below 1, or the numbers of limits and prompts differ.
        """
        _check(prompt_ids, num_generations, max_completion_lengths, temperature)
        numbers = range(len(prompt_ids)) if groups is None else groups
        if not prompt_ids:
            return Sampled([], [], [])
        self._warn_beyond_boundary(max(len(ids) + n for ids, n in zip(prompt_ids, max_completion_lengths, strict=True)))
        decoder = self._current_decoder()
        found: dict[int, tuple[list[int], list[float], bool]] = {}
        for wave in self._waves(prompt_ids, num_generations, max_completion_lengths):
            limits = [max_completion_lengths[i] for i in wave for _ in range(num_generations)]
            if prompt_keys is None:
                rows = [numbers[i] * num_generations + k for i in wave for k in range(num_generations)]
                uniform = uniform_numbers(key, rows, max(limits))
            else:
                keys = [(prompt_keys[i], _OF_A_PROMPT) for i in wave]
                uniform = np.concatenate([uniform_numbers(k, range(num_generations), max(limits)) for k in keys])
            sheet = decoder([prompt_ids[i] for i in wave], num_generations, uniform, limits, temperature)
            places = (i * num_generations + k for i in wave for k in range(num_generations))
            found |= zip(places, zip(*sheet.completions(len(limits)), strict=True), strict=True)
        in_order = [found[place] for place in range(len(found))]
        return Sampled([row[0] for row in in_order], [row[1] for row in in_order], [row[2] for row in in_order])

    def _warn_beyond_boundary(self, longest: int) -> None:
        # Neither refused nor corrected: such models read long texts in this way wherever they run, and the difference,
        # about .1 in a log-probability near the boundary, is within what GRPO's clipping allows.
        if self._boundary is not None and longest > self._boundary:
            warnings.warn(
                f"texts may become longer than {self._boundary} tokens, where models of type "
                f"{self._model.config.model_type} change the positions of all tokens: log-probabilities of sampling "
                "and of training then differ, and a completion depends on the other texts of its batch",
                UserWarning,
                stacklevel=3,
            )
            self._boundary = None

    def _waves(
        self, prompt_ids: Sequence[Sequence[int]], num_generations: int, limits: Sequence[int]
    ) -> Iterator[list[int]]:
        """Yields the prompts to complete together: of similar length, and as many as there is memory for."""
        room = _memory_budget(self._model.device) // (bytes_per_token(self._model) * num_generations)
        wave: list[int] = []
        for i in sorted(range(len(prompt_ids)), key=lambda i: -len(prompt_ids[i])):
            widest = len(prompt_ids[(wave or [i])[0]]) + max(limits[j] for j in [*wave, i])
            if wave and (len(wave) + 1) * widest > room:
                yield wave
                wave = []
            wave.append(i)
        if wave:
            yield wave

    def _current_decoder(self) -> Decoder:
        # Captured graphs hold the addresses of the weights, so weights that moved need a new decoder. Their values may
        # change.
        memory = tuple(parameter.data_ptr() for parameter in self._model.parameters())
        if self._decoder is None or memory != self._memory:
            self._decoder = self._fitting_decoder()
            self._memory = memory
        return self._decoder

    def _fitting_decoder(self) -> Decoder:
        """The fastest decoder whose log-probabilities agree with those of a plain forward pass."""
        # Every trial runs without CUDA graphs: it tests masks, positions and memory, and a graph only repeats the step.
        on_cuda = self._model.device.type == "cuda"
        for kind in () if on_cuda else (LlamaDecoder, SharedPromptDecoder):
            if self._agrees(lambda kind=kind: kind(self._model, self._ends, ON_CPU)):  # type: ignore[misc]
                return kind(self._model, self._ends, ON_CPU)
        layout, capture = (ON_CUDA, CudaCapture()) if on_cuda else (ON_CPU, None)
        if self._agrees(lambda: StaticDecoder(self._model, self._ends, layout)):
            return StaticDecoder(self._model, self._ends, layout, capture=capture)
        for pads in (True, False):
            if self._agrees(lambda pads=pads: PlainDecoder(self._model, self._ends, pads=pads)):  # type: ignore[misc]
                return PlainDecoder(self._model, self._ends, pads=pads)
        if self._agrees(lambda: FullPassDecoder(self._model, self._ends)):
            return FullPassDecoder(self._model, self._ends)
        accepted = "a causal language model, in which no token depends on later ones or on other texts of the batch"
        raise InvalidValueError("model", self._model.config.model_type, accepted)

    def _agrees(self, make: Callable[[], Decoder]) -> bool:
        """Whether a decoder reports the log-probabilities that a plain forward pass gives to the tokens it drew.

        Waiting for an exception is not enough. A model that ignores a mask, or counts positions in its own way, raises
        nothing: the decoder samples from a slightly wrong distribution, and its log-probabilities are those of that
        distribution. So each completion is compared with a pass over that one text, without cache, mask or padding,
        which uses none of the mechanisms under test.
        """
        vocabulary, rng = vocabulary_size(self._model), np.random.default_rng(0)
        prompts = [rng.integers(vocabulary, size=length).tolist() for length in _PROBE_LENGTHS]
        uniform, limits = rng.random((2 * len(prompts), max(_PROBE_LIMITS)), dtype=np.float32), _PROBE_LIMITS
        try:
            tokens, log_probs, _ = make()(prompts, 2, uniform, limits, 1.0).completions(len(limits))
        except UNSUITED:
            return False
        for row, (completion, values) in enumerate(zip(tokens, log_probs, strict=True)):
            prompt = prompts[row // 2]
            ids = torch.tensor([prompt + completion], device=self._model.device)
            logits = self._model(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 : -1].float()
            expected = logits.log_softmax(-1).gather(-1, ids[0, len(prompt) :, None]).squeeze(-1)
            error = (expected - torch.tensor(values, device=expected.device)).abs().max()
            # Rounding errors of logits grow with the logits. ``not <=`` also rejects NaN.
            tolerance = 1e-4 if self._model.dtype == torch.float32 else 3e-2
            if not error <= tolerance * max(1.0, float(logits.abs().max())):
                return False
        return True


def _check(
    prompt_ids: Sequence[Sequence[int]], num_generations: int, limits: Sequence[int], temperature: float
) -> None:
    if num_generations < 1:
        raise InvalidValueError("num_generations", num_generations, "a positive number")
    if not temperature >= 0:
        raise InvalidValueError("temperature", temperature, "0 or more")
    if len(limits) != len(prompt_ids):
        raise InvalidValueError("number of max_completion_lengths", len(limits), f"one a prompt, {len(prompt_ids)}")
    for number, (prompt, limit) in enumerate(zip(prompt_ids, limits, strict=True)):
        if limit < 1:
            raise InvalidValueError("max_completion_lengths", limit, "at least one token for each prompt")
        if len(prompt) == 0:
            raise InvalidValueError("prompt_ids", f"an empty prompt at place {number}", "at least one token in each")


def bytes_per_token(model: PreTrainedModel) -> int:
    """Bytes of the keys and values of one token, estimated from the model's configuration."""
    config: Any = model.config.get_text_config()
    # Layers may differ in the sizes of their heads; transformers then has a configuration for each layer.
    layers = getattr(config, "per_layer_config", None) or [config] * int(config.num_hidden_layers)
    return 2 * sum(map(_elements_per_token, layers)) * model.dtype.itemsize


def _elements_per_token(config: Any) -> int:
    """Elements of the keys of one token in one layer, the same number as those of its values."""
    heads = int(getattr(config, "num_attention_heads", None) or 1)
    key_heads = int(getattr(config, "num_key_value_heads", None) or heads)
    return key_heads * int(getattr(config, "head_dim", None) or config.hidden_size // heads)


def _memory_budget(device: torch.device) -> int:
    """Bytes that keys and values may occupy: a third of a GPU's memory, or 4 GiB on a CPU."""
    return torch.cuda.get_device_properties(device).total_memory // 3 if device.type == "cuda" else 4 * 2**30
