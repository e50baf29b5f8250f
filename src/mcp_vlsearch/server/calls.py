"""What is told of calls: a line each, a warning for slow ones, and numbers.

No line tells what was asked for, unless the server is verbose.
"""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Literal, Protocol

from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError

from mcp_vlsearch.core.steps import recorded
from mcp_vlsearch.errors import CancelledError, VLSearchError
from mcp_vlsearch.wording import shown

__all__ = ["CallCounter", "Outcome", "told"]

logger = logging.getLogger(__name__)

Outcome = Literal["ok", "refused", "failed", "cancelled"]
"""``refused`` is an error that says what to do, ``failed`` one that nobody expected."""

_LONGEST: Final = 2_000
"""Characters of arguments that a verbose server tells."""


class CallCounter(Protocol):
    """Counts calls of tools."""

    def began(self) -> None:
        """Take note of a call."""

    def ended(self, tool: str, outcome: Outcome, seconds: float) -> None:
        """Take note of its end."""


@contextmanager
def told(
    tool: str,
    arguments: Mapping[str, Any],
    request: str | None,
    slow_seconds: float,
    counter: CallCounter | None = None,
) -> Iterator[None]:
    """Tell of the call that the block makes, of a tool or of the library, and count it."""
    logger.debug("%s called: %s", tool, shown(repr(dict(arguments)), _LONGEST))
    began = time.perf_counter()
    outcome: Outcome = "cancelled"
    if counter:
        counter.began()
    with recorded() as steps:
        try:
            yield
            outcome = "ok"
        except Exception as error:
            outcome = _outcome(error)
            raise
        finally:
            seconds = time.perf_counter() - began
            if counter:
                counter.ended(tool, outcome, seconds)
            _tell(tool, outcome, request, seconds, steps if seconds >= slow_seconds else None)


def _outcome(error: Exception) -> Outcome:
    if isinstance(error, CancelledError):
        return "cancelled"
    is_expected = isinstance(error, ToolError | VLSearchError)
    return "refused" if is_expected and not isinstance(error, UnexpectedToolError) else "failed"


def _tell(
    tool: str,
    outcome: Outcome,
    request: str | None,
    seconds: float,
    steps: Mapping[str, float] | None,
) -> None:
    """Write the line of a call; with ``steps`` it was slow."""
    fields: dict[str, Any] = {"tool": tool, "outcome": outcome, "seconds": round(seconds, 4)}
    if request is not None:
        fields["request"] = request
    logger.log(
        logging.WARNING if outcome == "failed" else logging.INFO,
        "%s %s after %.3f s%s",
        tool,
        outcome,
        seconds,
        f", request {request}" if request is not None else "",
        extra=fields,
    )
    if steps is not None:
        times = {name: round(took, 4) for name, took in list(steps.items())}
        said = ", ".join(f"{name} {took:.3f} s" for name, took in times.items())
        logger.warning(
            "slow call: %s took %.3f s (%s)",
            tool,
            seconds,
            said or "no step of its own has ended",
            extra={**fields, "steps": times},
        )
