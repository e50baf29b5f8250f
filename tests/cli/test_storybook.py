"""``storybook`` and ``demo``: drawn galleries, and the whole system over MCP."""

import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mcp_vlsearch.cli import demo
from mcp_vlsearch.cli.interview import Answer, Question
from mcp_vlsearch.errors import CancelledError
from mcp_vlsearch.storybook import draw_gallery, gallery
from mcp_vlsearch.types import Hit

from .conftest import Run, register, start


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_seed_always_gives_the_same_gallery(run: Run, tmp_path: Path) -> None:
    for folder, seed in (("one", "7"), ("two", "7"), ("three", "8")):
        assert run("storybook", tmp_path / folder, "--count", "3", "--seed", seed).code == 0
    assert content(tmp_path / "one") == content(tmp_path / "two")
    assert content(tmp_path / "one") != content(tmp_path / "three")


def test_every_picture_has_its_captions_in_both_languages(run: Run, tmp_path: Path) -> None:
    result = run("storybook", tmp_path, "--count", "3", "--json")
    assert json.loads(result.out) == {"images": 3, "captions": str(tmp_path / "captions.jsonl")}
    lines = (tmp_path / "captions.jsonl").read_text("utf-8").splitlines()
    captions = [json.loads(line) for line in lines]
    assert [line["image"] for line in captions] == [f"scene-000{n}.png" for n in (1, 2, 3)]
    for line in captions:
        assert list(line) == ["image", "caption", "caption_zh"]
        assert line["caption"].isascii()
        assert any("\u4e00" <= character <= "\u9fff" for character in line["caption_zh"])
        with Image.open(tmp_path / line["image"]) as picture:
            picture.verify()


def test_an_earlier_gallery_is_replaced_and_other_files_are_left(tmp_path: Path) -> None:
    draw_gallery(tmp_path, 3, 1)
    (tmp_path / "scene-mine.png").write_text("not drawn by us")
    draw_gallery(tmp_path, 1, 2)
    assert set(content(tmp_path)) == {"scene-0001.png", "captions.jsonl", "scene-mine.png"}


def test_a_gallery_that_was_stopped_can_be_drawn_again(tmp_path: Path) -> None:
    def stop(_: int) -> None:
        raise CancelledError

    with pytest.raises(CancelledError):
        draw_gallery(tmp_path / "stopped", 3, 1, advance=stop)
    draw_gallery(tmp_path / "stopped", 3, 1)
    draw_gallery(tmp_path / "whole", 3, 1)
    assert content(tmp_path / "stopped") == content(tmp_path / "whole")


OWN = '{"image": "scene-0001.png", "caption": "mine", "caption_zh": "我的"}\n'


@pytest.mark.parametrize(
    "captions",
    [
        '{"image": "scene-0001.png", "caption": "mine"}',
        '{"caption": "mine"}',
        OWN + '{"image": "holiday.png", "caption": "mine", "caption_zh": "我的"}',
        OWN + '{"image": "../scene-0002.png", "caption": "mine", "caption_zh": "我的"}',
        OWN + '{"image": "scene-0002.png", "caption": "", "caption_zh": "", "author": "me"}',
        OWN + "[]",
        OWN + "notes",
    ],
)
def test_captions_of_somebody_else_are_left_alone(run: Run, tmp_path: Path, captions: str) -> None:
    (tmp_path / "captions.jsonl").write_text(captions, "utf-8")
    (tmp_path / "scene-0001.png").write_text("mine")
    before = content(tmp_path)
    result = run("storybook", tmp_path, "--count", "1")
    assert result.code == 1
    assert result.err.splitlines()[-1].startswith(f"error: {tmp_path / 'captions.jsonl'} is not")
    assert content(tmp_path) == before


@pytest.mark.parametrize("earlier", [False, True], ids=["no gallery", "a smaller gallery"])
def test_pictures_of_somebody_else_are_left_alone(run: Run, tmp_path: Path, earlier: bool) -> None:
    if earlier:
        draw_gallery(tmp_path, 1, 1)
    (tmp_path / "scene-0002.png").write_text("mine")
    before = content(tmp_path)
    result = run("storybook", tmp_path, "--count", "2", "--seed", "2")
    assert result.code == 1
    assert "scene-0002.png that was not drawn here" in result.err
    assert content(tmp_path) == before


def test_many_processes_draw_what_one_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery, "_WORTH_A_POOL", 2)
    drawn: list[int] = []
    draw_gallery(tmp_path / "one", 5, 1)
    draw_gallery(tmp_path / "two", 5, 1, advance=drawn.append, workers=2)
    assert sum(drawn) == 5
    assert content(tmp_path / "one") == content(tmp_path / "two")


def test_the_demo_says_over_mcp_which_pictures_were_found_and_draws_a_sheet(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Colours know a copy of a picture, but no Chinese, so this demo must own up to failure."""
    monkeypatch.setenv("MCP_VLSEARCH_ROOTS", str(pictures))
    monkeypatch.setenv("MCP_VLSEARCH_READ_ONLY", "true")
    out_folder = tmp_path / "demo"
    command = ("demo", "--out", out_folder, "--count", "8", "--encoder", "colours", "--json")
    with start(*command) as process:
        out, err = process.communicate()
    summary = json.loads(out)
    kinds = {answer["kind"]: answer for answer in summary["answers"]}
    assert process.returncode == 1, err
    for work in ("drawing", "indexing"):
        assert sum(line.startswith(f"{work} 8 of 8") for line in err.splitlines()) == 1, err
    assert set(kinds) == {"English", "Chinese", "picture"}
    assert kinds["picture"]["right"]
    assert kinds["picture"]["hits"][0]["path"].endswith(Path(kinds["picture"]["wanted"]).name)
    assert summary["right"] == sum(answer["right"] for answer in summary["answers"])
    assert summary["right"] < summary["queries"]
    found = [hit["path"] for answer in summary["answers"] for hit in answer["hits"]]
    assert all("scene-" in path for path in found), "the user's own settings are left alone"
    with Image.open(out_folder / "contact-sheet.png") as sheet:
        assert sheet.width > 1000


def hit(path: Path) -> Hit:
    return Hit.model_validate(
        {
            "rank": 1,
            "image_id": "0" * 16,
            "path": str(path),
            "other_paths": [],
            "part": None,
            "score": 0.5,
            "relevance": "strong",
            "width": 8,
            "height": 8,
            "format": "PNG",
            "bytes": 8,
            "taken_at": None,
        }
    )


@pytest.mark.parametrize(("wrong", "code"), [(0, 0), (1, 1)])
def test_the_demo_succeeds_only_if_every_picture_comes_first(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: int, code: int
) -> None:
    async def interview(*arguments: Any) -> list[Answer]:
        questions: Sequence[Question] = arguments[2]
        mixed = [*reversed(questions[: wrong + 1]), *questions[wrong + 1 :]]
        return [Answer(q, [hit(s.right)]) for q, s in zip(questions, mixed, strict=True)]

    monkeypatch.setattr(demo, "interview", interview)
    result = run("demo", "--out", tmp_path, "--count", "8")
    assert result.code == code
    assert ("WRONG" in result.out) is bool(wrong)
    assert run("demo", "--out", tmp_path, "--count", "8").code == code, "its own sheet is replaced"


def test_a_demo_replaces_no_sheet_of_somebody_else_unless_forced(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def interview(*arguments: Any) -> list[Answer]:
        return [Answer(question, [hit(question.right)]) for question in arguments[2]]

    monkeypatch.setattr(demo, "interview", interview)
    mine = tmp_path / "contact-sheet.png"
    Image.new("RGB", (8, 8)).save(mine)
    before = mine.read_bytes()
    refused = run("demo", "--out", tmp_path, "--count", "8")
    assert refused.code == 2
    assert refused.err == (
        f"error: --out: {mine} is not from an earlier demo: give another folder, or --force to "
        "replace it\n"
    )
    assert content(tmp_path) == {"contact-sheet.png": before}
    assert run("demo", "--out", tmp_path, "--count", "8", "--force").code == 0
    assert mine.read_bytes() != before


def test_a_demo_whose_server_fails_says_what_the_server_said(tmp_path: Path) -> None:
    command = ("demo", "--out", tmp_path, "--count", "8", "--encoder", "broken")
    with start(*command) as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert out == ""
    assert err.splitlines()[-1].startswith("error: index_images: ")
    assert "out of order" in err.splitlines()[-1]


@pytest.mark.parametrize(
    ("flag", "value"), [("--encoder", "nope"), ("--index", "nope"), ("--precision", "fp7")]
)
def test_a_demo_with_a_wrong_setting_draws_nothing(
    run: Run, tmp_path: Path, flag: str, value: str
) -> None:
    result = run("demo", "--out", tmp_path / "demo", flag, value)
    assert result.code == 2
    (line,) = result.err.splitlines()
    assert line.startswith(f"error: {flag}")
    assert not (tmp_path / "demo").exists()


def test_a_demo_whose_server_does_not_start_is_one_line_after_the_servers_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(tmp_path / "more", "torn", "tools", torn="not_there:register")
    paths = os.pathsep.join((str(tmp_path / "more"), os.environ["PYTHONPATH"]))
    monkeypatch.setenv("PYTHONPATH", paths)
    with start("demo", "--out", tmp_path, "--count", "8", "--encoder", "colours") as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, ""), err
    server, demo = err.splitlines()[-2:]
    assert server.startswith("error: ")
    assert "not_there" in server
    assert demo.startswith("error: the demo's server does not answer")


def test_ctrl_c_while_drawing_is_clean(tmp_path: Path) -> None:
    with start("storybook", tmp_path / "gallery", "--count", "5000") as process:
        assert process.stderr is not None
        assert "drawing" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "stopped"
    assert "Traceback" not in err
