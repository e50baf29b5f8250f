"""Drawing storybook scenes, procedurally: the same seed gives the same picture on every machine."""

from mcp_vlsearch.storybook.drawing.compose import draw

__all__ = ["draw"]
