"""Kills a writing process at a random moment, over and over, and checks what it leaves.

    python -m tests.crashes --rounds 200 --seed 1

After each kill the library must open, every image that was committed must be found by its own
vector before any other, none twice, and the next run must complete. A seed gives the same pictures
and the same moments, as far as the machine is as fast.
"""

import argparse
import random
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, Literal, get_args

from mcp_vlsearch.core.digest import image_id
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.plugins import BUILT_IN
from tests.core.conftest import paint
from tests.processes import Child

Kind = Literal["index", "index again", "remove"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
PICTURES: Final = 40
"""Pictures in the folder; some come and some go before every run."""
CHANGES: Final = 8
LATEST: Final = 1.1
"""Kills come within so many times the usual time that the work takes."""


@dataclass
class Tally:
    """What became of the rounds of one kind of work."""

    rounds: int = 0
    killed: int = 0
    half_done: int = 0
    """After so many kills there was neither what was before nor all that should be."""


def opened(folder: Path) -> Library:
    """Open the library that is written to."""
    BUILT_IN["encoders"]["mosaic"] = "tests.core.mosaic:MosaicEncoder"
    return Library.open(folder, encoder="mosaic", model="colours", batch_size=2)


def work(connection: Connection, kind: Kind, folder: Path, photos: Path, seed: int) -> None:
    """Write to the library; what is killed."""
    with opened(folder) as library:
        connection.send("begun")
        if kind == "remove":
            files = sorted(photos.iterdir())
            library.remove(random.Random(seed).sample(files, PICTURES // 2))
        library.index(force=kind == "index again")
    connection.send("done")


class Crashes:
    """A library in a folder, whose writers are killed."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.tallies = {kind: Tally() for kind in KINDS}
        self._library = folder / "library"
        self._photos = folder / "photos"
        self._random = random.Random(seed)
        self._seconds: dict[Kind, float] = {}
        self._painted = 0
        self._add(PICTURES)
        with opened(self._library) as library:
            library.allow([self._photos])
            library.index()

    def round(self, kind: Kind) -> None:
        """Let pictures come and go, kill the work on them, check, and let the next run complete."""
        before = self.committed()
        self._change()
        is_killed = self._kill(kind)
        tally = self.tallies[kind]
        tally.rounds += 1
        tally.killed += is_killed
        after = self.committed()
        tally.half_done += after not in (before, self._on_disk())
        self._check_database()
        if kind != "remove":
            lost = (before & self._on_disk()) - after
            assert not lost, f"{len(lost)} images were forgotten though their files are there"
        self._check_searches(after)
        with opened(self._library) as library:
            report = library.index()
            assert report.failed == 0, report.failures
        assert self.committed() == self._on_disk(), "the next run completes"
        self._check_searches(self._on_disk())

    def committed(self) -> set[str]:
        """Return the images that files are known to hold, read without our code."""
        with closing(sqlite3.connect(self._library / "library.db")) as connection:
            rows = connection.execute("SELECT image_id FROM files WHERE image_id IS NOT NULL")
            return {found for (found,) in rows}

    def _kill(self, kind: Kind) -> bool:
        """Run the work in a process and kill it; the first of a kind tells how long it takes."""
        child = Child(work, kind, self._library, self._photos, self._random.randrange(2**32))
        assert child.receive() == "begun"
        started = time.monotonic()
        moment = self._random.random() * LATEST
        if kind not in self._seconds:
            assert child.receive() == "done"
            self._seconds[kind] = time.monotonic() - started
            return child.kill()
        time.sleep(moment * self._seconds[kind])
        return child.kill()

    def _change(self) -> None:
        files = self._random.sample(sorted(self._photos.iterdir()), CHANGES)
        for file in files[: CHANGES // 2]:
            file.unlink()
        for file in files[CHANGES // 2 :]:
            file.rename(file.with_name(f"moved-{self._random.randrange(10**9)}.png"))
        self._add(PICTURES - len(list(self._photos.iterdir())))

    def _add(self, count: int) -> None:
        for _ in range(count):
            self._painted += 1
            seed = self._random.randrange(2**32)
            paint(self._photos / f"{self._painted}.png", seed)

    def _on_disk(self) -> set[str]:
        return {image_id(file.read_bytes()) for file in self._photos.iterdir()}

    def _check_database(self) -> None:
        with closing(sqlite3.connect(self._library / "library.db")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []

    def _check_searches(self, images: set[str]) -> None:
        """Find every image by its own vector, and all of them once."""
        with opened(self._library) as library:
            for image in sorted(images):
                result = library.search_by_image(image, top_k=100)
                found = [hit.image_id for hit in result.hits]
                assert found[:1] == [image], f"{image} is not found by its own vector"
                assert result.hits[0].score > 0.999
                assert len(found) == len(set(found)), "an image is found twice"
                assert set(found) == images, "what is found is what was committed"
                assert result.total_images == len(images)


def crash(folder: Path, rounds: int, seed: int) -> dict[Kind, Tally]:
    """Run so many rounds. Raises AssertionError with what is wrong."""
    crashes = Crashes(folder, seed)
    for number in range(rounds):
        crashes.round(KINDS[number % len(KINDS)])
    return crashes.tallies


def main(given: Sequence[str] | None = None) -> None:
    """Run the rounds and print what became of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(given)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        tallies = crash(Path(folder), options.rounds, options.seed)
    print(f"{'work':<12} {'rounds':>6} {'killed':>6} {'done before':>11} {'half done':>9}")
    for kind, tally in tallies.items():
        done = tally.rounds - tally.killed
        print(f"{kind:<12} {tally.rounds:>6} {tally.killed:>6} {done:>11} {tally.half_done:>9}")
    seconds = time.monotonic() - started
    print(f"nothing lost in {options.rounds} rounds, seed {options.seed}, {seconds:.0f} s")


if __name__ == "__main__":
    main()
