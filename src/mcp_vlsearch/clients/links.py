"""Links that have a client add the server when they are opened."""

import base64
import json
from typing import Any
from urllib.parse import quote

__all__ = ["cursor_link", "vscode_link"]


def cursor_link(name: str, entry: dict[str, Any]) -> str:
    """Return a link for Cursor (its documentation: *MCP Install Links*)."""
    config = base64.b64encode(json.dumps(entry, separators=(",", ":")).encode()).decode()
    return (
        f"cursor://anysphere.cursor-deeplink/mcp/install?name={quote(name)}"
        f"&config={quote(config, safe='')}"
    )


def vscode_link(name: str, entry: dict[str, Any]) -> str:
    """Return a link for VS Code (its documentation: *MCP developer guide*, URL handler)."""
    return "vscode:mcp/install?" + quote(json.dumps({"name": name, **entry}), safe="")
