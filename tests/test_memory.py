"""Memory that threads have freed is used again by others."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[1] / "src"

HOLES = """
import ctypes
from pathlib import Path
from mcp_vlsearch.memory import give_memory_back
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
blocks = [libc.malloc(50_000) for _ in range(2000)]
for block in blocks:
    ctypes.memset(ctypes.c_void_p(block), 1, 50_000)
for block in blocks[:-1]:
    libc.free(ctypes.c_void_p(block))
def held():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 // 2**20
before = held()
give_memory_back()
print(before - held())
"""

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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps what was freed")
def test_freed_memory_below_what_is_used_goes_back_to_the_system() -> None:
    environment = {**os.environ, "PYTHONPATH": str(SOURCES)}
    done = subprocess.run(
        [sys.executable, "-c", HOLES], env=environment, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) > 80
