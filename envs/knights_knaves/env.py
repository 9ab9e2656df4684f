"""Knights and Knaves as a Gymnasium environment."""

import dataclasses
from typing import Any

from dumpgym.contracts.errors import require_number
from dumpgym.contracts.puzzle_env import Problem, PuzzleEnv, Verdict
from dumpgym.envs.knights_knaves.logic.puzzle import Puzzle
from dumpgym.envs.knights_knaves.problems import ProblemBlock, PuzzleSettings, problem_block
from dumpgym.envs.knights_knaves.verifier import TAGS, reward_rule, verify

_MAX_PROMPT_LENGTH = 65_536  # a hundred people take about 10,000 characters, with deep statements three times as many


class KnightsKnavesEnv(PuzzleEnv):
    """Who is a knight and who is a knave?

    ## Description
    On an island live knights, who always tell the truth, and knaves, who always lie. Each of ``num_people`` people
    makes one statement about who is what; exactly one assignment of roles fits all of them. The ids are
    ``dumpgym/KnightsKnaves-v0``, which takes all arguments, and ``dumpgym/KnightsKnaves2-v0`` to
    ``dumpgym/KnightsKnaves14-v0``, which bring their number of people. ``experiments/gallery`` shows a puzzle of
    every kind, and what guessing achieves.

    ## Action space
    ``Text``: the completion, up to 65,536 characters of ASCII, Latin-1 and Latin Extended-A. ``step`` judges any other
    object too. It reads the completion alone, never the prompt.

    ## Observation space
    ``Text``: the prompt, which ends in the instruction what an answer must look like. ``step`` returns the same one.

    ## Starting state
    A problem has an address: (seed, split, index). ``reset(seed=...)`` selects a stream of problems and starts it anew
    with index 0, and each further ``reset()`` shows the next one. ``reset(options={"split": "test", "index": 7})`` goes
    to another place; both keys are optional. The same address is the same problem on every machine, whatever was shown
    before, and the same puzzle whatever its names, role words, order and prompt.

    The splits are disjoint: no test puzzle is a train puzzle of any seed, not even up to renaming people and replacing
    statements by logically equivalent ones. Within a split puzzles repeat, of 2 and 3 people often.

    ## Rewards
    The sum of the reward terms of one of four outcomes. By default, with ``reward="dump"``:

    | outcome       | when                                                     | ``format`` | ``answer`` | reward |
    |---------------|----------------------------------------------------------|------------|------------|--------|
    | `correct`     | everyone has the right role                              | +1         | +2         | 3      |
    | `wrong`       | everyone has one role, and at least one is wrong         | +1         | -1.5       | -0.5   |
    | `unparseable` | the answer says anything else, more or less than that    | +1         | -2         | -1     |
    | `bad_format`  | the tags are not as asked, or it is no text at all       | -1         | -2         | -3     |

    The other rules are ``"logic-rl"`` (the same, but text outside the tags is allowed), ``"binary"`` (1 or 0) and
    ``"answer-only"`` (the term ``answer`` alone). A full id such as ``"dump-v0"`` names a version. See
    ``dumpgym.envs.knights_knaves.verifier`` for their tables, and ``dumpgym.envs.knights_knaves.language.answer_reader`` for how an answer is read.

    ## Episode end
    After one step: ``terminated`` is always True, ``truncated`` never.

    ## Information
    ``reset`` returns ``address``; ``lookahead``, the levels of case split that the puzzle needs; with
    ``puzzles="dump"`` also ``published_index``, its number in the published files; with ``change`` also
    ``original_quiz``, ``original_statements`` and ``original_solution``, the puzzle before the change.

    ``step`` returns ``is_success``, ``outcome``, ``reward_terms`` (by name) and ``reason``, a sentence that says what
    is wrong.

    ## Arguments
    All are keyword arguments.

    * ``num_people=3``: 2 to 100.
    * ``split="train"``: "train" or "test", in which the first ``reset`` begins.
    * ``puzzles="random"``: or "dump" for the paper's own puzzles, to the letter: 3 to 14 people, for each 900 to train
      on, of which every epoch has an order of its own, and 100 to test on, in the paper's order. The splits are the
      paper's too, in which a test puzzle may be a train puzzle with other names. Of the other arguments these take
      ``role_words``, ``reorder``, ``prompt`` and ``reward``.
    * ``depth=2``: levels of nesting in a statement, 2 to 4, where a leaf ("Zoey is a knave") is 1. At depth 1 there is
      no puzzle: if all statements are leaves and some assignment fits, the one with all roles flipped fits too.
    * ``width=2``: most parts of an "and" or "or", 2 to ``2 * num_people - 1``; ``width ** (depth - 1)`` is at most 9,
      so up to 9 at depth 2, 3 at depth 3 and 2 at depth 4.
    * ``lookahead=None``: exactly how many levels of case split a puzzle needs, 0 to 3; None for any. 0 is deduction
      from what is known; at k, a role is struck if supposing it leads to a contradiction with k - 1. Of the default
      depth and width hardly any puzzle needs 2. ``reset`` raises ``InvalidValueError`` where none is found in time.
    * ``change="none"``: "statement" or "leaf" for puzzles of which one of these was drawn anew, so that the solution
      is another. Whoever remembers the original answers wrong.
    * ``names="common"``: or "uncommon"; these are a little rarer, some of them with accents, hyphens and apostrophes.
    * ``role_words="knight/knave"``: what those are called who tell the truth, then those who lie: any two nouns in
      lower-case letters. "knave/knight" swaps the two.
    * ``reorder=False``: True to quote people in another order than that in which they are introduced.
    * ``prompt="dumpgym"``: or "dump" for the paper's system message in front of the puzzle.
    * ``reward="dump"``: the reward rule.
    * ``render_mode=None``: or "ansi", with which ``render`` returns the prompt.

    ## Vectors
    ``gym.make_vec("dumpgym/KnightsKnaves5-v0", num_envs=64)`` makes a ``KnightsKnavesVectorEnv``, which shows the
    puzzles of one stream, 64 at a time. Its autoreset mode is ``SAME_STEP``: ``step`` returns the next prompts, and the
    verdicts stand in ``infos["final_info"]``.

    ## Transcripts
    One for each outcome, of a puzzle of the paper:

    >>> import gymnasium as gym
    >>> import dumpgym
    >>> env = gym.make("dumpgym/KnightsKnaves3-v0", puzzles="dump", split="test")
    >>> prompt, info = env.reset(seed=0)
    >>> print(prompt)  # doctest: +NORMALIZE_WHITESPACE
    A very special island is inhabited only by knights and knaves. Knights always tell the truth, and knaves always lie.
    You meet 3 inhabitants: Liam, Chloe, and Daniel. In a statement by Liam: "Daniel is a knave and Chloe is a knave".
    Chloe said, "Liam is a knave if and only if Daniel is a knight." Daniel asserted: "Chloe is a knight or Liam is a
    knave". So who is a knight and who is a knave?
    Reason between <think> and </think>. Then, between <answer> and </answer>, state the role of every inhabitant, as in
    "NAME is a knight".
    >>> info
    {'address': (0, 'test', 0), 'lookahead': 1, 'published_index': 786}
    >>> def show(completion):
    ...     env.reset(options={"index": 0})
    ...     _, reward, _, _, info = env.step(completion)
    ...     print(info["outcome"], reward, info["reward_terms"])
    ...     print(info["reason"])
    >>> thought = "<think>Were Liam a knight, Chloe would be a knave who tells the truth. So he lies.</think>"
    >>> show(f"{thought}<answer>Liam is a knave, Chloe is a knight, Daniel is a knight</answer>")
    correct 3.0 {'format': 1.0, 'answer': 2.0}
    All roles are right.
    >>> show(f"{thought}<answer>Liam is a knight, Chloe is a knave, Daniel is a knave</answer>")
    wrong -0.5 {'format': 1.0, 'answer': -1.5}
    Liam is a knave, not a knight; Chloe is a knight, not a knave; Daniel is a knight, not a knave.
    >>> show(f"{thought}<answer>Liam is a knave, and Chloe or Daniel is a knight</answer>")
    unparseable -1.0 {'format': 1.0, 'answer': -2.0}
    The answer says nobody's role in ', and chloe or daniel is a knight'.
    >>> show("Liam is a knave, Chloe is a knight, Daniel is a knight")
    bad_format -3.0 {'format': -1.0, 'answer': -2.0}
    <think> is missing.

    ## References
    * DUMP: Wang et al., 2025, arXiv 2504.09710: puzzles, prompt and reward.
    * On Memorization of Large Language Models in Logical Reasoning: Xie et al., 2024, arXiv 2410.23123: the generator,
      depth, width, names, role words, order and changes.
    * Logic-RL: Xie et al., 2025, arXiv 2502.14768: the reward that DUMP's follows, and the looser format.
    * Lookahead is the k of generalised unit propagation (Kullmann's r_(k+1); see Gwynne and Kullmann, 2012, arXiv
      1204.6529), on people alone: ``dumpgym.envs.knights_knaves.logic.solver.lookahead_levels``.

    ## Version history
    * v0: the first version.
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
        self.settings = PuzzleSettings(
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
        self._kept: tuple[tuple[int, str, int], ProblemBlock] | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments that make this distribution: the number of people, and what is not the default."""
        values = {f.name: getattr(self.settings, f.name) for f in dataclasses.fields(self.settings)}
        defaults = {f.name: f.default for f in dataclasses.fields(self.settings)}
        return {name: value for name, value in values.items() if name == "num_people" or value != defaults[name]}

    def sample_problem(self, seed: int, split: str, index: int) -> Problem:
        """The puzzle at an address; see ``PuzzleEnv.sample_problem``."""
        block, row = self._locate(seed, split, index)
        return block.problem(row, (seed, split, index))

    def sample_puzzle(self, seed: int, split: str, index: int) -> Puzzle:
        """The puzzle at an address without its words."""
        block, row = self._locate(seed, split, index)
        return block.puzzles.puzzle(row)

    def _locate(self, seed: int, split: str, index: int) -> tuple[ProblemBlock, int]:
        """The problem's block and its place there; a block is kept, as many environments share a small cache."""
        number, row = divmod(require_number("index", index, low=0, whole=True), self.settings.block_size(split))
        address = (seed, split, number)
        if self._kept is None or self._kept[0] != address:
            self._kept = address, problem_block(self.settings, *address)
        return self._kept[1], row

    def verify(self, problem: Problem, completion: object) -> Verdict:
        """Judges a completion by the selected reward; see ``dumpgym.envs.knights_knaves.verifier``."""
        return verify(completion, problem.solution, role_words=self._words, reward=self.reward_id)

    def problem_info(self, problem: Problem) -> dict[str, Any]:
        """The puzzle's lookahead, and its number in the published files or its original, if it has one."""
        block, row = self._locate(*problem.address)
        return {"lookahead": block.lookahead_levels[row], **block.origin(row)}

    def completion_of(self, answer: str) -> str:
        """The answer between the tags, unless it brings its own."""
        return answer if any(tag in answer for tag in TAGS) else f"<think></think>\n<answer>{answer}</answer>"
