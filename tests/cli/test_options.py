"""The shared options are those of the settings and filters, with the same words."""

from typing import Annotated, Any, get_args, get_origin

import pytest

from mcp_vlsearch.cli.options import FILTERS, SETTINGS
from mcp_vlsearch.settings import Settings
from mcp_vlsearch.types import Filters


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
