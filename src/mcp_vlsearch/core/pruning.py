"""What a library keeps and does not need: found, told, and deleted."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from mcp_vlsearch.cache.database import Database
from mcp_vlsearch.cache.deleting import Deleting
from mcp_vlsearch.cache.fingerprints import Fingerprints, SpaceRecord
from mcp_vlsearch.contracts import ClosingIndex, SharedIndex, Space, VectorIndex
from mcp_vlsearch.core.progress import Meter, Progress, ProgressCallback
from mcp_vlsearch.core.spaces import pinned, state_of
from mcp_vlsearch.core.thumbnails import Thumbnails
from mcp_vlsearch.errors import LibraryError
from mcp_vlsearch.plugins import resolve
from mcp_vlsearch.settings import Settings
from mcp_vlsearch.types import PruneReport

__all__ = ["Plan", "named", "plan", "prune", "told"]

_ROW_BYTES: Final = 80
"""What a vector takes beside its numbers: its names, here and in an index."""
_REMOVAL_BYTES: Final = 12


@dataclass(frozen=True)
class Plan:
    """What is to go: fingerprints as a whole, vectors of images without files, removals, and the
    small copies of some images.

    ``known`` says by fingerprint's id which removal is the last that its stored index knows.
    """

    drop: tuple[SpaceRecord, ...]
    vectors: int
    is_unused: bool
    unused: int
    known: Mapping[int, int]
    removals: int
    thumbnails: tuple[str, ...]
    bytes: int


def plan(
    settings: Settings,
    database: Database,
    small: Thumbnails,
    *,
    unused: bool,
    old: bool,
    fingerprints: Sequence[str],
    thumbnails: bool,
) -> Plan:
    """Find what can go.

    Raises :class:`LibraryError` for a fingerprint that is searched, or that is not here.
    """
    deleting, spaces = Deleting(database), Fingerprints(database)
    records = spaces.all()
    now = pinned(settings, records)
    drop = {named(name, records) for name in fingerprints}
    if now in drop:
        raise LibraryError(
            f"{now.fingerprint} is what is searched: go over to another one first by "
            "`mcp-vlsearch cache use`"
        )
    if old:
        drop |= {record for record in records if state_of(record, now) == "old"}
    kept = [record for record in records if record not in drop]
    without_file = deleting.unused() if unused else {}
    known = _known(settings, database, kept)
    vectors = {record: spaces.cached(record) for record in drop}
    unused_of = {record: without_file.get(record.id, 0) for record in kept}
    removals = deleting.removals(known)
    sizes = sum((2 * r.dim + _ROW_BYTES) * n for r, n in (vectors | unused_of).items())
    copies = small.images() if thumbnails or unused else []
    copies = copies if thumbnails else deleting.without_file(copies)
    return Plan(
        drop=tuple(sorted(drop, key=lambda record: record.id)),
        vectors=sum(vectors.values()),
        is_unused=unused,
        unused=sum(unused_of.values()),
        known=known,
        removals=removals,
        thumbnails=tuple(copies),
        bytes=sizes + removals * _REMOVAL_BYTES + small.bytes(copies),
    )


def prune(
    settings: Settings,
    database: Database,
    small: Thumbnails,
    plan: Plan,
    report: ProgressCallback,
) -> PruneReport:
    """Delete what is planned, and give its space back to the disk."""
    deleting = Deleting(database)
    before = database.bytes() + small.bytes(plan.thumbnails)
    meter = Meter(report, plan.vectors + plan.unused, "deleting")
    for space in plan.drop:
        with _index(settings, database, space) as index:
            if isinstance(index, SharedIndex):
                index.drop()
        deleting.drop(space, meter.advance)
    if plan.is_unused:
        deleting.delete_unused(meter.advance)
    deleting.delete_removals(plan.known)
    small.remove(plan.thumbnails)
    report(Progress(0, None, "giving space back to the disk"))
    database.compact()
    return told(plan, database, before - database.bytes(), dry_run=False)


def told(plan: Plan, database: Database, freed: int, *, dry_run: bool) -> PruneReport:
    """Say what went, or would go."""
    return PruneReport(
        dry_run=dry_run,
        unused=plan.unused,
        fingerprints=[space.fingerprint for space in plan.drop],
        vectors=plan.vectors,
        removals=plan.removals,
        thumbnails=len(plan.thumbnails),
        freed=max(freed, 0),
        database_bytes=database.bytes(),
    )


def named(name: str, spaces: Sequence[SpaceRecord]) -> SpaceRecord:
    """Return the space whose fingerprint is or begins with a name. Raises :class:`LibraryError`."""
    if not name.strip():
        raise LibraryError("the fingerprint is empty: give one that `mcp-vlsearch status` lists")
    found = [s for s in spaces if s.fingerprint == name] or [
        s for s in spaces if s.fingerprint.startswith(name)
    ]
    if len(found) != 1:
        what = "several fingerprints begin" if found else "no fingerprint begins"
        raise LibraryError(f"{what} with {name!r}: give one that `mcp-vlsearch status` lists")
    return found[0]


def _known(settings: Settings, database: Database, kept: Sequence[SpaceRecord]) -> dict[int, int]:
    """Return the last removal that each index knows which outlives its process."""
    known = {}
    for space in kept:
        with _index(settings, database, space) as index:
            if isinstance(index, SharedIndex):
                index.refresh()
                if index.last_seq:
                    known[space.id] = index.last_removal
    return known


@contextmanager
def _index(settings: Settings, database: Database, record: SpaceRecord) -> Iterator[VectorIndex]:
    space = Space(record.fingerprint, record.dim, database.library_id())
    index: VectorIndex = resolve("indexes", settings.index)(settings, space)
    try:
        yield index
    finally:
        if isinstance(index, ClosingIndex):
            index.close()
