"""Runs ``dumpgym`` in forks of one process, and kills them where it is told; started by test_resume.py.

A fork of a process that has imported everything begins at once, so that a test can afford dozens of runs. Each line of
standard input is a request, each line of standard output the answer to it, both JSON:

- request: "arguments" of the command; "signal" to send, either "after" so many seconds or in the "call"-th of the calls
  that change the disk (a write then stops in its middle); "full" is the number of the call from which the disk is full
  for this process, "largest_file" the size in bytes beyond which a file cannot grow;
- answer: "status" (negative: the signal that ended it), "errors" that were printed, "calls" that changed the disk.
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

# Some of these are imported late, and would be anew in every fork.
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
    """Counts the calls that change the disk, and dies in one of them, or runs out of disk."""

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
                signal.raise_signal(self.number)  # to this thread, so that it acts before the next line
            return result

        return call


def run(request, answer):
    """The forked process: the command, with its standard error in the answer."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(answer, 2)
    if request.get("largest_file"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["largest_file"], resource.RLIM_INFINITY))
    calls = Calls(request)
    status = 1
    try:
        status = main(request["arguments"])
    finally:  # a fork must not go on in its parent's code
        if sys.exc_info()[0] is not None:
            traceback.print_exc()
        sys.stderr.write(f"\n{calls.count}")
        sys.stderr.flush()
        os._exit(status)


def serve(request):
    """Starts a run, kills it if it is to be killed, and waits for its end."""
    answer, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(answer)
        run(request, writing)
    os.close(writing)
    if request.get("after") is not None:
        time.sleep(request["after"])
        os.kill(pid, request["signal"])  # it is not reaped yet, so this is nobody else even if it has ended
    with open(answer, encoding="utf-8") as file:
        errors, _, calls = file.read().rpartition("\n")
    _, status = os.waitpid(pid, 0)
    ended = os.waitstatus_to_exitcode(status)
    if ended < 0:
        return {"status": ended, "errors": errors + calls, "calls": 0}
    return {"status": ended, "errors": errors, "calls": int(calls)}


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are begun with it ignored
    torch.set_num_threads(1)
    assert verb_registry
    assert policy_registry  # both are filled at the first look-up
    dumpgym.reporting.figures.one_run.save_training_figure = lambda directory: (
        directory / "figure.png"
    )  # drawing takes longer than the run
    for line in sys.stdin:
        print(json.dumps(serve(json.loads(line))), flush=True)
