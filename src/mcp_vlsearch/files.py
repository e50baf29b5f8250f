"""Files that are written whole, or not at all."""

import os
import secrets
from pathlib import Path

__all__ = ["write_whole"]

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


def write_whole(path: Path, content: str | bytes, mode: int = 0o666) -> None:
    """Replace a file's content; whoever reads it meanwhile finds the old or the new one, whole.

    It is written beside, under a name that no other process takes, and renamed. ``mode`` holds from
    its first byte on. Raises :class:`OSError`.
    """
    beside = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(beside, _FLAGS, mode)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content.encode() if isinstance(content, str) else content)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
