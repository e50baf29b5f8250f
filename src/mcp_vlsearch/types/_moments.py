"""Points in time, as people write them."""

import re
from datetime import datetime
from typing import Annotated, Final

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

__all__ = ["Moment"]

_IN_SHORT: Final = re.compile(r"(\d{4})(?:-(\d\d)|(\d\d)(\d\d))?")
"""A year, a month as 2024-05, or a day as 20240506: all of ISO 8601."""
_NUMBER: Final = re.compile(r"[-+]?\d*\.?\d*")


def _in_full(given: object) -> object:
    """Return the day on which a year or month begins; refuse any other number.

    Pydantic takes numbers for seconds since 1970, which nobody means who writes 2024.
    """
    if not isinstance(given, str | int | float):
        return given
    text = str(given).strip()
    if short := _IN_SHORT.fullmatch(text):
        year, month, *day = short.groups()
        return f"{year}-{month or day[0] or '01'}-{day[1] or '01'}"
    if _NUMBER.fullmatch(text):
        raise PydanticCustomError("datetime_number", "a number is no date")
    return text


Moment = Annotated[datetime, BeforeValidator(_in_full)]
"""A date or time of ISO 8601; a year or a month alone is its beginning."""
