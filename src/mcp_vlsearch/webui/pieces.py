"""Pieces of HTML that the tabs are made of. Every text that comes from outside is escaped here."""

import base64
from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from mcp_vlsearch.core.progress import Progress
from mcp_vlsearch.types import Hit

__all__ = [
    "CLICKS",
    "as_source",
    "bytes_in_words",
    "cards",
    "counted",
    "facts",
    "failed",
    "note",
    "number",
    "phrasings",
    "picture",
    "table",
    "text",
    "working",
]

CLICKS: Final = """
element.addEventListener('click', (event) => {
  const card = event.target.closest('[data-image]');
  if (card) trigger('click', {image: card.dataset.image});
});
"""
"""Lets an HTML component tell which of its pictures was chosen, by mouse or by keyboard."""

_UNITS: Final = ("bytes", "KB", "MB", "GB", "TB")


def text(plain: str) -> str:
    """Return a text as HTML."""
    return escape(plain)


def phrasings(queries: Sequence[str]) -> str:
    """Return the phrasings that were searched, the original first."""
    rows = "".join(f"<li>{escape(query)}</li>" for query in queries)
    return f'<div class="phrasings"><span>As searched</span><ol>{rows}</ol></div>'


def note(text: str) -> str:
    """Return a line that says what is there."""
    return f'<p class="note" role="status">{escape(text)}</p>'


def failed(text: str) -> str:
    """Return a line that says what went wrong."""
    return f'<p class="failed" role="alert">{escape(text)}</p>'


def working(progress: Progress) -> str:
    """Return how far work is: a bar where its end is known, and its line."""
    text = escape(progress.message)
    if not progress.total:
        return f'<p class="note busy" role="status"><i class="spinner"></i>{text}…</p>'
    share = min(1.0, progress.done / progress.total)
    return (
        f'<div class="busy" role="status"><p class="note"><i class="spinner"></i>{text}</p>'
        f'<div class="bar" role="progressbar" aria-valuemin="0" aria-valuemax="{progress.total}" '
        f'aria-valuenow="{progress.done}"><b style="width:{share:.1%}"></b></div></div>'
    )


def cards(hits: Sequence[Hit], jpegs: Sequence[bytes]) -> str:
    """Return a grid of hits, each a button with its picture, rank, relevance, cosine and name."""
    return f'<div class="cards">{"".join(map(_card, hits, jpegs))}</div>'


def _card(hit: Hit, jpeg: bytes) -> str:
    name = escape(f"{hit.name} ({hit.part})" if hit.part else hit.name)
    return (
        f'<button type="button" class="card" data-image="{escape(hit.image_id)}" '
        f'title="{escape(hit.path)}"><span class="frame">{picture(jpeg, hit.name)}'
        f'<span class="rank">{hit.rank}</span></span><span class="name">{name}</span>'
        f'<span class="line"><span class="pill {hit.relevance}">{hit.relevance}</span>'
        f'<span class="score" title="cosine">{hit.score:.3f}</span></span></button>'
    )


def picture(jpeg: bytes, name: str, kind: str = "") -> str:
    """Return a picture, or an empty frame that says that there is none."""
    if not jpeg:
        return f'<span class="missing {kind}">can’t be shown now</span>'
    return f'<img class="{kind}" src="{as_source(jpeg)}" alt="{escape(name)}">'


def as_source(jpeg: bytes) -> str:
    """Return a JPEG as an address that holds it."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def facts(pairs: Iterable[tuple[str, object]]) -> str:
    """Return names with their values."""
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>" for name, value in pairs)
    return f'<dl class="facts">{rows}</dl>'


def table(heads: Sequence[str], rows: Sequence[Sequence[object]], title: str = "") -> str:
    """Return a table with its title; numbers stand to the right. Nothing without rows."""
    if not rows:
        return ""
    top = "".join(
        f"<th{' class=number' * isinstance(value, int | float)}>{escape(head)}</th>"
        for head, value in zip(heads, rows[0], strict=True)
    )
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    headline = f"<h3>{escape(title)}</h3>" if title else ""
    return (
        f'{headline}<div class="scroll"><table class="plain"><thead><tr>{top}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _cell(value: object) -> str:
    if isinstance(value, int | float):
        return f'<td class="number">{number(value)}</td>'
    return f"<td>{escape(str(value))}</td>"


def number(value: float) -> str:
    """Return a number with its thousands apart."""
    return f"{value:,.2f}" if isinstance(value, float) else f"{value:,}"


def counted(count: int, thing: str) -> str:
    """Return a number with what is counted, such as "1 image" and "2,000 images"."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def bytes_in_words(count: float) -> str:
    """Return a number of bytes in the unit that fits."""
    for unit in _UNITS[:-1]:
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} {_UNITS[-1]}"
