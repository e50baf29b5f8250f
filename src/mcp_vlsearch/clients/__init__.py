"""The programs that start our server: where each keeps its configuration, and how it is changed."""
