"""Links that have a client add the server when they are opened.

They lead to pages of the clients' makers, which open the client: a site that shows a README drops
links of other kinds than https.
"""

import base64
import json
from typing import Any
from urllib.parse import quote

__all__ = ["cursor_link", "vscode_link"]


def cursor_link(name: str, entry: dict[str, Any]) -> str:
    """Return a link for Cursor (its documentation: *MCP Install Links*)."""
    config = base64.b64encode(json.dumps(entry, separators=(",", ":")).encode()).decode()
    return f"https://cursor.com/en/install-mcp?name={quote(name)}&config={quote(config, safe='')}"


def vscode_link(name: str, entry: dict[str, Any]) -> str:
    """Return a link for VS Code, to its redirection to the URL handler of its documentation."""
    config = json.dumps(entry, separators=(",", ":"))
    return (
        f"https://vscode.dev/redirect/mcp/install?name={quote(name)}"
        f"&config={quote(config, safe='')}"
    )
