"""Knights and Knaves as a Gymnasium environment."""

import dataclasses
from typing import Any

from dumpgym.envs.problems import Settings, locate
from dumpgym.envs.puzzle import Puzzle
from dumpgym.envs.verifier import TAGS, reward_rule, verify
from dumpgym.puzzle_env import Problem, PuzzleEnv, Verdict

_MAX_PROMPT_LENGTH = 65_536  # a hundred people take about 10,000 characters, with deep statements three times as many


class KnightsKnavesEnv(PuzzleEnv):
    """Who is a knight and who is a knave?

    ## Description
    On an island live knights, who always tell the truth, and knaves, who always lie. Each of ``num_people`` people
    makes one statement about who is what; exactly one assignment of roles fits all of them.
    """

    def __init__(
        self,
        *,
        num_people: int = 3,
        split: str = "train",
        puzzles: str = "random",
        depth: int = 2,
        width: int = 2,
        lookahead: int | None = None,
        change: str = "none",
        names: str = "common",
        role_words: str = "knight/knave",
        reorder: bool = False,
        prompt: str = "dumpgym",
        reward: str = "dump",
        render_mode: str | None = None,
    ) -> None:
        super().__init__(split=split, render_mode=render_mode, max_prompt_length=_MAX_PROMPT_LENGTH)
        self.settings = Settings(
            num_people=num_people,
            puzzles=puzzles,
            depth=depth,
            width=width,
            lookahead=lookahead,
            change=change,
            names=names,
            role_words=role_words,
            reorder=reorder,
            prompt=prompt,
        )
        self.reward_id = reward_rule(reward).id
        self._words = self.settings.words

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments that make this distribution: the number of people, and what is not the default."""
        values = {f.name: getattr(self.settings, f.name) for f in dataclasses.fields(self.settings)}
        defaults = {f.name: f.default for f in dataclasses.fields(self.settings)}
        return {name: value for name, value in values.items() if name == "num_people" or value != defaults[name]}

    def sample_problem(self, seed: int, split: str, index: int) -> Problem:
        """The puzzle at an address; see ``PuzzleEnv.sample_problem``."""
        block, row = locate(self.settings, seed, split, index)
        return block.problem(row, (seed, split, index))

    def sample_puzzle(self, seed: int, split: str, index: int) -> Puzzle:
        """The puzzle at an address without its words."""
        block, row = locate(self.settings, seed, split, index)
        return block.block.puzzle(row)

    def verify(self, problem: Problem, completion: object) -> Verdict:
        """Judges a completion by the selected reward; see ``dumpgym.envs.verifier``."""
        return verify(completion, problem.answer, role_words=self._words, reward=self.reward_id)

    def problem_info(self, problem: Problem) -> dict[str, Any]:
        """The puzzle's lookahead, and its number in the published files or its original, if it has one."""
        block, row = locate(self.settings, *problem.address)
        return {"lookahead": block.lookahead_levels[row], **block.origin(row)}

    def completion_of(self, answer: str) -> str:
        """The answer between the tags, unless it brings its own."""
        return answer if any(tag in answer for tag in TAGS) else f"<think></think>\n<answer>{answer}</answer>"
