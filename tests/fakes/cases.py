"""Cases from public reports and of our own: data in ``tests/cases/``, one JSON object per line."""

import json
from pathlib import Path

CASES = Path(__file__).parents[1] / "cases"


def cases(name):
    """All cases of a file."""
    return [json.loads(line) for line in (CASES / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def case(name, identity):
    """The case of a file with an id."""
    return next(found for found in cases(name) if found["id"] == identity)
