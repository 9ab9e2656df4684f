"""Knights and Knaves as a Gymnasium environment, for one puzzle at a time; see ``vector_env`` for many."""

import dataclasses
from typing import Any

from dumpgym.contracts.puzzle_env import Problem, PuzzleEnv, Verdict
from dumpgym.contracts.rewards import reward_rule
from dumpgym.envs.knights_knaves.logic.puzzle import Puzzle
from dumpgym.envs.knights_knaves.problems import ProblemBlock, PuzzleSettings, block_and_row, problem_block
from dumpgym.envs.knights_knaves.verifier import TAGS, verify

_MAX_PROMPT_LENGTH = 65_536  # 100 people take about 10,000 characters, and about 30,000 with deep statements


class KnightsKnavesEnv(PuzzleEnv):
    """Knights and Knaves: find out who tells the truth and who lies.

    ## Description
    Knights and knaves live on an island. Knights always tell the truth and knaves always lie. Each of ``num_people``
    people makes one statement about who is what, and exactly one assignment of roles is consistent with all the
    statements. The agent must state the role of every person.

    ``dumpgym/KnightsKnaves-v0`` accepts all the arguments below. The ids ``dumpgym/KnightsKnaves2-v0`` to
    ``dumpgym/KnightsKnaves14-v0`` set ``num_people`` to the number in their name. ``experiments/gallery`` shows a
    puzzle of every kind and how well guessing does.

    ## Action Space
    The action is a completion, in a ``Text`` space of up to 65,536 characters from ASCII, Latin-1 and Latin Extended-A.
    ``step`` also judges objects outside this space. The verifier reads only the completion, never the prompt.

    ## Observation Space
    The observation is the prompt, in a ``Text`` space of up to 65,536 characters. It consists of the puzzle and an
    instruction that says what an answer must look like. ``step`` returns the same prompt again.

    ## Starting State
    Each problem has an address: (seed, split, index). ``reset(seed=...)`` selects a stream of problems and restarts it
    at index 0; each further ``reset()`` shows the next problem of the stream.
    ``reset(options={"split": "test", "index": 7})`` jumps to another place; both keys are optional. An address gives
    the same problem on every machine, regardless of which problems were shown before. It also gives the same puzzle
    regardless of names, role words, order and prompt.

    The splits of random puzzles are disjoint: no test puzzle is a train puzzle of any seed, even up to renaming people
    and replacing statements by logically equivalent ones. Within a split puzzles can repeat; with 2 or 3 people they
    often do.

    ## Rewards
    The reward is the sum of the reward terms of one of four outcomes. The default rule, ``reward="dump"``, gives:

    | outcome       | when                                                          | ``format`` | ``answer`` | reward |
    |---------------|---------------------------------------------------------------|------------|------------|--------|
    | `correct`     | everyone has the right role                                   | +1         | +2         | 3      |
    | `wrong`       | everyone has exactly one role, and at least one role is wrong | +1         | -1.5       | -0.5   |
    | `unparseable` | the answer says more than that, less or something else        | +1         | -2         | -1     |
    | `bad_format`  | the tags are not as requested, or the action is not text      | -1         | -2         | -3     |

    The other rules are ``"logic-rl"`` (the same rewards, but text outside the tags is allowed), ``"binary"`` (1 or 0)
    and ``"answer-only"`` (only the term ``answer``). A full id such as ``"dump-v0"`` selects a version of a rule.
    An answer may have any of the forms that models write: one person at a time ("Zoey is a knight", "Zoey: knight",
    "(Zoey, knight)"), groups ("Knights: Zoey, Jack"), a table or JSON; with numbers, bullets, titles, emphasis, block
    quotes, check marks, TeX, and a remark in brackets on what a role means. It must be nothing but an answer: hedges,
    alternatives, negated sentences, conditions, reasons and contradictions are `unparseable`.
    ``dumpgym.envs.knights_knaves.verifier`` documents the rules, and
    ``dumpgym.envs.knights_knaves.language.answer_reader`` documents how an answer is read.

    ## Episode End
    - Termination: after one step, always.
    - Truncation: never.

    ## Information
    ``reset`` returns a dict with the following keys:

    - ``address``: the problem's address.
    - ``lookahead``: number of levels of case split that the puzzle needs.
    - ``published_index``: the puzzle's number in the published files; only with ``puzzles="dump"``.
    - ``original_quiz``, ``original_statements`` and ``original_solution``: the puzzle before the change; only with
      ``change="statement"`` or ``change="leaf"``.

    ``step`` returns a dict with the following keys:

    - ``is_success``: whether the answer is right.
    - ``outcome``: one of the four outcomes above.
    - ``reward_terms``: the reward terms by name.
    - ``reason``: a sentence that says what is wrong.

    ## Arguments
    All arguments are keyword-only.

    * ``num_people=3``: Number of people, 2 to 100.
    * ``split="train"``: The split in which the first ``reset`` starts, "train" or "test".
    * ``puzzles="random"``: Source of the puzzles. "dump" reproduces the paper's own puzzles to the letter. They exist
      for 3 to 14 people, with 900 train puzzles (in a different order in each epoch) and 100 test puzzles (in the
      paper's order) for each number of people. The splits are the paper's too, so a test puzzle may be a train puzzle
      with other names. ``depth``, ``width``, ``lookahead``, ``max_conflicts``, ``change`` and ``names`` must keep their
      defaults.
    * ``depth=2``: Levels of nesting in a statement, 2 to 4; a leaf ("Zoey is a knave") has depth 1. Depth 1 is excluded
      because it allows no puzzle: if an assignment is consistent with statements that are all leaves, the assignment
      with all roles flipped is consistent too.
    * ``width=2``: Maximum number of parts of an "and" or "or", 2 to ``2 * num_people - 1``. ``width ** (depth - 1)``
      must be at most 9, which allows up to 9 at depth 2, 3 at depth 3 and 2 at depth 4.
    * ``lookahead=None``: Exact number of levels of case split that a puzzle must need, 0 to 3; None accepts any. At
      level 0, deduction from known facts is enough. At level k, a role is ruled out if assuming it leads to a
      contradiction at level k - 1. With the default depth and width hardly any puzzle needs 2. ``reset`` raises
      ``InvalidValueError`` if the search finds no such puzzle within its budget.
    * ``max_conflicts=None``: Largest number of conflicts that the worked solution meets, from 0; None accepts any. A
      worked solution is a depth-first search that visits people in the order in which they are introduced (see
      ``dumpgym.envs.knights_knaves.language.worked_solution``), and with few conflicts it is short for any number of
      people. ``depth`` must be 2. ``reset`` raises ``InvalidValueError`` if no such puzzle is found, as for
      ``lookahead``.
    * ``change="none"``: "statement" or "leaf" redraws one statement or one leaf of each puzzle in a way that changes
      the solution. A model that has memorised the original puzzle gives a wrong answer.
    * ``names="common"``: "uncommon" uses slightly rarer names, some with accents, hyphens or apostrophes.
    * ``role_words="knight/knave"``: The words for those who tell the truth and those who lie, in this order: any two
      nouns in lower-case letters. "knave/knight" swaps the two.
    * ``reorder=False``: Whether people are quoted in a different order from the one in which they are introduced.
    * ``prompt="dumpgym"``: "dump" puts the paper's system message before the puzzle, instead of the instruction after
      it.
    * ``reward="dump"``: Name or full id of the reward rule.
    * ``render_mode=None``: "ansi" makes ``render`` return the prompt.

    ## Vectorized Environment
    ``gym.make_vec("dumpgym/KnightsKnaves5-v0", num_envs=64)`` makes a ``KnightsKnavesVectorEnv``, which shows the
    puzzles of one stream, 64 at a time. Its autoreset mode is ``SAME_STEP``: ``step`` returns the next prompts, and
    ``infos["final_info"]`` holds the verdicts.

    With ``vectorization_mode="async"``, Gymnasium's own asynchronous vector environment runs, and it needs
    ``vector_kwargs={"shared_memory": False}``. Gymnasium reads text from shared memory only once, while the memory is
    empty, so every observation would consist of tabs; the environment raises an error instead.

    ## Examples
    One transcript per outcome, for one of the paper's puzzles:

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
    * DUMP (Wang et al., 2025, arXiv 2504.09710): the puzzles, the prompt and the reward.
    * On Memorization of Large Language Models in Logical Reasoning (Xie et al., 2024, arXiv 2410.23123): the generator,
      depth, width, names, role words, order and changes.
    * Logic-RL (Xie et al., 2025, arXiv 2502.14768): the reward on which DUMP's is based, and the looser format.
    * Gwynne and Kullmann, 2012, arXiv 1204.6529: lookahead is the k of generalised unit propagation (Kullmann's
      r_(k+1)), with case splits on people only; see ``dumpgym.envs.knights_knaves.logic.solver.lookahead_levels``.

    ## Version History
    * v0: Initial version
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
        max_conflicts: int | None = None,
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
            max_conflicts=max_conflicts,
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
        """The arguments that define the distribution: ``num_people``, and every other one that is not the default."""
        values = {f.name: getattr(self.settings, f.name) for f in dataclasses.fields(self.settings)}
        defaults = {f.name: f.default for f in dataclasses.fields(self.settings)}
        return {name: value for name, value in values.items() if name == "num_people" or value != defaults[name]}

    def sample_problem(self, seed: int, split: str, index: int) -> Problem:
        """Returns the problem at an address; see ``PuzzleEnv.sample_problem``."""
        block, row = self._locate(seed, split, index)
        return block.problem(row, (seed, split, index))

    def sample_puzzle(self, seed: int, split: str, index: int) -> Puzzle:
        """Returns the puzzle at an address, without its words."""
        block, row = self._locate(seed, split, index)
        return block.puzzles.puzzle(row)

    def _locate(self, seed: int, split: str, index: int) -> tuple[ProblemBlock, int]:
        """Returns the block of a problem and the problem's row in it.

        The environment keeps its current block. ``problem_block`` has a cache too, but all environments share it; with
        many arms they would evict each other's blocks, and each problem would cost the sampling of a whole block.
        """
        number, row = block_and_row(self.settings, split, index)
        address = (seed, split, number)
        if self._kept is None or self._kept[0] != address:
            self._kept = address, problem_block(self.settings, *address)
        return self._kept[1], row

    def verify(self, problem: Problem, completion: object) -> Verdict:
        """Judges a completion by the selected reward rule; see ``dumpgym.envs.knights_knaves.verifier``."""
        return verify(completion, problem.solution, role_words=self._words, reward=self.reward_id)

    def problem_info(self, problem: Problem) -> dict[str, Any]:
        """Returns the puzzle's lookahead, and its number in the published files or the original puzzle, if any."""
        block, row = self._locate(*problem.address)
        return block.info(row)

    def completion_of(self, answer: str) -> str:
        """Puts the answer between the tags, unless it already contains tags."""
        return answer if any(tag in answer for tag in TAGS) else f"<think></think>\n<answer>{answer}</answer>"
