"""Examples for the help of every command, each a command line that runs as it stands."""

from typing import Final

__all__ = ["EXAMPLES", "EXIT_CODES", "epilog"]

EXIT_CODES: Final = "Exit codes: 0 done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C."

EXAMPLES: Final[dict[str, tuple[str, ...]]] = {
    "serve": (
        "mcp-vlsearch serve --root ~/Pictures",
        "mcp-vlsearch serve --transport http --host 0.0.0.0",
    ),
    "webui": ("mcp-vlsearch webui", "mcp-vlsearch webui --root ~/Pictures --port 0"),
    "index": ("mcp-vlsearch index ~/Pictures", "mcp-vlsearch index --watch"),
    "search": (
        'mcp-vlsearch search "a red bicycle" -k 20 --taken-after 2024-12-01',
        'mcp-vlsearch search --image ~/Pictures/cat.jpg "but at night"',
    ),
    "status": ("mcp-vlsearch status", "mcp-vlsearch status --json"),
    "remove": ("mcp-vlsearch remove ~/Pictures/private",),
    "duplicates": (
        "mcp-vlsearch duplicates",
        "mcp-vlsearch duplicates --folder ~/Pictures/2024 --threshold 0.9",
    ),
    "doctor": ("mcp-vlsearch doctor", "mcp-vlsearch doctor --fix"),
    "plugins": ("mcp-vlsearch plugins",),
    "install": (
        "mcp-vlsearch install claude-desktop --root ~/Pictures",
        "mcp-vlsearch install cursor --print",
    ),
    "demo": ("mcp-vlsearch demo", "mcp-vlsearch demo --count 100 --seed 7"),
    "storybook": ("mcp-vlsearch storybook gallery --count 500 --seed 7",),
    "eval": ("mcp-vlsearch eval gallery/captions.jsonl --model storybook",),
    "cache export": ("mcp-vlsearch cache export vectors.parquet",),
    "cache import": ("mcp-vlsearch cache import vectors.parquet",),
    "cache prune": (
        "mcp-vlsearch cache prune --unused --old --dry-run",
        "mcp-vlsearch cache prune --thumbnails --yes",
    ),
    "cache use": ("mcp-vlsearch cache use 3f9a",),
    "encoder serve": (
        "mcp-vlsearch encoder serve",
        "mcp-vlsearch encoder serve --host 0.0.0.0 --port 8766",
    ),
}
"""Command lines by the words of their command."""


def epilog(command: str) -> str | None:
    """Return what stands below a command's options; an empty line in it begins a new one."""
    lines = EXAMPLES.get(command, ())
    return "\n\n".join(("Examples:", *lines)) if lines else None
