"""What is counted as it comes and goes is what there is."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcp_vlsearch.cache import migrations
from mcp_vlsearch.cache.catalog import Counts, FileRecord
from mcp_vlsearch.cache.migrations_counts import count_rows

from .conftest import Shelf

FOLDERS = ("/", "/a", "/a/b", "/a-b", "/a/b/1", "/c")
PATHS = ("/1", "/a/1", "/a/b/1", "/a/b/2", "/a-b/1", "/c")


def counted(shelf: Shelf) -> tuple[object, ...]:
    folders = [shelf.catalog.file_count(folder) for folder in FOLDERS]
    outside = [shelf.catalog.any_outside(some) for some in (FOLDERS[1:], ["/a", "/a/b"], [])]
    return shelf.catalog.counts(), shelf.embeddings.count(), folders, outside


def there(shelf: Shelf) -> tuple[object, ...]:
    files = shelf.catalog.known("/")
    images = {record.image_id for record in files.values() if record.image_id}
    failed = [path for path, record in files.items() if record.error]
    counts = Counts(files=len(files), failed=len(failed), images=len(images))

    def below(folder: str) -> list[str]:
        return [p for p in files if p == folder or p.startswith(folder.rstrip("/") + "/")]

    def outside(*folders: str) -> bool:
        return set(files) != {path for folder in folders for path in below(folder)}

    return (
        counts,
        len(shelf.found()),
        [len(below(folder)) for folder in FOLDERS],
        [outside(*FOLDERS[1:]), outside("/a", "/a/b"), outside()],
    )


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "forget", "break", "renew", "move"]),
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
@given(STEPS, st.integers(0, 25))
def test_counts_are_right_whatever_happens_and_whenever_counting_begins(
    shelf: Shelf, steps: list[tuple[str, int, int]], begin: int
) -> None:
    shelf.catalog.forget(PATHS)
    shelf.catalog.remove_roots(FOLDERS)
    for number, (step, place, image) in enumerate(steps):
        if number == begin:
            shelf.catalog.count_folders(FOLDERS[:4])
        path, name = PATHS[place], f"image {image}"
        if step == "add":
            shelf.add(path, name)
        elif step == "forget":
            shelf.catalog.forget([path])
        elif step == "break":
            shelf.catalog.put_files([(path, FileRecord(1, 2, error="broken"))])
        elif step == "move":
            with shelf.database.write():
                shelf.add(path, name)
                shelf.catalog.forget([PATHS[(place + 1) % len(PATHS)]])
        else:
            shelf.embeddings.publish([name], renew=True)
    assert counted(shelf) == there(shelf)


def test_what_a_transaction_takes_back_was_never_counted(shelf: Shelf) -> None:
    shelf.catalog.count_folders(["/a"])
    shelf.add("/a/1", "one")

    def fail() -> None:
        with shelf.database.write():
            shelf.add("/a/2", "two")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert counted(shelf) == there(shelf)
    assert shelf.catalog.file_count("/a") == 1


def test_an_older_library_is_counted_when_it_is_opened(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, open_anew: Callable[[], Shelf]
) -> None:
    older = tuple(step for step in migrations.STEPS if step is not count_rows)
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "STEPS", older)
        for path, image in (("/a/1", "one"), ("/a/2", "one"), ("/b", "two")):
            shelf.add(path, image)
        shelf.catalog.put_files([("/broken", FileRecord(1, 2, error="broken"))])
    again = open_anew()
    assert counted(again) == there(again)
    assert again.catalog.counts() == Counts(files=4, failed=1, images=2)


def test_counting_looks_at_no_row_of_a_large_table(shelf: Shelf) -> None:
    shelf.catalog.count_folders(["/a"])
    shelf.add("/a/1", "one")
    asked: list[str] = []
    with shelf.database.read() as connection:
        connection.set_trace_callback(asked.append)
        shelf.catalog.counts()
        shelf.catalog.file_count("/a")
        shelf.embeddings.count()
        connection.set_trace_callback(None)
        for query in asked:
            plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}")]
            assert not [s for s in plan if "files" in s.split() or "entries" in s.split()], plan
    assert asked


def test_what_lies_outside_some_folders_is_looked_for_between_them(shelf: Shelf) -> None:
    asked: list[str] = []
    with shelf.database.read() as connection:
        connection.set_trace_callback(asked.append)
        assert not shelf.catalog.any_outside(["/a/b", "/a", "/c"])
        connection.set_trace_callback(None)
        [query] = asked
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}")]
        files = [step for step in plan if "files" in step.split()]
    assert len(files) == 5
    assert all("SEARCH files USING PRIMARY KEY (path>" in step for step in files), plan
