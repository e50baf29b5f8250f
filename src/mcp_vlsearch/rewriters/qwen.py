"""``model``: a Qwen3-VL Instruct or Thinking checkpoint on this machine writes the phrasings."""

import hashlib
import json
import threading
from typing import TYPE_CHECKING, Final

from mcp_vlsearch.encoders.qwen3_vl.checkpoint import Checkpoint, Wanted, open_checkpoint
from mcp_vlsearch.encoders.qwen3_vl.device import choose_device, choose_precision
from mcp_vlsearch.errors import CheckpointError, SettingsError
from mcp_vlsearch.rewriters.answers import has_words, phrasings_in
from mcp_vlsearch.rewriters.asking import MOST, WRITTEN, messages
from mcp_vlsearch.settings import Settings

if TYPE_CHECKING:
    from mcp_vlsearch.rewriters.writing import Writer

__all__ = ["QwenRewriter"]

_EXAMPLE: Final = "Qwen/Qwen3-VL-2B-Instruct"
_WANTED: Final = Wanted("--rewrite-model", (_EXAMPLE,))


class QwenRewriter:
    """Has a checkpoint of transformers write (see :class:`ModelRewriter`), greedily.

    Construction finds the checkpoint, and downloads a hub id that is not on this machine; weights
    are there once in a process, whoever uses them. Raises :class:`CheckpointError` where there is
    none that can write, and :class:`SettingsError` where none is named, or for a device that is
    not there.
    """

    name = "model"

    def __init__(self, settings: Settings) -> None:
        if not settings.rewrite_model:  # an assistant that asks for one must not download it
            raise SettingsError(
                f"rewriter 'model' needs a checkpoint: give --rewrite-model, such as {_EXAMPLE}"
            )
        checkpoint = open_checkpoint(settings.rewrite_model, _WANTED)
        if checkpoint.makes_vectors:
            raise CheckpointError(
                f"{checkpoint.model!r} was made for vectors and can't write: give "
                f"--rewrite-model an Instruct checkpoint, such as {_EXAMPLE}"
            )
        self._checkpoint = checkpoint
        self._seconds = settings.rewrite_seconds
        self._device = choose_device(settings.device)
        # that of the setting is the encoder's: vectors depend on it, and phrasings hardly do
        self._precision = choose_precision(
            "auto", self._device, checkpoint.parameters, checkpoint.config["text_config"]
        )
        written = json.dumps([self.name, checkpoint.digest, self._precision, WRITTEN])
        self.fingerprint = hashlib.sha256(written.encode()).hexdigest()[:16]

    def load(self) -> None:
        """Read the weights; later calls do nothing. Raises :class:`CheckpointError`."""
        _writer(self._checkpoint, self._device, self._precision)

    def rewrite(self, query: str) -> list[str]:
        """Return what the model wrote, as far as it can be used.

        Of an answer that the time limit cut off, the whole lines count. Raises
        :class:`RewriterError` if there are none.
        """
        if not has_words(query):
            return []
        writer = _writer(self._checkpoint, self._device, self._precision)
        return phrasings_in(writer.answer(messages(query), self._seconds), query, MOST)


_Key = tuple[str, str, str]
_writers: "dict[_Key, Writer]" = {}
_turn = threading.Lock()


def _writer(checkpoint: Checkpoint, device: str, precision: str) -> "Writer":
    """Return the process's one writer of a checkpoint; the first call reads its weights."""
    # transformers takes seconds to import, which construction must not
    from mcp_vlsearch.rewriters.writing import Writer

    key = checkpoint.digest, device, precision
    with _turn:
        if key not in _writers:
            _writers[key] = Writer(checkpoint, device, precision)
        return _writers[key]
