"""Points and the Bezier curves that edges follow, in Graphviz's form: 3 k + 1 points, and the tip of the arrow."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeAlias

Point: TypeAlias = tuple[float, float]
ARROW = 6.0  # length of an arrow head
_PIECE = 12.0  # of a bend, that is taken for straight


class Curve(NamedTuple):
    """An edge's way: cubic Bezier segments, each beginning where the last one ends, and where the arrow points to."""

    points: list[Point]
    tip: Point

    def map(self, move: Callable[[Point], Point]) -> Curve:
        """The same curve in another place."""
        return Curve([move(point) for point in self.points], move(self.tip))

    def pieces(self) -> Iterator[tuple[Point, Point]]:
        """The curve as straight pieces: its straight segments as they are, bends in short ones."""
        points = self.points
        for i in range(0, len(points) - 1, 3):
            a, b, c, d = points[i : i + 4]
            count = 1 if _is_straight(a, b, c, d) else 2 + int(math.dist(a, d) / _PIECE)
            yield from pairwise([a, *(at(a, b, c, d, k / count) for k in range(1, count)), d])
        yield points[-1], self.tip


def at(a: Point, b: Point, c: Point, d: Point, part: float) -> Point:
    """The point of a cubic Bezier segment that is ``part``, from 0 to 1, of the way along it."""
    rest = 1.0 - part
    p, q, r, s = rest**3, 3 * rest * rest * part, 3 * rest * part * part, part**3
    return p * a[0] + q * b[0] + r * c[0] + s * d[0], p * a[1] + q * b[1] + r * c[1] + s * d[1]


def _is_straight(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Do the inner points of a segment lie on the line between its ends, but for a rounding error?"""
    (x, y), far = (d[0] - a[0], d[1] - a[1]), 0.5 * math.dist(a, d)
    return all(abs(x * (v - a[1]) - y * (u - a[0])) <= far for u, v in (b, c))


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
