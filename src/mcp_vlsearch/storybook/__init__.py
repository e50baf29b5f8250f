"""The built-in world: scenes that are drawn and captioned, and the small model trained on them."""

from mcp_vlsearch.storybook.captions import Caption, caption
from mcp_vlsearch.storybook.gallery import draw_gallery
from mcp_vlsearch.storybook.scene import Item, Scene, sample_scene

__all__ = ["Caption", "Item", "Scene", "caption", "draw_gallery", "sample_scene"]
