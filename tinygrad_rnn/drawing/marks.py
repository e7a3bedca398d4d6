"""What is written over a picture, where there is room: weights on edges, delays, the legend of gradients."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from .block_layout import Box
from .colours import NO_GRADIENT, GradientScale, Paint
from .curves import Point
from .fold import Folded
from .labels import NOTE_SIZE, width
from .layout import Layout
from .model import Graph
from .words import Lettering

_HIGH = 12.0  # of a weight's name


class Words(NamedTuple):
    """A line of text, and its middle."""

    text: str
    place: Point


class Pill(NamedTuple):
    """A weight's name on its colour."""

    leaf: int
    text: str
    tooltip: list[str]
    centre: Point
    width: float
    height: float = _HIGH


def pills(folded: Folded, layout: Layout, lettering: Lettering) -> Iterator[Pill]:
    """The weights' names: beside the end of an edge, one under the other; or in a row at the foot of a box."""
    written: dict[tuple[int, int], int] = {}
    seen: dict[tuple[int, int], list[Pill]] = {}  # by neighbourhood
    for tag in folded.tags:
        if tag.slot is None:
            continue
        count = written.setdefault(tag.slot, 0)
        written[tag.slot] += 1
        text, wide = lettering.pill(tag), lettering.pill_width(tag)
        points, tip = layout.curves[tag.slot]
        start, end = (points[-min(4, len(points))], tip) if tag.at_end else (points[0], points[min(3, len(points) - 1)])
        if abs(start[0] - end[0]) >= abs(start[1] - end[1]):
            (x, y), away = (end, -1.0) if tag.at_end else (start, 1.0)
            away *= math.copysign(1.0, end[0] - start[0])
            centre = x + away * (wide / 2 + 9), y + (_HIGH / 2 + 3) + count * (_HIGH + 1)
        else:
            side = -1.0 if points[0][0] < tip[0] - 5 else 1.0
            x, y = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
            centre = x + side * (wide / 2 + 4), y - count * (_HIGH + 1)
        pill = Pill(tag.leaf, text, lettering.pill_tooltip(tag), centre, wide)
        near = _near(pill, seen)
        if any(other.leaf == pill.leaf and math.dist(other.centre, centre) < 1.5 * _HIGH for other in near):
            continue  # of two edges that arrive together: written once
        while any(_overlap(pill, other) for other in near):
            pill = pill._replace(centre=(pill.centre[0], pill.centre[1] + _HIGH + 1))
        seen.setdefault(_cell(pill), []).append(pill)
        yield pill
    for i, tags in lettering.in_boxes.items():
        (x, y), (_, high) = layout.centres[i], layout.sizes[i]
        left = x - sum(lettering.pill_width(tag) + 3 for tag in tags) / 2
        for tag in tags:
            wide = lettering.pill_width(tag)
            centre = left + wide / 2, y - high / 2 + _HIGH / 2 + 4
            yield Pill(tag.leaf, lettering.pill(tag), lettering.pill_tooltip(tag), centre, wide)
            left += wide + 3


_CELL = 200.0  # longer than any name


def _cell(pill: Pill) -> tuple[int, int]:
    return int(pill.centre[0] // _CELL), int(pill.centre[1] // _CELL)


def _near(pill: Pill, seen: dict[tuple[int, int], list[Pill]]) -> list[Pill]:
    x, y = _cell(pill)
    return [other for i in (-1, 0, 1) for j in (-1, 0, 1) for other in seen.get((x + i, y + j), ())]


def _overlap(a: Pill, b: Pill) -> bool:
    wide, high = (a.width + b.width) / 2, (a.height + b.height) / 2
    return abs(a.centre[0] - b.centre[0]) < wide and abs(a.centre[1] - b.centre[1]) < high


def delays(graph: Graph, layout: Layout) -> Iterator[tuple[Box, Words]]:
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
        text = f"t − {edge.delay}" if edge.delay > 0 else f"t + {-edge.delay}"
        level = abs(a[0] - b[0]) >= abs(a[1] - b[1])
        place = (x, y + 9) if level else (x + 7 + width(text, NOTE_SIZE) / 2, y)
        yield (x - 3.5, y - 3.5, x + 3.5, y + 3.5), Words(text, place)


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
        yield (x, y, x + wide, y + 9), scale.paint(10.0**power), Words(f"1e{power}", (x + wide / 2, y - 7))
        last = x + wide
    yield (last + 24, y, last + 58, y + 9), NO_GRADIENT, Words("none", (last + 41, y - 7))
    title = "2-norm of the gradient"
    nowhere = left + width(title, NOTE_SIZE) / 2, y + 17
    yield (left, y, left, y), scale.paint(None), Words(title, nowhere)
