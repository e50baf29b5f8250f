"""What all types of the public contract are: immutable, and of known fields only."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, PlainSerializer

__all__ = ["Cosine", "Model", "Seconds"]


def _to_a_millionth(cosine: float) -> float:
    return round(cosine, 6)


def _to_a_millisecond(seconds: float) -> float:
    return round(seconds, 3)


# An assistant pays for every digit, and nobody needs the seventeenth.
Cosine = Annotated[float, PlainSerializer(_to_a_millionth)]
Seconds = Annotated[float, PlainSerializer(_to_a_millisecond)]


class Model(BaseModel):
    """Base of every result and filter."""

    model_config = ConfigDict(extra="forbid", frozen=True)
