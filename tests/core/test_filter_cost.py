"""Filters are looked up in indexes: what they cost is counted in steps of SQLite's machine."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from mcp_vlsearch.cache.catalog import Catalog
from mcp_vlsearch.cache.conditions import Condition
from mcp_vlsearch.cache.database import Database
from mcp_vlsearch.cache.selecting import MANY
from mcp_vlsearch.core.filters import compile_filters
from mcp_vlsearch.types import Filters, Near

ROWS = 100_000
NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)
HERE = Near(latitude=10, longitude=20, km=500)
# One picture a minute from 2024 on, in folders of a hundred, each by one of a hundred cameras.
NUMBERS = f"WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS - 1})"
IMAGE_ID = "printf('%016x', i * 2654435761 % 4294967296)"
FILL = (
    f"""INSERT INTO images (image_id, width, height, format, bytes, part, orientation,
            taken_at, taken_sort, camera, latitude, longitude, lens, source) {NUMBERS}
        SELECT {IMAGE_ID}, 100 + i % 50, 200,
        CASE i % 10 WHEN 0 THEN 'PNG' ELSE 'JPEG' END, i, NULL,
        CASE i % 4 WHEN 0 THEN 'portrait' ELSE 'landscape' END, NULL,
        strftime('%Y-%m-%dT%H:%M:%S.000000', 1704067200 + 60 * i, 'unixepoch'),
        printf('Maker %03d', i % 100),
        i * 7919 % 100003 / 100003.0 * 180 - 90,
        i * 104729 % 100019 / 100019.0 * 360 - 180,
        printf('Lens %02d', i % 50), {IMAGE_ID} FROM n""",
    f"""INSERT INTO files (path, size, mtime_ns, image_id, error, retry) {NUMBERS}
        SELECT printf('/p/%03d/%06d', i / 100, i), 1,
        (1704067200 + 60 * i) * 1000000000, {IMAGE_ID}, NULL, 0 FROM n""",
    """INSERT INTO fingerprints (id, fingerprint, encoder, model, precision, dim, created_at)
        VALUES (1, 'one', 'none', 'none', 'fp32', 2, 'now')""",
    f"""INSERT INTO embeddings (id, image_id, fingerprint, vector) {NUMBERS}
        SELECT i + 1, {IMAGE_ID}, 1, x'0000' FROM n""",
    "INSERT INTO entries (seq, image_id, fingerprint) SELECT id, image_id, 1 FROM embeddings",
)
ALONE: dict[str, Filters] = {
    "folder": Filters(folder="/p/007"),
    "format": Filters(format="PNG"),
    "taken_after": Filters(taken_after=NOON),
    "taken_before": Filters(taken_before=NOON),
    "modified_after": Filters(modified_after=NOON),
    "modified_before": Filters(modified_before=NOON),
    "min_width": Filters(min_width=149),
    "min_height": Filters(min_height=201),
    "orientation": Filters(orientation="portrait"),
    "camera": Filters(camera="maker 007"),
    "lens": Filters(lens="lens 07"),
    "near": Filters(near=HERE),
}
WIDE = {
    "folder": Filters(folder="/p"),
    "taken_after": Filters(taken_after=datetime.min),
    "modified_before": Filters(modified_before=datetime.max),
    "min_width": Filters(min_width=1),
    "min_height": Filters(min_height=1),
    "camera": Filters(camera="Maker"),
    "lens": Filters(lens="Lens"),
    "near": Filters(near=Near(latitude=0, longitude=0, km=20100)),
}
SHAPE: dict[str, Any] = {"format": "jpeg", "orientation": "landscape", "min_width": 1}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = Database(tmp_path_factory.mktemp("library") / "library.db")
    with database.write() as tables:
        for statement in FILL:
            tables.execute(statement)
    yield database
    database.close()


def condition(filters: Filters) -> Condition:
    found = compile_filters(filters)
    assert found is not None
    return found


def steps(database: Database, filters: Filters) -> tuple[int, int]:
    """Return how many images are allowed, and thousands of steps that it took to find them."""
    thousands = 0

    def count() -> None:
        nonlocal thousands
        thousands += 1

    with database.read() as connection:
        connection.set_progress_handler(count, 1000)
        allowed = Catalog(database).allowed(condition(filters), "one")
        connection.set_progress_handler(None, 1000)
    return len(allowed), thousands


@pytest.mark.parametrize("name", Filters.model_fields)
def test_each_filter_reads_an_index_and_no_whole_table(database: Database, name: str) -> None:
    those = condition(ALONE[name])
    query = f"EXPLAIN QUERY PLAN SELECT image_id FROM images WHERE {those.sql}"
    with database.read() as connection:
        plan = [row[3] for row in connection.execute(query, those.parameters)]
    on_tables = [step for step in plan if " images" in step or " files" in step]
    assert on_tables
    for step in on_tables:
        assert step.startswith("SEARCH") or "USING COVERING INDEX" in step, plan


@pytest.mark.parametrize("name", ["folder", "camera", "lens", "taken_before"])
def test_a_narrow_filter_costs_what_it_finds(database: Database, name: str) -> None:
    found, thousands = steps(database, ALONE[name])
    assert 0 < found <= ROWS / 50
    assert thousands <= 8 + found * 40 / 1000


@pytest.mark.parametrize("name", ["folder", "camera", "lens", "near", "taken_before"])
def test_a_shape_that_most_pictures_have_makes_a_narrow_filter_no_dearer(
    database: Database, name: str
) -> None:
    found, thousands = steps(database, ALONE[name])
    both, together = steps(database, ALONE[name].model_copy(update=SHAPE))
    assert 0 < both <= found
    assert together <= 1.5 * thousands + 4 + found * 20 / 1000


@pytest.mark.parametrize("name", ["camera", "lens", "near", "taken_before"])
@pytest.mark.parametrize("wide", ["folder", "modified_before"])
def test_files_that_nearly_all_pass_make_a_narrow_filter_no_dearer(
    database: Database, name: str, wide: str
) -> None:
    found, thousands = steps(database, ALONE[name])
    more = WIDE[wide].model_dump(exclude_none=True)
    both, together = steps(database, ALONE[name].model_copy(update=more))
    assert both == found
    assert together <= 1.5 * thousands + ROWS / MANY * 10 / 1000 + found * 40 / 1000


def test_a_narrow_folder_leads_before_a_time_that_all_pictures_pass(database: Database) -> None:
    found, thousands = steps(database, Filters(folder="/p/007", taken_after=datetime.min))
    assert found == 100
    assert thousands <= 10


@pytest.mark.parametrize("name", Filters.model_fields)
def test_no_filter_costs_more_than_some_steps_a_row(database: Database, name: str) -> None:
    filters = WIDE.get(name, ALONE[name])
    found, thousands = steps(database, filters)
    assert found == ROWS or name not in WIDE
    assert thousands <= 45 * ROWS / 1000
