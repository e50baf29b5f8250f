"""The index ``faiss``: a base on disk, mapped, and in memory what came after it.

``index.py`` is the index. ``base.py`` opens and searches a base, ``writing.py`` makes one,
``disk.py`` says how it lies on disk, ``kinds.py`` chooses how it is searched: ``parallel.py``
compares rows in several threads, and ``coarse.py`` proposes some where that would take too long.
"""

from mcp_vlsearch.indexes.faiss.index import FaissIndex

__all__ = ["FaissIndex"]
