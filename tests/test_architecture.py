"""The house stands: imports go one way, and what a module says it exports is what it has."""

import ast
import importlib
import pkgutil
from pathlib import Path

import pytest

import mcp_vlsearch

PACKAGE = Path(mcp_vlsearch.__file__).parent

# From the ground up; a module may import its own layer's folder and what stands below it.
LAYERS = (
    ("errors", "version"),
    ("types",),
    ("settings",),
    ("contracts",),
    ("plugins",),
    ("cache",),
    ("storybook",),
    ("encoders", "indexes", "rewriters"),
    ("core",),
    ("testing",),
    ("tools",),
    ("server",),
    ("cli",),
    ("__main__",),
)
HEIGHT = {name: height for height, layer in enumerate(LAYERS) for name in layer}

FORBIDDEN = {
    "core": {"mcp", "typer", "rich", "torch", "transformers", "faiss"},
    "cache": {"mcp", "typer", "rich", "torch", "transformers", "faiss", "PIL"},
    "tools": {"typer", "rich", "torch", "transformers", "faiss", "PIL", "sqlite_utils"},
    "encoders": {"mcp", "typer", "rich", "faiss", "sqlite_utils"},
    "indexes": {"mcp", "typer", "rich", "torch", "transformers", "sqlite_utils"},
}

MODULES = sorted(PACKAGE.rglob("*.py"))


def part_of(path: Path) -> str:
    """Return the first name below the package: a folder or a module."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    """Return every module that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down_only(path: Path) -> None:
    part = part_of(path)
    if part == "__init__":
        return
    for name in imports_of(path):
        if not name.startswith("mcp_vlsearch."):
            continue
        other = name.split(".")[1]
        if other in HEIGHT and other != part:
            assert HEIGHT[other] < HEIGHT[part], f"{part} imports {name}, which stands above it"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_layer_knows_only_the_libraries_that_are_its_business(path: Path) -> None:
    foreign = {name.split(".")[0] for name in imports_of(path)}
    assert not foreign & FORBIDDEN.get(part_of(path), set())


def test_core_reaches_encoders_indexes_and_rewriters_through_plugins_only() -> None:
    for path in (PACKAGE / "core").glob("*.py"):
        backends = {"encoders", "indexes", "rewriters"}
        used = {n.split(".")[1] for n in imports_of(path) if n.startswith("mcp_vlsearch.")}
        assert not used & backends, path


def test_every_part_of_the_package_has_its_place_in_the_layers() -> None:
    assert {part_of(path) for path in MODULES} - {"__init__"} <= set(HEIGHT)


def public_modules() -> list[str]:
    """Return every module of the package by name."""
    found = pkgutil.walk_packages([str(PACKAGE)], "mcp_vlsearch.")
    return ["mcp_vlsearch", *(m.name for m in found if not m.name.endswith("__main__"))]


@pytest.mark.parametrize("name", public_modules())
def test_what_a_module_lists_in_all_is_what_it_defines(name: str) -> None:
    module = importlib.import_module(name)
    listed = getattr(module, "__all__", None)
    if listed is None:
        return
    assert len(listed) == len(set(listed)), "__all__ has no repeats"
    for attribute in listed:
        assert hasattr(module, attribute)
    defined = {
        attribute
        for attribute, value in vars(module).items()
        if not attribute.startswith("_")
        and isinstance(value, type)
        and getattr(value, "__module__", "") == name
    }
    assert defined <= set(listed), "every public class of the module is exported"


def test_every_module_says_what_it_is_and_is_read_in_one_sitting() -> None:
    for path in MODULES:
        text = path.read_text("utf-8")
        assert len(text.splitlines()) <= 360, path
        if text.strip():
            assert ast.get_docstring(ast.parse(text)), f"{path} has no docstring"
