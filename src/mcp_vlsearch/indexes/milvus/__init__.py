"""Search in Milvus: a file in the library folder (Milvus Lite), or a server or cluster by URI."""

from mcp_vlsearch.indexes.milvus.index import MilvusIndex

__all__ = ["MilvusIndex"]
