"""The sampler against ``generate`` and against teacher forcing, for several architectures."""

import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dumpgym.agents.embedded.model import build_tokenizer
from dumpgym.agents.grpo.sampling.sampler import Sampler
from dumpgym.agents.grpo.sampling.sheet import draw, uniform_numbers
from dumpgym.contracts.errors import InvalidValueError
from tests.fakes.tiny_models import CONFIGS, make

PROMPTS = [[5, 6, 7], [8], [9, 10, 11, 12, 13, 14], [5, 0, 3, 0]]


@pytest.fixture(params=CONFIGS, scope="module")
def model(request):
    return make(request.param)


@pytest.fixture(scope="module")
def llama():
    return make("llama")


def make_sampler(model, ends, **options):
    return Sampler(model, build_tokenizer([]), end_token_ids=ends, **options)


@torch.no_grad()
def teacher_forced(model, prompt, completion, temperature=1.0):
    """Log-probabilities of all tokens at each place of a completion, (tokens, vocabulary)."""
    logits = model(input_ids=torch.tensor([prompt + completion])).logits[0, len(prompt) - 1 : -1]
    return (logits.float() / temperature).log_softmax(-1)


def greedy(model, prompt, length, end):
    output = model.generate(
        input_ids=torch.tensor([prompt]),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
        do_sample=False,
        max_new_tokens=length,
        eos_token_id=end,
        pad_token_id=0,
    )
    return output[0, len(prompt) :].tolist()


def test_greedy_completions_are_those_of_generate(model):
    sampled = make_sampler(model, [3])(PROMPTS, 1, max_completion_lengths=[20] * 4, temperature=0)
    assert sampled.token_ids == [greedy(model, prompt, 20, 3) for prompt in PROMPTS]
    for prompt, completion, log_probs in zip(PROMPTS, sampled.token_ids, sampled.log_probs, strict=True):
        expected = teacher_forced(model, prompt, completion)[range(len(completion)), completion]
        torch.testing.assert_close(torch.tensor(log_probs), expected, atol=1e-4, rtol=0)


def test_tokens_and_log_probabilities_are_those_of_a_teacher_forced_pass(model):
    """The random numbers of every row are known, so every token can be drawn again from a full forward pass."""
    limits, group = [40, 4, 15, 9], 3
    sampled = make_sampler(model, [3, 4])(PROMPTS, group, max_completion_lengths=limits, temperature=1.3, key=(7, 2))
    uniform = torch.from_numpy(uniform_numbers((7, 2), range(12), 40))
    for row, completion in enumerate(sampled.token_ids):
        prompt, limit = PROMPTS[row // group], limits[row // group]
        log_probs = teacher_forced(model, prompt, completion, 1.3)
        assert draw(log_probs, uniform[row, : len(completion)]).tolist() == completion
        expected = log_probs[range(len(completion)), completion]
        torch.testing.assert_close(torch.tensor(sampled.log_probs[row]), expected, atol=1e-4, rtol=0)
        assert sampled.ended[row] == (completion[-1] in (3, 4))
        assert len(completion) == limit or sampled.ended[row]
        assert not {3, 4} & set(completion[:-1])


prompts = st.lists(st.lists(st.integers(0, 39), min_size=1, max_size=9), min_size=1, max_size=5)


@settings(max_examples=25)
@given(data=st.data(), prompts=prompts, size=st.integers(1, 3))
def test_a_row_depends_on_its_prompt_its_number_and_its_limit_alone(llama, data, prompts, size):
    limits = [data.draw(st.integers(1, 40)) for _ in prompts]
    sampler = make_sampler(llama, [3])
    together = sampler(prompts, size, max_completion_lengths=limits, key=(1, 0)).token_ids
    order = data.draw(st.permutations(range(len(prompts))))
    cut = data.draw(st.integers(0, len(prompts)))
    for part in (order[:cut], order[cut:]):
        apart = sampler(
            [prompts[i] for i in part],
            size,
            max_completion_lengths=[limits[i] for i in part],
            key=(1, 0),
            groups=part,
        )
        assert apart.token_ids == [together[i * size + k] for i in part for k in range(size)]


@settings(max_examples=25)
@given(data=st.data(), prompts=prompts, size=st.integers(1, 3))
def test_a_prompt_with_a_key_has_the_same_completions_in_every_batch_and_group(llama, data, prompts, size):
    sampler = make_sampler(llama, [3])
    keys = data.draw(st.permutations([0, 2**64 - 1, 7, 8, 9]))[: len(prompts)]
    together = sampler(prompts, 3, max_completion_lengths=[20] * len(prompts), prompt_keys=keys, key=(9, 9)).token_ids
    part = data.draw(st.permutations(range(len(prompts))))[: data.draw(st.integers(1, len(prompts)))]
    apart = sampler(
        [prompts[i] for i in part], size, max_completion_lengths=[20] * len(part), prompt_keys=[keys[i] for i in part]
    )
    assert apart.token_ids == [together[i * 3 + k] for i in part for k in range(size)]


def test_prompts_with_keys_draw_independently_of_each_other_and_of_the_streams(llama):
    options = {"max_completion_lengths": [20] * 2}
    same, other = [5, 6, 7], [(0, 0), (5, 0), (5, 2**63)]
    keyed = make_sampler(llama, [])([same, same], 2, prompt_keys=[5, 6], **options).token_ids
    streams = [make_sampler(llama, [])([same, same], 2, key=key, **options).token_ids for key in other]
    rows = [tuple(row) for rows in (keyed, *streams) for row in rows]
    assert len(set(rows)) == len(rows)


@settings(max_examples=25)
@given(limits=st.lists(st.integers(1, 12), min_size=4, max_size=4))
def test_a_lower_limit_cuts_a_completion_off_and_changes_nothing_else(llama, limits):
    sampler = make_sampler(llama, [3])
    whole = sampler(PROMPTS, 2, max_completion_lengths=[12] * 4).token_ids
    cut = sampler(PROMPTS, 2, max_completion_lengths=limits)
    expected = [whole[row][: limits[row // 2]] for row in range(8)]
    assert cut.token_ids == expected
    assert cut.ended == [row[-1] == 3 for row in expected]


def test_the_same_call_gives_the_same_bits_and_another_key_other_tokens(model):
    sampler = make_sampler(model, [3])
    first, second, other = (sampler(PROMPTS, 2, max_completion_lengths=[9] * 4, key=(0, k)) for k in (5, 5, 6))
    assert first == second
    assert first.token_ids != other.token_ids


def test_completions_follow_weights_that_change_in_place_and_weights_that_are_replaced():
    model = make("llama")
    sampler = make_sampler(model, [])
    options = {"max_completion_lengths": [12] * 4, "temperature": 0}
    before = sampler(PROMPTS, 1, **options).token_ids
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.neg_()
    in_place = sampler(PROMPTS, 1, **options).token_ids
    model.load_state_dict({name: weights.neg() for name, weights in model.state_dict().items()}, assign=True)
    assert before != in_place
    assert sampler(PROMPTS, 1, **options).token_ids == before


def test_stop_strings_end_a_completion_with_the_token_that_completes_them(llama):
    tokenizer = build_tokenizer([])
    free = make_sampler(llama, [])(PROMPTS, 3, max_completion_lengths=[30] * 4, key=(2, 0)).token_ids
    stops = [tokenizer.decode(free[0][4:7]), tokenizer.decode(free[5][9:10])]
    stopped = make_sampler(llama, [], stop_strings=stops)(PROMPTS, 3, max_completion_lengths=[30] * 4, key=(2, 0))
    for whole, ids, ended in zip(free, stopped.token_ids, stopped.ended, strict=True):
        texts = [tokenizer.decode(whole[: length + 1]) for length in range(30)]
        complete = [any(stop in text for stop in stops) for text in texts]
        assert ids == whole[: complete.index(True) + 1 if any(complete) else 30]
        assert ended == any(complete)
    assert set(stopped.ended) == {True, False}


def test_a_stop_string_at_the_very_limit_counts_as_an_end(llama):
    tokenizer = build_tokenizer([])
    free = make_sampler(llama, [])([[5, 6]], 1, max_completion_lengths=[1]).token_ids
    sampler = make_sampler(llama, [], stop_strings=[tokenizer.decode(free[0])])
    assert sampler([[5, 6]], 1, max_completion_lengths=[1]).ended == [True]


def test_a_prompt_may_hold_the_padding_token_and_the_end_token(llama):
    """Padding is told from text by lengths, so that a model whose pad token is its end token samples the same."""
    sampler = make_sampler(llama, [0])
    prompts = [[0], [0, 0, 7], [7, 8, 9, 10, 11]]
    completions = sampler(prompts, 1, max_completion_lengths=[20] * 3, temperature=0).token_ids
    assert completions == [greedy(llama, prompt, 20, 0) for prompt in prompts]


@pytest.mark.parametrize("name", ["llama", "gemma2", "gpt2", "lfm2"])
def test_bfloat16_gives_the_log_probabilities_of_bfloat16(name):
    model = make(name).to(torch.bfloat16)
    sampled = make_sampler(model, [3])(PROMPTS, 2, max_completion_lengths=[20] * 4)
    for row, (completion, log_probs) in enumerate(zip(sampled.token_ids, sampled.log_probs, strict=True)):
        expected = teacher_forced(model, PROMPTS[row // 2], completion)
        chosen = expected[range(len(completion)), completion]
        torch.testing.assert_close(torch.tensor(log_probs), chosen, atol=0.02 * float(-expected.min()), rtol=0)


def test_little_memory_makes_several_batches_and_the_same_completions(llama, monkeypatch):
    options = {"max_completion_lengths": [12, 5, 9, 12], "key": (3, 3)}
    at_once = make_sampler(llama, [3])(PROMPTS, 2, **options).token_ids
    monkeypatch.setattr("dumpgym.agents.grpo.sampling.sampler._memory_budget", lambda device: 1)
    assert make_sampler(llama, [3])(PROMPTS, 2, **options).token_ids == at_once


def test_no_prompts_have_no_completions(llama):
    assert make_sampler(llama, [3])([], 4, max_completion_lengths=[]).token_ids == []


def test_texts_beyond_a_change_of_positions_are_warned_of_once():
    """Phi-3 reads a text of more than 40 tokens, and all texts beside it, with other rotary frequencies."""
    sampler = make_sampler(make("phi3, longrope"), [])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sampler(PROMPTS, 1, max_completion_lengths=[20] * 4)
    with pytest.warns(UserWarning, match="texts may become longer than 40 tokens, where models of type phi3 change"):
        sampler(PROMPTS, 1, max_completion_lengths=[40] * 4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sampler(PROMPTS, 1, max_completion_lengths=[40] * 4)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((PROMPTS, 0), {"max_completion_lengths": [4] * 4}, "num_generations"),
        ((PROMPTS, 1), {"max_completion_lengths": [4] * 3}, "one a prompt, 4"),
        ((PROMPTS, 1), {"max_completion_lengths": [4, 4, 0, 4]}, "max_completion_lengths"),
        (([[5], []], 1), {"max_completion_lengths": [4] * 2}, "empty prompt at place 1"),
        ((PROMPTS, 1), {"max_completion_lengths": [4] * 4, "temperature": -0.5}, "temperature"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(llama, arguments, options, message):
    with pytest.raises(InvalidValueError, match=message):
        make_sampler(llama, [3])(*arguments, **options)
