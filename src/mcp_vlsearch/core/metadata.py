"""When, where and with what a picture was taken, by its EXIF; wrong data counts as no data."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from PIL import ExifTags, Image

__all__ = ["Metadata", "read_metadata"]

_TAG: Final = ExifTags.Base
_GPS: Final = ExifTags.GPS

# When it was taken, or failing that when it was digitised or written; each with its time zone.
_DATES: Final = (
    (_TAG.DateTimeOriginal, _TAG.OffsetTimeOriginal),
    (_TAG.DateTimeDigitized, _TAG.OffsetTimeDigitized),
    (_TAG.DateTime, _TAG.OffsetTime),
)
_DATE: Final = re.compile(r"(\d{4})[:./-](\d\d?)[:./-](\d\d?)[ T](\d\d?):(\d\d):(\d\d)")
_OFFSET: Final = re.compile(r"[+-](0\d|1[0-4]):[0-5]\d")


@dataclass(frozen=True)
class Metadata:
    """``orientation`` is EXIF's, 1 to 8; ``taken_at`` ISO 8601 by the camera's clock, with its
    offset if known; ``camera`` and ``lens`` make and model; the place in decimal degrees."""

    orientation: int = 1
    taken_at: str | None = None
    camera: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    lens: str | None = None


def read_metadata(image: Image.Image) -> Metadata:
    """Return what an opened picture's EXIF says. Never raises."""
    try:
        exif = image.getexif()
    except Exception:
        return Metadata()
    orientation = exif.get(_TAG.Orientation)
    details = _directory(exif, ExifTags.IFD.Exif)
    latitude, longitude = _place(_directory(exif, ExifTags.IFD.GPSInfo)) or (None, None)
    return Metadata(
        orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1,
        # Some writers put everything into the main directory.
        _taken_at({**_directory(exif), **details}),
        _product(exif, _TAG.Make, _TAG.Model),
        latitude,
        longitude,
        _product(details, _TAG.LensMake, _TAG.LensModel),
    )


def _directory(exif: Image.Exif, number: int | None = None) -> dict[int, Any]:
    try:
        return dict(exif if number is None else exif.get_ifd(number))
    except Exception:  # damaged EXIF makes Pillow raise nearly anything
        return {}


def _text(value: object) -> str:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return " ".join(value.partition("\0")[0].split()) if isinstance(value, str) else ""


def _taken_at(tags: Mapping[int, Any]) -> str | None:
    for date, offset in _DATES:
        if match := _DATE.match(_text(tags.get(date))):
            try:
                moment = datetime(*map(int, match.groups()))  # type: ignore[arg-type]
            except ValueError:
                continue
            zone = _OFFSET.fullmatch(_text(tags.get(offset)))
            return moment.isoformat() + (zone.group() if zone else "")
    return None


def _product(tags: Mapping[int, Any], make_tag: int, model_tag: int) -> str | None:
    make, model = _text(tags.get(make_tag)), _text(tags.get(model_tag))
    if make and model.split(" ")[0].lower() == make.split(" ")[0].lower():
        make = ""  # "NIKON CORPORATION" makes the "NIKON D750"
    return f"{make} {model}".strip() or None


def _place(gps: Mapping[int, Any]) -> tuple[float, float] | None:
    latitude = _degrees(gps.get(_GPS.GPSLatitude), _text(gps.get(_GPS.GPSLatitudeRef)), "NS", 90)
    longitude = _degrees(
        gps.get(_GPS.GPSLongitude), _text(gps.get(_GPS.GPSLongitudeRef)), "EW", 180
    )
    return None if latitude is None or longitude is None else (latitude, longitude)


def _degrees(value: object, reference: str, signs: str, most: int) -> float | None:
    sign = reference[:1].upper()
    if not sign or sign not in signs:
        return None
    try:
        degrees, minutes, seconds = (float(part) for part in value)  # type: ignore[attr-defined]
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    angle = degrees + minutes / 60 + seconds / 3600
    if not math.isfinite(angle) or min(degrees, minutes, seconds) < 0 or angle > most:
        return None
    return round(-angle if sign == signs[1] else angle, 7)
