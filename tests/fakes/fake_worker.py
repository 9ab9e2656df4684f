"""The worker of a comparison with runs that need no model: the setting ``signal`` of a run says what it does."""

import os
import signal
import sys
import time

from dumpgym.comparing import worker
from dumpgym.contracts.errors import DumpgymError
from dumpgym.runs.directory import SUMMARY


def run(config, threads):
    """Prints what a test wants to know; a file of the run's directory marks its end, as in a real run."""
    print(f"{config.signal} in process {os.getpid()} with {threads} threads, {' '.join(sys.argv)}")
    os.system(f"echo from a process of {config.seed}")
    match config.signal:
        case "raises":
            raise RuntimeError("something broke")
        case "is refused":
            raise DumpgymError("an option is wrong")
        case "is killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exits":
            sys.exit(0)
        case "waits":
            sys.stdout.flush()
            time.sleep(600)
    config.output.mkdir(parents=True)
    (config.output / SUMMARY).write_text("{}")


if __name__ == "__main__":
    worker._run = run
    sys.exit(worker.main())
