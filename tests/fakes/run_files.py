"""What is in a run's directory, for tests that nothing in it changes."""


def contents(directory):
    """All folders and files of a directory, by path, with the bytes of the files and the time of the last change."""
    return {
        str(path.relative_to(directory)): (path.is_file() and path.read_bytes(), path.stat().st_mtime_ns)
        for path in directory.rglob("*")
    }
