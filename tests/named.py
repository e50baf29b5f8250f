"""Tests that a page names, and whether they exist."""

import ast
import re
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).parents[1]
NAME: Final = re.compile(r"`(tests/\S+?\.py)::(test_\w+)`")


def functions_in(file: str) -> set[str]:
    """Return the names of the test functions of a file, given below the repository."""
    tree = ast.parse((REPOSITORY / file).read_text("utf-8"))
    found = {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
    return {name for name in found if name.startswith("test_")}
