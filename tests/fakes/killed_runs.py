"""Runs ``dumpgym`` in forks of one process and kills them on request; test_resume.py starts it.

A fork of a process that has already imported everything starts immediately, so a test can afford dozens of runs. Each
line of standard input is a request and each line of standard output its answer, both JSON:

- request: "arguments" of the command; "signal" to send, either "after" a number of seconds or in the "call"-th call
  that changes the disk (a write is then interrupted halfway); "full" is the number of the first call that finds the
  disk full, for this process only; "largest_file" is the maximum file size in bytes;
- answer: "status" (negative: the signal that ended the run), "errors" (standard error) and "calls" (the number of calls
  that changed the disk).
"""

import errno
import json
import math
import os
import resource
import signal
import sys
import time
import traceback

# dumpgym imports some of these lazily; without these imports, every fork would import them again.
import huggingface_hub.repocard  # noqa: F401
import torch
import transformers.models.llama.modeling_llama  # noqa: F401

import dumpgym.reporting.figures.one_run
import dumpgym.training.launch
import tests.fakes.letters  # noqa: F401
from dumpgym.commands import verb_registry
from dumpgym.commands.main import main
from dumpgym.contracts.policy_registry import policy_registry

CALLS = ("write", "fsync", "rename", "replace", "mkdir", "unlink", "rmdir", "truncate")


class Calls:
    """Counts the calls that change the disk, and raises the signal or simulates a full disk in the requested one."""

    def __init__(self, request):
        self.count, self.fatal, self.number = 0, request.get("call"), request.get("signal")
        self.full, self.filled = request.get("full") or math.inf, False
        for name in CALLS:
            setattr(os, name, self.counted(name, getattr(os, name)))

    def counted(self, name, function):
        def call(*arguments, **options):
            self.count += 1
            dies, is_full = self.count == self.fatal, self.count >= self.full
            if name == "write" and (dies or is_full):
                if self.filled:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                self.filled = is_full
                descriptor, data = arguments
                result = function(descriptor, data[: len(data) // 2])
            elif not dies:
                result = function(*arguments, **options)
            if dies:
                signal.raise_signal(self.number)  # sent to this thread, so it takes effect before the next line
            return result

        return call


def run(request, answer):
    """Runs the command in the forked process and writes its standard error to the answer."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(answer, 2)
    # New streams: those of the parent still believe that they write to its files.
    sys.stdout, sys.stderr = (open(number, "w", encoding="utf-8", closefd=False) for number in (1, 2))  # noqa: SIM115 (open to the end)
    if request.get("largest_file"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["largest_file"], resource.RLIM_INFINITY))
    calls = Calls(request)
    status = 1
    try:
        status = main(request["arguments"])
    finally:  # a fork must not return into the code of its parent
        if sys.exc_info()[0] is not None:
            traceback.print_exc()
        sys.stderr.write(f"\n{calls.count}")
        sys.stderr.flush()
        os._exit(status)


def serve(request):
    """Starts a run, kills it if requested, and waits until it ends."""
    answer, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(answer)
        run(request, writing)
    os.close(writing)
    if request.get("after") is not None:
        time.sleep(request["after"])
        os.kill(pid, request["signal"])  # not reaped yet, so the pid is still this run's even if it has ended
    with open(answer, encoding="utf-8") as file:
        errors, _, calls = file.read().rpartition("\n")
    _, status = os.waitpid(pid, 0)
    ended = os.waitstatus_to_exitcode(status)
    if ended < 0:
        return {"status": ended, "errors": errors + calls, "calls": 0}
    return {"status": ended, "errors": errors, "calls": int(calls)}


if __name__ == "__main__":
    # Shells start background jobs with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    torch.set_num_threads(1)
    # The registries are filled on first access; fill them before the forks.
    assert verb_registry
    assert policy_registry
    # Drawing the figure takes longer than the run.
    dumpgym.reporting.figures.one_run.save_training_figure = lambda directory: directory / "figure.png"
    for line in sys.stdin:
        print(json.dumps(serve(json.loads(line))), flush=True)
