"""What all types of the public contract are: immutable, and of known fields only."""

from pydantic import BaseModel, ConfigDict

__all__ = ["Model"]


class Model(BaseModel):
    """Base of every result and filter."""

    model_config = ConfigDict(extra="forbid", frozen=True)
