"""The processes of a comparison: each does one run after another, and all end when this process does."""

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from rich.console import Console
from rich.markup import escape

from dumpgym.comparing.planned_runs import PlannedRun
from dumpgym.comparing.worker import FINISHED
from dumpgym.contracts.threads import THREADS
from dumpgym.runs.config import config_json

COMMAND = [sys.executable, "-m", "dumpgym.comparing.worker"]
"""Starts a worker."""
RUNS_PER_WORKER = 50
"""Runs after which a process is replaced by a new one, so that memory that libraries do not free cannot add up."""
_PAUSE = 0.2  # seconds between two looks at the progress of the runs


class Worker:
    """A process that does one run after another, see ``worker.py``.

    Args:
        run: its first run.
        threads: threads per run.
        command: the command that the runs record as the one that started them.

    Attributes:
        run: the run at hand, or the last one.
        num_runs: number of runs so far.
    """

    def __init__(self, run: PlannedRun, threads: int, command: Sequence[str]) -> None:
        self.threads, self.command = threads, list(command)
        self.num_runs = 0
        # Numeric libraries read the variable when they are loaded, before the worker can set a number of threads.
        environment = {**os.environ, THREADS: str(threads)}
        with run.log().open("ab") as log:
            pipe = subprocess.PIPE
            self.process = subprocess.Popen(COMMAND, stdin=pipe, stdout=pipe, stderr=log, env=environment)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        # The pipe stays open for as long as this process exists. The kernel closes it however this process ends, even
        # by SIGKILL, and the worker ends when that happens. No signal handler could promise that, and a run that
        # outlived its comparison would keep its cores and the lock of its directory when the same command runs again.
        self._requests, self._reports = self.process.stdin, self.process.stdout
        with suppress(BrokenPipeError):  # a process that cannot even start is noticed as one that fails
            self.do(run)

    def do(self, run: PlannedRun) -> None:
        """Starts a run.

        Raises:
            BrokenPipeError: if the process has died since its last run.
        """
        self.run = run
        self.num_runs += 1
        request = {
            "config": json.loads(config_json(run.config)),
            "threads": self.threads,
            "lock": str(run.log("lock")),
            "log": str(run.log()),
            "command": self.command,
        }
        self._requests.write(json.dumps(request).encode() + b"\n")
        self._requests.flush()

    def fileno(self) -> int:
        """The descriptor that can be read when the run at hand has ended."""
        descriptor: int = self._reports.fileno()
        return descriptor

    def has_finished(self) -> bool:
        """Waits until the run at hand has ended. If it has failed, the process has ended as well."""
        if os.read(self.fileno(), len(FINISHED)):  # nothing can be read from the pipe of a process that has ended
            return True
        self.process.wait()
        return False

    def suits(self, run: PlannedRun) -> bool:
        """Whether another run can use this process."""
        # Trackers leave a state of their own in a process, such as the run that wandb believes to be in.
        tracked = bool(self.run.config.trackers or run.config.trackers)
        return self.num_runs < RUNS_PER_WORKER and not tracked

    def dismiss(self) -> None:
        """Ends the process, which has no run at hand or has ended by itself."""
        with suppress(BrokenPipeError):
            self._requests.close()
        self.process.wait()
        self._reports.close()


class Pool:
    """Gives runs to workers and waits for them.

    Args:
        runs: all runs of the comparison.
        processes: number of runs at the same time.
        threads: threads per run.
        command: the command that the runs record as the one that started them.
        console: shows a line for every run that ends.

    Attributes:
        waiting: runs that nobody has started yet.
    """

    def __init__(
        self, runs: Sequence[PlannedRun], *, processes: int, threads: int, command: Sequence[str], console: Console
    ) -> None:
        self.runs, self.processes, self.threads = runs, processes, threads
        self.command, self.console = command, console
        self.waiting = [run for run in runs if not run.is_finished]
        self.finished = len(runs) - len(self.waiting)
        self.workers: list[Worker] = []
        self.failed: list[PlannedRun] = []
        self.started = time.monotonic()

    def work(self, on_progress: Callable[[str, float], None]) -> list[PlannedRun]:
        """Does all runs that are waiting, and returns those that failed.

        Args:
            on_progress: called several times a second with what is being done, and with the share that is done, 0 to 1.
        """
        try:
            while self.waiting or self.workers:
                while self.waiting and len(self.workers) < self.processes:
                    self.workers.append(Worker(self.waiting.pop(0), self.threads, self.command))
                on_progress(*self._progress())
                for worker in select.select(self.workers, (), (), _PAUSE)[0]:
                    self._collect(worker)
        finally:
            self._stop()
        return self.failed

    def _progress(self) -> tuple[str, float]:
        done, number = self.finished + len(self.failed), len(self.runs)
        under_way = sum(worker.run.progress() for worker in self.workers)
        return f"{done} of {number} runs, {len(self.workers)} running", (done + under_way) / number

    def _collect(self, worker: Worker) -> None:
        """Takes note of a run that has ended, and gives its worker the next one."""
        run = worker.run
        if worker.has_finished():
            self.finished += 1
            self._tell(run, "finished")
            if self._continues(worker):
                return
        else:
            self.failed.append(run)
            self._tell(run, f"failed with status {worker.process.returncode}, see {run.log()}")
        self.workers.remove(worker)
        worker.dismiss()

    def _continues(self, worker: Worker) -> bool:
        """Whether a worker does one more run."""
        if not self.waiting or not worker.suits(self.waiting[0]):
            return False
        try:
            worker.do(self.waiting[0])
        except BrokenPipeError:  # it died after its run, for example because the memory was full
            return False
        self.waiting.pop(0)
        return True

    def _tell(self, run: PlannedRun, outcome: str) -> None:
        """Prints a line for a run that has ended, on a terminal above the bar."""
        done, minutes = self.finished + len(self.failed), (time.monotonic() - self.started) / 60
        self.console.print(
            f"{escape(run.name)} {escape(outcome)}; {done} of {len(self.runs)} runs after {minutes:.0f} min",
            soft_wrap=True,
            highlight=False,
        )

    def _stop(self) -> None:
        """Ends the runs that have not finished; the next call resumes them."""
        for worker in self.workers:
            worker.process.terminate()
        for worker in self.workers:
            worker.process.wait()  # its run may have files to close, which a closed pipe would not leave the time for
            worker.dismiss()
