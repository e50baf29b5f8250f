"""From the setting ``model`` to a folder that holds a Qwen3-VL, and what kind of one it is."""

import logging
import re
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from math import prod
from pathlib import Path
from typing import Any, Final, Literal

from safetensors import SafetensorError, safe_open

from mcp_vlsearch.encoders.qwen3_vl.content import content_digest, read_json, weight_files
from mcp_vlsearch.encoders.qwen3_vl.hub import snapshot
from mcp_vlsearch.encoders.qwen3_vl.pixels import PixelFormat
from mcp_vlsearch.errors import CheckpointError

__all__ = ["Checkpoint", "Wanted", "open_checkpoint"]

MODEL_TYPE: Final = "qwen3_vl"
BUILT_IN: Final = "storybook"
# Checkpoints allow up to 16 million pixels, 16 thousand tokens a picture. Retrieval gains flatten
# long before that, and every token costs time.
DEFAULT_MAX_PIXELS: Final = 512 * 512
# Where a Sentence Transformers model says so: it was saved for its vectors.
_SENTENCE_FILES: Final = ("modules.json", "config_sentence_transformers.json")
_HUB_ID: Final = re.compile(r"[\w.-]+/[\w.-]+")
# What transformers' Qwen3-VL processor does where a checkpoint says nothing.
_PROCESSOR: Final[dict[str, Any]] = {
    "size": {"shortest_edge": 256 * 256, "longest_edge": 4096 * 4096},
    "image_mean": (0.5, 0.5, 0.5),
    "image_std": (0.5, 0.5, 0.5),
    "resample": 3,  # bicubic
}

Pooling = Literal["last", "mean"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wanted:
    """What messages tell a user to give: the flag, and checkpoints that would do."""

    flag: str = "--model"
    examples: tuple[str, ...] = ("Qwen/Qwen3-VL-Embedding-2B", BUILT_IN)

    @property
    def instead(self) -> str:
        """What to do where a hub id can't be had."""
        return f"or give {self.flag} a local directory, or try {self.flag} {self.examples[-1]}"


_TO_ENCODE: Final = Wanted()


@dataclass(frozen=True)
class Checkpoint:
    """A folder with ``config.json`` of a Qwen3-VL; ``model`` is the name that the user gave."""

    model: str
    folder: Path
    config: dict[str, Any]

    @property
    def hidden_size(self) -> int:
        """Width of a token's state, and so of a full vector."""
        return int(self.config["text_config"]["hidden_size"])

    @property
    def image_token(self) -> int:
        """Id of the token that stands for a piece of a picture."""
        return int(self.config.get("image_token_id", 151655))

    @cached_property
    def parameters(self) -> int:
        """Number of weights, from the heads of the weight files."""
        return sum(_count(self.model, path) for path in self._weights())

    @cached_property
    def digest(self) -> str:
        """SHA-256 of config, tokenizer and weights, wherever the folder lies."""
        self._weights()
        try:
            return content_digest(self.folder)
        except OSError as error:
            raise CheckpointError(
                f"{self.model!r} can't be read ({error.strerror}: {error.filename}): "
                "check the permissions"
            ) from error

    @property
    def pooling(self) -> Pooling:
        """How token states become a vector, as far as the checkpoint says.

        Embedding checkpoints are trained on the last token's state. Instruct and Thinking are
        trained for no vector at all; the mean over tokens serves them best.
        """
        said = self._pooling_of_config() or self._pooling_of_sentence_transformers()
        if said:
            pooling, reason = said, "it says so"
        elif evidence := self._evidence_of_embedding():
            pooling, reason = "last", f"an embedding checkpoint by {evidence}"
        else:
            pooling, reason = "mean", "nothing says that it is an embedding checkpoint"
        logger.info("pooling of %s: %s, %s", self.model, pooling, reason)
        return pooling

    @property
    def makes_vectors(self) -> bool:
        """Whether something tells that it was trained to make vectors, not to write."""
        return self._evidence_of_embedding() is not None

    def pixel_format(self, max_pixels: int | None) -> PixelFormat:
        """Return how pictures are prepared; ``max_pixels`` overrides the checkpoint's budget."""
        given = _PROCESSOR | {k: v for k, v in self._preprocessor().items() if v is not None}
        size = _PROCESSOR["size"] | given["size"]
        vision = self.config["vision_config"]
        return PixelFormat(
            patch=int(vision.get("patch_size", 16)),
            merge=int(vision.get("spatial_merge_size", 2)),
            temporal=int(vision.get("temporal_patch_size", 2)),
            min_pixels=int(given.get("min_pixels") or size["shortest_edge"]),
            max_pixels=max_pixels
            or min(int(given.get("max_pixels") or size["longest_edge"]), DEFAULT_MAX_PIXELS),
            mean=tuple(given["image_mean"]),
            std=tuple(given["image_std"]),
            resample=int(given["resample"]),
        )

    def _preprocessor(self) -> dict[str, Any]:
        if (path := self.folder / "preprocessor_config.json").is_file():
            return _read(self.model, path)
        # newer transformers save all processors in one file
        if (path := self.folder / "processor_config.json").is_file():
            values: dict[str, Any] = _read(self.model, path).get("image_processor", {})
            return values
        return {}

    def _weights(self) -> list[Path]:
        try:
            weights = weight_files(self.folder)
        except (OSError, ValueError) as error:
            raise _damaged(self.model, error) from error
        missing = [path.name for path in weights if not path.is_file()]
        if missing:
            raise CheckpointError(
                f"{self.model!r} lacks {missing[0]}: copy or download the whole checkpoint "
                f"to {self.folder}"
            )
        return weights

    def _pooling_of_config(self) -> Pooling | None:
        said = self.config.get("mcp_vlsearch", {}).get("pooling")
        return said if said in ("last", "mean") else None

    def _pooling_of_sentence_transformers(self) -> Pooling | None:
        path = self.folder / "1_Pooling" / "config.json"
        values = _read(self.model, path) if path.is_file() else {}
        mode = values.get("pooling_mode")
        if values.get("pooling_mode_lasttoken") or mode == "lasttoken":
            return "last"
        if values.get("pooling_mode_mean_tokens") or mode == "mean":
            return "mean"
        return None

    def _evidence_of_embedding(self) -> str | None:
        """Return what tells that the checkpoint was made for vectors, the surest first."""
        if self.config.get("architectures") == ["Qwen3VLModel"]:
            return "its architecture"  # saved without the head that makes it talk
        for name in _SENTENCE_FILES:
            if (self.folder / name).is_file():
                return name
        if "embedding" in str(self.config.get("_name_or_path", "")).lower():
            return "the name in its config.json"
        if "qwen3-vl-embedding" in self._model_card().lower():
            return "its README.md"
        if any("embedding" in name.lower() for name in self._names()):
            return "its name"
        return None

    def _model_card(self) -> str:
        try:
            return (self.folder / "README.md").read_text("utf-8", errors="replace")
        except OSError:  # few copies have one
            return ""

    def _names(self) -> list[str]:
        """Return the checkpoint's names; a folder of the hub's cache has it two levels up."""
        folder = self.folder.resolve()
        named = folder.parent.parent if folder.parent.name == "snapshots" else folder
        return [Path(self.model).name, named.name]


def open_checkpoint(model: str, wanted: Wanted = _TO_ENCODE) -> Checkpoint:
    """Find the checkpoint: the built-in ``storybook``, a local directory, or a hub id.

    Raises :class:`CheckpointError` if there is none, it can't be downloaded or is no Qwen3-VL; it
    says what is ``wanted``.
    """
    folder = _folder(model, wanted)
    path = folder / "config.json"
    if not path.is_file():
        raise CheckpointError(
            f"{folder} holds no config.json: give {wanted.flag} the directory of a Qwen3-VL "
            "checkpoint"
        )
    config = _read(model, path)
    if (kind := config.get("model_type")) != MODEL_TYPE:
        tries = " or ".join(f"{wanted.flag} {example}" for example in wanted.examples)
        raise CheckpointError(
            f"{model!r} is a checkpoint of type {kind!r}, not a Qwen3-VL: try {tries}"
        )
    for part, key in (("text_config", "hidden_size"), ("vision_config", "depth")):
        if not isinstance(config.get(part), dict) or key not in config[part]:
            raise _damaged(model, f"config.json lacks {part}.{key}")
    return Checkpoint(model, folder, config)


def _folder(model: str, wanted: Wanted) -> Path:
    if model == BUILT_IN:
        folder = Path(str(files("mcp_vlsearch.storybook").joinpath("checkpoint")))
        if not folder.is_dir():
            raise CheckpointError("the built-in storybook is missing: reinstall mcp-vlsearch")
        return folder
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder.absolute()
    if _HUB_ID.fullmatch(model) and not model.startswith("."):
        return snapshot(model, wanted.instead)
    raise CheckpointError(
        f"there is no directory {model!r}: give {wanted.flag} a local directory, or a name such as "
        f"{' or '.join(wanted.examples)}"
    )


def _read(model: str, path: Path) -> dict[str, Any]:
    try:
        return read_json(path)
    except (OSError, ValueError) as error:
        raise _damaged(model, f"{path.name}: {error}") from error


def _count(model: str, path: Path) -> int:
    try:
        with safe_open(path, framework="numpy") as tensors:
            names = tensors.keys()
            return sum(prod(tensors.get_slice(name).get_shape()) for name in names)
    except (OSError, SafetensorError) as error:
        raise _damaged(model, f"{path.name}: {error}") from error


def _damaged(model: str, reason: object) -> CheckpointError:
    return CheckpointError(
        f"{model!r} is damaged ({reason}): copy or download the checkpoint again"
    )
