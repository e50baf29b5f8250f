"""How a base lies on disk: a folder for each generation, written beside, renamed, never changed.

``base.json`` says what the other files are and has a checksum of each of their blocks; it carries
one of itself, too.
"""

import hashlib
import json
import os
import random
import re
import shutil
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, Self

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

__all__ = [
    "COARSE",
    "ROWS",
    "SEQS",
    "DamagedError",
    "FileSums",
    "Generations",
    "Manifest",
    "SummedFile",
    "check_blocks",
    "read_manifest",
    "write_manifest",
]

ROWS: Final = "vectors.faiss"
SEQS: Final = "seqs.npy"
COARSE: Final = "coarse.faiss"
_MANIFEST: Final = "base.json"
_FORMAT: Final = 1

_BLOCK: Final = 2**20
"""Bytes that one checksum stands for."""
_SAMPLED: Final = 4
"""Blocks of a file that are checked at random when it is opened, besides its first and last."""

_GENERATION: Final = re.compile(r"gen-(\d+)")
_UNFINISHED: Final = "unfinished-"
_PLAIN_NAME: Final = re.compile(r"[a-z0-9_-]{1,64}")


class DamagedError(Exception):
    """A base is torn, changed or another index's; the message says in which way."""


class FileSums(BaseModel):
    """How long a file is, and the CRC-32 of each of its blocks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bytes: int
    blocks: tuple[int, ...]


class Manifest(BaseModel):
    """What a base is.

    ``asked`` is the kind that the settings asked for, ``kind`` what it became, ``SQfp16`` where
    every row is compared. Else ``effort`` is how much of the coarse index a search looks at
    (``nprobe``, ``efSearch``; 0 where it has no such number), ``candidates`` how many of its rows
    are compared exactly for each hit, and ``recall`` what was measured with them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = _FORMAT
    fingerprint: str
    dim: int
    count: int
    last_seq: int
    last_removal: int
    asked: str
    kind: str
    effort: int = 0
    candidates: int = 0
    recall: float | None = None
    files: dict[str, FileSums]


class SummedFile:
    """A new file that adds up its checksums while it is written, and is on disk when closed."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("xb+")
        self._sums: list[int] = []
        self._open_sum = self._filled = self.bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, data: Any) -> int:
        """Append bytes, or an array of them."""
        view = memoryview(data).cast("B")
        for start, stop in self._pieces(len(view)):
            piece = view[start:stop]
            self._file.write(piece)
            self._open_sum = zlib.crc32(piece, self._open_sum)
            self._filled += len(piece)
            if self._filled == _BLOCK:
                self._sums.append(self._open_sum)
                self._open_sum = self._filled = 0
        self.bytes += len(view)
        return len(view)

    def replace_head(self, head: bytes) -> None:
        """Write over the first bytes of the file, which must be less than a block."""
        self._file.seek(0)
        self._file.write(head)
        self._file.seek(0)
        first = zlib.crc32(self._file.read(_BLOCK))
        self._file.seek(0, os.SEEK_END)
        if self._sums:
            self._sums[0] = first
        else:
            self._open_sum = first

    def finish(self) -> FileSums:
        """Bring everything to the disk, and return length and checksums."""
        self._file.flush()
        os.fsync(self._file.fileno())
        rest = (self._open_sum,) if self._filled else ()
        return FileSums(bytes=self.bytes, blocks=(*self._sums, *rest))

    def _pieces(self, length: int) -> Iterator[tuple[int, int]]:
        start = 0
        while start < length:
            stop = min(length, start + _BLOCK - self._filled)
            yield start, stop
            start = stop


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write ``base.json``, which makes the folder a base."""
    base = manifest.model_dump()
    with SummedFile(folder / _MANIFEST) as file:
        file.write(json.dumps({"base": base, "sha256": _digest(base)}).encode())
        file.finish()


def read_manifest(folder: Path) -> Manifest:
    """Read ``base.json``. Raises :class:`DamagedError`."""
    try:
        content = json.loads((folder / _MANIFEST).read_bytes())
        base, digest = content["base"], content["sha256"]
        if base["format"] != _FORMAT:
            raise DamagedError("of another version")
        if digest != _digest(base):
            raise DamagedError(f"damaged ({_MANIFEST} is not as it was written)")
        return Manifest.model_validate(base)
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        raise DamagedError(f"damaged ({_MANIFEST} can't be understood)") from error


def check_blocks(path: Path, sums: FileSums, *, all_of_them: bool = False) -> Iterator[None]:
    """Compare blocks of a file with their checksums, one at each step.

    By default first, last and some in between. Raises :class:`DamagedError`.
    """
    numbers: Iterable[int] = range(len(sums.blocks))
    if not all_of_them and len(sums.blocks) > _SAMPLED + 2:
        middle = random.sample(range(1, len(sums.blocks) - 1), _SAMPLED)
        numbers = [0, *sorted(middle), len(sums.blocks) - 1]
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size != sums.bytes:
            raise DamagedError(f"damaged ({path.name} has another length)")
        for number in numbers:
            file.seek(number * _BLOCK)
            if zlib.crc32(file.read(_BLOCK)) != sums.blocks[number]:
                raise DamagedError(f"damaged ({path.name} is not as it was written)")
            yield


class Generations:
    """The folder with the bases of one fingerprint."""

    def __init__(self, library: Path, fingerprint: str) -> None:
        self.folder = library / "index" / _folder_name(fingerprint)

    def stamp(self) -> int | None:
        """Return what changes when a generation comes or goes; None without any."""
        try:
            return self.folder.stat().st_mtime_ns
        except OSError:
            return None

    def newest(self) -> Path | None:
        """Return the latest generation, if there is one."""
        return max(self._all(), key=_number, default=None)

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Hold the right to store; False if another process or thread has it.

        The operating system frees it when its holder dies.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / "store.lock", thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    @contextmanager
    def next(self) -> Iterator[Path]:
        """Give an empty folder that becomes the latest generation if the block ends well.

        Only for who is :meth:`alone`: what dead writers have left, and older generations, go.
        """
        for left in self.folder.glob(f"{_UNFINISHED}*"):
            _delete(left)
        now = time.time_ns() // 1_000_000  # a number that was there before would be taken for it
        number = max(now, *(_number(known) + 1 for known in self._all()), 0)
        beside = self.folder / f"{_UNFINISHED}{number}"
        beside.mkdir()
        try:
            yield beside
            _sync(beside)
            beside.rename(self.folder / f"gen-{number}")
            _sync(self.folder)
        finally:
            _delete(beside)
        for old in self._all():
            if _number(old) < number:
                self._delete(old)

    def set_aside(self, generation: Path) -> None:
        """Let nobody take a generation up any more, where that can be had."""
        try:
            generation.rename(self.folder / f"{_UNFINISHED}{generation.name}")
        except OSError:  # the folder is only for reading, or somebody was faster
            return

    def delete(self) -> None:
        """Delete all generations; mapped ones stay as they are to who has mapped them."""
        for generation in self._all():
            self._delete(generation)
        _delete(self.folder)

    def _delete(self, generation: Path) -> None:
        """Delete a generation, which is gone at once: nobody may meet half of it."""
        self.set_aside(generation)
        _delete(self.folder / f"{_UNFINISHED}{generation.name}")

    def _all(self) -> list[Path]:
        try:
            return [path for path in self.folder.iterdir() if _GENERATION.fullmatch(path.name)]
        except OSError:
            return []


def _number(generation: Path) -> int:
    return int(generation.name.rpartition("-")[2])


def _delete(folder: Path) -> None:
    # Some systems refuse while a file is mapped; then it goes the next time.
    shutil.rmtree(folder, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system has a way to."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _digest(base: Any) -> str:
    return hashlib.sha256(json.dumps(base, sort_keys=True).encode()).hexdigest()


def _folder_name(fingerprint: str) -> str:
    """Return the fingerprint where it is a name that every file system takes, or one for it."""
    if _PLAIN_NAME.fullmatch(fingerprint):
        return fingerprint
    digest = hashlib.sha256(fingerprint.encode()).hexdigest()[:16]
    return re.sub(r"[^a-z0-9_-]+", "-", fingerprint.lower())[:40].strip("-") + "-" + digest
