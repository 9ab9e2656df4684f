"""Static memory on both layouts, with CUDA's graphs replaced by recordings that replay on the CPU."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from torch.utils._python_dispatch import TorchDispatchMode

from dumpgym.agents.embedded.model import build_tokenizer
from dumpgym.agents.grpo.model_inputs import UNSUITED
from dumpgym.agents.grpo.sampling.graphs import Graphs
from dumpgym.agents.grpo.sampling.llama import LlamaDecoder
from dumpgym.agents.grpo.sampling.sampler import Sampler
from dumpgym.agents.grpo.sampling.shared import SharedPromptDecoder
from dumpgym.agents.grpo.sampling.sheet import Ends, draw, uniform_numbers
from dumpgym.agents.grpo.sampling.static import ON_CPU, ON_CUDA, StaticDecoder
from tests.fakes.tiny_models import make

MODELS = ("llama", "gemma2", "gemma3", "mistral", "gpt2")
PROMPTS = [[9, 10, 11, 12, 13, 14], [5, 0, 3, 0], [5, 6, 7], [8]]
SMALL_BUCKETS = replace(ON_CUDA, row_buckets=(1, 2, 3, 5, 8, 12), column_step=8, check_every=4)


class Recording:
    """What a CUDA graph does, on the CPU: the operations of a step, once recorded, run again on the same memory."""

    def __init__(self):
        self.recorded = self.replayed = 0

    def warm_up(self, step):
        step()

    def capture(self, step):
        with _Recorder() as recorder:
            step()  # which has run by now, whereas a capture runs nothing: the first replay is left out
        self.recorded += 1
        replays = iter([lambda: None])

        def replay():
            self.replayed += 1
            next(replays, recorder.replay)()

        return replay


class _Recorder(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.operations = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function is torch.ops.aten._local_scalar_dense.default:
            raise RuntimeError("operation not permitted when stream is capturing")
        output = function(*args, **(kwargs or {}))
        self.operations.append((function, args, kwargs or {}, output))
        return output

    def replay(self):
        for function, args, kwargs, output in self.operations:
            again = function(*args, **kwargs)
            for before, now in zip(_tensors(output), _tensors(again), strict=True):
                if before.data_ptr() != now.data_ptr():  # neither a view nor in place
                    before.copy_(now)


def _tensors(output):
    return [x for x in (output if isinstance(output, tuple | list) else [output]) if isinstance(x, torch.Tensor)]


class Unable:
    def warm_up(self, step):
        step()

    def capture(self, step):
        raise RuntimeError("operation not permitted\nwhen stream is capturing")


@pytest.fixture(params=MODELS, scope="module")
def model(request):
    return make(request.param)


@pytest.fixture(scope="module")
def llama():
    return make("llama")


def ends_with(*token_ids, stop_strings=()):
    return Ends(token_ids, stop_strings, build_tokenizer([]))


@torch.no_grad()
def sample(decoder, prompts=PROMPTS, size=3, limits=(30, 30, 12, 30), temperature=1.0, key=(1, 1)):
    uniform = uniform_numbers(key, range(len(prompts) * size), max(limits))
    every = [limit for limit in limits for _ in range(size)]
    return decoder(prompts, size, uniform, every, temperature).completions(len(every))


@torch.no_grad()
def assert_teacher_forced(model, token_ids, log_probs, size, key):
    uniform = torch.from_numpy(uniform_numbers(key, range(len(token_ids)), max(map(len, token_ids))))
    for row, (completion, values) in enumerate(zip(token_ids, log_probs, strict=True)):
        prompt = PROMPTS[row // size]
        expected = model(input_ids=torch.tensor([prompt + completion])).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
        assert draw(expected, uniform[row, : len(completion)]).tolist() == completion
        chosen = expected[range(len(completion)), completion]
        torch.testing.assert_close(torch.tensor(values), chosen, atol=1e-4, rtol=0)


@pytest.mark.parametrize("layout", [ON_CPU, ON_CUDA, SMALL_BUCKETS], ids=["cpu", "cuda", "small buckets"])
def test_static_memory_gives_what_a_teacher_forced_pass_gives(model, layout):
    token_ids, log_probs, _ = sample(StaticDecoder(model, ends_with(3), layout))
    assert_teacher_forced(model, token_ids, log_probs, 3, (1, 1))


def test_replayed_steps_give_what_a_teacher_forced_pass_gives(model):
    capture = Recording()
    decoder = StaticDecoder(model, ends_with(3), SMALL_BUCKETS, capture=capture)
    for key in ((1, 1), (2, 1), (3, 1)):
        token_ids, log_probs, _ = sample(decoder, key=key)
        assert_teacher_forced(model, token_ids, log_probs, 3, key)
    assert capture.replayed > 3 * capture.recorded > 0


def test_a_recording_serves_other_prompts_limits_temperatures_and_weights():
    model, capture = make("llama"), Recording()
    captured = StaticDecoder(model, ends_with(3), SMALL_BUCKETS, capture=capture)
    for number in range(3):
        sample(captured, key=(number, 0))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0.8)
    for options in ({"temperature": 0.7}, {"temperature": 0}, {"prompts": [[1, 2], [4]], "size": 5, "limits": (9, 7)}):
        fresh = StaticDecoder(model, ends_with(3), SMALL_BUCKETS)
        assert sample(captured, **options)[0] == sample(fresh, **options)[0]


def test_more_rows_or_longer_texts_take_new_memory_and_new_recordings(llama):
    decoder = StaticDecoder(llama, ends_with(3), SMALL_BUCKETS, capture=Recording())
    for size, limits in ((1, (6, 6, 6, 6)), (3, (30, 30, 12, 30)), (2, (60, 6, 6, 50)), (1, (6, 6, 6, 6))):
        fresh = StaticDecoder(llama, ends_with(3), ON_CPU)
        assert sample(decoder, size=size, limits=limits)[0] == sample(fresh, size=size, limits=limits)[0]


def test_steps_that_cannot_be_captured_run_one_by_one_with_a_warning_that_names_the_model(llama):
    decoder = StaticDecoder(llama, ends_with(3), SMALL_BUCKETS, capture=Unable())
    with pytest.warns(UserWarning, match="type llama cannot be captured .* not permitted when stream"):
        token_ids, log_probs, _ = sample(decoder)
    assert_teacher_forced(llama, token_ids, log_probs, 3, (1, 1))
    assert sample(decoder)[0] == token_ids  # and warns once


def test_a_step_is_warmed_up_then_captured_then_replayed():
    done = []

    class Noted:
        def warm_up(self, step):
            done.append("warm-up")
            step()

        def capture(self, step):
            done.append("capture")
            return lambda: done.append("replay")

    graphs = Graphs(Noted(), "any")
    for _ in range(3):
        graphs.run("a", lambda: done.append("step"))
    assert done == ["warm-up", "step", "capture", "replay", "replay"]


@pytest.mark.parametrize("check_every", [1, 4, 8])
def test_stop_strings_are_found_in_the_steps_between_two_looks(llama, check_every):
    tokenizer = build_tokenizer([])
    free = sample(StaticDecoder(llama, ends_with(), ON_CPU))[0]
    stops = [tokenizer.decode(free[0][4:7]), tokenizer.decode(free[4][9:11])]
    layout = replace(SMALL_BUCKETS, check_every=check_every)
    found = sample(StaticDecoder(llama, ends_with(stop_strings=stops), layout))
    for whole, ids, ended in zip(free, found[0], found[2], strict=True):
        complete = [any(stop in tokenizer.decode(whole[: n + 1]) for stop in stops) for n in range(len(whole))]
        assert ids == whole[: complete.index(True) + 1 if any(complete) else len(whole)]
        assert ended == any(complete)


def test_long_and_many_prompts_are_forwarded_in_parts(model, monkeypatch):
    at_once = sample(StaticDecoder(model, ends_with(3), ON_CPU))
    monkeypatch.setattr("dumpgym.agents.grpo.sampling.static._PREFILL_LENGTH", 4)
    monkeypatch.setattr("dumpgym.agents.grpo.sampling.static._PREFILL_TOKENS", 8)
    in_parts = sample(StaticDecoder(model, ends_with(3), ON_CPU))
    assert in_parts[0] == at_once[0]
    torch.testing.assert_close(
        torch.tensor([x for row in in_parts[1] for x in row]),
        torch.tensor([x for row in at_once[1] for x in row]),
        atol=1e-4,
        rtol=0,
    )


def test_layers_without_keys_are_refused():
    with pytest.raises((AttributeError, TypeError, ValueError)):
        sample(StaticDecoder(make("mamba").eval(), ends_with(3), ON_CPU))


@given(needed=st.integers(1, 100_000))
def test_columns_are_enough_and_never_a_quarter_more_than_a_bucket(needed):
    columns = ON_CUDA.columns(needed)
    assert needed <= columns <= max(needed + 64, needed * 1.25 + 1)
    assert columns % 64 == 0


@given(needed=st.integers(1, 3000))
def test_rows_are_enough_and_come_in_few_numbers(needed):
    assert needed <= ON_CUDA.rows(needed) <= max(8, 2 * needed)
    assert ON_CPU.rows(needed) == needed


def test_a_row_that_ends_at_once_makes_room_for_one_that_resumes(llama):
    token_ids, log_probs, _ = sample(StaticDecoder(llama, ends_with(3), ON_CPU), limits=(1, 1, 1, 30))
    assert [len(ids) for ids in token_ids[:9]] == [1] * 9
    assert_teacher_forced(llama, token_ids, log_probs, 3, (1, 1))
    assert np.mean([len(ids) for ids in token_ids[9:]]) > 5


@torch.no_grad()
@pytest.mark.parametrize(
    ("kind", "decoder"),
    [
        *((kind, SharedPromptDecoder) for kind in ("llama", "qwen2", "qwen3", "granite", "gpt2")),
        *((kind, LlamaDecoder) for kind in ("llama", "qwen2", "smollm3")),
    ],
)
def test_rows_that_share_their_prompts_draw_the_same(kind, decoder, monkeypatch):
    """Prompts of several forward passes, groups of which some end early and one ends whole."""
    monkeypatch.setattr("dumpgym.agents.grpo.sampling.static._PREFILL_TOKENS", 8)
    model, group = make(kind), 5
    limits = [limit for limit in (30, 2, 17, 9) for _ in range(group)]
    uniform = uniform_numbers((3, 1), range(len(limits)), max(limits))
    drawn = []
    for either in (decoder, StaticDecoder):
        tokens, log_probs, ended = either(model, ends_with(3), ON_CPU)(
            PROMPTS, group, uniform, limits, 0.9
        ).completions(len(limits))
        drawn.append((tokens, ended))
        assert {len(row) for row in tokens} >= {2}
        for row, values in enumerate(log_probs):
            prompt = PROMPTS[row // group]
            logits = model(input_ids=torch.tensor([prompt + tokens[row]])).logits[0, len(prompt) - 1 : -1]
            expected = (logits / 0.9).log_softmax(-1)[range(len(values)), tokens[row]]
            torch.testing.assert_close(torch.tensor(values), expected, atol=1e-4, rtol=0)
    assert drawn[0] == drawn[1]


@torch.no_grad()
def test_weights_may_change_between_calls_and_may_be_trained_after_them():
    model, limits = make("smollm3"), [6] * 4
    decoder, uniform = LlamaDecoder(model, ends_with(3), ON_CPU), uniform_numbers((3, 1), range(4), 6)
    before = decoder(PROMPTS, 1, uniform, limits, 1.0).completions(4)
    with torch.enable_grad():
        model(input_ids=torch.tensor([PROMPTS[0]])).logits.sum().backward()
    for parameter in model.parameters():
        parameter.sub_(0.01 * parameter.grad)
    changed = [each(model, ends_with(3), ON_CPU) for each in (StaticDecoder, LlamaDecoder)]
    expected, new = (each(PROMPTS, 1, uniform, limits, 1.0).completions(4) for each in changed)
    after = decoder(PROMPTS, 1, uniform, limits, 1.0).completions(4)
    assert after == new != before
    assert after[0] == expected[0]


@pytest.mark.parametrize("kind", ["qwen3", "gpt2", "gemma3", "mistral", "llama, eager"])
def test_models_with_other_modules_are_not_decoded_as_llama(kind):
    with pytest.raises(UNSUITED):
        LlamaDecoder(make(kind), ends_with(3), ON_CPU)


def test_adapters_and_other_number_formats_are_not_decoded_as_llama():
    adapted = get_peft_model(make("llama"), LoraConfig(target_modules=["q_proj"], task_type="CAUSAL_LM"))
    with pytest.raises(ValueError, match="no plain linear maps"):
        LlamaDecoder(adapted.base_model.model, ends_with(3), ON_CPU)
    with pytest.raises(ValueError, match=r"torch.bfloat16 on cpu is not float32 on a CPU"):
        LlamaDecoder(make("llama").to(torch.bfloat16), ends_with(3), ON_CPU)


@pytest.mark.parametrize(
    ("kind", "decoder"),
    [("smollm3", LlamaDecoder), ("qwen2", LlamaDecoder), ("granite", SharedPromptDecoder), ("mistral", StaticDecoder)],
)
def test_the_fastest_decoder_that_agrees_with_the_model_is_taken(kind, decoder, monkeypatch):
    """Granite has the modules of Llama, and factors that Llama does not have."""
    used, call = [], StaticDecoder.__call__
    monkeypatch.setattr(StaticDecoder, "__call__", lambda self, *args: used.append(type(self)) or call(self, *args))
    model = make(kind)
    Sampler(model, build_tokenizer([]), end_token_ids=[3])(PROMPTS, 2, max_completion_lengths=[3] * 4)
    assert used[-1] is decoder


@pytest.mark.parametrize("kind", ["gemma3", "mistral", "llama, eager"])
def test_attention_that_is_not_plain_shares_no_prompts(kind):
    with pytest.raises(ValueError, match="is not plain"):
        SharedPromptDecoder(make(kind), ends_with(3), ON_CPU)
