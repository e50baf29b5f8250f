"""Where the process is that holds the model for all servers of this user, and starting it."""

import hashlib
import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final, get_args

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from mcp_vlsearch.encoders.address import Address, Place
from mcp_vlsearch.errors import EncoderError
from mcp_vlsearch.settings import Precision, Settings
from mcp_vlsearch.version import VERSION

__all__ = ["find_or_start"]

_PROGRAM: Final = "mcp_vlsearch.server.shared"
_DECIDING: Final = {
    *("encoder", "model", "device", "dim", "max_pixels", "pooling"),
    *("query_instruction", "image_instruction", "batch_size"),
}
"""Settings that servers must have in common to share a model, besides the precision."""
_DEVICES: Final = (
    "CUDA_DEVICE_ORDER",
    "CUDA_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES",
)
"""Variables that say which GPUs a process sees; servers must have them in common, too."""
_STARTS: Final = 120.0
"""Seconds that others may take to find or to start a process."""


def find_or_start(settings: Settings) -> Address:
    """Return where the model for these settings is served; start its process if there is none.

    However many processes ask at once, one is started: they look one after the other. Precision
    ``auto`` is content with a process of any precision, and any precision with a process that auto
    chose it for. Raises :class:`EncoderError`.
    """
    try:
        key = _folder() / _key(settings)
        with FileLock(key.with_suffix(".lock"), timeout=_STARTS, mode=0o600):
            wanted = settings.precision
            return _find(key, wanted) or _start(settings, _file(key, wanted))
    except Timeout as error:
        raise EncoderError(
            f"another process has been starting the encoder for {_STARTS:.0f} s: try again, or "
            "give --share off"
        ) from error
    except OSError as error:
        raise _cant_start(str(error)) from error


def _find(key: Path, wanted: str) -> Address | None:
    others = get_args(Precision) if wanted == "auto" else ("auto",)
    for started_as in dict.fromkeys((wanted, *others)):
        address = Place(_file(key, started_as)).find()
        if address and wanted in ("auto", started_as, address.precision):
            return address
    return None


def _file(key: Path, precision: str) -> Path:
    return key.with_suffix(f".{precision}.json")


def _folder() -> Path:
    folder = user_cache_path("mcp-vlsearch", appauthor=False) / "shared"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder


def _key(settings: Settings) -> str:
    decides = settings.model_dump(mode="json", include=_DECIDING)
    model = Path(settings.model)
    place = str(model.resolve()) if model.exists() else None
    devices = [os.environ.get(variable) for variable in _DEVICES]
    text = json.dumps([VERSION, sys.executable, place, devices, decides], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _start(settings: Settings, file: Path) -> Address:
    """Start the process, which writes the file and says ``ready``, or what is wrong."""
    own = settings.model_copy(
        update={"roots": ()}
        | dict.fromkeys(("token", "encoder_token", "milvus_token", "rewrite_token"))
    )
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", _PROGRAM, str(file)],  # -P: modules of no working directory
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C for one server is not for all
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin as given, process.stdout as said:
        with suppress(BrokenPipeError):
            given.write(own.model_dump_json().encode())
            given.close()
        line = said.readline().decode().strip()
    _ours[:] = [earlier for earlier in _ours if earlier.poll() is None] + [process]
    address = Place(file).find()
    if line != "ready" or address is None:
        raise _cant_start("it ended" if line in ("", "ready") else line)
    return address


def _cant_start(reason: str) -> EncoderError:
    return EncoderError(
        f"the process that holds the model can't start ({reason}): give --share off"
    )


_ours: list["subprocess.Popen[bytes]"] = []
"""Processes that were started here: Python warns of one that outlives its object."""
