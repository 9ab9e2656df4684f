"""The files of the checkout, without what was built or trained in it; also where it is an archive without git."""

import fnmatch
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def checkout_files() -> list[str]:
    """Paths of the files and links that git tracks or would track, relative to the root."""
    if (ROOT / ".git").exists():
        listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
        return [name for name in names if name and os.path.lexists(ROOT / name)]  # git also lists what was deleted
    return sorted(_files_that_are_not_ignored())


def _files_that_are_not_ignored() -> Iterator[str]:
    patterns = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    for directory, folders, names in os.walk(ROOT):
        inside = Path(directory).relative_to(ROOT)

        def is_kept(name: str, inside: Path = inside) -> bool:
            # A pattern that begins with a slash is for the root alone.
            of_root = inside == Path()
            ignored = [pattern.strip("/") for pattern in patterns if of_root or not pattern.startswith("/")]
            return not any(fnmatch.fnmatch(name, pattern) for pattern in ignored)

        links = [name for name in folders if (ROOT / inside / name).is_symlink()]
        folders[:] = [name for name in folders if is_kept(name) and name not in links]
        yield from (str(inside / name) for name in [*names, *links] if is_kept(name))


def copy_checkout(destination: Path) -> Path:
    """Copies these files, links as links, and returns the destination."""
    for name in checkout_files():
        (destination / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, destination / name, follow_symlinks=False)
    return destination
