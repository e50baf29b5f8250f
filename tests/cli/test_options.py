"""The shared options are those of the settings and filters, with the same words."""

import re
from typing import Annotated, Any, get_args, get_origin

import pytest
from typer.main import get_command

from mcp_vlsearch.cli import app
from mcp_vlsearch.cli.options import FILTERS, SETTINGS
from mcp_vlsearch.settings import Settings, load_settings
from mcp_vlsearch.types import Filters

from .conftest import Run
from .test_start_up import COMMANDS


def help_of(option: Any) -> str:
    assert get_origin(option) is Annotated
    return str(get_args(option)[1].help)


def choices(annotation: Any) -> set[str]:
    """Return the strings of every Literal in an annotation."""
    if isinstance(annotation, str):
        return {annotation}
    return set().union(*map(choices, get_args(annotation)))


def test_every_setting_has_a_flag() -> None:
    assert set(SETTINGS) == set(Settings.model_fields) - {"roots"}  # which is serve's --root


def test_every_filter_has_an_option() -> None:
    assert set(FILTERS) == set(Filters.model_fields)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_flag_says_what_its_setting_does_and_takes(name: str) -> None:
    field = Settings.model_fields[name]
    assert all(choice in help_of(SETTINGS[name]) for choice in choices(field.annotation))
    if name != "rewrite":
        description = str(field.description).replace("`", "").partition(";")[0].rstrip(".")
        assert help_of(SETTINGS[name]).startswith(description)


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_option_names_what_it_takes(name: str) -> None:
    annotation = Filters.model_fields[name].annotation
    assert all(choice in help_of(FILTERS[name]) for choice in choices(annotation))


OF_THE_DEMO = {"model": "(storybook)", "library": "(library, in the folder of --out)"}


def told(name: str) -> list[str]:
    """Return what help must say of a setting that nobody sets, if there is something to say."""
    if name == "library":
        return [str(load_settings({}, environment={}).library)]
    default = Settings.model_fields[name].default
    if isinstance(default, bool):
        return [f"{'' if default else 'no-'}{name.replace('_', '-')}"]
    return [] if default is None else [str(default)]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_tells_the_defaults_of_settings(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    _, _, settings = run(*command.split(), "--help").out.partition("─ Settings ─")
    said = {
        re.findall(r"--([\w-]+)", line)[0].replace("-", "_"): re.findall(
            r"\[default: (.+?)\]", line
        )
        for line in settings.partition("╰")[0].splitlines()
        if "--" in line
    }
    expected = {name: told(name) for name in said}
    if command == "demo":
        expected |= {name: [text] for name, text in OF_THE_DEMO.items()}
    assert "library" in said
    assert said == expected


def test_a_default_that_help_tells_is_none_of_the_option(run: Run) -> None:
    run("status", "--help")
    command: Any = get_command(app)
    options = {option.name: option for option in command.commands["status"].params}
    assert options["precision"].default is None


@pytest.mark.parametrize("command", ["", "cache", "encoder", "search", "storybook", "install"])
def test_help_names_values_for_people_and_gives_flags_none(run: Run, command: str) -> None:
    options = run(*command.split(), "--help").out.partition("─ Options ─")[2].partition("╰")[0]
    assert "--help" in options
    for programmers in ("<bool>", "<int", "<str>"):
        assert programmers not in options
