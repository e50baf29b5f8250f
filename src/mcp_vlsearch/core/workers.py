"""Threads that work in what time the encoder and searches leave them."""

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Final

__all__ = ["NICENESS", "give_way", "workers"]

NICENESS: Final = 10
"""What Linux adds to a worker's niceness."""


def workers(count: int) -> ThreadPoolExecutor:
    """Return a pool of so many threads, which on Linux run at a lower priority.

    An encoder on the CPU has a thread on every core, and each waits for the slowest one in every
    product. Workers of equal priority take turns with them, and hold up all the others with one.
    They catch up while the encoder waits for pictures. 10 and no more, so that other programs
    that are busy leave them a tenth of a core.
    """
    return ThreadPoolExecutor(count, thread_name_prefix="prepare", initializer=give_way)


def give_way() -> None:
    """Let this thread, and those that it starts, run at a lower priority, where that can be."""
    if sys.platform == "linux":  # elsewhere priorities are a process's
        thread = threading.get_native_id()
        niceness = os.getpriority(os.PRIO_PROCESS, thread) + NICENESS
        os.setpriority(os.PRIO_PROCESS, thread, niceness)
