"""The reference has every public name once, and nothing else."""

import re
from collections import Counter
from pathlib import Path

import dumpgym

PAGES = sorted((Path(__file__).parents[2] / "docs" / "reference").glob("*.md"))
DIRECTIVE = re.compile(r"^::: (\S+)$", re.MULTILINE)


def public_name(path):
    """The public name of a dotted path: ``dumpgym.Name``, or the path of its definition."""
    module, _, name = path.rpartition(".")
    if module == "dumpgym":
        return name
    if dumpgym._HOME.get(name) == module:
        return name
    return next((public for public, home in dumpgym._MODULES.items() if home == path), path)


def test_every_public_name_is_on_one_page_of_the_reference():
    found = [public_name(path) for page in PAGES for path in DIRECTIVE.findall(page.read_text())]
    assert {name: count for name, count in Counter(found).items() if count > 1} == {}
    missing = sorted(set(dumpgym.__all__) - set(found))
    assert missing == [], f"give each of {missing} a directive, '::: dumpgym.NAME', on a page in docs/reference"
    assert sorted(set(found) - set(dumpgym.__all__)) == []
