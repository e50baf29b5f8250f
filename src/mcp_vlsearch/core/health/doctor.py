"""All checks in their order: what is quick first, and what imports torch last."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from mcp_vlsearch.cache.database import Database
from mcp_vlsearch.core.health import content, environment, folder
from mcp_vlsearch.core.health.check import Check, error
from mcp_vlsearch.core.health.clients import clients
from mcp_vlsearch.core.health.database import integrity, schema
from mcp_vlsearch.core.health.encoder import encoder
from mcp_vlsearch.core.health.fixing import fix
from mcp_vlsearch.core.progress import ProgressCallback, silent
from mcp_vlsearch.errors import SettingsError, VLSearchError
from mcp_vlsearch.pins import follow_pin
from mcp_vlsearch.settings import Settings, load_settings

__all__ = ["examine", "examine_without_settings", "fixed"]


def examine(settings: Settings, *, quick: bool = False) -> Iterator[Check]:
    """Yield one check after the other; nothing is changed, and nothing is raised.

    With ``quick``, the index is not read as a whole, and the encoder is not made.
    """
    with suppress(SettingsError):
        settings = follow_pin(settings)
    yield environment.python()
    yield environment.packages(settings)
    yield environment.extras()
    yield environment.memory()
    yield _safely("disk", lambda: folder.disk(settings))
    place = folder.library(settings)
    yield place
    database = Database(settings.library / folder.DATABASE, read_only=True)
    try:
        if place.state != "error" and database.path.exists():
            yield from _of_the_library(settings, database, quick)
        yield from clients(settings, _default_library())
        model = environment.checkpoint(settings)
        yield model
        if not quick and model.state == "ok":
            yield _safely("encoder", lambda: encoder(settings, database))
    finally:
        database.close()


def examine_without_settings(problem: SettingsError) -> Iterator[Check]:
    """Yield what can be said where the settings themselves are wrong."""
    yield environment.python()
    yield environment.memory()
    yield error("settings", str(problem), "mend what the line names")


def fixed(settings: Settings, checks: list[Check], report: ProgressCallback = silent) -> list[str]:
    """Mend what can be mended, and return a line for each that says what was done, or why not."""
    done = []
    for check in checks:
        if check.can_fix and check.state != "ok":
            try:
                done.append(f"{check.name}: {fix(check.name, settings, report)}")
            except (VLSearchError, OSError) as problem:
                done.append(f"{check.name}: not mended: {problem}")
    return done


def _of_the_library(settings: Settings, database: Database, quick: bool) -> Iterator[Check]:
    whole = integrity(database.path)
    yield whole
    yield _safely("lock", lambda: folder.lock(settings))
    yield _safely("leftovers", lambda: folder.leftovers(settings))
    if whole.state != "ok":
        return
    steps = schema(database.path)
    yield steps
    if steps.state != "ok":
        return
    yield _safely("roots", lambda: content.roots(settings, database))
    yield _safely("failures", lambda: content.failed(database))
    yield _safely("index", lambda: content.index(settings, database, whole=not quick))


def _safely(name: str, look: Callable[[], Check]) -> Check:
    """Make a check; what it runs into is what it finds."""
    try:
        return look()
    except VLSearchError as problem:
        return error(name, str(problem), "do what the line says")
    except Exception as problem:  # a plugin may raise anything, and the other checks go on
        return error(name, f"{type(problem).__name__}: {problem}", "report it with this line")


def _default_library() -> Path:
    try:
        return load_settings({}, {}).library
    except SettingsError:
        return Path()
