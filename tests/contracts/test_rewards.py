"""The reward rules that environments share."""

import pytest

from dumpgym.contracts.errors import UnknownNameError
from dumpgym.contracts.rewards import REWARDS, reward_rule


def test_rules_have_a_version_and_cannot_be_changed():
    assert [reward_rule(name).id for name in REWARDS] == ["dump-v0", "logic-rl-v0", "binary-v0", "answer-only-v0"]
    assert all(reward_rule(rule.id) is rule for rule in REWARDS.values())
    with pytest.raises(TypeError):
        REWARDS["dump"] = REWARDS["binary"]
    with pytest.raises(TypeError):
        REWARDS["dump"].terms["wrong"]["answer"] = 2.0


@pytest.mark.parametrize("rule", REWARDS.values(), ids=str)
def test_every_rule_pays_a_right_answer_most(rule):
    pays = {outcome: sum(terms.values()) for outcome, terms in rule.terms.items()}
    assert list(pays) == ["correct", "wrong", "unparseable", "bad_format"]
    assert pays["correct"] > pays["wrong"] >= pays["unparseable"] >= pays["bad_format"]


def test_an_unknown_reward_gets_a_suggestion():
    with pytest.raises(UnknownNameError, match="did you mean 'logic-rl'"):
        reward_rule("logic_rl")
