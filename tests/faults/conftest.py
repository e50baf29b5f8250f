"""The libraries of the engine's tests, and mounts to break something under them."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.core.conftest import library, mosaic, photos

__all__ = ["Mount", "library", "mosaic", "mount", "photos", "unmount"]

Mount = Callable[..., None]


def unmount(folder: Path) -> None:
    """Take a file system away, whoever uses it."""
    subprocess.run(["umount", "--lazy", folder], check=False, capture_output=True)


@pytest.fixture
def mount() -> Iterator[Mount]:
    """Mount as ``mount`` does with these arguments, the folder last; skip where that is refused."""
    with ExitStack() as mounted:

        def run(*arguments: str | Path) -> None:
            try:
                done = subprocess.run(["mount", *arguments], capture_output=True, check=False)
            except FileNotFoundError:
                pytest.skip("there is no mount here")
            if done.returncode:
                pytest.skip(f"mounting is not allowed here: {done.stderr.decode().strip()}")
            mounted.callback(unmount, Path(arguments[-1]))

        yield run
