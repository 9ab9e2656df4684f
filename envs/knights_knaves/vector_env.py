"""Knights and Knaves as a Gymnasium vector environment, for many puzzles at a time."""

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from dumpgym.contracts.errors import InvalidValueError, require_number
from dumpgym.envs.knights_knaves.env import KnightsKnavesEnv
from dumpgym.envs.knights_knaves.problems import locate
from dumpgym.envs.knights_knaves.verifier import verify


class KnightsKnavesVectorEnv(VectorEnv[tuple[str, ...], Sequence[str], NDArray[Any]]):
    """Shows ``num_envs`` puzzles of one stream at a time; each step judges all of them and shows the next ``num_envs``.

    Environment i shows the puzzles with index ``i``, ``num_envs + i``, ``2 num_envs + i`` and so on of the stream that
    ``seed`` selects, so together they show the puzzles that a single environment with this seed shows. An episode is
    one step long, and the reset that follows is part of the same step (``AutoresetMode.SAME_STEP``): ``step`` returns
    the next prompts as observations, the prompts just answered in ``infos["final_obs"]`` and their verdicts in
    ``infos["final_info"]``.

    Args:
        num_envs: number of environments, that is, of puzzles at a time.
        kwargs: arguments of ``KnightsKnavesEnv``.

    Raises:
        InvalidValueError: for a value out of range.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 (as Gymnasium declares it)
        "render_modes": ["ansi"],
        "render_fps": 1,
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(self, num_envs: int = 1, **kwargs: Any) -> None:
        self.num_envs = require_number("num_envs", num_envs, low=1, whole=True)
        self.env = KnightsKnavesEnv(**kwargs)
        self.render_mode = self.env.render_mode
        self.single_observation_space, self.single_action_space = self.env.observation_space, self.env.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._seed = 0
        self._next_index = 0
        self._prompts: tuple[str, ...] = ()
        self._roles: list[dict[str, str]] = []
        self._all = np.ones(num_envs, bool)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[tuple[str, ...], dict[str, Any]]:
        """Shows the next puzzles of the stream, or the first ones of another stream.

        Args:
            seed: selects the stream of puzzles and restarts it; None continues the current stream.
            options: "split" and "index" (of the first environment's puzzle), each optional.

        Returns:
            the prompts, and an array of each entry of ``KnightsKnavesEnv.reset``'s info, such as ``infos["address"]``.

        Raises:
            InvalidValueError: for an unknown option or a value outside its range.
        """
        super().reset(seed=seed)
        if seed is not None:
            self._seed, self._next_index = require_number("seed", seed, low=0, whole=True), 0
        self.env.split, self._next_index = self.env.split_and_index(options, self._next_index)
        return self._show_next()

    def step(
        self, actions: Sequence[str]
    ) -> tuple[tuple[str, ...], NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Judges one completion for each prompt, and shows the next prompts.

        Args:
            actions: the completions, (num_envs,).

        Returns:
            the next prompts, the rewards, terminations (all True) and truncations (all False), and the infos.

        Raises:
            InvalidValueError: if there are more or fewer completions than environments.
        """
        if not self._roles:
            raise gym.error.ResetNeeded("call reset() before step()")
        if len(actions) != self.num_envs:
            raise InvalidValueError("number of completions", len(actions), f"{self.num_envs}, one for each environment")
        words, reward = self.env.settings.words, self.env.reward_id
        verdicts = [
            verify(action, roles, role_words=words, reward=reward)
            for action, roles in zip(actions, self._roles, strict=True)
        ]
        terms = {
            name: np.array([verdict.reward_terms[name] for verdict in verdicts]) for name in verdicts[0].reward_terms
        }
        final = {
            "is_success": np.array([verdict.success for verdict in verdicts]),
            "outcome": _objects([verdict.outcome for verdict in verdicts]),
            "reward_terms": self._with_masks(terms),
            "reason": _objects([verdict.reason for verdict in verdicts]),
        }
        infos = {"final_obs": _objects(self._prompts), "final_info": self._with_masks(final)}
        rewards = np.array([verdict.reward for verdict in verdicts])
        prompts, reset_infos = self._show_next()
        truncated = np.zeros(self.num_envs, bool)
        return prompts, rewards, np.ones(self.num_envs, bool), truncated, self._with_masks(infos) | reset_infos

    def render(self) -> tuple[str, ...] | None:
        """Returns the current prompts if ``render_mode`` is "ansi"."""
        return self._prompts if self.render_mode == "ansi" else None

    def _show_next(self) -> tuple[tuple[str, ...], dict[str, Any]]:
        settings, split = self.env.settings, self.env.split
        first, prompts, infos = self._next_index, list[str](), list[dict[str, Any]]()
        self._roles = []
        while len(prompts) < self.num_envs:
            block, start = locate(settings, self._seed, split, first + len(prompts))
            stop = min(start + self.num_envs - len(prompts), len(block.quizzes))
            prompts += block.prompts[start:stop]
            self._roles += map(block.roles, range(start, stop))
            infos += map(block.info, range(start, stop))
        self._prompts = tuple(prompts)
        self._next_index += self.num_envs
        addresses = _objects([(self._seed, split, first + i) for i in range(self.num_envs)])
        others = {name: _array([info[name] for info in infos]) for name in infos[0]}
        return self._prompts, self._with_masks({"address": addresses, **others})

    def _with_masks(self, infos: dict[str, Any]) -> dict[str, Any]:
        """Adds the mask that Gymnasium requires for each entry. It is all True: every environment has every entry."""
        return infos | {f"_{name}": self._all.copy() for name in infos}


def _array(values: Sequence[Any]) -> NDArray[Any]:
    """Numbers as numbers and anything else as objects, as Gymnasium's own vector environments do."""
    return np.array(values) if isinstance(values[0], int) else _objects(values)


def _objects(values: Sequence[Any]) -> NDArray[Any]:
    return np.fromiter(values, dtype=object, count=len(values))
