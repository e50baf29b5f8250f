"""How much memory is free just now where the model runs."""

import torch

from mcp_vlsearch.memory import free_main_memory

__all__ = ["free_memory"]


def free_memory(device: str) -> int | None:
    """Return how many bytes can be had now on ``cuda``, ``mps`` or ``cpu``; None if nobody tells.

    Apple's GPU says nothing; of main memory see :func:`free_main_memory`.
    """
    if device == "cuda":
        free, _ = torch.cuda.mem_get_info()
        return int(free)
    return None if device == "mps" else free_main_memory()
