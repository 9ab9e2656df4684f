"""PolicyAlarms: alarms for what is known to go wrong with a bandit over distributions, before a run is believed.

An arm whose answers cannot be read looks like one that is too hard; an arm that never succeeds is never drawn again;
one arm takes over the batch; the batch is not what the policy asked for. Each was seen in published runs.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dumpgym.contracts.errors import require_number
from dumpgym.contracts.state import Stateful
from dumpgym.contracts.student import GroupResults
from dumpgym.statistics.curves import effective_number

_FALSE_ALARM = 1e-6  # chance that the dose in a window raises an alarm though slots are drawn as requested


class PolicyAlarms(Stateful):
    """Watches the last steps of a run.

    Alarms, each a short text that names the arm and the number:

    - dead: not one success in at least ``enough`` completions of the window, though most were readable;
    - wrong format: more than half of at least ``enough`` completions in the window had no answer to judge;
    - starved: no group in the whole window;
    - concentrated: over the window's last five steps, one arm was asked for more than ``largest_share`` of the batch,
      or the effective number of arms, exp(entropy), was below ``fewest_effective`` of the arms;
    - dose: an arm's groups in the window differ from what was requested by more than chance allows: by more than
      Bernstein's bound l / 3 + sqrt((l / 3)^2 + 2 v l), with v the variance of independent draws and l = ln(2 arms /
      1e-6). While the requests stand fixed, a window exceeds it by chance less than once in a million; requests that
      follow the results make v random too, and this chance approximate.

    Args:
        names: of the arms; of a single one nothing but its success and format can be wrong.
        window: steps that are looked back on.
        enough: completions in the window before an arm is judged.
        largest_share: of one arm, above which a batch is concentrated.
        fewest_effective: effective number of arms, as a share of the arms, below which it is.

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
        self.window = require_number("window", window, low=5, whole=True)
        self.enough = require_number("enough", enough, low=1, whole=True)
        self.largest_share = require_number("largest_share", largest_share, low=0, high=1)
        self.fewest_effective = require_number("fewest_effective", fewest_effective, low=0, high=1)
        self.recent: NDArray[np.float64] = np.zeros((window, len(self._ROWS), len(names)))  # newest last
        self.steps = 0

    def observe(
        self, requested: NDArray[np.float64], results: GroupResults, unreadable: NDArray[np.int64]
    ) -> tuple[list[str], dict[str, float]]:
        """Takes in a step.

        Args:
            requested: the policy's probabilities, (num_arms,).
            results: of the batch, with arrays of shape (groups,).
            unreadable: completions of every group without an answer to judge, (groups,).

        Returns:
            The alarms, and numbers to log: the effective number of arms that the window's groups had, and the largest
            difference from the requested dose, of what chance allows.
        """
        groups = np.bincount(results.arm, minlength=len(self.names))
        size = results.arm.size
        row = [
            groups,
            groups * results.num_generations,
            np.bincount(results.arm, weights=results.successes, minlength=len(self.names)),
            np.bincount(results.arm, weights=unreadable, minlength=len(self.names)),
            size * requested,
            size * requested * (1 - requested),
        ]
        self.recent = np.concatenate([self.recent[1:], np.array(row, dtype=np.float64)[None]])
        self.steps += 1
        log_chance = np.log(2 * len(self.names) / _FALSE_ALARM)
        total = dict(zip(self._ROWS, self.recent.sum(axis=0), strict=True))
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
                alarms.append(wrong_format(name, unreadable / completions, int(completions)))
            elif completions >= self.enough and successes == 0:
                alarms.append(f"{name}: dead, none of {completions:.0f} completions solved")
            if groups == 0 and self.steps >= self.window:
                alarms.append(f"{name}: starved, no group in {self.window} steps")
        return alarms

    def _of_batch(self, total: Mapping[str, NDArray[np.float64]], off: NDArray[np.float64]) -> list[str]:
        alarms = []
        if len(self.names) > 1 and self.steps >= 5:
            asked = self.recent[-5:, 4].sum(axis=0)
            asked = asked / asked.sum()
            effective = float(effective_number(asked))
            if asked.max() > self.largest_share and len(self.names) > 2:
                name = self.names[int(asked.argmax())]
                alarms.append(f"{name}: concentrated, {asked.max():.0%} of the last 5 batches")
            elif effective < self.fewest_effective * len(self.names):
                alarms.append(
                    f"concentrated, {effective:.1f} effective arms of {len(self.names)} in the last 5 batches"
                )
        for i in np.flatnonzero(np.abs(off) > 1).tolist():
            got, asked_for = total["groups"][i], total["requested"][i]
            alarms.append(f"{self.names[i]}: dose, {got:.0f} groups where {asked_for:.0f} were requested")
        return alarms


def wrong_format(name: str, share: float, completions: int) -> str:
    """The alarm for an arm whose answers cannot be read."""
    return f"{name}: wrong format, {share:.0%} of {completions} completions have no answer to read"


def format_alarms(evaluation: Mapping[str, float], names: Sequence[str], num_problems: int) -> list[str]:
    """Wrong-format alarms of an evaluation, so that a run is not begun with answers that nobody can read.

    Args:
        evaluation: with ``eval/<name>/format``, the share of completions with an answer to judge.
        names: of the arms.
        num_problems: completions of every arm.
    """
    readable = {name: evaluation[f"eval/{name}/format"] for name in names}
    return [wrong_format(name, 1 - share, num_problems) for name, share in readable.items() if share < 0.5]
