"""Nearest-neighbour indexes, one file or folder a backend."""
