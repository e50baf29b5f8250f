"""Makes good and broken picture files for tests; nothing is stored."""

import io
import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, TiffImagePlugin

pillow_heif.register_heif_opener()

Pixels = NDArray[np.uint8]


def pixels(width: int = 96, height: int = 64, seed: int = 0) -> Pixels:
    """Return soft blotches of colour, shape (height, width, 3), that differ in every corner."""
    blotches = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), np.uint8)
    image = Image.fromarray(blotches).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image).copy()


def picture(width: int = 96, height: int = 64, seed: int = 0) -> Image.Image:
    """Return :func:`pixels` as an RGB picture."""
    return Image.fromarray(pixels(width, height, seed))


def encoded(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:  # noqa: A002
    """Return a picture as a file's bytes."""
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def png(values: NDArray[Any], color_type: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """Write a PNG by hand, for what Pillow can't write: 16-bit colours, odd or wrong chunks."""
    height, width = values.shape[:2]
    depth = 8 * values.dtype.itemsize
    rows = np.ascontiguousarray(values.astype(values.dtype.newbyteorder(">"))).view(np.uint8)
    lines = b"".join(b"\0" + row.tobytes() for row in rows.reshape(height, -1))
    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    body = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(name, data) for name, data in body)


def grey_tiff(
    values: NDArray[np.uint16],
    bits: int,
    *,
    order: Literal["<", ">"] = "<",
    white_is_zero: bool = False,
) -> bytes:
    """Write a TIFF of 12 or 16 bits a pixel by hand; Pillow writes neither 12 nor inverted ones."""
    height, width = values.shape
    if bits == 12:  # the first grey's bits come first, and rows begin with a byte
        digits = (values[..., None] >> np.arange(11, -1, -1)) & 1
        body = np.packbits(digits.astype(np.uint8).reshape(height, -1), axis=1).tobytes()
    else:
        body = values.astype(values.dtype.newbyteorder(order)).tobytes()
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: 0 if white_is_zero else 1,
            273: 8, 277: 1, 278: height, 279: len(body)}  # fmt: skip
    directory = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, v) for tag, v in tags.items())
    mark = b"II*\0" if order == "<" else b"MM\0*"
    count = struct.pack(f"{order}H", len(tags))
    return mark + struct.pack(f"{order}I", 8 + len(body)) + body + count + directory + bytes(4)


def chunk(name: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG, with its length and checksum."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def exif(tags: Mapping[int, Any], gps: Mapping[int, Any] | None = None) -> bytes:
    """Return EXIF with camera and orientation in its main directory and dates where they belong."""
    made = Image.Exif()
    details = {tag: value for tag, value in tags.items() if tag >= 0x8000}
    for tag, value in tags.items():
        if tag < 0x8000:
            made[tag] = value
    if details:
        made.get_ifd(ExifTags.IFD.Exif).update(details)
    if gps:
        made.get_ifd(ExifTags.IFD.GPSInfo).update(gps)
    return made.tobytes()


def anywhere(_place: str) -> bool:
    """Allow a file wherever it lies."""
    return True


def good_files() -> dict[str, bytes]:
    """Return a readable file of every kind by name, each with other content."""
    return _formats() | _modes() | _animated()


def broken_files() -> dict[str, bytes]:
    """Return files by name that are no readable pictures."""
    jpeg = encoded(picture(seed=50), "JPEG", quality=95)
    plain = encoded(picture(seed=51))
    webp = encoded(picture(seed=52), "WEBP")
    heic = encoded(picture(seed=53), "HEIF")
    gif = encoded(picture(seed=54).quantize(64), "GIF")
    flipped = bytearray(plain)
    flipped[len(plain) // 2] ^= 0xFF
    return {
        "empty.jpg": b"",
        "text.jpg": b"These are words, not a picture.\n" * 40,
        "page.png": b"<!doctype html><title>404</title>Not found",
        "random.webp": np.random.default_rng(1).bytes(4000),
        "zeros.tif": bytes(5000),
        "signature-only.jpg": jpeg[:4],
        "header-only.jpg": jpeg[:300],
        "half.jpg": jpeg[: len(jpeg) // 2],
        "nearly-whole.jpg": jpeg[:-40],
        "header-only.png": plain[:40],
        "half.png": plain[: len(plain) // 2],
        "wrong-checksum.png": bytes(flipped),
        "half.webp": webp[: len(webp) // 2],
        "half.heic": heic[: len(heic) // 2],
        "half.gif": gif[: len(gif) // 2],
        "half.tif": encoded(picture(seed=55), "TIFF")[:9000],
        "half.bmp": encoded(picture(seed=56), "BMP")[:9000],
        "half.avif": encoded(picture(seed=57), "AVIF")[:500],
        "half.jp2": encoded(picture(seed=58), "JPEG2000")[:200],
        "bomb.png": bomb(),
        "bomb-of-text.png": png(pixels(), 2, (b"zTXt", b"k\0\0" + zlib.compress(bytes(2**26)))),
        "script.jpg": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n",
        "strip-offset.tif": _tiff_with_wrong_offsets(),
    }


def bomb(width: int = 40_000, height: int = 30_000) -> bytes:
    """Return a small PNG that claims to be huge."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(name, data) for name, data in body)


def write_files(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write files into a folder, which is made; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return [folder / name for name in files]


def write_oddities(folder: Path) -> None:
    """Write what looks like a picture by name but is none: a FIFO, a folder, a dangling link."""
    folder.mkdir(parents=True, exist_ok=True)
    os.mkfifo(folder / "fifo.jpg")
    (folder / "folder.jpg").mkdir()
    (folder / "dangling.jpg").symlink_to(folder / "nowhere.jpg")


def _formats() -> dict[str, bytes]:
    formats: dict[str, tuple[str, dict[str, Any]]] = {
        "a.jpg": ("JPEG", {"quality": 95}),
        "progressive.jpeg": ("JPEG", {"progressive": True}),
        "b.png": ("PNG", {}),
        "c.webp": ("WEBP", {}),
        "lossless.webp": ("WEBP", {"lossless": True}),
        "d.gif": ("GIF", {}),
        "e.bmp": ("BMP", {}),
        "f.tif": ("TIFF", {}),
        "lzw.tiff": ("TIFF", {"compression": "tiff_lzw"}),
        "jpeg.tiff": ("TIFF", {"compression": "jpeg"}),
        "g.heic": ("HEIF", {}),
        "h.avif": ("AVIF", {}),
        "i.jp2": ("JPEG2000", {}),
        "j.ppm": ("PPM", {}),
        "k.tga": ("TGA", {}),
        "l.pcx": ("PCX", {}),
        "m.ico": ("ICO", {}),
        "n.icns": ("ICNS", {}),
        "o.dds": ("DDS", {}),
        "p.sgi": ("SGI", {}),
        "q.qoi": ("QOI", {}),
    }
    files = {
        name: encoded(picture(seed=seed), kind, **options)
        for seed, (name, (kind, options)) in enumerate(formats.items())
    }
    return files | {"png-inside.jpg": encoded(picture(seed=30)), "UPPER.JPG": files["a.jpg"] + b" "}


def _modes() -> dict[str, bytes]:
    colours = picture(seed=31)
    grey = np.asarray(colours.convert("L"))
    see_through = colours.copy()
    see_through.putalpha(colours.convert("L").transpose(Image.Transpose.ROTATE_180))
    cmyk = colours.convert("CMYK")
    return {
        "grey.png": encoded(colours.convert("L")),
        "one-bit.png": encoded(colours.convert("1")),
        "palette.png": encoded(colours.quantize(16)),
        "palette-transparent.png": encoded(colours.quantize(16), transparency=3),
        "palette-alphas.png": encoded(colours.quantize(4), transparency=b"\x00\x40\x80\xff"),
        "alpha.png": encoded(see_through),
        "alpha.webp": encoded(see_through, "WEBP"),
        "alpha.tif": encoded(see_through, "TIFF"),
        "grey-alpha.png": encoded(see_through.convert("LA")),
        "grey-16.png": png(grey.astype(np.uint16) * 257, 0),
        "colour-16.png": png(np.asarray(colours).astype(np.uint16) * 257, 2),
        "alpha-16.png": png(np.asarray(see_through).astype(np.uint16) * 257, 6),
        "grey-12.tif": grey_tiff(grey.astype(np.uint16) * 16, 12),
        "grey-16.tif": encoded(Image.fromarray(grey.astype(np.uint16) * 257), "TIFF"),
        "grey-16.pgm": encoded(Image.fromarray(grey.astype(np.int32) * 257), "PPM"),
        "grey-32.tif": encoded(Image.fromarray(grey.astype(np.int32) * 1000), "TIFF"),
        "float.tif": encoded(Image.fromarray(grey.astype(np.float32) / 255), "TIFF"),
        "cmyk.jpg": encoded(cmyk, "JPEG"),
        "ycck.jpg": encoded(cmyk, "JPEG", quality=90).replace(
            b"Adobe\0d\0\0\0\0\0", b"Adobe\0d\0\0\0\0\2"
        ),
        "cmyk.tif": encoded(cmyk, "TIFF"),
        "lab.tif": encoded(_lab(colours), "TIFF"),
        "ycbcr.tif": encoded(colours.convert("YCbCr"), "TIFF", compression="jpeg"),
        "long-text.png": png(pixels(), 2, (b"zTXt", b"k\0\0" + zlib.compress(bytes(2**21)))),
    }


def _animated() -> dict[str, bytes]:
    frames = [picture(seed=seed) for seed in (40, 41, 42)]
    options: dict[str, Any] = {"save_all": True, "append_images": frames[1:]}
    gif = encoded(frames[0], "GIF", **options)
    return {
        "animated.gif": gif,
        "last-frame-broken.gif": gif[:-200],
        "animated.webp": encoded(frames[0], "WEBP", lossless=True, **options),
        "animated.png": encoded(frames[0], "PNG", **options),
        "pages.tif": encoded(frames[0], "TIFF", **options),
        "several.mpo": encoded(frames[0], "MPO", **options),
    }


def _lab(image: Image.Image) -> Image.Image:
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    converted = ImageCms.profileToProfile(image, srgb, lab, outputMode="LAB")
    assert converted is not None
    return converted


def _tiff_with_wrong_offsets() -> bytes:
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    directory[TiffImagePlugin.STRIPOFFSETS] = 10**9
    return encoded(picture(seed=59), "TIFF", tiffinfo=directory)[:200]
