"""The results and filters of the public contract, shared by every face."""

from datetime import datetime
from pathlib import PurePath
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from mcp_vlsearch.formats import PILLOW_FORMATS, format_name

__all__ = [
    "EncoderState",
    "EncoderStatus",
    "ExportReport",
    "Failure",
    "Filters",
    "Hit",
    "ImportReport",
    "IndexReport",
    "IndexStatus",
    "LibraryStatus",
    "MinRelevance",
    "Near",
    "Orientation",
    "Profile",
    "PruneReport",
    "Relevance",
    "RemoveReport",
    "RootStatus",
    "SearchResult",
    "SpaceState",
    "SpaceStatus",
    "StageName",
    "StageTime",
]

Relevance = Literal["strong", "likely", "weak"]
MinRelevance = Literal["any", "likely", "strong"]
Orientation = Literal["landscape", "portrait", "square"]
EncoderState = Literal["not loaded", "loading", "ready", "failed"]
SpaceState = Literal["searched", "growing", "old"]
StageName = Literal[
    "scanning", "loading", "reading", "decoding", "preparing", "waiting", "encoding", "writing"
]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Near(_Model):
    """A circle on the map."""

    model_config = ConfigDict(allow_inf_nan=False)

    latitude: Annotated[float, Field(ge=-90, le=90, description="Degrees north.")]
    longitude: Annotated[float, Field(ge=-180, le=180, description="Degrees east.")]
    km: Annotated[float, Field(gt=0, le=20100, description="Radius in kilometres.")]


def _known_format(name: str | None) -> str | None:
    if name is not None and format_name(name) is None:
        usual = ", ".join(str(format_name(known)) for known in PILLOW_FORMATS[:8])
        raise PydanticCustomError("format", f"no picture has this format: give {usual} or the like")
    return name


class Filters(_Model):
    """Conditions that a hit must meet, all combined with AND; empty means every picture."""

    folder: Annotated[
        str | None, Field(description="Only pictures below this folder (absolute path).")
    ] = None
    format: Annotated[
        str | None,
        AfterValidator(_known_format),
        Field(description='File format, such as "JPEG", "PNG" or "HEIC".'),
    ] = None
    taken_after: Annotated[
        datetime | None, Field(description="Taken at or after this time, by the camera's clock.")
    ] = None
    taken_before: Annotated[
        datetime | None, Field(description="Taken before this time, by the camera's clock.")
    ] = None
    modified_after: Annotated[
        datetime | None, Field(description="File changed at or after this time.")
    ] = None
    modified_before: Annotated[
        datetime | None, Field(description="File changed before this time.")
    ] = None
    min_width: Annotated[int | None, Field(ge=1, description="Least width in pixels.")] = None
    min_height: Annotated[int | None, Field(ge=1, description="Least height in pixels.")] = None
    orientation: Annotated[
        Orientation | None, Field(description="Shape of the picture as seen upright.")
    ] = None
    camera: Annotated[
        str | None, Field(description="Part of the camera's make or model, in any case.")
    ] = None
    lens: Annotated[str | None, Field(description="Part of the lens's name, in any case.")] = None
    near: Annotated[Near | None, Field(description="Taken within this circle.")] = None


class Failure(_Model):
    """A file that could not be indexed, and why."""

    path: str
    error: str


class IndexReport(_Model):
    """What an indexing run did; counts are files unless they say otherwise.

    ``scanned`` is the sum of ``added``, ``updated``, ``moved``, ``unchanged`` and ``failed``. Among
    the failed are links and folders that were found but could not be looked into, and roots that
    are offline. ``encoded`` and ``from_cache`` count images; ``failures`` lists the first 100.
    Of a run that is still under way, ``complete`` is false, and ``remaining`` files are among the
    scanned, None while they are being looked for. ``next_step`` says what to do, if anything.
    """

    scanned: int
    added: int
    updated: int
    moved: int
    unchanged: int
    removed: int
    failed: int
    encoded: int
    from_cache: int
    failures: list[Failure]
    seconds: float
    total_images: int
    complete: bool = True
    remaining: int | None = 0
    next_step: str = ""


class StageTime(_Model):
    """What one stage of indexing took: ``seconds``, summed over the ``threads`` that were in it.

    ``share`` is how much of these threads' time in the run that was, from 0 to 1.
    """

    name: StageName
    seconds: float
    threads: int
    share: float


class Profile(_Model):
    """Where the time of an indexing run went; ``limit`` says in a line what to change.

    ``seconds`` is the whole run. ``encoder_busy`` and ``encoder_waited`` are shares, from 0 to 1,
    of the time in which the loaded encoder could work: encoding, waiting for pictures, or (the
    rest) waiting for the library to be written.
    """

    seconds: float
    stages: list[StageTime]
    encoder_busy: float
    encoder_waited: float
    limit: str


class Hit(_Model):
    """One result. ``score`` is a cosine, higher is better; ``rank`` starts at 1."""

    rank: int
    image_id: str
    path: str
    other_paths: list[str]
    part: str | None
    score: float
    relevance: Relevance
    width: int
    height: int
    format: str
    bytes: int
    taken_at: str | None

    @property
    def name(self) -> str:
        """The file's name without its folder."""
        return PurePath(self.path).name


class SearchResult(_Model):
    """Hits, best first; ``queries`` as searched, the original first.

    ``next_step`` says what to do where the hits are not what was wanted, if that is plain to see.
    """

    queries: list[str]
    hits: list[Hit]
    total_images: int
    searched_images: int
    seconds: float
    next_step: str = ""


class RootStatus(_Model):
    """A folder that the library may read."""

    path: str
    online: bool
    files: int


class EncoderStatus(_Model):
    """The encoder that the library uses; ``dim`` is 0 until it is known."""

    name: str
    model: str
    precision: str
    device: str
    dim: int
    state: EncoderState


class IndexStatus(_Model):
    """The index that the library uses."""

    name: str
    kind: str
    vectors: int


class SpaceStatus(_Model):
    """A fingerprint: what its vectors were made with, and how far it goes.

    ``vectors`` are the images that are found with it, ``missing`` those that it lacks of what the
    searched one finds; of the searched one itself, those that only others find. ``growing`` is one
    that was never complete, ``old`` one that was searched before.
    """

    fingerprint: str
    encoder: str
    model: str
    precision: str
    dim: int
    vectors: int
    missing: int
    state: SpaceState


class LibraryStatus(_Model):
    """What the library holds and what it runs on; ``next_step`` says what to do, if anything."""

    library: str
    roots: list[RootStatus]
    images: int
    files: int
    failed: int
    encoder: EncoderStatus
    index: IndexStatus
    spaces: list[SpaceStatus]
    database_bytes: int
    version: str
    next_step: str = ""


class RemoveReport(_Model):
    """What was forgotten; no file is ever deleted.

    ``unknown`` are the given paths at or below which nothing was known, ``total_images`` is what is
    left. ``next_step`` says what to do, if anything.
    """

    removed: int
    unknown: list[str]
    total_images: int
    next_step: str = ""


class ExportReport(_Model):
    """What was written into a file of vectors."""

    file: str
    fingerprint: str
    vectors: int
    bytes: int
    seconds: float


class ImportReport(_Model):
    """What became of a file's vectors: ``kept`` are those that were here already and stayed.

    ``advice`` says what to do where they can't be searched without being told how.
    """

    file: str
    fingerprint: str
    model: str
    vectors: int
    added: int
    replaced: int
    kept: int
    seconds: float
    advice: str | None = None


class PruneReport(_Model):
    """What was deleted, or would be in a dry run.

    ``unused`` are vectors of images without files, ``vectors`` all that go with the fingerprints
    that were dropped, ``removals`` notes for indexes that all know them, ``thumbnails`` images
    whose small copies go. ``freed`` is the space on disk that was given back, in a dry run about
    what it would be. ``phrasings`` are queries for which a rewriter's words were kept.
    """

    dry_run: bool
    unused: int
    fingerprints: list[str]
    vectors: int
    removals: int
    thumbnails: int
    freed: int
    database_bytes: int
    phrasings: int = 0
