"""The MCP server: what it says to assistants, over stdio and over streamable HTTP."""

from mcp_vlsearch.server.building import build_server
from mcp_vlsearch.server.http import serve_http
from mcp_vlsearch.server.stdio import serve_stdio

__all__ = ["build_server", "serve_http", "serve_stdio"]
