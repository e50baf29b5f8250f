"""What a library holds and runs on, as ``status`` tells it."""

from collections.abc import Sequence
from typing import TypeVar

from mcp_vlsearch.cache.catalog import Catalog
from mcp_vlsearch.cache.database import Database
from mcp_vlsearch.contracts import Space, TellingIndex, VectorIndex
from mcp_vlsearch.core.parted import not_read
from mcp_vlsearch.core.roots import Roots
from mcp_vlsearch.core.spaces import OpenSpace, tell_spaces
from mcp_vlsearch.errors import VLSearchError
from mcp_vlsearch.plugins import resolve
from mcp_vlsearch.settings import Settings
from mcp_vlsearch.types import (
    EncoderStatus,
    IndexReport,
    IndexStatus,
    LibraryStatus,
    RemoveReport,
    RootStatus,
    SpaceStatus,
)
from mcp_vlsearch.version import VERSION
from mcp_vlsearch.wording import showable

__all__ = ["overview", "seen"]

R = TypeVar("R", IndexReport, RemoveReport)


def overview(
    settings: Settings,
    database: Database,
    catalog: Catalog,
    roots: Roots,
    encoder: EncoderStatus,
    opened: OpenSpace | None,
) -> LibraryStatus:
    """Put the status of a library together; ``opened`` is None until a space is searched.

    Where the settings name roots, images, files, failures and vectors are those below the roots:
    the library may hold what others have indexed, which is nobody's business here.
    """
    is_fenced = bool(settings.roots) and catalog.any_outside(roots.folders)
    visible = roots.folders if is_fenced else None
    counts = catalog.counts(visible)
    spaces = tell_spaces(settings, database, opened, visible)
    return LibraryStatus(
        library=showable(str(settings.library)),
        roots=[
            RootStatus(path=folder, online=roots.online(folder), files=catalog.file_count(folder))
            for folder in roots.folders
        ],
        images=counts.images,
        files=counts.files,
        failed=counts.failed,
        encoder=encoder,
        index=_index(settings, database, opened, spaces, visible),
        spaces=spaces,
        database_bytes=database.bytes(),
        version=VERSION,
        not_read=not_read(),
    )


def seen(report: R, catalog: Catalog, fence: Roots | None) -> R:
    """Return a report that counts the images below the roots of a fence, if there is one."""
    if fence is None or not catalog.any_outside(fence.folders):
        return report
    return report.model_copy(update={"total_images": catalog.counts(fence.folders).images})


def _stored_kind(settings: Settings, database: Database, now: SpaceStatus) -> str | None:
    """Return the kind of index that a search would take up, if one is stored."""
    space = Space(now.fingerprint, now.dim, database.library_id())
    try:
        index: VectorIndex = resolve("indexes", settings.index)(settings, space)
        return index.stored_kind() if isinstance(index, TellingIndex) else None
    except VLSearchError:  # what a search says in full
        return None


def _index(
    settings: Settings,
    database: Database,
    opened: OpenSpace | None,
    spaces: Sequence[SpaceStatus],
    visible: Sequence[str] | None,
) -> IndexStatus:
    if opened is None:
        now = next((space for space in spaces if space.state == "searched"), None)
        kind = _stored_kind(settings, database, now) if now else None
        vectors = now.vectors if now else 0
        return IndexStatus(name=settings.index, kind=kind or "not loaded", vectors=vectors)
    status = opened.index.status()
    if visible is None:
        return status
    vectors = sum(space.vectors for space in spaces if space.state == "searched")
    return status.model_copy(update={"vectors": vectors})
