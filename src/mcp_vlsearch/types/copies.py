"""What a search for copies reports, shared by every face."""

from typing import Final, Literal

from pydantic import Field

from mcp_vlsearch.types._model import Cosine, Model, Seconds

__all__ = [
    "NOT_DELETED",
    "NO_COPIES",
    "CopyKind",
    "DuplicateFile",
    "DuplicateGroup",
    "DuplicateReport",
]

CopyKind = Literal["kept", "exact", "near"]

NOT_DELETED: Final = "Nothing was deleted: look at the files, and delete copies yourself."
NO_COPIES: Final = "No copies were found, so there is nothing to delete."


class DuplicateFile(Model):
    """A file of a group: the one to keep, one with the same bytes, or one that looks the same.

    ``similarity`` is the cosine to the kept picture, 1 for the same bytes. Of a file with pages or
    moments, ``image_id``, ``width`` and ``height`` are of the first one that passes the filters.
    """

    path: str
    image_id: str
    kind: CopyKind
    similarity: Cosine
    width: int
    height: int
    format: str
    bytes: int


class DuplicateGroup(Model):
    """A picture and its copies: the one to keep first, the most similar next.

    ``copies`` counts all of them, of which ``files`` may list fewer; ``bytes_freed`` is what the
    disk would gain if all were deleted.
    """

    files: list[DuplicateFile]
    copies: int
    bytes_freed: int


class DuplicateReport(Model):
    """Groups of copies, those that free most first; ``total_groups`` counts those not listed, too.

    ``copies`` and ``bytes_freed`` are of all groups. ``searched_images`` are those that pass the
    filters; of PDFs and videos only files with the same bytes are found. ``compared`` pictures were
    looked at closely; ``unread`` are those among them that could not be read, which are in no group
    of near copies.
    """

    threshold: float
    groups: list[DuplicateGroup]
    total_groups: int
    copies: int
    bytes_freed: int
    searched_images: int
    compared: int
    unread: int
    seconds: Seconds
    note: str = Field(default_factory=lambda given: NOT_DELETED if given["copies"] else NO_COPIES)
