"""``dumpgym export``: writes puzzles to files, and finds leaks between two files."""

import dataclasses
import json
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dumpgym.commands import PlainVerb, verb
from dumpgym.contracts.errors import DumpgymError, InvalidValueError
from dumpgym.envs.knights_knaves.env import KnightsKnavesEnv
from dumpgym.envs.knights_knaves.leaks import find_leaks, statements_of
from dumpgym.envs.knights_knaves.problems import PuzzleSettings
from dumpgym.envs.knights_knaves.records import json_lines, published_lines
from dumpgym.runs.files import check_writable

FORMATS = (".jsonl", ".parquet")


@verb("export")
@dataclass(frozen=True, slots=True, kw_only=True)
class Export(PuzzleSettings, PlainVerb):
    """Write puzzles to a file, or look for puzzles that appear in two files.

    Attributes:
        output: a new file, .jsonl or .parquet.
        split: train or test; by default train, and both for the paper's puzzles.
        seed: seed of the stream of puzzles.
        num_puzzles: number of puzzles, all different; by default 1000, or all of the paper's puzzles.
        reward: the reward rule that extra_info names.
        with_lookahead: record how many levels of case split each puzzle needs.
        trainer_fields: write the paper's puzzles with the same fields as all others, which trainers read, and not with
            those of the published files.
        check_leaks: two files; report which puzzles of the second appear in the first, and write nothing.
    """

    output: Path | None = None
    split: str | None = None
    seed: int = 0
    num_puzzles: int | None = None
    reward: str = "dump"
    with_lookahead: bool = False
    trainer_fields: bool = False
    check_leaks: tuple[Path, Path] | None = None

    def __post_init__(self) -> None:
        """Leaves the check of the settings to ``run``, so that errors look like those of other verbs."""

    def run(self) -> None:
        """Writes the file, or prints the leaks."""
        sys.stdout.write(export(self))


def export(config: Export) -> str:
    """Writes the file, or looks for leaks, and returns the text to print.

    Raises:
        DumpgymError: for a setting out of range, too few different puzzles, or a file that cannot be read or written.
            Nothing is written then.
    """
    if config.check_leaks is not None:
        return _leak_report(*config.check_leaks)
    if config.output is None or config.output.suffix not in FORMATS:
        raise InvalidValueError(
            "output", str(config.output), f"the name of a new file that ends in {' or '.join(FORMATS)}"
        )
    if config.output.exists():
        raise InvalidValueError("output", str(config.output), "the name of a file that does not exist yet")
    check_writable(config.output, "file")
    settings = {f.name: getattr(config, f.name) for f in dataclasses.fields(PuzzleSettings)}
    env = KnightsKnavesEnv(**settings, reward=config.reward)
    count = _write(config.output, _lines(env, config))
    return f"wrote {count:,} puzzles to {config.output}\n"


def _lines(env: KnightsKnavesEnv, config: Export) -> Iterable[str]:
    if config.puzzles == "dump" and not config.trainer_fields:
        for name in ("num_puzzles", "with_lookahead"):
            if getattr(config, name):
                raise InvalidValueError(name, getattr(config, name), "a value only together with trainer_fields")
        return published_lines(env, config.split)
    split = config.split or "train"
    count = config.num_puzzles
    if count is None:
        count = env.settings.block_size(split) if config.puzzles == "dump" else 1000
    return json_lines(env, seed=config.seed, split=split, num_puzzles=count, with_lookahead=config.with_lookahead)


def _write(path: Path, lines: Iterable[str]) -> int:
    """Writes the lines under another name and then renames the file, which so appears whole or not at all."""
    partial = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            count = _write_parquet(partial, lines) if path.suffix == ".parquet" else _write_text(partial, lines)
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise InvalidValueError(
            "output", str(path), f"a file that can be written ({error.strerror or error})"
        ) from error
    return count


def _write_text(path: Path, lines: Iterable[str]) -> int:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        return sum(file.write(line + "\n") > 0 for line in lines)


def _write_parquet(path: Path, lines: Iterable[str]) -> int:
    arrow, parquet = _pyarrow()
    table = arrow.Table.from_pylist([json.loads(line) for line in lines])
    parquet.write_table(table, path)
    return int(table.num_rows)


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise DumpgymError("Parquet files need pyarrow: pip install 'dumpgym[parquet]'") from error
    return pyarrow, pyarrow.parquet


def _records(path: Path) -> list[dict[str, Any]]:
    try:
        records = _parquet_records(path) if path.suffix == ".parquet" else _json_records(path)
    except OSError as error:
        raise InvalidValueError("file", str(path), f"a file that can be read ({error.strerror or error})") from error
    if not all(isinstance(record, dict) for record in records):
        raise InvalidValueError("file", str(path), "one JSON object in each line")
    return records


def _parquet_records(path: Path) -> list[dict[str, Any]]:
    arrow, parquet = _pyarrow()
    try:
        rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    except arrow.ArrowInvalid as error:
        raise InvalidValueError("file", str(path), "a Parquet file") from error
    return rows


def _json_records(path: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
    except ValueError as error:
        raise InvalidValueError("file", str(path), "JSON lines in UTF-8, or a file that ends in .parquet") from error


def _leak_report(first: Path, second: Path) -> str:
    puzzles = [
        [statements_of(record, f"{path}, record {number}") for number, record in enumerate(_records(path), start=1)]
        for path in (first, second)
    ]
    leaks = find_leaks(*puzzles)
    examples = ", ".join(f"{one + 1} and {two + 1}" for one, two in leaks.examples)
    return (
        f"{second}: {leaks.num_second:,} puzzles, of which these are also in {first} ({leaks.num_first:,} puzzles):\n"
        f"  {leaks.same_statements:>8,}  with the same statements\n"
        f"  {leaks.renamed:>8,}  up to renaming people and the order of parts\n"
        f"  {leaks.equivalent:>8,}  up to renaming people and logically equivalent statements\n"
        + (f"same puzzles (record of the first and of the second file): {examples}\n" if examples else "")
    )
