"""Reward rules: what the outcomes of a verifier are worth.

A verifier says which of four outcomes a completion has, and a rule assigns reward terms to each of them. Families of
environments share the rules, so that a name such as "binary" means the same everywhere.

===============  ===========================================  ====================  ========  ===========
outcome          when                                         ``dump-v0``           binary    answer-only
                                                              ``logic-rl-v0``       ``-v0``   ``-v0``
===============  ===========================================  ====================  ========  ===========
``correct``      the answer is right                          +1 + 2    =  3        1          2
``wrong``        it is an answer, but not the right one       +1 - 1.5  = -0.5      0         -1.5
``unparseable``  what stands for the answer cannot be read    +1 - 2    = -1        0         -2
``bad_format``   the form round the answer is not as          -1 - 2    = -3        0         -2
                 requested, or the completion is not text
===============  ===========================================  ====================  ========  ===========

``dump`` is the training reward of the paper (DUMP, arXiv 2504.09710), with the terms ``format`` and ``answer``.
``answer-only`` is the metric of the paper's evaluation: only the term ``answer``. ``binary`` gives 1 for a right
answer, in the term ``answer``. ``logic-rl`` gives the same rewards as ``dump`` but requires a looser format, that of
Logic-RL's code (Xie et al., arXiv 2502.14768).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from dumpgym.contracts.errors import UnknownNameError


class RewardRule(NamedTuple):
    """The reward terms of each outcome, and whether text outside the requested form is a bad format (``is_strict``)."""

    name: str
    version: int
    terms: Mapping[str, MappingProxyType[str, float]]
    is_strict: bool = True

    @property
    def id(self) -> str:
        """The full name, e.g. "dump-v0". Reports of results should use it."""
        return f"{self.name}-v{self.version}"


def _terms(**columns: tuple[float, float, float, float]) -> Mapping[str, MappingProxyType[str, float]]:
    outcomes = ("correct", "wrong", "unparseable", "bad_format")
    rows = zip(outcomes, zip(*columns.values(), strict=True), strict=True)
    return MappingProxyType({outcome: MappingProxyType(dict(zip(columns, row, strict=True))) for outcome, row in rows})


_PAPER = _terms(format=(1.0, 1.0, 1.0, -1.0), answer=(2.0, -1.5, -2.0, -2.0))
_VERSIONS = (  # several versions of one name are listed from oldest to newest
    RewardRule("dump", 0, _PAPER),
    RewardRule("logic-rl", 0, _PAPER, is_strict=False),
    RewardRule("binary", 0, _terms(answer=(1.0, 0.0, 0.0, 0.0))),
    RewardRule("answer-only", 0, _terms(answer=(2.0, -1.5, -2.0, -2.0))),
)
REWARDS: Mapping[str, RewardRule] = MappingProxyType({rule.name: rule for rule in _VERSIONS})
"""The newest version of every rule, by name."""
_RULES = {**REWARDS, **{rule.id: rule for rule in _VERSIONS}}


def reward_rule(name: str) -> RewardRule:
    """Returns the newest version of a reward rule, given its name ("dump"), or the version of a full id ("dump-v0").

    Raises:
        UnknownNameError: if there is no such rule.
    """
    rule = _RULES.get(name)
    if rule is None:
        raise UnknownNameError("reward", str(name), _RULES)
    return rule
