"""One run of a comparison in a process of its own: ``python -m dumpgym.comparing.worker``, started by ``compare.py``.

Its standard input is one line, the run as JSON, and then stays open for as long as whoever started it is there. When it
closes, the run ends at once, as if it had been killed, and goes on when the comparison does.
"""

import json
import os
import sys
import threading

from filelock import FileLock

from dumpgym.contracts.errors import DumpgymError
from dumpgym.runs.config import TrainConfig
from dumpgym.runs.validation import validated

ABANDONED = 3
"""The exit status of a run whose starter is gone."""
_PATIENCE = 60  # seconds for which a run waits until its predecessor in the same directory has noticed that it is alone


def main() -> int:
    """Runs, or goes on with, the run that standard input names; returns the exit status as ``dumpgym train`` does."""
    with open(0, "rb", buffering=0, closefd=False) as requests:
        request = json.loads(requests.readline())
    threading.Thread(target=_end_when_alone, daemon=True).start()
    sys.argv = request["command"]  # which the run's files name as what made them
    try:
        with FileLock(request["lock"], timeout=_PATIENCE):
            _run(validated(request["config"], TrainConfig), request["threads"])
    except DumpgymError as error:
        sys.stderr.write(f"dumpgym: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _end_when_alone() -> None:
    while os.read(0, 1):
        pass
    os._exit(ABANDONED)


def _run(config: TrainConfig, threads: int) -> None:
    import torch

    from dumpgym.training.launch import train

    torch.set_num_threads(threads)
    train(config, resume=(config.output / "config.json").exists())


if __name__ == "__main__":
    sys.exit(main())
