"""The ways of edges from block to block that come in from the side.

Neighbouring columns are connected through the gap between them. An edge that goes further, or back, climbs in the gap
beside its source to a lane above its row, and comes down in the gap beside its target. Edges that share their source
share a lane, and so do edges that only share their target (the ``stack`` of all outputs); lanes whose stretches do not
touch share a height. Every edge has a constant number of segments, so the whole is linear in their number.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias, TypeVar

from .curves import ARROW, Curve, Point, across, joined, rounded
from .model import Edge

Net: TypeAlias = tuple[str, int]  # all edges "from" a source, or "into" a target, and as late, that go by one lane
Key = TypeVar("Key")
_ASIDE = 9.0  # between the ends of lines on one side of a box: as much as a weight's name on one of them needs
_CORNER = 4.0  # where none ends


class Ends(NamedTuple):
    """Where lines reach a block: the gaps to its left and right (gap i is left of column i), and its row."""

    left: int
    right: int
    row: int


@dataclass(frozen=True, slots=True)
class Lanes:
    """Who runs where.

    Attributes:
        net_of: For each edge's slot, if it needs a lane, in whose it runs.
        row: For each net, above which row its lane is.
        lane: The height of each net's lane, counted from below.
        track: Where in each gap a net climbs, counted from the left.
        most: Tracks in the fullest gap.
        above: How many lanes there are above each row.
    """

    net_of: dict[tuple[int, int], Net]
    row: dict[Net, int]
    lane: dict[Net, int]
    track: dict[tuple[Net, int], int]
    most: int
    above: dict[int, int]


def neighbours(source: Ends, target: Ends) -> int:
    """1 if the target is right of the source, -1 if it is left of it, with but a gap between them; otherwise 0."""
    if source.right == target.left:
        return 1
    return -1 if source.left == target.right and source.row == target.row else 0


def assign_lanes(
    edges: Sequence[Edge], gathering: Sequence[Edge], trunks: Mapping[int, int], ends: Mapping[int, Ends]
) -> Lanes:
    """Give a lane to each edge between blocks that are not neighbours.

    Args:
        edges: Those that come in from the side.
        gathering: Those into bands, from below.
        trunks: The sources of lines that climb from row to row, and in which gap.
    """
    nearness = {edge.slot: 0 if edge.delay else neighbours(ends[edge.source], ends[edge.target]) for edge in edges}
    far = [edge for edge in edges if not nearness[edge.slot]]
    targets: dict[tuple[int, tuple[int, int]], set[Ends]] = {}
    sources: dict[tuple[int, tuple[int, int]], set[Ends]] = {}
    for edge in far:
        targets.setdefault((edge.source, edge.later), set()).add(ends[edge.target])
        sources.setdefault((edge.target, edge.later), set()).add(ends[edge.source])
    net_of: dict[tuple[int, int], Net] = {}
    beside: dict[tuple[int, int, str], int] = {}
    gaps: dict[Net, set[int]] = {}
    row: dict[Net, int] = {}
    for edge in far:
        into = len(sources[edge.target, edge.later]) > len(targets[edge.source, edge.later])
        late = ", {} to {} steps later".format(*edge.later) if edge.delay else ""
        if edge.folded:  # several values from one box to another are as many lines
            others = beside[edge.source, edge.target, late] = beside.get((edge.source, edge.target, late), -1) + 1
            late += f", beside {others}" if others else ""
        net = net_of[edge.slot] = (f"into{late}", edge.target) if into else (f"from{late}", edge.source)
        row[net] = ends[edge.target if into else edge.source].row
        gaps.setdefault(net, set()).update((ends[edge.source].right, ends[edge.target].left))
    for edge in edges:  # the last of many that are gathered goes with the others
        if nearness[edge.slot] > 0 and (net := ("into", edge.target)) in gaps:
            net_of[edge.slot] = net
            gaps[net].add(ends[edge.target].left)
    for edge in gathering:
        net = net_of[edge.slot] = ("into", edge.target)
        row[net] = ends[edge.target].row - 1
        gaps.setdefault(net, set()).add(ends[edge.source].right)
    for source, gap in trunks.items():
        gaps["line", source] = {gap}
    track: dict[tuple[Net, int], int] = {}
    used: dict[int, int] = {}
    for net, where in gaps.items():
        for gap in sorted(where):
            track[net, gap] = used.get(gap, 0)
            used[gap] = used.get(gap, 0) + 1
    for edge in gathering:  # their lane goes as far as the band may
        target = ends[edge.target]
        gaps["into", edge.target].update((target.left, target.right))
    stretches: dict[int, dict[Net, tuple[int, int]]] = {}
    for net, where in gaps.items():
        if net in row:
            stretches.setdefault(row[net], {})[net] = min(where), max(where)
    lane: dict[Net, int] = {}
    above: dict[int, int] = {}
    for height, those in stretches.items():
        lanes = stacked(those)
        lane |= lanes
        above[height] = max(lanes.values()) + 1
    return Lanes(net_of, row, lane, track, max(used.values(), default=0), above)


def stacked(stretches: Mapping[Key, tuple[int, int]]) -> dict[Key, int]:
    """For each stretch the lowest number that no other one has that touches it."""
    number: dict[Key, int] = {}
    free: list[int] = []
    busy: list[tuple[int, int]] = []  # up to where, which number
    for key, (start, end) in sorted(stretches.items(), key=lambda item: item[1]):
        while busy and busy[0][0] < start:
            heapq.heappush(free, heapq.heappop(busy)[1])
        number[key] = heapq.heappop(free) if free else len(busy)
        heapq.heappush(busy, (end, number[key]))
    return number


def side_for(count: int) -> float:
    """How long a box's side must be for so many lines to end there."""
    return 2 * (_ASIDE * (count // 2) + _CORNER)


class Standing(NamedTuple):
    """A vertex as lines from other blocks find it.

    Attributes:
        ends: Where lines reach its block.
        left, right: The outer edges of its block, or of the column.
        first, last: Is nothing beside it to the left; to the right?
        below, above: The height of the free space under and over its row.
    """

    centre: Point
    size: tuple[float, float]
    ends: Ends
    left: float
    right: float
    first: bool
    last: bool
    below: float
    above: float


def connect(
    source: Standing,
    target: Standing,
    count: int,
    net: Net | None,
    place: Callable[[Net, int], Point],
    met: bool = False,
) -> Curve:
    """The way of one edge between blocks.

    Args:
        met: Does another arrive where this one leaves?
        count: How many edges have arrived at this target from this side before.
        net: Whose lane it takes; None: it goes to a neighbour.
        place: Where a net's track in a gap meets its lane.
    """
    side = 1 if net is not None else neighbours(source.ends, target.ends)
    way = leaving(source, side, met)
    entry, tip = arriving(target, -side, count)
    if net is None:
        return Curve(joined(rounded(way), across(way[-1], entry[0]), rounded(entry)), tip)
    (x, y), (u, _) = place(net, source.ends.right), place(net, target.ends.left)
    over = [] if source.ends.right == target.ends.left else [(x, y), (u, y)]
    return Curve(rounded([*way[:-1], (x, way[-1][1]), *over, (u, entry[0][1]), *entry[1:]]), tip)


def gather(source: Standing, tap: Point, net: Net, place: Callable[[Net, int], Point], met: bool) -> list[Point]:
    """The way from a step to the tap of a band above it."""
    way = leaving(source, 1, met)
    x, y = place(net, source.ends.right)
    return rounded([*way[:-1], (x, way[-1][1]), (x, y), (tap[0], y), tap])


def leaving(vertex: Standing, side: int, met: bool) -> list[Point]:
    """Corners of the way from a vertex to the edge of its block, on the left (-1) or right (1), above what it meets."""
    (x, y), (w, h) = vertex.centre, vertex.size
    outer = vertex.right if side > 0 else vertex.left
    if vertex.last if side > 0 else vertex.first:
        y += min(_ASIDE * 2, h / 2 - 4) if met else 0.0
        return [(x + side * w / 2, y), (outer, y)]
    start = x + side * w / 4, y + h / 2
    return [start, (start[0], vertex.above), (outer, vertex.above)]


def arriving(vertex: Standing, side: int, count: int) -> tuple[list[Point], Point]:
    """Corners of the way into a vertex from the edge of its block, and its tip; ``count`` others came before."""
    (x, y), (w, h) = vertex.centre, vertex.size
    outer = vertex.right if side > 0 else vertex.left
    level = vertex.last if side > 0 else vertex.first
    count %= 1 + 2 * int(((h / 2 if level else w / 4) - _CORNER) / _ASIDE)  # as many as there is room for
    aside = _ASIDE * ((count + 1) // 2) * (-1) ** count  # 0, -9, 9, ...: that several arrows can be told apart
    if level:
        tip = x + side * w / 2, y + aside
        return [(outer, tip[1]), (tip[0] + side * ARROW, tip[1])], tip
    tip = x + side * w / 4 + aside, y - h / 2
    return [(outer, vertex.below), (tip[0], vertex.below), (tip[0], tip[1] - ARROW)], tip
