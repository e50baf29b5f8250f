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
    yield _safely("python", environment.python)
    yield _safely("packages", lambda: environment.packages(settings))
    yield _safely("extras", environment.extras)
    yield _safely("threads", environment.threads)
    yield _safely("memory", environment.memory)
    yield _safely("disk", lambda: folder.disk(settings))
    place = _safely("library", lambda: folder.library(settings))
    yield place
    database = Database(settings.library / folder.DATABASE, read_only=True)
    try:
        if place.state != "error" and database.path.exists():
            yield from _of_the_library(settings, database, quick)
        yield from _each_safely("clients", lambda: clients(settings, _default_library()))
        model = _safely("model", lambda: environment.checkpoint(settings))
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
        if check.can_fix and check.state != "ok" and not settings.read_only:
            try:
                done.append(f"{check.name}: {fix(check.name, settings, report)}")
            except Exception as problem:  # of whatever kind; the others are still mended
                done.append(f"{check.name}: not mended: {problem}")
    return done


def _of_the_library(settings: Settings, database: Database, quick: bool) -> Iterator[Check]:
    whole = _safely("database", lambda: integrity(database.path, whole=not quick))
    yield whole
    yield _safely("lock", lambda: folder.lock(settings))
    yield _safely("log", lambda: folder.log(settings))
    yield _safely("leftovers", lambda: folder.leftovers(settings))
    if whole.state != "ok":
        return
    steps = _safely("schema", lambda: schema(database.path))
    yield steps
    if steps.state != "ok":
        return
    yield _safely("settings", lambda: content.spaces(settings, database))
    yield _safely("roots", lambda: content.roots(settings, database))
    if not quick:
        yield _safely("files", lambda: content.files(settings, database))
    yield _safely("failures", lambda: content.failed(database))
    yield _safely("index", lambda: content.index(settings, database, whole=not quick))


def _safely(name: str, look: Callable[[], Check]) -> Check:
    """Make a check; what it runs into is what it finds."""
    return next(_each_safely(name, lambda: iter((look(),))))


def _each_safely(name: str, look: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    """Make checks up to one that runs into something, which is then what it finds."""
    try:
        yield from look()
    except VLSearchError as problem:
        yield error(name, str(problem), "do what the line says")
    except Exception as problem:  # a plugin may raise anything, and the other checks go on
        yield error(name, f"{type(problem).__name__}: {problem}", "report it with this line")


def _default_library() -> Path:
    try:
        return load_settings({}, {}).library
    except SettingsError:
        return Path()
