"""What the bundle starts: the server over stdio, allowed the folders that are its arguments."""

import sys

from mcp_vlsearch.cli import main

if __name__ == "__main__":
    sys.argv[1:] = ["serve", *(f"--root={folder}" for folder in sys.argv[1:])]
    sys.exit(main())
