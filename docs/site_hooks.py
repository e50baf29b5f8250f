"""What the site needs beside the pages: SECURITY.md as one of them, and links out of docs/.

The pages are written for whoever reads them in the repository. On the site, a link to a file
outside docs/ leads to the repository, where mkdocs.yml names one (``repo_url``), and is plain text
otherwise.
"""

import re
from pathlib import Path
from typing import Any, Final

from mkdocs.structure.files import File, Files

_REPOSITORY: Final = Path(__file__).parents[1]
_OUTSIDE: Final = re.compile(r"\[((?:[^\[\]\\]|\\.)*)\]\(\.\./([^)\s]+)\)")


def on_files(files: Files, *, config: Any) -> Files:
    """Add SECURITY.md, with its links as seen from docs/."""
    text = (_REPOSITORY / "SECURITY.md").read_text("utf-8").replace("](docs/", "](")
    files.append(File.generated(config, "security.md", content=text))
    return files


def on_page_markdown(markdown: str, *, config: Any, **_: Any) -> str:
    """Turn links to files outside docs/ into what a site can show."""

    def link(match: re.Match[str]) -> str:
        words, path = match.groups()
        if path.startswith("SECURITY.md"):
            return f"[{words}](security.md{path.removeprefix('SECURITY.md')})"
        return (
            f"[{words}]({config.repo_url.rstrip('/')}/blob/main/{path})"
            if config.repo_url
            else words
        )

    return _OUTSIDE.sub(link, markdown)
