"""AdamW and Muon over named parameters: master copies, clipping, saved state."""

import pytest
import torch

from dumpgym.agents.grpo.muon import Muon
from dumpgym.agents.grpo.optimizer import Optimizer
from dumpgym.contracts.errors import InvalidValueError

OPTIONS = {"beta2": 0.99, "weight_decay": 0.1, "max_grad_norm": 1.0}
MATRICES = pytest.mark.parametrize("matrices", [(), ("a.weight",), ("a.weight", "b")])


def make_parameters(dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(4, 3, generator=generator).to(dtype).requires_grad_() for name in ("a.weight", "b")}


def step(optimizer, learning_rate=0.01, scale=1.0):
    optimizer.zero_grad()
    sum((p.float().sin() * scale).sum() for p in optimizer.parameters.values()).backward()
    norm = optimizer.gather()
    optimizer.step(learning_rate)
    return norm


def test_it_is_adamw_with_clipping():
    ours, theirs = make_parameters(), make_parameters()
    optimizer = Optimizer(ours, **OPTIONS)
    reference = torch.optim.AdamW(theirs.values(), lr=0.01, betas=(0.9, 0.99), weight_decay=0.1)
    for _ in range(3):
        norm = step(optimizer)
        reference.zero_grad()
        sum(p.sin().sum() for p in theirs.values()).backward()
        assert norm == pytest.approx(torch.nn.utils.clip_grad_norm_(theirs.values(), 1.0).item())
        reference.step()
    for name, parameter in theirs.items():
        torch.testing.assert_close(ours[name], parameter)


def test_muon_updates_the_matrices_that_are_named_and_adamw_the_others():
    ours, theirs = make_parameters(), make_parameters()
    optimizer = Optimizer(ours, beta2=0.99, weight_decay=0.1, max_grad_norm=1.0, matrices=["b"])
    by_adamw = Optimizer({"a.weight": theirs["a.weight"]}, **{**OPTIONS, "max_grad_norm": 1e9})
    muon = Muon([theirs["b"]], lr=0.01, weight_decay=0.1)
    for _ in range(3):
        norm = step(optimizer)
        step(by_adamw, scale=1 / norm)
        theirs["b"].grad = theirs["b"].detach().cos() / norm
        muon.step()
    for name, parameter in theirs.items():
        torch.testing.assert_close(ours[name], parameter, atol=1e-5, rtol=1e-4)


def test_small_updates_of_bfloat16_weights_add_up():
    """One step of 1e-5 is less than the distance of two numbers in bfloat16; two thousand of them are not."""
    parameters = {"weight": torch.ones(8, dtype=torch.bfloat16, requires_grad=True)}
    optimizer = Optimizer(parameters, beta2=0.99, weight_decay=0.0, max_grad_norm=1.0)
    for _ in range(2000):
        step(optimizer, 1e-5)
    torch.testing.assert_close(parameters["weight"].float(), torch.full((8,), 0.98), atol=0.004, rtol=0)
    assert parameters["weight"].dtype == torch.bfloat16


def test_a_parameter_without_gradient_counts_as_one_of_zeros():
    parameters = make_parameters()
    optimizer = Optimizer(parameters, **{**OPTIONS, "weight_decay": 0.0})
    before = parameters["b"].detach().clone()
    parameters["a.weight"].sum().backward()
    assert optimizer.gather() == pytest.approx(12**0.5)
    optimizer.step(0.1)
    assert torch.equal(parameters["b"], before)
    assert not torch.equal(parameters["a.weight"], make_parameters()["a.weight"])


@MATRICES
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_saved_optimizer_resumes_bit_for_bit(tmp_path, dtype, matrices):
    parameters = make_parameters(dtype)
    optimizer = Optimizer(parameters, **OPTIONS, matrices=matrices)
    for _ in range(3):
        step(optimizer)
    optimizer.save(tmp_path)
    copies = {name: p.detach().clone().requires_grad_() for name, p in parameters.items()}
    restored = Optimizer(copies, **OPTIONS, matrices=matrices)
    restored.load(tmp_path)
    for _ in range(3):
        assert step(optimizer) == step(restored)
    assert all(torch.equal(parameters[name], copies[name]) for name in parameters)


def test_an_optimizer_that_has_not_stepped_can_be_saved(tmp_path):
    Optimizer(make_parameters(), **OPTIONS).save(tmp_path)
    optimizer = Optimizer(make_parameters(), **OPTIONS)
    optimizer.load(tmp_path)
    assert not any(method.state_dict()["state"] for method in optimizer.methods)


def test_the_state_of_other_parameters_is_refused(tmp_path):
    optimizer = Optimizer(make_parameters(), **OPTIONS)
    step(optimizer)
    optimizer.save(tmp_path)
    other = Optimizer({"b": make_parameters()["b"]}, **OPTIONS)
    with pytest.raises(InvalidValueError, match=r"optimiser state is 'a\.weight\.exp_avg'; accepted: that of the"):
        other.load(tmp_path)


@pytest.mark.parametrize("message", [2**26, 1])  # all parameters in one message, and one message each
@pytest.mark.parametrize("largest", [0.3, 1e9])
def test_a_gradient_is_scaled_down_to_the_largest_norm_over_all_parameters(monkeypatch, message, largest):
    monkeypatch.setattr("dumpgym.agents.grpo.optimizer._MESSAGE", message)
    optimizer = Optimizer(make_parameters(), **{**OPTIONS, "max_grad_norm": largest})
    sum(p.sin().sum() for p in optimizer.parameters.values()).backward()
    gradient = torch.cat([p.grad.flatten() for p in optimizer.parameters.values()])
    assert optimizer.gather() == pytest.approx(gradient.norm().item())
    scaled = torch.cat([master.grad.flatten() for master in optimizer.masters.values()])
    torch.testing.assert_close(scaled, gradient * min(1.0, largest / gradient.norm().item()))
