"""A checkpoint from the Hugging Face hub: what is on this machine first, else a download."""

import logging
from pathlib import Path
from typing import Final

from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)
from huggingface_hub.utils.tqdm import (
    are_progress_bars_disabled,
    disable_progress_bars,
    enable_progress_bars,
)

from mcp_vlsearch.encoders.qwen3_vl.content import weight_files
from mcp_vlsearch.errors import CheckpointError

__all__ = ["snapshot"]

_PATTERNS: Final = ["*.safetensors", "*.json", "*.txt", "*.jinja", "README.md"]

logger = logging.getLogger(__name__)


def snapshot(repository: str, instead: str) -> Path:
    """Return the folder that holds a hub repository, downloading it if it is not there in full.

    Raises :class:`CheckpointError` if it can't be had, with what to do ``instead``.
    """
    try:
        folder = Path(
            snapshot_download(repository, local_files_only=True, allow_patterns=_PATTERNS)
        )
        if _is_complete(folder):
            return folder
    except (LocalEntryNotFoundError, HFValidationError):
        pass
    logger.info("downloading %s", repository)
    try:
        folder = _download(repository)
    except GatedRepoError as error:
        raise CheckpointError(
            f"{repository!r} is open only to some: ask for access on its hub page and run "
            f"`hf auth login`, {instead}"
        ) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise CheckpointError(
            f"the hub has no checkpoint {repository!r}, or not for you: check the spelling, "
            f"{instead}"
        ) from error
    except LocalEntryNotFoundError as error:
        raise CheckpointError(
            f"can't download {repository!r} (no network): connect, {instead}"
        ) from error
    except Exception as error:  # whatever the hub's client and its transport raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(
            f"can't download {repository!r} ({reason}): try again, {instead}"
        ) from error
    # without a network the client may take what is left of a broken download for the whole
    if not _is_complete(folder):
        raise CheckpointError(
            f"{repository!r} is here only in part, or has no safetensors: connect, {instead}"
        )
    return folder


def _download(repository: str) -> Path:
    silent_before = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        return Path(snapshot_download(repository, allow_patterns=_PATTERNS))
    finally:
        if not silent_before:
            enable_progress_bars()


def _is_complete(folder: Path) -> bool:
    try:
        return all(path.is_file() for path in [folder / "config.json", *weight_files(folder)])
    except (OSError, ValueError):
        return False
