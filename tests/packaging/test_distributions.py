"""What is built for a release holds what it must, and works where there is nothing but it."""

import asyncio
import json
import subprocess
import tarfile
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters

from mcp_vlsearch.storybook import draw_gallery

from .conftest import REPOSITORY, Installed

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
JUNK = (".pyc", ".pyo", ".orig", ".rej", ".swp", ".log", ".db", ".pt")


@pytest.fixture(scope="module")
def in_wheel(distributions: tuple[Path, Path]) -> set[str]:
    return set(zipfile.ZipFile(distributions[0]).namelist())


@pytest.fixture(scope="module")
def in_sdist(distributions: tuple[Path, Path]) -> set[str]:
    with tarfile.open(distributions[1]) as sdist:
        return {name.partition("/")[2] for name in sdist.getnames()}


def tracked(*folders: str) -> set[str]:
    """Return the files that belong to the project: those in git, where there is a git."""
    if not (REPOSITORY / ".git").exists():
        pytest.skip("which files belong to the project is known in its repository only")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *folders],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return {name for name in listed.stdout.split("\0") if name and (REPOSITORY / name).exists()}


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(in_wheel: set[str]) -> None:
    files = {name for name in in_wheel if ".dist-info/" not in name}
    assert files == {name.removeprefix("src/") for name in tracked("src/mcp_vlsearch")}


@pytest.mark.parametrize(
    "name",
    [
        "py.typed",
        "gallery/gallery.html",
        "gallery/gallery.js",
        "rewriters/template/chinese.toml",
        "storybook/checkpoint/model.safetensors",
        "storybook/checkpoint/tokenizer.json",
        "webui/page.css",
    ],
)
def test_the_wheel_holds_what_is_no_code(in_wheel: set[str], name: str) -> None:
    assert f"mcp_vlsearch/{name}" in in_wheel


def test_the_wheel_holds_the_package_alone_and_no_junk(in_wheel: set[str]) -> None:
    tops = {name.partition("/")[0] for name in in_wheel}
    assert tops == {"mcp_vlsearch", f"mcp_vlsearch-{PROJECT['version']}.dist-info"}
    assert not [name for name in in_wheel if name.endswith(JUNK) or "__pycache__" in name]


def test_the_wheel_says_its_license_its_version_and_what_it_is(
    distributions: tuple[Path, Path],
) -> None:
    information = f"mcp_vlsearch-{PROJECT['version']}.dist-info"
    with zipfile.ZipFile(distributions[0]) as wheel:
        told = message_from_bytes(wheel.read(f"{information}/METADATA"))
        license_text = wheel.read(f"{information}/licenses/LICENSE")
    assert license_text == (REPOSITORY / "LICENSE").read_bytes()
    assert told["License-Expression"] == PROJECT["license"]
    assert told["Version"] == PROJECT["version"]
    assert told["Summary"] == PROJECT["description"]
    assert told["Requires-Python"] == PROJECT["requires-python"]
    assert set(told.get_all("Provides-Extra", [])) == set(PROJECT["optional-dependencies"])


def test_the_sdist_holds_every_file_of_the_project(in_sdist: set[str]) -> None:
    """So whoever packages it for a system can run the tests, and build the docs."""
    ours_alone = {".github"}
    files = {name for name in tracked() if name.partition("/")[0] not in ours_alone}
    assert in_sdist & files == files
    assert in_sdist - files == {"PKG-INFO"}


def test_an_installed_wheel_runs_from_the_wheel(installed: Installed, tmp_path: Path) -> None:
    where = installed.run(
        "python", "-c", "import mcp_vlsearch as m; print(m.__file__)", cwd=tmp_path
    )
    assert Path(where.strip()).is_relative_to(installed.scripts.parent)
    version = installed.run("mcp-vlsearch", "--version", cwd=tmp_path)
    assert version == f"mcp-vlsearch {PROJECT['version']}\n"


def test_an_installed_wheel_serves_mcp_and_finds_pictures(
    installed: Installed, tmp_path: Path
) -> None:
    captions = draw_gallery(tmp_path / "pictures", 6, 1, "all")
    wanted, *_ = map(json.loads, captions.read_text("utf-8").splitlines())
    server = StdioServerParameters(
        command=str(installed.scripts / "mcp-vlsearch"),
        args=[
            *("serve", "--library=library", "--root=pictures", "--model=storybook"),
            *("--share=off", "--call-seconds=200"),
        ],
        env=installed.environment,
        cwd=tmp_path,
    )

    async def talk() -> None:
        async with Client(server) as client:
            assert client.server_info is not None
            assert client.server_info.version == PROJECT["version"]
            (page,) = (await client.read_resource("ui://mcp-vlsearch/gallery.html")).contents
            assert "<html" in str(page)
            report = await client.call_tool("index_images", {})
            assert report.structured_content is not None
            assert report.structured_content["encoded"] == 6
            found = await client.call_tool("search_by_text", {"query": wanted["caption"]})
            assert found.structured_content is not None
            assert Path(found.structured_content["hits"][0]["path"]).name == wanted["image"]

    asyncio.run(talk())
