"""Puzzles as the lines of a JSON Lines file, with the fields that trainers read."""

import json
from collections.abc import Iterator
from json.encoder import encode_basestring

import numpy as np

from dumpgym.contracts.errors import InvalidValueError, require_number
from dumpgym.contracts.puzzle_env import check_split
from dumpgym.envs.knights_knaves.dump_puzzles import NUM_PUZZLES, SPLIT_SIZES, published_order
from dumpgym.envs.knights_knaves.env import KnightsKnavesEnv
from dumpgym.envs.knights_knaves.logic.generator import num_different
from dumpgym.envs.knights_knaves.problems import ProblemBlock, problem_block, published_block

ENV_ID = "dumpgym/KnightsKnaves-v0"
_LEAST_WINDOW, _LEAST_NEW = 2000, 0.01
_SOON_COUNTED = 10_000  # drawing this many puzzles takes less time than counting all puzzles of three people


def json_lines(
    env: KnightsKnavesEnv, *, seed: int = 0, split: str = "train", num_puzzles: int, with_lookahead: bool = False
) -> Iterator[str]:
    """Yields the first puzzles of a stream with different statements, each as a JSON object without line breaks.

    The fields are those that verl reads: ``prompt`` (chat messages), ``data_source``, ``ability``, ``reward_model``
    (with the solution as ``ground_truth``) and ``extra_info``. TRL uses ``prompt`` and passes the others to the reward
    function. ``extra_info`` holds the address, the environment as a name that ``dumpgym.contracts.arms.make_env``
    accepts, the people's names, the statements (nested tuples in Python syntax) and the solution.

    Args:
        env: the environment, which determines the puzzles and their words.
        seed: seed of the stream.
        split: "train" or "test".
        num_puzzles: number of puzzles.
        with_lookahead: whether ``extra_info`` includes ``lookahead``, which takes longer to compute than the rest.

    Raises:
        InvalidValueError: if there are fewer different puzzles. For most settings this is only known once all of them
            have been yielded.
    """
    require_number("num_puzzles", num_puzzles, low=1, whole=True)
    check_split(split)
    settings = env.settings
    size = settings.block_size(split)
    if settings.puzzles == "dump" and num_puzzles > size:
        raise InvalidValueError("num_puzzles", num_puzzles, f"at most {size}, the paper's {split} puzzles")
    most, is_exact = np.inf, False
    if settings.puzzles == "random" and (settings.num_people == 2 or num_puzzles > _SOON_COUNTED):
        most, is_exact = num_different(settings.distribution, split)
    if num_puzzles > most:
        raise InvalidValueError("num_puzzles", num_puzzles, f"at most {most:.0f}: there are no others")
    shared = _shared_fields(env, seed, split)
    seen: set[str] = set()
    number, since, new = 0, 0, 0
    while len(seen) < num_puzzles:
        block = problem_block(settings, seed, split, number)
        texts = block.puzzles.sets.texts()
        rows = []
        for row, statements in enumerate(texts):
            if statements not in seen and len(seen) < num_puzzles:
                seen.add(statements)
                rows.append(row)
        yield from _lines(block, rows, texts, number * size, shared, with_lookahead)
        number, since, new = number + 1, since + size, new + len(rows)
        if len(seen) < num_puzzles and not is_exact and since >= max(_LEAST_WINDOW, len(seen)):
            if new < _LEAST_NEW * since:
                raise InvalidValueError(
                    "num_puzzles", num_puzzles, f"at most {len(seen)}: hardly any others were found"
                )
            since = new = 0


def _shared_fields(env: KnightsKnavesEnv, seed: int, split: str) -> tuple[str, str, str, str]:
    """Returns the texts that all lines share: before and after the quiz, after the solution and after the index."""
    settings = env.settings
    *system, user = settings.messages("{quiz}")
    before, after = user["content"].split("{quiz}")
    messages = "".join(json.dumps(message, ensure_ascii=False) + ", " for message in system)
    arguments = "&".join(f"{name}={value}" for name, value in env.arguments.items())
    return (
        f'{{"prompt": [{messages}{{"role": "user", "content": "{before}',
        encode_basestring(after)[1:]
        + f'}}], "data_source": "{ENV_ID}", "ability": "logic", "reward_model": '
        + '{"style": "rule", "ground_truth": "',
        f'"}}, "extra_info": {{"seed": {seed}, "split": "{split}", "index": ',
        f', "environment": "{ENV_ID}?{arguments}", "reward": "{env.reward_id}", "names": ["',
    )


def _lines(
    block: ProblemBlock, rows: list[int], texts: list[str], first_index: int, shared: tuple[str, ...], lookahead: bool
) -> Iterator[str]:
    begin, behind_quiz, behind_solution, behind_index = shared
    names = np.array(block.wording.names, dtype=object)[block.wording.name_of].tolist()
    truth = np.array(["false", "true"], dtype=object)[block.puzzles.solutions.astype(np.int64)].tolist()
    for row in rows:
        extra = block.origin(row) | ({"lookahead": block.lookahead_levels[row]} if lookahead else {})
        more = "".join(f', "{name}": {json.dumps(value, ensure_ascii=False)}' for name, value in extra.items())
        # JSON needs only two escapes here: for quotation marks, which only quizzes contain, and for line breaks, which
        # only answers contain.
        quiz, answer = block.quizzes[row].replace('"', '\\"'), block.answers[row].replace("\n", "\\n")
        people, solution = '", "'.join(names[row]), ", ".join(truth[row])
        yield (
            f"{begin}{quiz}{behind_quiz}{answer}{behind_solution}{first_index + row}{behind_index}"
            f'{people}"], "solution": [{solution}], "statements": "{texts[row]}"{more}}}}}'
        )


def published_lines(env: KnightsKnavesEnv, split: str | None = None) -> Iterator[str]:
    """Yields the paper's puzzles as JSON objects with the fields of the published files and the split of each puzzle.

    Args:
        env: an environment with ``puzzles="dump"``.
        split: "train" or "test" for the puzzles of this split, in the paper's order; None for all puzzles, in the order
            of their index.
    """
    place_to_split = {place: name for name in SPLIT_SIZES for place in published_order(name)}
    places = list(range(NUM_PUZZLES)) if split is None else list(published_order(check_split(split)))
    block = published_block(env.settings, places, np.random.default_rng(0))
    assert block.published_index is not None
    for row, (place, statements) in enumerate(zip(places, block.puzzles.sets.texts(), strict=True)):
        record = {
            "quiz": block.quizzes[row],
            "names": list(block.wording.people(row)),
            "statements": statements,
            "solution": block.puzzles.solutions[row].tolist(),
            "solution_text_format": block.answers[row],
            "index": block.published_index[row],
            "split": place_to_split[place],
        }
        yield json.dumps(record, ensure_ascii=False)
