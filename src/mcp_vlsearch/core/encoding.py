"""The library's encoder: made in the background, waited for with progress, used in turn."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from mcp_vlsearch.contracts import Encoder, ExplainingEncoder, PreparingEncoder, Query
from mcp_vlsearch.core.progress import Progress, ProgressCallback
from mcp_vlsearch.core.query_cache import QueryCache
from mcp_vlsearch.core.turns import Turns
from mcp_vlsearch.errors import EncoderChangedError, EncoderError, VLSearchError
from mcp_vlsearch.pins import follow_pin
from mcp_vlsearch.plugins import resolve
from mcp_vlsearch.settings import DEFAULT_ENCODER, Settings
from mcp_vlsearch.types import EncoderState, EncoderStatus

if TYPE_CHECKING:
    from PIL import Image

    from mcp_vlsearch.contracts import Heat, Prepared, Vectors

__all__ = ["Encoded", "EncoderSlot", "prepared"]

logger = logging.getLogger(__name__)

_HEARTBEAT = 1.0
"""Seconds between two reports while waiting; clients reset their time limits on each."""
_QUERIES = 64
"""Queries of different searches that one encoder call takes."""


def prepared(encoder: Encoder, image: "Image.Image") -> "Image.Image | Prepared":
    """Return what is best given to ``encode_images``: all that can be done ahead is done.

    May be called from any thread.
    """
    return encoder.prepare(image) if isinstance(encoder, PreparingEncoder) else image


@dataclass(frozen=True)
class Encoded:
    """How much was encoded; ``known_queries`` are those whose vectors were still known."""

    images: int
    queries: int
    known_queries: int


class EncoderSlot:
    """Holds one encoder from "not loaded" to "ready" or "failed"; a failed one is tried again.

    It is made when its fingerprint is asked for, and its weights are read when they are needed:
    where nothing is to be encoded, no model is loaded.

    ``settings`` are those that the encoder is made with: the given ones, with what the library has
    settled by then.
    """

    def __init__(
        self,
        settings: Settings,
        make_encoder: Callable[[Settings], Encoder] | None = None,
        follow: Callable[[Settings], Settings] = follow_pin,
    ) -> None:
        self.settings = settings
        self._make_encoder = make_encoder
        self._follow = partial(follow, settings)
        self._made = 0
        self._wanted = False
        self._encoder: Encoder | None = None
        self._state: EncoderState = "not loaded"
        self._error: VLSearchError | None = None
        self._changed = threading.Condition()
        self._turns = Turns()
        self._texts = QueryCache(settings.query_instruction)
        self._images = 0

    def warm_up(self) -> None:
        """Start making and loading the encoder in the background, unless that has begun."""
        with self._changed:
            self._wanted = True
            if self._state == "not loaded":
                self._begin(self._encoder)

    def follow(self) -> bool:
        """Begin with another encoder if the library asks for one by now; say whether it does.

        It does where another process was the first to index, and chose otherwise.
        """
        settings = self._follow()
        with self._changed:
            if self._encoder is None:  # whoever makes it follows
                return False
            if settings.precision in ("auto", self._encoder.precision):
                settings = settings.model_copy(update={"precision": self.settings.precision})
            if settings == self.settings:
                return False
            self._begin()
            return True

    def known(self, report: ProgressCallback) -> Encoder:
        """Wait until the encoder's fingerprint is known; its weights are not read for that."""
        return self._wait(report, lambda: self._encoder is not None)

    def ready(self, report: ProgressCallback) -> Encoder:
        """Wait until the encoder can encode. Raises what made it fail."""
        self.warm_up()
        return self._wait(report, lambda: self._state == "ready")

    def encode_images(
        self,
        images: Sequence["Image.Image | Prepared"],
        report: ProgressCallback,
        fingerprint: str,
    ) -> "Vectors":
        """Encode pictures, shape (len(images), dim), as soon as no search is waiting.

        Best come those that :func:`prepared` returns. Raises :class:`EncoderChangedError` if there
        is an encoder of another fingerprint by now.
        """
        encoder, turns = self._turn(report, fingerprint)
        vectors = turns.index(images, encoder.encode_images, encoder.batch_size)
        with self._changed:
            self._images += len(images)
        return vectors

    def encode_queries(
        self, queries: Sequence[Query], report: ProgressCallback, fingerprint: str
    ) -> "Vectors":
        """Encode queries, shape (len(queries), dim), before any picture that is to be indexed.

        Texts that were searched before cost nothing; queries that wait at the same time are encoded
        in one call. Raises :class:`EncoderChangedError` if there is an encoder of another
        fingerprint by now.
        """
        encoder, turns = self._turn(report, fingerprint)
        known = self._texts.known(encoder, queries)
        if known is not None:
            return known
        return turns.search(
            queries, lambda together: self._texts.encode(encoder, together), _QUERIES
        )

    def explain(
        self, image: "Image.Image", vector: "Vectors", report: ProgressCallback, fingerprint: str
    ) -> "Heat":
        """Return how much each part of a picture matches a vector, shape (rows, columns).

        It takes its turn with the searches. Raises :class:`EncoderError` if the encoder can't say,
        and :class:`EncoderChangedError` if there is one of another fingerprint by now.
        """
        encoder, turns = self._turn(report, fingerprint)
        if not isinstance(encoder, ExplainingEncoder):
            raise EncoderError(
                f"the encoder {encoder.name!r} can't say which part of a picture matches: "
                "use the encoder qwen3-vl for that"
            )
        return turns.alone(image, lambda given: encoder.explain(given, vector))

    def status(self) -> EncoderStatus:
        """Say what the encoder is and where it stands; never waits."""
        encoder = self._encoder
        settings = self._follow() if self._state == "not loaded" else self.settings
        return EncoderStatus(
            name=settings.encoder,
            model=encoder.model if encoder else settings.model,
            precision=encoder.precision if encoder else settings.precision,
            device=encoder.device if encoder else settings.device,
            dim=encoder.dim if encoder else settings.dim or 0,
            state=self._state,
        )

    @property
    def state(self) -> EncoderState:
        """Where the encoder stands."""
        return self._state

    def encoded(self) -> Encoded:
        """Say how much was encoded so far; never waits."""
        return Encoded(self._images, self._texts.encoded, self._texts.hits)

    def _loading(self) -> str:
        is_default = self.settings.encoder == DEFAULT_ENCODER
        what = f"model {self.settings.model}" if is_default else f"encoder {self.settings.encoder}"
        encoder = self._encoder
        known = f" in {encoder.precision} on {encoder.device}" if encoder else ""
        return f"loading the {what}{known}"

    def _begin(self, made: Encoder | None = None) -> None:
        """Make an encoder in the background, or load the one that is made; the lock is held."""
        self._state, self._encoder, self._error = "loading", made, None
        if made is None:
            self._made += 1
            self._turns = Turns()  # what waits for another one must not be encoded with this one
        threading.Thread(
            target=self._work, args=(self._made, made), name="encoder", daemon=True
        ).start()

    def _work(self, number: int, encoder: Encoder | None) -> None:
        """Make the encoder, unless it is made, and load it if that is wanted by then."""
        try:
            if encoder is None:
                encoder = self._make(number)
            if encoder is not None:
                began = time.monotonic()
                encoder.load()
                seconds = time.monotonic() - began
                logger.info(
                    "%s loaded in %.1f s, in %s on %s",
                    encoder.model,
                    seconds,
                    encoder.precision,
                    encoder.device,
                    extra={"seconds": round(seconds, 3)},
                )
                self._become(number, "ready", encoder)
        except VLSearchError as error:
            self._become(number, "failed", error=error)
        except BaseException as error:  # whatever a plugin raises, a waiting call must hear of it
            said = (
                f"encoder {self.settings.encoder!r} failed to load: {error!r}; mend or reinstall it"
            )
            self._become(number, "failed", error=EncoderError(said))

    def _make(self, number: int) -> Encoder | None:
        """Make the encoder; return it if it is to be loaded, too."""
        settings = self._follow()
        with self._changed:
            if number == self._made:
                self.settings = settings
        make = self._make_encoder or resolve("encoders", settings.encoder)
        encoder = make(settings)
        with self._changed:
            state: EncoderState = "loading" if self._wanted else "not loaded"
            is_ours = self._become(number, state, encoder)
            return encoder if is_ours and self._wanted else None

    def _become(
        self,
        number: int,
        state: EncoderState,
        encoder: Encoder | None = None,
        error: VLSearchError | None = None,
    ) -> bool:
        """Take up a state, unless another encoder has been begun with since; say whether."""
        with self._changed:
            if number != self._made:
                return False
            self._state, self._encoder, self._error = state, encoder, error
            self._changed.notify_all()
            return True

    def _turn(self, report: ProgressCallback, fingerprint: str) -> tuple[Encoder, Turns]:
        """Wait until the encoder can encode; return it with the line of those that wait for it."""
        with self._changed:
            encoder, turns = self.ready(report), self._turns
        if encoder.fingerprint != fingerprint:
            raise EncoderChangedError(
                f"the library went over to {encoder.model} in {encoder.precision} meanwhile: "
                "try again"
            )
        return encoder, turns

    def _wait(self, report: ProgressCallback, reached: Callable[[], bool]) -> Encoder:
        seconds = 0
        with self._changed:
            if self._state == "failed" or (self._state == "not loaded" and not self._encoder):
                self._begin()
            while not self._changed.wait_for(lambda: reached() or self._error, _HEARTBEAT):
                seconds += 1
                report(Progress(0, None, f"{self._loading()}, {seconds} s"))
            if self._error:
                raise self._error
            assert self._encoder is not None
            return self._encoder
