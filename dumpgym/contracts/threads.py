"""The CPUs that a process may use, and how the threads of OpenMP wait for each other.

A step of a small model consists of thousands of parallel regions of some microseconds each, and at the end of each one
the threads wait for the slowest. By default, OpenMP's threads spin while they wait. On a machine that others use too,
or in a container that may use less than its cores, the slowest thread is one that the kernel has stopped, and the
others spend the CPU time that it needs on waiting for it. A step then takes many times as long; see
``experiments/benchmarks/threads.py``. Threads that fall asleep at once are no answer either: waking them takes longer
than a small region, and on an idle machine a step of the embedded model then takes twice as long. So threads spin for
about a tenth of a millisecond before they sleep, and there are no more of them than CPUs to run them.
"""

import math
import os
import sys
from pathlib import Path, PurePosixPath
from typing import Any

THREADS = "OMP_NUM_THREADS"
"""Environment variable of OpenMP for the number of threads; where it is set, it decides."""
_WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
# GNU's default is 300,000. Of 1,000, 3,000 and 10,000, this one costs little both on an idle and on a busy machine.
_BRIEFLY = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "3000"}
_CGROUPS, _OWN_CGROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def limit_spinning() -> None:
    """Makes OpenMP's threads spin only briefly before they sleep, in this process and those that it starts.

    The library reads its variables once, when torch loads it. If torch is loaded already, or if a variable says how to
    wait, nothing changes. GNU's library, which torch's wheels bring along, reads ``GOMP_SPINCOUNT``; LLVM's and Intel's
    read ``OMP_WAIT_POLICY``, with which their threads sleep at once.
    """
    if "torch" not in sys.modules and not any(name in os.environ for name in _WAITING):
        os.environ |= _BRIEFLY


def available_cpus() -> float:
    """CPUs that this process may use, by its affinity and by the quotas of its control groups.

    It is not a whole number where a quota is not: Kubernetes and Docker can give a container 1.5 CPUs.
    """
    # ``os.sched_getaffinity`` exists on Linux only, as do control groups.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(float(cores), cpu_quota())


def cpu_quota(cgroups: Path = _CGROUPS, own: Path = _OWN_CGROUPS) -> float:
    """CPUs that the control groups of this process pay for, infinite without a quota.

    Args:
        cgroups: folder where control groups are mounted.
        own: file with the control groups of this process, a line "NUMBER:CONTROLLERS:PATH" for each hierarchy.
    """
    quota = math.inf
    for line in _text(own).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        folder = cgroups / "cpu" if controllers else cgroups  # version 2 has one hierarchy and names no controllers
        group = PurePosixPath(path)
        # A group may use no more than any group above it. In a container, the path may be that on the host, of which
        # only the root is visible here: then the root is the container's own group.
        for place in (group, *group.parents):
            quota = min(quota, _quota(folder / str(place).lstrip("/")))
    return quota


def threads_per_process() -> int:
    """Threads for each of the processes on this machine that train one model: at least 1, and no more than its CPUs.

    Launchers such as torchrun say in ``LOCAL_WORLD_SIZE`` how many processes they have started here.
    """
    # Rounded down: with 2 threads on a quota of 1.5 CPUs, the kernel would stop both for a quarter of the time.
    return max(1, int(available_cpus() / int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))


def thread_settings() -> dict[str, Any]:
    """What decides the number of threads and how they wait, for the record of a run."""
    variables = {name.lower(): os.environ[name] for name in (THREADS, *_WAITING) if name in os.environ}
    return {"cpus": available_cpus(), **variables}


def _quota(group: Path) -> float:
    """Quota of one control group in CPUs: version 2 writes "QUOTA PERIOD" or "max PERIOD", version 1 -1 for none."""
    words = _text(group / "cpu.max").split() or [
        word for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us") for word in _text(group / name).split()
    ]
    if len(words) != 2 or words[0] in ("max", "-1"):
        return math.inf
    return int(words[0]) / int(words[1])


def _text(path: Path) -> str:
    """Content of a file, empty if it cannot be read: other systems have no control groups, and some hide them."""
    try:
        return path.read_text(encoding="ascii")
    except OSError:
        return ""
