"""A folder of drawn scenes with their captions: the same seed always gives the same gallery."""

import errno
import json
import multiprocessing
import random
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from mcp_vlsearch.errors import VLSearchError
from mcp_vlsearch.storybook.captions import caption
from mcp_vlsearch.storybook.scene import Pairs, Scene, sample_scene

__all__ = ["CAPTIONS", "draw_gallery"]

CAPTIONS: Final = "captions.jsonl"

_NAME: Final = re.compile(r"scene-\d{4,}\.png")
_KEYS: Final = {"image", "caption", "caption_zh"}
_WORTH_A_POOL: Final = 64
"""Pictures from which on the start of more processes pays."""
_ELSEWHERE: Final = "give a folder that is new, or move it away"

Task = tuple[Scene, Path]


def draw_gallery(
    folder: Path,
    count: int,
    seed: int,
    pairs: Pairs = "all",
    advance: Callable[[int], None] = lambda _: None,
    workers: int = 1,
) -> Path:
    """Draw ``scene-0001.png`` … into a folder and return its ``captions.jsonl``.

    Each line of that file holds ``image``, ``caption`` (English) and ``caption_zh`` (Chinese), both
    in full. An earlier gallery in the folder is replaced; raises :class:`VLSearchError` if files of
    somebody else have the names of the new one, or if nothing can be written there. ``advance`` is
    called with the number of pictures drawn since the last call, and may raise to stop. With
    ``workers`` over 1 large galleries are drawn in that many processes.
    """
    rng = random.Random(f"storybook {seed}")
    lines, tasks = [], []
    for number in range(1, count + 1):
        scene = sample_scene(rng, pairs)
        name = f"scene-{number:04d}.png"
        english = caption(scene, rng, "en", "full").text
        chinese = caption(scene, rng, "zh", "full").text
        lines.append({"image": name, "caption": english, "caption_zh": chinese})
        tasks.append((scene, folder / name))
    captions = folder / CAPTIONS
    names = {line["image"] for line in lines}
    earlier = _earlier(captions)
    if taken := sorted(name for name in names - earlier if (folder / name).exists()):
        raise VLSearchError(f"{folder} has a {taken[0]} that was not drawn here: {_ELSEWHERE}")
    with _written_into(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name in earlier - names:
            (folder / name).unlink(missing_ok=True)
        # Before the pictures, so that those of a drawing that is stopped are known as ours.
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        captions.write_text(text, "utf-8", newline="\n")
        for _ in _drawn(tasks, workers):
            advance(1)
    return captions


@contextmanager
def _written_into(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:  # which has a line of its own
            raise
        raise VLSearchError(
            f"{folder} can't be written into ({error.strerror}): give another folder"
        ) from error


def _earlier(captions: Path) -> set[str]:
    """Return the pictures of an earlier gallery, which is known by the form of every line."""
    try:
        lines = [json.loads(line) for line in captions.read_text("utf-8").splitlines()]
    except FileNotFoundError:
        return set()
    except (OSError, ValueError):
        lines = [None]  # not JSON lines
    if not all(isinstance(line, dict) and _is_ours(line) for line in lines):
        raise VLSearchError(f"{captions} is not from an earlier drawing: {_ELSEWHERE}")
    return {line["image"] for line in lines}


def _is_ours(line: dict[str, object]) -> bool:
    return line.keys() == _KEYS and _NAME.fullmatch(str(line["image"])) is not None


def _drawn(tasks: list[Task], workers: int) -> Iterator[None]:
    if workers > 1 and len(tasks) >= _WORTH_A_POOL:
        # Spawned, because a fork beside the threads of a library may hang.
        context = multiprocessing.get_context("spawn")
        with context.Pool(workers, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
            yield from pool.imap_unordered(_draw, tasks, chunksize=4)
    else:
        yield from map(_draw, tasks)


def _draw(task: Task) -> None:
    from mcp_vlsearch.storybook.drawing import draw  # Pillow, which --help has no use for

    scene, path = task
    draw(scene).save(path)
