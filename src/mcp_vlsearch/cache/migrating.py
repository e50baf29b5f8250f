"""Bringing a library that an older version has written up to this one."""

import logging
import shlex
import sqlite3
from collections.abc import Collection
from pathlib import Path
from typing import Final

from mcp_vlsearch.cache import migrations
from mcp_vlsearch.cache.tables import Migrations, Tables
from mcp_vlsearch.errors import LibraryError

__all__ = ["migrate", "state_of_steps"]

logger = logging.getLogger(__name__)

_SET: Final = "mcp-vlsearch"
_SLOW: Final = frozenset({"count_rows", "free_embeddings", "count_lacking"})
"""Steps that go through all rows."""
_LARGE: Final = 256 * 2**20
"""Bytes of a database from which on they take some seconds."""


def migrate(tables: Tables, *, read_only: bool) -> None:
    """Bring a database up to this version, all steps that it lacks in one transaction.

    Raises :class:`LibraryError` if a newer version has written it, or if steps are missing and the
    library is read-only.
    """
    steps = Migrations(_SET)
    for step in migrations.STEPS:
        steps(name=step.__name__)(step)
    known = {step.__name__ for step in migrations.STEPS}
    if newer := {m.name for m in steps.applied(tables)} - known:
        raise LibraryError(
            f"this library was written by a newer mcp-vlsearch (it has {', '.join(sorted(newer))}):"
            " run `pip install --upgrade mcp-vlsearch`"
        )
    if not steps.pending(tables):
        return
    if read_only:
        raise LibraryError(
            "this library was written by an older mcp-vlsearch: run `mcp-vlsearch status --library "
            f"{_folder(tables)}` once, with MCP_VLSEARCH_READ_ONLY=false"
        )
    _tell_what_takes_long(tables, {step.name for step in steps.pending(tables)})
    # A table that is made anew must not take what refers to it along.
    tables.execute("PRAGMA foreign_keys = OFF")
    # The lock comes first, so that of two processes the second finds nothing left to do.
    tables.execute("BEGIN IMMEDIATE")
    try:
        steps.apply(tables)
        tables.commit()
    except BaseException:
        tables.rollback()
        raise
    finally:
        tables.execute("PRAGMA foreign_keys = ON")


def state_of_steps(connection: sqlite3.Connection) -> tuple[set[str], set[str]]:
    """Return which steps a database has that this version does not know, and which it lacks."""
    known = {step.__name__ for step in migrations.STEPS}
    steps, tables = Migrations(_SET), Tables(connection, execute_plugins=False)
    applied = {m.name for m in steps.applied(tables)}
    return applied - known, known - applied


def _folder(tables: Tables) -> str:
    """Return the folder of the database, quoted for a shell."""
    ((file,),) = tables.execute("SELECT file FROM pragma_database_list WHERE name = 'main'")
    return shlex.quote(str(Path(file).parent))


def _tell_what_takes_long(tables: Tables, pending: Collection[str]) -> None:
    query = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
    ((size,),) = tables.execute(query).fetchall()
    if not _SLOW.isdisjoint(pending) and size > _LARGE:
        logger.warning(
            "the library was written by an older mcp-vlsearch: %.1f GiB are brought up to this "
            "version, once, which takes a while; nothing is lost if that is interrupted",
            size / 2**30,
        )
