"""The suite and the Inspector, installed by npm into a folder of their own."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

NODE: Final = "node@22.23.3"
SUITE: Final = "@modelcontextprotocol/conformance@0.2.0-alpha.12"
INSPECTOR: Final = "@modelcontextprotocol/inspector@2.12.0"
_PATIENCE: Final = 300


class MissingError(Exception):
    """What is needed can't be had here; the text says why."""


def installed(folder: Path) -> dict[str, str]:
    """Install both below a folder, unless they are there; return the environment that has them.

    Raises MissingError where npm is missing or can't install them.
    """
    programs = folder / "node_modules" / ".bin"
    environment = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    npm = shutil.which("npm")
    if npm is None:
        raise MissingError("npm is not here; install Node.js")
    # Node first: npm then picks versions for it, and not for an older one of the system.
    for packages in ([NODE], [SUITE, INSPECTOR]):
        _install(npm, folder, packages, environment)
    version = subprocess.run(["node", "--version"], env=environment, capture_output=True, text=True)
    if not version.stdout.startswith("v22."):
        raise MissingError(f"Node 22 does not run here: {version.stderr.strip() or version.stdout}")
    return environment


def _install(npm: str, folder: Path, packages: list[str], environment: dict[str, str]) -> None:
    command = [npm, "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(folder)]
    try:
        done = subprocess.run(
            [*command, *packages],
            env=environment,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise MissingError(f"npm did not install {' '.join(packages)} in {_PATIENCE} s") from None
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise MissingError(
            f"npm can't install {' '.join(packages)}: {said[0] if said else 'no reason'}"
        )
