"""A change to a client's configuration: planned, shown, and written with a copy of what was."""

import difflib
import json
import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from mcp_vlsearch.clients import json_text, toml_text
from mcp_vlsearch.clients.table import Client
from mcp_vlsearch.errors import ClientError
from mcp_vlsearch.files import write_whole

__all__ = ["Change", "installed", "removed", "servers_in", "snippet"]

_FORMS: Final[Mapping[str, ModuleType]] = {"json": json_text, "toml": toml_text}
_REMOTE: Final = ("url", "httpUrl", "headers", "http_headers", "bearer_token_env_var")
"""What a client may know of a server over HTTP, which one over stdio has not."""
_HIDDEN: Final = "(hidden)"
_PRIVATE: Final = 0o600
_LATEST: Final = 5
"""Copies of what was before that are kept, besides the first."""
_WHEN: Final = re.compile(r"\.\d{8}-\d{6}-\d{6}\.bak")


@dataclass(frozen=True)
class Change:
    """What a file becomes; ``before`` is None where there is no file."""

    client: Client
    name: str
    file: Path
    before: bytes | None
    after: bytes
    entry_before: dict[str, Any] | None
    entry_after: dict[str, Any] | None

    @property
    def is_none(self) -> bool:
        """Whether all is as it should be already."""
        return self.entry_before == self.entry_after

    def diff(self) -> str:
        """Return the change of the one server, for people.

        Nothing else of the file is in it, for other servers' secrets may stand beside; and
        values of variables are hidden.
        """
        lines = difflib.unified_diff(
            self._lines(self.entry_before),
            self._lines(self.entry_after),
            str(self.file),
            str(self.file),
            n=99,
        )
        return "".join(lines)

    def write(self) -> Path | None:
        """Replace the file, and return where the copy of what was before lies.

        Of the copies the first and the latest stay. A link is followed, permissions stay. Raises
        :class:`ClientError` if the file can't be written, or is another one than when the change
        was planned.
        """
        target = self.file.resolve()
        try:
            if _read(target) != self.before:
                raise ClientError(f"{self.file} was changed meanwhile: run it again")
            target.parent.mkdir(parents=True, exist_ok=True)
            if self.before is None:
                write_whole(target, self.after, _PRIVATE)
                return None
            mode = stat.S_IMODE(target.stat().st_mode)
            copy = target.with_name(f"{target.name}.{datetime.now():%Y%m%d-%H%M%S-%f}.bak")
            for path, content in ((copy, self.before), (target, self.after)):
                write_whole(path, content, mode)
                path.chmod(mode)
        except OSError as error:
            raise ClientError(
                f"{self.file} can't be written ({error.strerror}): make it writable, or add by "
                "hand what --print shows"
            ) from error
        _leave_few(target)
        return copy

    def _lines(self, entry: dict[str, Any] | None) -> list[str]:
        if entry is None:
            return []
        return snippet(self.client, self.name, _without_secrets(entry)).splitlines(keepends=True)


def installed(client: Client, file: Path, name: str, entry: dict[str, Any]) -> Change:
    """Plan to put a server into a file; what else the file says of it stays.

    Raises :class:`ClientError` if the file can't be read and changed without harm.
    """
    before = _content(file)
    found = _servers(client, file, before, name, entry)
    old = found.get(name)
    kept = old if isinstance(old, dict) else {}
    new = {field: value for field, value in kept.items() if field not in _REMOTE} | entry
    if not client.says_stdio and new.get("type") in ("http", "sse", "streamable-http"):
        del new["type"]
    after = _text(before)
    if old != new:
        after = _FORMS[client.form].put(after, client.key, name, new)
        if _FORMS[client.form].find(after, client.key) != found | {name: new}:
            raise ClientError(
                f"{file} can't be changed safely: change it by hand{_hint(client, name, entry)}"
            )
    return Change(client, name, file, before, after.encode(), old, new)


def removed(client: Client, file: Path, name: str) -> Change:
    """Plan to take a server out of a file. Raises :class:`ClientError` as :func:`installed`."""
    before = _content(file)
    found = _servers(client, file, before, name, None)
    after = _text(before)
    if name in found:
        after = _FORMS[client.form].take_out(after, client.key, name)
        left = {other: server for other, server in found.items() if other != name}
        if _FORMS[client.form].find(after, client.key) != left:
            raise ClientError(f"{file} can't be changed safely: remove {name!r} by hand")
    return Change(client, name, file, before, after.encode(), found.get(name), None)


def servers_in(client: Client, file: Path) -> dict[str, Any]:
    """Return the servers that a file names. Raises :class:`ClientError` if it can't be read."""
    return _servers(client, file, _content(file), "", None)


def snippet(client: Client, name: str, entry: dict[str, Any]) -> str:
    """Return a configuration that holds this server only."""
    text: str = _FORMS[client.form].shown(client.key, name, entry)
    return text


def _leave_few(file: Path) -> None:
    """Delete copies of a file but the first and the latest; one that can't be is left."""
    copies = sorted(
        path
        for path in file.parent.glob("*.bak")
        if path.name.startswith(file.name) and _WHEN.fullmatch(path.name[len(file.name) :])
    )
    for path in copies[1:-_LATEST]:
        with suppress(OSError):
            path.unlink()


def _content(file: Path) -> bytes | None:
    try:
        return _read(file)
    except OSError as error:
        raise ClientError(
            f"{file} can't be read ({error.strerror}): make it readable, or give another --scope"
        ) from error


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None


def _text(content: bytes | None) -> str:
    return (content or b"").decode()


def _servers(
    client: Client, file: Path, content: bytes | None, name: str, entry: dict[str, Any] | None
) -> dict[str, Any]:
    try:
        found: dict[str, Any] = _FORMS[client.form].find(_text(content), client.key)
    except ValueError as error:
        hint = _hint(client, name, entry) if entry else ""
        raise ClientError(
            f"{file} can't be read as strict {client.form.upper()} ({error}): change it by hand"
            f"{hint}"
        ) from error
    return found


def _hint(client: Client, name: str, entry: dict[str, Any]) -> str:
    """Return in one line what to add, where one line can hold it."""
    if client.form == "toml":
        return ", as --print shows"
    member = json.dumps({name: entry}, ensure_ascii=False)[1:-1]
    return f', add to "{client.key}": {member}'


def _without_secrets(entry: dict[str, Any]) -> dict[str, Any]:
    hidden = {
        field: dict.fromkeys(value, _HIDDEN)
        for field, value in entry.items()
        if field in ("env", "headers", "http_headers") and isinstance(value, dict)
    }
    return entry | hidden
