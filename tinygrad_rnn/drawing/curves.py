"""Points and the Bezier curves that edges follow, in Graphviz's form: 3 k + 1 points, and the tip of the arrow."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

Point: TypeAlias = tuple[float, float]
ARROW = 6.0  # length of an arrow head


class Curve(NamedTuple):
    """An edge's way: cubic Bezier segments, each beginning where the last one ends, and where the arrow points to."""

    points: list[Point]
    tip: Point

    def map(self, move: Callable[[Point], Point]) -> Curve:
        """The same curve in another place."""
        return Curve([move(point) for point in self.points], move(self.tip))


def joined(*parts: Sequence[Point]) -> list[Point]:
    """Curves put together, straight across the gap where one does not begin at the end of the last."""
    points = list(parts[0])
    for part in parts[1:]:
        if part[0] != points[-1]:
            points += straight(points[-1], part[0])[1:]
        points += part[1:]
    return points


def straight(start: Point, end: Point) -> list[Point]:
    """A straight line as a curve."""
    (x, y), (u, v) = start, end
    return [start, (x + (u - x) / 3, y + (v - y) / 3), (u - (u - x) / 3, v - (v - y) / 3), end]


def across(start: Point, end: Point) -> list[Point]:
    """An S that leaves and arrives horizontally."""
    middle = (start[0] + end[0]) / 2
    return [start, (middle, start[1]), (middle, end[1]), end]


def upward(start: Point, end: Point) -> list[Point]:
    """An S that leaves and arrives vertically."""
    middle = (start[1] + end[1]) / 2
    return [start, (start[0], middle), (end[0], middle), end]


def rounded(corners: Sequence[Point], radius: float = 8.0) -> list[Point]:
    """Straight lines from corner to corner, each corner rounded."""
    points = [corners[0]]
    for before, corner, after in zip(corners, corners[1:], corners[2:], strict=False):
        near, far = _toward(corner, before, radius), _toward(corner, after, radius)
        points += straight(points[-1], near)[1:]
        points += [_toward(corner, near, 0.45 * radius), _toward(corner, far, 0.45 * radius), far]
    return points + straight(points[-1], corners[-1])[1:]


def _toward(start: Point, end: Point, length: float) -> Point:
    """The point ``length`` from ``start`` on the way to ``end``, at most half way."""
    distance = math.dist(start, end)
    part = min(length / distance, 0.5) if distance else 0.0
    return start[0] + part * (end[0] - start[0]), start[1] + part * (end[1] - start[1])
