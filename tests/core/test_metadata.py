"""EXIF is read where it is right and ignored where it is wrong."""

from typing import Any

import pytest
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from mcp_vlsearch.core import decode
from mcp_vlsearch.core.metadata import Metadata, read_metadata
from mcp_vlsearch.core.pillow import open_picture

from ..pictures import encoded, exif, picture

TAG, GPS = ExifTags.Base, ExifTags.GPS


def metadata(
    tags: dict[int, Any], gps: dict[int, Any] | None = None, kind: str = "JPEG"
) -> Metadata:
    data = encoded(picture(), kind, exif=exif(tags, gps))
    return decode._read(open_picture(data))


def test_a_picture_without_exif_has_no_metadata() -> None:
    assert read_metadata(picture()) == Metadata()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_every_format_with_exif_tells_when_where_and_with_what(kind: str) -> None:
    tags: dict[int, Any] = {
        TAG.Make: "Canon",
        TAG.Model: "Canon EOS R5",
        TAG.DateTimeOriginal: "2021:07:04 18:30:05",
        TAG.OffsetTimeOriginal: "+08:00",
        TAG.SubsecTimeOriginal: "123",
        TAG.LensMake: "Canon",
        TAG.LensModel: "RF 24-70mm F2.8",
    }
    place: dict[int, Any] = {
        GPS.GPSLatitudeRef: "S",
        GPS.GPSLatitude: (33.0, 51.0, 25.2),
        GPS.GPSLongitudeRef: "E",
        GPS.GPSLongitude: (151.0, 12.0, 54.0),
    }
    found = metadata(tags, place, kind)
    assert found.taken_at == "2021-07-04T18:30:05+08:00"
    assert found.camera == "Canon EOS R5"
    assert found.lens == "Canon RF 24-70mm F2.8"
    assert found.latitude == pytest.approx(-33.857, abs=1e-6)
    assert found.longitude == pytest.approx(151.215, abs=1e-6)


@pytest.mark.parametrize(
    ("tags", "taken_at"),
    [
        ({TAG.DateTimeOriginal: "2021:07:04 18:30:05"}, "2021-07-04T18:30:05"),
        ({TAG.DateTimeOriginal: "2021-07-04T18:30:05"}, "2021-07-04T18:30:05"),
        ({TAG.DateTimeDigitized: "2020:01:02 03:04:05"}, "2020-01-02T03:04:05"),
        ({TAG.DateTime: "2019:01:02 03:04:05"}, "2019-01-02T03:04:05"),
        (
            {TAG.DateTime: "2019:01:02 03:04:05", TAG.DateTimeOriginal: "2018:01:02 03:04:05"},
            "2018-01-02T03:04:05",
        ),
        (
            {TAG.DateTimeOriginal: "2021:07:04 18:30:05", TAG.OffsetTimeOriginal: "CEST"},
            "2021-07-04T18:30:05",
        ),
        ({TAG.DateTimeOriginal: "0000:00:00 00:00:00"}, None),
        ({TAG.DateTimeOriginal: "2021:13:45 18:30:05"}, None),
        ({TAG.DateTimeOriginal: "    :  :     :  :  "}, None),
        ({TAG.DateTimeOriginal: "yesterday"}, None),
        ({TAG.DateTimeOriginal: 7}, None),
    ],
)
def test_the_date_is_when_it_was_taken_or_nothing(tags: dict[int, Any], taken_at: str) -> None:
    assert metadata(tags).taken_at == taken_at


@pytest.mark.parametrize(
    ("make", "model", "camera"),
    [
        ("Apple", "iPhone 15", "Apple iPhone 15"),
        ("NIKON CORPORATION", "NIKON D750", "NIKON D750"),
        ("FUJIFILM\0\0", " X-T4 \0junk", "FUJIFILM X-T4"),
        ("Leica", "", "Leica"),
        ("", "X100", "X100"),
        ("", "", None),
    ],
)
def test_the_camera_names_its_make_once(make: str, model: str, camera: str | None) -> None:
    assert metadata({TAG.Make: make, TAG.Model: model}).camera == camera


@pytest.mark.parametrize(
    "wrong",
    [
        {GPS.GPSLatitude: (IFDRational(1, 0), 0.0, 0.0)},
        {GPS.GPSLatitude: (91.0, 0.0, 0.0)},
        {GPS.GPSLatitude: (10.0, 0.0)},
        {GPS.GPSLatitude: 7.0},
        {GPS.GPSLatitudeRef: "?"},
        {GPS.GPSLatitudeRef: ""},
        {GPS.GPSLongitude: (181.0, 0.0, 0.0)},
    ],
)
def test_a_place_that_cannot_be_is_no_place(wrong: dict[int, Any]) -> None:
    right: dict[int, Any] = {
        GPS.GPSLatitudeRef: "N",
        GPS.GPSLatitude: (10.0, 30.0, 0.0),
        GPS.GPSLongitudeRef: "W",
        GPS.GPSLongitude: (20.0, 0.0, 0.0),
    }
    assert (metadata({}, right).latitude, metadata({}, right).longitude) == (10.5, -20.0)
    found = metadata({}, {**right, **wrong})
    assert (found.latitude, found.longitude) == (None, None)


@pytest.mark.parametrize("orientation", [0, 9, 300])
def test_an_orientation_that_does_not_exist_is_upright(orientation: int) -> None:
    assert metadata({TAG.Orientation: orientation}).orientation == 1


def test_damaged_exif_is_no_metadata() -> None:
    good = exif({TAG.Make: "Canon", TAG.DateTimeOriginal: "2021:07:04 18:30:05"})
    for length in range(6, len(good)):
        image = picture()
        image.info["exif"] = good[:length] + b"\xff" * 20
        assert isinstance(read_metadata(image), Metadata)


def test_a_picture_whose_exif_cannot_be_read_at_all_has_none() -> None:
    class Broken(Image.Image):
        def getexif(self) -> Image.Exif:
            raise SyntaxError("not a TIFF file")

    assert read_metadata(Broken()) == Metadata()
