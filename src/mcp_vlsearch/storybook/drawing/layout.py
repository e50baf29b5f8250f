"""Where the items of a scene go on the picture: one box of pixels for every copy."""

import random
from dataclasses import dataclass
from typing import Final

from mcp_vlsearch.storybook.scene import Item, Scene

__all__ = ["Box", "boxes"]

Box = tuple[float, float, float, float]
"""Left, top, width and height, in pixels."""

SIGN_ASPECT: Final = 1.6
MARGIN: Final = 0.035
"""Free space at the picture's edge and between regions, as a share of the shorter side."""

_SINGLE: Final = {"small": 0.22, "medium": 0.36, "large": 0.55}
_SHARED: Final = {"small": 0.42, "medium": 0.66, "large": 0.91}
_TRIO: Final = {"small": 0.58, "medium": 0.74, "large": 0.91}
_SIGN: Final = {"small": 0.34, "medium": 0.46, "large": 0.72}
_GRIDS: Final = {
    1: ((1, 1),),
    2: ((2, 1), (1, 2)),
    3: ((3, 1), (2, 2), (1, 3)),
    4: ((2, 2), (4, 1)),
}
_GAP: Final = 0.08
_SMALLEST: Final = 0.17


@dataclass(frozen=True)
class _Region:
    """A part of the picture that one item has to itself, and where in it the item sits."""

    left: float
    top: float
    width: float
    height: float
    across: float = 0.5
    down: float = 0.5


def boxes(
    scene: Scene, width: int, height: int, rng: random.Random
) -> list[tuple[Item, list[Box]]]:
    """Place every item of the scene: one box for each of its copies, none of them overlapping."""
    placed = []
    for index, item in enumerate(scene.items):
        region = _inset(_region(scene, index, width, height), MARGIN * min(width, height))
        size = _size(scene, item, region, width, height) * rng.uniform(0.94, 1.06)
        placed.append((item, _spread(item, region, size, min(width, height), rng)))
    return placed


def _region(scene: Scene, index: int, width: int, height: int) -> _Region:
    match scene.layout:
        case "single":
            return _single_region(scene.items[index], width, height)
        case "stacked":
            return _Region(0, index * height / 2, width, height / 2)
        case _:
            shares = _shares(scene)
            return _Region(sum(shares[:index]) * width, 0, shares[index] * width, height)


def _shares(scene: Scene) -> list[float]:
    """How much of the width each of the items side by side gets: a sign more, for its word."""
    count = len(scene.items)
    signs = sum(item.kind == "sign" for item in scene.items)
    if signs != 1:
        return [1 / count] * count
    wide = 0.53 if count == 2 else 0.47
    narrow = (1 - wide) / (count - 1)
    return [wide if item.kind == "sign" else narrow for item in scene.items]


def _single_region(item: Item, width: int, height: int) -> _Region:
    """The half of the picture that a lone item is in; in the corners it sits right at the edge."""
    place = item.place
    near, far = (0.0, 1.0) if " " in place else (0.2, 0.8)
    half = 0.64 if item.kind == "sign" else 0.57
    left, across, share_x = 0.0, 0.5, 1.0
    top, down, share_y = 0.0, 0.5, 1.0
    if "left" in place:
        across, share_x = near, half
    elif "right" in place:
        left, across, share_x = 1 - half, far, half
    if "top" in place:
        down, share_y = near, half
    elif "bottom" in place:
        top, down, share_y = 1 - half, far, half
    return _Region(left * width, top * height, share_x * width, share_y * height, across, down)


def _inset(region: _Region, margin: float) -> _Region:
    return _Region(
        region.left + margin,
        region.top + margin,
        region.width - 2 * margin,
        region.height - 2 * margin,
        region.across,
        region.down,
    )


def _size(scene: Scene, item: Item, region: _Region, width: int, height: int) -> float:
    """The wanted height of one copy, before it is made to fit its region."""
    if item.kind == "sign":
        roomy = 1.3 if scene.layout == "stacked" else 1.0
        return roomy * _SIGN[item.size] * width / SIGN_ASPECT
    match scene.layout:
        case "single":
            return _SINGLE[item.size] * min(width, height)
        case "trio":
            # A neighbouring sign narrows the region, so measure what is really there.
            return _TRIO[item.size] * min(region.width * 1.15, height / 2)
        case "beside":
            return _SHARED[item.size] * min(region.width * 1.12, height * 0.6)
        case "stacked":
            return _SHARED[item.size] * min(width * 0.6, region.height * 1.12)


def _spread(
    item: Item, region: _Region, size: float, shorter: float, rng: random.Random
) -> list[Box]:
    """Arrange the copies of an item in a row, a cluster or a column, whichever shows them best."""
    aspect = SIGN_ASPECT if item.kind == "sign" else 1.0
    if item.count > 1:
        size *= 0.84
    size = max(size, _SMALLEST * shorter)
    sized = [(min(size, _fit(region, grid, aspect)), grid) for grid in _GRIDS[item.count]]
    best = max(sized)[0]
    size, (columns, rows) = rng.choice([s for s in sized if s[0] >= 0.98 * best])
    group_width = size * aspect * (columns + _GAP * (columns - 1))
    group_height = size * (rows + _GAP * (rows - 1))
    reach = 0.0 if region.across in (0, 1) else 0.05 * shorter
    left = _settle(region.left, region.width - group_width, region.across, reach, rng)
    top = _settle(region.top, region.height - group_height, region.down, reach, rng)
    return _cells(left, top, size, aspect, columns, item.count)


def _fit(region: _Region, grid: tuple[int, int], aspect: float) -> float:
    """The greatest height of one copy at which the whole grid stays in the region."""
    columns, rows = grid
    wide = region.width / (columns + _GAP * (columns - 1)) / aspect
    high = region.height / (rows + _GAP * (rows - 1))
    return min(wide, high)


def _settle(start: float, slack: float, along: float, reach: float, rng: random.Random) -> float:
    """Choose a start with ``slack`` room to move: at ``along``, give or take ``reach``."""
    offset = slack * along + rng.uniform(-reach, reach)
    return start + min(max(offset, 0.0), max(slack, 0.0))


def _cells(
    left: float, top: float, size: float, aspect: float, columns: int, count: int
) -> list[Box]:
    step = size * (1 + _GAP)
    cells = []
    for i in range(count):
        row, column = divmod(i, columns)
        missing = max(0, (row + 1) * columns - count)  # centre a last row that is not full
        x = left + (column + missing / 2) * step * aspect
        cells.append((x, top + row * step, size * aspect, size))
    return cells
