"""Moments of a video as pictures, by FFmpeg's libraries.

No other file is opened for a video, whatever it asks for, and nothing but containers of video is
taken for one: playlists and the like could name files and addresses. A decoder can't be stopped
within a frame; between two of them, time is looked at.
"""

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from fractions import Fraction
from typing import Any, BinaryIO, Final, NoReturn

import av
import av.error
import numpy as np
from av.stream import Disposition
from av.video.frame import VideoFrame
from PIL import Image

from mcp_vlsearch.cache.catalog import ImageInfo
from mcp_vlsearch.core.decode import Decoded
from mcp_vlsearch.core.scenes import Look, moments
from mcp_vlsearch.errors import ImageError

__all__ = ["FRAME_SECONDS", "LOOK_SECONDS", "MAX_FRAME_PIXELS", "WALK_SECONDS", "VideoFile"]

LOOK_SECONDS: Final = 60.0
"""Longest time for looking through a video; what was seen by then has to do."""
FRAME_SECONDS: Final = 20.0
"""Longest time for finding one frame again."""
MAX_FRAME_PIXELS: Final = 100_000_000
_EDGES: Final = 64 * 2**16
"""Pixels that a decoder may add, so that rows begin at round addresses."""

_PREFIX: Final = "t="
_DEMUXERS: Final = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,asf,ogg,flv"
_LOOKS: Final = 240
"""Looks that a video is given at most, over all of its length."""
_STEP: Final = 0.5
"""Seconds between two looks, at least."""
_SPARSE: Final = 2.0
"""Where key frames are further apart, in seconds, the frames between them are decoded, too, unless
looks are as far apart as a quarter of that."""
WALK_SECONDS: Final = 20.0
"""Longest time for decoding between key frames; then they have to do."""
_SMALL: Final = (32, 18)
"""Width and height of what is compared."""
_CLOSE: Final = 6e-4
"""Seconds by which a frame's time may differ from what its part says, which has three decimals."""
_BROKEN_PACKETS: Final = 100

_TURN: Final = {
    90: Image.Transpose.ROTATE_90,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_270,
}
"""How to turn a frame upright, by degrees counterclockwise."""
_APPLE: Final = "com.apple.quicktime."
_PLACE: Final = re.compile(r"([+-]\d+(?:\.\d+)?)([+-]\d+(?:\.\d+)?)(?:[+-]\d+(?:\.\d+)?)?/")
_NOT_A_VIDEO: Final = "the file is not a video that can be read, or its beginning is damaged"


class VideoFile:
    """An opened video (see :class:`mcp_vlsearch.core.parted.PartedFile`) of a format by name.

    Raises :class:`ImageError` if it is damaged or has no moving pictures.
    """

    def __init__(self, file: BinaryIO, format: str) -> None:  # noqa: A002
        self._bytes = os.fstat(file.fileno()).st_size
        self._format = format
        if not self._bytes:
            raise ImageError("the file is empty: copy it here again")
        with _explained(_NOT_A_VIDEO):
            self._container = av.open(
                file,
                "r",
                # A little is decoded here already. Not less, so that larger ones are told as such.
                options={"max_pixels": str(4 * MAX_FRAME_PIXELS)},
                container_options={"format_whitelist": _DEMUXERS},
                metadata_errors="replace",
                io_open=_refuse,
            )
        try:
            self._stream = self._moving_pictures()
        except ImageError:
            self.close()
            raise
        self._stream.codec_context.thread_count = 1  # several files are read at once
        # What the codec says may be more than what the container does. It counts with edges.
        self._stream.codec_context.options |= {"max_pixels": str(MAX_FRAME_PIXELS + _EDGES)}
        self._base: Fraction = self._stream.time_base or Fraction(1, av.time_base)
        self._start = float((self._stream.start_time or 0) * self._base)

    def parts(self, most: int) -> tuple[str, ...]:
        """Return the moments at which what is seen changes: ``t=12.5`` and so on, in seconds."""
        with _explained("the video is damaged"):
            times = moments(self._looks(), most)
        if not times:
            raise ImageError("no picture of the video can be decoded: export it again")
        return tuple(f"{_PREFIX}{max(t, 0.0):.3f}".rstrip("0").rstrip(".") for t in times)

    def picture(
        self, part: str, target_size: Callable[[int, int], tuple[int, int]] | None = None
    ) -> Decoded:
        """Return the frame of a moment, upright."""
        with _explained("the video is damaged there"):
            frame = self._frame(float(part.removeprefix(_PREFIX)))
            turn = frame.rotation % 360
            is_turned = turn in (90, 270)
            shape = self._stream.sample_aspect_ratio or 1  # pixels of old cameras are not square
            seen = max(1, round(frame.width * shape)), frame.height
            _check_size(*seen)
            size = seen[::-1] if is_turned else seen
            target = target_size(*size) if target_size else size
            image = _rgb(frame, target[::-1] if is_turned else target, "BICUBIC")
        upright = Image.fromarray(image)
        if turn in _TURN:
            upright = upright.transpose(_TURN[turn])
        return Decoded(upright, self._info(size, part))

    def close(self) -> None:
        """Let go of the container."""
        self._container.close()

    def _moving_pictures(self) -> Any:
        streams = [
            s for s in self._container.streams.video if not s.disposition & Disposition.attached_pic
        ]
        if not streams or streams[0].codec_context is None:
            raise ImageError(
                "the file has no moving pictures, or they are of an unknown kind: export it as MP4"
            )
        stream = streams[0]
        _check_size(stream.width, stream.height)
        return stream

    def _seconds(self) -> float:
        """Return how long the video is, infinity if it does not say."""
        if self._stream.duration:
            return float(self._stream.duration * self._base)
        return self._container.duration / av.time_base if self._container.duration else np.inf

    def _looks(self) -> Iterator[Look]:
        """Look at key frames, as far apart as the video is long, and between them if need be.

        A long video is not decoded as a whole: it is entered where a look is wanted.
        """
        began = time.monotonic()
        until = began + LOOK_SECONDS
        seconds = self._seconds()
        step = _STEP if seconds == np.inf else max(_STEP, seconds / _LOOKS)
        sparse = max(_SPARSE, 4 * step)
        wanted, last = 0.0, -np.inf
        while wanted <= seconds:
            for moment, frame in self._frames(wanted, until):
                is_new = moment > last + _CLOSE
                may_walk = seconds == np.inf or time.monotonic() - began < WALK_SECONDS
                if not is_new and (wanted - moment <= sparse or not may_walk):
                    wanted += step
                    break
                if is_new and (frame.key_frame or last == -np.inf or moment >= wanted):
                    yield Look(moment, _rgb(frame, _SMALL, "AREA"))
                    last = moment
                    wanted = max(wanted, moment) + step
                    if frame.key_frame:
                        break
            else:
                return  # it is over
            if time.monotonic() > until:
                return

    def _frame(self, seconds: float) -> VideoFrame:
        found = None
        for moment, frame in self._frames(seconds, time.monotonic() + FRAME_SECONDS):
            found = frame
            if moment >= seconds - _CLOSE:
                return frame
        if found is None:
            raise ImageError("the video is damaged there: export it again")
        return found

    def _frames(self, seconds: float, until: float) -> Iterator[tuple[float, VideoFrame]]:
        """Give frames with their times, from the last key frame before a time, while there is time.

        Packets that are damaged are left out, up to a number.
        """
        broken = 0
        place = round((seconds + self._start + _CLOSE) / self._base)
        with suppress(av.error.FFmpegError):  # then it goes on from where it is
            self._container.seek(place, stream=self._stream, backward=True)
        for packet in self._container.demux(self._stream):
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                broken += 1
                if broken > _BROKEN_PACKETS:
                    return
                continue
            for frame in frames:
                _check_size(frame.width, frame.height)
                if frame.pts is not None:
                    yield float(frame.pts * frame.time_base) - self._start, frame
            if time.monotonic() > until:
                return

    def _info(self, size: tuple[int, int], part: str) -> ImageInfo:
        said = {**self._container.metadata, **self._stream.metadata}
        place = _PLACE.match(said.get(f"{_APPLE}location.ISO6709") or said.get("location", ""))
        latitude, longitude = map(float, place.groups()) if place else (None, None)
        names = (said.get(f"{_APPLE}make"), said.get(f"{_APPLE}model"))
        return ImageInfo(
            *size,
            self._format,
            self._bytes,
            _taken_at(said.get(f"{_APPLE}creationdate") or said.get("creation_time", "")),
            " ".join(filter(None, names)) or None,
            latitude,
            longitude,
            part=part,
        )


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_FRAME_PIXELS:
        raise ImageError(
            f"a frame has {width * height / 1e6:.0f} megapixels, the limit is "
            f"{MAX_FRAME_PIXELS / 1e6:.0f}: export it smaller"
        )


def _rgb(frame: VideoFrame, size: tuple[int, int], how: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return a frame's pixels at a size, shape (height, width, 3)."""
    width, height = size
    return np.asarray(
        frame.reformat(width, height, "rgb24", interpolation=how).to_ndarray(), np.uint8
    )


def _taken_at(text: str) -> str | None:
    """Return a time in ISO 8601, with its offset; None if it is none, or a clock never set."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.isoformat(timespec="seconds") if moment.year >= 1980 else None


def _refuse(url: str, *_: object) -> NoReturn:
    raise PermissionError(f"a video asks for another file: {url}")


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turn whatever FFmpeg's libraries raise into one :class:`ImageError`."""
    try:
        yield
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageError(
            "the video does not fit into memory: close other programs", retry=True
        ) from error
    except Exception as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        said = " ".join(str(reason).split())[:200]
        raise ImageError(f"{what}: {said}; get another copy") from error
