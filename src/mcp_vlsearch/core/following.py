"""What a library has settled: settings that its first run chose hold for later ones."""

from typing import get_args

from mcp_vlsearch.cache.database import Database
from mcp_vlsearch.cache.embeddings import precision_held
from mcp_vlsearch.settings import Precision, Settings, follow_pin

__all__ = ["followed"]


def followed(settings: Settings, database: Database) -> Settings:
    """Return settings with the library's pins, and for precision ``auto`` what it chose there once.

    The pictures say what that was, so it holds for every process and on every machine, whatever
    memory is free there; index with another precision, and the library goes on with that one.
    """
    settings = follow_pin(settings)
    if settings.precision != "auto" or not database.path.exists():
        return settings
    held = precision_held(database, settings.encoder, settings.model)
    if held not in get_args(Precision):  # nothing yet, or a foreign server's, which is not told
        return settings
    return settings.model_copy(update={"precision": held})
