"""Files and directories that appear whole or not at all, and whose later damage is found.

New content is written beside its place, under its name with ".partial" appended, synced to the disk, and renamed.
Whenever the writer is killed, a reader finds the old content or the new, never a mixture. A directory also carries a
manifest of its files, so damage that happens later is found before anything in the directory is used.
"""

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from dumpgym.contracts.errors import DumpgymError, InvalidValueError

PARTIAL = ".partial"
MANIFEST = "manifest.json"


class DamagedFileError(DumpgymError):
    """A file of a run that is missing, or does not hold what the run wrote into it.

    Args:
        path: path of the file.
        reason: what is wrong with it, as a predicate such as "is missing".

    Attributes:
        reason: name of the file and what is wrong with it, without its folder.
    """

    def __init__(self, path: Path, reason: str) -> None:
        self.reason = f"{path.name} {reason}"
        super().__init__(f"{str(path)!r} {reason}")


def read_object(path: Path) -> dict[str, Any]:
    """Reads a file that holds a JSON object.

    Raises:
        DamagedFileError: if it is missing, cannot be read or holds something else.
    """
    return _object(path, _read(path), "")


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Reads a file that holds a JSON object in every line, except for what follows the last line break.

    Raises:
        DamagedFileError: if it is missing, cannot be read or holds something else.
    """
    lines = _read(path).split(b"\n")[:-1]  # the last one is empty, or a killed process left part of a line
    return [_object(path, line, f" in line {number}") for number, line in enumerate(lines, 1)]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise DamagedFileError(path, "is missing") from error
    except OSError as error:
        raise DamagedFileError(path, f"cannot be read: {error.strerror}") from error


def _object(path: Path, text: bytes, place: str) -> dict[str, Any]:
    try:
        value = json.loads(text.decode())
    except (ValueError, RecursionError) as error:  # also for bytes that are no text
        raise DamagedFileError(path, f"is damaged: there is no valid JSON{place}") from error
    if not isinstance(value, dict):
        raise DamagedFileError(path, f"is damaged: there is no JSON object{place}")
    return value


@contextmanager
def writing(path: Path, hint: str = "") -> Iterator[None]:
    """Turns a failure to write, such as a full disk, into a one-line error that says what cannot be written and why.

    Args:
        path: what is being written.
        hint: text that ends the error and says what the user can do.

    Raises:
        DumpgymError: in place of any ``OSError``.
    """
    try:
        yield
    except OSError as error:
        reason = " ".join(str(error.strerror or error).split())
        raise DumpgymError(f"{str(path)!r} cannot be written: {reason}{hint}") from error


def check_output(path: Path, *, or_else: str = "") -> None:
    """Checks that a directory can be made or is empty, and that files can be written there; leaves nothing behind.

    Args:
        path: path of the directory.
        or_else: what is accepted besides, for the error message, e.g. ", or --resume".

    Raises:
        InvalidValueError: if not.
    """
    check_writable(path)
    # A start that was killed leaves nothing but partial files. Anything else may be somebody's data.
    if path.exists() and (not path.is_dir() or any(inner.suffix != PARTIAL for inner in path.iterdir())):
        raise InvalidValueError("output", str(path), f"a directory that is new or empty{or_else}")


def check_folder(path: Path) -> None:
    """Checks that files can be written into a directory, which need not exist; leaves nothing behind.

    Raises:
        InvalidValueError: if not.
    """
    check_writable(path)
    if path.exists() and not path.is_dir():
        raise InvalidValueError("output", str(path), "a directory")


def check_writable(path: Path, what: str = "path") -> None:
    """Checks that an output can be written at a path; leaves nothing behind.

    Args:
        path: the path.
        what: what is written, for the error message.

    Raises:
        InvalidValueError: if the directory that is there, or the nearest one above, takes no new files.
    """
    try:
        nearest = path.absolute()
        while not nearest.exists():
            nearest = nearest.parent
        if nearest.is_dir():
            # Tried out, because permissions do not tell: root has them all, and a file system may be read-only or full.
            os.rmdir(tempfile.mkdtemp(suffix=PARTIAL, dir=nearest))
        elif nearest != path.absolute():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(nearest))
    except OSError as error:
        raise InvalidValueError("output", str(path), f"a {what} that can be written ({error.strerror})") from error


def append_line(path: Path, line: str) -> None:
    """Appends a line to a file, which need not exist. A process that is killed meanwhile leaves part of the line."""
    # Not synced: a log line is cheap to lose, because the run that resumes writes it again, and a sync for every line
    # would make each step wait for the disk. Checkpoints sync the logs before they count on them.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        _write_all(descriptor, f"{line}\n".encode())
    finally:
        os.close(descriptor)


def write_file(path: Path, content: str | bytes) -> None:
    """Writes a file, or replaces it. Text is written in UTF-8."""
    # Aside: a crash while these bytes are written leaves the old file as it was.
    partial = partial_of(path)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        _write_all(descriptor, content.encode() if isinstance(content, str) else content)
        # Sync before the rename: a file system may put the new name on the disk before the data, and a power failure
        # between the two would leave an empty file in place of the old one.
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    # Rename: it replaces the old file in one step, so every reader and every crash finds one of the two, complete.
    os.replace(partial, path)
    # Sync the directory, which holds the name: until then a power failure can undo the rename, although the caller
    # already relies on it, for example by removing an older checkpoint.
    sync(path.parent)


def _write_all(descriptor: int, data: bytes) -> None:
    # A disk that fills up accepts the bytes that still fit without an error. Only the next call raises it, so a single
    # call could lose the end of the data silently.
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def write_directory(path: Path, fill: Callable[[Path], None]) -> None:
    """Writes a directory, or replaces it.

    Args:
        path: path of the finished directory.
        fill: writes the files into the directory that it receives.
    """
    partial = partial_of(path)
    if partial.exists():  # a writer was killed
        shutil.rmtree(partial)
    partial.mkdir(parents=True)
    try:
        with _FailuresOfLibraries():
            fill(partial)
        write_manifest(partial)
        # As for a file, the contents reach the disk before the name does. In reverse order a directory comes after the
        # files that it lists.
        for written in sorted(partial.rglob("*"), reverse=True):
            sync(written)
        sync(partial)
    except OSError:
        shutil.rmtree(partial, ignore_errors=True)  # these files may be what fills the disk
        raise
    # No rename replaces a directory that holds files, so between these two lines a crash leaves none. Only directories
    # that the resumed run writes again are replaced, such as the finished model; a checkpoint always has a new name.
    if path.exists():
        remove_directory(path)
    os.rename(partial, path)
    sync(path.parent)


class _FailuresOfLibraries:
    """Turns the errors by which libraries report a full disk into ``OSError``.

    Libraries that write weights raise errors of their own types, and tokenizers a bare Exception. Only the text tells
    them from a bug: Rust's ends in "(os error 28)", torch's names a source file of its writer.
    """

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception) and re.search(r"\(os error \d+\)|inline_container", str(error)):
            raise OSError(str(error)) from error


def remove_directory(path: Path) -> None:
    """Removes a directory without ever leaving part of it under its name."""
    # ``rmtree`` removes one file after another. Renamed first, the directory is gone in one step, and a crash leaves
    # only a partial one that the next start clears away.
    os.rename(path, doomed := path.with_name(f"{path.name}.old{PARTIAL}"))
    shutil.rmtree(doomed)


def remove_partial(folder: Path) -> None:
    """Removes what interrupted writers left in a folder."""
    for path in folder.glob(f"*{PARTIAL}"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def partial_of(path: Path) -> Path:
    """The path of a file or a directory while it is being written."""
    return path.with_name(path.name + PARTIAL)


def sync(path: Path) -> None:
    """Waits until the contents of a file, or the list of a directory's files, have reached the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_manifest(directory: Path) -> None:
    """Records size and SHA-256 of every file in a directory and its subdirectories."""
    files = {
        path.relative_to(directory).as_posix(): {"size": path.stat().st_size, "sha256": _digest(path)}
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path != directory / MANIFEST
    }
    (directory / MANIFEST).write_text(json.dumps({"files": files}, indent=2) + "\n", encoding="utf-8")


def find_damage(directory: Path, *, contents: bool = True) -> str | None:
    """Checks a directory that ``write_directory`` wrote.

    Args:
        directory: directory with a manifest.
        contents: compare the hashes as well, which reads every file.

    Returns:
        What is wrong with it, or None if it is intact.
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
