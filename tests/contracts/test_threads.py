"""The CPUs that a process may use, and how its threads wait."""

import math
import os
import subprocess
import sys

import pytest
import torch

from dumpgym.agents.grpo import processes
from dumpgym.contracts import threads

VERSION_2 = "0::/system.slice/docker.scope\n"
VERSION_1 = "9:name=systemd:/\n4:cpu,cpuacct:/docker/4f\n3:cpuset:/\n0::/\n"
SET_BY_NOBODY = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "LOCAL_WORLD_SIZE")


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    """No variable of OpenMP or of a launcher is set, and torch's number of threads is restored."""
    for name in SET_BY_NOBODY:
        monkeypatch.delenv(name, raising=False)
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def write(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        pytest.param(VERSION_2, {}, math.inf, id="the root of version 2 has no quota"),
        pytest.param("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5, id="a container of version 2"),
        pytest.param("0::/\n", {"cpu.max": "max 100000\n"}, math.inf, id="a container without a quota"),
        pytest.param(VERSION_2, {"system.slice/docker.scope/cpu.max": "50000 100000\n"}, 0.5, id="the own group"),
        pytest.param(
            VERSION_2,
            {"system.slice/cpu.max": "200000 100000", "system.slice/docker.scope/cpu.max": "max 100000"},
            2.0,
            id="a group above",
        ),
        pytest.param(
            VERSION_2,
            {"system.slice/cpu.max": "200000 100000", "system.slice/docker.scope/cpu.max": "800000 100000"},
            2.0,
            id="the smallest of several",
        ),
        pytest.param(
            VERSION_1,
            {"cpu/docker/4f/cpu.cfs_quota_us": "300000\n", "cpu/docker/4f/cpu.cfs_period_us": "100000\n"},
            3.0,
            id="version 1",
        ),
        pytest.param(
            VERSION_1,
            {"cpu/cpu.cfs_quota_us": "25000", "cpu/cpu.cfs_period_us": "50000"},
            0.5,
            id="version 1 in a container, which sees the path on the host",
        ),
        pytest.param(
            VERSION_1,
            {"cpu/docker/4f/cpu.cfs_quota_us": "-1", "cpu/docker/4f/cpu.cfs_period_us": "100000"},
            math.inf,
            id="version 1 without a quota",
        ),
        pytest.param("3:cpuset:/\n", {"cpu/cpu.cfs_quota_us": "1"}, math.inf, id="no controller of CPUs"),
        pytest.param(None, {"cpu.max": "50000 100000"}, math.inf, id="a system without control groups"),
    ],
)
def test_the_quota_is_the_smallest_of_the_process_and_the_groups_above(tmp_path, groups, files, expected):
    write(tmp_path / "cgroup", files)
    if groups is not None:
        (tmp_path / "own").write_text(groups)
    assert threads.cpu_quota(tmp_path / "cgroup", tmp_path / "own") == expected


@pytest.mark.parametrize(
    ("cores", "quota", "local", "expected"),
    [
        (8, math.inf, None, 8),
        (8, 3.0, None, 3),
        (2, 3.0, None, 2),
        (8, 1.5, None, 1),
        (8, 0.5, None, 1),
        (8, math.inf, 2, 4),
        (8, 5.0, 2, 2),
        (2, math.inf, 4, 1),
    ],
)
def test_processes_share_the_cpus_that_affinity_and_quota_leave(monkeypatch, cores, quota, local, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(cores)))
    monkeypatch.setattr(threads, "cpu_quota", lambda: quota)
    if local is not None:
        monkeypatch.setenv("LOCAL_WORLD_SIZE", str(local))
    assert threads.threads_per_process() == expected
    torch.set_num_threads(6)
    processes.start_processes("cpu")
    assert torch.get_num_threads() == min(6, expected)  # fewer threads may have been chosen before
    assert threads.thread_settings() == {"cpus": min(cores, quota)}


def test_the_users_variable_decides_the_number_of_threads(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setattr(threads, "cpu_quota", lambda: 1.0)
    torch.set_num_threads(3)
    processes.start_processes("cpu")
    processes.use_threads(2)
    assert torch.get_num_threads() == 3
    assert threads.thread_settings() == {"cpus": 1.0, "omp_num_threads": "3"}


@pytest.mark.parametrize(
    ("variable", "loaded", "expected"),
    [
        (None, False, ("PASSIVE", "3000")),
        (None, True, (None, None)),  # the library has read its variables
        ("OMP_WAIT_POLICY", False, ("as the user says", None)),
        ("GOMP_SPINCOUNT", False, (None, "as the user says")),
        ("KMP_BLOCKTIME", False, (None, None)),
    ],
)
def test_threads_spin_briefly_unless_the_user_says_how(monkeypatch, variable, loaded, expected):
    modules = {name: module for name, module in sys.modules.items() if loaded or name != "torch"}
    monkeypatch.setattr(sys, "modules", modules)
    if variable is not None:
        monkeypatch.setenv(variable, "as the user says")
    threads.limit_spinning()
    assert (os.environ.get("OMP_WAIT_POLICY"), os.environ.get("GOMP_SPINCOUNT")) == expected
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(name, raising=False)


UNTIL_TORCH = """
import os, sys
class Watch:
    def find_spec(self, name, *rest):
        if name == "torch":
            sys.stdout.write(os.environ.get("GOMP_SPINCOUNT", "nothing"))
            sys.stdout.flush()
            os._exit(0)
sys.meta_path.insert(0, Watch())
"""


@pytest.mark.parametrize(
    "use",
    [
        "import dumpgym; dumpgym.GRPOAgent",
        "import dumpgym; dumpgym.train",
        "import dumpgym.comparing.worker; import torch",
        "from dumpgym.commands.main import main; main(['pretrain', '--output', sys.argv[1]])",
    ],
)
def test_the_variables_are_set_before_torch_is_loaded(tmp_path, use):
    environment = {name: value for name, value in os.environ.items() if name not in SET_BY_NOBODY}
    command = [sys.executable, "-c", UNTIL_TORCH + use, str(tmp_path / "model")]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (ended.stdout, ended.returncode) == ("3000", 0), ended.stderr
