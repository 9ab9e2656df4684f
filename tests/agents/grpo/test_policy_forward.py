"""Shared and unshared forward passes against one plain pass a completion, for several architectures."""

import pytest
import torch

from dumpgym.agents.grpo.forward import ModelForward
from dumpgym.agents.grpo.models import checkpointed_layers, enable_checkpointing
from tests.fakes.tiny_models import CONFIGS, RECURRENT, make

PROMPTS = [(5, 6, 7), (8,), (9, 10, 11, 12, 13, 14, 15, 16, 17), (5, 0, 3, 0)]
NUMBERS = [0, 2, 2, 1, 3, 0]
COMPLETIONS = [(20, 21), (22,), tuple(range(20, 32)), (3, 3, 3), (0, 30, 0, 31), (1, 2, 4, 5, 6, 7, 8, 9)]


@pytest.fixture(params=CONFIGS, scope="module")
def model(request):
    return make(request.param)


def plain_pass(model, temperature):
    for number, completion in zip(NUMBERS, COMPLETIONS, strict=True):
        prompt = PROMPTS[number]
        logits = model(input_ids=torch.tensor([prompt + completion]), use_cache=False).logits[0, len(prompt) - 1 : -1]
        log_probs = (logits / temperature).log_softmax(-1)
        yield log_probs[range(len(completion)), completion], -(log_probs.exp() * log_probs).sum(-1)


def gradients_of(model, loss):
    model.zero_grad()
    loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def weighted(log_probs):
    return (log_probs * torch.linspace(-1, 1, len(log_probs))).sum()


def our_gradients(policy, cuts):
    """The completions in several batches on top of the same prompts."""
    policy.model.zero_grad()
    states = policy.prompts(PROMPTS)
    weights = torch.linspace(-1, 1, sum(map(len, COMPLETIONS))).split(list(map(len, COMPLETIONS)))
    for start, end in zip([0, *cuts], [*cuts, len(NUMBERS)], strict=True):
        log_probs, _ = policy.log_probs(states, NUMBERS[start:end], COMPLETIONS[start:end])
        (log_probs * torch.cat(weights[start:end])).sum().backward()
    states.backward()
    return {name: p.grad.clone() for name, p in policy.model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("share_prompts", [None, False])
def test_log_probabilities_and_entropies_are_those_of_plain_passes(model, share_prompts):
    policy = ModelForward(model, 0.7, share_prompts=share_prompts)
    log_probs, entropies = policy.log_probs(policy.prompts(PROMPTS), NUMBERS, COMPLETIONS)
    expected = [torch.cat(parts) for parts in zip(*plain_pass(model, 0.7), strict=True)]
    torch.testing.assert_close(log_probs, expected[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(entropies, expected[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("share_prompts", [None, False])
@pytest.mark.parametrize("cuts", [[], [1, 2, 5]])
def test_gradients_are_those_of_plain_passes_however_the_completions_are_cut_up(model, share_prompts, cuts):
    ours = our_gradients(ModelForward(model, 0.7, share_prompts=share_prompts), cuts)
    expected = gradients_of(model, weighted(torch.cat([log_probs for log_probs, _ in plain_pass(model, 0.7)])))
    assert ours.keys() == expected.keys()
    for name, gradient in expected.items():
        assert (ours[name] - gradient).norm() <= 1e-4 * gradient.norm() + 1e-7, name


def test_prompts_are_shared_wherever_keys_and_values_can_be():
    assert {kind for kind in CONFIGS if ModelForward(make(kind), 1.0).shares_prompts} == CONFIGS.keys() - set(RECURRENT)


def test_logits_are_never_all_held_for_models_that_scale_or_cap_them():
    assert all(ModelForward(make(kind), 1.0).head is not None for kind in CONFIGS)


def test_a_model_with_a_head_of_its_own_kind_is_taken_by_its_logits():
    model = make("llama")
    model.lm_head.register_forward_hook(lambda module, inputs, output: output)  # changes nothing
    plain = model.forward
    model.forward = lambda **inputs: _with_logits(plain(**inputs), lambda logits: logits + logits.sin())
    policy = ModelForward(model, 0.7)
    assert policy.head is None
    log_probs, _ = policy.log_probs(policy.prompts(PROMPTS), NUMBERS, COMPLETIONS)
    expected = torch.cat([log_probs for log_probs, _ in plain_pass(model, 0.7)])
    torch.testing.assert_close(log_probs, expected, rtol=1e-4, atol=1e-5)


def _with_logits(output, change):
    output.logits = change(output.logits)
    return output


@pytest.mark.parametrize("kind", ["llama", "gemma2", "gpt2"])
def test_checkpointed_layers_give_the_same_gradients_and_drop_nothing_out(kind):
    model = make(kind)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.5
    expected = our_gradients(ModelForward(model, 1.0, share_prompts=False), [])
    enable_checkpointing(model)
    calls = []
    model.get_input_embeddings().register_forward_hook(lambda *_: calls.append("embedded"))
    model.base_model.register_forward_hook(lambda *_: calls.append("forwarded"))
    layer = next(module for name, module in model.named_modules() if name.endswith(("layers.0", "h.0")))
    next(layer.children()).register_forward_hook(lambda *_: calls.append("layer"))
    with checkpointed_layers(model):
        ours = our_gradients(ModelForward(model, 1.0, share_prompts=False), [])
    assert calls.count("layer") > calls.count("forwarded")
    for name, gradient in expected.items():
        torch.testing.assert_close(ours[name], gradient, msg=name)
    assert not any(module.training for module in model.modules())
