"""Filters mean what they say: compared with plain Python over random pictures."""

import math
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mcp_vlsearch.cache.catalog import Catalog, FileRecord, ImageInfo
from mcp_vlsearch.cache.database import Database
from mcp_vlsearch.cache.embeddings import Embeddings
from mcp_vlsearch.core.filters import compile_filters
from mcp_vlsearch.errors import QueryError, RootError
from mcp_vlsearch.formats import PILLOW_FORMATS
from mcp_vlsearch.types import Filters, Near
from mcp_vlsearch.wording import in_words

pytestmark = pytest.mark.end_to_end

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FOLDERS = ("/p", "/p/q", "/p/q/r", "/p-q", "/p0", "/pq", "/o", "/p/%", "/p/_", "/p/\U0001f431")
FORMATS = {"JPEG": ("jpg", ".JPG", "Jpeg", "jpe"), "PNG": ("png",), "TIFF": ("tif", "TIFF"),
           "HEIC": ("heic", "heif", ".hif"), "WEBP": ("webp",)}  # fmt: skip
CAMERAS = ("Canon EOS R5", "CANON PowerShot", "NIKON D750", "100% cam_era\\1", "Apple iPhone 15")
PLACES = ((0.0, 180.0), (0.0, -180.0), (0.0, 179.9), (10.0, -179.9), (89.99, 10.0), (90.0, 0.0),
          (-90.0, 0.0), (-89.5, -120.0), (0.0, 0.0), (52.5, 13.4), (52.4, 13.1),
          (60.0, 10.8))  # fmt: skip
BERLIN = Near(latitude=52.5, longitude=13.4, km=50)


@dataclass(frozen=True)
class Picture:
    """What the reference knows of one image: its description, and path and mtime of its files."""

    info: ImageInfo
    files: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Gallery:
    """Random pictures in a library; the first has seq 1, the next seq 2, and so on."""

    catalog: Catalog
    pictures: tuple[Picture, ...]

    def allowed(self, filters: Filters) -> list[int]:
        """Return what the library allows."""
        condition = compile_filters(filters)
        assert condition is not None
        seqs = self.catalog.allowed(condition, "one")
        assert seqs.dtype == np.int64
        return [int(seq) for seq in seqs]

    def expected(self, filters: Filters) -> list[int]:
        """Return what the reference allows."""
        return [seq for seq, picture in enumerate(self.pictures, 1) if meets(picture, filters)]


def meets(picture: Picture, filters: Filters) -> bool:
    """Say whether a picture meets all filters, the plain way."""
    return image_meets(picture.info, filters) and any(
        file_meets(path, mtime_ns, filters) for path, mtime_ns in picture.files
    )


def image_meets(info: ImageInfo, f: Filters) -> bool:
    taken = info.taken_at and datetime.fromisoformat(info.taken_at).replace(tzinfo=None)
    shape = (info.width > info.height) - (info.width < info.height)
    return all(
        (
            f.format is None
            or f.format.lower() in FORMATS[info.format]
            or f.format in FORMATS[info.format],
            f.taken_after is None or (taken and taken >= f.taken_after.replace(tzinfo=None)),
            f.taken_before is None or (taken and taken < f.taken_before.replace(tzinfo=None)),
            f.min_width is None or info.width >= f.min_width,
            f.min_height is None or info.height >= f.min_height,
            f.orientation is None or f.orientation == ("square", "landscape", "portrait")[shape],
            f.camera is None or (info.camera and f.camera.lower() in info.camera.lower()),
            f.lens is None or (info.lens and f.lens.lower() in info.lens.lower()),
            f.near is None or (info.latitude is not None and distance(info, f.near) <= f.near.km),
        )
    )


def file_meets(path: str, mtime_ns: int, f: Filters) -> bool:
    modified = EPOCH + timedelta(microseconds=mtime_ns // 1000)
    return (
        (f.folder is None or path.startswith(f.folder.rstrip("/") + "/"))
        and (f.modified_after is None or modified >= f.modified_after.astimezone(UTC))
        and (f.modified_before is None or modified < f.modified_before.astimezone(UTC))
    )


def distance(info: ImageInfo, near: Near) -> float:
    """Return kilometres between two places by the angle between their directions in space."""
    assert info.latitude is not None
    assert info.longitude is not None
    a, b = direction(info.latitude, info.longitude), direction(near.latitude, near.longitude)
    return 6371.0088 * math.atan2(float(np.linalg.norm(np.cross(a, b))), float(a @ b))


def direction(latitude: float, longitude: float) -> Any:
    up, east = math.radians(latitude), math.radians(longitude)
    return np.array([math.cos(up) * math.cos(east), math.cos(up) * math.sin(east), math.sin(up)])


def random_picture(rng: random.Random, number: int) -> Picture:
    place = rng.choice((*PLACES, (rng.uniform(-90, 90), rng.uniform(-180, 180)), (None, None)))
    taken = datetime(2024, 1, 1) + timedelta(hours=rng.randrange(48))
    info = ImageInfo(
        width=rng.choice((100, 200, 300)),
        height=rng.choice((100, 200, 300)),
        format=rng.choice(list(FORMATS)),
        bytes=number,
        taken_at=rng.choice((None, taken.isoformat(), f"{taken.isoformat()}+09:00")),
        camera=rng.choice((None, *CAMERAS)),
        latitude=place[0],
        longitude=place[1],
        lens=rng.choice((None, "EF 24-70mm", "ef 50mm", "XF 35mm")),
    )
    folders = rng.sample(FOLDERS, rng.randint(1, 3))
    hours = [rng.randrange(48) for _ in folders]
    return Picture(
        info,
        tuple(
            (f"{folder}/{number}.x", (1_704_067_200 + hour * 3600) * 10**9 + rng.choice((0, 999)))
            for folder, hour in zip(folders, hours, strict=True)
        ),
    )


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    rng = random.Random(7)
    pictures = tuple(random_picture(rng, number) for number in range(300))
    database = Database(tmp_path_factory.mktemp("library") / "library.db")
    catalog = Catalog(database)
    encoder: Any = SimpleNamespace(
        fingerprint="one", name="none", model="none", precision="fp32", dim=2
    )
    embeddings = Embeddings(database, encoder)
    ids = [f"{rng.getrandbits(64):016x}" for _ in pictures]
    with database.write():
        for image_id, picture in zip(ids, pictures, strict=True):
            catalog.put_image(image_id, picture.info)
            catalog.put_files((p, FileRecord(1, mtime, image_id)) for p, mtime in picture.files)
        catalog.put_files([("/p/broken", FileRecord(1, 1_704_067_200 * 10**9, error="broken"))])
        embeddings.put(ids, np.full((len(ids), 2), 0.5**0.5, np.float32))
        embeddings.publish(ids)
    yield Gallery(catalog, pictures)
    database.close()


def moments() -> st.SearchStrategy[datetime]:
    hours = st.integers(-1, 49).map(lambda hour: datetime(2024, 1, 1) + timedelta(hours=hour))
    zones = st.sampled_from([None, UTC, timezone(timedelta(hours=9))])
    return st.builds(lambda moment, zone: moment.replace(tzinfo=zone), hours, zones)


CIRCLES = st.builds(
    Near,
    latitude=st.one_of(st.sampled_from([p[0] for p in PLACES]), st.floats(-90, 90)),
    longitude=st.one_of(st.sampled_from([p[1] for p in PLACES]), st.floats(-180, 180)),
    km=st.one_of(st.sampled_from([1, 20, 1000, 10010, 15000, 20100]), st.floats(0.1, 20100)),
)
CHOICES: dict[str, st.SearchStrategy[Any]] = {
    "folder": st.sampled_from([*FOLDERS, "/", "/p/", "/nowhere"]),
    "format": st.sampled_from([name for names in FORMATS.values() for name in names]),
    "taken_after": moments(),
    "taken_before": moments(),
    "modified_after": moments(),
    "modified_before": moments(),
    "min_width": st.sampled_from([1, 100, 101, 300, 301]),
    "min_height": st.sampled_from([1, 200, 2**40]),
    "orientation": st.sampled_from(["landscape", "portrait", "square"]),
    "camera": st.sampled_from(["canon", "EOS r5", "%", "_", "\\", "0% C", "D7_0", "%%", "phone"]),
    "lens": st.sampled_from(["EF", "50MM", "mm", "%", "none"]),
    "near": CIRCLES,
}


@settings(max_examples=150, deadline=None)
@given(st.fixed_dictionaries({}, optional=CHOICES).filter(bool).map(lambda f: Filters(**f)))
@example(Filters(near=Near(latitude=0, longitude=180, km=20)))
@example(Filters(near=Near(latitude=0, longitude=-180, km=20)))
@example(Filters(near=Near(latitude=60, longitude=10, km=50)))
@example(Filters(near=Near(latitude=89.9, longitude=-170, km=30)))
@example(Filters(near=Near(latitude=-90, longitude=0, km=60)))
@example(Filters(near=Near(latitude=0, longitude=0, km=20100)))
def test_every_filter_allows_what_plain_python_allows(gallery: Gallery, filters: Filters) -> None:
    assert gallery.allowed(filters) == gallery.expected(filters)


@pytest.mark.parametrize("name", CHOICES)
def test_each_filter_alone_allows_what_plain_python_allows(gallery: Gallery, name: str) -> None:
    some = False

    @settings(max_examples=40, deadline=None, database=None)
    @given(CHOICES[name])
    def check(value: Any) -> None:
        nonlocal some
        filters = Filters(**{name: value})
        allowed = gallery.allowed(filters)
        assert allowed == gallery.expected(filters)
        some = some or 0 < len(allowed) < len(gallery.pictures)

    check()
    assert some, "the test has told pictures apart"


def test_no_filter_is_no_condition() -> None:
    assert compile_filters(Filters()) is None


def test_a_circle_reaches_over_the_date_line(gallery: Gallery) -> None:
    across = gallery.allowed(Filters(near=Near(latitude=0, longitude=-179.99, km=20)))
    longitudes = {gallery.pictures[seq - 1].info.longitude for seq in across}
    assert longitudes >= {180.0, -180.0, 179.9}


def test_a_circle_of_some_kilometres_is_found_by_the_index_of_places(gallery: Gallery) -> None:
    condition = compile_filters(Filters(near=BERLIN))
    assert condition is not None
    with gallery.catalog._database.read() as connection:
        plan = connection.execute(
            f"EXPLAIN QUERY PLAN SELECT image_id FROM images WHERE {condition.sql}",
            condition.parameters,
        )
        assert any("images_place" in row[3] for row in plan)


def test_a_times_offset_does_not_matter_to_the_cameras_clock(gallery: Gallery) -> None:
    noon = datetime(2024, 1, 1, 12)
    naive = gallery.allowed(Filters(taken_after=noon))
    assert naive
    assert naive == gallery.allowed(Filters(taken_after=noon.replace(tzinfo=UTC)))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2024", (2024, 1, 1)),
        (2024, (2024, 1, 1)),
        ("2024-05", (2024, 5, 1)),
        ("20240506", (2024, 5, 6)),
        (" 2024-05-06 ", (2024, 5, 6)),
    ],
)
def test_a_year_or_a_month_is_its_beginning(text: str | int, meant: tuple[int, int, int]) -> None:
    filters = Filters.model_validate({"taken_after": text})
    assert filters.taken_after == datetime(*meant)


@pytest.mark.parametrize("text", ["1700000000", 1700000000.5, "24", "-1", "2024-13", ""])
def test_a_number_is_not_taken_for_seconds_since_1970(text: str | float) -> None:
    with pytest.raises(ValidationError) as raised:
        Filters.model_validate({"modified_before": text})
    assert in_words(raised.value.errors()[0]).startswith("give a date, such as 2024-12-31")


def test_one_file_must_meet_all_conditions_on_files(gallery: Gallery) -> None:
    filters = Filters(folder="/p-q", modified_after=datetime(2024, 1, 1, 12, tzinfo=UTC))
    either = set(gallery.allowed(Filters(folder="/p-q"))) & set(
        gallery.allowed(Filters(modified_after=filters.modified_after))
    )
    both = gallery.allowed(filters)
    assert both == gallery.expected(filters)
    assert set(both) < either


@pytest.mark.parametrize("moment", [datetime.min, datetime.max])
def test_times_at_the_ends_of_the_calendar_are_no_trouble(
    gallery: Gallery, moment: datetime
) -> None:
    everything = list(range(1, len(gallery.pictures) + 1))
    after = gallery.allowed(Filters(modified_after=moment))
    before = gallery.allowed(Filters(modified_before=moment))
    assert (after, before) == ((everything, []) if moment.year == 1 else ([], everything))


def found_in(folder: Path | str, *paths: Path) -> list[Path]:
    """Return which of these files a filter allows."""
    condition = compile_filters(Filters(folder=str(folder)))
    assert condition is not None
    with closing(sqlite3.connect(":memory:")) as tables:
        tables.execute("CREATE TABLE files (path, image_id)")
        tables.execute("CREATE TABLE images (image_id, source)")
        tables.executemany("INSERT INTO files VALUES (?, ?)", ((str(p), str(p)) for p in paths))
        tables.executemany("INSERT INTO images VALUES (?, ?)", ((str(p), str(p)) for p in paths))
        rows = tables.execute(
            f"SELECT image_id FROM images WHERE {condition.sql}", condition.parameters
        )
        return [Path(path) for (path,) in rows]


def test_a_folder_may_be_written_through_a_link_or_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path.resolve()
    (home / "real").mkdir()
    (home / "link").symlink_to(home / "real")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    picture, other = home / "real" / "a.png", home / "reality" / "a.png"
    folders = [str(home / name) for name in ("real", "link", "real/x/..")]
    for folder in (*folders, "~/real"):
        assert found_in(folder, picture, other) == [picture]


def test_a_folder_that_is_a_link_below_a_root_holds_what_was_found_there(tmp_path: Path) -> None:
    home = tmp_path.resolve()
    for folder in ("disk/pictures", "elsewhere"):
        (home / folder).mkdir(parents=True)
    (home / "root").symlink_to(home / "disk" / "pictures")
    (home / "root" / "more").symlink_to(home / "elsewhere")
    picture = home / "disk" / "pictures" / "more" / "a.png"  # below the root as it is resolved
    other = home / "disk" / "pictures" / "b.png"
    for link in (home / "root" / "more", home / "disk" / "pictures" / "more"):
        assert found_in(link, picture, other) == [picture]
    assert found_in(home / "root", picture, other) == [picture, other]


@pytest.mark.parametrize("folder", ["pictures", "~nobody-has-this-name/pictures"])
def test_a_folder_must_be_a_whole_path(folder: str) -> None:
    with pytest.raises(QueryError, match="give its whole path"):
        compile_filters(Filters(folder=folder))


@pytest.mark.parametrize("name", ["jpgg", "", "heic jpeg", "EPS"])
def test_a_format_must_be_one_that_pictures_have(name: str) -> None:
    with pytest.raises(
        ValidationError, match=r"no picture has this format: give JPEG, PNG, .*HEIC"
    ):
        Filters(format=name)


@pytest.mark.parametrize("name", PILLOW_FORMATS)
def test_every_format_that_a_library_can_hold_may_be_asked_for(name: str) -> None:
    condition = compile_filters(Filters(format=name.lower()))
    assert condition is not None
    assert condition.parameters == ({"HEIF": "HEIC"}.get(name, name),)


def test_a_folder_must_be_a_path() -> None:
    with pytest.raises(RootError, match="not a path"):
        compile_filters(Filters(folder="/pictures\0"))
