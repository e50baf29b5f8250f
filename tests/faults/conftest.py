"""The libraries of the engine's tests, and mounts to break something under them."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from tests.core.conftest import library, mosaic, photos

__all__ = ["Mount", "library", "mosaic", "mount", "photos", "unmount"]

Mount = Callable[..., None]

_OWN: Final = ("unshare", "--map-root-user", "--mount")
"""Runs a program that may mount what only it sees; some systems let everybody do so."""
_INSIDE: Final = "VLSEARCH_TEST_MAY_MOUNT"


@cache
def _works(*command: str) -> bool:
    try:
        return not subprocess.run([*command, "true"], capture_output=True, check=False).returncode
    except FileNotFoundError:
        return False


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that mounts in a process that may, where this one may not."""
    if "mount" not in pyfuncitem.fixturenames or _INSIDE in os.environ:
        return None
    if _works("unshare", "--mount") or not _works(*_OWN):
        return None
    test = f"{pyfuncitem.path}::{pyfuncitem.name}"
    command = [*_OWN, sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", test]
    done = subprocess.run(
        command, env={**os.environ, _INSIDE: "1"}, capture_output=True, text=True, check=False
    )
    if "1 skipped" in done.stdout:
        pytest.skip(done.stdout)
    assert "1 passed" in done.stdout, done.stdout + done.stderr
    return True


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
