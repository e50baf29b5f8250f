"""Commands that serve, up to the moment at which they would begin to."""

import importlib
import signal
from collections.abc import Sequence
from contextlib import nullcontext
from io import StringIO
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

from mcp_vlsearch.cli import demo
from mcp_vlsearch.cli.interview import Answer, Question
from mcp_vlsearch.core.encoding import EncoderSlot
from mcp_vlsearch.server import encoder, http, stdio
from mcp_vlsearch.server.building import LibraryServer
from mcp_vlsearch.storybook import gallery

ENDLESS = ("demo", "encoder serve", "serve", "webui")
"""They end when they are told to, or start a server of their own."""


def hold(monkeypatch: pytest.MonkeyPatch, name: str) -> list[str]:
    """Let a command do all but serve, load a model and start processes; return what it began."""
    began: list[str] = []

    async def over_stdio(*_: Any) -> None:
        began.append("stdio")

    async def interviewed(
        _: Any, __: Any, questions: Sequence[Question], *___: Any
    ) -> list[Answer]:
        began.append("interview")
        return [Answer(question, []) for question in questions]

    modules: list[ModuleType] = [http, encoder, stdio]
    if name == "webui":
        pytest.importorskip("gradio")
        serving = importlib.import_module("mcp_vlsearch.webui.serving")
        monkeypatch.setattr(serving, "web_app", lambda *_: nullcontext())
        modules.append(serving)
    for module in modules:
        monkeypatch.setattr(module, "leave", lambda **_: None)
        if hasattr(module, "run"):
            monkeypatch.setattr(module, "run", lambda *_, **__: began.append("http"))
    monkeypatch.setattr(stdio, "_take_stdout", StringIO)
    monkeypatch.setattr(LibraryServer, "run_over_stdio", over_stdio)
    monkeypatch.setattr(EncoderSlot, "warm_up", lambda _: None)
    monkeypatch.setattr(encoder, "_introduce", lambda _: None)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(demo, "interview", interviewed)
    # Nothing is drawn, which takes long, but pictures are there.
    monkeypatch.setattr(gallery, "_draw", lambda task: Image.new("RGB", (8, 8)).save(task[1]))
    monkeypatch.setattr(gallery, "_WORTH_A_POOL", 20_000)
    return began
