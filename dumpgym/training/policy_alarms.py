"""Alarms for what is known to go wrong with a bandit over distributions, raised before a run is believed.

An arm whose answers cannot be read looks like one that is too hard; an arm that never succeeds is never drawn again;
one arm takes over the batch; the batch is not what the policy requested. Each was seen in published runs.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dumpgym.contracts.errors import require_number
from dumpgym.contracts.state import Stateful
from dumpgym.contracts.student import GroupResults
from dumpgym.statistics.curves import effective_number
from dumpgym.training.window import StepWindow

_FALSE_ALARM = 1e-6  # chance of a dose alarm in a window although slots are drawn as requested
_LATEST = 5  # steps that decide whether a policy is concentrated


class PolicyAlarms(Stateful):
    """Watches what a policy requests, and what it gets, over the last steps of a run.

    Each alarm is a short text that names the arm and the number:

    - dead: not one success in at least ``enough`` completions of the window, although most were readable;
    - wrong format: more than half of at least ``enough`` completions in the window had no answer to judge;
    - starved: no group in the whole window;
    - concentrated: over the last five steps, one arm was requested for more than ``largest_share`` of the batch, or the
      effective number of arms, exp(entropy), was below ``fewest_effective`` of the arms;
    - dose: the number of an arm's groups in the window differs from what was requested by more than chance allows:
      by more than Bernstein's bound l / 3 + sqrt((l / 3)^2 + 2 v l), where v is the variance of independent draws and
      l = ln(2 arms / 1e-6). If the requests are fixed, a window exceeds the bound by chance less than once in a
      million. Requests that follow the results make v random too, so this chance is approximate then.

    Args:
        names: names of the arms. A single arm can only be dead or have the wrong format.
        window: number of steps that are remembered.
        enough: completions in the window before an arm is judged.
        largest_share: share of one arm above which a batch is concentrated.
        fewest_effective: effective number of arms, as a share of all arms, below which a batch is concentrated.

    Raises:
        InvalidValueError: if an option is out of range.
    """

    state_fields: ClassVar[tuple[str, ...]] = ("recent", "steps")
    _ROWS = ("groups", "completions", "successes", "unreadable", "requested", "variance")

    def __init__(
        self,
        names: Sequence[str],
        *,
        window: int = 20,
        enough: int = 64,
        largest_share: float = 0.5,
        fewest_effective: float = 0.25,
    ) -> None:
        self.names = names
        self.window = require_number("window", window, low=_LATEST, whole=True)
        self.enough = require_number("enough", enough, low=1, whole=True)
        self.largest_share = require_number("largest_share", largest_share, low=0, high=1)
        self.fewest_effective = require_number("fewest_effective", fewest_effective, low=0, high=1)
        self.recent = StepWindow(self._ROWS, len(names), window)
        self.steps = 0

    def observe(
        self, requested: NDArray[np.float64], results: GroupResults, unreadable: NDArray[np.int64]
    ) -> tuple[list[str], dict[str, float]]:
        """Adds a step to the window.

        Args:
            requested: probabilities of the policy, (num_arms,).
            results: of the batch, with arrays of shape (groups,).
            unreadable: number of completions of every group without an answer to judge, (groups,).

        Returns:
            The alarms, and numbers to log: the effective number of arms among the window's groups, and the largest
            difference from the requested dose as a share of what chance allows.
        """
        num_arms, size = len(self.names), results.arm.size
        groups = np.bincount(results.arm, minlength=num_arms)
        self.recent.add(
            {
                "groups": groups,
                "completions": groups * results.num_generations,
                "successes": np.bincount(results.arm, weights=results.successes, minlength=num_arms),
                "unreadable": np.bincount(results.arm, weights=unreadable, minlength=num_arms),
                "requested": size * requested,
                "variance": size * requested * (1 - requested),
            }
        )
        self.steps += 1
        log_chance = np.log(2 * num_arms / _FALSE_ALARM)
        total = self.recent.total()
        allowed = log_chance / 3 + np.sqrt((log_chance / 3) ** 2 + 2 * total["variance"] * log_chance)
        off = (total["groups"] - total["requested"]) / allowed
        alarms = [*self._of_arms(total), *self._of_batch(total, off)]
        numbers = {
            "guards/effective_arms": float(effective_number(total["groups"] / total["groups"].sum())),
            "guards/dose_mismatch": float(np.abs(off).max()),
        }
        return alarms, numbers

    def _of_arms(self, total: Mapping[str, NDArray[np.float64]]) -> list[str]:
        alarms = []
        for i, name in enumerate(self.names):
            groups, completions, successes, unreadable = (float(total[row][i]) for row in self._ROWS[:4])
            if completions >= self.enough and unreadable > completions / 2:
                alarms.append(_wrong_format(name, unreadable / completions, int(completions)))
            elif completions >= self.enough and successes == 0:
                alarms.append(f"{name}: dead, none of {completions:.0f} completions solved")
            if groups == 0 and self.steps >= self.window:
                alarms.append(f"{name}: starved, no group in {self.window} steps")
        return alarms

    def _of_batch(self, total: Mapping[str, NDArray[np.float64]], off: NDArray[np.float64]) -> list[str]:
        alarms = []
        if len(self.names) > 1 and self.steps >= _LATEST:
            requested = self.recent.total(last=_LATEST)["requested"]
            shares = requested / requested.sum()
            effective = float(effective_number(shares))
            if shares.max() > self.largest_share and len(self.names) > 2:
                name = self.names[int(shares.argmax())]
                alarms.append(f"{name}: concentrated, {shares.max():.0%} of the last {_LATEST} batches")
            elif effective < self.fewest_effective * len(self.names):
                few = f"{effective:.1f} effective arms of {len(self.names)}"
                alarms.append(f"concentrated, {few} in the last {_LATEST} batches")
        for i in np.flatnonzero(np.abs(off) > 1).tolist():
            got, asked_for = total["groups"][i], total["requested"][i]
            alarms.append(f"{self.names[i]}: dose, {got:.0f} groups where {asked_for:.0f} were requested")
        return alarms


def _wrong_format(name: str, share: float, completions: int) -> str:
    return f"{name}: wrong format, {share:.0%} of {completions} completions have no answer to read"


def alarm_kind(alarm: str) -> str:
    """The arm and what is wrong with it, without the numbers."""
    return alarm.partition(",")[0]


def format_alarms(evaluation: Mapping[str, float], names: Sequence[str], num_problems: int) -> list[str]:
    """Wrong-format alarms of an evaluation, so that no run begins with answers that nobody can read.

    Args:
        evaluation: with ``eval/<name>/format``, the share of completions with an answer to judge.
        names: names of the arms.
        num_problems: completions of every arm.
    """
    readable = {name: evaluation[f"eval/{name}/format"] for name in names}
    return [_wrong_format(name, 1 - share, num_problems) for name, share in readable.items() if share < 0.5]
