"""``python -m mcp_vlsearch``: the command line."""

import sys

from mcp_vlsearch.cli import main

if __name__ == "__main__":
    sys.exit(main())
