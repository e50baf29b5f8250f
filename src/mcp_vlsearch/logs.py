"""Logs: lines on stderr, as text or as JSON. stdout belongs to results and to the protocol."""

import logging
import os
import sys
from collections.abc import Mapping
from typing import Final, TextIO

from mcp_vlsearch.errors import SettingsError

__all__ = ["LOG_FORMAT", "VERBOSE", "set_up_logs", "tell_more"]

VERBOSE: Final = "MCP_VLSEARCH_VERBOSE"
LOG_FORMAT: Final = "MCP_VLSEARCH_LOG_FORMAT"

_OURS: Final = "mcp_vlsearch"
_FIELDS: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_FORMATS: Final = ("text", "json")
_FALSE: Final = ("", "0", "false", "no", "off")


def set_up_logs(
    *, verbose: bool = False, as_json: bool = False, environment: Mapping[str, str] = os.environ
) -> None:
    """Send what is logged in this process to stderr, in the form that flags or environment say.

    Without either, warnings alone are told. With ``verbose`` our own loggers tell everything, and
    those of other libraries what they find worth knowing. Raises :class:`SettingsError` for a
    format that is not known.
    """
    form = "json" if as_json else environment.get(LOG_FORMAT, "").lower() or "text"
    if form not in _FORMATS:
        raise SettingsError(f"{LOG_FORMAT}: there is no {form!r}; give text or json")
    verbose = verbose or environment.get(VERBOSE, "").lower() not in _FALSE
    root = logging.getLogger()
    for former in [one for one in root.handlers if isinstance(one, _ToStderr)]:
        root.removeHandler(former)
    root.addHandler(_ToStderr(form, has_time=verbose))
    root.setLevel(logging.INFO if verbose else logging.WARNING)
    logging.getLogger(_OURS).setLevel(logging.DEBUG if verbose else logging.WARNING)


def tell_more() -> None:
    """Have our own loggers tell what a server does, with the time."""
    ours = logging.getLogger(_OURS)
    ours.setLevel(min(ours.getEffectiveLevel(), logging.INFO))
    for handler in logging.getLogger().handlers:
        if isinstance(handler, _ToStderr):
            handler.add_time()


class _ToStderr(logging.StreamHandler[TextIO]):
    """Writes to what ``sys.stderr`` is at that moment."""

    def __init__(self, form: str, has_time: bool) -> None:
        logging.Handler.__init__(self)
        self._form = form
        self.setFormatter(_formatter(form) if has_time or form == "json" else None)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        """Return where it goes."""
        return sys.stderr

    def add_time(self) -> None:
        """Tell of each event when it was, how bad, and by whom it is told."""
        self.setFormatter(_formatter(self._form))


def _formatter(form: str) -> logging.Formatter:
    if form == "text":
        return logging.Formatter(_FIELDS)
    from pythonjsonlogger.json import JsonFormatter  # not needed for text, and start-up counts

    names = {"asctime": "time", "levelname": "level", "name": "logger"}
    return JsonFormatter(_FIELDS, rename_fields=names, json_ensure_ascii=False)
