"""Attacks by path: nothing outside the roots is opened, nothing that is no file is waited for."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mcp import Client
from mcp.types import TextContent

from mcp_vlsearch.core import digest, places, roots, scan
from mcp_vlsearch.core.digest import image_id, read_file
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.core.roots import Roots
from mcp_vlsearch.core.windows import is_share, why_refused
from mcp_vlsearch.errors import ImageError, QueryError, RootError, VLSearchError
from mcp_vlsearch.server import build_server
from mcp_vlsearch.types import Filters

Attack = Callable[[Library, str], object]

TAKERS: dict[str, Attack] = {
    "index": lambda library, path: library.index([path]),
    "search_by_image": lambda library, path: library.search_by_image(path),
    "view": lambda library, path: library.view([path]),
    "explain_match": lambda library, path: library.explain_match(path, "red"),
    "remove": lambda library, path: library.remove([path]),
    "folder": lambda library, path: library.search_by_text("red", filters=Filters(folder=path)),
    "duplicates": lambda library, path: library.duplicates(filters=Filters(folder=path)),
}
"""Everything that takes a path from an assistant."""

OPENERS = ("index", "search_by_image", "view", "explain_match")


@pytest.fixture(params=sorted(TAKERS))
def take(request: pytest.FixtureRequest) -> Attack:
    return TAKERS[request.param]


@pytest.fixture(params=OPENERS)
def opener(request: pytest.FixtureRequest) -> Attack:
    return TAKERS[request.param]


def refused(attack: Attack, library: Library, path: str) -> str:
    """Return the one line by which an attack fails."""
    with pytest.raises(VLSearchError) as caught:
        attack(library, path)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 1000
    return text


def test_paths_that_lead_out_of_the_roots_are_refused(
    library: Library, photos: Path, secret: Path, take: Attack
) -> None:
    (photos / "door").symlink_to(secret.parent)
    (photos / "window.png").symlink_to(secret)
    links = f"{photos}/door/1.png", f"{photos}/window.png"
    for path in (
        secret,
        f"{photos}/../private/1.png",
        f"{photos}/trip/../../private/1.png",
        f"{photos}//.//..//private/1.png",
        *links,
        f"{photos}/nowhere/../../private/1.png",
        f"{photos}-more/1.png",
        "/etc/passwd",
    ):
        if path in links and take not in [TAKERS[name] for name in OPENERS]:
            continue  # what is known by the name of a link is filtered or forgotten by it
        assert "outside the roots" in refused(take, library, str(path)), path
    assert library.status().images == 4


def test_names_that_are_no_paths_are_refused(library: Library, take: Attack) -> None:
    for path in ("a\0.png", "\0", "/\0/etc/passwd"):
        refused(take, library, path)
    for path in ("file:///etc/passwd", "http://127.0.0.1/a.png", "https://x/a.png", "ftp://x/a"):
        assert "not opened" in refused(take, library, path) or "absolute" in refused(
            take, library, path
        )
    assert library.status().images == 4


def test_very_long_names_are_one_short_line(library: Library, photos: Path, take: Attack) -> None:
    for path in ("/" + "a/" * 5000, f"{photos}/{'n' * 5000}.png", f"/{'x' * 200_000}"):
        told = ""
        try:
            take(library, path)
        except VLSearchError as error:
            told = str(error)
        assert "\n" not in told
        assert len(told) < 1000
    assert library.status().images == 4


def test_case_is_no_trick(library: Library, photos: Path, secret: Path, opener: Attack) -> None:
    for path in (str(photos / "0.png").upper(), str(secret).swapcase()):
        if not Path(path).exists():  # a disk that minds case
            refused(opener, library, path)


def outside_at_last(monkeypatch: pytest.MonkeyPatch, happen: Callable[[], None]) -> None:
    """Let something happen between the look at a path and its opening."""
    original = os.open

    def late(path: str, *arguments: int) -> int:
        happen()
        return original(path, *arguments)

    monkeypatch.setattr(os, "open", late)


def swap(path: Path, target: Path) -> None:
    """Put a link in place of a file or folder, once."""
    if not path.is_symlink():
        path.rename(path.with_name("before-" + path.name))
        path.symlink_to(target)


@pytest.mark.parametrize("what", ["file", "folder"])
@pytest.mark.parametrize("system", ["this", "other"])
def test_a_link_put_in_place_between_check_and_opening_is_not_followed(
    library: Library,
    photos: Path,
    secret: Path,
    opener: Attack,
    what: str,
    system: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    victim = photos / "trip" / "1.png"
    os.utime(victim, (1, 1))  # so that the index reads it anew
    if system == "other":
        monkeypatch.setattr(digest, "place_of", places._same)

    def attack() -> None:
        swap(*(victim, secret) if what == "file" else (victim.parent, secret.parent))

    outside_at_last(monkeypatch, attack)
    if opener is TAKERS["index"]:
        (failure,) = library.index([victim]).failures
        assert "outside the roots" in failure.error
    else:
        assert "outside the roots" in refused(opener, library, str(victim))
    leaked = image_id(secret.read_bytes())
    with pytest.raises(QueryError, match="no image"):
        library.search_by_image(leaked)


def test_a_folder_swapped_for_a_link_while_it_is_scanned_is_not_listed(
    photos: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = os.open

    def late(path: str, *arguments: int) -> int:
        if Path(path).name == "trip":
            swap(photos / "trip", secret.parent)
        return original(path, *arguments)

    monkeypatch.setattr(os, "open", late)
    found = scan.Scan(str(photos), True, [str(photos)])
    files = [path for _, some in found for path in some]
    assert [Path(path).name for path in files] == ["0.png", "2.png"]
    assert found.failures == [(str(photos / "trip"), scan._OUTSIDE)]


def test_what_is_read_is_what_was_opened(
    photos: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file replaced once it is open gives the old bytes, never half of each."""
    victim, before = photos / "0.png", (photos / "0.png").read_bytes()
    original = places.place_of

    def late(descriptor: int, path: str) -> str | None:
        place = original(descriptor, path)
        swap(victim, secret)
        return place

    monkeypatch.setattr(digest, "place_of", late)
    assert read_file(str(victim), Roots([photos]).allows) == before


def test_a_root_spelt_in_another_way_is_still_a_root(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(photos)
    allowed = Roots([photos])
    assert allowed.allows(str(tmp_path / "alias" / "trip" / "1.png"))
    assert not allowed.allows(str(tmp_path / "private" / "1.png"))


def test_a_hard_link_below_a_root_is_a_file_of_its_own(
    library: Library, photos: Path, secret: Path
) -> None:
    """Nothing tells it from the file; who could make it could have copied the picture."""
    (photos / "hard.png").hardlink_to(secret)
    assert library.index().added == 1
    assert library.remove([photos / "hard.png"]).removed == 1
    assert secret.exists()


@pytest.mark.parametrize("kind", ["fifo", "socket", "device", "folder", "loop"])
def test_what_is_no_file_is_refused_at_once(
    library: Library, photos: Path, opener: Attack, kind: str
) -> None:
    path = photos / "odd.png"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        import socket

        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(path))
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(path)
    if opener is TAKERS["index"] and kind != "device":
        report = library.index([photos])
        assert report.failed == (kind != "folder")
    else:
        refused(opener, library, str(path))


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_files_of_the_system_do_not_hang_where_a_root_lets_them_in(library: Library) -> None:
    assert read_file("/proc/self/status", lambda _: True, 2**20)
    for name in ("mem", "pagemap"):
        with pytest.raises(ImageError):
            read_file(f"/proc/self/{name}", lambda _: True, 2**10)
    with pytest.raises(ImageError, match="regular file"):
        read_file("/dev/zero", lambda _: True)
    with pytest.raises(RootError):
        library.search_by_image("/proc/self/environ")


@pytest.mark.parametrize("name", ["captions.jsonl", "vectors.parquet", "sheet.jpg"])
def test_a_command_does_not_wait_for_a_named_pipe(
    library: Library, tmp_path: Path, name: str
) -> None:
    library.close()
    pipe = tmp_path / name
    os.mkfifo(pipe)
    command = {
        "captions.jsonl": ["eval", str(pipe)],
        "vectors.parquet": ["cache", "import", str(pipe)],
        "sheet.jpg": ["cache", "export", str(pipe)],
    }[name]
    done = subprocess.run(
        [sys.executable, "-m", "mcp_vlsearch", *command, "--library", str(tmp_path / "library")],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode in (1, 2)
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


@pytest.mark.anyio
async def test_addresses_are_refused_with_a_line_that_says_what_to_give(library: Library) -> None:
    calls = {
        "index_images": "paths",
        "view_images": "images",
        "remove_images": "paths",
        "search_by_image": "image",
    }
    async with Client(build_server(library)) as client:
        for address in ("file:///etc/passwd", "https://example.com/a.png", "ftp://h/a", "FILE:/a"):
            for tool, parameter in calls.items():
                value = address if tool == "search_by_image" else [address]
                result = await client.call_tool(tool, {parameter: value})
                (content,) = result.content
                assert result.is_error
                assert isinstance(content, TextContent)
                assert "addresses are not opened: give" in content.text


def test_base64_is_bounded_before_it_is_decoded(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mcp_vlsearch.core import picture

    monkeypatch.setattr("base64.b64decode", pytest.fail)
    for given in ("A" * (picture.MAX_BASE64 + 1), "data:image/png;base64," + "A" * 2**26 + "A"):
        with pytest.raises(QueryError, match="shrink it"):
            library.search_by_image(given)


@pytest.mark.parametrize(
    "given", ["data:text/html;base64,aGk=", "data:image/png,x", "data:;base64,", "data:;;;;,"]
)
def test_data_uris_that_are_no_picture_are_one_line(library: Library, given: str) -> None:
    refused(TAKERS["search_by_image"], library, given)


WINDOWS_REFUSED = [
    r"\\.\PhysicalDrive0", r"\\?\C:\Users\me\a.png", r"\??\C:\a.png", "//./pipe/x", r"\\.\pipe\x",
    "CON", "con.png", "C:\\photos\\NUL", "C:\\photos\\aux.jpg", "C:\\COM1", "C:\\LPT9.txt",
    "C:\\photos\\COM¹", "C:", "C:a.png", "C:..\\a.png", "C:\\photos\\a.png:stream",
    "C:\\photos\\a.png::$DATA", "C:\\photos\\a.png.", "C:\\photos.. \\a.png", "CONIN$",
    "C:\\photos\\nul .png",
]  # fmt: skip
WINDOWS_ALLOWED = [
    "C:\\photos\\a.png", "C:/photos/a.png", "photos\\a.png", "..\\a.png", r"\\nas\photos\a.png",
    "C:\\photos\\console.png", "C:\\photos\\común.png", "C:\\", "C:\\photos\\.hidden\\a.png",
]  # fmt: skip


@pytest.mark.parametrize("name", WINDOWS_REFUSED)
def test_names_of_devices_and_streams_are_refused_on_windows(name: str) -> None:
    assert why_refused(name)


@pytest.mark.parametrize("name", WINDOWS_ALLOWED)
def test_names_of_files_are_allowed_on_windows(name: str) -> None:
    assert why_refused(name) is None


def test_a_share_is_told_by_its_name() -> None:
    for name in (r"\\server\share", r"\\server\share\a.png", "//server/share/a.png"):
        assert is_share(name), name
    for name in ("C:\\a", "a", "\\a", "/a", r"\\?\C:\a"):
        assert not is_share(name), name


def test_no_other_machine_is_asked_for_a_path_that_is_not_allowed(
    library: Library, monkeypatch: pytest.MonkeyPatch, take: Attack
) -> None:
    """On Windows, looking a share up would tell its server who the user is."""
    asked: list[str] = []

    def realpath(path: str, **_: object) -> str:
        asked.append(str(path))
        return str(path)

    monkeypatch.setattr(roots, "is_windows", True)
    monkeypatch.setattr(os.path, "realpath", realpath)
    assert "another machine" in refused(take, library, r"\\evil\share\a.png")
    assert not any("evil" in path for path in asked)


def test_the_takers_are_all_parameters_that_name_a_path(library: Library) -> None:
    """A new tool with a path joins the attacks: add it to TAKERS."""
    schemas = {
        tool.name: tool.parameters for tool in build_server(library)._tool_manager.list_tools()
    }
    with_paths = {
        name
        for name, schema in schemas.items()
        if {"paths", "image", "images", "filters"} & schema["properties"].keys()
    }
    assert with_paths == {
        "index_images", "search_by_image", "view_images", "explain_match", "remove_images",
        "search_by_text", "find_duplicates",
    }  # fmt: skip


def test_names_that_are_too_long_for_a_sheet_do_not_hold_it_up(library: Library) -> None:
    """Each was made shorter by one letter at a time until it fitted."""
    known = [image_id((Path(path) / "0.png").read_bytes()) for path in library.roots()]
    images = [f"/{'W' * 4000}/{'x' * 4000}{number}" for number in range(49)]
    began = time.monotonic()
    assert library.view([*known, *images]).sheet
    assert time.monotonic() - began < 5
