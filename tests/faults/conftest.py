"""The libraries of the engine's tests, to break something under them."""

from tests.core.conftest import library, mosaic, photos

__all__ = ["library", "mosaic", "photos"]
