"""SIGTERM as Ctrl-C: what a scheduler sends before it kills ends a run in the same way as its user does."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Lets SIGTERM raise KeyboardInterrupt.

    It does nothing outside the main thread, where Python has no signal handlers, nor where the program has a handler
    of its own for SIGTERM.
    """
    is_main_thread = threading.current_thread() is threading.main_thread()
    if not is_main_thread or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
