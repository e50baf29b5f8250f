import os
import sys
import threading

import pytest

from mcp_vlsearch.core.workers import NICENESS, workers


def priority() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere threads have no priority")
def test_workers_give_way_to_the_thread_that_encodes() -> None:
    own = priority()
    with workers(2) as pool:
        theirs = pool.submit(priority).result()
    assert theirs == min(own + NICENESS, 19)
    assert priority() == own
