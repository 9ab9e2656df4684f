"""A pool gives runs to processes that do one after another; what one run does to its process, the next does not see."""

import os
import re
import sys
import warnings

import pytest
import torch
from rich.console import Console

from dumpgym.comparing import pool as pools
from dumpgym.comparing import worker
from dumpgym.comparing.planned_runs import PlannedRun, last_lines
from dumpgym.comparing.pool import Pool
from dumpgym.runs.config import TrainConfig
from dumpgym.training import launch


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A function that does runs, given by what they do, and returns them with the failed ones."""
    monkeypatch.setattr(pools, "COMMAND", [sys.executable, "-m", "tests.fakes.fake_worker"])
    (tmp_path / "logs").mkdir()

    def work(*deeds, processes=1, on_progress=lambda text, share: None, **settings):
        runs = [
            PlannedRun(f"run{i}", TrainConfig(output=tmp_path / "cell" / f"seed{i}", seed=i, signal=deed, **settings))
            for i, deed in enumerate(deeds)
        ]
        console = Console(quiet=True)
        pool = Pool(runs, processes=processes, threads=3, command=["dumpgym", "compare"], console=console)
        return runs, pool.work(on_progress)

    return work


def processes_of(runs):
    """The process that did each of the runs, by its log; None if it was killed before it wrote it."""
    found = [re.search(r"in process (\d+)", run.log().read_text()) for run in runs]
    return [match and match[1] for match in found]


def test_one_process_does_one_run_after_another_and_each_has_its_log(work):
    runs, failed = work("one", "two", "three")
    assert failed == []
    assert all(run.is_finished for run in runs)
    (process,) = set(processes_of(runs))
    for i, (run, deed) in enumerate(zip(runs, ("one", "two", "three"), strict=True)):
        lines = sorted(run.log().read_text().splitlines())
        expected = f"{deed} in process {process} with 3 threads, dumpgym compare"
        assert lines == [f"from a process of {i}", expected]


def test_a_process_is_replaced_after_many_runs(work, monkeypatch):
    monkeypatch.setattr(pools, "RUNS_PER_WORKER", 2)
    runs, _ = work(*["finishes"] * 3)
    first, second, third = processes_of(runs)
    assert first == second != third


def test_a_run_that_fails_ends_its_process_and_the_next_run_gets_a_new_one(work, monkeypatch):
    ends = []
    monkeypatch.setattr(Pool, "_tell", lambda pool, run, outcome: ends.append(outcome))
    runs, failed = work("finishes", "raises", "is refused", "is killed", "exits", "finishes", "finishes")
    assert failed == runs[1:5]
    assert [run.is_finished for run in runs] == [True, False, False, False, False, True, True]
    statuses = [1, 2, -9, 0]
    told = [f"failed with status {status}, see {run.log()}" for status, run in zip(statuses, failed, strict=True)]
    assert ends == ["finished", *told, "finished", "finished"]
    assert "RuntimeError: something broke" in last_lines(runs[1])
    assert "dumpgym: an option is wrong" in last_lines(runs[2])
    first, raises, refused, _, exits, *others = processes_of(runs)
    assert first == raises
    assert others[0] == others[1]
    assert len({first, refused, exits, *others}) == 4


def test_runs_with_trackers_get_processes_of_their_own(work):
    runs, _ = work("finishes", "finishes", trackers=("tensorboard",))
    assert len(set(processes_of(runs))) == 2


def test_when_the_pool_is_interrupted_its_processes_end(work, tmp_path):
    log = tmp_path / "logs" / "run1.log"

    def interrupt(text, share):
        if log.exists() and "waits in process" in log.read_text():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work("finishes", "waits", "finishes", on_progress=interrupt)
    process = int(re.search(r"in process (\d+)", log.read_text())[1])
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_a_process_that_dies_between_two_runs_is_replaced(work, monkeypatch):
    """As when the memory is full; the pool learns of it when it writes the next run."""
    has_finished = pools.Worker.has_finished

    def dies(self):
        found = has_finished(self)
        self.process.kill()
        self.process.wait()
        return found

    monkeypatch.setattr(pools.Worker, "has_finished", dies)
    runs, failed = work("finishes", "finishes")
    assert failed == []
    assert len(set(processes_of(runs))) == 2


def test_every_run_has_the_random_state_the_warnings_and_the_threads_of_a_new_process(tmp_path, monkeypatch):
    found = []

    def train(config, *, resume):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            warnings.warn("said once by every process", UserWarning, stacklevel=1)
        found.append((torch.rand(3).tolist(), torch.get_num_threads(), len(caught), resume))
        torch.set_num_threads(2)

    monkeypatch.setattr(launch, "train", train)
    before = torch.get_num_threads(), torch.get_rng_state()
    try:
        for _ in range(2):
            worker._run(TrainConfig(output=tmp_path), 1)
    finally:
        torch.set_num_threads(before[0])
    assert found[0] == found[1]
    assert found[0][1:] == (1, 1, False)
    assert torch.equal(torch.get_rng_state(), before[1])
