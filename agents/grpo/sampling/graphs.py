"""CUDA graphs: the launches of a step, recorded once and replayed as one."""

import warnings
from collections.abc import Callable, Hashable
from typing import Any, Protocol

import torch

Step = Callable[[], None]


class Capture(Protocol):
    """How steps are captured."""

    def warm_up(self, step: Step) -> None:
        """Runs a step in the way that capturing it later needs."""

    def capture(self, step: Step) -> Step:
        """Records a step without running it, and returns what replays it."""


class Graphs:
    """Steps that are captured at their second call; the first is the warm-up that capturing needs.

    Args:
        capture: how.
        model_type: is named in the warning if the model's steps cannot be captured, and run as they are.
    """

    def __init__(self, capture: Capture, model_type: str) -> None:
        self._capture, self._model_type = capture, model_type
        self._replays: dict[Hashable, Step | None] = {}
        self._can_capture = True

    def run(self, key: Hashable, step: Step) -> None:
        """Runs a step, which must do the same on the same memory whenever it has this key."""
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
                f"steps of a model of type {self._model_type} cannot be captured as a graph, so they run one by one: "
                f"{reason}",
                stacklevel=4,
            )
            return step


class CudaCapture:
    """CUDA graphs that share their memory: they are replayed one after the other and leave nothing in it."""

    def __init__(self) -> None:
        self._pool: Any = torch.cuda.graph_pool_handle()

    def warm_up(self, step: Step) -> None:
        """Runs a step on a stream of its own."""
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
