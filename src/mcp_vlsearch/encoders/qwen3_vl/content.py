"""Which files make up a checkpoint, and a digest of what is in them."""

import hashlib
import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from platformdirs import user_cache_path

from mcp_vlsearch.files import write_whole

__all__ = ["content_digest", "read_json", "weight_files"]

WEIGHTS: Final = "model.safetensors"
# What decides the vectors besides the weights. How pictures are prepared is not among these: the
# encoder names the figures that it uses itself.
_TEXT_FILES: Final = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
)
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_MEMO_SIZE: Final = 256


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file. Raises OSError, or ValueError if it holds no object."""
    value = json.loads(path.read_text("utf-8"))
    if not isinstance(value, dict):
        raise ValueError(f"{path.name} holds no JSON object")
    return value


def weight_files(folder: Path) -> list[Path]:
    """Return the weight files that the folder should have, whether or not they are there.

    Raises OSError or ValueError if the list of shards can't be read.
    """
    index = folder / f"{WEIGHTS}.index.json"
    if (folder / WEIGHTS).is_file() or not index.is_file():
        return [folder / WEIGHTS]
    shards = read_json(index).get("weight_map")
    if not isinstance(shards, dict) or not shards:
        raise ValueError(f"{index.name} names no weights")
    return [folder / name for name in sorted(set(shards.values()))]


def content_digest(folder: Path) -> str:
    """Return a SHA-256 over config, tokenizer and weights; where the folder lies has no part in it.

    Digests of single files are remembered by path, size and mtime, so that gigabytes of weights
    are read once. Raises OSError if a file can't be read.
    """
    files = [folder / name for name in _TEXT_FILES if (folder / name).is_file()]
    files += weight_files(folder)
    memo = _Memo(user_cache_path("mcp-vlsearch", appauthor=False) / "digests.json")
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.name} {_file_digest(path, memo)}\n".encode())
    memo.save()
    return digest.hexdigest()


def _file_digest(path: Path, memo: "_Memo") -> str:
    target = path.resolve()
    # the hub's cache links large files to blobs that are named by their SHA-256
    if path.is_symlink() and _SHA256.fullmatch(target.name):
        return target.name
    stat = target.stat()
    key = [stat.st_size, stat.st_mtime_ns]
    known = memo.get(str(target), key)
    if known is None:
        with target.open("rb") as file:
            known = hashlib.file_digest(file, "sha256").hexdigest()
        memo.put(str(target), key, known)
    return known


class _Memo:
    """Digests by path, size and mtime in a small file; one that can't be used is no error."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changed = False
        try:
            self._entries = read_json(path)
        except (OSError, ValueError):
            self._entries = {}

    def get(self, path: str, key: list[int]) -> str | None:
        match self._entries.get(path):
            case [*found, str(digest)] if found == key:
                return digest
        return None

    def put(self, path: str, key: list[int], digest: str) -> None:
        self._entries.pop(path, None)
        self._entries[path] = [*key, digest]
        self._changed = True

    def save(self) -> None:
        if not self._changed:
            return
        newest = dict(list(self._entries.items())[-_MEMO_SIZE:])
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._path, json.dumps(newest))
