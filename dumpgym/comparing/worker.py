"""Runs of a comparison in one process, one after another: ``python -m dumpgym.comparing.worker``, which a pool starts.

Every line of standard input is a run as JSON, and every byte of standard output says that the run at hand has finished.
A run that fails ends the process with the status of ``dumpgym train``, so that whatever state it leaves behind cannot
reach the next run, which gets a new process. Standard input stays open for as long as the process that started the
worker exists and has runs for it. When it closes, the worker ends at once, as if it had been killed, and its run
resumes with the comparison.

Loading torch and transformers takes longer than a short run, so runs share it. What a run computes is the same, to the
bit, as in a process of its own: it gets its log, its number of threads, torch's random state of a new process, and
warnings that are shown again.
"""

import gc
import json
import os
import sys
import threading
import warnings
from collections.abc import Mapping
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from filelock import FileLock

from dumpgym.contracts.errors import DumpgymError
from dumpgym.runs.config import TrainConfig
from dumpgym.runs.validation import validated

ABANDONED = 3
"""Exit status of a worker whose standard input was closed."""
FINISHED = b"\n"
"""What the worker writes after every run that has finished."""
_PATIENCE = 60  # seconds to wait for the lock, because an earlier run here may not have noticed yet that it must end


def main() -> int:
    """Starts or resumes the runs that standard input names. Returns the exit status of the first one that fails."""
    reports = os.dup(1)
    os.dup2(2, 1)  # what is printed belongs into the log of the run and not into the reports
    requests: SimpleQueue[Mapping[str, Any]] = SimpleQueue()
    threading.Thread(target=_read_requests, args=(requests,), daemon=True).start()
    try:
        while True:
            status = _do(requests.get())
            if status:
                return status
            os.write(reports, FINISHED)
    except KeyboardInterrupt:
        return 130


def _read_requests(requests: "SimpleQueue[Mapping[str, Any]]") -> None:
    # Unbuffered, because a buffered file holds a lock while it waits, and Python must not end while a thread has one.
    with open(0, "rb", buffering=0, closefd=False) as lines:
        for line in lines:
            requests.put(json.loads(line))
    # The other end of the pipe is closed. ``os._exit`` does not wait for the main thread, which may be in a long call
    # of torch; the files of a run survive an end at any moment.
    os._exit(ABANDONED)


def _do(request: Mapping[str, Any]) -> int:
    """Does one run and returns its exit status, as ``dumpgym train`` does; other errors end the process."""
    _print_into(Path(request["log"]))
    sys.argv = request["command"]  # the run records it as the command that started it
    try:
        with FileLock(request["lock"], timeout=_PATIENCE):
            _run(validated(request["config"], TrainConfig), request["threads"])
    except DumpgymError as error:
        sys.stderr.write(f"dumpgym: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 130
    sys.stdout.flush()
    return 0


def _print_into(log: Path) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for stream in (1, 2):  # of the process, because libraries written in C print as well
        os.dup2(descriptor, stream)
    os.close(descriptor)


def _run(config: TrainConfig, threads: int) -> None:
    import torch

    from dumpgym.training.launch import train

    torch.set_num_threads(threads)  # a run that resumes may have changed it
    # Leaving the first context restores torch's random state, and entering the second one makes Python forget which
    # warnings it has shown.
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        train(config, resume=(config.output / "config.json").exists())
    gc.collect()  # modules of torch refer to each other in circles
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


if __name__ == "__main__":
    sys.exit(main())
