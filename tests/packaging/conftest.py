"""The wheel and the sdist of this tree, and a Python that has nothing of it but the wheel."""

import os
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel; what the wheel needs is found where these tests find it."""

    scripts: Path
    environment: dict[str, str]

    def run(self, program: str, *arguments: str, cwd: Path) -> str:
        """Run a program of this environment and return what it prints. Fails if it fails."""
        done = subprocess.run(
            [self.scripts / program, *arguments],
            capture_output=True,
            cwd=cwd,
            env=self.environment,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Build the sdist, and the wheel from it, as for a release; return wheel and sdist."""
    folder = tmp_path_factory.mktemp("dist")
    _python("build", "--no-isolation", "--outdir", str(folder), str(REPOSITORY))
    (wheel,) = folder.glob("*.whl")
    (sdist,) = folder.glob("*.tar.gz")
    return wheel, sdist


@pytest.fixture(scope="session")
def installed(
    distributions: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Installed:
    """Install the wheel where nothing else is, without a network."""
    home = tmp_path_factory.mktemp("clean")
    venv.create(home, with_pip=False, symlinks=True)
    places = {"base": str(home), "platbase": str(home)}
    scripts = Path(sysconfig.get_path("scripts", "venv", places))
    python = str(scripts / "python")
    _python("pip", "--python", python, "install", "-q", "--no-index", "--no-deps",
            "--disable-pip-version-check", str(distributions[0]))  # fmt: skip
    # A path of a .pth file is searched last, and .pth files there, such as that of an editable
    # install, are not read: the package itself comes from the wheel or not at all.
    libraries = Path(sysconfig.get_path("purelib", "venv", places)) / "libraries.pth"
    libraries.write_text("\n".join({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}))
    environment = {
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONPATH" and not name.startswith("MCP_VLSEARCH_")
    }
    return Installed(scripts, environment)


def _python(module: str, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
