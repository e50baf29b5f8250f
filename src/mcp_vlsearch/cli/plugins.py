"""``plugins``: what encoders, indexes, rewriters and tools there are."""

from typing import Any, get_args

from mcp_vlsearch.cli.frame import print_json, print_table
from mcp_vlsearch.cli.options import WithJson, only, takes

__all__ = ["plugins"]


@takes(flags=only("library"))
def plugins(*, json: WithJson = False, flags: dict[str, Any]) -> int:
    """List every plugin with the package that owns it; none is imported."""
    del flags  # accepted by every command
    from mcp_vlsearch.plugins import Group, available

    found = [plugin for group in get_args(Group) for plugin in available(group).values()]
    if json:
        print_json(found)
    else:
        print_table(
            ("group", "name", "owner", "target"),
            [(p.group, p.name, p.owner, p.target) for p in found],
        )
    return 0
