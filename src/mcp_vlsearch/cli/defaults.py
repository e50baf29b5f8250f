"""The defaults of settings, in the help of every command that takes them."""

from typing import Any

from typer.core import TyperCommand, TyperOption

from mcp_vlsearch.cli.options import SETTINGS_PANEL

__all__ = ["CommandWithDefaults"]


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
        super().format_help(ctx, formatter)


def _tell_default(option: TyperOption) -> None:
    """Show the setting's default, unless the command has one of its own."""
    from mcp_vlsearch.settings import Settings, default_library

    if not isinstance(option.show_default, str):
        field = Settings.model_fields[str(option.name)]
        option.default = default_library() if field.is_required() else field.default
        option.show_default = True
