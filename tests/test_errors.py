"""Every error that reaches a user or an assistant says what to do next."""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import mcp_vlsearch
from mcp_vlsearch import errors

PACKAGE = Path(mcp_vlsearch.__file__).parent

CLASSES = {*errors.__all__, "ToolError", "UsageError"} - {"CancelledError"}
"""Errors that are told; one that was asked for needs no advice."""

_VERBS = """
allow ask buy call change check choose close connect copy create decrease delete download encode end
export free get give go index install leave look lower make mend move open pip put raise
reinstall remove rename report run save say search send set shorten shrink start stop store try
uninstall unset update upgrade use wait
"""
ADVICE = _VERBS.split()
IMPERATIVE = re.compile(
    r"(?:^|[:;,(?.] |[:;,] `| or | and |, or )(?:then )?`?(?:" + "|".join(ADVICE) + r")\b", re.I
)
"""A verb that tells somebody to do something, at the beginning of a sentence or a part of one."""

PASSED_ON = {
    # what stands for the whole message, and where that is made
    ("core/parted.py", "…: … need …: …"): "PartedKind.remedy, a pip line",
    ("cli/interview.py", "…: …"): "a tool's own error",
    ("cli/search.py", "…: … (got …)"): "wording.py",
    ("webui/filtering.py", "…: … (got …)"): "wording.py",
    ("cache/database.py", "… …"): "_ADVICE, below",
    ("settings.py", "… …, or leave it out"): "_IDLE",
}


def text_of(node: ast.AST, constants: Mapping[str, str]) -> str | None:
    """Return a text as it is written, with … where a value goes; None where it comes from afar."""
    match node:
        case ast.Name(id=name) | ast.FormattedValue(value=ast.Name(id=name)):
            return constants.get(name)
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(text_of(part, constants) or "…" for part in parts)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return (text_of(left, constants) or "…") + (text_of(right, constants) or "…")
        case ast.Call(func=ast.Attribute(attr="get"), args=[_, default]):
            return text_of(default, constants)
    return None


def constants_of(module: ast.Module) -> dict[str, str]:
    """Return the texts that a module gives names to."""
    found: dict[str, str] = {}
    for node in module.body:
        match node:
            case (
                ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
                | ast.Assign(targets=[ast.Name(id=name)], value=value)
            ):
                if text := text_of(value, {}):
                    found[name] = text
    return found


def messages() -> Iterator[tuple[str, int, str]]:
    """Give file, line and text of every error that is made with its text in place."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = str(path.relative_to(PACKAGE))
        module = ast.parse(path.read_text("utf-8"))
        constants = constants_of(module)
        for node in ast.walk(module):
            if not (isinstance(node, ast.Call) and node.args and called(node.func) in CLASSES):
                continue
            if text := text_of(node.args[0], constants):
                yield name, node.lineno, text


def reasons() -> Iterator[tuple[str, int, str]]:
    """Give file, line and text of every reason for which a file fails, made as (path, why)."""
    for path in sorted((PACKAGE / "core").glob("*.py")):
        module = ast.parse(path.read_text("utf-8"))
        constants = constants_of(module)
        for node in ast.walk(module):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Attribute(attr="failures"), attr="append"),
                    args=[ast.Tuple(elts=[_, why])],
                ):
                    if text := text_of(why, constants):
                        yield f"core/{path.name}", node.lineno, text


def called(function: ast.expr) -> str:
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def is_advice(text: str) -> bool:
    return IMPERATIVE.search(text) is not None


MESSAGES = [*messages(), *reasons()]


@pytest.mark.parametrize(
    ("file", "line", "text"), MESSAGES, ids=[f"{file}:{line}" for file, line, _ in MESSAGES]
)
def test_every_error_says_what_to_do(file: str, line: int, text: str) -> None:
    del line
    if (file, text) not in PASSED_ON:
        assert is_advice(text), text


def test_what_is_taken_for_advice_is_some() -> None:
    assert is_advice("the query is empty: say what the picture shows")
    assert is_advice("… is another program now: start the server there again")
    assert is_advice("is it overloaded? Try again when it is not")
    assert not is_advice("the file has 3 MiB, the limit is 2 MiB")
    assert not is_advice("no encoder is called 'x'; there are: y")
    assert not is_advice("the run of the search failed")
    assert len(MESSAGES) > 120, "they are found"


def test_what_is_passed_on_is_still_there() -> None:
    found = {(file, text) for file, _, text in MESSAGES}
    assert PASSED_ON.keys() <= found


def test_what_the_system_reports_of_a_file_comes_with_advice() -> None:
    from mcp_vlsearch.core.scan import _ADVICE

    assert all(is_advice(f"can't be read: {text}") for text in _ADVICE.values())


def test_what_sqlite_reports_comes_with_advice() -> None:
    from mcp_vlsearch.cache.database import _ADVICE

    assert all(is_advice(text) for text in _ADVICE.values())


def test_what_pdfium_reports_comes_with_advice() -> None:
    from mcp_vlsearch.core.pdf import _WHY

    assert all(is_advice(text) for text in _WHY.values())
