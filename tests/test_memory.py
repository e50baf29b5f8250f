"""Memory that threads have freed is used again by others."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[1] / "src"

POOLS = """
import ctypes, sys, threading
from mcp_vlsearch.memory import keep_pools_few
if sys.argv[1] == "few":
    keep_pools_few()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.fopen.restype = ctypes.c_void_p
together = threading.Barrier(12)
def take():
    together.wait()
    for _ in range(1000):
        libc.malloc(1000)
    together.wait()
threads = [threading.Thread(target=take) for _ in range(12)]
for thread in threads: thread.start()
for thread in threads: thread.join()
file = ctypes.c_void_p(libc.fopen(b"/dev/stdout", b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""


def pools(how: str, **environment: str) -> int:
    """Return how many pools a process has whose twelve threads ask for memory at once."""
    usual = {name: text for name, text in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-c", POOLS, how],
        env={**usual, "PYTHONPATH": str(SOURCES), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.count("<heap nr=")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has pools for threads")
def test_many_threads_share_two_pools_of_memory_unless_the_user_says_otherwise() -> None:
    assert pools("few") == 2
    assert pools("usual") > 2
    assert pools("few", MALLOC_ARENA_MAX="3") == 3
