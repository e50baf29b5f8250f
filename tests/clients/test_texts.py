"""A server is put into and out of a configuration, and all else there stays byte for byte."""

import json
import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_vlsearch.clients import json_text, toml_text

ENTRY = {"command": "/opt/mcp-vlsearch", "args": ["serve", "--root", "/home/ä/Pictures"]}
OTHER = '{"command": "npx",   "args": [1.0, 1e5, 12345678901234567890], "env": {"KEY": "ü"}}'

WRITTEN = [
    "",
    " \n",
    "{}",
    "{ }\n",
    '{"mcpServers": {}}',
    '{"mcpServers": {\n  }}',
    '{"theme": "dark"}',
    f'{{"mcpServers": {{"other": {OTHER}}}, "theme": "dark"}}',
    f'{{\r\n\t"a": "}}{{\\"",\r\n\t"mcpServers": {{\r\n\t\t"other": {OTHER}\r\n\t}}\r\n}}\r\n',
    f'\ufeff{{\n    "mcpServers": {{\n        "other": {OTHER}\n    }}\n}}\n',
]


def parsed(text: str) -> Any:
    return json.loads(text.removeprefix("\ufeff").strip() or "{}")


@pytest.mark.parametrize("text", WRITTEN)
def test_what_is_put_in_is_there_with_all_that_was(text: str) -> None:
    expected = parsed(text)
    expected.setdefault("mcpServers", {})["pictures"] = ENTRY
    assert parsed(json_text.put(text, "mcpServers", "pictures", ENTRY)) == expected


@pytest.mark.parametrize("text", WRITTEN)
def test_the_characters_that_were_there_are_all_there_in_their_order(text: str) -> None:
    after = iter(json_text.put(text, "mcpServers", "pictures", ENTRY))
    kept = "".join(text.split(" ")).removeprefix("\ufeff").strip()
    assert all(character in after for character in kept if character not in "\r\n")


@pytest.mark.parametrize("text", WRITTEN[7:])
def test_what_is_taken_out_again_leaves_the_text_as_it_was(text: str) -> None:
    put = json_text.put(text, "mcpServers", "pictures", ENTRY)
    assert json_text.take_out(put, "mcpServers", "pictures") == text


def test_a_server_of_the_same_name_is_replaced_where_it_stands() -> None:
    text = f'{{\n  "mcpServers": {{\n    "pictures": 1,\n    "other": {OTHER}\n  }}\n}}'
    after = json_text.put(text, "mcpServers", "pictures", {"command": "x"})
    assert after == text.replace("1,", '{\n      "command": "x"\n    },', 1)


def test_the_file_is_set_in_as_it_was() -> None:
    text = '{\r\n\t"mcpServers": {}\r\n}'
    after = json_text.put(text, "mcpServers", "pictures", {"command": "x"})
    expected = '\t\t"pictures": {\r\n\t\t\t"command": "x"\r\n\t\t}\r\n\t}'
    assert after == '{\r\n\t"mcpServers": {\r\n' + expected + "\r\n}"


@pytest.mark.parametrize("first", [True, False])
def test_one_of_two_servers_is_taken_out(first: bool) -> None:
    names = ["pictures", "other"] if first else ["other", "pictures"]
    text = json.dumps({"servers": dict.fromkeys(names, ENTRY), "inputs": []}, indent=4)
    after = json_text.take_out(text, "servers", "pictures")
    assert after == json.dumps({"servers": {"other": ENTRY}, "inputs": []}, indent=4)


@pytest.mark.parametrize(
    "text",
    ['{"a": 1,}', '{// said\n"a": 1}', "[]", '{"mcpServers": []}', '{"a": 1, "a": 2}', "{", "7"],
)
def test_what_is_no_strict_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of several kinds
        json_text.put(text, "mcpServers", "pictures", ENTRY)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
documents = st.dictionaries(st.text() | st.just("mcpServers"), values, max_size=4)


@settings(max_examples=60, deadline=None)
@given(
    documents,
    st.dictionaries(st.text(), values, max_size=3),
    st.text(),
    st.sampled_from([None, 0, 2, "\t"]),
    st.booleans(),
)
def test_any_file_keeps_what_it_says(
    document: dict[str, Any], servers: dict[str, Any], name: str, indent: Any, ascii_only: bool
) -> None:
    before = document | {"mcpServers": servers}
    text = json.dumps(before, indent=indent, ensure_ascii=ascii_only)
    put = json_text.put(text, "mcpServers", name, ENTRY)
    assert json.loads(put) == document | {"mcpServers": servers | {name: ENTRY}}
    out = json.loads(json_text.take_out(put, "mcpServers", name))
    left = {key: value for key, value in servers.items() if key != name}
    assert out == document | {"mcpServers": left}


CODEX = """\
# mine
model = "gpt"   # fast

[mcp_servers.other]  # keep
command = "npx"

[tui]
theme = "dark"
"""


def test_toml_keeps_its_comments_and_tables() -> None:
    after = toml_text.put(CODEX, "mcp_servers", "pictures", ENTRY)
    assert tomllib.loads(after) == tomllib.loads(CODEX) | {
        "mcp_servers": {"other": {"command": "npx"}, "pictures": ENTRY}
    }
    lines = iter(after.splitlines())
    assert all(line in lines for line in CODEX.splitlines() if line)
    out = toml_text.take_out(after, "mcp_servers", "pictures")
    assert tomllib.loads(out) == tomllib.loads(CODEX)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a = 1",
        "[mcp_servers]\n",
        "mcp_servers = {}\n",
        'mcp_servers.other.command = "x"\n',
        '[mcp_servers.pictures]\ncommand = "old" # why\nargs = []\n\n[tui]\na = 1\n',
    ],
)
def test_toml_takes_a_server_however_it_is_written(text: str) -> None:
    expected = tomllib.loads(text)
    expected.setdefault("mcp_servers", {})["pictures"] = ENTRY
    after = toml_text.put(text, "mcp_servers", "pictures", ENTRY)
    assert tomllib.loads(after) == expected


@pytest.mark.parametrize("text", ["a = ", "mcp_servers = 1", "[[mcp_servers]]\na = 1"])
def test_toml_that_has_no_table_for_servers_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of several kinds
        toml_text.find(text, "mcp_servers")
