"""Who may use the encoder next: one call at a time, searches before pictures that are indexed."""

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from mcp_vlsearch.errors import EncoderError

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Vectors

__all__ = ["Turns"]

T = TypeVar("T")
R = TypeVar("R")

Encode = Callable[[Sequence[Any]], "Vectors"]

_PATIENCE: Final = 16
"""Calls for searches that may pass pictures in waiting, so that indexing never stands still."""


class _Request:
    """What one caller wants done with items, and then what came of them or what went wrong.

    Up to ``most`` items of requests go together, unless ``most`` is 0: such a request goes alone.
    """

    def __init__(
        self, items: Sequence[Any], work: Callable[[Sequence[Any]], Any], most: int
    ) -> None:
        self.items = items
        self.work = work
        self.most = most
        self.answer: Any = None
        self.error: Exception | None = None

    @property
    def done(self) -> bool:
        return self.answer is not None or self.error is not None

    def result(self) -> Any:
        if self.error:
            raise self.error
        return self.answer


class Turns:
    """Lets threads use one encoder in turn.

    Requests that wait at the same time are encoded in one call: the thread whose turn it is takes
    them all along, and the others wake up with their vectors. Nobody waits for company.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._busy = False
        self._searches: list[_Request] = []
        self._pictures: list[_Request] = []
        self._passed = 0

    def search(self, items: Sequence[Any], encode: Encode, most: int) -> "Vectors":
        """Return ``encode``'s vectors of the items, shape (len(items), dim), before any picture's.

        ``most`` is how many items one call takes, unless a single request has more. Raises what
        ``encode`` raises for these items.
        """
        vectors: Vectors = self._run(self._searches, _Request(items, encode, most))
        return vectors

    def alone(self, item: T, work: Callable[[T], R]) -> R:
        """Return ``work(item)``, before any picture's turn, and never together with others."""
        [result] = self._run(self._searches, _Request((item,), lambda items: [work(*items)], 0))
        answer: R = result
        return answer

    def index(self, items: Sequence[Any], encode: Encode, most: int) -> "Vectors":
        """Return ``encode``'s vectors of the items once no search is waiting; as :meth:`search`."""
        vectors: Vectors = self._run(self._pictures, _Request(items, encode, most))
        return vectors

    def _run(self, line: list[_Request], request: _Request) -> Any:
        with self._changed:
            line.append(request)
        try:
            while together := self._wait(line, request):
                try:
                    _answer(together, _work(request, together[0]))
                finally:
                    self._leave(line, together)
        except BaseException:
            self._withdraw(line, request)
            raise
        return request.result()

    def _wait(self, line: list[_Request], request: _Request) -> list[_Request]:
        """Wait for the turn and return who goes along; nobody if another has done the work."""
        with self._changed:
            self._changed.wait_for(lambda: request.done or self._may_go(line))
            if request.done:
                return []
            self._busy = True
            self._passed = self._passed + 1 if line is self._searches and self._pictures else 0
            together = _first(line)
            del line[: len(together)]
            return together

    def _may_go(self, line: list[_Request]) -> bool:
        overdue = bool(self._pictures) and self._passed >= _PATIENCE
        searches_first = bool(self._searches) and not overdue
        return not self._busy and searches_first is (line is self._searches)

    def _leave(self, line: list[_Request], together: Sequence[_Request]) -> None:
        """Let the next one in; what an interrupted thread left undone is taken up by others."""
        with self._changed:
            line[:0] = [request for request in together if not request.done]
            self._busy = False
            self._changed.notify_all()

    def _withdraw(self, line: list[_Request], request: _Request) -> None:
        with self._changed:
            if request in line:
                line.remove(request)
            self._changed.notify_all()


def _first(line: Sequence[_Request]) -> list[_Request]:
    taken: list[_Request] = []
    count = 0
    for request in line:
        count += len(request.items)
        if taken and count > min(taken[0].most, request.most):
            break
        taken.append(request)
    return taken


def _work(own: _Request, first: _Request) -> Callable[[Sequence[Any]], Any]:
    """Return what is done with requests that a thread takes: its own work, unless one is alone."""
    return own.work if own.most and first.most else first.work


def _answer(together: Sequence[_Request], work: Callable[[Sequence[Any]], Any]) -> None:
    """Encode all requests in one call; if that fails, each alone, so that each has its own error.

    One picture that is too large must not fail the searches that happen to wait beside it.
    """
    items = [item for request in together for item in request.items]
    try:
        answers = _checked(work(items), len(items))
    except Exception as error:
        if len(together) == 1:
            together[0].error = error
            return
        for request in together:
            _answer([request], work)
        return
    start = 0
    for request in together:
        request.answer = answers[start : start + len(request.items)]
        start += len(request.items)


def _checked(answers: Any, count: int) -> Any:
    if len(answers) != count:
        raise EncoderError(
            f"the encoder gave {len(answers)} vectors for {count} inputs: report it to its author"
        )
    return answers
