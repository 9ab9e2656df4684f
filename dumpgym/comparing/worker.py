"""One run of a comparison in its own process: ``python -m dumpgym.comparing.worker``, started by ``runner.py``.

Standard input brings one line, the run as JSON, and then stays open for as long as the process that started the worker
exists. When it closes, the run ends at once, as if it had been killed, and resumes with the comparison.
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
"""Exit status of a run whose parent process has ended."""
_PATIENCE = 60  # seconds to wait for the lock, because an earlier run here may not have noticed yet that it must end


def main() -> int:
    """Starts or resumes the run that standard input names. Returns the exit status, as ``dumpgym train`` does."""
    # Unbuffered, so that no byte after the line is read ahead of the thread that watches for the end of the input.
    with open(0, "rb", buffering=0, closefd=False) as requests:
        request = json.loads(requests.readline())
    threading.Thread(target=_end_when_alone, daemon=True).start()
    sys.argv = request["command"]  # the run records it as the command that started it
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
    # ``os.read`` returns no byte once the parent's end of the pipe is closed. ``os._exit`` does not wait for the main
    # thread, which may be in a long call of torch; the files of a run survive an end at any moment.
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
