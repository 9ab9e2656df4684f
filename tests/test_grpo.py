"""Advantages, log-probabilities and the loss, each against a plain loop."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dumpgym.agents import grpo
from dumpgym.agents.grpo import TokenLoss, group_advantages, token_log_probs, token_weights

reward_groups = st.lists(st.lists(st.sampled_from([-3.0, -1.0, -0.5, 3.0]), min_size=4, max_size=4), min_size=1)


@given(reward_groups)
def test_advantages_are_the_papers(groups):
    advantages = group_advantages(np.array(groups), "group")
    for rewards, row in zip(groups, advantages, strict=True):
        mean = sum(rewards) / 4
        std = math.sqrt(sum((r - mean) ** 2 for r in rewards) / 3)
        expected = [0.0 if len(set(rewards)) == 1 else (r - mean) / (std + 1e-6) for r in rewards]
        assert row == pytest.approx(expected)


def test_advantages_without_scaling_keep_the_size_of_the_rewards():
    assert group_advantages(np.array([[3.0, -1.0]]), "none").tolist() == [[2.0, -2.0]]


def test_equal_rewards_give_exactly_zero_despite_rounding():
    assert not group_advantages(np.full((1, 3), 0.1), "group").any()


def test_a_group_of_one_is_refused():
    with pytest.raises(ValueError, match="a group has 1 completion"):
        group_advantages(np.zeros((4, 1)), "group")


@pytest.mark.parametrize("chunk_logits", [2**25, 50 * 7])
def test_log_probabilities_and_gradients_do_not_depend_on_chunks(monkeypatch, chunk_logits):
    monkeypatch.setattr(grpo, "_CHUNK_LOGITS", chunk_logits)
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(40, 8, generator=generator, requires_grad=True)
    head = torch.nn.Linear(8, 50, bias=False)
    targets = torch.randint(50, (40,), generator=generator)
    log_probs, entropy = token_log_probs(hidden, head, targets, 0.7)
    log_probs.sum().backward()

    copy = hidden.detach().clone().requires_grad_()
    full = (head(copy) / 0.7).log_softmax(-1)
    expected = full[torch.arange(40), targets]
    expected.sum().backward()
    torch.testing.assert_close(log_probs, expected)
    torch.testing.assert_close(hidden.grad, copy.grad)
    torch.testing.assert_close(entropy, -(full.exp() * full).sum(-1).detach())


def test_the_loss_is_the_clipped_surrogate_with_k3():
    log_probs = torch.tensor([-1.0, -2.0, -0.5, -3.0], requires_grad=True)
    old = torch.tensor([-1.0, -1.0, -2.0, -4.0])
    advantages = torch.tensor([1.0, 2.0, 3.0, -1.0])
    weights = torch.tensor([0.25, 0.25, 0.25, 0.25])
    reference = torch.tensor([-1.5, -2.0, -0.5, -2.0])
    loss, sums = TokenLoss(epsilon=0.2, epsilon_high=0.3, beta=0.1)(log_probs, old, advantages, weights, reference)

    expected, clipped, divergence = 0.0, 0, 0.0
    for new, before, advantage, ref in zip(
        log_probs.tolist(), old.tolist(), advantages.tolist(), reference, strict=True
    ):
        ratio = math.exp(new - before)
        bounded = min(max(ratio, 0.8), 1.3)
        k3 = math.exp(ref - new) - (ref - new) - 1
        expected += 0.25 * (-min(ratio * advantage, bounded * advantage) + 0.1 * ratio * k3)
        clipped += bounded * advantage < ratio * advantage
        divergence += k3
    assert loss.item() == pytest.approx(float(expected), rel=1e-5)
    assert sums == {"clipped": clipped, "kl": pytest.approx(float(divergence), rel=1e-5)}
    assert clipped == 1


@pytest.mark.parametrize("loss_type", ["dapo", "grpo"])
def test_weights_leave_out_what_is_not_counted_in_numerator_and_denominator(loss_type):
    lengths, counted = np.array([2, 6, 4]), np.array([True, True, False])
    weights = token_weights(lengths, counted, loss_type)
    expected = [1 / 8, 1 / 8, 0] if loss_type == "dapo" else [1 / 4, 1 / 12, 0]
    assert weights == pytest.approx(expected)
    assert (weights * lengths).sum() == pytest.approx(1.0)
    assert not token_weights(lengths, np.zeros(3, bool), loss_type).any()
