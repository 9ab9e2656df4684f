"""Files of weights with the access that the user's umask asks for."""

import os
from pathlib import Path


def follow_umask(directory: Path) -> None:
    """Gives the files of weights in a directory and its subdirectories the mode that other new files have there.

    safetensors writes a file under a temporary name, which only its owner may read, and renames it. A colleague or a
    server that runs as another user could then read everything in the directory except the weights.
    """
    # The mode is read from a new file. ``os.umask`` can only be read by changing it, for all threads of the process.
    probe = directory / ".mode"
    descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    mode = os.fstat(descriptor).st_mode & 0o777
    os.close(descriptor)
    probe.unlink()
    for path in directory.rglob("*.safetensors"):
        path.chmod(mode)
