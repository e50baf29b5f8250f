"""Precision auto fits the memory that is free, and says what it chose."""

import logging
import os
from pathlib import Path

import pytest
import torch

from mcp_vlsearch import memory as main_memory
from mcp_vlsearch.encoders.qwen3_vl import device, memory, quantise

GIB = 2**30
WIDTHS = {"hidden_size": 2048, "intermediate_size": 6144}


@pytest.mark.parametrize(
    ("where", "parameters", "gibibytes", "installed", "precision"),
    [
        ("cuda", 2.1e9, 24, True, "bf16"),
        ("cuda", 2.1e9, 6, True, "bf16"),
        ("cuda", 2.1e9, 5, True, "int8"),
        ("cuda", 2.1e9, 4, True, "nf4"),
        ("cuda", 2.1e9, 5, False, "bf16"),
        ("cuda", 8.8e9, 24, True, "bf16"),
        ("cuda", 8.8e9, 16, True, "int8"),
        ("cuda", 8.8e9, 12, True, "nf4"),
        ("cuda", 8.8e9, 1, True, "nf4"),
        ("cuda", 5e6, 1, True, "bf16"),
        ("cpu", 2.1e9, 16, True, "bf16"),
        ("cpu", 2.1e9, 4.5, True, "int8"),
        ("cpu", 2.1e9, 3.5, True, "nf4"),
        ("cpu", 2.1e9, 1, True, "nf4"),
        ("cpu", 2.1e9, 3.5, False, "bf16"),
        ("cpu", 5e6, 0.5, True, "bf16"),
        ("mps", 2.1e9, 4, True, "fp16"),
    ],
)
def test_auto_quantises_what_free_memory_is_too_small_for(
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    parameters: float,
    gibibytes: float,
    installed: bool,
    precision: str,
) -> None:
    free = None if where == "mps" else int(gibibytes * GIB)
    monkeypatch.setattr(device, "free_memory", lambda _: free)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    monkeypatch.setattr(quantise, "find_spec", lambda _: installed or None)
    assert device.choose_precision("auto", where, int(parameters), WIDTHS) == precision


def test_auto_takes_int8_where_nf4_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "free_memory", lambda _: GIB)
    odd = {"hidden_size": 2048, "intermediate_size": 6100}
    assert device.choose_precision("auto", "cpu", int(2.1e9), odd) == "int8"


def test_auto_says_what_it_chose_and_for_how_much_memory(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(device, "free_memory", lambda _: 9 * GIB // 2)
    with caplog.at_level(logging.INFO):
        device.choose_precision("auto", "cpu", 2_100_000_000, WIDTHS)
    said = "precision int8 chosen for 2100000000 weights on cpu with 4.5 GiB free"
    assert caplog.messages == [said]


def test_free_memory_of_a_gpu_is_what_its_driver_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (3 * GIB, 8 * GIB))
    assert memory.free_memory("cuda") == 3 * GIB
    assert memory.free_memory("mps") is None


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine of 16 GiB whose files about memory lie in a folder."""
    monkeypatch.setattr(main_memory, "_MEMINFO", tmp_path / "meminfo")
    group = (tmp_path, "memory.max", "memory.current")
    monkeypatch.setattr(main_memory, "_CONTAINER", (group,))
    pages = {"SC_PHYS_PAGES": 16 * GIB // 4096, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(os, "sysconf", pages.__getitem__)
    return tmp_path


@pytest.mark.parametrize(
    ("limit", "used", "free"),
    [
        (None, 0, 6),
        ("max", 3, 6),
        (str(4 * GIB), 0, 4),
        (str(4 * GIB), 3, 1),
        (str(4 * GIB), 5, 0),
        (str(8 * GIB), 3, 5),
        (str(2**63 - 4096), 3, 6),
    ],
)
def test_free_main_memory_counts_what_only_caches_and_keeps_to_what_a_container_has_left(
    system: Path, limit: str | None, used: int, free: int
) -> None:
    lines = [f"MemTotal: {16 * GIB // 1024} kB", "MemFree: 1 kB"]
    lines.append(f"MemAvailable:   {6 * GIB // 1024} kB")
    (system / "meminfo").write_text("\n".join(lines))
    if limit:
        (system / "memory.max").write_text(f"{limit}\n")
        (system / "memory.current").write_text(f"{(used + 2) * GIB}\n")
        stat = f"anon {used * GIB}\nfile {2 * GIB}\nactive_file {GIB}\ninactive_file {GIB}\n"
        (system / "memory.stat").write_text(stat)
    assert memory.free_memory("cpu") == free * GIB


def test_where_nobody_says_what_is_free_all_there_is_stands_for_it(system: Path) -> None:
    assert memory.free_memory("cpu") == 16 * GIB
    (system / "meminfo").write_text("MemTotal: 5 kB\n")
    assert memory.free_memory("cpu") == 16 * GIB


@pytest.mark.usefixtures("system")
def test_windows_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sysconf")
    assert memory.free_memory("cpu") is None


def test_this_machine_says_something_sensible() -> None:
    free = memory.free_memory("cpu")
    assert free is None or 2**24 < free < 2**50
