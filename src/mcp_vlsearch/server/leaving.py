"""The end of a server's process."""

import os
import sys
import threading
import time
from typing import Final

__all__ = ["leave"]

_GRACE: Final = 2.0
"""Seconds that calls without a client get to finish their batch."""


def leave() -> None:
    """Return once all threads are done, or end the process if that takes too long.

    A thread deep in a model can't be stopped, and Python would wait for it for ever or tear the
    model down under it. The database survives a process that ends at any point.
    """
    others = [t for t in threading.enumerate() if t is not threading.current_thread()]
    deadline = time.monotonic() + _GRACE
    for thread in others:
        if not thread.daemon:
            thread.join(max(0.0, deadline - time.monotonic()))
    if any(thread.is_alive() for thread in others):
        sys.stderr.flush()
        os._exit(0)
