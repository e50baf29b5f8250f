"""The house stands: imports go one way, and what a module says it exports is what it has."""

import ast
import importlib
import re
import sys
import tomllib
from itertools import chain
from pathlib import Path
from types import ModuleType

import pytest

import mcp_vlsearch

PACKAGE = Path(mcp_vlsearch.__file__).parent

# From the ground up; a module may import its own layer's folder and what stands below it.
LAYERS = (
    ("errors", "files", "formats", "gallery", "leaving", "memory", "private", "version", "wording"),
    ("types", "logs"),
    ("settings",),
    ("pins", "clients"),
    ("contracts",),
    ("plugins",),
    ("cache",),
    ("storybook",),
    ("encoders", "indexes"),
    ("rewriters",),  # a model that writes is loaded as one that encodes
    ("core",),
    ("testing",),
    ("tools",),
    ("server",),
    ("webui",),
    ("cli",),
    ("__main__",),
)
HEIGHT = {name: height for height, layer in enumerate(LAYERS) for name in layer}

FORBIDDEN = {
    "core": {"mcp", "typer", "rich", "torch", "transformers", "faiss", "pymilvus"},
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


def test_only_the_web_page_knows_gradio() -> None:
    users = {part_of(path) for path in MODULES for name in imports_of(path) if "gradio" in name}
    assert users == {"webui"}


def test_core_reaches_encoders_indexes_and_rewriters_through_plugins_only() -> None:
    for path in (PACKAGE / "core").glob("*.py"):
        backends = {"encoders", "indexes", "rewriters"}
        used = {n.split(".")[1] for n in imports_of(path) if n.startswith("mcp_vlsearch.")}
        assert not used & backends, path


def test_every_part_of_the_package_has_its_place_in_the_layers() -> None:
    assert {part_of(path) for path in MODULES} - {"__init__"} <= set(HEIGHT)


def module_name(path: Path) -> str:
    """Return how a file of the package is imported."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def definitions(path: Path) -> set[str]:
    """Return the public names that a file defines."""
    found: set[str] = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                found.add(name)
            case ast.ClassDef(name=name) | ast.AnnAssign(target=ast.Name(id=name)):
                found.add(name)
            case ast.Assign(targets=[ast.Name(id=name)]):
                found.add(name)
    return {name for name in found if not name.startswith("_")}


def borrowed() -> set[tuple[str, str]]:
    """Return each module and name that another module of the package imports from it."""
    return {
        (node.module, alias.name)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
        if not alias.name.startswith("_")
    }


BORROWED = borrowed()
WITH_NAMES = [path for path in MODULES if path.name != "__main__.py" and definitions(path)]


@pytest.mark.parametrize("path", WITH_NAMES, ids=module_name)
def test_a_module_lists_in_all_what_it_has_for_others(path: Path) -> None:
    name = module_name(path)
    module = importlib.import_module(name)
    listed = module.__all__
    assert len(listed) == len(set(listed)), "__all__ has no repeats"
    assert all(hasattr(module, attribute) for attribute in listed)
    defined = {attribute: getattr(module, attribute) for attribute in definitions(path)}
    classes = {attribute for attribute, value in defined.items() if isinstance(value, type)}
    assert {c for c in classes if defined[c].__module__ == name} <= set(listed)


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_what_others_import_from_a_module_is_in_its_all(path: Path) -> None:
    name = module_name(path)
    module = importlib.import_module(name)
    used = {
        attribute
        for home, attribute in BORROWED
        if home == name
        and hasattr(module, attribute)  # types that only a checker sees can't be listed
        and not isinstance(getattr(module, attribute), ModuleType)
    }
    assert used <= set(getattr(module, "__all__", ()))


def test_every_module_says_what_it_is_and_is_read_in_one_sitting() -> None:
    for path in MODULES:
        text = path.read_text("utf-8")
        assert len(text.splitlines()) <= 320, path
        if text.strip():
            assert ast.get_docstring(ast.parse(text)), f"{path} has no docstring"


def test_every_library_that_is_imported_is_a_declared_dependency() -> None:
    project = tomllib.loads((PACKAGE.parents[1] / "pyproject.toml").read_text("utf-8"))["project"]
    lines = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    declared = {re.split(r"[\W]*[<>=\[]", line)[0].lower().replace("-", "_") for line in lines}
    packages = {
        "PIL": "pillow",
        "cv2": "opencv_python_headless",
        "faiss": "faiss_cpu",
        "pydantic_core": "pydantic",
        "grpc": "grpcio",
        "pythonjsonlogger": "python_json_logger",
    }
    used = {name.split(".")[0] for path in MODULES for name in imports_of(path)}
    foreign = used - set(sys.stdlib_module_names) - {"mcp_vlsearch"}
    assert {packages.get(name, name) for name in foreign} <= declared
