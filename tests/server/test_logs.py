"""What a server logs: a line for each call on stderr, without what was asked."""

import json
import logging
import os
import subprocess
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from mcp_vlsearch.core.steps import recorded, step
from mcp_vlsearch.errors import SettingsError
from mcp_vlsearch.logs import set_up_logs, tell_more
from mcp_vlsearch.server import build_server

from .conftest import PATIENCE, MakeLibrary


@pytest.mark.anyio
async def test_a_call_is_a_line_with_outcome_and_seconds_but_not_what_was_asked(
    make_library: MakeLibrary, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "mcp_vlsearch")
    library = make_library()
    async with Client(build_server(library)) as client:
        await client.call_tool("index_images")
        await client.call_tool("search_by_text", {"query": "blue secret"})
        await client.call_tool("search_by_text", {"query": " "})
        await client.call_tool("nonesuch\n", {})
    calls = [record for record in caplog.records if hasattr(record, "tool")]
    assert [(vars(r)["tool"], vars(r)["outcome"]) for r in calls] == [
        ("index_images", "ok"),
        ("search_by_text", "ok"),
        ("search_by_text", "refused"),
        ("unknown", "refused"),
    ]
    assert all(vars(record)["seconds"] >= 0 and vars(record)["request"] for record in calls)
    assert "indexed in" in caplog.text
    assert "5 encoded" in caplog.text
    assert "secret" not in caplog.text
    assert str(library.roots()[0]) not in caplog.text


def test_each_file_that_fails_is_a_line_with_its_reason_once(
    make_library: MakeLibrary, pictures: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "mcp_vlsearch")
    torn = pictures / "torn\nand odd.png"
    torn.write_bytes((pictures / "red.png").read_bytes()[:40])
    (tmp_path / "outside.png").write_bytes((pictures / "red.png").read_bytes())
    (pictures / "link.png").symlink_to(tmp_path / "outside.png")
    (pictures / "good.png").write_bytes((pictures / "red.png").read_bytes())
    library = make_library()

    def told() -> dict[str, str]:
        report = library.index()
        assert report.failed == 2
        failed = [vars(record) for record in caplog.records if hasattr(record, "path")]
        assert all(f"failed: {one['path']}: {one['error']}" == one["message"] for one in failed)
        caplog.clear()
        return {one["path"].removeprefix(str(pictures)): one["error"] for one in failed}

    first = told()
    assert list(first) == ["/link.png", "/torn\\nand odd.png"]
    assert "outside the roots" in first["/link.png"]
    assert "damaged" in first["/torn\\nand odd.png"]
    assert told() == {}, "what failed before and is as it was is not told again"
    torn.write_bytes(b"no picture")
    assert list(told()) == ["/torn\\nand odd.png"]
    pictures.rename(tmp_path / "away")
    caplog.set_level(logging.WARNING, "mcp_vlsearch")
    assert library.index().failed == 1
    assert not caplog.records, "commands tell failures in their report"


@pytest.mark.anyio
async def test_a_verbose_server_tells_what_was_asked(
    make_library: MakeLibrary, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "mcp_vlsearch")
    async with Client(build_server(make_library())) as client:
        await client.call_tool("search_by_text", {"query": "blue secret"})
    assert "blue secret" in caplog.text


@pytest.mark.anyio
async def test_a_slow_call_is_a_warning_with_the_time_of_its_steps(
    make_library: MakeLibrary, caplog: pytest.LogCaptureFixture
) -> None:
    library = make_library(slow_call_seconds=1e-9)
    library.index()
    async with Client(build_server(library)) as client:
        await client.call_tool("search_by_text", {"query": "blue"})
    [slow] = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "slow call: search_by_text" in slow.getMessage()
    steps = vars(slow)["steps"]
    assert {"encoding the query", "searching", "describing"} <= set(steps)
    assert sum(steps.values()) <= vars(slow)["seconds"] + 0.01


@pytest.mark.anyio
async def test_a_call_that_is_quick_is_no_warning(
    make_library: MakeLibrary, caplog: pytest.LogCaptureFixture
) -> None:
    async with Client(build_server(make_library(slow_call_seconds=600))) as client:
        await client.call_tool("library_status")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_steps_are_of_the_block_that_asked() -> None:
    with step("before"):
        pass
    with recorded() as seconds, step("asked"):
        pass
    with step("after"):
        pass
    assert list(seconds) == ["asked"]


def test_json_has_a_line_for_each_event_with_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs(as_json=True, environment={})
    tell_more()
    logging.getLogger("mcp_vlsearch.x").info("two\nlines", extra={"tool": "t"})
    written = capsys.readouterr()
    [line] = written.err.splitlines()
    told = json.loads(line)
    assert (told["message"], told["tool"], told["level"]) == ("two\nlines", "t", "INFO")
    assert told["logger"] == "mcp_vlsearch.x"
    assert told["time"]
    assert written.out == ""


@pytest.mark.parametrize("verbose", [False, True])
def test_other_libraries_are_quiet_unless_verbose(
    verbose: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logs(environment={"MCP_VLSEARCH_VERBOSE": "1" if verbose else "0"})
    logging.getLogger("httpx2.example").info("of no interest")
    logging.getLogger("mcp_vlsearch.example").debug("of some interest")
    err = capsys.readouterr().err
    assert ("of no interest" in err) is verbose
    assert ("of some interest" in err) is verbose


def test_a_format_that_is_not_known_is_refused() -> None:
    with pytest.raises(SettingsError, match="give text or json"):
        set_up_logs(environment={"MCP_VLSEARCH_LOG_FORMAT": "xml"})


@pytest.mark.anyio
async def test_over_stdio_logs_go_to_stderr_and_the_protocol_is_left_alone(
    command: list[str], environment: dict[str, str], tmp_path: os.PathLike[str]
) -> None:
    python, *rest = command
    arguments = [*rest[:2], "--log-json", "-v", *rest[2:]]
    server = StdioServerParameters(command=python, args=arguments, env=environment)
    with open(os.path.join(tmp_path, "err"), "w+") as err:  # noqa: PTH118, PTH123
        async with Client(stdio_client(server, errlog=err)) as client:
            await client.call_tool("library_status")
        err.seek(0)
        lines = [json.loads(line) for line in err.read().splitlines() if line.startswith("{")]
    assert any(line.get("tool") == "library_status" for line in lines)


def test_a_commands_warnings_are_plain_lines(
    command: list[str], environment: dict[str, str]
) -> None:
    done = subprocess.run(
        [*command[:3], "--log-json", "status", "--json"],
        env={**environment, "MCP_VLSEARCH_LOG_FORMAT": ""},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: no library")
