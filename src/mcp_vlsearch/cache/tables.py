"""sqlite-utils, without pandas, which it imports wherever it is installed.

Nobody here gives it a data frame, and pandas takes time at the start and some 100 MB in each
server.
"""

import sys

_is_loaded = "pandas" in sys.modules
if not _is_loaded:
    sys.modules["pandas"] = None  # type: ignore[assignment]
try:
    from sqlite_utils import Database as Tables
    from sqlite_utils import Migrations
finally:
    if not _is_loaded:
        del sys.modules["pandas"]

__all__ = ["Migrations", "Tables"]
