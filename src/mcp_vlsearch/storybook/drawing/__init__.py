"""Drawing storybook scenes, procedurally: the same seed gives the same picture on every machine."""

from mcp_vlsearch.storybook.drawing.compose import draw, where
from mcp_vlsearch.storybook.drawing.layout import Box

__all__ = ["Box", "draw", "where"]
