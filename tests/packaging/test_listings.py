"""What registries and desktop assistants read of this project is true of the project."""

import asyncio
import json
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from typer.main import get_command

from mcp_vlsearch import cli
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.server import build_server
from mcp_vlsearch.settings import load_settings

from .conftest import REPOSITORY

BUNDLE = REPOSITORY / "packaging" / "mcpb"
SERVER: dict[str, Any] = json.loads((REPOSITORY / "server.json").read_text("utf-8"))
MANIFEST: dict[str, Any] = json.loads((BUNDLE / "manifest.json").read_text("utf-8"))
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
MCPB = "@anthropic-ai/mcpb@2.1.2"


def mcpb(*arguments: str) -> str:
    """Run the tool of bundles out of npm's cache; skip where it is not there."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no Node: only what the other tests hold of the manifest is checked")
    command = [npm, "exec", "--offline", "--yes", f"--package={MCPB}", "--", "mcpb"]
    if subprocess.run([*command, "--version"], capture_output=True, check=False).returncode:
        pytest.skip("npm has no mcpb in its cache: `make mcpb` fetches it, and checks the manifest")
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_listing_has_the_version_of_the_project() -> None:
    (package,) = SERVER["packages"]
    (with_extra,) = package["runtimeArguments"]
    bundle = tomllib.loads((BUNDLE / "pyproject.toml").read_text("utf-8"))["project"]
    version = PROJECT["version"]
    assert {SERVER["version"], package["version"], MANIFEST["version"], bundle["version"]} == {
        version
    }
    assert with_extra["value"] == f"{PROJECT['name']}[cpu]=={version}"
    assert bundle["dependencies"] == [f"{PROJECT['name']}[cpu]=={version}"]
    assert bundle["requires-python"] == PROJECT["requires-python"]
    assert MANIFEST["compatibility"]["runtimes"]["python"] == PROJECT["requires-python"]
    assert MANIFEST["license"] == PROJECT["license"]


def test_the_registry_knows_the_package_by_a_name_that_its_readme_carries() -> None:
    assert SERVER["$schema"].endswith("/schemas/2025-12-11/server.schema.json")
    assert re.fullmatch(r"[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+", SERVER["name"])
    assert 3 <= len(SERVER["name"]) <= 200
    assert f"<!-- mcp-name: {SERVER['name']} -->" in (REPOSITORY / "README.md").read_text("utf-8")
    assert 1 <= len(SERVER["description"]) <= 100
    assert SERVER["packages"][0]["identifier"] == PROJECT["name"]


def test_the_listing_has_what_the_registry_demands() -> None:
    assert 1 <= len(SERVER["title"]) <= 100
    (package,) = SERVER["packages"]
    assert package["registryType"] == "pypi"
    assert package["transport"] == {"type": "stdio"}
    for version in (SERVER["version"], package["version"]):
        assert re.fullmatch(r"\d+\.\d+\.\d+", version), "one version, no range and not the latest"
    assert package["runtimeHint"], "arguments of a runtime need its name"
    given = [*package["runtimeArguments"], *package["packageArguments"]]
    for argument in given:
        if argument["type"] == "positional":
            assert argument.get("value") or argument.get("valueHint")
        else:
            assert (argument["type"], argument["name"][:2]) == ("named", "--")
    for each in (*given, *package["environmentVariables"]):
        assert each.get("format", "string") in ("string", "number", "boolean", "filepath")
        texts = (each.get(key, "") for key in ("value", "default", "description", "placeholder"))
        assert all(isinstance(text, str) for text in texts)


def test_a_client_of_the_registry_starts_a_command_with_options_that_there_are() -> None:
    (command, *options) = SERVER["packages"][0]["packageArguments"]
    assert SERVER["packages"][0]["identifier"] in PROJECT["scripts"], "uvx runs what is called so"
    serve = vars(get_command(cli.app))["commands"][command["value"]]
    known = {flag for parameter in serve.params for flag in parameter.opts}
    assert {option["name"] for option in options} <= known


def test_environment_variables_of_listings_are_settings() -> None:
    named = {variable["name"] for variable in SERVER["packages"][0]["environmentVariables"]}
    settings = set(type(load_settings({}, {})).model_fields)
    for variable in named | set(MANIFEST["server"]["mcp_config"]["env"]):
        assert variable.removeprefix("MCP_VLSEARCH_").lower() in settings


def test_the_bundle_tells_the_tools_that_the_server_has(tmp_path: Path) -> None:
    async def names() -> set[str]:
        with Library(load_settings({"library": tmp_path / "library"}, {})) as library:
            async with Client(build_server(library)) as client:
                return {tool.name for tool in (await client.list_tools()).tools}

    assert {tool["name"] for tool in MANIFEST["tools"]} == asyncio.run(names())


def test_the_bundle_asks_for_all_that_it_uses_and_nothing_else() -> None:
    configuration = json.dumps(MANIFEST["server"])
    asked = set(MANIFEST["user_config"])
    assert set(re.findall(r"\$\{user_config\.(\w+)\}", configuration)) == asked
    folders = MANIFEST["user_config"]["folders"]
    assert (folders["type"], folders["multiple"]) == ("directory", True)


def test_the_bundle_allows_its_server_the_folders_that_were_chosen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[list[str]] = []

    def main() -> int:
        started.append(sys.argv[1:])
        return 0

    monkeypatch.setattr(cli, "main", main)
    monkeypatch.setattr(sys, "argv", ["server.py", "/a b", "/-c"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(BUNDLE / MANIFEST["server"]["entry_point"]), run_name="__main__")
    assert ended.value.code == 0
    assert started == [["serve", "--root=/a b", "--root=/-c"]]


def test_the_tool_of_bundles_accepts_the_manifest_and_packs_it(tmp_path: Path) -> None:
    assert "passes" in mcpb("validate", str(BUNDLE / "manifest.json"))
    bundle = tmp_path / "bundle.mcpb"
    mcpb("pack", str(BUNDLE), str(bundle))
    mcpb("unpack", str(bundle), str(tmp_path / "out"))
    packed = {file.name for file in (tmp_path / "out").iterdir()}
    assert packed == {"manifest.json", "pyproject.toml", "server.py"}
