"""What do puzzles, verdicts and baselines look like? Writes README.md beside this script.

    python experiments/gallery/run.py
    python experiments/gallery/run.py --output gallery.md

Everything in it is generated, the same bytes in each run, in about a minute on one core.
tests/experiments/test_gallery.py compares the file with what the code makes now: run this script again when puzzles,
words or reasons have changed.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import tyro

from dumpgym.commands.list import registered
from dumpgym.commands.play import shown_prompt
from dumpgym.contracts.arms import make_env
from dumpgym.contracts.puzzle_env import Problem
from dumpgym.contracts.rewards import REWARDS
from dumpgym.envs.knights_knaves.dump_puzzles import MAX_PEOPLE, MIN_PEOPLE
from dumpgym.envs.knights_knaves.env import KnightsKnavesEnv
from dumpgym.envs.knights_knaves.guessing import OperatorBaseline, operator_baseline, wilson_interval
from dumpgym.envs.knights_knaves.language.english import instruction
from dumpgym.envs.knights_knaves.language.words import ROLE_WORDS, RoleWords, plural
from dumpgym.envs.knights_knaves.language.worked_solution import worked_solution
from dumpgym.envs.knights_knaves.logic.equivalence import LEAVES, Statement
from dumpgym.envs.knights_knaves.logic.puzzle import OPERATORS, Puzzle
from dumpgym.envs.knights_knaves.problems import ProblemBlock, PuzzleSettings, locate, problem_block
from dumpgym.envs.strings.env import StringEnv

SEED, SPLIT = 0, "train"
SIZES = (2, 3, 4, 5, 6, 7, 8, 10, 14, 20, 50)
BASELINE_SIZES = (*range(2, 15), 20, 50)
BASELINE_VARIANTS: tuple[dict[str, Any], ...] = (
    {},
    {"lookahead": 0},
    {"lookahead": 1},
    {"max_conflicts": 0},
    {"max_conflicts": 1},
    {"change": "statement"},
    {"change": "leaf"},
    {"width": 5},
    {"depth": 3},
    {"depth": 4},
)
ROLE_PAIRS = (*ROLE_WORDS[1:], RoleWords(*reversed(ROLE_WORDS[0])))
LONG = 1500  # characters from which a quiz is folded away

INTRODUCTION = f"""# Gallery

Written by `python experiments/gallery/run.py`; the code generates everything below: first Knights and Knaves, and at
the end [strings of digits](#strings-of-digits). A puzzle's address is its seed, its
split and its index in that stream. If only the index is given, the address is ({SEED}, "{SPLIT}", index).

*Lookahead* is the number of levels of case split that a puzzle needs: 0 if deduction from what is known is enough, and
k if a supposed role must be followed to a contradiction that itself needs k - 1
(`dumpgym.envs.knights_knaves.logic.solver.lookahead_levels`).

Every prompt ends with the same instruction, which the first two sections omit:
"""


@dataclass(frozen=True)
class Options:
    output: Path = Path(__file__).parent / "README.md"


# Puzzles


def sizes() -> str:
    """One puzzle for each number of people."""
    return _section(
        "Puzzles by number of people", *(_example(f"{n} people", PuzzleSettings(num_people=n)) for n in SIZES)
    )


def variants() -> str:
    """One puzzle for each variant: the same puzzle in other words, then other puzzles, then the paper's own."""
    wordings: dict[str, dict[str, Any]] = {
        "The puzzle in plain words": {},
        **{
            f"{plural(words.truthful).capitalize()} tell the truth": {"role_words": "/".join(words)}
            for words in ROLE_PAIRS
        },
        "Uncommon names": {"names": "uncommon"},
        "People are quoted in another order": {"reorder": True},
    }
    plain, index = PuzzleSettings(), 1
    shown = [_example(title, dataclasses.replace(plain, **arguments), index) for title, arguments in wordings.items()]
    shown += [
        _example(f"A changed {change}, after the original", dataclasses.replace(plain, change=change), index)
        for change in ("statement", "leaf")
    ]
    for depth in (3, 4):
        settings = PuzzleSettings(depth=depth)
        shown.append(_example(f"Statements of depth {depth}", settings, _first(settings, _nesting, depth), nested=True))
    wide = PuzzleSettings(num_people=4, width=5)
    shown.append(_example(f"Statements of width {wide.width}", wide, _first(wide, _breadth, wide.width), nested=True))
    for lookahead, depth in ((0, 2), (1, 2), (2, 4)):
        settings = PuzzleSettings(num_people=4, lookahead=lookahead, depth=depth)
        shown.append(_example(f"Lookahead {lookahead} at depth {depth}", settings))
    few = PuzzleSettings(num_people=7, max_conflicts=0)
    shown.append(_example("No conflict in the depth-first search", few))
    published = PuzzleSettings(puzzles="dump")
    shown.append(_example("A puzzle of the paper: the first of its test split", published, split="test"))
    problem = KnightsKnavesEnv(prompt="dump").sample_problem(SEED, SPLIT, index)
    shown.append(
        f"### The paper's prompt\n\n`{_call(PuzzleSettings(prompt='dump'))}`\n\n{_fence(shown_prompt(problem, None))}"
    )
    return _section("Variants", *shown)


def _example(title: str, settings: PuzzleSettings, index: int = 0, *, split: str = SPLIT, nested: bool = False) -> str:
    """A puzzle with its solution, its original if it was changed, and its statements as tuples if they are nested."""
    block, row = locate(settings, SEED, split, index)
    origin = block.origin(row)
    address = f", index {index}" if split == SPLIT else f", address {(SEED, split, index)}"
    address += f", number {origin['published_index']} of the published file" if "published_index" in origin else ""
    parts = [f"### {title}", f"`{_call(settings)}`{address}"]
    if "original_quiz" in origin:
        before = dict(zip(block.wording.people(row), origin["original_solution"], strict=True))
        parts += [f"> {origin['original_quiz']}", _solution(before, settings.words), "After the change:"]
    quiz = f"> {block.quizzes[row]}"
    long = len(quiz) > LONG
    parts.append(f"<details><summary>{len(quiz) - 2:,} characters</summary>\n\n{quiz}\n\n</details>" if long else quiz)
    if nested:
        parts.append(_fence("\n".join(map(repr, block.puzzles.puzzle(row).statements))))
    after = dict(zip(block.wording.people(row), block.puzzles.puzzle(row).solution, strict=True))
    parts.append(f"{_solution(after, settings.words)} Lookahead {block.lookahead_levels[row]}.")
    return "\n\n".join(parts)


def _call(settings: PuzzleSettings) -> str:
    """The call that makes the environment, with the arguments that differ from the defaults."""
    env = KnightsKnavesEnv(**dataclasses.asdict(settings))
    arguments = {"num_people": settings.num_people, **env.arguments}
    return f"KnightsKnavesEnv({', '.join(f'{name}={value!r}' for name, value in arguments.items())})"


def _solution(roles: dict[str, bool], words: RoleWords) -> str:
    groups = []
    for word, truthful in zip(words, (True, False), strict=True):
        people = ", ".join(name for name, role in roles.items() if role == truthful)
        groups.append(f"{plural(word).capitalize()}: {people or 'nobody'}.")
    return " ".join(groups)


def _first(settings: PuzzleSettings, measure: Callable[[Statement], int], value: int) -> int:
    """The index of the first puzzle that has a statement with this value of the measure."""
    for index in count():
        block, row = locate(settings, SEED, SPLIT, index)
        if value in map(measure, block.puzzles.puzzle(row).statements):
            return index
    raise AssertionError


def _nesting(statement: Statement) -> int:
    return 1 if statement[0] in LEAVES else 1 + max(map(_nesting, statement[1:]))


def _breadth(statement: Statement) -> int:
    return len(statement) - 1


# Verdicts


def verdicts() -> str:
    """A transcript for each outcome, with the verdict of each reward rule."""
    problem, puzzle = _guessable_puzzle()
    parts = [f"The prompt, at the address {problem.address}:", _fence(problem.prompt)]
    for remark, completion in _completions(puzzle, list(problem.solution)):
        parts.append(_verdict(remark, problem, completion))
    return _section("Verdicts", *parts)


def _guessable_puzzle() -> tuple[Problem, Puzzle]:
    """The first puzzle of three people in which giving up at the first contradiction gives a wrong answer."""
    env = KnightsKnavesEnv()
    for index in count():
        problem, puzzle = env.sample_problem(SEED, SPLIT, index), env.sample_puzzle(SEED, SPLIT, index)
        if not env.verify(problem, _given_up(puzzle, list(problem.solution))).success:
            return problem, puzzle
    raise AssertionError


def _given_up(puzzle: Puzzle, names: Sequence[str]) -> str:
    return worked_solution(puzzle, names, lambda conflicts: False)


def _completions(puzzle: Puzzle, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    right = worked_solution(puzzle, names)
    answered = right.removesuffix("</answer>")
    yield "A search that reaches the solution (`dumpgym.envs.knights_knaves.language.worked_solution`).", right
    yield "The same search, which gives up at the first conflict and guesses.", _given_up(puzzle, names)
    yield "The right answer, followed by a hedge.", f"{answered}, or the other way round</answer>"
    yield "The right answer, cut off before its last tag.", answered
    yield "The right answer, with text before the first tag.", f"Let me think about it.\n{right}"


def _verdict(remark: str, problem: Problem, completion: str) -> str:
    rows = []
    outcomes: dict[str, None] = {}
    for rule in REWARDS.values():
        verdict = KnightsKnavesEnv(reward=rule.id).verify(problem, completion)
        terms = ", ".join(f"{name} {value:+g}" for name, value in verdict.reward_terms.items())
        outcomes[verdict.outcome] = None
        # A reason may quote tags, so it is shown as code.
        rows.append([rule.id, verdict.outcome, terms, f"{verdict.reward:g}", f"`{verdict.reason}`"])
    title = ", or ".join(f"`{outcome}`" for outcome in outcomes)
    table = _table(["reward rule", "outcome", "reward terms", "reward", "reason"], rows)
    return f"### {title}\n\n{remark}\n\n{_fence(completion)}\n\n{table}"


# Baselines


def baselines() -> str:
    """The success of guessing, by number of people and by variant."""
    by_size = {n: operator_baseline(n, num_puzzles=num_puzzles(n)) for n in BASELINE_SIZES}
    return _section(
        "What a guess achieves",
        THE_GUESS,
        _table(SIZE_COLUMNS, [size_row(n, baseline) for n, baseline in by_size.items()]),
        "How often the speaker tells the truth, by operator, in the same train puzzles:",
        _table(["people", *OPERATOR_COLUMNS], [truth_row(n, baseline) for n, baseline in by_size.items()]),
        "Variants, at 5 people:",
        _table(VARIANT_COLUMNS, [variant_row(arguments) for arguments in BASELINE_VARIANTS]),
    )


THE_GUESS = """\
The guess reads only the operator of each statement and gives its speaker the role that is more frequent with that
operator. The frequencies come from as many train puzzles as there are test puzzles, and for the paper's test split
from the paper's train split (`dumpgym.envs.knights_knaves.guessing`). Shares are in percent, with their 95 % intervals
(Wilson) for this guess and this split in brackets. Solved means that every role is right; chance is a coin toss for
each person."""

SIZE_COLUMNS = [
    *("people", "test puzzles", "chance", "solved by the guess", "solved in train", "people right"),
    *("of the paper's test puzzles", "lookahead 0", "lookahead 1", "lookahead 2 or more"),
]
OPERATOR_COLUMNS = [f"`{operator}`" for operator in OPERATORS]
VARIANT_COLUMNS = ["arguments", "test puzzles", "solved by the guess", "people right", *OPERATOR_COLUMNS]


def num_puzzles(num_people: int) -> int:
    """The number of puzzles for the baselines, fewer for sizes that take longer."""
    return min(10_000, 50_000 // num_people)


def size_row(num_people: int, baseline: OperatorBaseline) -> list[str]:
    total = baseline.num_puzzles
    published = "-"
    if MIN_PEOPLE <= num_people <= MAX_PEOPLE:
        paper = operator_baseline(PuzzleSettings(num_people=num_people, puzzles="dump"))
        published = _share(paper.solved, paper.solved_interval)
    levels = Counter(min(level, 2) for level in _test_levels(PuzzleSettings(num_people=num_people), total))
    return [
        *(str(num_people), f"{total:,}", _percent(2.0**-num_people)),
        *(_share(baseline.solved, baseline.solved_interval), _percent(baseline.solved_in_train)),
        *(_percent(baseline.people_right), published),
        *(_share(levels[level] / total, wilson_interval(levels[level], total)) for level in range(3)),
    ]


def truth_row(num_people: int, baseline: OperatorBaseline) -> list[str]:
    return [str(num_people), *_odds(baseline)]


def variant_row(arguments: dict[str, Any]) -> list[str]:
    baseline = operator_baseline(PuzzleSettings(num_people=5, **arguments), num_puzzles=1000)
    shown = ", ".join(f"`{name}={value!r}`" for name, value in arguments.items()) or "none"
    solved = _share(baseline.solved, baseline.solved_interval)
    return [shown, f"{baseline.num_puzzles:,}", solved, _percent(baseline.people_right), *_odds(baseline)]


def _test_levels(settings: PuzzleSettings, total: int) -> list[int]:
    """The levels of case split that each of the first test puzzles needs."""
    blocks: list[ProblemBlock] = []
    while len(blocks) * settings.block_size("test") < total:
        blocks.append(problem_block(settings, SEED, "test", len(blocks)))
    return [level for block in blocks for level in block.lookahead_levels][:total]


def _share(share: float, interval: tuple[float, float]) -> str:
    low, high = map(_percent, interval)
    return f"{_percent(share)} [{low}, {high}]"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}" if share >= 0.01 else f"{100 * share:.2g}"


def _odds(baseline: OperatorBaseline) -> list[str]:
    return ["-" if odds is None else f"{odds:.2f}" for odds in baseline.truth.values()]


# Strings of digits


def strings() -> str:
    """One problem of each task on strings of digits, in both forms of the prompt, and verdicts of completions."""
    envs = {env_id: make_env(env_id) for env_id in registered()["environments"]}
    ids = [env_id for env_id, env in envs.items() if isinstance(env, StringEnv)]
    prompts, judged = [], []
    for env_id in ids:
        env = envs[env_id]
        problem, sentence = (
            made.sample_problem(SEED, SPLIT, 0) for made in (env, make_env(f"{env_id}?prompt=sentence"))
        )
        prompts.append([f"`{env_id}`", f"`{problem.prompt}`", sentence.prompt.strip()])
        right = problem.reference_completion
        other = str((int(right[-1]) + 1) % len(env.digits))
        judged += [_judged(env_id, completion) for completion in (right, right[:-1] + other, right[:-1])]
    preamble = "dumpgym/Copy-v0?preamble=3"
    right = make_env(preamble).sample_problem(SEED, SPLIT, 0).reference_completion
    judged += [_judged(preamble, completion) for completion in (right, f"{right[:3]} {right[3:]}", right[3:])]
    return _section(
        "Strings of digits",
        "The prompts at index 0, in both forms (`dumpgym.envs.strings.env.StringEnv`):",
        _table(["id", '`prompt="symbols"`', '`prompt="sentence"`'], prompts),
        "Verdicts of a right answer, of the same with another last digit, and of the same without its last digit,\n"
        "and of three completions where a preamble is asked for:",
        _table(["id", "completion", "outcome", "reward", "reason"], judged),
    )


def _judged(env_id: str, completion: str) -> list[str]:
    env = make_env(env_id)
    verdict = env.verify(env.sample_problem(SEED, SPLIT, 0), completion)
    shown = f"`{completion}`" if completion else "the empty string"
    return [f"`{env_id}`", shown, verdict.outcome, f"{verdict.reward:g}", f"`{verdict.reason}`"]


# Markdown


def _section(title: str, *parts: str) -> str:
    return "\n\n".join([f"## {title}", *parts]) + "\n"


def _fence(text: str) -> str:
    return f"```text\n{text.rstrip()}\n```"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(table_line(row) for row in (header, ["---"] * len(header), *rows))


def table_line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def gallery() -> str:
    introduction = f"{INTRODUCTION}\n{_fence(instruction().lstrip())}\n"
    return "\n".join([introduction, sizes(), variants(), verdicts(), baselines(), strings()])


def main(options: Options) -> None:
    options.output.write_text(gallery(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main(tyro.cli(Options))
