"""Files of a base are as their checksums say, and taken for nothing that they are not."""

from pathlib import Path

import pytest

from mcp_vlsearch.indexes.faiss import disk
from mcp_vlsearch.indexes.faiss.disk import DamagedError, SummedFile, check_blocks
from mcp_vlsearch.indexes.faiss.rows import RowFile, head_of
from tests.indexes.stored import clustered

BLOCK = 64


@pytest.mark.parametrize("before", [10, BLOCK, 3 * BLOCK + 5])
def test_what_is_written_after_the_head_was_replaced_comes_at_the_end(
    tmp_path: Path, before: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "_BLOCK", BLOCK)
    path = tmp_path / "file"
    with SummedFile(path) as file:
        file.write(b"a" * before)
        file.replace_head(b"head")
        file.write(b"b" * 100)
        sums = file.finish()
    assert path.read_bytes() == b"head" + b"a" * (before - 4) + b"b" * 100
    assert sums.bytes == before + 100
    for _ in check_blocks(path, sums, all_of_them=True):
        pass


@pytest.mark.parametrize(("dim", "count"), [(8, 12), (16, 6), (4, 24), (8, 11)])
def test_rows_of_another_number_or_width_are_none(tmp_path: Path, dim: int, count: int) -> None:
    path = tmp_path / "rows"
    rows = clustered(12, dim=8)
    path.write_bytes(head_of(8, 12) + rows.astype("<f2").tobytes())
    if (dim, count) == (8, 12):
        assert RowFile(path, dim, count).nearest(rows[:1], 1)[1].tolist() == [[0]]
        return
    with pytest.raises(DamagedError, match=f"rows is not an index of {count} × {dim}"):
        RowFile(path, dim, count)
