"""What an assistant does with the tools, as a script: python agent_session.py [--out DIR].

It draws an album of storybook scenes by day, some of them also at night, and asks a server over
stdio: search, look at all hits on one sheet, look at the best one, find more like it "but at
night", and narrow that down by date. It prints who said what, and keeps every picture that came.
"""

import argparse
import asyncio
import base64
import json
import os
import random
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from mcp import Client, StdioServerParameters
from mcp.types import CallToolResult, ImageContent, TextContent
from PIL import ExifTags, Image

from mcp_vlsearch.storybook import Scene, caption, sample_scene
from mcp_vlsearch.storybook.drawing import draw

PIXELS = 600_000


def draw_album(folder: Path, count: int, seed: int) -> dict[Path, Scene]:
    """Draw scenes by day, and a third of them again at night some days later, as dated JPEGs.

    Return what each file shows. The same seed draws the same album.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(f"album {seed}")
    album = {}
    for number in range(count):
        scene = sample_scene(rng)
        by_day = replace(scene, setting=rng.choice(("meadow", "beach", "street", "forest", "snow")))
        taken = datetime(2024, 1, 1, 10) + timedelta(days=number * 365 // count, minutes=number * 7)
        shots = [(by_day, taken)]
        if number % 3 == 2:
            shots.append((at_night(by_day), taken + timedelta(days=3, hours=11)))
        for shown, when in shots:
            exif = Image.Exif()
            exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = (
                f"{when:%Y:%m:%d %H:%M:%S}"
            )
            file = folder / f"IMG_{when:%Y%m%d_%H%M}.jpg"
            draw(shown, PIXELS).save(file, quality=90, exif=exif)
            album[file] = shown
    return album


def at_night(scene: Scene) -> Scene:
    return replace(scene, setting="night")


class Session:
    """Calls tools as an assistant would, prints what goes to and fro, and keeps pictures."""

    def __init__(self, client: Client, out: Path) -> None:
        self._client = client
        self._out = out
        self._pictures = 0

    def say(self, who: str, text: str) -> None:
        print(f"{who:>9} | " + text.replace("\n", "\n" + " " * 9 + " | "))

    async def call(self, tool: str, **arguments: Any) -> CallToolResult:
        self.say("assistant", f"{tool} {json.dumps(arguments, ensure_ascii=False)}")
        result = await self._client.call_tool(tool, arguments)
        if result.is_error:
            raise SystemExit(text_of(result))
        return result

    async def search(self, tool: str, **arguments: Any) -> list[dict[str, Any]]:
        """Search, and return the hits."""
        found = (await self.call(tool, **arguments)).structured_content or {}
        hits: list[dict[str, Any]] = found["hits"]
        step = [f"next step: {found['next_step']}"] if found["next_step"] else []
        among = f"{len(hits)} hits among {found['searched_images']} of {found['total_images']}"
        lines = [
            f"{hit['rank']}. {Path(hit['path']).name}  {hit['relevance']:6}  {hit['score']:.3f}"
            f"  taken {hit['taken_at'] or 'at an unknown time'}"
            for hit in hits
        ]
        self.say("server", "\n".join([among, *lines, *step]))
        return hits

    async def view(self, name: str, images: list[str], layout: str) -> None:
        """Look at pictures, and keep what came."""
        result = await self.call("view_images", images=images, layout=layout)
        for part in result.content:
            if isinstance(part, ImageContent):
                self._pictures += 1
                file = self._out / f"{self._pictures}-{name}.jpg"
                file.write_bytes(base64.b64decode(part.data))
                with Image.open(file) as picture:
                    size = f"{picture.width} × {picture.height}"
                self.say("server", f"a picture of {size}, {file.stat().st_size // 1000} KB: {file}")
            elif isinstance(part, TextContent):
                self.say("server", part.text)


def text_of(result: CallToolResult) -> str:
    return " ".join(part.text for part in result.content if isinstance(part, TextContent))


async def talk(session: Session, wish: str) -> None:
    """Go from a wish to one picture, in six calls."""
    session.say("user", f"Index my pictures, please. Then find this one: {wish}")
    report = (await session.call("index_images")).structured_content or {}
    session.say("server", f"{report['total_images']} images, {report['encoded']} encoded now")
    hits = await session.search("search_by_text", query=wish, top_k=12)
    ids = [hit["image_id"] for hit in hits]
    await session.view("sheet", ids, "sheet")
    session.say("assistant", "Number 1 shows it. Let me look closer.")
    await session.view("picture", ids[:1], "single")
    session.say("user", "Yes. And did I take one of that at night?")
    alike = {"image": ids[0], "text": "but at night", "top_k": 6}
    await session.search("search_by_image", **alike)
    session.say("user", "It was within a week of the first one.")
    day = datetime.fromisoformat(hits[0]["taken_at"])
    week = {
        "taken_after": f"{day - timedelta(days=7):%Y-%m-%d}",
        "taken_before": f"{day + timedelta(days=8):%Y-%m-%d}",
    }
    hits = await session.search("search_by_image", **alike, filters=week)
    await session.view("that-week", [hit["image_id"] for hit in hits], "sheet")
    best = next(hit for hit in hits if hit["image_id"] != ids[0])
    session.say("assistant", f"Here it is: {best['path']}")


async def run(out: Path, count: int, seed: int) -> None:
    album = draw_album(out / "pictures", count, seed)
    rng = random.Random(seed)
    wanted = next(
        scene
        for scene in album.values()
        if len(scene.items) == 2
        and scene.style in ("flat", "cartoon")
        and at_night(scene) in album.values()
    )
    wish = caption(wanted, rng, "en", "full").text
    settings = ["--library", str(out / "library"), "--model", "storybook", "--share", "off"]
    server = StdioServerParameters(
        command="mcp-vlsearch",
        args=["serve", "--root", str(out / "pictures"), "--encoder", "qwen3-vl", *settings],
        env=dict(os.environ),
    )
    async with Client(server) as client:
        await talk(Session(client, out), wish)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=Path("session"))
    parser.add_argument("--count", type=int, default=24, help="scenes by day")
    parser.add_argument("--seed", type=int, default=5)
    options = parser.parse_args()
    asyncio.run(run(options.out.resolve(), options.count, options.seed))
