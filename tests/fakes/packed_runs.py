"""The runs of the committed experiments, unpacked for a test."""

import tarfile
from pathlib import Path

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def unpack_runs(name, folder, packed="runs.tar.xz"):
    """Unpacks the runs of an experiment and returns their directory."""
    with tarfile.open(EXPERIMENTS / name / packed) as archive:
        # The argument ``filter`` of ``extractall`` is missing before Python 3.11.4; this attribute does the same.
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(folder)
    return folder / "runs" / name
