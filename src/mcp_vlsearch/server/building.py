"""From a library to an MCP server with every tool that is installed."""

import json
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final, TextIO

import anyio
from mcp import MCPError
from mcp.server import MCPServer
from mcp.server.apps import APP_MIME_TYPE, Apps
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.server.mcpserver.resources import FunctionResource
from mcp.server.stdio import stdio_server
from mcp.types import (
    INVALID_PARAMS,
    CallToolResult,
    GetPromptResult,
    InputRequiredResult,
    TextContent,
    Tool,
)
from pydantic import ValidationError

from mcp_vlsearch import gallery
from mcp_vlsearch.core.library import Library
from mcp_vlsearch.errors import MEMORY_HAS_RUN_OUT, PluginError, VLSearchError
from mcp_vlsearch.plugins import available
from mcp_vlsearch.server.calls import CallCounter, told
from mcp_vlsearch.version import VERSION
from mcp_vlsearch.wording import in_words, shown

__all__ = ["GRACE", "LibraryServer", "build_server"]

GRACE: Final = 2.0
"""Seconds that calls whose client is gone get to finish their batch."""

_WARM_UP_AFTER: Final = 0.5
"""Seconds after the first list of tools; importing torch would slow the answers before it."""

_SEARCHING: Final = """\
Eyes over the user's own pictures: finds them by what they show. Everything stays on this machine.
- Start with library_status: it names the folders (roots) and says how many images are indexed.
{indexing}
- search_by_text takes a caption-like description in any language; facts such as dates, places, \
folders and sizes belong into `filters`.
- search_by_image finds more like a hit (by its `image_id`), or like it but changed as `text` says.
- view_images shows you what you found: all hits on one numbered sheet, or one of them larger.
- Show the user the paths of good hits. Hits of "weak" relevance are probably not what was asked \
for: say so rather than present them as found.
- The first call after a start may wait for the model to load; it reports progress meanwhile.
- Where there is something to do next, `next_step` in a result, or the error, says what."""

_INDEXING: Final = """\
- If it has none, or the user added pictures, call index_images with no arguments; while its \
answer is not `complete`, it goes on by itself, and calling it again waits for the rest."""

_WATCHING: Final = """\
- New, changed and deleted pictures are taken up within seconds, by themselves; index_images is \
needed only to hear when a first run is done, or why a picture is not found."""

_READ_ONLY: Final = """\
- This library is read-only here: pictures that are not indexed can't be added."""


def build_server(library: Library) -> "LibraryServer":
    """Return a server with the tools of every installed plugin, over an open library.

    The model is not loaded; that begins in the background once a client has listed the tools.
    Raises :class:`PluginError` if a tool plugin can't be imported or fails to register.
    """
    server = LibraryServer(library)
    for plugin in available("tools").values():
        register = plugin.load()
        try:
            register(server, library)
        except Exception as error:
            raise PluginError(
                f"tool {plugin.name!r} of {plugin.owner} can't be registered: {error!r}; "
                f"reinstall or remove {plugin.owner}"
            ) from error
    return server


class LibraryServer(MCPServer[Any]):
    """An MCP server that warms its library up and keeps every tool error to one line."""

    def __init__(self, library: Library) -> None:
        indexing = _WATCHING if library.settings.watch else _INDEXING
        if library.settings.read_only:
            indexing = _READ_ONLY
        super().__init__(
            "mcp-vlsearch",
            title="Visual search",
            version=VERSION,
            instructions=_SEARCHING.format(indexing=indexing),
            extensions=[_apps()],
            log_level="WARNING",
        )
        self._library = library
        self._warming: threading.Timer | None = None
        self.counter: CallCounter | None = None
        """Counts the calls, if anybody asks for their numbers."""

    async def list_tools(self) -> list[Tool]:
        """List the tools, and soon after load the model: the handshake is over by then."""
        if self._warming is None:
            self._warming = threading.Timer(_WARM_UP_AFTER, self._library.warm_up)
            self._warming.daemon = True
            self._warming.start()
        closed = {"additionalProperties": False}
        return [
            tool.model_copy(update={"input_schema": tool.input_schema | closed})
            for tool in await super().list_tools()
        ]

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Call a tool; data comes as compact JSON text too.

        Raises :class:`ToolError` with one line that says what to do.
        """
        known = name if self._tool_manager.get_tool(name) else "unknown"
        request = context.request_id if context else None
        slow = self._library.settings.slow_call_seconds
        with told(known, arguments, request, slow, self.counter):
            return await self._call(name, arguments, context)

    async def _call(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None
    ) -> CallToolResult | InputRequiredResult:
        self._refuse_unknown(name, arguments)
        try:
            return _compact(await super().call_tool(name, arguments, context))
        except UnexpectedToolError as error:
            cause = error.__cause__
            if isinstance(cause, VLSearchError):
                raise ToolError(_one_line(cause)) from cause
            if isinstance(cause, MemoryError):
                raise ToolError(MEMORY_HAS_RUN_OUT) from cause
            raise UnexpectedToolError(
                f"{name} failed unexpectedly ({_one_line(repr(cause))}): look into the server's "
                "log and report it"
            ) from cause
        except ToolError as error:
            cause = error.__cause__
            if isinstance(cause, ValidationError):
                raise ToolError(_one_line(_explain(cause))) from cause
            raise ToolError(_one_line(cause or error)) from cause

    async def get_prompt(
        self,
        name: str,
        arguments: dict[str, Any] | None = None,
        context: Context[Any, Any] | None = None,
    ) -> GetPromptResult | InputRequiredResult:
        """Get a prompt of a plugin; raises MCPError, invalid parameters, for one that is not there.

        The SDK takes that for a fault of the server, with a traceback in its log.
        """
        if self._prompt_manager.get_prompt(name) is None:
            raise MCPError(INVALID_PARAMS, f"no prompt is called {name!r}: list the prompts first")
        return await super().get_prompt(name, arguments, context)

    def _refuse_unknown(self, name: str, arguments: Mapping[str, Any]) -> None:
        """Refuse tools that are not there, and arguments that one lacks: the SDK ignores those."""
        tool = self._tool_manager.get_tool(name)
        if tool is None:
            names = ", ".join(known.name for known in self._tool_manager.list_tools())
            raise ToolError(f"no tool is called {name!r}: call one of {names}")
        known = tool.parameters["properties"]
        for argument in arguments:
            if argument not in known:
                takes = ", ".join(known) or "none"
                raise ToolError(
                    f"{name} has no argument {shown(argument)!r}: "
                    f"leave it out, for it takes {takes}"
                )

    async def run_over_stdio(self, stdout: TextIO) -> None:
        """Serve this process's stdin, with answers going to ``stdout``, until stdin ends."""
        async with stdio_server(stdout=anyio.wrap_file(stdout)) as (read, write):
            lowlevel = self._lowlevel_server
            await lowlevel.run(read, write, lowlevel.create_initialization_options())


def _apps() -> Apps:
    """Return the extension by which a host finds the gallery; others never ask for it."""
    apps = Apps()
    apps.add_resource(
        FunctionResource(
            uri=gallery.URI,
            name="gallery",
            title="Gallery of hits",
            description="The page that shows the hits of a search in hosts with MCP Apps.",
            mime_type=APP_MIME_TYPE,
            meta={"ui": {"csp": {}, "prefersBorder": True}},
            fn=gallery.page,
        )
    )
    return apps


def _compact(result: CallToolResult | InputRequiredResult) -> CallToolResult | InputRequiredResult:
    """Give data as JSON text without the white space that costs an assistant tokens."""
    match result:
        case CallToolResult(structured_content=dict() as data, content=[TextContent()]):
            text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
            return result.model_copy(update={"content": [TextContent(type="text", text=text)]})
    return result


def _explain(error: ValidationError) -> str:
    problems: Sequence[Any] = error.errors(include_url=False)
    return "; ".join(
        f"{'.'.join(str(part) for part in problem['loc'])}: {in_words(problem)}"
        for problem in problems[:3]
    )


def _one_line(text: object) -> str:
    return " ".join(str(text).splitlines())
