"""What a library has settled: settings that its first run chose hold for later ones."""

from collections.abc import Iterable
from typing import Any, get_args

from mcp_vlsearch.cache.database import Database
from mcp_vlsearch.cache.fingerprints import Fingerprints, SpaceRecord
from mcp_vlsearch.pins import follow_pin, open_choices
from mcp_vlsearch.settings import OF_A_MODEL, Precision, Settings

__all__ = ["followed", "space_for"]


def followed(settings: Settings, database: Database) -> Settings:
    """Return settings with the library's pins, and what else it has settled for their model.

    For precision ``auto`` that is what was chosen once: the pictures say it, so it holds for every
    process and on every machine, whatever memory is free there; index with another precision, and
    the library goes on with that one. Of a model that is not the pinned one, the pictures also say
    with which other choices they were encoded.
    """
    settings = follow_pin(settings)
    if not database.path.exists():
        return settings
    free = open_choices(settings)
    space = space_for(settings, Fingerprints(database).all(), free)
    if space is None:
        return settings
    held = {name: v for name, v in (space.choices or {}).items() if name in free}
    if settings.precision == "auto" and space.precision in get_args(Precision):
        held["precision"] = space.precision  # a foreign server's is not told
    return settings.model_copy(update=held)


def space_for(
    settings: Settings, spaces: Iterable[SpaceRecord], free: Iterable[str] = ()
) -> SpaceRecord | None:
    """Return the space that is meant by settings; choices that are ``free`` may be any.

    If there are several (precision ``auto``), it is the one that the library went over to last, or
    else the one with most pictures, or else the latest.
    """
    meant = [space for space in spaces if _fits(space, settings, set(free))]
    return max(meant, key=lambda s: (s.searched, s.entries, s.id), default=None)


def _fits(space: SpaceRecord, settings: Settings, free: set[str]) -> bool:
    made: dict[str, Any] = {"encoder": space.name, "model": space.model, **(space.choices or {})}
    # A remote encoder stands for the one that its server runs, whichever that is.
    if made["encoder"] != settings.encoder and "remote" not in (made["encoder"], settings.encoder):
        return False
    if made["model"] != settings.model:
        return False
    if settings.precision not in ("auto", space.precision) and space.precision != "unknown":
        return False
    if settings.dim == space.dim:  # the model's own width may be asked for or not
        free = free | {"dim"}
    if space.choices is None:
        return settings.dim is None or "dim" in free
    return all(
        space.choices.get(name, Settings.model_fields[name].default) == getattr(settings, name)
        for name in set(OF_A_MODEL) - {"precision"} - free
    )
