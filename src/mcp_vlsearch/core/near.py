"""Near copies: vectors propose pictures, pixels decide, and every group is around one picture.

Pictures come in the order in which they are worth keeping. Each asks the index for its neighbours
and joins the first group whose kept picture it is a copy of; else it is kept, and copies among its
neighbours that have no group yet join it. So what is in a group was compared with the picture that
would be kept, never only with another copy, and no chain leads from one picture to a different one.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from mcp_vlsearch.cache.copies import Originals
from mcp_vlsearch.cache.embeddings import Embeddings
from mcp_vlsearch.core.look import Look, is_copy, may_be_copies
from mcp_vlsearch.core.lookbook import LookBook
from mcp_vlsearch.core.progress import Meter

if TYPE_CHECKING:
    from mcp_vlsearch.contracts import Seqs, Vectors

__all__ = ["NearCopies", "worth_keeping"]

_BLOCK: Final = 256
"""Pictures that ask the index in one call."""
_NEIGHBOURS: Final = 16
_MANY_NEIGHBOURS: Final = 256
"""Neighbours of a picture whose first ones are all similar; others find its group by themselves."""
_LOOKS: Final = 4096
"""Looks in memory at a time, 14 MiB."""
_MOST_CUT: Final = 1.3
"""How far apart the shapes of two copies may be: one may be cut at two of its sides."""

Search = Callable[["Vectors", int], "tuple[Vectors, Seqs]"]
Rows = NDArray[np.int64]


def worth_keeping(pictures: NDArray[np.void]) -> Rows:
    """Return the rows in the order to keep them: most pixels, then most bytes, then oldest."""
    keys = (pictures["seq"], pictures["oldest"], -pictures["bytes"], -pictures["pixels"])
    return np.lexsort(keys)


@dataclass(frozen=True)
class _Proposal:
    """A picture, and those that are similar by their vectors, the most similar first."""

    row: int
    others: Rows
    cosines: "Vectors"


class NearCopies:
    """Compares ``pictures``, rows of :data:`PICTURE` by growing seq, among themselves.

    ``kept`` has for each the row of the picture that its group is around (its own if that is
    itself), -1 if it has no copy; ``similarity`` is its cosine to that one. ``compared`` says whose
    pixels were looked at. Memory is a few numbers for each picture.
    """

    def __init__(
        self,
        pictures: NDArray[np.void],
        originals: Originals,
        embeddings: Embeddings,
        book: LookBook,
        search: Search,
        threshold: float,
    ) -> None:
        self.pictures = pictures
        self.kept: Rows = np.full(len(pictures), -1)
        self.similarity = np.ones(len(pictures), np.float32)
        self.compared = np.zeros(len(pictures), bool)
        self._order = worth_keeping(pictures)
        self._rank = np.empty(len(pictures), np.int64)
        self._rank[self._order] = np.arange(len(pictures))
        self._originals = originals
        self._embeddings = embeddings
        self._book = book
        self._search = search
        self._threshold = threshold
        self._looks: dict[int, Look] = {}

    def run(self, meter: Meter) -> None:
        """Find all groups; ``meter`` counts pictures and may raise."""
        for start in range(0, len(self._order), _BLOCK):
            rows = self._order[start : start + _BLOCK]
            proposals = list(self._proposals(rows[self.kept[rows] < 0]))
            for portion in _portions(proposals):
                self._look_at(portion, meter)
                for proposal in portion:
                    self._settle(proposal)
                meter.report()
            meter.advance(len(rows))

    def _proposals(self, rows: Rows) -> Iterator[_Proposal]:
        seqs, vectors = self._embeddings.at(self.pictures["seq"][rows])
        if not len(seqs):
            return
        scores, found = self._neighbours(vectors)
        for seq, cosines, others in zip(seqs, scores, found, strict=True):
            row = int(self._rows(np.array([seq]))[0])
            others, is_known = self._known(others)
            similar = is_known & (cosines >= self._threshold) & (others != row)
            similar[similar] = self._shaped_alike(row, others[similar])
            if similar.any():
                yield _Proposal(row, others[similar], cosines[similar])

    def _neighbours(self, vectors: "Vectors") -> "tuple[list[Vectors], list[Seqs]]":
        """Return cosines and seqs of what is nearest to each; of more where all are similar."""
        scores, seqs = self._search(vectors, _NEIGHBOURS + 1)
        found = list(scores), list(seqs)
        many = np.flatnonzero(scores[:, -1] >= self._threshold)
        if len(many):
            for row, *more in zip(
                many, *self._search(vectors[many], _MANY_NEIGHBOURS), strict=True
            ):
                found[0][row], found[1][row] = more
        return found

    def _known(self, seqs: "Seqs") -> tuple[Rows, NDArray[np.bool_]]:
        """Return the rows of seqs, and which of these are right: others are of no whole picture."""
        rows = np.minimum(self._rows(seqs), len(self.pictures) - 1)
        return rows, self.pictures["seq"][rows] == seqs

    def _rows(self, seqs: "Seqs") -> Rows:
        return np.searchsorted(self.pictures["seq"], seqs)

    def _shaped_alike(self, row: int, others: Rows) -> NDArray[np.bool_]:
        shapes = self.pictures["aspect"]
        ratio = shapes[others] / shapes[row]
        return np.asarray(np.maximum(ratio, 1 / ratio) <= _MOST_CUT)

    def _look_at(self, proposals: Sequence[_Proposal], meter: Meter) -> None:
        """Have the looks of all pictures that are proposed, and of the groups that they are in."""
        rows = np.unique(np.concatenate([[p.row, *p.others] for p in proposals]).astype(np.int64))
        heads = self.kept[rows]
        rows = np.union1d(rows, heads[heads >= 0])
        self._looks = self._seen(rows, meter.report)

    def _seen(self, rows: Rows, report: Callable[[], None]) -> dict[int, Look]:
        ids = self._originals.image_ids(self.pictures["seq"][rows])
        by_id = self._book.of(list(ids.values()), report)
        seen = {
            int(row): by_id[ids[seq]]
            for row, seq in zip(rows, self.pictures["seq"][rows].tolist(), strict=True)
            if ids.get(seq) in by_id
        }
        self.compared[list(seen)] = True
        return seen

    def _settle(self, proposal: _Proposal) -> None:
        """Let a picture join a group, or others join it."""
        row = proposal.row
        if self.kept[row] >= 0 or row not in self._looks:
            return
        cosines = dict(zip(proposal.others.tolist(), proposal.cosines.tolist(), strict=True))
        for head in self._heads(row, cosines):
            similarity = cosines[head] if head in cosines else self._cosine(row, head)
            if similarity >= self._threshold and self._are_copies(row, [head]):
                self._join(row, head, similarity)
                return
        free = [other for other in cosines if self.kept[other] < 0]
        for other in self._are_copies(row, free):
            self._join(other, row, cosines[other])

    def _heads(self, row: int, others: Sequence[int] | dict[int, float]) -> list[int]:
        """Return the pictures to keep that a picture may be a copy of, the likeliest first."""
        heads = [
            other if self.kept[other] < 0 else int(self.kept[other])
            for other in others
            if self.kept[other] >= 0 or self._rank[other] < self._rank[row]
        ]
        return list(dict.fromkeys(heads))

    def _are_copies(self, row: int, others: Sequence[int]) -> list[int]:
        """Return those of the others whose pixels are the same."""
        others = [other for other in others if other in self._looks]
        if not others:
            return []
        look = self._looks[row]
        worth = may_be_copies(look, np.stack([self._looks[other] for other in others]))
        return [
            other
            for other, is_worth in zip(others, worth, strict=True)
            if is_worth and is_copy(self._looks[other], look)
        ]

    def _join(self, row: int, head: int, similarity: float) -> None:
        self.kept[row], self.kept[head] = head, head
        self.similarity[row] = similarity

    def _cosine(self, row: int, other: int) -> float:
        _, vectors = self._embeddings.at(self.pictures["seq"][[row, other]])
        return float(vectors[0] @ vectors[1]) if len(vectors) == 2 else -1.0


def _portions(proposals: Sequence[_Proposal]) -> Iterator[Sequence[_Proposal]]:
    """Cut proposals into portions whose looks fit into memory."""
    cuts = [0]
    total = 0
    for number, proposal in enumerate(proposals):
        total += 1 + len(proposal.others)
        if total > _LOOKS and number > cuts[-1]:
            cuts.append(number)
            total = 1 + len(proposal.others)
    for start, stop in pairwise([*cuts, len(proposals)]):
        if stop > start:
            yield proposals[start:stop]
