"""The ways of edges from block to block.

Neighbouring blocks are connected through the gap between them. An edge that goes further, or back, climbs in the gap
beside its source to a lane above all blocks, and comes down in the gap beside its target. Edges that share their source
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

Net: TypeAlias = tuple[str, int]  # all edges "from" a source, or "into" a target, that go by one lane
Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class Lanes:
    """Who runs where; gap number i is to the left of block i.

    Attributes:
        net_of: For each edge that needs a lane, in whose it runs.
        lane: The height of each net's lane, counted from below.
        track: Where in each gap a net climbs, counted from the left.
        most: Tracks in the fullest gap.
    """

    net_of: dict[Edge, Net]
    lane: dict[Net, int]
    track: dict[tuple[Net, int], int]
    most: int


def assign_lanes(edges: Sequence[Edge], block_of: Mapping[int, int]) -> Lanes:
    """Give a lane to each edge between blocks that are not neighbours."""
    far = [edge for edge in edges if abs(block_of[edge.target] - block_of[edge.source]) > 1]
    near = [edge for edge in edges if block_of[edge.target] - block_of[edge.source] == 1]
    targets: dict[int, set[int]] = {}
    sources: dict[int, set[int]] = {}
    for edge in far:
        targets.setdefault(edge.source, set()).add(block_of[edge.target])
        sources.setdefault(edge.target, set()).add(block_of[edge.source])
    net_of: dict[Edge, Net] = {}
    gaps: dict[Net, set[int]] = {}
    for edge in far:
        gathered = len(sources[edge.target]) > len(targets[edge.source])
        net = net_of[edge] = ("into", edge.target) if gathered else ("from", edge.source)
        gaps.setdefault(net, set()).update((block_of[edge.source] + 1, block_of[edge.target]))
    for edge in near:  # the last of many that are gathered goes with the others
        if (net := ("into", edge.target)) in gaps:
            net_of[edge] = net
            gaps[net].add(block_of[edge.target])
    track: dict[tuple[Net, int], int] = {}
    used: dict[int, int] = {}
    for net, where in gaps.items():
        for gap in sorted(where):
            track[net, gap] = used.get(gap, 0)
            used[gap] = used.get(gap, 0) + 1
    return Lanes(
        net_of,
        stacked({net: (min(where), max(where)) for net, where in gaps.items()}),
        track,
        max(used.values(), default=0),
    )


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


class Standing(NamedTuple):
    """A vertex as lines from other blocks find it.

    Attributes:
        block: Index of its block, counted from the left.
        left, right: The block's outer edges.
        first, last: Is nothing beside it to the left; to the right?
        below, above: The height of the free space under and over its row.
    """

    centre: Point
    size: tuple[float, float]
    block: int
    left: float
    right: float
    first: bool
    last: bool
    below: float
    above: float


def connect(
    source: Standing, target: Standing, count: int, net: Net | None, place: Callable[[Net, int], Point]
) -> Curve:
    """The way of one edge between blocks.

    Args:
        count: How many edges have arrived at this target from this side before.
        net: Whose lane it takes; None: it goes to a neighbour.
        place: Where a net's track in a gap meets its lane.
    """
    side = 1 if net is not None or source.block < target.block else -1
    way = leaving(source, side)
    entry, tip = arriving(target, -side, count)
    if net is None:
        return Curve(joined(rounded(way), across(way[-1], entry[0]), rounded(entry)), tip)
    (x, y), (u, _) = place(net, source.block + 1), place(net, target.block)
    over = [] if source.block + 1 == target.block else [(x, y), (u, y)]
    return Curve(rounded([*way[:-1], (x, way[-1][1]), *over, (u, entry[0][1]), *entry[1:]]), tip)


def leaving(vertex: Standing, side: int) -> list[Point]:
    """Corners of the way from a vertex to the edge of its block, on the left (-1) or right (1)."""
    (x, y), (w, h) = vertex.centre, vertex.size
    outer = vertex.right if side > 0 else vertex.left
    if vertex.last if side > 0 else vertex.first:
        return [(x + side * w / 2, y), (outer, y)]
    start = x + side * w / 4, y + h / 2
    return [start, (start[0], vertex.above), (outer, vertex.above)]


def arriving(vertex: Standing, side: int, count: int) -> tuple[list[Point], Point]:
    """Corners of the way into a vertex from the edge of its block, and its tip; ``count`` others came before."""
    (x, y), (w, h) = vertex.centre, vertex.size
    outer = vertex.right if side > 0 else vertex.left
    aside = 5.0 * ((count % 3 + 1) // 2) * (-1) ** count  # 0, -5, 5: that several arrows can be told apart
    if vertex.last if side > 0 else vertex.first:
        tip = x + side * w / 2, y + aside
        return [(outer, tip[1]), (tip[0] + side * ARROW, tip[1])], tip
    tip = x + side * w / 4 + aside, y - h / 2
    return [(outer, vertex.below), (tip[0], vertex.below), (tip[0], tip[1] - ARROW)], tip
