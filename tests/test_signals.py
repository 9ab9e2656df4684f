import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dumpgym.agents import signals
from dumpgym.agents.signals import make_signal, register_signal, signal_registry
from dumpgym.errors import InvalidValueError, UnknownNameError

ADVANTAGE_OF_16 = [0, 0.469, 0.640, 0.756, 0.839, 0.898, 0.938, 0.961, 0.968]  # for 0 to 8 successes
shapes = st.tuples(st.integers(0, 4), st.integers(1, 9))


def groups_with(successes, size):
    return np.arange(size) < np.array(successes)[:, None]


@pytest.mark.parametrize("values", [(0, 1), (-0.5, 3), (-3, 3)])
def test_mean_absolute_advantage_has_the_published_values_for_any_two_rewards(values):
    solved = groups_with(range(17), 16)
    signal = make_signal("mean_absolute_advantage")(np.where(solved, values[1], values[0]).astype(float), solved)
    np.testing.assert_allclose(signal, ADVANTAGE_OF_16 + ADVANTAGE_OF_16[-2::-1], atol=6e-4)


def test_mean_absolute_advantage_is_that_of_advantages_written_out():
    rewards = np.random.default_rng(0).normal(size=(5, 8))
    expected = [np.abs((r - r.mean()) / (r.std(ddof=1) + 1e-6)).mean() for r in rewards]
    np.testing.assert_allclose(make_signal("mean_absolute_advantage")(rewards, rewards > 0), expected, rtol=1e-12)


def test_mean_absolute_deviation_keeps_the_scale_of_the_rewards():
    rewards = np.array([[0.0, 0.0, 0.0, 4.0], [0.0, 0.0, 0.0, 8.0]])
    assert make_signal("mean_absolute_deviation")(rewards, rewards > 0).tolist() == [1.5, 3.0]


def test_success_signals_have_their_formulas():
    solved = groups_with([0, 1, 2, 4], 4)
    rewards = np.zeros((4, 4))  # not looked at
    np.testing.assert_allclose(make_signal("success_variance")(rewards, solved), [0, 3 / 16, 1 / 4, 0])
    informative = [0, 1 - 1 / 256 - 81 / 256, 1 - 2 / 16, 0]
    np.testing.assert_allclose(make_signal("informative_group")(rewards, solved), informative)


@pytest.mark.parametrize("name", list(signal_registry))
@settings(max_examples=30)
@given(shape=shapes, reward=st.floats(-1e6, 1e6), solved=st.booleans())
def test_a_group_of_equal_rewards_gives_exactly_zero(name, shape, reward, solved):
    signal = make_signal(name)(np.full(shape, reward), np.full(shape, solved))
    assert signal.tolist() == [0.0] * shape[0]


@pytest.mark.parametrize("name", list(signal_registry))
@settings(max_examples=30)
@given(data=st.data(), shape=shapes)
def test_signals_are_one_finite_number_a_group_whatever_the_order_of_its_completions(name, data, shape):
    rewards = data.draw(arrays(float, shape, elements=st.floats(-100, 100)))
    solved = data.draw(arrays(bool, shape))
    signal = make_signal(name)(rewards, solved)
    assert signal.shape == shape[:1]
    assert signal.dtype == np.float64
    assert np.isfinite(signal).all()
    assert (signal >= 0).all()
    np.testing.assert_allclose(make_signal(name)(rewards[:, ::-1], solved[:, ::-1]), signal, atol=1e-6)


def test_an_unknown_signal_is_answered_with_the_nearest_name():
    with pytest.raises(
        UnknownNameError, match=r"'sucess_variance'; did you mean 'success_variance'\? accepted: mean_a"
    ):
        make_signal("sucess_variance")


def test_a_signal_of_ones_own_is_registered_once(monkeypatch):
    monkeypatch.setattr(signals, "signal_registry", dict(signal_registry))
    register_signal("share-solved", lambda rewards, successes: successes.mean(axis=1))
    assert make_signal("share-solved")(np.zeros((1, 4)), groups_with([3], 4)).tolist() == [0.75]
    with pytest.raises(InvalidValueError, match="'share-solved'; accepted: a name that is not registered yet"):
        register_signal("share-solved", make_signal("success_variance"))
