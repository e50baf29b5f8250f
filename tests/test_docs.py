"""The documentation says what the code does: options, settings, tools, snippets, messages."""

import ast
import json
import os
import re
import shlex
import sys
import textwrap
import tomllib
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args
from urllib.parse import parse_qs, urlsplit

import pytest
import typer
from mcp import Client, StdioServerParameters
from mcp.server import MCPServer
from PIL import Image
from typer.core import TyperCommand, TyperOption

import mcp_vlsearch
from mcp_vlsearch import plugins
from mcp_vlsearch.cli import app, run
from mcp_vlsearch.cli.options import FILTERS
from mcp_vlsearch.clients.changing import snippet
from mcp_vlsearch.clients.links import cursor_link, vscode_link
from mcp_vlsearch.clients.table import CLIENTS as CLIENTS_KNOWN
from mcp_vlsearch.clients.table import client_named
from mcp_vlsearch.core import parted, pdf, scans, video
from mcp_vlsearch.core.batch import AHEAD_BYTES, BATCH_BYTES
from mcp_vlsearch.core.digest import MAX_FILE_BYTES
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.core.pillow import MAX_DECODED_PIXELS
from mcp_vlsearch.server import build_server
from mcp_vlsearch.settings import Settings, load_settings
from mcp_vlsearch.testing import check_rewriter
from mcp_vlsearch.types import Filters, Hit, Near, SearchResult, StageName

REPOSITORY = Path(__file__).parents[1]
DOCS = REPOSITORY / "docs"
SNIPPETS = sorted(
    file for file in (REPOSITORY / "examples" / "clients").iterdir() if file.suffix != ".md"
)
PLUGIN = REPOSITORY / "examples" / "plugin" / "src"
PAGES = [
    REPOSITORY / "README.md",
    REPOSITORY / "CONTRIBUTING.md",
    REPOSITORY / "benchmarks" / "README.md",
    REPOSITORY / "examples" / "plugin" / "README.md",
    *sorted(DOCS.glob("*.md")),
]
USAGE, CLIENTS, PLUGINS, TROUBLES = (
    (DOCS / f"{name}.md").read_text("utf-8")
    for name in ("usage", "clients", "plugins", "troubleshooting")
)

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_QUOTE = re.compile(r"\]\(([^)#]+)\):\n\n```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]*))?\)")


def commands() -> dict[str, TyperCommand]:
    """Return every command by its words, such as ``encoder serve``."""
    found: dict[str, TyperCommand] = {}
    groups = [("", typer.main.get_command(app))]
    for words, group in groups:
        for name, command in vars(group)["commands"].items():
            if isinstance(command, TyperCommand):
                found[words + name] = command
            else:
                groups.append((f"{words}{name} ", command))
    return found


def options(command: TyperCommand, panel: str | None = None) -> list[TyperOption]:
    found = [p for p in command.params if isinstance(p, TyperOption)]
    return [option for option in found if option.rich_help_panel == panel]


def flags(command: TyperCommand, panel: str | None = None) -> set[str]:
    return {flag for o in options(command, panel) for flag in (*o.opts, *o.secondary_opts)}


def section(text: str, title: str) -> str:
    """Return what stands under a heading, up to the next one of its level or above."""
    level, rest = re.split(rf"^(#+) {re.escape(title)}\n", text, flags=re.MULTILINE)[1:]
    return re.split(rf"^#{{1,{len(level)}}} ", rest, flags=re.MULTILINE)[0]


def table(text: str, first: str) -> list[list[str]]:
    """Return the cells of the table whose head begins with a word."""
    lines = text[text.index(f"| {first} |") :].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" |")] for line in lines[2:]]


def blocks(text: str, language: str) -> list[str]:
    return [body for name, body in _FENCE.findall(text) if name == language]


def stated(value: object) -> str:
    """Return a default as the settings table writes it."""
    if value is None or value == ():
        return "none"
    return f"`{json.dumps(value)}`" if isinstance(value, bool) else f"`{value}`"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def colours(monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of the example's encoder, which this process knows now."""
    monkeypatch.syspath_prepend(PLUGIN)
    target = "mcp_vlsearch_colours:ColourEncoder"
    monkeypatch.setitem(plugins.BUILT_IN["encoders"], "colours", target)
    return "colours"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home folder with two pictures."""
    pictures = tmp_path / "home" / "Pictures"
    pictures.mkdir(parents=True)
    for colour in ("red", "blue"):
        Image.new("RGB", (32, 24), colour).save(pictures / f"{colour}.png")
    return pictures.parent


@pytest.fixture
def library(colours: str, home: Path, tmp_path: Path) -> Iterator[Library]:
    flags = {"library": tmp_path / "library", "encoder": colours, "roots": (home,)}
    with Library(load_settings(flags, environment={})) as library:
        yield library


@pytest.mark.parametrize("name", commands())
def test_every_command_and_its_own_options_are_in_its_section(name: str) -> None:
    command = commands()[name]
    said = section(USAGE, name)
    assert f"mcp-vlsearch {name}" in said, "an example"
    for flag in flags(command) - {"--json", "--help", "-h"}:
        assert re.search(rf"`{flag}\b", said), flag


@pytest.mark.parametrize("name", commands())
def test_every_command_takes_json_and_says_what_it_and_its_options_do(name: str) -> None:
    command = commands()[name]
    assert command.help
    assert "--json" in flags(command)
    for option in command.params:
        assert getattr(option, "help", None), option.name


def test_no_section_is_about_a_command_that_is_not_there() -> None:
    said = re.findall(r"^### (.+)$", section(USAGE, "Commands"), re.MULTILINE)
    assert set(said) == set(commands())
    assert len(said) == len(commands())


def test_the_settings_table_is_that_of_the_settings() -> None:
    expected = [
        [
            f"`{name}`",
            f"`--{'root' if name == 'roots' else name.replace('_', '-')}`",
            f"`MCP_VLSEARCH_{name.upper()}`",
            "the user data folder" if field.is_required() else stated(field.default),
            field.description,
        ]
        for name, field in Settings.model_fields.items()
    ]
    assert table(section(USAGE, "Settings"), "Name") == expected


def test_the_table_of_flags_names_the_commands_that_take_them() -> None:
    taken: dict[str, set[str]] = {"--root": {"serve", "webui"}}
    for name, command in commands().items():
        for flag in flags(command, "Settings"):
            taken.setdefault(flag, set()).add(name)
    said = {
        flag: set(re.findall(r"`([^`]+)`", names))
        for row, names in table(section(USAGE, "Settings"), "Flags")
        for flag in re.findall(r"`(\S+)`", row)
    }
    assert said == taken


def test_the_config_file_shown_is_one_that_is_understood(tmp_path: Path) -> None:
    [example] = blocks(USAGE, "toml")
    (tmp_path / "config.toml").write_text(example)
    settings = load_settings({"library": tmp_path}, environment={})
    assert settings.dim == 1024
    assert len(settings.roots) == 2


def test_the_stages_of_a_profile_are_those_of_the_code() -> None:
    said = [row[0].strip("`") for row in table(section(USAGE, "index"), "Stage")]
    assert said == list(get_args(StageName))
    assert all(f"`{name}`" in section(USAGE, "index") for name in ("seconds", "threads", "share"))


def test_the_limits_told_are_those_of_the_code() -> None:
    from mcp_vlsearch.encoders.qwen3_vl.checkpoint import DEFAULT_MAX_PIXELS

    architecture = " ".join((DOCS / "architecture.md").read_text("utf-8").split())
    assert f"wait take {AHEAD_BYTES // 2**20} MiB at most" in architecture
    assert f"(`batch.py`) {BATCH_BYTES // 2**20} MiB" in architecture
    assert f"over {MAX_FILE_BYTES // 2**20} MiB" in USAGE
    assert f"{MAX_DECODED_PIXELS // 10**6} megapixels" in USAGE
    assert f"none is {DEFAULT_MAX_PIXELS} (" in USAGE


def test_what_is_said_of_files_with_several_images_is_true_of_the_code() -> None:
    search = (DOCS / "search.md").read_text("utf-8")
    said = section(search, "PDF pages and videos")
    rows = table(said, "Files")
    for row, kind in zip(rows, parted.KINDS, strict=True):
        assert set(re.findall(r"`(\.\w+)`", row[0])) == kind.suffixes
        assert kind.remedy in row[1]
        assert row[4] == f"`{kind.limit}`, {Settings.model_fields[kind.limit].default}"
    words = " ".join(said.split())
    assert f"at {pdf.DPI} dots per inch, {pdf.MAX_PAGE_PIXELS // 10**6} megapixels" in words
    assert f"ends after {video.LOOK_SECONDS:.0f} seconds" in words
    assert (
        f"again after {video.FRAME_SECONDS:.0f}; drawing a page after {pdf.PAGE_SECONDS:.0f}"
        in words
    )
    assert f"too, for {video.WALK_SECONDS:.0f} seconds at most" in words
    words = " ".join(section(search, "Poor scans").split())
    assert f"to {scans.MAX_SKEW:.0f} degrees askew" in words


def test_the_filters_table_is_that_of_the_filters() -> None:
    said = section(USAGE, "Filters")
    expected = [
        [f"`{name}`", f"`--{name.replace('_', '-')}`", field.description]
        for name, field in Filters.model_fields.items()
    ]
    assert table(said, "Field") == expected
    assert flags(commands()["search"], "Filters") == {f"--{n.replace('_', '-')}" for n in FILTERS}
    assert all(f"`{name}`" in said for name in Near.model_fields)


@pytest.mark.anyio
async def test_every_mcp_tool_is_described_with_its_parameters_and_defaults(
    library: Library,
) -> None:
    said = section(USAGE, "MCP tools")
    async with Client(build_server(library)) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert set(re.findall(r"^### (\S+)$", said, re.MULTILINE)) == set(tools)
    for name, tool in tools.items():
        schemas: dict[str, Any] = tool.input_schema["properties"]
        rows = table(section(said, name), "Parameter") if schemas else []
        found = {row[0].strip("`"): row[1].strip("`") for row in rows}
        assert {k: json.loads(v) if v else None for k, v in found.items()} == {
            k: schema.get("default") for k, schema in schemas.items()
        }
        required = {key for key, default in found.items() if not default}
        assert required == set(tool.input_schema.get("required", [])), name


def test_every_field_of_a_hit_is_named() -> None:
    for name in {*SearchResult.model_fields, *Hit.model_fields}:
        assert f"`{name}`" in section(USAGE, "MCP tools"), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_to_a_heading(page: Path) -> None:
    text = page.read_text("utf-8")
    for target, heading in _LINK.findall(text):
        there = page.parent / target if target else page
        assert there.exists(), target
        if heading:
            titles = re.findall(r"^#+ (.+)$", there.read_text("utf-8"), re.MULTILINE)
            assert heading in {title.lower().replace(" ", "-") for title in titles}, heading


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_is_quoted_from_a_file_stands_there(page: Path) -> None:
    for target, quoted in _QUOTE.findall(page.read_text("utf-8")):
        assert quoted in (page.parent / target).read_text("utf-8"), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_in_the_documentation_compiles(page: Path) -> None:
    for block in blocks(page.read_text("utf-8"), "python"):
        compile(textwrap.dedent(block), str(page), "exec")


def test_the_snippets_shown_are_the_files_in_full() -> None:
    shown = {Path(target).name: body for target, body in _QUOTE.findall(CLIENTS)}
    assert shown == {file.name: file.read_text("utf-8") for file in SNIPPETS}
    assert len(blocks(CLIENTS, "json") + blocks(CLIENTS, "toml")) == len(SNIPPETS)


def servers(file: Path) -> list[dict[str, Any]]:
    """Return the servers that a snippet tells a client of."""
    text = file.read_text("utf-8")
    content = tomllib.loads(text) if file.suffix == ".toml" else json.loads(text)
    key = client_named(file.stem.removesuffix("-http")).key
    assert set(content) <= {key, "inputs"}
    return list(content[key].values())


def started() -> list[tuple[str, list[str]]]:
    """Return every command line by which the documentation starts a server over stdio."""
    snippets = [s for file in SNIPPETS for s in servers(file) if "command" in s]
    lines = [(s["command"], s["args"]) for s in snippets]
    for page in PAGES:
        for line in re.findall(r"^claude mcp add \S+ -- (.+)$", page.read_text(), re.MULTILINE):
            command, *arguments = shlex.split(line)
            lines.append((command, arguments))
    return lines


def test_snippets_and_claude_mcp_add_start_one_and_the_same_server() -> None:
    assert len(started()) == len(CLIENTS_KNOWN) + 2  # the page and the README
    assert {(c, *a) for c, a in started()} == {("mcp-vlsearch", "serve", "--root", "~/Pictures")}


def parsed(form: str, text: str) -> Any:
    return tomllib.loads(text) if form == "toml" else json.loads(text)


@pytest.mark.parametrize("name", [client.name for client in CLIENTS_KNOWN])
def test_install_prints_what_the_page_shows_for_a_client(name: str) -> None:
    client = client_named(name)
    [file] = [file for file in SNIPPETS if file.stem == name]
    entry = client.entry("mcp-vlsearch", ["serve", "--root", "~/Pictures"])
    printed = snippet(client, "pictures", entry)
    assert parsed(client.form, printed) == parsed(client.form, file.read_text("utf-8"))
    [row] = [row for row in table(CLIENTS, "CLIENT") if row[0] == f"`{name}`"]
    assert (client.project or "") in row[2]
    assert Path(client.user).name in row[1]


@pytest.mark.parametrize(
    "page", [REPOSITORY / "README.md", DOCS / "clients.md"], ids=lambda p: p.name
)
def test_the_links_add_what_install_prints_for_uvx(
    page: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in [name for name in os.environ if name.startswith("MCP_VLSEARCH_")]:
        monkeypatch.delenv(variable)
    text = (REPOSITORY / page).read_text("utf-8")
    links = dict(re.findall(r"^\[(cursor|vscode)\]: (https://.+)$", text, re.MULTILINE))
    assert run(["install", "cursor", "--uvx", "--print"]) == 0
    printed = json.loads(capfd.readouterr().out)["mcpServers"]
    ((name, entry),) = printed.items()
    query = parse_qs(urlsplit(links["cursor"]).query)
    assert {query["name"][0]: json.loads(b64decode(query["config"][0], validate=True))} == printed
    assert links["cursor"] == cursor_link(name, entry)
    assert run(["install", "vscode", "--uvx", "--print"]) == 0
    printed = json.loads(capfd.readouterr().out)["servers"]
    ((name, entry),) = printed.items()
    query = parse_qs(urlsplit(links["vscode"]).query)
    assert {query["name"][0]: json.loads(query["config"][0])} == printed
    assert links["vscode"] == vscode_link(name, entry)


@pytest.mark.anyio
async def test_the_server_of_the_snippets_starts_and_finds_pictures(
    home: Path, tmp_path: Path
) -> None:
    info = tmp_path / "site" / "example-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: example\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[mcp_vlsearch.encoders]\ncolours = mcp_vlsearch_colours:ColourEncoder\n"
    )
    program = tmp_path / "mcp-vlsearch"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mcp_vlsearch "$@"\n')
    program.chmod(0o755)
    command, arguments = started()[0]
    assert command == program.name
    path = os.pathsep.join(map(str, (info.parent, PLUGIN, REPOSITORY / "src")))
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PYTHONPATH": path,
        "MCP_VLSEARCH_ENCODER": "colours",
        "MCP_VLSEARCH_LIBRARY": str(tmp_path / "library"),
        "MCP_VLSEARCH_SHARE": "off",
    }
    server = StdioServerParameters(command=str(program), args=arguments, env=environment)
    async with Client(server) as client:
        await client.call_tool("index_images", {})
        found = await client.call_tool("search_by_text", {"query": "blue"})
    assert found.structured_content is not None
    assert found.structured_content["hits"][0]["path"].endswith("Pictures/blue.png")


def test_snippets_over_http_have_the_servers_address_and_its_token() -> None:
    defaults = {o.name: o.default for o in options(commands()["serve"])}
    address = f"http://{defaults['host']}:{defaults['port']}/mcp"
    over_http = [s for file in SNIPPETS for s in servers(file) if "command" not in s]
    assert len(over_http) == 3
    for server in over_http:
        assert server["url"] == address
        assert re.fullmatch(r"Bearer \$\{[\w:]+\}", server["headers"]["Authorization"])


def test_the_readmes_python_prints_what_is_found(
    library: Library, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    library.index()
    monkeypatch.setenv("MCP_VLSEARCH_LIBRARY", str(library.settings.library))
    [example] = blocks((REPOSITORY / "README.md").read_text("utf-8"), "python")
    exec(compile(example, "README.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["1", "2"]


def plugin_example(word: str) -> dict[str, Any]:
    """Return what the example with a word in it defines."""
    [example] = [block for block in blocks(PLUGINS, "python") if word in block]
    names: dict[str, Any] = {}
    exec(compile(example, "plugins.md", "exec"), names)
    return names


@pytest.mark.usefixtures("colours")
def test_the_check_of_the_plugin_page_passes() -> None:
    plugin_example("check_encoder")["test_the_encoder_keeps_the_contract"]()


def test_the_rewriter_of_the_plugin_page_keeps_the_contract() -> None:
    rewriter = plugin_example("def rewrite")["American"](Settings(library=Path("unused")))
    check_rewriter(rewriter)
    assert rewriter.rewrite("a grey cat") == ["a gray cat"]


@pytest.mark.anyio
async def test_the_tool_of_the_plugin_page_answers(library: Library) -> None:
    library.index()
    server = MCPServer("test")
    plugin_example("def register")["register"](server, library)
    async with Client(server) as client:
        result = await client.call_tool("count_images", {})
    assert result.structured_content == {"result": 2}


def test_the_plugin_page_has_every_group_and_suite() -> None:
    groups = {row[0] for row in table(PLUGINS, "Entry-point group")}
    assert groups == {f"`mcp_vlsearch.{group}`" for group in plugins.BUILT_IN}
    assert all(f"`{name}(" in PLUGINS for name in mcp_vlsearch.testing.__all__)


def source_texts() -> list[str]:
    """Return every text in the sources, with … where a value goes."""

    def text(node: ast.AST) -> str | None:
        match node:
            case ast.Constant(value=str(value)):
                return value
            case ast.JoinedStr(values=parts):
                return "".join(text(part) or "…" for part in parts)
        return None

    package = Path(mcp_vlsearch.__file__).parent
    trees = [ast.parse(file.read_text("utf-8")) for file in sorted(package.rglob("*.py"))]
    return [found for tree in trees for node in ast.walk(tree) if (found := text(node))]


def test_the_messages_explained_are_those_of_the_sources() -> None:
    real = source_texts()
    tables = TROUBLES.split("| Message |")[1:]
    explained = [
        row[0].strip("`") for part in tables for row in table("| Message |" + part, "Message")
    ]
    assert len(explained) > 20
    for message in explained:
        pattern = ".*".join(re.escape(piece.strip()) for piece in message.split("…"))
        assert any(re.search(pattern, text, re.DOTALL) for text in real), message
