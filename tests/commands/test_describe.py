"""The manual of every registered name, and the values that a specification sets."""

import inspect

import gymnasium as gym
import pytest

import dumpgym
from dumpgym.commands.describe import described
from dumpgym.commands.docstrings import parse_docstring
from dumpgym.commands.main import main
from dumpgym.contracts.policy import BanditPolicy

POLICIES = sorted(dumpgym.policy_registry)
OTHERS = [*sorted(dumpgym.signal_registry), *sorted(dumpgym.student_registry)]
ENVIRONMENTS = [spec.id for spec in gym.registry.values() if spec.namespace == "dumpgym"]


def test_a_docstring_is_taken_apart():
    found = parse_docstring(
        "First line.\n\nMore::\n\n    a = b\n\nArgs:\n    one: the first,\n        on two lines.\n"
        "    two (int): the second: with a colon.\n    **rest: others.\n\nReturns:\n    A number\n    of things.\n\n"
        "Raises:\n    ValueError: never."
    )
    assert (found.summary, found.text) == ("First line.", "First line.\n\nMore::\n\n    a = b")
    assert found.arguments == {
        "one": "the first, on two lines.", "two": "the second: with a colon.", "rest": "others.",
    }  # fmt: skip
    assert found.returns == "A number of things."
    assert found.sections["Raises"] == {"ValueError": "never."}


def test_the_manual_of_an_environment_is_taken_apart():
    found = parse_docstring(
        "Name.\n\n## Arguments\nAll are keywords.\n\n* ``size=3``: Number, 2\n  to 9.\n* ``word=\"a: b\"``: A word.\n\n"
        "## References\n* One: two."
    )  # fmt: skip
    assert found.arguments == {"size": "Number, 2 to 9.", "word": "A word."}
    assert "References" in found.text
    assert "Arguments" not in found.text


@pytest.mark.parametrize("name", [*POLICIES, *OTHERS, *ENVIRONMENTS])
def test_every_registered_name_has_a_manual_that_explains_every_option(name):
    text = described(name, 80)
    title, _, options = text.partition("\nOptions")
    assert title.startswith(f"{name}: ")
    assert len(title.split()) > 12
    lines = options.splitlines()
    heads = [i for i, line in enumerate(lines) if line.startswith("  ") and not line.startswith("   ")]
    assert heads or text.endswith("It has no options.\n")
    assert all(lines[i + 1].startswith("    ") for i in heads if "render_mode" not in lines[i])


def test_an_environment_has_the_manual_of_its_family_too():
    text = described("dumpgym/Parity-v0", 80)
    own, family = text.index("Say whether a string of bits"), text.index("## Rewards")
    assert own < family < text.index("length = 8 (set by the id; default 5)\n    Number of digits")
    assert "Base class of puzzle distributions" not in text


def test_a_policy_has_its_formula_its_source_its_defaults_and_the_options_of_all(capsys):
    assert main(["describe", "dump"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("dump: policy, agents/curricula/dump.py\n\nDUMP: a softmax over")
    assert "    UCB(d) = L(d) + exploration * sqrt(2 ln(N + 1) / (n_d + prior_count))\n" in text
    assert "arXiv 2504.09710" in text
    assert "  window (default 300)\n    length of the window" in text
    assert "Options of every policy:\n\n  floor (default 0.0)\n    least probability of every arm" in text
    assert "``" not in text


def test_the_values_of_a_specification_are_shown():
    assert "  window = 1200 (default 300)\n" in described("dump?window=1200", 80)
    assert "  weights = (0.5, 0.5) (default None)\n" in described("fixed?weights=.5,.5", 80)
    text = described("dumpgym/KnightsKnaves5-v0?depth=3", 80)
    assert "  num_people = 5 (set by the id; default 3)\n    Number of people, 2 to 100.\n" in text
    assert "  depth = 3 (default 2)\n" in text


def test_a_signal_per_cost_and_a_student_made_by_a_method_have_both_manuals():
    text = described("success_variance_per_token", 80)
    assert "Per token means per 1,000 generated tokens" in text
    replay = described("replay", 80)
    assert "The recording gives the success" in replay
    assert "  path (no default)\n    directory of the run.\n" in replay


class Mine(BanditPolicy):
    """Pulls what it likes.

    Args:
        num_arms: number of arms.
        taste (float): what it likes, above 0.
    """

    def __init__(self, num_arms, *, taste=1.0, **common):
        super().__init__(num_arms, **common)

    def _weights(self):
        raise NotImplementedError


def test_a_policy_of_ones_own_is_described_with_its_module(monkeypatch):
    monkeypatch.setattr("dumpgym.contracts.policy_registry.policy_registry", dumpgym.policy_registry.copy())
    dumpgym.register_policy("mine", Mine)
    text = described(f"{__name__}:mine", 80)
    assert "  taste (default 1.0)\n    what it likes, above 0.\n" in text
    assert "  warmup_steps (default 0)\n" in text


def test_lines_fit_the_terminal_except_formulas_and_tables():
    paragraphs = [line for line in described("dump", 60).splitlines() if line and not line.startswith("    ")]
    assert max(map(len, paragraphs)) <= 60


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("dmup", "name is 'dmup'; accepted: a policy, signal, student or environment that dumpgym list shows; did you "
                 "mean 'dump'?"),
        ("skils", "did you mean 'skills'?"),
        ("KnightsKnaves5", "did you mean 'dumpgym/KnightsKnaves5-v0'"),
        ("no_module:dump", "No module named 'no_module'"),
        ("dump?windo=3", "unknown option of policy 'dump' 'windo'; did you mean 'window'?"),
        ("dump?window=-3", "window is -3; accepted: a whole number at least 1"),
        ("skills?slope=x", "slope is 'x'; accepted: a finite number"),
        ("dumpgym/KnightsKnaves5-v0?depth=9", "depth is 9"),
        ("success_variance?window=3", "unknown option of signal 'success_variance' 'window'"),
        ("dump?", "accepted: an id, then ?name=value"),
    ],
)  # fmt: skip
def test_what_cannot_be_described_is_one_line(capsys, name, message):
    assert main(["describe", name]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_the_options_shown_are_those_of_the_signature():
    shown = described("thompson", 80)
    own = inspect.signature(dumpgym.policy_registry["thompson"].entry_point).parameters
    assert all(f"  {name} (default" in shown for name in own if name not in ("num_arms", "common"))
