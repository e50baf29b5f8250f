"""Filters as an SQL condition, so that a search looks at allowed images only."""

import math
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Final

from mcp_vlsearch.cache.conditions import Condition, below, sortable
from mcp_vlsearch.cache.database import EARTH_RADIUS_KM
from mcp_vlsearch.core.roots import absolute, real
from mcp_vlsearch.errors import QueryError
from mcp_vlsearch.formats import format_name
from mcp_vlsearch.types import Filters, Near
from mcp_vlsearch.wording import shown

__all__ = ["compile_filters", "places_of"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LARGEST: Final = 2**63 - 1

# Rounding must not put a place that is exactly on the circle outside of its box.
_MARGIN: Final = 1e-6


class _Terms:
    """Conditions joined with AND."""

    def __init__(self) -> None:
        self.sql: list[str] = []
        self.parameters: list[str | int | float] = []

    def add(self, sql: str, *parameters: str | int | float) -> None:
        self.sql.append(sql)
        self.parameters += parameters

    def __str__(self) -> str:
        return " AND ".join(self.sql)


def compile_filters(filters: Filters) -> Condition | None:
    """Return the condition that an image must meet; None if every image does.

    Raises :class:`QueryError` for a folder that is not absolute, :class:`RootError` for one that
    is no path.
    """
    image = _image_terms(filters)
    file = _file_terms(filters)
    # One and the same file must meet all of them.
    some = f"image_id IN (SELECT image_id FROM files WHERE {file})"
    each = f"EXISTS (SELECT 1 FROM files WHERE files.image_id = images.image_id AND {file})"
    has_choice = bool(image.sql and file.sql)
    if file.sql:
        image.add(some, *file.parameters)
    _add_shape(image, filters)
    if not image.sql:
        return None
    sql, parameters = str(image), tuple(image.parameters)
    if not has_choice:
        return Condition(sql, parameters)
    files = Condition(str(file), tuple(file.parameters))
    return Condition(sql, parameters, files, sql.replace(some, each))


def _image_terms(filters: Filters) -> _Terms:
    """Return what must hold of the image itself, but for what :func:`_add_shape` adds."""
    terms = _Terms()
    if filters.taken_after is not None:
        terms.add("taken_sort >= ?", sortable(filters.taken_after))
    if filters.taken_before is not None:
        terms.add("taken_sort < ?", sortable(filters.taken_before))
    if filters.camera is not None:
        terms.add(_named("camera"), f"%{_literal(filters.camera.strip())}%")
    if filters.lens is not None:
        terms.add(_named("lens"), f"%{_literal(filters.lens.strip())}%")
    if filters.near is not None:
        _add_near(terms, filters.near)
    return terms


def _add_shape(terms: _Terms, filters: Filters) -> None:
    """Add what holds of many images, as a rule.

    Beside other terms it is no place to begin: the + keeps SQLite, which takes every index for
    equally good, from that.
    """
    plus = "+" if terms.sql else ""
    if filters.format is not None:
        terms.add(f"{plus}format = ?", format_name(filters.format) or "")
    if filters.min_width is not None:
        terms.add(f"{plus}width >= ?", filters.min_width)
    if filters.min_height is not None:
        terms.add(f"{plus}height >= ?", filters.min_height)
    if filters.orientation is not None:
        terms.add(f"{plus}orientation = ?", filters.orientation)


def _named(column: str) -> str:
    """Return a condition on part of a name: all names are looked at, of which there are few.

    Each step of the recursion jumps to the next name in the column's index.
    """
    return f"""{column} IN (
        WITH RECURSIVE names (name) AS (
            SELECT MIN({column}) FROM images
            UNION ALL
            SELECT (SELECT MIN({column}) FROM images WHERE {column} > name) FROM names
            WHERE name IS NOT NULL
        )
        SELECT name FROM names WHERE name LIKE ? ESCAPE '\\'
    )"""


def _file_terms(filters: Filters) -> _Terms:
    terms = _Terms()
    if filters.folder is not None:
        ranges = [below(folder) for folder in places_of(filters.folder)]
        sql = " OR ".join("(path >= ? AND path < ?)" for _ in ranges)
        terms.add(f"({sql})", *chain.from_iterable(ranges))
    if filters.modified_after is not None:
        terms.add("mtime_ns >= ?", _nanoseconds(filters.modified_after))
    if filters.modified_before is not None:
        terms.add("mtime_ns < ?", _nanoseconds(filters.modified_before))
    return terms


def _add_near(terms: _Terms, near: Near) -> None:
    """Add a box that an index can use, then the exact circle."""
    angle = near.km / EARTH_RADIUS_KM
    reach = math.degrees(angle) + _MARGIN
    south, north = near.latitude - reach, near.latitude + reach
    terms.add("latitude BETWEEN ? AND ?", south, north)
    if south > -90 and north < 90:
        # Meridians come together towards the poles: the box is wider than the circle is high.
        width = math.degrees(math.asin(math.sin(angle) / math.cos(math.radians(near.latitude))))
        _add_longitudes(terms, near.longitude - width - _MARGIN, near.longitude + width + _MARGIN)
    terms.add("distance_km(?, ?, latitude, longitude) <= ?", near.latitude, near.longitude, near.km)


def _add_longitudes(terms: _Terms, west: float, east: float) -> None:
    """Add a range of longitudes that may reach over the 180th meridian."""
    if west < -180:
        terms.add("(longitude >= ? OR longitude <= ?)", west + 360, east)
    elif east > 180:
        terms.add("(longitude >= ? OR longitude <= ?)", west, east - 360)
    else:
        terms.add("longitude BETWEEN ? AND ?", west, east)


def places_of(given: str) -> list[str]:
    """Return all paths that a folder may have in the catalog, once each.

    A file has the path at which it was found below a resolved root. What links there are on the way
    to it may so be resolved from the left, up to any point. Raises :class:`QueryError` for a folder
    that is not absolute, :class:`RootError` for one that is no path.
    """
    try:
        whole = Path(given).expanduser().is_absolute()
    except RuntimeError:  # no such user
        whole = False
    if not whole:
        raise QueryError(f"folder {shown(given)!r} is not absolute: give its whole path")
    path = Path(absolute(given))
    if real(path) == str(path):  # no link on the way
        return [str(path)]
    places = (str(Path(real(p), path.relative_to(p))) for p in (path, *path.parents))
    return list(dict.fromkeys(places))


def _literal(text: str) -> str:
    """Escape the wildcards of LIKE."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _nanoseconds(moment: datetime) -> int:
    """Return a time as files have it; without an offset it is by this machine's clock."""
    try:
        aware = moment.astimezone(UTC)
    except (OverflowError, OSError, ValueError):  # at the ends of the calendar
        aware = moment.replace(tzinfo=UTC)
    microseconds = (aware - _EPOCH) // timedelta(microseconds=1)
    return max(-_LARGEST, min(microseconds * 1000, _LARGEST))
