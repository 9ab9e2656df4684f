"""A lock on a run's directory: of two processes that would write the same run, the second one is refused."""

import fcntl
import os
from pathlib import Path

from dumpgym.contracts.errors import InvalidValueError


class DirectoryLock:
    """Holds a directory until ``release``, or until this process ends in whatever way.

    The lock is on the directory itself and leaves no file in it, so a finished run can be looked at without a change.
    A file system that cannot lock directories, as some network file systems, is used without a lock.

    Args:
        path: the directory, which exists.

    Raises:
        InvalidValueError: if a run in this or another process holds it.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor: int | None = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.release()
            raise InvalidValueError("output", str(path), "a directory in which no other run is at work") from error
        except OSError:
            self.release()

    def release(self) -> None:
        """Lets others have the directory; does nothing if it is released already."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __del__(self) -> None:
        if getattr(self, "_descriptor", None) is not None:  # opening the directory may have failed
            self.release()
