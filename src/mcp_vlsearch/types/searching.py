"""What a search may be narrowed by, and what it finds."""

from pathlib import PurePath
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from mcp_vlsearch.formats import PILLOW_FORMATS, format_name
from mcp_vlsearch.types._model import Cosine, Model, Seconds
from mcp_vlsearch.types._moments import Moment

__all__ = [
    "Filters",
    "Hit",
    "MinRelevance",
    "Near",
    "Orientation",
    "Relevance",
    "SearchResult",
]

Relevance = Literal["strong", "likely", "weak"]
MinRelevance = Literal["any", "likely", "strong"]
Orientation = Literal["landscape", "portrait", "square"]


class Near(Model):
    """A circle on the map."""

    model_config = ConfigDict(allow_inf_nan=False)

    latitude: Annotated[float, Field(ge=-90, le=90, description="Degrees north.")]
    longitude: Annotated[float, Field(ge=-180, le=180, description="Degrees east.")]
    km: Annotated[float, Field(gt=0, le=20100, description="Radius in kilometres.")]


def _known_format(name: str | None) -> str | None:
    if name is not None and format_name(name) is None:
        usual = ", ".join(str(format_name(known)) for known in PILLOW_FORMATS[:8])
        raise PydanticCustomError("format", f"no picture has this format: give {usual} or the like")
    return name


class Filters(Model):
    """Conditions that a hit must meet, all combined with AND; empty means every picture."""

    folder: Annotated[
        str | None, Field(description="Only pictures below this folder (absolute path).")
    ] = None
    format: Annotated[
        str | None,
        AfterValidator(_known_format),
        Field(description='File format, such as "JPEG", "PNG" or "HEIC".'),
    ] = None
    taken_after: Annotated[
        Moment | None, Field(description="Taken at or after this time, by the camera's clock.")
    ] = None
    taken_before: Annotated[
        Moment | None, Field(description="Taken before this time, by the camera's clock.")
    ] = None
    modified_after: Annotated[
        Moment | None, Field(description="File changed at or after this time.")
    ] = None
    modified_before: Annotated[
        Moment | None, Field(description="File changed before this time.")
    ] = None
    min_width: Annotated[int | None, Field(ge=1, description="Least width in pixels.")] = None
    min_height: Annotated[int | None, Field(ge=1, description="Least height in pixels.")] = None
    orientation: Annotated[
        Orientation | None, Field(description="Shape of the picture as seen upright.")
    ] = None
    camera: Annotated[
        str | None, Field(description="Part of the camera's make or model, in any case.")
    ] = None
    lens: Annotated[str | None, Field(description="Part of the lens's name, in any case.")] = None
    near: Annotated[Near | None, Field(description="Taken within this circle.")] = None


class Hit(Model):
    """One result. ``score`` is a cosine, higher is better; ``rank`` starts at 1."""

    rank: int
    image_id: str
    path: str
    other_paths: list[str]
    part: str | None
    score: Cosine
    relevance: Relevance
    width: int
    height: int
    format: str
    bytes: int
    taken_at: str | None

    @property
    def name(self) -> str:
        """The file's name without its folder."""
        return PurePath(self.path).name


class SearchResult(Model):
    """Hits, best first; ``queries`` as searched, the original first.

    ``seconds`` is the whole call: reading a picture, rewriting and waiting for the model, too.
    ``next_step`` says what to do where the hits are not what was wanted, if that is plain to see.
    """

    queries: list[str]
    hits: list[Hit]
    total_images: int
    searched_images: int
    seconds: Seconds
    next_step: str = ""
