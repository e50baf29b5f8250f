"""The spaces of a library side by side: which one is searched, and when another takes its place."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, get_args

from mcp_vlsearch.cache.catalog import Catalog
from mcp_vlsearch.cache.database import Database
from mcp_vlsearch.cache.embeddings import Embeddings
from mcp_vlsearch.cache.fingerprints import Fingerprints, SpaceRecord
from mcp_vlsearch.contracts import Encoder
from mcp_vlsearch.core.allowed import Allowed
from mcp_vlsearch.core.encoding import EncoderSlot
from mcp_vlsearch.core.fence import Fence
from mcp_vlsearch.core.following import followed, space_for
from mcp_vlsearch.core.lookup import IndexSlot
from mcp_vlsearch.core.memo import Memo
from mcp_vlsearch.core.progress import ProgressCallback
from mcp_vlsearch.core.sample import Sample
from mcp_vlsearch.errors import EncoderChangedError
from mcp_vlsearch.pins import choices, follow_index_kind, follow_pin, pin_encoder
from mcp_vlsearch.settings import CONFIG_FILE, Precision, Settings
from mcp_vlsearch.types import SpaceState, SpaceStatus

__all__ = ["OpenSpace", "SpaceSlot", "go_over", "pinned", "settle", "state_of", "tell_spaces"]

T = TypeVar("T")


@dataclass(frozen=True)
class OpenSpace:
    """What belongs to one fingerprint."""

    encoder: Encoder
    embeddings: Embeddings
    index: IndexSlot
    sample: Sample
    fence: Fence
    filtered: Allowed
    has_entries: Memo[bool]

    @property
    def composes(self) -> bool:
        """Whether the encoder is given picture and text of a composed query together."""
        return bool(getattr(self.encoder, "composes", True))


class SpaceSlot:
    """Holds the space that is searched, and goes over to another one with the library.

    It does when ``config.toml`` has changed, which costs a look at the file, or when nothing was
    indexed in the space that it has. It follows a change of the index's kind, too.
    """

    def __init__(
        self, settings: Settings, database: Database, catalog: Catalog, encoder: EncoderSlot
    ) -> None:
        self._settings = settings
        self._database = database
        self._catalog = catalog
        self._encoder = encoder
        self._opening = threading.Lock()
        self._config = self._look()
        self._index_settings = follow_index_kind(settings)
        self.opened: OpenSpace | None = None

    def current(self, report: ProgressCallback) -> OpenSpace:
        """Return the space that is searched now; waits until its encoder is known."""
        self._encoder.known(report)  # so that it can be compared
        config = self._look()
        if config != self._config:
            self._config = config
            self._encoder.follow()
            self._follow_index_kind()
        space = self._of(self._encoder.known(report))
        if not space.has_entries() and self._catalog.indexed_with() and self._encoder.follow():
            return self._of(self._encoder.known(report))
        return space

    def run(self, work: Callable[[OpenSpace], T], report: ProgressCallback) -> T:
        """Do work in the space that is searched; anew where the library goes over meanwhile."""
        while True:
            space = self.current(report)
            try:
                return work(space)
            except EncoderChangedError:
                continue

    def close(self) -> None:
        """End what goes on in the background."""
        if self.opened is not None:
            self.opened.index.close()

    def _follow_index_kind(self) -> None:
        settings = follow_index_kind(self._settings)
        with self._opening:
            if settings.index_kind != self._index_settings.index_kind:
                self._index_settings = settings
                self.close()
                self.opened = None

    def _look(self) -> tuple[int, int, int] | None:
        try:
            found = (self._settings.library / CONFIG_FILE).stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _of(self, encoder: Encoder) -> OpenSpace:
        with self._opening:
            if self.opened is None or self.opened.encoder is not encoder:
                made_with = choices(self._encoder.settings)
                embeddings = Embeddings(self._database, encoder, made_with)
                index = IndexSlot(self._index_settings, embeddings, encoder.dim)
                self.close()
                self.opened = OpenSpace(
                    encoder,
                    embeddings,
                    index,
                    Sample(embeddings),
                    Fence(self._catalog, embeddings),
                    Allowed(self._catalog, encoder.fingerprint),
                    Memo(self._catalog.version, embeddings.any),
                )
            return self.opened


def pinned(settings: Settings, spaces: Sequence[SpaceRecord]) -> SpaceRecord | None:
    """Return the space that is searched where nobody asks for another one."""
    return space_for(follow_pin(Settings(library=settings.library)), spaces)


def settle(given: Settings, used: Settings, fingerprint: str, spaces: Fingerprints) -> None:
    """Let a library go over to a fingerprint, if it lacks nothing that can be found now.

    What it lacks is told by the database, not by the run that has just ended: pictures may be
    offline, and there may have been several runs. ``used`` are the ``given`` settings with what
    was settled.
    """
    records = spaces.all()
    now = pinned(given, records)
    if now is None or now.fingerprint != fingerprint:
        own = next((r for r in records if r.fingerprint == fingerprint), None)
        other = now if now and now.entries else None
        if own is None or not spaces.complete(own, other):
            return
        precision = follow_pin(given).precision  # what auto chose is known to the database
        pin_encoder(used.model_copy(update={"precision": precision}))
    spaces.go_over(fingerprint)


def go_over(settings: Settings, space: SpaceRecord, spaces: Fingerprints) -> None:
    """Let a library search another space from now on, whatever it lacks."""
    made: dict[str, Any] = {"encoder": space.name, "model": space.model, **(space.choices or {})}
    if space.precision in get_args(Precision):
        made["precision"] = space.precision
    pin_encoder(Settings.model_validate({**made, "library": settings.library}))
    spaces.go_over(space.fingerprint)


def tell_spaces(
    settings: Settings,
    database: Database,
    opened: OpenSpace | None,
    folders: Sequence[str] | None,
) -> list[SpaceStatus]:
    """Say what each space is, how many images it finds, and how many it lacks.

    With folders, only images that have a file at or below one of them count.
    """
    spaces = Fingerprints(database)
    records = spaces.all()
    if opened is not None:
        fingerprint = opened.encoder.fingerprint
        now = next((r for r in records if r.fingerprint == fingerprint), None)
    else:
        now = space_for(followed(settings, database), records)
    is_alone = len(records) == 1
    return [
        SpaceStatus(
            fingerprint=record.fingerprint,
            encoder=record.name,
            model=record.model,
            precision=record.precision,
            dim=record.dim,
            vectors=spaces.found(record, folders),
            missing=(
                0 if is_alone else spaces.missing(record, None if record == now else now, folders)
            ),
            state=state_of(record, now),
            prepare=(record.choices or {}).get("prepare", "off"),
        )
        for record in records
    ]


def state_of(record: SpaceRecord, now: SpaceRecord | None) -> SpaceState:
    """Say what a space is beside the one that is searched now."""
    if record == now:
        return "searched"
    return "old" if record.searched else "growing"
