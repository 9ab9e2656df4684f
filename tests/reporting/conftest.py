"""Finished runs that all tests of reports share."""

import pytest

from dumpgym.comparing.loading import load_comparison
from tests.fakes.finished_runs import CELLS, SEEDS, make_run


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """The directory of three runs of each of ``CELLS``."""
    folder = tmp_path_factory.mktemp("runs")
    for name, options in CELLS.items():
        for seed in range(SEEDS):
            make_run(folder / name / f"seed{seed}", seed, **options)
    return folder


@pytest.fixture(scope="session")
def comparison(runs):
    """Those runs side by side."""
    return load_comparison([runs])
