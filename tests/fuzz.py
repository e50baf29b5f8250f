"""Decodes pictures that were damaged at random, for as long as wanted.

``python -m tests.fuzz --seconds 600`` takes good files of every format, changes some of their
bytes, cuts, repeats and joins them, and decodes what comes of it in this process, which may take
2 GiB. What fails in a new way is kept as a further file to change. An error that is no
:class:`ImageError`, or a picture that takes longer than ten seconds, is written to
``fuzz-failure-…`` and ends the run. Tests run a bounded number with a fixed seed.
"""

import argparse
import hashlib
import random
import re
import resource
import sys
import time
from collections.abc import Iterator, MutableSequence
from pathlib import Path

from mcp_vlsearch.core.decode import decode, open_upright
from mcp_vlsearch.errors import ImageError
from tests.pictures import broken_files, good_files

__all__ = ["mutants"]

_HEAD = 256
"""Bytes in which half of all changes are made: there stand the claims."""
_MEMORY = 2 * 2**30
_SLOW = 10.0
_NUMBERS = (b"\0", b"\xff", b"\x7f", b"\x80", b"\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\xff",
            b"\x7f\xff\xff\xff", b"\0\0\x40\0")  # fmt: skip


def mutants(
    chance: random.Random, count: int | None = None, corpus: MutableSequence[bytes] | None = None
) -> Iterator[tuple[str, bytes]]:
    """Give so many damaged files, or any number; whoever takes them may add to the corpus."""
    files = _corpus() if corpus is None else corpus
    number = 0
    while count is None or number < count:
        data = bytearray(chance.choice(files))
        for _ in range(chance.choice((1, 1, 2, 4, 16))):
            _change(data, chance, files)
        yield f"mutant {number}", bytes(data)
        number += 1


def _corpus() -> list[bytes]:
    """Return good and broken files without those that are large."""
    return [d for d in (*good_files().values(), *broken_files().values()) if 0 < len(d) < 100_000]


def _change(data: bytearray, chance: random.Random, files: MutableSequence[bytes]) -> None:
    """Damage a file in one way."""
    most = len(data) if chance.random() < 0.5 else min(len(data), _HEAD)
    place = chance.randrange(max(most, 1))
    way = chance.randrange(6)
    if way == 0 and data:
        data[place % len(data)] ^= 1 << chance.randrange(8)
    elif way == 1:
        number = chance.choice(_NUMBERS)
        data[place : place + len(number)] = number
    elif way == 2:
        data[place : place + 4] = chance.randbytes(4)
    elif way == 3:
        del data[place : place + chance.choice((1, 4, 64, 4096))]
    elif way == 4:
        data[place:place] = data[place : place + chance.choice((4, 16, 256))]
    else:
        other = chance.choice(files)
        start = chance.randrange(len(other) + 1)
        data[place : place + 64] = other[start : start + 64]


def _tried(data: bytes) -> str:
    """Decode a file both ways; return what kind of error it is, without its numbers."""
    try:
        open_upright(data)
        decode(data, lambda width, height: (min(width, 64), min(height, 64)))
    except ImageError as error:
        return re.sub(r"\d+", "#", str(error))
    return ""


def main() -> int:
    """Fuzz; return 1 if something was found."""
    parser = argparse.ArgumentParser(description="Decode damaged pictures.")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    corpus, ways, tried = _corpus(), set[str](), 0
    until = time.monotonic() + arguments.seconds
    last = Path("fuzz-last")  # there after a crash of the whole process
    for name, data in mutants(random.Random(arguments.seed), None, corpus):
        last.write_bytes(data)
        began = time.monotonic()
        try:
            way = _tried(data)
        except Exception as error:
            return _report(name, data, repr(error))
        if time.monotonic() - began > _SLOW:
            return _report(name, data, "took too long")
        tried += 1
        if data and way not in ways:
            ways.add(way)
            corpus.append(data)
        if time.monotonic() > until:
            break
    last.unlink()
    sys.stdout.write(f"{tried} files, {len(ways)} kinds of outcome, no failure\n")
    return 0


def _report(name: str, data: bytes, what: str) -> int:
    path = Path(f"fuzz-failure-{hashlib.sha256(data).hexdigest()[:12]}")
    path.write_bytes(data)
    sys.stdout.write(f"{name}: {what}: see {path}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
