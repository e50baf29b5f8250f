"""Nearest-neighbour indexes, one backend a file."""
