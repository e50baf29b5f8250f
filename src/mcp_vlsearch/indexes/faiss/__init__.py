"""The index ``faiss``: a base on disk, mapped, and in memory what came after it.

``index.py`` is the index. ``base.py`` opens and searches a base, ``writing.py`` makes one,
``disk.py`` says how it lies on disk, ``kinds.py`` chooses how it is searched and ``coarse.py`` does
that where comparing every row would take too long.
"""

from mcp_vlsearch.indexes.faiss.index import FaissIndex

__all__ = ["FaissIndex"]
