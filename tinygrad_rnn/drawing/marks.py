"""What is written over a picture, where there is room: weights on edges, delays, the legend of gradients."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from .block_layout import Box, Slot
from .colours import NO_GRADIENT, NOT_FINITE, GradientScale, Paint
from .curves import Curve, Point
from .fold import Folded, Tag
from .labels import NOTE_SIZE, SIZE, width
from .layout import DELAY, Layout
from .model import Graph
from .words import Lettering, Words, delay_words, step_words

_HIGH = 12.0  # of a weight's name
_TRIED = 6  # places in each direction


class Pill(NamedTuple):
    """A weight's name on its colour."""

    leaf: int
    text: str
    tooltip: list[str]
    centre: Point
    width: float
    height: float = _HIGH


def pills(folded: Folded, layout: Layout, lettering: Lettering) -> Iterator[Pill]:
    """The weights' names: beside the end of an edge, where there is room; or in a row at the foot of a box."""
    taken = _taken(layout)
    arrivals = _arrivals(folded.graph, layout)
    for slot, tag in _at_edges(folded, layout):
        curve, side = layout.curves[slot], _side(slot, layout)
        text, wide = lettering.pill(tag), lettering.pill_width(tag)
        pill = Pill(tag.leaf, text, lettering.pill_tooltip(tag), (0.0, 0.0), wide)
        places = [pill._replace(centre=centre) for centre in _centres(curve, tag.at_end, wide, arrivals.get(side, []))]
        pill = next((place for place in places if taken.is_free(_around(place))), places[0])
        taken.add(_around(pill))
        yield pill
    for i, tags in lettering.in_boxes.items():
        (x, y), (_, high) = layout.centres[i], layout.sizes[i]
        left = x - sum(lettering.pill_width(tag) + 3 for tag in tags) / 2
        for tag in tags:
            wide = lettering.pill_width(tag)
            centre = left + wide / 2, y - high / 2 + _HIGH / 2 + 4
            yield Pill(tag.leaf, lettering.pill(tag), lettering.pill_tooltip(tag), centre, wide)
            left += wide + 3


def _at_edges(folded: Folded, layout: Layout) -> Iterator[tuple[Slot, Tag]]:
    """What is written on which edges; a weight on edges that arrive together, or leave together, is written once."""
    sources = {edge.slot: edge.source for edge in folded.graph.edges}
    together: dict[tuple[int, int, bool | None], list[tuple[Slot, Tag]]] = {}
    for tag in folded.tags:
        if tag.slot is not None:
            ends = _side(tag.slot, layout) if tag.at_end else (sources[tag.slot], None)
            together.setdefault((tag.leaf, *ends), []).append((tag.slot, tag))
    for those in together.values():
        slot, tag = those[0]
        yield slot, tag._replace(uses=tuple(dict.fromkeys(use for _, one in those for use in one.uses)))


def _centres(curve: Curve, at_end: bool, wide: float, arrivals: Sequence[float]) -> Iterator[Point]:
    """Where a weight's name may stand at an end of its edge, the best place first.

    Args:
        arrivals: The heights at which edges reach the same side of the same box, or leave it.
    """
    points, tip = curve
    start, end = (points[-min(4, len(points))], tip) if at_end else (points[0], points[min(3, len(points) - 1)])
    if abs(start[0] - end[0]) >= abs(start[1] - end[1]):
        (x, y), away = (end, -1.0) if at_end else (start, 1.0)
        x += away * math.copysign(1.0, end[0] - start[0]) * (wide / 2 + 9)
        ends = [y, *arrivals] if at_end else [y]
        above, below = max(ends) + _HIGH / 2 + 3, min(ends) - _HIGH / 2 - 3
        ways = [(below, -1), (above, 1)] if y == min(ends) < max(ends) else [(above, 1), (below, -1)]
        yield from ((x, edge + way * k * (_HIGH + 1)) for edge, way in ways for k in range(_TRIED))
    else:
        side = -1.0 if points[0][0] < tip[0] - 5 else 1.0
        x, y = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
        for k in range(_TRIED):
            for way in (side, -side):
                yield x + way * (wide / 2 + 4 + k * (wide + 3)), y
        yield from ((x + side * (wide / 2 + 4), y - k * (_HIGH + 1)) for k in range(1, _TRIED))


def _side(slot: Slot, layout: Layout) -> tuple[int, bool]:
    """The box that an edge reaches, and whether from its left or its right."""
    points, tip = layout.curves[slot]
    return slot[0], points[-1][0] < tip[0]


def _arrivals(graph: Graph, layout: Layout) -> dict[tuple[int, bool], list[float]]:
    """The heights at which edges reach each side of each box, or leave it."""
    found: dict[tuple[int, bool], list[float]] = {}
    for edge in graph.edges:
        points, tip = layout.curves[edge.slot]
        if abs(points[-1][0] - tip[0]) > abs(points[-1][1] - tip[1]):
            found.setdefault(_side(edge.slot, layout), []).append(tip[1])
        (x, y), (u, v) = points[0], points[1]
        if abs(x - u) > abs(y - v):
            found.setdefault((edge.source, x < layout.centres[edge.source][0]), []).append(y)
    return found


class _Taken:
    """The areas where something is written, found by where they are."""

    _CELL = 100.0

    def __init__(self) -> None:
        self._areas: dict[tuple[int, int], list[Box]] = {}

    def _cells(self, area: Box) -> Iterator[tuple[int, int]]:
        left, lower, right, upper = (int(part // self._CELL) for part in area)
        return ((i, j) for i in range(left, right + 1) for j in range(lower, upper + 1))

    def add(self, area: Box) -> None:
        """From now on it is not free."""
        for cell in self._cells(area):
            self._areas.setdefault(cell, []).append(area)

    def is_free(self, area: Box) -> bool:
        """Does it touch none of those added?"""
        a, b, c, d = area
        return not any(
            a < right and left < c and b < upper and lower < d
            for cell in self._cells(area)
            for left, lower, right, upper in self._areas.get(cell, ())
        )


def _taken(layout: Layout) -> _Taken:
    """Boxes, and titles of time steps."""
    taken = _Taken()
    for i, (x, y) in layout.centres.items():
        wide, high = layout.sizes[i]
        taken.add((x - wide / 2, y - high / 2, x + wide / 2, y + high / 2))
    for column in layout.columns:
        (x, y), wide = column.middle, 1.25 * width(step_words(column.steps))  # bold
        taken.add((x - wide / 2, y - SIZE / 2, x + wide / 2, y + SIZE / 2))
    return taken


def _around(pill: Pill) -> Box:
    (x, y), wide, high = pill.centre, pill.width, pill.height
    return x - wide / 2, y - high / 2, x + wide / 2, y + high / 2


def delays(graph: Graph, recorded: Graph, layout: Layout) -> Iterator[tuple[Box, Words]]:
    """A black square on each way from one time step to another (Goodfellow et al., "Deep Learning", 2016, 10.1)."""
    done: set[tuple[int, int]] = set()
    for edge in graph.edges:
        if not edge.delay:
            continue
        points = layout.curves[edge.slot].points
        axis = 1 if layout.upward else 0  # a lane is further up, or in a picture that runs down further right, than all
        a, b = max(pairwise(points), key=lambda pair: (round(min(pair[0][axis], pair[1][axis])), math.dist(*pair)))
        x, y = (a[0] + b[0]) / 2, (a[1] + b[1]) / 2
        if (round(x), round(y)) in done:
            continue
        done.add((round(x), round(y)))
        text = delay_words(edge, recorded)
        level = abs(a[0] - b[0]) >= abs(a[1] - b[1])
        half = DELAY / 2
        place = (x, y + half + 5.5) if level else (x + DELAY + width(text, NOTE_SIZE) / 2, y)
        yield (x - half, y - half, x + half, y + half), Words(text, place)


def legend(scale: GradientScale, layout: Layout) -> Iterator[tuple[Box, Paint, Words]]:
    """A colour for each power of ten, above the picture; and one for where nothing flows."""
    left = min(x for x, _ in layout.centres.values()) - 20
    tops = [column.box[3] for column in layout.columns] + [y + 20 for _, y in layout.centres.values()]
    tops += [y for curve in layout.curves.values() for _, y in curve.points]
    y = max(tops) + 34
    wide = 34.0
    step = max(1, round((scale.high - scale.low) / 8))
    for k, power in enumerate(range(scale.low, scale.high + 1, step)):
        x = left + k * wide
        words = f"≤ 1e{power}" if scale.beyond and power == scale.low else f"1e{power}"
        yield (x, y, x + wide, y + 9), scale.paint(10.0**power), Words(words, (x + wide / 2, y - 7))
        last = x + wide
    others = [(NO_GRADIENT, "none"), *([(NOT_FINITE, "inf, nan")] if scale.not_finite else [])]
    for k, (paint, words) in enumerate(others):
        x = last + 24 + k * (wide + 24)
        yield (x, y, x + wide, y + 9), paint, Words(words, (x + wide / 2, y - 7))
    title = "2-norm of the gradient"
    nowhere = left + width(title, NOTE_SIZE) / 2, y + 17
    yield (left, y, left, y), scale.paint(None), Words(title, nowhere)
