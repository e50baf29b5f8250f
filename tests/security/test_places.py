"""Attacks by place: wherever a library or a demo is put, it is there, or one line says why not."""

import asyncio
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp import Client

from mcp_vlsearch.cli.app import run
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.errors import SettingsError
from mcp_vlsearch.server import build_server
from tests.core.conftest import paint
from tests.security.starting import ENDLESS, hold
from tests.security.test_arguments import BOUNDED, COMMANDS, check, check_said

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs pipes and links")

PLACES: Final = (
    "new", "new/deep/er", ".", "..", "", "  ", "-", "--json", "a b'\"$x", "ünï/çø", "%s%n", "C:\\x",
    "new\nline", "tab\t\x1b[31m", "\udcff", "n\udcff/x", "\ud800", "\0", "a\0b", "~no-such-user/x",
    "file", "file/x", "photos/1.png", "photos", "pipe", "pipe/x", "loop", "loop/x", "dangling",
    "dangling/x", "a" * 300, "b/" * 2500, "c" * 200 + "/" + "d" * 200, "/dev/null", "/dev/null/x",
    "/dev/full", "/proc/x", "/sys/x", "file:///x", "http://a/b",
    "closed", "closed/x", "base-is-folder", "settings-are-folder", "settings-are-no-text",
    "lock-is-folder", "base-is-none",
)  # fmt: skip
"""Below the working directory of a test, which has what `laid_out` puts there."""
REACHED: Final = (
    "new", "new\nline", "\udcff", "dangling", "dangling/x", "/proc/x", "/sys/x", "closed/x",
    "base-is-folder", "lock-is-folder", "base-is-none", "settings-are-folder", "file",
)  # fmt: skip
"""Those of them where a server begins, or where only the library's settings are in the way."""
ENCODER: Final = ("--encoder=mosaic", "--model=colours")
WORDS: Final[dict[str, Sequence[str]]] = {
    "cache export": ("v.parquet",),
    "cache import": ("given.parquet",),
    "cache prune": ("--unused", "--yes"),
    "cache use": ("abc",),
    "demo": (),
    "doctor": ("--quick", "--fix", *ENCODER),
    "duplicates": (),
    "encoder serve": ("--port=0", *ENCODER),
    "eval": ("captions.jsonl", *ENCODER),
    "index": ("photos", *ENCODER),
    "install": ("cursor", "--print"),
    "plugins": (),
    "remove": ("photos",),
    "search": ("red", *ENCODER),
    "serve": ("--root=photos", *ENCODER),
    "status": (),
    "storybook": ("drawn", "--count=1"),
    "webui": ("--no-open", "--port=0", *ENCODER),
}
"""What makes each command do its work."""


@pytest.fixture(autouse=True)
def laid_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put things in the way of libraries, and vectors to import; work there."""
    monkeypatch.chdir(tmp_path)
    for variable in [v for v in os.environ if v.startswith("MCP_VLSEARCH_")]:
        monkeypatch.delenv(variable)
    paint(tmp_path / "photos" / "1.png", 1)
    (tmp_path / "captions.jsonl").write_text('{"image": "photos/1.png", "caption": "red"}\n')
    with Library.open(tmp_path / "full", encoder="mosaic", model="colours") as full:
        full.allow([tmp_path / "photos"])
        full.index()
        full.cache.export(tmp_path / "given.parquet")
    (tmp_path / "file").write_text("x")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nowhere/x")
    (tmp_path / "closed").mkdir(mode=0o500)
    for folder in ("base-is-folder/library.db", "settings-are-folder/config.toml"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "lock-is-folder" / "writer.lock").mkdir(parents=True)
    for file in ("settings-are-no-text/config.toml", "base-is-none/library.db"):
        (tmp_path / file).parent.mkdir()
        (tmp_path / file).write_bytes(b"\xff\0" * 3000)


def test_all_commands_are_attacked() -> None:
    assert sorted(WORDS) == COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_takes_any_place_for_a_library_or_says_in_a_line_why_not(
    name: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if name in ENDLESS:
        hold(monkeypatch, name)

    @BOUNDED
    @given(place=st.sampled_from(PLACES), as_json=st.booleans())
    def attack(place: str, as_json: bool) -> None:
        as_json_too = ["--json"] if as_json else []
        answered(capfd, [*name.split(), *WORDS[name], f"--library={place}", *as_json_too])

    attack()


@pytest.mark.parametrize("transport", ["stdio", "http"])
@pytest.mark.parametrize("place", ["new\nline", "n\udcff/x"])
def test_a_server_logs_its_library_in_letters_on_a_line(
    place: str, transport: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(monkeypatch, "serve")
    run(["serve", f"--library={place}", f"--transport={transport}", "--port=0", *WORDS["serve"]])
    (line,) = [told for told in caplog.messages if "the library is" in told]
    assert line.encode().splitlines() == [line.encode()]


@pytest.mark.parametrize("words", ["index", "cache import", "status", "status --json"])
def test_each_place_is_tried(words: str, capfd: pytest.CaptureFixture[str]) -> None:
    name = words.removesuffix(" --json")
    given = [*words.split(), *WORDS[name]]
    done = [answered(capfd, [*given, f"--library={place}"]) for place in PLACES]
    assert 0 < sum(done) < len(done) - 10


def test_a_demo_takes_any_folder_or_says_in_a_line_why_not(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    began = hold(monkeypatch, "demo")
    for place in PLACES:
        code = run(["demo", f"--out={place}", "--count=7", *ENCODER])
        assert code in (1, 2)  # 1 where it went through, too: nobody has answered its questions
        check_said(capfd, place)
    assert 5 < len(began) < len(PLACES)


def test_a_tool_answers_wherever_the_library_is(tmp_path: Path) -> None:
    async def called(library: Library) -> None:
        async with Client(build_server(library)) as client:
            for tool in ("library_status", "index_images", "library_status"):
                check(await client.call_tool(tool))

    opened = 0
    for place in REACHED:
        with suppress(SettingsError):
            library = Library.open(
                tmp_path / place, encoder="mosaic", model="colours", roots=(tmp_path / "photos",)
            )
            with library:
                asyncio.run(called(library))
                opened += 1
    assert opened >= 8


def answered(capfd: pytest.CaptureFixture[str], words: Sequence[str]) -> bool:
    """Run a command; hold that it ends as it should, and say whether it did its work."""
    code = run(words)
    assert code in (0, 1, 2), words
    check_said(capfd, words)
    return code == 0
