"""The import graph of the package: who imports whom, directly and through others.

    python tests/house/import_graph.py [CHECKOUT]     # rooms, floors and arrows of a checkout, by default this one

A room is a folder of ``dumpgym``, ``agents`` or ``envs``; files beside those folders are in the room above. A room is
on the floor above the highest room that it imports; rooms that import each other are a circle and share a floor.
Imports within functions count as arrows, but importing a module does not bring them along.
"""

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LINKED = ("agents", "envs")


@dataclass(frozen=True)
class Import:
    """One import: the module, and whether it happens when the file itself is imported."""

    module: str
    eager: bool


def module_files(root: Path = ROOT) -> dict[str, Path]:
    """Every module of the package with its file; packages by their names."""
    found = {}
    for top, prefix in (("dumpgym", ""), *((name, "dumpgym.") for name in LINKED)):
        for path in sorted((root / top).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            if top == "dumpgym" and len(parts) > 1 and parts[1] in LINKED:  # the links
                continue
            found[prefix + ".".join(part for part in parts if part != "__init__")] = path
    return found


def imports_of(source: str, modules: Iterable[str]) -> Iterator[Import]:
    """All imports of a source text: those in functions and for type checkers are not eager.

    Args:
        source: Python source.
        modules: names of our modules, so that an imported class counts as its module.
    """
    known = set(modules)

    def longest_module(dotted: str) -> str:
        while dotted not in known and "." in dotted:
            dotted = dotted.rpartition(".")[0]
        return dotted

    def walk(node: ast.AST, eager: bool) -> Iterator[Import]:
        match node:
            case ast.Import(names=names):
                targets = [alias.name for alias in names]
            case ast.ImportFrom(module=module, names=names, level=level):
                assert level == 0, f"relative import in line {node.lineno}"
                targets = [f"{module}.{alias.name}" for alias in names] if is_ours(module) else [module]
            case _:
                targets = []
        for target in targets:
            yield Import(longest_module(target) if is_ours(target) else target, eager)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            for child in node.body:
                yield from walk(child, eager=False)
            for child in node.orelse:
                yield from walk(child, eager)
            return
        in_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            yield from walk(child, eager and not in_function)

    return walk(ast.parse(source), eager=True)


def is_ours(module: str) -> bool:
    return module.partition(".")[0] == "dumpgym"


@cache
def import_graph(root: Path = ROOT) -> dict[str, list[Import]]:
    """The imports of every module."""
    files = module_files(root)
    return {name: list(imports_of(path.read_text(encoding="utf-8"), files)) for name, path in files.items()}


def brought_along(module: str, graph: Mapping[str, list[Import]]) -> dict[str, tuple[str, ...]]:
    """Everything that importing a module imports, at any distance, each with the chain of modules that leads there."""
    chains: dict[str, tuple[str, ...]] = {module: (module,)}
    waiting = [module]
    while waiting:
        current = waiting.pop()
        parent = current.rpartition(".")[0]
        targets = [found.module for found in graph.get(current, ()) if found.eager]
        for target in [parent, *targets] if parent and is_ours(current) else targets:
            if target not in chains:
                chains[target] = (*chains[current], target)
                waiting.append(target)
    return chains


def arrows_between(graph: Mapping[str, list[Import]], room: Mapping[str, str]) -> set[tuple[str, str]]:
    """Pairs of different rooms of which the first imports the second."""
    pairs = {(room[module], room[found.module]) for module in graph for found in graph[module] if found.module in room}
    return {(one, other) for one, other in pairs if one != other}


def floors_of(rooms: Iterable[str], arrows: Iterable[tuple[str, str]]) -> dict[str, int]:
    """The floor of every room, from 0; rooms in a circle share the floor of its highest one."""
    below: dict[str, set[str]] = {room: set() for room in rooms}
    for one, other in arrows:
        below[one].add(other)
    reach: dict[str, set[str]] = {}
    for room in below:
        seen, waiting = set(), [room]
        while waiting:
            for other in below[waiting.pop()] - seen:
                seen.add(other)
                waiting.append(other)
        reach[room] = seen
    floors: dict[str, int] = {}

    def floor(room: str) -> int:
        if room not in floors:
            circle = {other for other in reach[room] if room in reach[other]} | {room}
            outside = {other for member in circle for other in reach[member]} - circle
            height = 1 + max((floor(other) for other in outside), default=-1)
            floors.update(dict.fromkeys(circle, height))
        return floors[room]

    for room in below:
        floor(room)
    return floors


def circles(arrows: Iterable[tuple[str, str]]) -> list[set[str]]:
    """Groups of rooms that import each other, at any distance."""
    pairs = set(arrows)
    rooms = {room for pair in pairs for room in pair}
    reach = {room: {other for one, other in pairs if one == room} for room in rooms}
    for _ in rooms:
        reach = {room: seen.union(*(reach[other] for other in seen)) for room, seen in reach.items()}
    found = {frozenset({other for other in seen if room in reach[other]}) for room, seen in reach.items()}
    return [set(circle) for circle in found if circle]


def figures(root: Path) -> str:
    """Files, rooms, floors and arrows of a checkout, as text."""
    graph, files = import_graph(root), module_files(root)

    def room(module: str) -> str:
        parts = list(files[module].relative_to(root).parts[:-1])
        return "/".join(parts[:2])

    lines = []
    for title, place in (("files", {m: m for m in files}), ("rooms", {m: room(m) for m in files})):
        arrows = arrows_between(graph, place)
        floors = floors_of(set(place.values()), arrows)
        count, height = len(set(place.values())), max(floors.values()) + 1
        lines.append(f"{title}: {count} on {height} floors, {len(arrows)} arrows, {len(circles(arrows))} circles")
    rooms: dict[str, int] = {}
    for module in files:
        rooms[room(module)] = rooms.get(room(module), 0) + 1
    largest = max(rooms, key=lambda name: rooms[name])
    lines.append(f"largest room: {largest} with {rooms[largest]} files")
    return "\n".join(lines)


if __name__ == "__main__":
    print(figures(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT))
