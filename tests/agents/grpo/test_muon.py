"""Muon: the steps of torch's own, for many matrices at once."""

import pytest
import torch

from dumpgym.agents.grpo.agent import GRPOAgent
from dumpgym.agents.grpo.config import GRPOConfig
from dumpgym.agents.grpo.muon import Muon, inner_matrices, orthogonal

SHAPES = [(6, 6), (6, 6), (4, 9), (9, 4), (1, 5)]


def make_matrices():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator).requires_grad_() for shape in SHAPES]


def test_it_takes_the_steps_of_torchs_own():
    ours, theirs = make_matrices(), make_matrices()
    mine = Muon(ours, lr=0.05, weight_decay=0.1)
    reference = torch.optim.Muon(theirs, lr=0.05, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for number in range(4):
        for one, other in zip(ours, theirs, strict=True):
            one.grad = one.detach().sin() + number
            other.grad = other.detach().sin() + number
        mine.step()
        reference.step()
    for one, other, start in zip(ours, theirs, make_matrices(), strict=True):
        moved = (other - start).norm()
        assert (one - other).norm() < 0.03 * moved  # torch iterates in bfloat16, which has three digits


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 5, 12), (2, 12, 5)])
def test_singular_values_come_near_one_and_singular_vectors_stay(shape):
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    found = orthogonal(matrices)
    values = torch.linalg.svdvals(found)
    assert values.min() > 0.5
    assert values.max() < 1.3
    u, _, v = torch.linalg.svd(matrices, full_matrices=False)
    inside = u.mT @ found @ v.mT
    assert (inside - torch.diag_embed(inside.diagonal(dim1=1, dim2=2))).abs().max() < 1e-4


def test_a_matrix_without_gradient_stays_as_it_is():
    one, other = make_matrices()[:2]
    one.grad = torch.ones_like(one)
    before = other.detach().clone()
    Muon([one, other], lr=0.1, weight_decay=0.5).step()
    assert torch.equal(other, before)
    assert not torch.equal(one, before)


@pytest.mark.parametrize("rank", [0, 2])
def test_the_agent_gives_it_the_matrices_between_embedding_and_head(rank):
    agent = GRPOAgent(GRPOConfig(optimizer="muon", lora_rank=rank))
    names = inner_matrices(agent.model)
    assert not any("embed_tokens" in name or "lm_head" in name for name in names)
    methods = {type(method).__name__: method for method in agent.optimizer.methods}
    trained = {name for name, p in agent.model.named_parameters() if p.requires_grad}
    by_muon = methods["Muon"].param_groups[0]["params"]
    assert len(by_muon) == len(names & trained) == (56 if rank else 28)
    assert ("AdamW" in methods) == (rank == 0)
