"""Several processes and one base: it is mapped, killed writers leave nothing, readers follow."""

from __future__ import annotations

import binascii
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.indexes.stored import DIM, clustered, make, numbers, store

ROOT = Path(__file__).parents[2]

STORES = """
import sys
from pathlib import Path
import numpy as np
from mcp_vlsearch.indexes.faiss import disk, writing
from tests.indexes.stored import clustered, make, numbers

def pause(*_):
    print("here", flush=True)
    sys.stdin.read()

library, point = Path(sys.argv[1]), sys.argv[2]
if point == "before the manifest":
    writing.write_manifest = pause
elif point == "before it is renamed":
    disk._sync = pause
elif point == "before older ones are deleted":
    known = disk._delete
    disk._delete = lambda folder: pause() if "-gen-" in folder.name else known(folder)
elif point == "while it is built":
    writing.tuned = pause
elif point == "at the head":
    disk.SummedFile.replace_head = pause
index = make(library, "ivf")
index.refresh()
vectors = clustered(1500)
def rows():
    yield numbers(1, 700), vectors[:700]
    if point == "between rows":
        pause()
    yield numbers(701, 1500), vectors[700:]
index.store(rows(), 1500, 0, lambda _: None)
print("stored", flush=True)
"""

POINTS = (
    "between rows",
    "at the head",
    "while it is built",
    "before the manifest",
    "before it is renamed",
    "before older ones are deleted",
)


def python(script: str, *arguments: str) -> subprocess.Popen[str]:
    """Start Python with a script."""
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9")
@pytest.mark.parametrize("point", POINTS)
def test_a_writer_that_is_killed_leaves_a_whole_index_and_frees_the_way(
    tmp_path: Path, point: str, caplog: pytest.LogCaptureFixture
) -> None:
    vectors = clustered(1600)
    first = make(tmp_path, "ivf")
    store(first, numbers(1, 1000), vectors[:1000])
    with python(STORES, str(tmp_path), point) as process:
        assert process.stdout
        assert process.stdout.readline() == "here\n"
        reader = make(tmp_path, "ivf")
        reader.refresh()
        process.send_signal(signal.SIGKILL)
        process.wait()
    index = make(tmp_path, "ivf")
    index.refresh()
    stored = 1500 if point == "before older ones are deleted" else 1000
    assert (len(reader), len(index)) == (stored, stored)
    index.add(numbers(stored + 1, 1600), vectors[stored:])
    store(index, numbers(1, 1600), vectors)
    for each in (first, reader, index):
        each.refresh()
        assert len(each) == 1600
        assert each.search(vectors, 1)[1][:, 0].tolist() == numbers(1, 1600).tolist()
    assert index._base is not None
    names = {path.name for path in tmp_path.rglob("*") if path.is_dir()}
    assert names == {"index", "0123456789abcdef", index._base.folder.name}
    assert caplog.text == ""


def test_a_process_searches_while_another_stores_and_follows_at_its_next_refresh(
    tmp_path: Path,
) -> None:
    vectors = clustered(1500)
    index = make(tmp_path, "ivf")
    index.add(numbers(1, 1000), vectors[:1000])
    with python(STORES, str(tmp_path), "before it is renamed") as process:
        assert process.stdout
        assert process.stdin
        assert process.stdout.readline() == "here\n"
        index.refresh()
        assert index.search(vectors[:3], 1)[1][:, 0].tolist() == [1, 2, 3]
        store(index, numbers(1, 1000), vectors[:1000])
        index.refresh()
        assert index._base is None, "the other process has the right to store"
        process.stdin.close()
        assert "stored\n" in process.stdout.readlines()
    index.refresh()
    assert index._base is not None
    assert (len(index), len(index._tail)) == (1500, 0)
    assert index.search(vectors, 1)[1][:, 0].tolist() == numbers(1, 1500).tolist()


MAPS = """
import sys
from pathlib import Path
from mcp_vlsearch.indexes.faiss import base
from tests.indexes.stored import clustered, make, numbers

def anonymous():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))

index = make(Path(sys.argv[1]), sys.argv[2])
queries = clustered(4)
warm = make(Path("nothing"))
warm.add(numbers(1, 50), clustered(50))
warm.search(queries, 5)
before = anonymous()
index.refresh()
index.search(queries, 5)
index.search(queries, 5, numbers(1, 5000))
print(len(index), anonymous() - before)
"""


@pytest.mark.skipif(
    "RssAnon:" not in Path("/proc/self/status").read_text()
    if Path("/proc/self/status").exists()
    else True,
    reason="the system does not say what memory is mapped",
)
@pytest.mark.parametrize("kind", ["exact", "IVF64,SQ8"])
def test_rows_are_mapped_and_not_copied(tmp_path: Path, kind: str) -> None:
    vectors = clustered(5000)
    blocks = ((numbers(5000 * i + 1, 5000 * i + 5000), vectors) for i in range(50))
    make(tmp_path, kind).store(blocks, 250_000, 0, lambda _: None)
    with python(MAPS, str(tmp_path), kind) as process:
        count, kib = map(int, process.communicate()[0].split())
    assert count == 250_000
    assert kib < 250_000 * DIM * 2 / 1024 / 3, "a copy would take 15,600 KiB"


def test_opening_looks_at_little_of_a_large_base(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcp_vlsearch.indexes.faiss.disk._BLOCK", 4096)
    store(make(tmp_path), numbers(1, 20_000), np.tile(clustered(2000), (10, 1)))
    looked_at: list[int] = []

    def crc32(data: bytes) -> int:
        looked_at.append(len(data))
        return binascii.crc32(data)

    monkeypatch.setattr("mcp_vlsearch.indexes.faiss.disk.zlib.crc32", crc32)
    index = make(tmp_path)
    index.refresh()
    assert len(index) == 20_000
    assert sum(looked_at) <= 12 * 4096
