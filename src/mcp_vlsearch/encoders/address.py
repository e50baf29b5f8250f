"""Where a shared process is found, by what it is known to be alive, and that it is the right one.

It holds a lock for life, which the operating system frees when it dies, however that comes about.
As long as it has the lock it counts as alive, be it ever so slow. Its address is in a file beside.
"""

import hmac
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from filelock import BaseFileLock, FileLock, Timeout

from mcp_vlsearch.errors import EncoderError
from mcp_vlsearch.files import write_whole

__all__ = ["PROOF", "Address", "Place", "proof"]

PROOF: Final = "/proof"
"""Path at which a process proves that it knows its secret."""
_SETTLES: Final = 60.0
"""Seconds that a process may take to tell its address, or to end once it has taken it back."""
_LOOK: Final = 0.05

pause = time.sleep


@dataclass(frozen=True)
class Address:
    """Where a process answers, the secret that lets its clients in, and the model's precision.

    That is ``auto`` until it has been chosen.
    """

    url: str
    secret: str
    precision: str


class Place:
    """The lock and the file of the processes that were started for the same.

    The file is of worth while the lock is held, and only who holds it changes the file.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def lock(self) -> BaseFileLock:
        """Return the lock that a process holds for life."""
        return FileLock(self._file.with_suffix(".lock"), mode=0o600, thread_local=False)

    def tell(self, address: Address) -> None:
        """Write the address, for this user's eyes only."""
        write_whole(self._file, json.dumps(asdict(address)), 0o600)

    def forget(self) -> None:
        """Remove the address: nobody new shall come."""
        self._file.unlink(missing_ok=True)

    def find(self) -> Address | None:
        """Return the address of the process that lives, None if there is none.

        One that is just starting or ending is waited for. Only one at a time may look: the lock is
        tried for a moment. Raises :class:`EncoderError` if it does neither.
        """
        until = time.monotonic() + _SETTLES
        while self._is_held():
            if address := self._read():
                return address
            if time.monotonic() > until:
                raise EncoderError(
                    f"the process that holds the model has not told its address for "
                    f"{_SETTLES:.0f} s: try again, or give --share off"
                )
            pause(_LOOK)
        return None

    def _is_held(self) -> bool:
        try:
            with self.lock().acquire(blocking=False):
                return False
        except Timeout:
            return True

    def _read(self) -> Address | None:
        try:
            found = json.loads(self._file.read_text("utf-8"))
            return Address(str(found["url"]), str(found["secret"]), str(found["precision"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None


def proof(url: str, secret: str, nonce: str) -> str:
    """Return what answers a nonce; only who knows the secret can, and for its own address only."""
    return hmac.new(secret.encode(), f"{url} {nonce}".encode(), "sha256").hexdigest()
