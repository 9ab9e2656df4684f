"""Knights and Knaves as a Gymnasium environment."""

from typing import Any

from dumpgym.envs.puzzle import MAX_PEOPLE, MIN_PEOPLE, puzzle_rng, sample_puzzle
from dumpgym.envs.text import INSTRUCTION, draw_names, render_answer, render_quiz
from dumpgym.envs.verifier import verify
from dumpgym.errors import require_number
from dumpgym.puzzle_env import Problem, PuzzleEnv, Verdict


class KnightsKnavesEnv(PuzzleEnv):
    """Who is a knight and who is a knave?

    ## Description
    On an island live knights, who always tell the truth, and knaves, who always lie. Each of ``num_people`` people
    makes one statement about who is what; exactly one assignment of roles fits all of them.

    ## Action space
    ``Text``: a completion. It reasons between ``<think>`` and ``</think>`` and gives every role between ``<answer>``
    and ``</answer>``. Anything is accepted as an action; what is no such completion earns the least reward.

    ## Observation space
    ``Text``: the puzzle in English with the instruction.

    ## Starting state
    The next puzzle of the stream that ``seed`` selects, or the one that ``options`` names by split and index.

    ## Rewards
    The published rule (DUMP, arXiv 2504.09710): format +1 or -1; answer +2 if all roles are right, -1.5 if one is
    wrong, -2 if it cannot be read or the format is bad. So the reward is 3, -0.5, -1 or -3.

    ## Episode end
    Terminated after one step.

    ## Information
    ``reset``: ``address``. ``step``: ``is_success``, ``outcome``, ``reward_terms``, ``reason``.

    ## Arguments
    ``num_people``: 2 to 16. ``split``: "train" or "test"; no test puzzle equals a train puzzle up to renaming people
    and logical equivalence of statements. ``render_mode``: None or "ansi".

    ## References
    Wang et al., DUMP (arXiv 2504.09710); Xie et al., On memorization of LLMs in logical reasoning (arXiv 2410.23123).

    ## Version history
    v0: first version.
    """

    def __init__(self, *, num_people: int = 3, split: str = "train", render_mode: str | None = None) -> None:
        super().__init__(split=split, render_mode=render_mode)
        self.num_people = require_number("num_people", num_people, low=MIN_PEOPLE, high=MAX_PEOPLE, whole=True)

    def sample_problem(self, seed: int, split: str, index: int) -> Problem:
        """The puzzle at an address; see ``PuzzleEnv.sample_problem``."""
        rng = puzzle_rng(self.num_people, seed, split, index)
        puzzle = sample_puzzle(rng, self.num_people, split)
        names = draw_names(rng, self.num_people)
        prompt = render_quiz(puzzle.statements, names, rng) + INSTRUCTION
        answer: dict[str, Any] = {
            name: "knight" if knight else "knave" for name, knight in zip(names, puzzle.solution, strict=True)
        }
        reasoning = "Only one assignment of roles fits all the statements."
        completion = f"<think>{reasoning}</think>\n<answer>{render_answer(names, puzzle.solution)}</answer>"
        return Problem(prompt, answer, completion, (seed, split, index))

    def verify(self, problem: Problem, completion: object) -> Verdict:
        """Judges a completion by the published reward; see ``dumpgym.envs.verifier``."""
        return verify(completion, problem.answer)
