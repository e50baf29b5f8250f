"""What a request to ``/v1/embeddings`` asks for, in the messages form or as plain strings."""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, ValidationError

from mcp_vlsearch.encoders.wire import unpacked_numbers
from mcp_vlsearch.errors import QueryError
from mcp_vlsearch.wording import in_words

__all__ = ["Input", "Request", "answer", "read_explanation", "read_request"]

_MOST_INPUTS: Final = 256
_DATA_URI: Final = re.compile(r"data:image/[\w.+-]+;base64,", re.IGNORECASE)


@dataclass(frozen=True)
class Input:
    """One thing to encode; ``picture`` is a file's bytes, ``instruction`` None if not given."""

    text: str = ""
    picture: bytes | None = None
    instruction: str | None = None


class _Address(BaseModel):
    url: str


class _Part(BaseModel):
    type: Literal["text", "image_url"]
    text: str = ""
    image_url: _Address | None = None


class _Message(BaseModel):
    role: Literal["system", "user", "assistant"]
    content: str | list[_Part] = ""

    def text(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content)

    def addresses(self) -> list[str]:
        parts = [] if isinstance(self.content, str) else self.content
        return [part.image_url.url for part in parts if part.image_url]


class Request(BaseModel):
    """The body; what is not named here, such as vLLM's template options, is accepted."""

    model: str
    messages: list[_Message] | None = None
    input: str | Annotated[list[str], Field(min_length=1, max_length=_MOST_INPUTS)] | None = None
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, Field(ge=8)] | None = None

    def inputs(self) -> list[Input]:
        """Return what is to be encoded. Raises :class:`QueryError`."""
        if (self.messages is None) == (self.input is None):
            raise QueryError("give either messages or input")
        if self.messages is not None:
            return [_one_input(self.messages)]
        texts = [self.input] if isinstance(self.input, str) else self.input or []
        return [Input(text) for text in texts]


class _Explanation(BaseModel):
    picture: str
    vector: str


_M = TypeVar("_M", bound=BaseModel)


def read_request(body: bytes) -> Request:
    """Understand a body. Raises :class:`QueryError` with one line."""
    return _read(Request, body)


def read_explanation(body: bytes) -> tuple[bytes, NDArray[np.float32]]:
    """Return the picture's bytes and the vector, shape (dim,), that a body asks about.

    Raises :class:`QueryError`.
    """
    given = _read(_Explanation, body)
    try:
        vector = unpacked_numbers(given.vector, (-1,))
    except ValueError as error:
        raise QueryError("vector: give little-endian float32 numbers in base64") from error
    if not len(vector):
        raise QueryError("vector: there are no numbers, give some")
    return _picture(given.picture), vector


def _read(model: type[_M], body: bytes) -> _M:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, problem["loc"]))
        said = in_words(problem)
        raise QueryError(f"{where}: {said}" if where else said) from error


def answer(request: Request, vectors: NDArray[np.float32]) -> dict[str, Any]:
    """Return the answer in OpenAI's form for unit vectors, shape (n, dim)."""
    if request.dimensions is not None:
        vectors = vectors[:, : request.dimensions]
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return {
        "object": "list",
        "model": request.model,
        "data": [
            {"object": "embedding", "index": i, "embedding": _packed(row, request.encoding_format)}
            for i, row in enumerate(vectors)
        ],
        "usage": {"prompt_tokens": 0, "total_tokens": 0},
    }


def _packed(row: NDArray[np.float32], encoding: str) -> str | list[float]:
    if encoding == "base64":
        return base64.b64encode(row.astype("<f4").tobytes()).decode()
    return [float(value) for value in row]


def _one_input(messages: list[_Message]) -> Input:
    by_role: dict[str, _Message] = {}
    for message in messages:
        if message.role in by_role:
            raise QueryError(f"there are two {message.role} messages: give one list per vector")
        by_role[message.role] = message
    user, system = by_role.get("user"), by_role.get("system")
    if user is None:
        raise QueryError("there is no user message: give one")
    addresses = [address for message in messages for address in message.addresses()]
    if len(addresses) > 1:
        raise QueryError("there is more than one picture: give one list of messages for each")
    picture = _picture(addresses[0]) if addresses else None
    return Input(user.text(), picture, system.text() if system else None)


def _picture(address: str) -> bytes:
    match = _DATA_URI.match(address)
    if not match:
        raise QueryError("only data:image/…;base64, addresses are taken: send the picture itself")
    try:
        return base64.b64decode(address[match.end() :], validate=True)
    except (binascii.Error, ValueError) as error:
        raise QueryError("the picture is not valid base64: encode it again") from error
