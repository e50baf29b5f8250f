"""An encoder in a process that all servers of this user share, so that the model is there once."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeVar, get_args

from PIL import Image

from mcp_vlsearch.contracts import Query
from mcp_vlsearch.encoders.address import Address
from mcp_vlsearch.encoders.endpoint import Endpoint
from mcp_vlsearch.encoders.remote import RemoteEncoder
from mcp_vlsearch.encoders.sharing import find_or_start
from mcp_vlsearch.encoders.wire import Packed
from mcp_vlsearch.errors import EncoderError, UnreachableError
from mcp_vlsearch.settings import Precision, Settings

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Heat, Vectors

__all__ = ["SharedEncoder"]

T = TypeVar("T")

_ENDS: Final = 30.0
"""Seconds within which a process that answers nobody any more has ended."""
_LOOK: Final = 0.05

pause = time.sleep


class SharedEncoder:
    """The encoder of the settings, run by the shared process (see :class:`PreparingEncoder`).

    It has that encoder's fingerprint. The process ends when nobody has asked it for a while, or may
    be killed; a call that finds it gone, or another program at its address, starts it again and is
    repeated once.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._turn = threading.Lock()
        remote = self._remote = self._connect()
        if remote.precision in get_args(Precision):  # a new process must not choose another one
            self._settings = settings.model_copy(update={"precision": remote.precision})
        self.name = settings.encoder
        self.model = remote.encoder_model
        self.precision = remote.precision
        self.device = remote.device
        self.dim = remote.dim
        self.fingerprint = remote.fingerprint
        self.batch_size = remote.batch_size
        self.composes = remote.composes

    def target_size(self, width: int, height: int) -> tuple[int, int]:
        """Return the size in pixels at which the encoder looks at a picture."""
        return self._call(lambda remote: remote.target_size(width, height))

    def load(self) -> None:
        """Wait until the process has the weights. Raises :class:`EncoderError`."""
        self.encode_queries([Query("ready?")])

    def prepare(self, image: Image.Image) -> Packed:
        """Return a picture as it is sent, whichever process will have it."""
        return self._call(lambda remote: remote.prepare(image))

    def encode_images(self, images: Sequence[Image.Image | Packed]) -> "Vectors":
        """Return unit-norm vectors, shape (len(images), dim). Raises :class:`EncoderError`."""
        return self._call(lambda remote: remote.encode_images(images))

    def encode_queries(self, queries: Sequence[Query]) -> "Vectors":
        """Return unit-norm vectors, shape (len(queries), dim). Raises :class:`EncoderError`."""
        return self._call(lambda remote: remote.encode_queries(queries))

    def explain(self, image: Image.Image, vector: "Vectors") -> "Heat":
        """Return how much each part of a picture matches a vector. Raises :class:`EncoderError`."""
        return self._call(lambda remote: remote.explain(image, vector))

    def _call(self, work: Callable[[RemoteEncoder], T]) -> T:
        remote = self._remote
        try:
            return work(remote)
        except UnreachableError:
            with self._turn:
                if self._remote is remote:
                    self._remote = self._connect()
            return work(self._remote)

    def _connect(self) -> RemoteEncoder:
        until = time.monotonic() + _ENDS
        while True:
            address = find_or_start(self._settings)
            try:
                return self._reach(address)
            except UnreachableError:  # it is ending: its lock is freed later than its port
                if time.monotonic() > until:
                    raise
                pause(_LOOK)

    def _reach(self, address: Address) -> RemoteEncoder:
        # no time limit: the first one may have to download the model, and a dead process is noticed
        endpoint = Endpoint(address.url, address.secret, attempts=1, limit=None, proves=True)
        theirs = {"precision": "auto", "max_pixels": None}  # the process was started with ours
        remote = RemoteEncoder(self._settings.model_copy(update=theirs), endpoint)
        if remote.fingerprint != getattr(self, "fingerprint", remote.fingerprint):
            raise EncoderError(f"{self._settings.model!r} has changed: start the server again")
        return remote
