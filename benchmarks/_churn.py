"""A folder whose files come, change and go."""

from __future__ import annotations

import io
import random
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from PIL import Image

__all__ = ["Churn", "altered"]

_ADDED: Final = 12
_CHANGED: Final = 4
_TORN: Final = 1
"""Files of each turn that end in the middle, and so are failures of the index run."""


class Churn:
    """Makes files of pictures, ``most`` at a time, none with bytes that there were before."""

    def __init__(self, folder: Path, pictures: Sequence[Path], most: int) -> None:
        self._folder = folder
        self._pictures = pictures
        self._most = most
        self._rng = random.Random("churn")
        self._files: deque[Path] = deque()
        self._made = 0
        folder.mkdir(parents=True)

    def turn(self) -> None:
        """Change some files, add some, and remove the oldest of what is too much."""
        for path in self._rng.sample(list(self._files), min(_CHANGED, len(self._files))):
            path.write_bytes(self._bytes())
        for number in range(_ADDED):
            self._made += 1
            path = self._folder / f"{self._made:06d}.jpg"
            data = self._bytes()
            path.write_bytes(data[: len(data) // 2] if number < _TORN else data)
            self._files.append(path)
        while len(self._files) > self._most:
            self._files.popleft().unlink()

    def __len__(self) -> int:
        return len(self._files)

    def _bytes(self) -> bytes:
        return altered(self._rng.choice(self._pictures), self._rng)


def altered(path: Path, rng: random.Random) -> bytes:
    """Return a picture as a JPEG, with a patch of random colour that makes it one of its own."""
    with Image.open(path) as picture:
        changed = picture.convert("RGB")
    at = rng.randrange(changed.width - 4), rng.randrange(changed.height - 4)
    colour = rng.randrange(256), rng.randrange(256), rng.randrange(256)
    changed.paste(colour, (*at, at[0] + 4, at[1] + 4))
    file = io.BytesIO()
    changed.save(file, "JPEG", quality=rng.randint(80, 95))
    return file.getvalue()
