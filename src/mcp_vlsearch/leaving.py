"""The end of a process that may still have threads at work."""

import os
import sys
import threading
import time
from contextlib import suppress

__all__ = ["leave"]


def leave(code: int = 0, grace: float = 0.0) -> None:
    """Return once all threads are done; if they are not after ``grace`` seconds, end the process.

    A thread deep in a download or a model can't be stopped, and Python would wait for it for ever
    or tear the model down under it. The database survives a process that ends at any point.
    """
    others = [t for t in threading.enumerate() if t is not threading.current_thread()]
    deadline = time.monotonic() + grace
    with suppress(KeyboardInterrupt):  # whoever asks again does not want to wait
        for thread in others:
            if not thread.daemon:
                thread.join(max(0.0, deadline - time.monotonic()))
    if any(thread.is_alive() for thread in others):
        for stream in (sys.stdout, sys.stderr):
            with suppress(AttributeError, OSError, ValueError):  # none, a closed pipe, or closed
                stream.flush()
        os._exit(code)
