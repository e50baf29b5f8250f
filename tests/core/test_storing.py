"""The library stores its index when it is due, behind the searches, and finds all with it."""

import json
import logging
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mcp_vlsearch.cache.embeddings import Embeddings
from mcp_vlsearch.contracts import StoredIndex
from mcp_vlsearch.core import lookup, storing
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.core.progress import Progress, silent
from mcp_vlsearch.errors import CancelledError, SettingsError
from mcp_vlsearch.indexes.faiss import FaissIndex
from mcp_vlsearch.indexes.faiss import index as faiss_index
from tests.core.conftest import paint
from tests.core.mosaic import MosaicEncoder


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an index be due with four rows, and be read in blocks of three."""
    monkeypatch.setattr(faiss_index, "_LEAST_TAIL", 4)
    monkeypatch.setattr(storing, "_BLOCK", 3)
    monkeypatch.setattr(lookup, "_BLOCK", 3)


def index_of(library: Library) -> FaissIndex:
    """Return the index that a library searches."""
    index = library._spaces.current(silent).index._index
    assert isinstance(index, FaissIndex)
    return index


def finished(library: Library) -> None:
    """Wait for what goes on in the background."""
    slot = library._spaces.current(silent).index
    assert slot._storing is not None
    slot._storing.wait(silent)


def found(library: Library) -> list[str]:
    """Return the names of all pictures that a search finds."""
    return sorted(hit.name for hit in library.search_by_text("red", top_k=100).hits)


def bases(library: Library) -> list[Path]:
    """Return the bases that are stored."""
    return list((library.settings.library / "index").rglob("base.json"))


def again(library: Library) -> Library:
    """Open a library once more, as another process would."""
    return Library(library.settings)


NAMES = [f"{seed}.png" for seed in range(10)]


def test_index_stores_what_is_due_and_another_process_searches_it(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Progress] = []
    monkeypatch.setattr(storing, "_HEARTBEAT", 0.001)
    library.index(report=told.append)
    assert len(bases(library)) == 1
    assert {p.message for p in told if "storing" in p.message} <= {
        f"storing the index, {done} of 10 vectors" for done in (0, 3, 6, 9, 10)
    }
    with again(library) as other:
        assert found(other) == NAMES
        index = index_of(other)
        assert (len(index), len(index._tail)) == (10, 0)


def test_a_small_library_stores_nothing(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faiss_index, "_LEAST_TAIL", 11)
    library.index()
    assert found(library) == NAMES
    assert bases(library) == []


def test_a_search_stores_in_the_background_and_the_next_one_uses_it(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(faiss_index, "_LEAST_TAIL", 100)
        library.index()
    assert found(library) == NAMES
    finished(library)
    assert len(index_of(library)._tail) == 10, "until the next search"
    assert found(library) == NAMES
    assert len(index_of(library)._tail) == 0


def test_what_comes_and_goes_after_the_base_is_found_and_not(
    library: Library, photos: Path
) -> None:
    library.index()
    with again(library) as server:
        assert found(server) == NAMES
        paint(photos / "new.png", 77)
        (photos / "0.png").unlink()
        library.index()
        assert found(server) == sorted([*NAMES[1:], "new.png"])
        assert len(index_of(server)._tail) == 1
    with again(library) as other:
        assert found(other) == sorted([*NAMES[1:], "new.png"])


def test_a_picture_removed_while_the_index_is_stored_is_not_found(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(faiss_index, "_LEAST_TAIL", 100)
        library.index()
    real = storing.Storing._rows

    def meanwhile(self: storing.Storing, *given: int) -> Iterator[Any]:
        for number, block in enumerate(real(self, *given)):
            yield block
            if number == 1:
                with again(library) as other:
                    other.remove([photos / "0.png", photos / "trip" / "9.png"])

    monkeypatch.setattr(storing.Storing, "_rows", meanwhile)
    found(library)
    finished(library)
    for each in (library, again(library)):
        with each:
            assert found(each) == NAMES[1:9]


def test_a_picture_added_while_the_index_is_stored_waits_for_the_next_time(
    library: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(faiss_index, "_LEAST_TAIL", 100)
        library.index()
        newest = Embeddings.newest

        def then_one_more(self: Embeddings) -> tuple[int, int]:
            told = newest(self)
            patched.setattr(Embeddings, "newest", newest)
            with again(library) as other:
                paint(photos / "new.png", 77)
                other.index()
            return told

        patched.setattr(Embeddings, "newest", then_one_more)
        slot = library._spaces.current(silent).index
        assert slot._storing is not None
        slot._storing.store(silent)
    (manifest,) = bases(library)
    stored = json.loads(manifest.read_text())["base"]
    assert (stored["count"], stored["last_seq"]) == (10, 10)
    assert found(library) == sorted([*NAMES, "new.png"])


def asked(library: Library) -> list[str]:
    """Return which kind each base was made for."""
    return [json.loads(manifest.read_text())["base"]["asked"] for manifest in bases(library)]


def test_a_server_follows_the_kind_that_another_process_indexed_with(library: Library) -> None:
    library.index()
    with again(library) as server:
        assert found(server) == NAMES
        for kind in ("HNSW32,SQ8", "exact"):
            with Library.open(library.settings.library, index_kind=kind) as other:
                other.index()
                finished(other)
            assert asked(library) == [kind]
            for _ in range(2):
                assert found(server) == NAMES
                finished(server)
            assert asked(library) == [kind], "it was not stored in the server's own way"
            assert Library.open(library.settings.library).settings.index_kind == kind
        with Library.open(library.settings.library, index_kind="auto") as other:
            other.index()
        assert "index_kind" not in (library.settings.library / "config.toml").read_text()


def test_status_says_which_index_is_stored_before_it_is_searched(library: Library) -> None:
    with again(library) as other:
        assert other.status().index.kind == "not loaded"
    library.index()
    with Library.open(library.settings.library, index_kind="HNSW32,SQ8") as other:
        other.index()
        kind = other.status().index.kind
    assert kind.startswith("HNSW32,SQ8 (efSearch ")
    with again(library) as other:
        assert other.status().index.model_dump() == {"name": "faiss", "kind": kind, "vectors": 10}
    with Library.open(library.settings.library, index_kind="none") as other:
        assert other.status().index.kind == "not loaded"


def test_a_kind_that_was_chosen_is_not_changed_by_what_others_index_with(library: Library) -> None:
    library.index()
    with Library.open(library.settings.library, index_kind="ivf") as server:
        assert found(server) == NAMES
        with Library.open(library.settings.library, index_kind="exact") as other:
            other.index()
        assert found(server) == NAMES
        assert index_of(server)._asked == "ivf"


def test_storing_that_fails_is_logged_once_and_fails_no_search(
    library: Library, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(faiss_index, "write_base", full)
    monkeypatch.setattr(storing, "_AGAIN", 0.0)
    library.index()
    for _ in range(3):
        assert found(library) == NAMES
        finished(library)
    assert caplog.text.count("the index can't be stored: ") == 1
    assert "No space left on device" in caplog.text


def test_a_report_that_raises_ends_storing_and_leaves_no_base(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "_HEARTBEAT", 0.01)
    reached = threading.Event()
    real = storing.Storing._rows

    def slow(self: storing.Storing, *given: int) -> Iterator[Any]:
        for block in real(self, *given):
            reached.wait(10)
            yield block

    def cancel(progress: Progress) -> None:
        if "storing" in progress.message:
            raise CancelledError("stopped")

    monkeypatch.setattr(storing.Storing, "_rows", slow)
    with pytest.raises(CancelledError):
        library.index(report=cancel)
    reached.set()
    finished(library)
    assert bases(library) == []
    assert found(library) == NAMES


def test_a_command_that_only_searches_begins_no_work(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(faiss_index, "_LEAST_TAIL", 100)
        library.index()
    begun: list[object] = []
    for name in ("store", "verify"):
        monkeypatch.setattr(FaissIndex, name, lambda *given: begun.append(given))
    library.close()
    with again(library) as command:
        assert found(command) == NAMES
    assert begun == []
    assert storing.THREAD not in [thread.name for thread in threading.enumerate()]


def test_close_ends_what_goes_on_in_the_background(
    library: Library, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(faiss_index, "_LEAST_TAIL", 100)
        library.index()
    reached, stopped = threading.Event(), threading.Event()

    def endless(*given: Any) -> None:
        *_, progress = given
        try:
            while True:
                reached.set()
                progress(1)
        finally:
            stopped.set()

    monkeypatch.setattr(FaissIndex, "store", endless)
    monkeypatch.setattr(storing, "_SETTLED", 0.0)
    found(library)
    assert reached.wait(10)
    library.close()
    assert stopped.is_set()
    assert storing.THREAD not in [thread.name for thread in threading.enumerate()]
    assert caplog.text == ""


def test_a_base_that_was_damaged_is_made_anew(
    library: Library, caplog: pytest.LogCaptureFixture
) -> None:
    library.index()
    (manifest,) = bases(library)
    rows = manifest.with_name("vectors.faiss")
    rows.write_bytes(rows.read_bytes()[:-1])
    with again(library) as other:
        assert found(other) == NAMES
        finished(other)
        assert found(other) == NAMES
        assert len(index_of(other)._tail) == 0
    assert caplog.text.count("made anew from the library") == 1
    assert len(bases(library)) == 1


def test_damage_that_is_found_later_is_made_good(
    library: Library, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(storing, "_SETTLED", 0.0)
    monkeypatch.setattr("mcp_vlsearch.indexes.faiss.disk._BLOCK", 64)
    monkeypatch.setattr("mcp_vlsearch.indexes.faiss.disk._SAMPLED", 0)
    library.index()
    (manifest,) = bases(library)
    rows = manifest.with_name("vectors.faiss")
    content = bytearray(rows.read_bytes())
    content[len(content) // 2] ^= 1
    rows.write_bytes(content)
    with again(library) as other:
        found(other)
        slot = other._spaces.current(silent).index
        assert slot._storing
        assert slot._storing._verifying
        assert slot._storing._verifying.ended(10)
        assert found(other) == NAMES
        assert "vectors.faiss is not as it was written" in caplog.text


def backup(library: Library) -> Path:
    """Copy the database of a library."""
    library._database.close()
    copy = library.settings.library.parent / "backup"
    copy.mkdir()
    for file in library.settings.library.glob("library.db*"):
        shutil.copy(file, copy)
    return copy


def restore(library: Library, copy: Path) -> None:
    """Put a copy of the database in the place of what has become of it."""
    for file in library.settings.library.glob("library.db*"):
        file.unlink()
    for file in copy.iterdir():
        shutil.copy(file, library.settings.library)


@pytest.mark.parametrize("others", [0, 4, 8])
def test_an_index_newer_than_a_restored_database_is_made_anew(
    library: Library, photos: Path, others: int, caplog: pytest.LogCaptureFixture
) -> None:
    library.index()
    copy = backup(library)
    with again(library) as grown:
        for seed in range(20, 26):
            paint(photos / f"grown{seed}.png", seed)
        grown.index()
        assert index_of(grown).last_seq == 16
    restore(library, copy)
    for file in photos.glob("grown*"):
        file.unlink()
    caplog.set_level(logging.WARNING)
    with again(library) as restored:
        if others:  # which get the seqs that the lost ones had
            for seed in range(30, 30 + others):
                paint(photos / f"other{seed}.png", seed)
            restored.index()
        assert found(restored) == sorted([*NAMES, *(f"other{30 + i}.png" for i in range(others))])
    assert "the index does not fit the library" in caplog.text


def test_readers_store_nothing(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(faiss_index, "_LEAST_TAIL", 100)
        library.index()
    settings = library.settings.model_copy(update={"read_only": True})
    with Library(settings) as reader:
        assert found(reader) == NAMES
        finished(reader)
        assert found(reader) == NAMES
    assert bases(library) == []
    assert isinstance(index_of(library), StoredIndex)


def test_a_kind_that_is_none_is_told_before_anything_is_encoded(library: Library) -> None:
    settings = library.settings.model_copy(update={"index_kind": "IVF16,SQ99"})
    with Library(settings) as wrong, pytest.raises(SettingsError, match="--index-kind IVF16,SQ99"):
        wrong.index()
    assert MosaicEncoder.encoded == []


def test_what_is_much_is_stored_from_the_database_and_never_all_in_memory(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup, "_MUCH", 8)
    added: list[int] = []
    add = FaissIndex.add

    def counted(self: FaissIndex, seqs: Any, vectors: Any) -> None:
        added.append(len(seqs))
        add(self, seqs, vectors)

    monkeypatch.setattr(FaissIndex, "add", counted)
    library.index()
    assert added == []
    assert len(bases(library)) == 1
    assert found(library) == NAMES
