"""A file may hold several images; they are found and counted while a file holds them."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcp_vlsearch.cache import migrations
from mcp_vlsearch.cache.catalog import Catalog, FileRecord, ImageInfo
from mcp_vlsearch.cache.database import Database
from mcp_vlsearch.cache.migrations_parts import hold_parts

from .conftest import Shelf, unit

PATHS = ("/a/1", "/a/2", "/b/1", "/b/2")
SOURCES = ("book", "film", "picture")


def put(shelf: Shelf, path: str, source: str, pages: int) -> None:
    """Put a file with some pages, or a picture, as a run does."""
    parts = [f"page={n}" for n in range(1, pages + 1)]
    ids = [f"{source} {part}" for part in parts] if source != "picture" else ["picture"]
    with shelf.database.write():
        for image, part in zip(ids, parts, strict=False):
            own = None if source == "picture" else source
            info = ImageInfo(9, 9, "PDF", 9, part=part if own else None, source=own)
            shelf.catalog.put_image(image, info)
        shelf.embeddings.put(ids, unit(len(ids)))
        shelf.catalog.parts.keep(source, ids)
        shelf.catalog.put_files([(path, FileRecord(1, 2, source))])
        shelf.embeddings.publish(ids)


def held(shelf: Shelf) -> set[str]:
    sources = {r.image_id for r in shelf.catalog.known("/").values() if r.image_id}
    return {image for source in sources for image in shelf.catalog.parts.of(source)}


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "forget", "break", "partly"]),
        st.sampled_from(PATHS),
        st.sampled_from(SOURCES),
        st.integers(1, 4),
    ),
    max_size=20,
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(STEPS)
def test_what_is_found_and_counted_is_what_files_hold(
    shelf: Shelf, steps: list[tuple[str, str, str, int]]
) -> None:
    shelf.catalog.forget(PATHS)
    for step, path, source, pages in steps:
        if step == "put":
            put(shelf, path, source, pages)
        elif step == "forget":
            shelf.catalog.forget([path])
        elif step == "partly" and (known := shelf.catalog.known(path, False).get(path)):
            shelf.catalog.put_files([(path, known._replace(error="page=9: torn"))])
        else:
            shelf.catalog.put_files([(path, FileRecord(1, 2, error="broken"))])
        expected = held(shelf)
        counts = shelf.catalog.counts()
        assert set(shelf.found()) == expected
        assert counts.images == shelf.embeddings.count() == len(expected)
        assert counts == shelf.catalog.counts(["/"])
        failed = [r for r in shelf.catalog.known("/").values() if r.image_id is None]
        assert counts.failed == len(failed)


def test_parts_come_in_their_order(shelf: Shelf) -> None:
    put(shelf, "/a", "book", 12)
    assert shelf.catalog.parts.of("book") == [f"book page={n}" for n in range(1, 13)]
    assert shelf.catalog.parts.part("book page=3") == "page=3"
    assert shelf.catalog.parts.part("unknown") is None
    assert shelf.catalog.paths_of("book page=3") == shelf.catalog.paths_of("book") == ["/a"]


def test_a_source_is_whole_unless_it_is_to_be_read_again(shelf: Shelf) -> None:
    assert not shelf.catalog.parts.whole("book")
    put(shelf, "/a", "book", 2)
    assert shelf.catalog.parts.whole("book")
    shelf.catalog.put_files([("/a", FileRecord(1, 2, "book", "page=3: torn", retry=True))])
    assert not shelf.catalog.parts.whole("book")
    assert shelf.catalog.parts.error("book") is None
    shelf.catalog.put_files([("/a", FileRecord(1, 2, "book", "page=3: torn"))])
    assert shelf.catalog.parts.error("book") == "page=3: torn"


def test_a_library_from_before_parts_keeps_its_files_images_and_counts(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = migrations.STEPS.index(hold_parts)
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "STEPS", migrations.STEPS[:before])
        database = Database(file)
        with database.write() as tables:
            for statement in (
                "INSERT INTO images (image_id, width, height, format, bytes, orientation) "
                "VALUES ('one', 1, 1, 'PNG', 1, 'square'), ('two', 1, 1, 'PNG', 1, 'square')",
                "INSERT INTO files VALUES ('/a', 1, 2, 'one', NULL, 0), ('/b', 1, 2, 'one', NULL,"
                " 0), ('/c', 1, 2, 'two', NULL, 0), ('/d', 1, 2, NULL, 'broken', 1)",
                "INSERT INTO fingerprints (id, fingerprint, encoder, model, precision, dim, "
                "created_at) VALUES (7, 'f', 'e', 'm', 'fp32', 2, 'then')",
                "INSERT INTO embeddings VALUES (1, 'one', 7, x'003c0000'), (2, 'two', 7, "
                "x'003c0000')",
                "INSERT INTO entries VALUES (5, 'one', 7), (6, 'two', 7)",
            ):
                tables.execute(statement)
        database.close()
    database = Database(file)
    catalog = Catalog(database)
    assert catalog.counts() == catalog.counts(["/"])
    assert (catalog.counts().files, catalog.counts().images) == (4, 2)
    assert catalog.paths_of("one") == ["/a", "/b"]
    assert catalog.known("/d", False)["/d"] == FileRecord(1, 2, None, "broken", True)
    catalog.forget(["/c"])
    assert catalog.counts().images == 1
    with database.read() as reading:
        assert reading.execute("SELECT seq FROM removals").fetchall() == [(6,)]
        assert reading.execute("PRAGMA foreign_key_check").fetchall() == []
        assert reading.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()
