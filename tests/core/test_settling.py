"""What something happens to is held back until it has been as it is for a while."""

from pathlib import Path

import pytest

from mcp_vlsearch.core.settling import Settling


class Clock:
    """A clock that stands still."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def settling(clock: Clock) -> Settling:
    return Settling(quiet=1.0, at_most=10.0, clock=clock)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    path.write_bytes(b"half")
    return path


def test_a_file_is_ready_once_it_was_quiet(settling: Settling, clock: Clock, file: Path) -> None:
    settling.add(str(file))
    clock.now += 0.9
    assert settling.ready() == []
    clock.now += 0.1
    assert settling.ready() == [str(file)]
    assert settling.ready() == [str(file)], "it stays until it is dropped"
    settling.drop([str(file)])
    assert (settling.ready(), len(settling)) == ([], 0)


def test_a_file_that_grows_unheard_is_waited_for(
    settling: Settling, clock: Clock, file: Path
) -> None:
    settling.add(str(file))
    file.write_bytes(b"half and half")
    clock.now += 1.0
    assert settling.ready() == []
    clock.now += 1.0
    assert settling.ready() == [str(file)]


def test_every_new_notice_begins_the_wait_anew(
    settling: Settling, clock: Clock, file: Path
) -> None:
    for _ in range(5):
        settling.add(str(file))
        clock.now += 0.6
        assert settling.ready() == []
    clock.now += 0.4
    assert settling.ready() == [str(file)]


def test_what_never_rests_is_given_in_the_end(settling: Settling, clock: Clock, file: Path) -> None:
    for size in range(10):
        settling.add(str(file))
        file.write_bytes(bytes(size))
        assert settling.ready() == []
        clock.now += 1.0
    assert settling.ready() == [str(file)]


def test_what_is_gone_waits_longer_and_comes_last(
    settling: Settling, clock: Clock, file: Path
) -> None:
    gone = str(file.with_name("a.png"))
    settling.add(gone)
    settling.add(str(file))
    clock.now += 1.0
    assert settling.ready() == [str(file)]
    clock.now += 1.0
    assert settling.ready() == [str(file), gone]


def test_what_is_known_to_rest_is_ready_at_once(settling: Settling, file: Path) -> None:
    settling.add(str(file), rests=True)
    assert settling.ready() == [str(file)]
    settling.add(str(file))
    assert settling.ready() == [], "something has happened to it since"


def test_a_folder_waits_for_what_happens_in_it(
    settling: Settling, clock: Clock, tmp_path: Path
) -> None:
    settling.add(str(tmp_path))
    clock.now += 0.9
    settling.touch([str(tmp_path), str(tmp_path.parent)])
    clock.now += 0.9
    assert settling.ready() == []
    clock.now += 0.1
    assert settling.ready() == [str(tmp_path)]
