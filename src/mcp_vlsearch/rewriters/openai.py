"""``openai``: a model behind any OpenAI-compatible chat endpoint: Ollama, vLLM, a hosted one."""

import hashlib
import json
from typing import Any, Final

from httpx2 import URL

from mcp_vlsearch.encoders.endpoint import Endpoint, Purpose, RefusedError
from mcp_vlsearch.errors import EncoderError, RewriterError, SettingsError
from mcp_vlsearch.rewriters.answers import has_words, phrasings_in, without_thoughts
from mcp_vlsearch.rewriters.asking import MOST, WRITTEN, messages
from mcp_vlsearch.settings import Settings

__all__ = ["OpenAIRewriter"]

_PURPOSE: Final = Purpose("rewriter 'openai'", "--rewrite", "http://127.0.0.1:11434/v1")
_CHAT: Final = "/chat/completions"
_USUAL: Final = "/v1"
"""Where the endpoint is on a server of which only the host is given."""
_ATTEMPTS: Final = 2
_WITHIN: Final = {"temperature": 0, "max_tokens": 2048}
"""A model that thinks needs most of the tokens for that."""


class OpenAIRewriter:
    """Has a model elsewhere write (see :class:`ModelRewriter`); it is told the query, no picture.

    The address is that of the API, as an OpenAI client takes it; of a server's own address, ``/v1``
    below it. Raises :class:`SettingsError` where address or model are missing.
    """

    name = "openai"

    def __init__(self, settings: Settings) -> None:
        address = (settings.rewrite_url or "").strip().rstrip("/").removesuffix(_CHAT)
        self._endpoint = Endpoint(
            address,
            settings.rewrite_token,
            attempts=_ATTEMPTS,
            limit=settings.rewrite_seconds,
            purpose=_PURPOSE,
        )
        if not settings.rewrite_model:
            raise SettingsError(
                "rewriter 'openai' needs the name of a model: give --rewrite-model, such as "
                "qwen3:4b-instruct"
            )
        self._model = settings.rewrite_model
        path = URL(address).path.rstrip("/") or _USUAL
        self._path = (_USUAL if path.endswith(_USUAL) else "") + _CHAT
        written = json.dumps([self.name, address, self._model, WRITTEN])
        self.fingerprint = hashlib.sha256(written.encode()).hexdigest()[:16]

    def load(self) -> None:
        """Do nothing: the server has the model."""

    def rewrite(self, query: str) -> list[str]:
        """Return what the model wrote, as far as it can be used.

        A request that fails is sent once more. Raises :class:`RewriterError`.
        """
        if not has_words(query):
            return []
        body = {"model": self._model, "messages": messages(query), "stream": False}
        try:
            try:
                answer = self._endpoint.post(self._path, body | _WITHIN)
            except RefusedError:  # some models take no choices about how they write
                answer = self._endpoint.post(self._path, body)
        except EncoderError as error:
            raise RewriterError(str(error)) from error
        return phrasings_in(self._text(answer), query, MOST)

    def _text(self, answer: Any) -> str:
        """Return what was written, in whole lines."""
        try:
            choice = answer["choices"][0]
            content = choice["message"]["content"] or ""
            if isinstance(content, list):  # in parts, as some servers send it
                content = "".join(part.get("text") or "" for part in content)
            is_cut = choice.get("finish_reason") == "length"
            text = without_thoughts(content)
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise RewriterError(
                f"{self._endpoint.url} gave no answer in the form of a chat: check --rewrite-url"
            ) from error
        if not is_cut:
            return text
        whole = text.rpartition("\n")[0]
        if not whole.strip():
            raise RewriterError(
                f"{self._model!r} at {self._endpoint.url} came to its limit of tokens before it "
                "answered: give another --rewrite-model, one that does not think"
            )
        return whole
