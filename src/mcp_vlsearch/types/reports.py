"""What became of a run: indexing, removing, and work on the embedding cache."""

from typing import Literal

from mcp_vlsearch.types._model import Model, Seconds

__all__ = [
    "ExportReport",
    "Failure",
    "ImportReport",
    "IndexReport",
    "Profile",
    "PruneReport",
    "RemoveReport",
    "StageName",
    "StageTime",
]

StageName = Literal[
    "scanning", "loading", "reading", "decoding", "preparing", "waiting", "encoding", "writing"
]


class Failure(Model):
    """A file that could not be indexed, and why."""

    path: str
    error: str


class IndexReport(Model):
    """What an indexing run did; counts are files unless they say otherwise.

    ``scanned`` is the sum of ``added``, ``updated``, ``moved``, ``unchanged`` and ``failed``. Among
    the failed are links and folders that were found but could not be looked into, and roots that
    are offline. ``encoded`` and ``from_cache`` count images; ``failures`` lists the first 100, also
    files of which only some parts failed. Of a run under way ``complete`` is false, and
    ``remaining`` files of the scanned, None until all are found. ``next_step`` says what to do.
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
    seconds: Seconds
    total_images: int
    complete: bool = True
    remaining: int | None = 0
    next_step: str = ""


class StageTime(Model):
    """What one stage of indexing took: ``seconds``, summed over the ``threads`` that were in it.

    ``share`` is how much of these threads' time in the run that was, from 0 to 1.
    """

    name: StageName
    seconds: Seconds
    threads: int
    share: float


class Profile(Model):
    """Where the time of an indexing run went; ``limit`` says in a line what to change.

    ``seconds`` is the whole run. ``encoder_busy`` and ``encoder_waited`` are shares, from 0 to 1,
    of the time in which the loaded encoder could work: encoding, waiting for pictures, or (the
    rest) waiting for the library to be written.
    """

    seconds: Seconds
    stages: list[StageTime]
    encoder_busy: float
    encoder_waited: float
    limit: str


class RemoveReport(Model):
    """What was forgotten; no file is ever deleted.

    ``unknown`` are the given paths at or below which nothing was known, ``total_images`` is what is
    left. ``next_step`` says what to do, if anything.
    """

    removed: int
    unknown: list[str]
    total_images: int
    next_step: str = ""


class ExportReport(Model):
    """What was written into a file of vectors."""

    file: str
    fingerprint: str
    vectors: int
    bytes: int
    seconds: Seconds


class ImportReport(Model):
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
    seconds: Seconds
    advice: str | None = None


class PruneReport(Model):
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
