"""The formats that can be opened, and what people call them."""

from typing import Final

__all__ = ["COMMON_SUFFIXES", "PARTED_FORMATS", "PILLOW_FORMATS", "format_name"]

_PILLOW: Final = """
JPEG PNG WEBP GIF TIFF BMP AVIF HEIF JPEG2000 PSD QOI PPM ICO ICNS DDS DIB SGI FITS FLI BLP FTEX PCX
DCX XPM XBM SUN GBR PIXAR MSP CUR TGA PCD SPIDER
"""
PILLOW_FORMATS: Final = tuple(_PILLOW.split())
"""By Pillow's names, common ones first, those without a signature last. Left out are formats that
are handed to other programs, such as EPS."""
PARTED_FORMATS: Final = (
    *("PDF", "MP4", "MOV", "MKV", "WEBM", "AVI", "MPEG", "WMV", "3GP", "M2TS", "OGV", "FLV"),
)
"""Formats of files with several images: PDF, then videos."""

COMMON_SUFFIXES: Final = ".jpg, .png, .webp, .gif, .tif, .bmp, .avif, .heic"
"""How most pictures end, for messages."""

# Names of one format; the first of each is how the catalog calls it.
_SYNONYMS: Final = (
    ("JPEG", "JPG", "JPE", "JFIF", "MPO"),
    ("PNG", "APNG"),
    ("TIFF", "TIF"),
    ("HEIC", "HEIF", "HIF"),
    ("JPEG2000", "JP2", "J2K"),
    ("PPM", "PGM", "PBM", "PNM", "PFM"),
    ("MP4", "M4V"),
    ("MOV", "QT"),
    ("MPEG", "MPG"),
    ("3GP", "3G2"),
)
_NAMES: Final = {name: name for name in (*PILLOW_FORMATS, *PARTED_FORMATS)} | {
    name: names[0] for names in _SYNONYMS for name in names
}


def format_name(name: str) -> str | None:
    """Return how the catalog calls a format of any usual name or suffix, None if it is none."""
    return _NAMES.get(name.strip().lstrip(".").upper())
