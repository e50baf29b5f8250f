"""Attacks by argument: whatever a tool or a command is given, it answers with one line or a result.

Arguments are made from the tools' own schemas and the commands' own options, the same each time.
"""

import asyncio
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import numpy as np
import pytest
import typer
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis_jsonschema import from_schema
from mcp import Client
from mcp.types import CallToolResult, TextContent
from numpy.typing import NDArray
from typer.core import TyperCommand

from mcp_vlsearch.cli import app
from mcp_vlsearch.cli.app import run
from mcp_vlsearch.contracts import Query
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.core.watching import Watcher
from mcp_vlsearch.plugins import BUILT_IN
from mcp_vlsearch.server import build_server
from tests.core.conftest import paint
from tests.core.mosaic import MosaicEncoder
from tests.security.starting import ENDLESS, hold

Schema = dict[str, Any]
Call = Callable[[str, Schema], CallToolResult]

BOUNDED: Final = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "12")),
    derandomize=True,
    database=None,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
PATHS: Final = ("/etc/passwd", "../x", "\0", "file:///x", "~", "~nobody/x", "/" * 5000, "-", ".",
                "C:\\x", "\\\\s\\s\\x", "a" * 300, "\ud800", "/dev/zero", "%s%n", "")  # fmt: skip
ODD = st.sampled_from(PATHS) | st.text(max_size=40)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ODD,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
TOOLS: Final = (
    "index_images", "search_by_text", "search_by_image", "view_images", "explain_match",
    "find_duplicates", "library_status", "remove_images",
)  # fmt: skip

HOSTS: Final = (
    "127.0.0.1", "localhost", "::1", "", "0.0.0.0", "::", "[::1]", "300.1.1.1", "1.2.3.4", "\0",
    "\ud800", "a" * 300, "..", "127.0.0.1:80", "fe80::1%nowhere",
)  # fmt: skip
"""None of them is asked for by its name, which takes time."""


class AnyText(MosaicEncoder):
    """Knows a colour for every text."""

    def _query(self, query: Query) -> NDArray[np.float32]:
        colour = (
            f"#{crc32(query.text.encode('utf-8', 'replace')) % 2**24:06x}" if query.text else ""
        )
        return super()._query(replace(query, text=colour))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """A library with four pictures, for all calls of a module."""
    folder = tmp_path_factory.mktemp("arguments")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BUILT_IN["encoders"], "any-text", "tests.security.test_arguments:AnyText")
        for seed in range(4):
            paint(folder / "photos" / f"{seed}.png", seed)
        with Library.open(
            folder / "library", encoder="any-text", model="colours", roots=(folder / "photos",)
        ) as opened:
            opened.index()
            yield opened


@pytest.fixture(scope="module")
def call(library: Library) -> Iterator[Call]:
    """A function that calls a tool through a client in memory, one for all calls."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(Client(build_server(library))) as client,
    ):
        yield lambda tool, arguments: portal.call(client.call_tool, tool, arguments)


@pytest.fixture(scope="module")
def schemas(library: Library) -> dict[str, Schema]:
    """The schema of each tool, as clients get it."""
    tools = asyncio.run(build_server(library).list_tools())
    return {tool.name: tool.input_schema for tool in tools}


def check(result: CallToolResult) -> None:
    """Hold that an answer is a result, or one line without a traceback."""
    if not result.is_error:
        return
    (content,) = result.content
    assert isinstance(content, TextContent)
    assert content.text.strip()
    assert "\n" not in content.text
    assert "Traceback" not in content.text
    assert "failed unexpectedly" not in content.text
    assert not re.search(r"\b\w+(?<!Root)Error\b:? ", content.text), content.text


def unharmed(library: Library) -> None:
    """Hold that the library finds what it found, after all that was removed is indexed again."""
    library.index()
    status = library.status()
    assert status.images == 4
    assert library.search_by_text("red").searched_images == 4


def allowed(schema: Schema, names: Schema) -> st.SearchStrategy[Any]:
    """Make what a schema allows; texts may be odd, too. ``names`` are its definitions."""
    if "$ref" in schema:
        return allowed(names[schema["$ref"].rsplit("/", 1)[1]], names)
    if "anyOf" in schema:
        return st.one_of(*(allowed(choice, names) for choice in schema["anyOf"]))
    if "properties" in schema:
        fields = {n: allowed(field, names) for n, field in schema["properties"].items()}
        needed = set(schema.get("required", ()))
        return st.fixed_dictionaries(
            {n: fields[n] for n in needed},
            optional={n: field for n, field in fields.items() if n not in needed},
        )
    if schema.get("type") == "array":
        most = min(schema.get("maxItems", 4), 4)
        items = allowed(schema["items"], names)
        return st.lists(items, min_size=schema.get("minItems", 0), max_size=most)
    made = from_schema(schema)
    return made | ODD if schema.get("type") == "string" and "enum" not in schema else made


@pytest.mark.parametrize("tool", TOOLS)
def test_tools_answer_any_arguments_with_a_result_or_one_line(
    library: Library, call: Call, schemas: dict[str, Schema], tool: str
) -> None:
    @BOUNDED
    @given(arguments=allowed(schemas[tool], schemas[tool].get("$defs", {})))
    def attack(arguments: dict[str, Any]) -> None:
        check(call(tool, arguments))

    attack()
    unharmed(library)


@pytest.mark.parametrize("tool", TOOLS)
def test_tools_answer_what_their_schema_forbids_with_one_line(
    library: Library, call: Call, schemas: dict[str, Schema], tool: str
) -> None:
    names = st.sampled_from([*schemas[tool].get("properties", {}), "unknown"])

    @BOUNDED
    @given(arguments=st.dictionaries(names, ANY_JSON, max_size=4))
    def attack(arguments: dict[str, Any]) -> None:
        check(call(tool, arguments))

    attack()
    unharmed(library)


def test_all_tools_are_attacked(schemas: dict[str, Schema]) -> None:
    assert set(TOOLS) == set(schemas)


def commands() -> dict[str, TyperCommand]:
    """Return every command by its words."""
    found: dict[str, TyperCommand] = {}
    groups = [("", typer.main.get_command(app))]
    for words, group in groups:
        for name, command in group.commands.items():  # type: ignore[attr-defined]
            whole = f"{words} {name}".strip()
            if hasattr(command, "commands"):
                groups.append((whole, command))
            else:
                found[whole] = command
    return found


COMMANDS: Final = sorted(commands())


def words(command: TyperCommand, folder: Path) -> st.SearchStrategy[list[str]]:
    """Make arguments of a command from its own parameters: fitting, odd, missing and unknown."""
    numbers = st.integers(-5, 20).map(str)
    pictures = [] if command.name == "storybook" else [str(folder / "photos")]
    known = st.sampled_from([*pictures, str(folder / "library"), "0.5", "mosaic"])
    text = ODD.filter(lambda t: "\0" not in t and t.isprintable() and t != "/dev/zero") | known
    parts: list[st.SearchStrategy[list[str]]] = [st.just([]), st.just(["--unknown"])]
    for parameter in command.params:
        flags = [flag for flag in parameter.opts if flag.startswith("--")]
        if parameter.name in ("library", "help") or "--out" in flags:
            continue
        value = st.sampled_from(HOSTS) if parameter.name == "host" else numbers | text
        if not flags:
            parts.append(value.map(lambda v: [v]))
        elif getattr(parameter, "is_flag", False):
            parts.append(st.just([flags[0]]))
        else:
            parts.append(value.map(partial(_with_flag, flags[0])))
    return st.lists(st.one_of(parts), max_size=5).map(
        lambda some: [w for part in some for w in part]
    )


def _with_flag(flag: str, value: object) -> list[str]:
    return [f"{flag}={value}"]


def check_said(capfd: pytest.CaptureFixture[str], given: object) -> bool:
    """Hold that a command has said no more than one line of what is wrong; False if it said one."""
    said = capfd.readouterr()
    assert "Traceback" not in said.out + said.err, given
    assert "MCP_VLSEARCH_DEBUG" not in said.err, (given, said.err)
    errors = [line for line in said.err.splitlines() if line.startswith("error: ")]
    assert len(errors) <= 1
    return not errors


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_answer_any_arguments_with_a_line_and_an_exit_code(
    library: Library,
    name: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    folder = library.settings.library.parent
    monkeypatch.chdir(tmp_path)
    if name in ENDLESS:
        hold(monkeypatch, name)
    monkeypatch.setattr(Watcher, "run", lambda _: None)  # which goes on until Ctrl-C
    for variable in [v for v in os.environ if v.startswith("MCP_VLSEARCH_")]:
        monkeypatch.delenv(variable)

    @BOUNDED
    @given(given_words=words(commands()[name], folder))
    def attack(given_words: Sequence[str]) -> None:
        code = run([*name.split(), "--library", str(folder / "library"), *given_words])
        assert code in (0, 1, 2), (code, given_words)
        check_said(capfd, given_words)

    attack()
    unharmed(library)


@pytest.mark.parametrize("name", ["serve --transport=http", "encoder serve", "webui --no-open"])
def test_servers_listen_at_any_address_or_say_in_a_line_why_not(
    library: Library, name: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    began = hold(monkeypatch, name.split()[0])
    where = f"--library={library.settings.library}"
    for host in HOSTS:
        code = run([*name.split(), where, f"--host={host}", "--port=0", "--token=sesame"])
        assert check_said(capfd, host) is (code == 0), host
    assert 3 <= len(began) < len(HOSTS)
