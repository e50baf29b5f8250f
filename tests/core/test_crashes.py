"""No image is lost or found twice, whenever a writing process is killed; and many may read."""

from pathlib import Path

from tests.crashes import KINDS, crash
from tests.readers import read_while_indexing


def test_writers_that_are_killed_at_random_moments_lose_nothing(tmp_path: Path) -> None:
    tallies = crash(tmp_path, rounds=2 * len(KINDS), seed=1)
    assert all(tally.rounds == 2 for tally in tallies.values())
    assert sum(tally.killed for tally in tallies.values())
    assert list((tmp_path / "library" / "index").rglob("base.json")), "the index was stored, too"


def test_eight_processes_search_while_another_one_indexes(tmp_path: Path) -> None:
    seen = read_while_indexing(tmp_path, pictures=100, readers=8, seed=1)
    assert [wrong for reader in seen for wrong in reader.wrong] == []
    assert all(reader.during for reader in seen)
    assert any(len(reader.sizes) > 2 for reader in seen), "new pictures came into view one by one"
