"""The help of commands: defaults of settings, and values named for people."""

from collections.abc import Iterable
from typing import Any, Final

from typer.core import TyperCommand, TyperGroup, TyperOption

from mcp_vlsearch.cli.options import SETTINGS_PANEL

__all__ = ["CommandWithDefaults", "GroupWithNames"]

_VALUES: Final = {"<int>": "N", "<int range>": "N", "<str>": "TEXT"}


class CommandWithDefaults(TyperCommand):
    """A command whose help says what settings are if nobody sets them.

    Its options themselves have no defaults: one that is not given leaves the setting to the
    environment and to ``config.toml``.
    """

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help; this process parses no options any more."""
        for option in self.params:
            is_setting = getattr(option, "rich_help_panel", None) == SETTINGS_PANEL
            if isinstance(option, TyperOption) and is_setting:
                _tell_default(option)
        _name_values(self.get_params(ctx), ctx)
        super().format_help(ctx, formatter)


class GroupWithNames(TyperGroup):
    """A group of commands whose help is written like theirs."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help; this process parses no options any more."""
        _name_values(self.get_params(ctx), ctx)
        super().format_help(ctx, formatter)


def _name_values(options: Iterable[Any], ctx: Any) -> None:
    """Say N and TEXT where Typer would name Python's types, and nothing of a flag's value."""
    for option in options:
        if isinstance(option, TyperOption) and option.metavar is None:
            kind = "" if option.is_flag else option.display_type(ctx)
            option.metavar = _VALUES.get(kind, kind)


def _tell_default(option: TyperOption) -> None:
    """Show the setting's default, unless the command has one of its own."""
    from mcp_vlsearch.settings import Settings, default_library

    if not isinstance(option.show_default, str):
        field = Settings.model_fields[str(option.name)]
        option.default = default_library() if field.is_required() else field.default
        option.show_default = True
