"""Where weights' names stand: on the edges along which they act, like beads on a string; or at the foot of boxes.

A name that stands on its edge cannot be taken for another one's. It keeps off boxes, words and all other edges, as near
to the end of its own as there is room for it; where there is none on the edge, it stands close beside it.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeAlias

from .block_layout import Box, Slot
from .curves import Curve, Point
from .fold import Folded
from .labels import NOTE_SIZE, SIZE, visible, width
from .layout import Layout
from .words import NAME_HEIGHT, Bunch, Lettering, Words, step_words, title_width

_STEP = 5.0  # from one place that is tried to the next
_REACH = 900.0  # how far from an edge's end its names may stand
_MARGIN = 2.0  # around names
_APART = 12.0  # altogether around names that are not on their edge
# What it costs a place, in points of distance from the edge's end:
_BESIDE = 150.0  # not to be on the edge
_NEXT_TO = 200.0  # nor far from what it could seem to belong to
_TOGETHER = 200.0  # to be on several edges from one box to another
_HIDDEN = 1000.0  # to hide something
_CELL = 100.0  # in which things are looked for
_STRAIGHT = 0.01  # how much a line may rise that is level
_FEW = 8  # edges that share a line and are told apart

_End: TypeAlias = tuple[tuple[int, ...], bool, int, int]  # whose names, at which end of an edge, and where that is


class Pill(NamedTuple):
    """A weight's name on its colour."""

    leaf: int
    text: str
    tooltip: list[str]
    centre: Point
    width: float
    height: float = NAME_HEIGHT

    @property
    def area(self) -> Box:
        """Left, lower, right, upper."""
        return _around(self.centre, (self.width, self.height))


def pills(
    folded: Folded, layout: Layout, lettering: Lettering, marks: Sequence[tuple[Box, Words]] = ()
) -> Iterator[Pill]:
    """The weights' names.

    Args:
        marks: What else is written over the picture.
    """
    if not folded.tags:
        return
    taken, lines = _taken(layout, marks), _Lines(layout)
    source = {edge.slot: edge.source for edge in folded.graph.edges}
    ends: dict[tuple[int, int], list[Slot]] = {}
    for edge in folded.graph.edges:
        ends.setdefault((edge.source, edge.target), []).append(edge.slot)
    for bunch, own in _bunches(folded, layout, lettering):
        others = [slot for slot in ends[source[bunch.slot], bunch.slot[0]] if slot not in own]
        centre = _place(bunch, own, others, layout, taken, lines)
        taken.add(_around(centre, bunch.size))
        yield from _written(bunch, centre, lettering)
    for i, tags in lettering.in_boxes.items():
        (x, y), (_, high) = layout.centres[i], layout.sizes[i]
        left = x - sum(lettering.pill_width(tag) + 3 for tag in tags) / 2
        for tag in tags:
            wide = lettering.pill_width(tag)
            centre = left + wide / 2, y - high / 2 + NAME_HEIGHT / 2 + 4
            yield Pill(tag.leaf, lettering.pill(tag), lettering.pill_tooltip(tag), centre, wide)
            left += wide + 3


def _bunches(folded: Folded, layout: Layout, lettering: Lettering) -> Iterator[tuple[Bunch, set[Slot]]]:
    """What is written on which edges. Edges that arrive at one point, or leave from one, bear the same names once."""
    together: dict[_End, list[Bunch]] = {}
    for bunch in lettering.bunches.values():
        points, tip = layout.curves[bunch.slot]
        x, y = tip if bunch.at_end else points[0]
        leaves = tuple(sorted(tag.leaf for tag in bunch.tags))
        together.setdefault((leaves, bunch.at_end, round(x), round(y)), []).append(bunch)
    for those in together.values():
        uses: dict[int, dict[int, None]] = {}
        for bunch in those:
            for tag in bunch.tags:
                uses.setdefault(tag.leaf, {}).update(dict.fromkeys(tag.uses))
        tags = [tag._replace(uses=tuple(uses[tag.leaf])) for tag in those[0].tags]
        yield lettering.bunch(those[0].slot, tags), {bunch.slot for bunch in those}


def _written(bunch: Bunch, centre: Point, lettering: Lettering) -> Iterator[Pill]:
    """The names of a bunch, in columns side by side."""
    (x, y), (wide, high) = centre, bunch.size
    left = x - wide / 2
    for column, extent in zip(bunch.columns, bunch.widths, strict=True):
        top = y + len(column) * high / (2 * max(map(len, bunch.columns)))
        for k, tag in enumerate(column):
            place = left + extent / 2, top - (k + 0.5) * (NAME_HEIGHT + 1)
            yield Pill(tag.leaf, lettering.pill(tag), lettering.pill_tooltip(tag), place, lettering.pill_width(tag))
        left += extent + 1


def _place(
    bunch: Bunch, own: Collection[Slot], others: Collection[Slot], layout: Layout, taken: _Taken, lines: _Lines
) -> Point:
    """The middle of a bunch: on its edge, or close beside it, near the end, where it hides nothing if that can be.

    Args:
        own: Its edges.
        others: What else leads from the same box to the same.
    """
    curve = layout.curves[bunch.slot]
    arrow = [curve.tip, curve.points[-1]]
    both = {*own, *others}
    best, place = math.inf, curve.tip
    for (x, y), level, far in _along(curve, bunch.at_end):
        if far >= best:
            break
        for beside in (0.0, 1.0, -1.0):
            wide, high = bunch.size
            away = beside * ((high if level else wide) / 2 + _MARGIN)
            centre = (x, y + away) if level else (x + away, y)
            area = _around(centre, (wide + 2 * _MARGIN, high + 2 * _MARGIN))
            cost = far + _HIDDEN * (taken.count(area) + any(_is_in(point, area) for point in arrow))
            if beside:
                cost += _BESIDE + _NEXT_TO * taken.count(_around(centre, (wide + _APART, high + _APART)))
            if cost < best and lines.others(area, own):
                together = others and not beside and not lines.others(area, both)
                cost += _TOGETHER if together else _HIDDEN
            if cost < best:
                best, place = cost, centre
    return place


def _along(curve: Curve, from_end: bool) -> Iterator[tuple[Point, bool, float]]:
    """Points along a curve from one of its ends, whether it is more level than steep there, and how far that is."""
    pieces = list(curve.pieces())
    if from_end:
        pieces = [(end, start) for start, end in reversed(pieces)]
    passed, due = 0.0, _STEP
    for (x, y), (u, v) in pieces:
        length = math.dist((x, y), (u, v))
        while due <= passed + length and due < _REACH:
            part = (due - passed) / length
            yield (x + (u - x) * part, y + (v - y) * part), abs(u - x) >= abs(v - y), due
            due += _STEP
        passed += length
    if due == _STEP:  # shorter than a step
        yield pieces[0][0], True, 0.0


def _around(centre: Point, size: tuple[float, float]) -> Box:
    (x, y), (wide, high) = centre, size
    return x - wide / 2, y - high / 2, x + wide / 2, y + high / 2


def _is_in(point: Point, area: Box) -> bool:
    left, lower, right, upper = area
    return left < point[0] < right and lower < point[1] < upper


class _Taken:
    """The areas where something is written, found by where they are."""

    def __init__(self) -> None:
        self._areas: dict[tuple[int, int], list[Box]] = {}

    def add(self, area: Box) -> None:
        """From now on it is not free."""
        for cell in _cells(area):
            self._areas.setdefault(cell, []).append(area)

    def count(self, area: Box) -> int:
        """How many of those added does it touch?"""
        a, b, c, d = area
        those = {one for cell in _cells(area) for one in self._areas.get(cell, ())}
        return sum(a < right and left < c and b < upper and lower < d for left, lower, right, upper in those)


class _Stretch(NamedTuple):
    """A part of a line, and whose edges' it is; None: of more than a few."""

    low: float
    high: float
    owners: frozenset[Slot] | None

    def is_others(self, own: Collection[Slot]) -> bool:
        """Does it belong to any but these?"""
        return len(own) <= _FEW if self.owners is None else not self.owners <= set(own)


class _Lines:
    """All edges' ways, found by where they are.

    Edges share lanes, many of them one that is as long as the picture: what is level or upright is kept by its height,
    as stretches that do not overlap; only the short pieces of bends are kept by the cells that they pass through.
    """

    def __init__(self, layout: Layout) -> None:
        self._bends: dict[tuple[int, int], list[tuple[Point, Point, Slot]]] = {}
        parts: tuple[dict[float, list[tuple[float, float, Slot]]], ...] = ({}, {})
        for slot, curve in layout.curves.items():
            for start, end in curve.pieces():
                axis = next((axis for axis in (0, 1) if abs(start[1 - axis] - end[1 - axis]) < _STRAIGHT), None)
                if axis is None:
                    self._add_bend(start, end, slot)
                else:
                    low, high = sorted((start[axis], end[axis]))
                    parts[axis].setdefault(round(start[1 - axis], 1), []).append((low, high, slot))
        self._straight = [{height: list(_stretches(those)) for height, those in part.items()} for part in parts]
        self._heights = [sorted(part) for part in parts]

    def _add_bend(self, start: Point, end: Point, slot: Slot) -> None:
        (x, y), (u, v) = start, end
        for cell in _cells((min(x, u), min(y, v), max(x, u), max(y, v))):
            self._bends.setdefault(cell, []).append((start, end, slot))

    def others(self, area: Box, own: Collection[Slot]) -> int:
        """How many stretches of other edges run through an area."""
        bends = {one for cell in _cells(area) for one in self._bends.get(cell, ()) if one[2] not in own}
        found = sum(_crosses(start, end, area) for start, end, _ in bends)
        for axis in (0, 1):
            low, high, heights = area[axis], area[axis + 2], self._heights[axis]
            for height in heights[bisect_right(heights, area[1 - axis]) : bisect_left(heights, area[3 - axis])]:
                those = self._straight[axis][height]
                k = bisect_right(those, low, key=lambda one: one.high)
                while k < len(those) and those[k].low < high:
                    found += those[k].is_others(own)
                    k += 1
        return found


def _stretches(parts: Sequence[tuple[float, float, Slot]]) -> Iterator[_Stretch]:
    """What lies in one line, as stretches that do not overlap, in order."""
    begins: dict[float, list[Slot]] = {}
    ends: dict[float, list[Slot]] = {}
    for low, high, slot in parts:
        begins.setdefault(low, []).append(slot)
        ends.setdefault(high, []).append(slot)
    there: dict[Slot, int] = {}  # and how many of its parts
    for low, high in pairwise(sorted(begins.keys() | ends.keys())):
        for slot in begins.get(low, ()):
            there[slot] = there.get(slot, 0) + 1
        for slot in ends.get(low, ()):
            there[slot] = there.get(slot, 0) - 1
            if not there[slot]:
                del there[slot]
        if there:
            yield _Stretch(low, high, frozenset(there) if len(there) <= _FEW else None)


def _cells(area: Box) -> Iterator[tuple[int, int]]:
    left, lower, right, upper = (int(part // _CELL) for part in area)
    return ((i, j) for i in range(left, right + 1) for j in range(lower, upper + 1))


def _crosses(start: Point, end: Point, area: Box) -> bool:
    """Has a straight line a point in common with a box? (Liang and Barsky, "A New Concept ... for Line Clipping")."""
    first, last = 0.0, 1.0
    for axis in (0, 1):
        low, high, begin, way = area[axis], area[axis + 2], start[axis], end[axis] - start[axis]
        if way == 0.0:
            if not low < begin < high:
                return False
        else:
            near, far = sorted(((low - begin) / way, (high - begin) / way))
            first, last = max(first, near), min(last, far)
    return first < last


def _taken(layout: Layout, marks: Sequence[tuple[Box, Words]]) -> _Taken:
    """Boxes, and all that is written."""
    taken = _Taken()
    for i, centre in layout.centres.items():
        taken.add(_around(centre, layout.sizes[i]))
    for column in layout.columns:
        taken.add(_around(column.middle, (title_width(column.steps), SIZE)))
    notes = [Words(step_words(band.steps), band.middle) for band in layout.bands]
    for area, words in marks:
        taken.add(area)
        notes.append(words)
    for text, place in (*notes, *layout.branch_names.values()):
        taken.add(_around(place, (width(visible(text), NOTE_SIZE), NOTE_SIZE)))
    return taken
