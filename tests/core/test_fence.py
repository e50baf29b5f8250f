"""What lies below the roots is known at any time, and not looked up from the start each time."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcp_vlsearch.cache.catalog import Catalog, FileRecord
from mcp_vlsearch.cache.database import Database
from mcp_vlsearch.cache.deleting import Deleting
from mcp_vlsearch.cache.embeddings import Embeddings
from mcp_vlsearch.core.fence import Fence
from mcp_vlsearch.core.roots import Roots
from tests.cache.conftest import Promise, Shelf

PATHS = ("/in/1", "/in/2", "/in/deep/3", "/out/1", "/out/2", "/in-between/1")
ROOTS = Roots(["/in"])


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    database = Database(tmp_path / "library.db")
    yield Shelf(database, Catalog(database), Embeddings(database, Promise()))
    database.close()


@pytest.fixture
def looked_up(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """From which seqs on images below the roots were looked up."""
    asked: list[int] = []
    seqs_below = Catalog.seqs_below

    def noted(self: Catalog, folders: list[str], fingerprint: str, after: int = 0) -> object:
        asked.append(after)
        return seqs_below(self, folders, fingerprint, after)

    monkeypatch.setattr(Catalog, "seqs_below", noted)
    shelf.add("/out/0", "outside")
    return asked


def inside(fence: Fence, roots: Roots = ROOTS) -> list[int] | None:
    seqs = fence.seqs(roots)
    return None if seqs is None else seqs.tolist()


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "forget", "break", "renew", "move", "prune", "look"]),
        st.integers(0, len(PATHS) - 1),
        st.integers(0, 3),
    ),
    max_size=25,
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(STEPS)
def test_a_fence_that_is_kept_up_knows_what_a_new_one_does(
    shelf: Shelf, steps: list[tuple[str, int, int]]
) -> None:
    shelf.catalog.forget(PATHS)
    kept = Fence(shelf.catalog, shelf.embeddings)
    for step, place, image in (*steps, ("look", 0, 0)):
        path, name = PATHS[place], f"image {image}"
        if step == "add":
            shelf.add(path, name)
        elif step == "forget":
            shelf.catalog.forget([path])
        elif step == "break":
            shelf.catalog.put_files([(path, FileRecord(1, 2, error="broken"))])
        elif step == "renew":
            shelf.embeddings.publish([name], renew=True)
        elif step == "move":
            with shelf.database.write():
                shelf.add(path, name)
                shelf.catalog.forget([PATHS[(place + 1) % len(PATHS)]])
        elif step == "prune":
            Deleting(shelf.database).delete_removals({})
        else:
            assert inside(kept) == inside(Fence(shelf.catalog, shelf.embeddings))


def test_only_what_is_new_is_looked_up(shelf: Shelf, looked_up: list[int]) -> None:
    fence = Fence(shelf.catalog, shelf.embeddings)
    shelf.add("/in/1", "one")
    assert inside(fence) == [2]
    shelf.add("/in/2", "two")
    shelf.add("/out/3", "three")
    assert inside(fence) == [2, 3]
    shelf.catalog.forget(["/in/1"])
    assert inside(fence) == [3]
    assert inside(fence) == [3]
    assert looked_up == [0, 2, 4]


def test_a_copy_that_comes_or_goes_has_all_looked_up(shelf: Shelf, looked_up: list[int]) -> None:
    fence = Fence(shelf.catalog, shelf.embeddings)
    shelf.add("/in/1", "one")
    assert inside(fence) == [2]
    shelf.add("/in/2", "outside")
    assert inside(fence) == [1, 2]
    shelf.catalog.forget(["/in/2"])
    assert inside(fence) == [2]
    assert looked_up == [0, 0, 0]


def test_other_roots_and_a_library_that_lies_below_them_are_told_apart(shelf: Shelf) -> None:
    fence = Fence(shelf.catalog, shelf.embeddings)
    shelf.add("/in/1", "one")
    assert inside(fence) is None
    shelf.add("/out/1", "two")
    assert inside(fence) == [1]
    assert inside(fence, Roots(["/out"])) == [2]
    assert inside(fence, Roots(["/out", "/in"])) is None
    shelf.catalog.forget(["/out/1"])
    shelf.add("/in/3", "three")
    assert inside(fence) is None
    shelf.add("/out/4", "four")
    assert inside(fence) == [1, 3]
