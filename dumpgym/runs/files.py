"""Files and directories that appear whole or not at all, and can tell whether they are still what was written.

What is new is written beside its place, under its name with ".partial" behind, synced to the disk, and renamed. Whoever
looks finds the old one or the new one, whenever the writer was killed. A directory carries a manifest of its files, so
that damage which came later is found before anything in it is believed.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from dumpgym.contracts.errors import DumpgymError

PARTIAL = ".partial"
MANIFEST = "manifest.json"


@contextmanager
def writing(path: Path, hint: str = "") -> Iterator[None]:
    """Turns a failure to write, such as a full disk, into one line that says what could not be written and why.

    Args:
        path: what is being written.
        hint: what the reader of the line can do then.

    Raises:
        DumpgymError: in place of any ``OSError``.
    """
    try:
        yield
    except OSError as error:
        reason = " ".join(str(error.strerror or error).split())
        raise DumpgymError(f"{str(path)!r} cannot be written: {reason}{hint}") from error


def append_line(path: Path, line: str) -> None:
    """Adds a line to a file, which need not exist. Killed meanwhile, it leaves a part of the line at the end."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        _write_all(descriptor, f"{line}\n".encode())
    finally:
        os.close(descriptor)


def write_file(path: Path, text: str) -> None:
    """Writes a file, or replaces it."""
    partial = partial_of(path)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        _write_all(descriptor, text.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(partial, path)
    sync(path.parent)


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:  # the last bytes that fit on a disk are written without an error, which only the next ones raise
        rest = rest[os.write(descriptor, rest) :]


def write_directory(path: Path, fill: Callable[[Path], None]) -> None:
    """Writes a directory, or replaces it.

    Args:
        path: where it will stand.
        fill: writes its files into a directory that it is given.
    """
    partial = partial_of(path)
    if partial.exists():
        shutil.rmtree(partial)
    partial.mkdir(parents=True)
    try:
        with _FailuresOfLibraries():
            fill(partial)
        write_manifest(partial)
        for written in sorted(partial.rglob("*"), reverse=True):  # a directory after what it holds
            sync(written)
        sync(partial)
    except OSError:
        shutil.rmtree(partial, ignore_errors=True)  # it may be what fills the disk
        raise
    if path.exists():
        remove_directory(path)
    os.rename(partial, path)
    sync(path.parent)


class _FailuresOfLibraries:
    """Libraries that write weights report a full disk by errors of their own kinds, tokenizers by a bare Exception.

    What tells them apart is their text: Rust's ends in "(os error 28)", torch's names a file of its writer.
    """

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception) and re.search(r"\(os error \d+\)|inline_container", str(error)):
            raise OSError(str(error)) from error


def remove_directory(path: Path) -> None:
    """Removes a directory; killed meanwhile, it leaves nothing that could be taken for it."""
    os.rename(path, doomed := path.with_name(f"{path.name}.old{PARTIAL}"))
    shutil.rmtree(doomed)


def remove_partial(folder: Path) -> None:
    """Removes what an interrupted writer left in a folder."""
    for path in folder.glob(f"*{PARTIAL}"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def partial_of(path: Path) -> Path:
    """Where a file or a directory stands while it is being written."""
    return path.with_name(path.name + PARTIAL)


def sync(path: Path) -> None:
    """Returns when a file, or the list of a directory's files, has reached the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_manifest(directory: Path) -> None:
    """Records size and SHA-256 of every file in a directory, those in its subdirectories too."""
    files = {
        path.relative_to(directory).as_posix(): {"size": path.stat().st_size, "sha256": _digest(path)}
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path != directory / MANIFEST
    }
    (directory / MANIFEST).write_text(json.dumps({"files": files}, indent=2) + "\n", encoding="utf-8")


def find_damage(directory: Path, *, contents: bool = True) -> str | None:
    """What is wrong with a directory that ``write_directory`` wrote; None if nothing is.

    Args:
        directory: with a manifest.
        contents: read the files too, not only their sizes.
    """
    try:
        files = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))["files"]
        expected = {name: (int(entry["size"]), str(entry["sha256"])) for name, entry in files.items()}
    except FileNotFoundError:
        return f"it has no {MANIFEST}"
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return f"its {MANIFEST} cannot be read"
    for name, (size, digest) in expected.items():
        path = directory / name
        if not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != size:
            return f"{name} has {path.stat().st_size} bytes in place of {size}"
        if contents and _digest(path) != digest:
            return f"{name} was altered"
    return None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
