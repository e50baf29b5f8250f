"""What the encoder would run as. It is made for that, which imports torch, but reads no weights."""

import sys

from mcp_vlsearch.cache.database import Database
from mcp_vlsearch.core.following import followed
from mcp_vlsearch.core.health.check import Check, ok
from mcp_vlsearch.core.mending import mended
from mcp_vlsearch.settings import Settings

__all__ = ["encoder"]


def encoder(settings: Settings, database: Database) -> Check:
    """Say on which device and in which precision the encoder runs; an error says why it can't."""
    made = mended(None)(followed(settings, database))
    chosen = ", chosen by auto" if settings.precision == "auto" else ""
    said = f"{made.precision}{chosen} on {made.device}, {made.dim} dimensions"
    if "torch" in sys.modules:
        said += " (telling it took importing torch; --quick leaves it out)"
    return ok("encoder", said)
