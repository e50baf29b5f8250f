"""Encoder ``qwen3-vl``: any Qwen3-VL checkpoint, through transformers.

checkpoint  which folder, which kind            (hub: the download; content: its digest)
device      where it runs, in which precision   (quantise: 8 and 4 bits; memory: what is free)
prompt      instruction, picture and text as tokens
pixels      a picture as patches
fast        tokens and patches to one state per prompt  (vision, text: its halves; packing)
forward     the same in transformers' own words, which the fast one is held to
batching    how many at once
encoder     the parts put together
"""

from mcp_vlsearch.encoders.qwen3_vl.encoder import Qwen3VLEncoder

__all__ = ["Qwen3VLEncoder"]
