"""Kills a writing process at a random moment, over and over, and checks what it leaves.

    python -m tests.crashes --rounds 200 --seed 1

A moment is one of the clock in one half of the rounds, and in the other the beginning of some SQL
statement, for the gaps between statements are short. After each kill the library must open, every
image that was committed must be found by its own vector before any other, none twice, and the next
run must complete. A seed gives the same pictures and the same moments, as far as the machine is as
fast.
"""

import argparse
import os
import random
import signal
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, Literal, NamedTuple, get_args

from mcp_vlsearch.cache import database
from mcp_vlsearch.core import storing
from mcp_vlsearch.core.digest import image_id
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.indexes.faiss import index as faiss_index
from mcp_vlsearch.plugins import BUILT_IN
from tests.core.conftest import paint
from tests.processes import Child

Kind = Literal["index", "index again", "remove", "store", "prune", "import"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
PICTURES: Final = 40
"""Pictures in the folder; some come and some go before every run."""
CHANGES: Final = 16
VECTORS: Final = "vectors.parquet"
LATEST: Final = 1.1
"""Kills come within so many times what the work usually takes, in time or in statements."""


class Work(NamedTuple):
    """Writing to a library: of what kind, where, and what is killed in the middle of it."""

    kind: Kind
    library: Path
    photos: Path
    seed: int
    statement: int
    """Before which SQL statement the process kills itself; 0 for never."""


@dataclass(frozen=True)
class Usual:
    """What a kind of work took when nobody killed it."""

    seconds: float
    statements: int


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


class Statements:
    """Counts the SQL statements of this process, and kills it before one of them."""

    def __init__(self, last: int) -> None:
        self.count = 0
        self._last = last

    def watch(self) -> None:
        """Begin with the connections that are opened from now on."""
        connect = vars(database)["connect"]

        def watched(path: Path, how: str, patience: float = 60.0) -> sqlite3.Connection:
            connection: sqlite3.Connection = connect(path, how, patience)
            connection.set_trace_callback(self._begins)
            return connection

        vars(database)["connect"] = watched

    def _begins(self, _statement: str) -> None:
        self.count += 1
        if self.count == self._last:
            os.kill(os.getpid(), signal.SIGKILL)


def write(connection: Connection, work: Work) -> None:
    """Do the work; runs in a process of its own."""
    if work.kind == "store":  # as a library does of ten thousand rows
        faiss_index._LEAST_TAIL = CHANGES // 2  # type: ignore[misc]
        storing._BLOCK = CHANGES  # type: ignore[misc]
    statements = Statements(work.statement)
    statements.watch()
    with opened(work.library) as library:
        connection.send("begun")
        if work.kind == "prune":
            library.cache.prune(unused=True)
        elif work.kind == "import":
            library.cache.import_file(work.library / VECTORS, replace=True)
        else:
            if work.kind == "remove":
                files = sorted(work.photos.iterdir())
                library.remove(random.Random(work.seed).sample(files, PICTURES // 2))
            library.index(force=work.kind == "index again")
    connection.send(statements.count)


class Crashes:
    """A library in a folder, whose writers are killed."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.tallies = {kind: Tally() for kind in KINDS}
        self._library = folder / "library"
        self._photos = folder / "photos"
        self._random = random.Random(seed)
        self._usual: dict[Kind, Usual] = {}
        self._painted = 0
        self._add(PICTURES)
        with opened(self._library) as library:
            library.allow([self._photos])
            library.index()

    def round(self, kind: Kind) -> None:
        """Let pictures come and go, kill the work on them, check, and let the next run complete."""
        self._change()
        with opened(self._library) as library:
            if kind in ("store", "prune", "import"):
                library.index()
            if kind == "import":
                library.cache.export(self._library / VECTORS)
                library.cache.prune(unused=True)
        before = self.committed()
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
        """Run the work in a process that is killed; the first of a kind tells how long it takes."""
        usual = self._usual.get(kind)
        part = LATEST * self._random.random()
        by_statement = self._random.random() < 0.5
        statement = 1 + int(part * usual.statements) if usual and by_statement else 0
        seed = self._random.randrange(2**32)
        child = Child(write, Work(kind, self._library, self._photos, seed, statement))
        if statement:
            return child.join() != 0
        assert child.receive() == "begun"
        started = time.monotonic()
        if usual is None:
            statements = child.receive()
            self._usual[kind] = Usual(time.monotonic() - started, statements)
            return child.join() != 0
        time.sleep(part * usual.seconds)
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
