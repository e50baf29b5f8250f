"""What a picture looks like, in few bytes, and whether two pictures are copies of one another.

A look is the picture in small: brightness on 48 × 48 squares, both colour differences on 24 × 24.
Two looks are laid on each other first, since a copy may be cut or stretched: the scale and shift of
both axes that leave the least difference, by Gauss-Newton steps from coarse to fine (Lucas and
Kanade, "An iterative image registration technique", IJCAI 1981), with far-off squares counting
less (Huber). Then they are the same picture if no place of it differs, and if its details go
together. What recompression, resizing and blur do is the same everywhere and small; an object that
moved or has another colour stands out in its place, though hardly in the vectors, nor in a hash of
64 bits.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["LOOK_VERSION", "Look", "is_copy", "look_of", "may_be_copies"]

LOOK_VERSION: Final = 1
"""Part of what is kept: raise it with every change of what a look is."""

_LUMA: Final = 48
_CHROMA: Final = 24
_COARSE: Final = 8
_BYTES: Final = _LUMA**2 + 2 * _CHROMA**2

_LEVELS: Final = (12, 24, 48)
_STEPS: Final = 8
_SETTLED: Final = 1e-3
"""A step that changes no coordinate by more, of a picture that is 2 wide, is the last."""
_OUTLIER: Final = 12.0
"""Difference, in steps of brightness, from which on a square counts less for the alignment."""
_FAR: Final = 25.0
"""Mean difference after a level's steps at which no finer level brings the two together."""
_LEAST_SCALE: Final = 0.8
_LEAST_OVERLAP: Final = 0.8
"""Of a side: what is cut off a copy is no more than that leaves."""

_PLACE: Final = 3
"""Side in squares of brightness of the smallest place that is compared: a 16th of the picture's."""
_MOST_LUMA: Final = 22.0
_MOST_CHROMA: Final = 18.0
"""Steps, of 255, by which a place of a copy may differ in the mean."""
_AROUND: Final = 7
"""Side in squares of what details are seen against."""
_PLAIN: Final = 3.0
"""Root mean square, in steps, below which there are no details to compare."""
_DETAILS: Final = 0.87
"""Least correlation of a copy's details."""
_ROUGHLY: Final = 32.0
"""Mean difference on 8 × 8 squares up to which a closer look is worth it."""

Look = NDArray[np.uint8]
"""Shape (3456,): brightness row by row, then blue, then red difference."""
_Plane = NDArray[np.float32]
_Warp = NDArray[np.float64]
"""Scale and shift across, scale and shift down, of coordinates from -1 to 1."""


def look_of(image: Image.Image) -> Look:
    """Return the look of an upright RGB picture of any size."""
    small = image.convert("RGB").resize((_LUMA, _LUMA), Image.Resampling.BOX)
    planes = np.asarray(small.convert("YCbCr"), np.float32)
    chroma = [np.rint(_shrunk(planes[..., i], _CHROMA)).ravel() for i in (1, 2)]
    return np.concatenate([planes[..., 0].ravel(), *chroma]).astype(np.uint8)


def may_be_copies(look: Look, others: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Say of which of the looks (n, 3456) :func:`is_copy` is worth asking, at little cost."""
    differences = np.abs(_rough(others) - _rough(look[None])).mean(1)
    return np.asarray(differences <= _ROUGHLY)


def is_copy(first: Look, second: Look) -> bool:
    """Say whether two looks are of one picture: recompressed, resized, or cut at its edges."""
    ours, theirs = _planes(first), _planes(second)
    if _agree(ours, theirs, np.array([1.0, 0.0, 1.0, 0.0])):
        return True
    return _is_part(ours, theirs) or _is_part(theirs, ours)


def _is_part(ours: list[_Plane], theirs: list[_Plane]) -> bool:
    """Say so as seen from ours: where steps from here miss the place, steps from there find it."""
    warp = _registered(ours[0], theirs[0])
    return warp is not None and _agree(ours, theirs, warp)


def _planes(look: Look) -> list[_Plane]:
    values = look.astype(np.float32)
    luma, blue, red = np.split(values, (_LUMA**2, _LUMA**2 + _CHROMA**2))
    return [
        luma.reshape(_LUMA, _LUMA),
        blue.reshape(_CHROMA, _CHROMA),
        red.reshape(_CHROMA, _CHROMA),
    ]


def _rough(looks: NDArray[np.uint8]) -> _Plane:
    """Return brightness on 8 × 8 squares, shape (n, 64)."""
    step = _LUMA // _COARSE
    luma = looks[:, : _LUMA**2].reshape(-1, _COARSE, step, _COARSE, step)
    return np.asarray(luma.mean((2, 4), dtype=np.float32).reshape(len(looks), -1))


def _registered(ours: _Plane, theirs: _Plane) -> _Warp | None:
    """Return where in their picture each place of ours is, None if that leads too far."""
    warp = np.array([1.0, 0.0, 1.0, 0.0])
    for side in _LEVELS:
        small, other = _shrunk(ours, side), _shrunk(theirs, side)
        for _ in range(_STEPS):
            step = _step(small, other, warp)
            warp += step
            if not _is_near(warp):
                return None
            if np.abs(step).max() < _SETTLED:
                break
        across, down, moved = _moved(small.shape, other, warp)
        if np.abs(small[down, across] - moved).mean() > _FAR:
            return None
    return warp


def _is_near(warp: _Warp) -> bool:
    scales, shifts = warp[::2], warp[1::2]
    return bool(
        (scales >= _LEAST_SCALE).all()
        and (scales <= 1 / _LEAST_SCALE).all()
        and (np.abs(shifts) <= 2 * (1 - _LEAST_OVERLAP)).all()
    )


def _step(ours: _Plane, theirs: _Plane, warp: _Warp) -> _Warp:
    """Return the change of a warp that takes most of the difference away."""
    across, down, moved = _moved(ours.shape, theirs, warp)
    if min(moved.shape) < 3:
        return np.zeros(4)
    unit = np.float32(len(ours) / 2)
    slope_down, slope_across = (unit * slope for slope in np.gradient(moved))
    slope_across, slope_down = slope_across / warp[0], slope_down / warp[2]
    side = (2 * np.arange(len(ours)) + 1) / len(ours) - 1
    x, y = side[across][None, :], side[down][:, None]
    rows = np.stack([slope_across * x, slope_across, slope_down * y, slope_down]).reshape(4, -1)
    rest = (ours[down, across] - moved).ravel()
    weighted = rows * (_OUTLIER / np.maximum(np.abs(rest), _OUTLIER))
    # a plain picture tells nothing of where it lies: it stays
    normal = weighted @ rows.T + 1e-3 * np.eye(4)
    step: _Warp = np.linalg.solve(normal, weighted @ rest)
    return step


def _moved(shape: tuple[int, ...], plane: _Plane, warp: _Warp) -> tuple[slice, slice, _Plane]:
    """Return a plane as seen through a warp, and the columns and rows of ours that it covers."""
    down, rows = _sampling(shape[0], len(plane), warp[2], warp[3])
    across, columns = _sampling(shape[1], plane.shape[1], warp[0], warp[1])
    return across, down, (rows @ plane @ columns.T).astype(np.float32)


def _sampling(count: int, there: int, scale: float, shift: float) -> tuple[slice, _Plane]:
    """Return which of our squares lie on theirs along one axis, and the weights of theirs."""
    at = ((2 * np.arange(count) + 1) / count - 1) * scale + shift
    place = (at + 1) * there / 2 - 0.5
    inside = np.flatnonzero(np.abs(at) <= 1)
    covered = slice(inside[0], inside[-1] + 1) if len(inside) else slice(0, 0)
    place = np.clip(place[covered], 0, there - 1)
    low = np.minimum(place.astype(int), there - 2)
    weights = np.zeros((len(place), there), np.float32)
    numbers = np.arange(len(place))
    weights[numbers, low] = low + 1 - place
    weights[numbers, low + 1] = place - low
    return covered, weights


def _agree(ours: list[_Plane], theirs: list[_Plane], warp: _Warp) -> bool:
    limits = (_MOST_LUMA, _MOST_CHROMA, _MOST_CHROMA)
    for number, (our, their, most) in enumerate(zip(ours, theirs, limits, strict=True)):
        across, down, moved = _moved(our.shape, their, warp)
        if min(moved.shape) < _LEAST_OVERLAP * len(our):
            return False
        place = _PLACE if number == 0 else _PLACE - 1
        part = our[down, across]
        if np.abs(_means(part - moved, place)).max() > most:
            return False
        if number == 0 and not _details_agree(part, moved):
            return False
    return True


def _details_agree(ours: _Plane, theirs: _Plane) -> bool:
    """Say whether details go together: two pages of text differ nowhere in their mean."""
    first, second = _details(ours), _details(theirs)
    ours_has, theirs_has = (math.sqrt(float((plane**2).mean())) for plane in (first, second))
    if max(ours_has, theirs_has) < _PLAIN:
        return True
    return float((first * second).mean()) >= _DETAILS * ours_has * theirs_has


def _details(plane: _Plane) -> _Plane:
    edge = _AROUND // 2
    return plane[edge:-edge, edge:-edge] - _means(plane, _AROUND)


def _means(plane: _Plane, side: int) -> _Plane:
    """Return the mean of every square of ``side`` × ``side`` that lies in the plane."""
    sums = np.pad(plane.astype(np.float64), ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    whole = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    return np.asarray(whole / side**2, np.float32)


def _shrunk(plane: _Plane, side: int) -> _Plane:
    """Return a square plane as means on ``side`` × ``side`` squares."""
    step = len(plane) // side
    means = plane.reshape(side, step, side, step).mean((1, 3), dtype=np.float32)
    return np.asarray(means)
