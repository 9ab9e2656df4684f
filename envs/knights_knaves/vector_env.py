"""Many Knights and Knaves puzzles at a time, as a Gymnasium vector environment."""

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
    """``num_envs`` puzzles of one stream at a time; each step judges all of them and shows the next ``num_envs``.

    Environment i shows the puzzles with index ``i``, ``num_envs + i``, ``2 num_envs + i`` and so on of the stream that
    ``seed`` selects, so the puzzles are those that a single environment with this seed shows. An episode is one step
    long, and the reset that follows happens within the step (``AutoresetMode.SAME_STEP``): the observations are the new
    prompts; those that were answered are in ``infos["final_obs"]``, their verdicts in ``infos["final_info"]``.

    Args:
        num_envs: puzzles at a time.
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
        """Shows the next puzzles, or the first ones of a stream.

        Args:
            seed: selects the stream of puzzles and starts it anew; None goes on in the present one.
            options: "split" and "index" (of the first environment's puzzle), each optional.

        Raises:
            InvalidValueError: for an option that does not exist or a value outside its range.
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
        """The present prompts, when ``render_mode`` is "ansi"."""
        return self._prompts if self.render_mode == "ansi" else None

    def _show_next(self) -> tuple[tuple[str, ...], dict[str, Any]]:
        settings, split = self.env.settings, self.env.split
        first, prompts = self._next_index, list[str]()
        self._roles = []
        while len(prompts) < self.num_envs:
            block, start = locate(settings, self._seed, split, first + len(prompts))
            stop = min(start + self.num_envs - len(prompts), len(block.quizzes))
            prompts += block.prompts[start:stop]
            self._roles += map(block.roles, range(start, stop))
        self._prompts = tuple(prompts)
        self._next_index += self.num_envs
        addresses = _objects([(self._seed, split, first + i) for i in range(self.num_envs)])
        return self._prompts, self._with_masks({"address": addresses})

    def _with_masks(self, infos: dict[str, Any]) -> dict[str, Any]:
        """Gymnasium's form: beside each entry, which environments have it; here all of them do."""
        return infos | {f"_{name}": self._all.copy() for name in infos}


def _objects(values: Sequence[Any]) -> NDArray[Any]:
    return np.fromiter(values, dtype=object, count=len(values))
