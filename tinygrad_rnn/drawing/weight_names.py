"""Where weights' names stand that are written on edges, or at the foot of boxes: where there is room."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

from .block_layout import Box, Slot
from .curves import Curve, Point, at
from .fold import Folded, Tag
from .labels import SIZE, width
from .layout import Layout
from .words import Lettering, step_words

_HIGH = 12.0  # of a name
_TRIED = 6  # places in each direction
_CELL = 100.0  # in which things are looked for
_STRAIGHT = 0.01  # how much a line may rise that is level

End: TypeAlias = tuple[int, Point | bool]  # a box, and where an edge ends: on its left or not, or at which place


class Pill(NamedTuple):
    """A weight's name on its colour."""

    leaf: int
    text: str
    tooltip: list[str]
    centre: Point
    width: float
    height: float = _HIGH

    def at(self, centre: Point) -> Pill:
        """The same in another place."""
        return self._replace(centre=centre)

    @property
    def area(self) -> Box:
        """Left, lower, right, upper."""
        (x, y), wide, high = self.centre, self.width, self.height
        return x - wide / 2, y - high / 2, x + wide / 2, y + high / 2


class _Place(NamedTuple):
    """Where a name may stand, beside which point of its edge, and how many others would fit between."""

    centre: Point
    beside: Point
    between: int


def pills(folded: Folded, layout: Layout, lettering: Lettering) -> Iterator[Pill]:
    """The weights' names: beside the end of an edge, clear of other lines if that can be; or at the foot of a box."""
    if not folded.tags:
        return
    taken, lines = _taken(layout), _Lines(layout)
    written: Counter[Slot] = Counter()
    for slot, tag, end in _at_edges(folded, layout):
        text, wide = lettering.pill(tag), lettering.pill_width(tag)
        pill = Pill(tag.leaf, text, lettering.pill_tooltip(tag), (0.0, 0.0), wide)
        places = list(_places(layout.curves[slot], tag.at_end, isinstance(end[1], bool), wide))
        if slot in layout.rooms:
            places = [*_in_room(written[slot], slot, layout, lettering, wide), *places]
        written[slot] += 1
        free = [place for place in places if taken.is_free(pill.at(place.centre).area)] or places
        pill = pill.at(lines.clearest(pill, free, slot))
        taken.add(pill.area)
        yield pill
    for i, tags in lettering.in_boxes.items():
        (x, y), (_, high) = layout.centres[i], layout.sizes[i]
        left = x - sum(lettering.pill_width(tag) + 3 for tag in tags) / 2
        for tag in tags:
            wide = lettering.pill_width(tag)
            centre = left + wide / 2, y - high / 2 + _HIGH / 2 + 4
            yield Pill(tag.leaf, lettering.pill(tag), lettering.pill_tooltip(tag), centre, wide)
            left += wide + 3


def _at_edges(folded: Folded, layout: Layout) -> Iterator[tuple[Slot, Tag, End]]:
    """What is written on which edges; a weight on edges that arrive together, or leave together, is written once."""
    sources = {edge.slot: edge.source for edge in folded.graph.edges}
    together: dict[tuple[int, bool, End], list[tuple[Slot, Tag]]] = {}
    for tag in folded.tags:
        if tag.slot is not None:
            curve = layout.curves[tag.slot]
            box, point = (tag.slot[0], curve.tip) if tag.at_end else (sources[tag.slot], curve.points[0])
            together.setdefault((tag.leaf, tag.at_end, _end(box, point, layout)), []).append((tag.slot, tag))
    for (_, _, end), those in together.items():
        slot, tag = those[0]
        yield slot, tag._replace(uses=tuple(dict.fromkeys(use for _, one in those for use in one.uses))), end


def _end(box: int, point: Point, layout: Layout) -> End:
    (x, y), (wide, high) = layout.centres[box], layout.sizes[box]
    beside = abs(point[0] - x) / wide > abs(point[1] - y) / high
    return box, point[0] < x if beside else point


def _places(curve: Curve, at_end: bool, level: bool, wide: float) -> Iterator[_Place]:
    """Where a weight's name may stand at an end of its edge, the best place first.

    Args:
        level: Does the edge end there at the side of a box?
    """
    points, tip = curve
    start, end = (points[-4], tip) if at_end else (points[0], points[3])
    if level:
        (x, y), away = (end, -1.0) if at_end else (start, 1.0)
        x += away * math.copysign(1.0, end[0] - start[0]) * (wide / 2 + 9)
        for k in range(_TRIED):
            for way in (1.0, -1.0):
                yield _Place((x, y + way * (_HIGH / 2 + 3 + k * (_HIGH + 1))), (x, y), k)
    else:
        side = -1.0 if points[0][0] < tip[0] - 5 else 1.0
        a, b, c, d = points[-4:] if at_end else points[:4]
        x, y = at(a, b, c, d, 0.5)
        for k in range(_TRIED):
            for way in (side, -side):
                yield _Place((x + way * (wide / 2 + 4 + k * (wide + 3)), y), (x, y), k)
        yield from (_Place((x + side * (wide / 2 + 4), y - k * (_HIGH + 1)), (x, y), k) for k in range(1, _TRIED))


def _in_room(k: int, slot: Slot, layout: Layout, lettering: Lettering, wide: float) -> Iterator[_Place]:
    """Where a weight's name may stand, as the k-th of its edge, in the room kept for these: close to the edge."""
    (x, y), step, others = layout.rooms[slot], _HIGH + 1, lettering.on_edges[slot] - 1
    top = y + others * step / 2
    if layout.turned:
        axis, low, high = 1, x - wide / 2, x + wide / 2
    else:
        axis, low, high = 0, top - others * step - _HIGH / 2, top + _HIGH / 2
    passed: list[float] = []  # where the edge runs beside all these names
    for start, end in layout.curves[slot].pieces():
        (a, u), (b, v) = sorted([(start[1 - axis], start[axis]), (end[1 - axis], end[axis])])
        if a < high and low < b:
            passed += [u + (v - u) * (min(max(height, a), b) - a) / (b - a) for height in (low, high)]
    if passed and layout.turned:
        near, way = (max(passed), 1.0) if y > passed[0] else (min(passed), -1.0)
        yield _Place((x, near + way * (_HIGH / 2 + 4 + k * step)), (x, near), -1)
    elif passed:
        near, way = (max(passed), 1.0) if x > passed[0] else (min(passed), -1.0)
        yield _Place((near + way * (wide / 2 + 4), top - k * step), (near, top - k * step), -1)
    yield _Place((x, top - k * step), (x, y), -1)


def _hull(area: Box, point: Point) -> Box:
    """From a name to the point beside which it stands: what else runs there, one might take the name for that one's."""
    (left, lower, right, upper), (x, y) = area, point
    if left <= x <= right:
        return left, min(lower, y), right, max(upper, y)
    return min(left, x), lower, max(right, x), upper


class _Taken:
    """The areas where something is written, found by where they are."""

    def __init__(self) -> None:
        self._areas: dict[tuple[int, int], list[Box]] = {}

    def add(self, area: Box) -> None:
        """From now on it is not free."""
        for cell in _cells(area):
            self._areas.setdefault(cell, []).append(area)

    def is_free(self, area: Box) -> bool:
        """Does it touch none of those added?"""
        a, b, c, d = area
        return not any(
            a < right and left < c and b < upper and lower < d
            for cell in _cells(area)
            for left, lower, right, upper in self._areas.get(cell, ())
        )


class _Stretch(NamedTuple):
    start: Point
    end: Point
    owners: set[Slot]


class _Lines:
    """All edges' ways, as straight stretches, found by where they are.

    Edges share lanes, many of them one that is as long as the picture: what lies in one line is one stretch.
    """

    def __init__(self, layout: Layout) -> None:
        self._stretches: dict[tuple[int, int], list[_Stretch]] = {}
        in_line: dict[tuple[int, float], list[tuple[float, float, Slot]]] = {}  # of each axis and height there
        for slot, curve in layout.curves.items():
            for start, end in curve.pieces():
                self._sort(start, end, slot, in_line)
        for (axis, height), parts in in_line.items():
            for low, high, owners in _united(parts):
                start, end = ((low, height), (high, height)) if axis == 0 else ((height, low), (height, high))
                self._add(start, end, owners)

    def _sort(
        self, start: Point, end: Point, slot: Slot, in_line: dict[tuple[int, float], list[tuple[float, float, Slot]]]
    ) -> None:
        for axis in (0, 1):
            if abs(start[1 - axis] - end[1 - axis]) < _STRAIGHT:
                low, high = sorted((start[axis], end[axis]))
                in_line.setdefault((axis, round(start[1 - axis], 1)), []).append((low, high, slot))
                return
        self._add(start, end, {slot})

    def _add(self, start: Point, end: Point, owners: set[Slot]) -> None:
        (x, y), (u, v) = start, end
        count = 1 + int(math.dist(start, end) / _CELL)
        for k in range(count):
            one = x + (u - x) * k / count, y + (v - y) * k / count
            other = x + (u - x) * (k + 1) / count, y + (v - y) * (k + 1) / count
            for cell in _cells(
                (min(one[0], other[0]), min(one[1], other[1]), max(one[0], other[0]), max(one[1], other[1]))
            ):
                self._stretches.setdefault(cell, []).append(_Stretch(one, other, owners))

    def clearest(self, pill: Pill, places: Sequence[_Place], own: Slot) -> Point:
        """The nearest place where no other edge runs under a name, nor between it and its own; if none, a near one."""

        def crossed(place: _Place) -> tuple[int, int, int]:
            area = pill.at(place.centre).area
            others, between = self._crossing(area, own), self._crossing(_hull(area, place.beside), own)
            return others, between, self._crossing(area) - others

        found = {place: crossed(place) for place in places}
        clear = [place for place in places if found[place][:2] == (0, 0)]
        if clear:
            return min(clear, key=lambda place: (place.between, found[place])).centre
        return min(places[:4], key=lambda place: found[place]).centre

    def _crossing(self, area: Box, but: Slot | None = None) -> int:
        """How many stretches of edges run through an area, but those of one edge."""
        those = (one for cell in _cells(area) for one in self._stretches.get(cell, ()))
        return sum(one.owners != {but} and _crosses(one.start, one.end, area) for one in those)


def _united(parts: list[tuple[float, float, Slot]]) -> Iterator[tuple[float, float, set[Slot]]]:
    """Stretches of one line, those that touch put together; of more than two that own one, two."""
    united: tuple[float, float, set[Slot]] | None = None
    for low, high, slot in sorted(parts):
        if united is None or low > united[1]:
            if united is not None:
                yield united
            united = low, high, {slot}
        else:
            owners = united[2] | {slot} if len(united[2]) < 2 else united[2]
            united = united[0], max(united[1], high), owners
    if united is not None:
        yield united


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
