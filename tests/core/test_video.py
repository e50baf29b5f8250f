"""Moments of a video: one for each scene, upright, found again, and never too many."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from mcp_vlsearch.core import video
from mcp_vlsearch.core.digest import open_file
from mcp_vlsearch.core.video import VideoFile
from mcp_vlsearch.errors import ImageError
from tests.core.mosaic import vector_of
from tests.parted_files import SIZE, scene, write_video
from tests.pictures import anywhere


@contextmanager
def opened(path: Path) -> Iterator[VideoFile]:
    with open_file(str(path), anywhere) as file:
        found = VideoFile(file, "MP4")
        try:
            yield found
        finally:
            found.close()


def times(path: Path, most: int = 100) -> list[float]:
    with opened(path) as found:
        return [float(part.removeprefix("t=")) for part in found.parts(most)]


def alike(a: Image.Image, b: Image.Image) -> float:
    return float(vector_of(a) @ vector_of(b))


@pytest.mark.parametrize(
    ("suffix", "codec", "key_frames"),
    [
        ("mp4", "mpeg4", 12),
        ("mov", "mpeg4", 1000),
        ("mkv", "mpeg4", 40),
        ("avi", "mpeg4", 12),
        ("mp4", "libx264", 250),
        ("webm", "libvpx", 30),
        ("mpg", "mpeg1video", 12),
    ],
)
def test_there_is_a_moment_for_each_scene_that_shows_it(
    tmp_path: Path, suffix: str, codec: str, key_frames: int
) -> None:
    scenes = [(scene(seed), 3.0) for seed in (1, 2, 3, 4)]
    rate = 25 if suffix == "mpg" else 10
    path = write_video(
        tmp_path / f"a.{suffix}", scenes, rate=rate, codec=codec, key_frames=key_frames
    )
    with opened(path) as found:
        parts = found.parts(100)
        starts = [float(part.removeprefix("t=")) for part in parts]
        assert len(starts) == 4
        for start, begun, (picture, _) in zip(starts, (0, 3, 6, 9), scenes, strict=True):
            assert begun - 0.15 <= start <= begun + 2.0
            shown = found.picture(f"t={start:g}").image
            assert shown.size == SIZE
            assert alike(shown, picture) > 0.98


def test_a_scene_that_does_not_change_is_one_moment(tmp_path: Path) -> None:
    assert times(write_video(tmp_path / "still.mp4", [(scene(1), 20.0)])) == [0.0]


def test_a_single_frame_is_a_moment(tmp_path: Path) -> None:
    assert times(write_video(tmp_path / "one.mp4", [(scene(1), 0.1)])) == [0.0]


def test_the_number_of_moments_is_bounded_and_the_first_is_among_them(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [(scene(seed), 1.5) for seed in range(12)])
    some = times(path, most=3)
    assert len(some) == 3
    assert some[0] == 0.0
    assert set(some) <= set(times(path))
    assert times(path, most=1) == [0.0]


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_video_that_was_held_sideways_is_upright(tmp_path: Path, rotation: int) -> None:
    picture = scene(5)
    path = write_video(tmp_path / "a.mp4", [(picture, 1.0)], rotation=rotation)
    seen = picture.rotate(rotation, expand=True)
    with opened(path) as found:
        shown = found.picture("t=0")
        small = found.picture("t=0", lambda width, height: (width // 2, height // 2)).image
    assert shown.image.size == (shown.info.width, shown.info.height) == seen.size
    assert alike(shown.image, seen) > 0.98
    assert small.size == (seen.width // 2, seen.height // 2)
    assert alike(small, seen) > 0.98


def test_a_moment_is_found_again_to_the_frame(tmp_path: Path) -> None:
    greys = [Image.new("RGB", SIZE, (4 * n, 4 * n, 4 * n)) for n in range(60)]
    path = write_video(tmp_path / "a.mp4", [(grey, 0.04) for grey in greys], rate=25)
    with opened(path) as found:
        for number in (0, 13, 37, 59):
            shown = np.asarray(found.picture(f"t={number / 25:g}").image).mean()
            assert abs(shown - 4 * number) < 3


def test_a_long_video_is_entered_where_a_look_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(tmp_path / "long.mp4", [(scene(n), 60.0) for n in range(10)], rate=5)
    monkeypatch.setattr(video, "_LOOKS", 40)
    decoded = []
    frames = VideoFile._frames

    def counted(self: VideoFile, seconds: float, until: float) -> Iterator[object]:
        for frame in frames(self, seconds, until):
            decoded.append(seconds)
            yield frame

    monkeypatch.setattr(VideoFile, "_frames", counted)
    found = times(path)
    assert 10 <= len(found) <= 11
    assert len(decoded) < 100  # of 3000 frames


def test_between_key_frames_is_looked_for_a_bounded_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(tmp_path / "a.mp4", [(scene(n), 3.0) for n in range(4)], key_frames=1000)
    assert len(times(path)) == 4
    monkeypatch.setattr(video, "WALK_SECONDS", 0.0)
    assert times(path) == [0.0]


def test_looking_ends_when_its_time_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(tmp_path / "a.mp4", [(scene(seed), 3.0) for seed in range(5)])
    monkeypatch.setattr(video, "LOOK_SECONDS", 0.0)
    assert times(path) == [0.0]


def test_a_fade_from_black_is_not_what_a_video_shows(tmp_path: Path) -> None:
    black = Image.new("RGB", SIZE)
    first, *rest = times(write_video(tmp_path / "a.mp4", [(black, 2.0), (scene(1), 3.0)]))
    assert first >= 1.9
    assert not rest
    assert times(write_video(tmp_path / "black.mp4", [(black, 2.0)])) == [0.0]


def test_a_video_says_when_it_was_taken(tmp_path: Path) -> None:
    taken = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
    with opened(write_video(tmp_path / "a.mp4", [(scene(1), 1.0)], taken=taken)) as found:
        info = found.picture("t=0").info
    assert info.taken_at == "2024-05-06T07:08:09+00:00"
    assert (info.format, info.part) == ("MP4", "t=0")


@pytest.mark.parametrize("data", [b"", b"hello" * 1000, bytes(5000)])
def test_what_is_no_video_is_refused_in_a_line(
    tmp_path: Path, data: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.mp4"
    path.write_bytes(data)
    with pytest.raises(ImageError) as caught, opened(path):
        pass
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_playlist_opens_no_other_file(tmp_path: Path) -> None:
    inside = write_video(tmp_path / "secret.mp4", [(scene(1), 1.0)])
    for name, text in (
        ("a.mp4", f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{inside}\n#EXT-X-ENDLIST\n"),
        ("b.mp4", f"ffconcat version 1.0\nfile {inside}\n"),
    ):
        path = tmp_path / name
        path.write_text(text)
        with pytest.raises(ImageError), opened(path):
            pass


def test_a_torn_video_gives_what_can_be_seen(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = write_video(tmp_path / "a.mkv", [(scene(seed), 3.0) for seed in range(4)])
    data = bytearray(whole.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 2000] = bytes(2000)
    torn = tmp_path / "torn.mkv"
    torn.write_bytes(bytes(data[: len(data) * 3 // 4]))
    with opened(torn) as found:
        first, *_ = found.parts(100)
        assert alike(found.picture(first).image, scene(0)) > 0.98
    assert capfd.readouterr() == ("", "")


def test_sound_alone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        silence = np.zeros((1, 1024), np.float32)
        frame = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(ImageError, match="no moving pictures"), opened(path):
        pass
