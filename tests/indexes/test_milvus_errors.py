"""What goes wrong on the way to a Milvus server passes by itself, or is told in one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from pymilvus import MilvusClient

from mcp_vlsearch.contracts import ImageFacts, Space
from mcp_vlsearch.errors import LibraryError, SettingsError
from mcp_vlsearch.indexes.milvus import MilvusIndex, connection
from mcp_vlsearch.indexes.milvus.collection import Collection
from mcp_vlsearch.indexes.milvus.expressions import Expression
from mcp_vlsearch.settings import Settings
from tests.milvus_server import Gate, free_port, gated_server, milvus_server

DIM = 8
SPACE = Space("fingerprint", DIM, "library")
ROWS = np.eye(DIM, dtype=np.float32)
SEQS = np.arange(1, DIM + 1)


@pytest.fixture
def gate() -> Gate:
    return Gate("root:sesame")


@pytest.fixture
def uri(gate: Gate, tmp_path: Path) -> Iterator[str]:
    with gated_server(tmp_path / "data", gate) as uri:
        yield uri


@pytest.fixture
def index(uri: str, tmp_path: Path) -> Iterator[MilvusIndex]:
    """An index with a few rows, behind the gate."""
    index = at(uri, tmp_path, milvus_token="root:sesame")
    index.add(SEQS, ROWS)
    yield index
    index.close()


def at(uri: str, library: Path, **settings: str) -> MilvusIndex:
    return MilvusIndex(Settings(library=library, milvus_uri=uri, **settings), SPACE)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What is waited between attempts to connect, which takes no time here."""
    pauses: list[float] = []
    monkeypatch.setattr(connection, "pause", pauses.append)
    return pauses


def test_with_the_right_token_the_server_lets_us_in(index: MilvusIndex) -> None:
    assert index.search(ROWS, 1)[1][:, 0].tolist() == SEQS.tolist()


@pytest.mark.parametrize("token", [None, "root:wrong"])
def test_without_the_right_token_the_error_says_how_to_give_it(
    uri: str, tmp_path: Path, token: str | None, pauses: list[float]
) -> None:
    with pytest.raises(SettingsError, match="MCP_VLSEARCH_MILVUS_TOKEN") as caught:
        at(uri, tmp_path, **({"milvus_token": token} if token else {})).refresh()
    assert "wrong" not in str(caught.value)
    assert pauses == [], "another attempt would be refused, too"


def test_where_nobody_listens_the_error_comes_after_a_few_attempts_and_names_the_place(
    tmp_path: Path, pauses: list[float]
) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(LibraryError, match=f"can't reach Milvus at {address} .*--milvus-uri"):
        at(address, tmp_path).refresh()
    assert pauses == [0.5, 1.0, 2.0]


def test_a_server_that_starts_meanwhile_is_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    servers = milvus_server(tmp_path / "data", port)
    monkeypatch.setattr(connection, "pause", lambda _: servers.__enter__())
    try:
        at(f"http://127.0.0.1:{port}", tmp_path).add(SEQS, ROWS)
    finally:
        servers.__exit__(None, None, None)


@pytest.mark.parametrize("uri", ["milvus.db", "ftp://127.0.0.1:1", "http://", "127.0.0.1:19530"])
def test_an_address_that_is_none_is_a_wrong_setting(uri: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--milvus-uri: give the address of a server"):
        at(uri, tmp_path)


def test_a_password_in_the_address_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match=r"127\.0\.0\.1") as caught:
        at(f"http://root:secret@127.0.0.1:{free_port()}", tmp_path).refresh()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("method", "call"),
    [
        ("Search", lambda index: index.search(ROWS, 3)),
        ("Query", lambda index: index.refresh()),
        ("Upsert", lambda index: index.add(SEQS + DIM, ROWS)),
        ("Delete", lambda index: index.remove(SEQS[:2], 1)),
    ],
)
def test_a_call_that_finds_the_server_away_for_a_moment_is_sent_again(
    index: MilvusIndex, gate: Gate, method: str, call: Callable[[MilvusIndex], None]
) -> None:
    gate.answers += [(method, grpc.StatusCode.UNAVAILABLE)] * 3
    call(index)
    assert gate.answers == []


def test_a_server_that_stays_away_is_an_error_within_the_time_limit(
    index: MilvusIndex, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_ANSWER", 0.2)
    gate.answers += [("Search", grpc.StatusCode.UNAVAILABLE)] * 100
    with pytest.raises(
        LibraryError, match=r"can't reach Milvus at http.*start the server"
    ) as caught:
        index.search(ROWS, 3)
    assert "\n" not in str(caught.value)
    gate.answers.clear()
    assert index.search(ROWS, 1)[1][0, 0] == 1, "and when it is back, it is used again"


def test_a_server_that_takes_too_long_is_an_error(index: MilvusIndex, gate: Gate) -> None:
    gate.answers.append(("Search", grpc.StatusCode.DEADLINE_EXCEEDED))
    with pytest.raises(LibraryError, match="did not answer in time"):
        index.search(ROWS, 3)


def test_what_else_the_server_says_is_passed_on_in_one_line(index: MilvusIndex, gate: Gate) -> None:
    gate.answers.append(("Search", grpc.StatusCode.INVALID_ARGUMENT))
    with pytest.raises(
        LibraryError, match=r"^Milvus at http.* fails to search: injected; look into its log$"
    ):
        index.search(ROWS, 3)


@pytest.mark.parametrize("version", ["2.3.21", "v2.2.9-dev"])
def test_a_server_that_is_too_old_is_named_with_its_version(
    uri: str, tmp_path: Path, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MilvusClient, "get_server_version", lambda *_, **__: version)
    with pytest.raises(LibraryError, match=f"is Milvus {version}: upgrade it to 2.4"):
        at(uri, tmp_path, milvus_token="root:sesame").refresh()


def test_a_folder_that_can_not_be_written_is_named(
    index: MilvusIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    with pytest.raises(LibraryError, match=r"milvus\.lock can't be written \(Permission denied\)"):
        index.remove(SEQS[:1], 1)


def test_a_real_server_gets_values_apart_and_an_index_of_its_own_choice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it is not Milvus Lite; calls are looked at, for there is no such server here."""
    calls: dict[str, dict[str, object]] = {}

    def call(_: object, method: str, **arguments: object) -> object:
        calls[method] = arguments
        return {"query": [{"count(*)": 7, "state": "[1, 2, 3]"}], "search": []}.get(method, [])

    monkeypatch.setattr(connection.Connection, "call", call)
    settings = Settings(library=tmp_path, milvus_uri="http://127.0.0.1:19530")
    one = Collection(settings, SPACE)
    condition = Expression("seq in {seqs}", {"seqs": [1, 2]})
    one.search(ROWS, 3, condition)
    assert calls["search"]["filter"] == "seq in {seqs}"
    assert calls["search"]["filter_params"] == {"seqs": [1, 2]}
    assert calls["search"]["consistency_level"] == "Strong"
    assert one.count(condition) == one.size() == 7
    assert one.state(newest=False) == (1, 2, 3)
    one._prepare()
    kinds = {p.field_name: p.index_type for p in calls["create_index"]["index_params"]}  # type: ignore[attr-defined]
    assert kinds.pop("vector") == "AUTOINDEX"
    assert set(kinds.values()) == {"INVERTED"}
    one.put([1] * 500, np.repeat(ROWS[:1], 500, axis=0), [ImageFacts()] * 500)
    assert "flush" not in calls, "a server knows better when"


def test_searches_wait_for_the_newest_rows_only_for_some_time_after_a_change(
    index: MilvusIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("mcp_vlsearch.indexes.milvus.collection.time.monotonic", lambda: now[0])
    collection = index._collection
    index.remove(SEQS[:1], 1)
    assert collection._consistency() == "Strong"
    now[0] += 11
    assert collection._consistency() == "Bounded"
    index.refresh()
    assert collection._consistency() == "Bounded", "nothing has changed"
