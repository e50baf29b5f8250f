"""What a library holds and runs on."""

from typing import Literal

from pydantic import Field

from mcp_vlsearch.types._model import Model

__all__ = [
    "EncoderState",
    "EncoderStatus",
    "IndexStatus",
    "LibraryStatus",
    "RootStatus",
    "SpaceState",
    "SpaceStatus",
]

EncoderState = Literal["not loaded", "loading", "ready", "failed"]
SpaceState = Literal["searched", "growing", "old"]


class RootStatus(Model):
    """A folder that the library may read."""

    path: str
    online: bool
    files: int


class EncoderStatus(Model):
    """The encoder that the library uses; ``dim`` is 0 until it is known."""

    name: str
    model: str
    precision: str
    device: str
    dim: int
    state: EncoderState


class IndexStatus(Model):
    """The index that the library uses."""

    name: str
    kind: str
    vectors: int


class SpaceStatus(Model):
    """A fingerprint: what its vectors were made with, and how far it goes.

    ``vectors`` are the images that are found with it, ``missing`` those that it lacks of what the
    searched one finds; of the searched one itself, those that only others find. ``growing`` is one
    that was never complete, ``old`` one that was searched before. ``prepare`` is what was done to
    pictures before they were encoded.
    """

    fingerprint: str
    encoder: str
    model: str
    precision: str
    dim: int
    vectors: int
    missing: int
    state: SpaceState
    prepare: str = "off"


class LibraryStatus(Model):
    """What the library holds, runs on, can't read here, and what to do next, if anything."""

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
    not_read: list[str] = Field(default=[])
    next_step: str = ""
