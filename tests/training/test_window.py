"""Sums over the last steps, for alarms."""

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dumpgym.training.window import StepWindow

STEP = st.lists(st.integers(0, 9), min_size=6, max_size=6)


@given(steps=st.lists(STEP, max_size=12), length=st.integers(1, 6), last=st.integers(1, 6))
def test_totals_are_sums_over_the_last_steps(steps, length, last):
    window = StepWindow(("groups", "tokens"), 3, length)
    for step in steps:
        window.add({"groups": np.array(step[:3]), "tokens": np.array(step[3:])})
    kept = np.array(steps[-length:], dtype=float).reshape(-1, 6)
    total, recent = window.total(), window.total(last=last)
    assert np.concatenate([total["groups"], total["tokens"]]).tolist() == kept.sum(axis=0).tolist()
    assert np.concatenate([recent["groups"], recent["tokens"]]).tolist() == kept[-last:].sum(axis=0).tolist()
    restored = StepWindow(("groups", "tokens"), 3, length)
    restored.load_state_dict(json.loads(json.dumps(window.state_dict())))
    assert (restored.recent == window.recent).all()
