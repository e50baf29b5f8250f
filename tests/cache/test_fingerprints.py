"""What a fingerprint lacks is counted as it comes and goes."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcp_vlsearch.cache import migrations
from mcp_vlsearch.cache.database import Database
from mcp_vlsearch.cache.deleting import Deleting
from mcp_vlsearch.cache.fingerprints import Fingerprints, SpaceRecord
from mcp_vlsearch.cache.migrations_counts import count_lacking

from .conftest import PICTURE, Shelf, unit

NAMES = ("a", "b", "c")
Missing = dict[tuple[str, str | None], int]


def told(database: Database) -> Missing:
    """Return what each space lacks of each other, and of all others (None)."""
    spaces = Fingerprints(database)
    records = spaces.all()
    missing: Missing = {}
    for own in records:
        missing[own.fingerprint, None] = spaces.missing(own, None)
        others = [other for other in records if other != own]
        missing |= {
            (own.fingerprint, other.fingerprint): spaces.missing(own, other) for other in others
        }
    return missing


def images(shelf: Shelf, name: str, table: str) -> set[str]:
    query = f"""SELECT image_id FROM {table}
        WHERE fingerprint = (SELECT id FROM fingerprints WHERE fingerprint = ?)"""
    with shelf.database.read() as connection:
        return {image for (image,) in connection.execute(query, (name,))}


def there(shelf: Shelf) -> Missing:
    """Return the same by comparing sets."""
    names = [space.fingerprint for space in Fingerprints(shelf.database).all()]
    entries = {name: images(shelf, name, "entries") for name in names}
    missing: Missing = {}
    for own in names:
        here = images(shelf, own, "embeddings") | images(shelf, own, "failures")
        others = {name: entries[name] - here for name in names if name != own}
        missing |= {(own, name): len(lacked) for name, lacked in others.items()}
        missing[own, None] = len(set().union(*others.values()))
    return missing


def space(shelf: Shelf, name: str) -> SpaceRecord | None:
    return next((s for s in Fingerprints(shelf.database).all() if s.fingerprint == name), None)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "forget", "fail", "put", "renew", "prune", "drop"]),
        st.sampled_from(NAMES),
        st.integers(0, 4),
    ),
    max_size=30,
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(STEPS)
def test_what_is_missing_is_right_whatever_happens(
    shelf: Shelf, steps: list[tuple[str, str, int]]
) -> None:
    shelf.catalog.forget([f"/{number}" for number in range(5)])
    for step, name, number in steps:
        under, path, image = shelf.under(name), f"/{number}", f"image {number}"
        if step == "add":
            under.add(path, image)
        elif step == "forget":
            shelf.catalog.forget([path])
        elif step == "fail":
            under.embeddings.fail({image: "too odd"})
        elif step == "put":
            shelf.catalog.put_image(image, PICTURE)
            under.embeddings.put([image], unit(1))
        elif step == "renew":
            under.embeddings.publish([image], renew=True)
        elif step == "prune":
            Deleting(shelf.database).delete_unused(lambda _: None)
        elif dropped := space(shelf, name):
            Deleting(shelf.database).drop(dropped, lambda _: None)
    assert told(shelf.database) == there(shelf)
    spaces = Fingerprints(shelf.database)
    for own in spaces.all():
        assert spaces.complete(own, None) == (spaces.missing(own, None) == 0)


def fill(shelf: Shelf) -> None:
    for number, name in enumerate("aaabbb"):
        shelf.under(name).add(f"/{number % 5}", f"image {number % 5}")
    shelf.under("a").embeddings.fail({"image 3": "too odd"})


def test_an_older_library_is_counted_when_it_is_opened(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = tuple(step for step in migrations.STEPS if step is not count_lacking)
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "STEPS", older)
        fill(shelf)
    again = Database(shelf.database.path)
    assert told(again) == there(shelf)
    assert told(again)["a", None] == 1
    again.close()


def test_with_two_spaces_no_row_of_a_large_table_is_looked_at(shelf: Shelf) -> None:
    fill(shelf)
    asked: list[str] = []
    with shelf.database.read() as connection:
        connection.set_trace_callback(asked.append)
        assert told(shelf.database)["b", "a"] == 2
        connection.set_trace_callback(None)
        for query in asked:
            plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}")]
            assert not [s for s in plan if {"entries", "embeddings"} & set(s.split())], plan
    assert asked
