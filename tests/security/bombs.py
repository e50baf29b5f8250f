"""Small files that claim to be huge, in every format that Pillow can write, and others by hand."""

import gzip
import io
import struct
import zlib
from collections.abc import Iterator

from PIL import Image

from tests.pictures import bomb, chunk, encoded, pixels, png

SIZE = (241, 239)
"""Found again in a file's header, as few other numbers are."""
CLAIMED = (30_011, 29_989)

_WEBP = (16_301, 16_273)
"""Its numbers have 14 bits."""
_WRITTEN = ("JPEG", "GIF", "BMP", "AVIF", "HEIF", "JPEG2000", "PPM", "TGA", "PCX", "SGI", "QOI",
            "DDS", "MSP")  # fmt: skip


def bombs() -> dict[str, bytes]:
    """Return files by name, each with a header that claims 900 megapixels; of WebP, 265."""
    found = {"png": bomb(*CLAIMED), "tiff": _tiff(), "bigtiff": _tiff(big=True)}
    found |= {"psd": _psd(), "xpm": _xpm(), "fits": _fits(), "fits-gzip": _fits(gzip=True)}
    found["webp"] = _patched(_plain("WEBP"), _WEBP)
    return found | {name.lower(): _patched(_plain(name)) for name in _WRITTEN}


def _plain(name: str) -> bytes:
    return encoded(Image.new({"MSP": "1", "GIF": "P"}.get(name, "RGB"), SIZE), name)


def _patched(data: bytes, large: tuple[int, int] = CLAIMED) -> bytes:
    """Put the claim wherever the size stands, in any byte order and number format."""
    claims: list[tuple[bytes, bytes]] = []
    for form in (">II", "<II", ">HH", "<HH"):
        claims.append((struct.pack(form, *SIZE), struct.pack(form, *large)))
        claims.append((struct.pack(form, *SIZE[::-1]), struct.pack(form, *large[::-1])))
    less = (SIZE[0] - 1, SIZE[1] - 1), (large[0] - 1, large[1] - 1)
    claims.append((struct.pack("<HH", *less[0]), struct.pack("<HH", *less[1])))
    claims.append((b"%d %d\n" % SIZE, b"%d %d\n" % large))
    for before, after in claims:
        data = data.replace(before, after)
    start = data.find(b"ispe") + 8  # of HEIF and AVIF, where the size may be rounded
    if start > 8:
        data = data[:start] + struct.pack(">II", *large) + data[start + 8 :]
    return data


def _tiff(big: bool = False) -> bytes:
    tags = {256: CLAIMED[0], 257: CLAIMED[1], 258: 8, 259: 1, 262: 1, 273: 8, 277: 1,
            278: CLAIMED[1], 279: 1000}  # fmt: skip
    if big:
        body = b"".join(struct.pack("<HHQQ", tag, 4, 1, value) for tag, value in tags.items())
        return b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, len(tags)) + body + bytes(8)
    body = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + body + bytes(4)


def _psd() -> bytes:
    return b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, *CLAIMED, 8, 3) + bytes(40)


def _xpm() -> bytes:
    return b'/* XPM */\nstatic char *x[] = {\n"%d %d 1 1",\n"a c #000000",\n"aaa"};' % CLAIMED


def _fits(gzip: bool = False) -> bytes:
    cards = ["SIMPLE  =                    T", "BITPIX  =                    8",
             "NAXIS   =                    2", f"NAXIS1  = {CLAIMED[0]:>20}",
             f"NAXIS2  = {CLAIMED[1]:>20}", "END"]  # fmt: skip
    header = "".join(card.ljust(80) for card in cards).encode().ljust(2880)
    return header + bytes(2880) if not gzip else header + _packed()


def _packed() -> bytes:
    return gzip.compress(bytes(10_000))


def hidden() -> Iterator[tuple[str, bytes]]:
    """Give pictures of an honest size, with something in them that unpacks or is read to no end."""
    yield "png-text", png(pixels(), 2, (b"zTXt", b"k\0\0" + zlib.compress(bytes(2**25))))
    yield "png-texts", png(pixels(), 2, *[(b"zTXt", b"k\0\0" + _zeros())] * 64)
    yield "png-itxt", png(pixels(), 2, (b"iTXt", b"k\0\1\0\0\0" + zlib.compress(bytes(2**25))))
    yield "png-icc", png(pixels(), 2, (b"iCCP", b"k\0\0" + zlib.compress(bytes(2**25))))
    yield "png-pixels", _overfull_png()
    yield "png-exif", png(pixels(), 2, (b"eXIf", overlapping()))
    yield "jpeg-exif", _jpeg_with(overlapping())
    yield "tiff-tags", overlapping() + bytes(2**20)
    yield "tiff-loop", _looping_tiff()
    yield "ico-inside", _icon(bomb(*CLAIMED))
    yield "icns-inside", b"icns" + struct.pack(">I", 16 + 900) + _entry(bomb(*CLAIMED))
    yield "mpo-frames", encoded(Image.new("RGB", (64, 64)), "JPEG") + b"\xff\xe2" * 5000


def _zeros() -> bytes:
    return zlib.compress(bytes(15 * 2**20))


def _overfull_png() -> bytes:
    header = struct.pack(">IIBBBBB", 32, 32, 8, 2, 0, 0, 0)
    body = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(2**25))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(name, data) for name, data in body)


def overlapping(tags: int = 20_000, size: int = 2**20) -> bytes:
    """Return a directory in which each of many tags claims the same megabyte."""
    entries = b"".join(struct.pack("<HHII", 1000 + number, 7, size, 8) for number in range(tags))
    return (b"II*\0" + struct.pack("<IH", 8, tags) + entries + bytes(4)).ljust(size + 64, b"\0")


def _jpeg_with(exif: bytes) -> bytes:
    """Return a JPEG whose EXIF lies in as many segments as it needs."""
    plain = encoded(Image.new("RGB", (64, 64)), "JPEG")
    plain = plain[:2] + plain[20:]  # without JFIF, which would say the resolution
    parts = [exif[start : start + 65_000] for start in range(0, len(exif), 65_000)]
    segments = b"".join(
        b"\xff\xe1" + struct.pack(">H", len(part) + 8) + b"Exif\0\0" + part for part in parts
    )
    return plain[:2] + segments + plain[2:]


def _looping_tiff() -> bytes:
    """Return a TIFF whose directories follow each other in a circle, and lie within each other."""
    data = bytearray(encoded(Image.new("L", (16, 16)), "TIFF"))
    start = struct.unpack("<I", data[4:8])[0]
    count = struct.unpack("<H", data[start : start + 2])[0]
    end = start + 2 + 12 * count
    data[end : end + 4] = struct.pack("<I", start)
    data[end - 12 : end] = struct.pack("<HHII", 34665, 4, 1, start)
    return bytes(data)


def _icon(inside: bytes) -> bytes:
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, 0, 0, 0, 0, 1, 32, len(inside), 22) + inside


def _entry(inside: bytes) -> bytes:
    return b"ic09" + struct.pack(">I", 8 + len(inside)) + inside


def pages(count: int = 400) -> bytes:
    """Return a TIFF of many pages."""
    frames = [Image.new("1", (2, 2)) for _ in range(count)]
    file = io.BytesIO()
    frames[0].save(file, "TIFF", save_all=True, append_images=frames[1:])
    return file.getvalue()
