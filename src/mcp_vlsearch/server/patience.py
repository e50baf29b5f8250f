"""HTTP connections that end when their client is too slow: in its headers, or in reading.

uvicorn bounds neither. A client that sends a byte a minute, or that never reads its answer, would
hold a connection, and what is to be sent over it, for as long as it likes.
"""

import asyncio
from typing import Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["PatientProtocol"]

HEAD_SECONDS: Final = 15.0
"""From the first byte of a request, or of a connection, to the end of the request's headers."""
STALL_SECONDS: Final = 60.0
"""How long a client may read nothing though there is something for it."""


class PatientProtocol(H11Protocol):
    """One connection; its patience for the client is bounded."""

    _head: asyncio.TimerHandle | None = None
    _stall: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._head = self.loop.call_later(HEAD_SECONDS, transport.abort)

    def data_received(self, data: bytes) -> None:
        """Take bytes; those of headers must be complete in time, however many come."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            _stop(self._head)
            self._head = None
        elif self._head is None:
            self._head = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def pause_writing(self) -> None:
        """Begin to wait for a client that does not read what there is for it."""
        super().pause_writing()
        if self._stall is None:
            self._stall = self.loop.call_later(STALL_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: the client has read."""
        _stop(self._stall)
        self._stall = None
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """End; nothing is waited for any more."""
        _stop(self._head)
        _stop(self._stall)
        self._head = self._stall = None
        super().connection_lost(exc)


def _stop(timer: asyncio.TimerHandle | None) -> None:
    if timer:
        timer.cancel()
