"""Reading what can still be read of a table whose pages are damaged in places.

SQLite stops a query at the first page that it can't make sense of. So a table is read from its
beginning up to there, from its end down to there, and what lies between row by row, by the keys
that the table's indexes know: these lie on other pages.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

__all__ = ["Salvage", "open_damaged"]

_SPAN: Final = 100_000
"""Row numbers that are tried one by one where a gap is no longer than that."""
_MISSING: Final = object()

Row = tuple[Any, ...]


def open_damaged(path: Path) -> sqlite3.Connection:
    """Open a database to read what can be read of it. Raises :class:`sqlite3.Error`."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None
    )
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA query_only = ON")
    return connection


class Salvage:
    """The readable rows of a table, each once; ``key`` is its integer or text primary key.

    After they were read, ``is_torn`` says whether there was damage; ``gaps`` are the keys of rows
    that are known to be there and can't be read. A row has the key first, then the ``columns``.
    """

    def __init__(
        self, connection: sqlite3.Connection, table: str, key: str, columns: tuple[str, ...]
    ) -> None:
        self.gaps: list[Any] = []
        self.is_torn = False
        self.columns = columns
        self._connection = connection
        self._table = table
        self._key = key
        self._select = f"SELECT {', '.join((key, *columns))} FROM {table}"

    def rows(self) -> Iterator[Row]:
        """Read the table; no damage is an error."""
        low = high = _MISSING
        scan = self._scan(f"{self._select} ORDER BY {self._key}")
        for row in scan:
            low = row[0]
            yield row
        self.is_torn = scan.is_torn
        if not self.is_torn:
            return
        after, given = self._after(low)
        for row in self._scan(f"{self._select} {after} ORDER BY {self._key} DESC", given):
            high = row[0]
            yield row
        for key in self._known_between(low, high):
            found = self._one(key)
            if found is None:
                self.gaps.append(key)
            elif found:
                yield found

    def copies(self, index: str) -> Iterator[Row]:
        """Read an index that has all of the columns, too: it lies on other pages than the table."""
        from_index = f"{self._select} INDEXED BY {index} WHERE {self._key} IS NOT NULL"
        yield from self._scan(f"{from_index} ORDER BY {self._key}")

    def _scan(self, query: str, given: Row = ()) -> "_Scan":
        return _Scan(self._connection, query, given)

    def _after(self, low: Any) -> tuple[str, Row]:
        return ("", ()) if low is _MISSING else (f"WHERE {self._key} > ?", (low,))

    def _one(self, key: Any) -> Row | None:
        """Return the row of a key, an empty one if there is none, None if it can't be read."""
        query = f"{self._select} WHERE {self._key} = ?"
        try:
            row: Row | None = self._connection.execute(query, (key,)).fetchone()
        except sqlite3.Error:
            return None
        return row or ()

    def _known_between(self, low: Any, high: Any) -> list[Any]:
        """Return keys in a gap: those that an index knows, and all row numbers of a short one."""
        known = {
            key
            for key in self._indexed()
            if (low is _MISSING or key > low) and (high is _MISSING or key < high)
        }
        if isinstance(low, int) and isinstance(high, int) and high - low <= _SPAN:
            return sorted({*known, *range(low + 1, high)})
        return sorted(known)

    def _indexed(self) -> Iterator[Any]:
        kind = None
        for name, column in self._indexes():
            for direction in ("ASC", "DESC"):
                query = (
                    f"SELECT {self._key} FROM {self._table} INDEXED BY {name} "
                    f"ORDER BY {column} {direction}"
                )
                scan = self._scan(query)
                for (key,) in scan:
                    kind = kind or type(key)
                    if type(key) is kind:  # damage can't turn a path into a number
                        yield key
                if not scan.is_torn:
                    break

    def _indexes(self) -> Iterator[tuple[str, str]]:
        """Yield each index that has all rows, and its first column."""
        with suppress(sqlite3.Error):
            listed = self._connection.execute(f"PRAGMA index_list({self._table})").fetchall()
            for _, name, _, origin, is_partial in listed:
                if origin != "pk" and not is_partial:
                    columns = self._connection.execute(f"PRAGMA index_info({name})").fetchall()
                    yield name, columns[0][2]


class _Scan:
    """The rows of a query up to the first damage; ``is_torn`` says that there was one."""

    def __init__(self, connection: sqlite3.Connection, query: str, given: Row) -> None:
        self.is_torn = False
        self._connection = connection
        self._query = query
        self._given = given

    def __iter__(self) -> Iterator[Row]:
        try:
            yield from self._connection.execute(self._query, self._given)
        except (sqlite3.Error, OverflowError):
            self.is_torn = True
