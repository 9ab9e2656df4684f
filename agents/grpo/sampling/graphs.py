"""CUDA graphs: the kernel launches of a decoding step, recorded once and replayed as one launch.

A decoding step of a small model launches many short kernels, and the launches take longer than the work. A graph
repeats exactly the recorded launches on the recorded addresses. So a step that is captured must not depend on a value
that Python reads from a tensor, and its tensors must keep their addresses.
"""

import warnings
from collections.abc import Callable, Hashable
from typing import Any, Protocol

import torch

Step = Callable[[], None]


class Capture(Protocol):
    """A way to capture steps."""

    def warm_up(self, step: Step) -> None:
        """Runs a step as a preparation for capturing it."""

    def capture(self, step: Step) -> Step:
        """Records a step without running it, and returns a function that replays it."""


class Graphs:
    """Steps that are captured at their second call; the first call is the warm-up that capturing needs.

    Args:
        capture: how steps are captured.
        model_type: type of the model, for the warning if its steps cannot be captured. They then run without graphs.
    """

    def __init__(self, capture: Capture, model_type: str) -> None:
        self._capture, self._model_type = capture, model_type
        self._replays: dict[Hashable, Step | None] = {}
        self._can_capture = True

    def run(self, key: Hashable, step: Step) -> None:
        """Runs a step. Steps with the same key must do the same operations on the same memory."""
        if not self._can_capture:
            step()
        elif key not in self._replays:
            self._capture.warm_up(step)
            self._replays[key] = None
        else:
            replay = self._replays[key] or self._captured(step)
            self._replays[key] = replay
            replay()

    def _captured(self, step: Step) -> Step:
        try:
            return self._capture.capture(step)
        except RuntimeError as error:
            self._can_capture = False
            reason = " ".join(str(error).split())[:200]
            warnings.warn(
                f"steps of a model of type {self._model_type} cannot be captured as a graph, so they run without one: "
                f"{reason}",
                stacklevel=4,
            )
            return step


class CudaCapture:
    """Captures steps as CUDA graphs, which share one pool of memory.

    They can share it because they are replayed one after another, and no result of a step stays in the pool: a step
    writes its results to the decoder's own buffers.
    """

    def __init__(self) -> None:
        self._pool: Any = torch.cuda.graph_pool_handle()

    def warm_up(self, step: Step) -> None:
        """Runs a step on a side stream, as PyTorch requires before a capture."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            step()
        torch.cuda.current_stream().wait_stream(stream)

    def capture(self, step: Step) -> Step:
        """Records a step."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            step()
        return graph.replay
