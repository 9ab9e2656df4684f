"""Advantages, log-probabilities and the loss, each against a plain loop."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dumpgym.agents.grpo.log_probs import Head, logits_log_probs, token_log_probs
from dumpgym.agents.grpo.loss import GRPOLoss, LossTokens, group_advantages, token_weights

reward_groups = st.lists(st.lists(st.sampled_from([-3.0, -1.0, -0.5, 3.0]), min_size=4, max_size=4), min_size=1)


@given(reward_groups)
def test_advantages_are_the_papers(groups):
    advantages = group_advantages(np.array(groups), "group")
    for rewards, row in zip(groups, advantages, strict=True):
        mean = sum(rewards) / 4
        std = math.sqrt(sum((r - mean) ** 2 for r in rewards) / 3)
        expected = [0.0 if len(set(rewards)) == 1 else (r - mean) / (std + 1e-6) for r in rewards]
        assert row == pytest.approx(expected)


@given(reward_groups)
def test_advantages_scaled_by_the_batch_have_one_deviation_for_all(groups):
    """Not one a group, and over all single rewards."""
    flat = [r for rewards in groups for r in rewards]
    mean = sum(flat) / len(flat)
    std = math.sqrt(sum((r - mean) ** 2 for r in flat) / (len(flat) - 1))
    advantages = group_advantages(np.array(groups), "batch")
    for rewards, row in zip(groups, advantages, strict=True):
        assert row == pytest.approx([(r - sum(rewards) / 4) / (std + 1e-6) for r in rewards])


def test_advantages_without_scaling_keep_the_size_of_the_rewards():
    assert group_advantages(np.array([[3.0, -1.0]]), "none").tolist() == [[2.0, -2.0]]


def test_equal_rewards_give_exactly_zero_despite_rounding():
    for scale in ("group", "batch", "none"):
        assert not group_advantages(np.full((2, 3), 0.1), scale).any()


def test_a_group_of_one_is_refused():
    with pytest.raises(ValueError, match="a group has 1 completion"):
        group_advantages(np.zeros((4, 1)), "group")


@pytest.mark.parametrize("chunk_logits", [2**25, 50 * 7])
@pytest.mark.parametrize("options", [{}, {"bias": True}, {"scale": 0.4, "cap": 1.5}])
def test_log_probabilities_and_gradients_do_not_depend_on_chunks(monkeypatch, chunk_logits, options):
    monkeypatch.setattr("dumpgym.agents.grpo.log_probs._CHUNK_LOGITS", chunk_logits)
    generator = torch.Generator().manual_seed(0)
    hidden, weight = (torch.randn(size, 8, generator=generator, requires_grad=True) for size in (40, 50))
    bias = torch.randn(50, generator=generator, requires_grad=True) if options.pop("bias", False) else None
    targets = torch.randint(50, (40,), generator=generator)
    by_log_probs, by_entropies = torch.randn(2, 40, generator=generator)
    inputs = [tensor for tensor in (hidden, weight, bias) if tensor is not None]
    head = Head(weight, bias, **options)
    results = []
    for function in (
        token_log_probs,
        lambda hidden, head, *rest, **named: logits_log_probs(head(hidden), *rest, **named),
    ):
        log_probs, entropies = function(hidden, head, targets, 0.7, entropy_gradient=True)
        loss = (by_log_probs * log_probs + by_entropies * entropies).sum()
        results.append([log_probs, entropies, *torch.autograd.grad(loss, inputs)])
    for mine, expected in zip(*results, strict=True):
        torch.testing.assert_close(mine, expected)


@pytest.mark.parametrize("chunk_logits", [2**25, 50 * 7])
def test_without_a_bonus_only_log_probabilities_have_a_gradient(monkeypatch, chunk_logits):
    monkeypatch.setattr("dumpgym.agents.grpo.log_probs._CHUNK_LOGITS", chunk_logits)
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(40, 8, generator=generator, requires_grad=True)
    weight = torch.randn(50, 8, generator=generator)  # frozen, as under LoRA
    targets = torch.randint(50, (40,), generator=generator)
    log_probs, entropies = token_log_probs(hidden, Head(weight), targets, 1.3)
    assert not entropies.requires_grad
    full = (hidden @ weight.T / 1.3).log_softmax(-1)
    torch.testing.assert_close(log_probs, full[range(40), targets])
    torch.testing.assert_close(entropies, -(full.exp() * full).sum(-1))
    (gradient,) = torch.autograd.grad(log_probs.pow(2).sum(), hidden)
    (expected,) = torch.autograd.grad(full[range(40), targets].pow(2).sum(), hidden)
    torch.testing.assert_close(gradient, expected)


LENGTHS = [3, 1, 2]
LOG_PROBS = [-1.0, -2.0, -0.5, -3.0, -0.7, -0.9]
OLD = [-1.0, -1.0, -2.5, -4.0, -0.9, -0.8]
REFERENCE = [-1.5, -2.0, -0.5, -2.0, -0.6, -1.2]
ADVANTAGES = [1.5, -1.0, -0.5]
WEIGHTS = [0.25, 0.1, 0.3]
ENTROPIES = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8]


def plain_loss(loss_type, *, epsilon=0.2, epsilon_high=0.3, beta=0.0, entropy_coef=0.0):
    """One token at a time: the loss, its derivative by every log-probability, and the number of clipped tokens."""
    losses, derivatives, clipped, start = [], [], 0, 0
    for length, advantage, weight in zip(LENGTHS, ADVANTAGES, WEIGHTS, strict=True):
        tokens = range(start, start + length)
        start += length
        mean = sum(LOG_PROBS[t] - OLD[t] for t in tokens) / length
        sequence_slope = 0.0
        for t in tokens:
            ratio = math.exp(LOG_PROBS[t] - OLD[t])
            if loss_type == "cispo":
                bound = min(ratio, 1 + epsilon_high)
                loss, slope = -bound * advantage * LOG_PROBS[t], -bound * advantage
                clipped += ratio > 1 + epsilon_high
            else:
                r = math.exp(mean) if loss_type == "gspo" else ratio
                bounded = min(max(r, 1 - epsilon), 1 + epsilon_high)
                active = bounded * advantage < r * advantage
                loss = -min(r * advantage, bounded * advantage)
                slope = 0.0 if active else -r * advantage
                clipped += active
            if beta:
                gap = REFERENCE[t] - LOG_PROBS[t]
                k3 = math.exp(gap) - gap - 1
                loss += beta * ratio * k3
            losses.append(weight * loss - entropy_coef * 0.5 * ENTROPIES[t])
            derivatives.append(weight * slope)
            sequence_slope += weight * slope
            if beta:  # d(r k3) = r k3 + r (1 - exp(gap))
                derivatives[-1] += weight * beta * ratio * (k3 + 1 - math.exp(gap))
        if loss_type == "gspo" and not beta:
            derivatives[-length:] = [sequence_slope / length] * length
    return losses, derivatives, clipped


def our_loss(loss_type, **options):
    log_probs = torch.tensor(LOG_PROBS, requires_grad=True)
    tokens = LossTokens(
        log_probs,
        torch.tensor(ENTROPIES),
        torch.tensor(OLD),
        torch.tensor(REFERENCE) if options.get("beta") else None,
        torch.tensor(np.repeat(ADVANTAGES, LENGTHS), dtype=torch.float32),
        torch.tensor(np.repeat(WEIGHTS, LENGTHS), dtype=torch.float32),
        torch.full((6,), 0.5),
        LENGTHS,
    )
    losses, clipped, k3 = GRPOLoss(loss_type, epsilon=0.2, epsilon_high=0.3, **options)(tokens)
    (gradient,) = torch.autograd.grad(losses.sum(), log_probs)
    return losses, gradient, clipped, k3


@pytest.mark.parametrize("loss_type", ["grpo", "bnpo", "dapo", "dr_grpo", "gspo", "cispo"])
@pytest.mark.parametrize("options", [{}, {"entropy_coef": 0.1}])
def test_losses_and_their_derivatives_are_those_of_a_plain_loop(loss_type, options):
    losses, gradient, clipped, k3 = our_loss(loss_type, **options)
    expected, derivatives, expected_clipped = plain_loss(loss_type, **options)
    assert losses.tolist() == pytest.approx(expected, rel=1e-5)
    assert gradient.tolist() == pytest.approx(derivatives, rel=1e-5, abs=1e-9)
    assert int(clipped.sum()) == expected_clipped > 0
    assert not k3.any()


@pytest.mark.parametrize("loss_type", ["dapo", "cispo"])
def test_the_divergence_is_multiplied_by_the_ratio(loss_type):
    losses, gradient, _, k3 = our_loss(loss_type, beta=0.1)
    expected, derivatives, _ = plain_loss(loss_type, beta=0.1)
    assert losses.tolist() == pytest.approx(expected, rel=1e-5)
    assert gradient.tolist() == pytest.approx(derivatives, rel=1e-5)
    gaps = [r - p for r, p in zip(REFERENCE, LOG_PROBS, strict=True)]
    assert k3.tolist() == pytest.approx([math.exp(gap) - gap - 1 for gap in gaps], abs=1e-6)


@given(st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=1, max_size=8))
def test_weights_leave_out_what_is_not_counted_in_numerator_and_denominator(rows):
    lengths, counted = np.array([length for length, _ in rows]), np.array([is_counted for _, is_counted in rows])
    in_loss = [length for length, is_counted in rows if is_counted]
    for loss_type in ("grpo", "bnpo", "dapo", "dr_grpo", "gspo", "cispo"):
        weights = token_weights(lengths, counted, loss_type, 20)
        denominators = {"grpo": lambda n: n * len(in_loss), "dr_grpo": lambda n: 20 * len(in_loss)}
        denominators["gspo"] = denominators["grpo"]
        denominator = denominators.get(loss_type, lambda n: sum(in_loss))
        assert weights == pytest.approx([1 / denominator(n) if is_counted else 0 for n, is_counted in rows])
