"""Where everything in one block stands: found by Graphviz's ``dot``, and taken by all copies of a step.

Everything is laid out upward: inputs below, results above, as the lecture draws a step. What comes in from below, from
a shared leaf for example, does so at a *tap* in the lower edge; what goes out above does so at an *exit* in the upper.

``dot`` takes longer than linear time, and never ends on a few hundred operations that all use one weight. Where a block
is too much for it, or no Graphviz is installed, a plainer layout serves: rows by depth, in order of appearance.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

import graphviz

from .curves import ARROW, Curve, Point, joined, rounded, straight, upward
from .labels import NOTE_SIZE, width
from .model import Edge
from .renderers import run
from .routes import stacked
from .words import edge_words

Slot: TypeAlias = tuple[int, int]  # of an edge: its target, and which argument of it
Size: TypeAlias = tuple[float, float]
Box: TypeAlias = tuple[float, float, float, float]  # left, lower, right, upper

GAP = 16.0  # between neighbours
ROW_GAP = 24.0  # between rows
TRACK = 9.0  # between lines that run side by side
GROUP_MARGIN = 14.0  # room for the group's name
_MOST = 1500  # rows crossed by all edges together that dot is given: well under a second
_ROUNDS = 2  # after the first run; one that puts taps below where their users stood, one below where these went then


@dataclass(slots=True)
class Group:
    """Operations of one module within a block.

    Attributes:
        level: How many segments of the module path they have in common.
        members: Operations, those of inner groups included.
    """

    level: int
    members: list[int]
    inner: list[Group]


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be laid out: vertices, taps, edges between them, and groups.

    Attributes:
        taps: Sources of edges, but no vertices of the block.
        exits: Vertices from which a line goes out above.
        room: How wide and how high what is written on edges is at most.
        sides: Vertices that had better stand at the left (< 0) or right (> 0) end of their row: the state comes in from
            the left, and goes out to the right.
    """

    sizes: Mapping[int, Size]
    taps: Sequence[int]
    edges: Sequence[Edge]
    groups: Sequence[Group]
    sides: Mapping[int, int]
    exits: Sequence[int] = ()
    room: Size = (0.0, 0.0)

    @property
    def gap(self) -> float:
        """Between neighbours: edges of two that bear names keep these apart."""
        return max(GAP, self.room[0] - 24.0)

    @property
    def row_gap(self) -> float:
        """Between rows: of an edge that bears a name a part is to be seen."""
        return ROW_GAP + self.room[1]


@dataclass(slots=True)
class BlockLayout:
    """Where things are, with the lower left corner at (0, 0).

    Attributes:
        centres: Of vertices.
        taps: The places in the lowest row where lines come in.
        exits: For each vertex from which a line goes out above, the way there.
        curves: Of edges within the block; from the tap on where the source is one.
        notes: Where the words on an edge stand.
        boxes: Around each group, outer ones first.
    """

    centres: dict[int, Point]
    taps: dict[int, Point]
    exits: dict[int, list[Point]]
    curves: dict[Slot, Curve]
    notes: dict[Slot, Point]
    boxes: list[tuple[Group, Box]]
    width: float
    height: float


def lay_out(request: Request, plain: bool = False) -> BlockLayout:
    """Find a place for everything in a block; ``plain``: without Graphviz."""
    if not request.edges and not request.groups:
        return _with_exits(_stacked(request), request)
    depths = _depths(request)
    crossed = sum(depths[edge.target] - depths.get(edge.source, -1) for edge in request.edges)
    if not plain and crossed + len(request.sizes) <= _MOST:
        try:
            layout = _by_graphviz(request, None)
            for _ in range(_ROUNDS if request.taps or not request.sides.keys().isdisjoint(request.sizes) else 0):
                layout = _by_graphviz(request, _order(layout, request))
            return _with_exits(layout, request)
        except RuntimeError:  # there is none, or it fails on this block
            pass
    return _with_exits(_plain(request, depths), request)


def _with_exits(layout: BlockLayout, request: Request) -> BlockLayout:
    """Add the ways out above: straight up from the highest row, from others by a lane on the right."""
    if not request.exits:
        return layout
    around = surroundings(layout, request.sizes)
    highest = max(round(y) for _, y in layout.centres.values())
    layout.height += ROW_GAP
    for vertex in request.exits:
        (x, y), (_, height) = layout.centres[vertex], request.sizes[vertex]
        way = [(x, y + height / 2)]
        if round(y) < highest:
            layout.width += TRACK
            way += [(x, around[vertex].above), (layout.width, around[vertex].above)]
        layout.exits[vertex] = rounded([*way, (way[-1][0], layout.height)], 5.0)
    return layout


def _depths(request: Request) -> dict[int, int]:
    """The row of each vertex, counted from below: above all it comes from, and close under what uses it."""
    depths: dict[int, int] = {}
    sources: dict[int, list[int]] = {}
    users: dict[int, list[int]] = {}
    for edge in request.edges:
        sources.setdefault(edge.target, []).append(edge.source)
        users.setdefault(edge.source, []).append(edge.target)
    for vertex in sorted(request.sizes):  # in order of creation: sources come first
        depths[vertex] = 1 + max((depths.get(source, -1) for source in sources.get(vertex, ())), default=-1)
    for vertex in sorted(request.sizes, reverse=True):
        if vertex in users:
            depths[vertex] = min(depths[user] for user in users[vertex]) - 1
    return depths


class Surroundings(NamedTuple):
    """What is next to a vertex: nothing to the left or right of it; the middle of the space under and over its row."""

    first: bool
    last: bool
    below: float
    above: float


def surroundings(layout: BlockLayout, sizes: Mapping[int, Size]) -> dict[int, Surroundings]:
    """What is next to each vertex of a block."""
    rows = _rows(layout)
    heights = sorted(rows)
    halves = [max(sizes[v][1] for v in rows[y]) / 2 for y in heights]
    found: dict[int, Surroundings] = {}
    for i, y in enumerate(heights):
        below = (heights[i - 1] + halves[i - 1] + y - halves[i]) / 2 if i else y - halves[i] - ROW_GAP / 2
        top = i + 1 == len(heights)
        above = y + halves[i] + ROW_GAP / 2 if top else (heights[i + 1] - halves[i + 1] + y + halves[i]) / 2
        for vertex in rows[y]:
            found[vertex] = Surroundings(vertex == rows[y][0], vertex == rows[y][-1], below, above)
    return found


def _rows(layout: BlockLayout) -> dict[int, list[int]]:
    """The vertices at each height, from left to right."""
    rows: dict[int, list[int]] = {}
    for vertex in sorted(layout.centres, key=lambda vertex: layout.centres[vertex]):
        rows.setdefault(round(layout.centres[vertex][1]), []).append(vertex)
    return rows


# ------------------------------------------------------------------------------------------------- by Graphviz


class _Order(NamedTuple):
    """What one run found, for the next: the row of each vertex, and rows in the order wished for."""

    rows: list[list[int]]
    row_of: dict[int, int]


def _by_graphviz(request: Request, order: _Order | None) -> BlockLayout:
    return _read(json.loads(run(_source(request, order), "json0", placed=False)), request)


def _order(layout: BlockLayout, request: Request) -> _Order:
    """Rows as they are, but what the state comes into to the left, what it leaves from to the right; taps below."""
    heights = sorted({round(y) for _, y in (*layout.centres.values(), *layout.taps.values())})
    rows = list(_rows(layout).items())
    wished = [sorted(row, key=lambda vertex: max(-1, min(1, request.sides.get(vertex, 0)))) for _, row in rows]
    x: dict[int, float] = {}
    row_of: dict[int, int] = {}
    for (y, row), better in zip(rows, wished, strict=True):
        x.update(zip(better, [layout.centres[vertex][0] for vertex in row], strict=True))
        row_of.update(dict.fromkeys(row, heights.index(y)))
    users = {edge.source: x[edge.target] for edge in reversed(request.edges)}
    return _Order([*wished, sorted(request.taps, key=lambda leaf: users[leaf])], row_of)


def _source(request: Request, order: _Order | None) -> str:
    """The block as Graphviz is asked to lay it out, vertices called by their numbers.

    The first run finds the rows; lines from taps are light, for an operation is to stand near what uses it. The others
    keep to these rows, and lines from taps are heavy, which makes them straight. (Within clusters Graphviz does not
    always keep an order asked for, but it follows that of the taps.)
    """
    graph = graphviz.Digraph()
    graph.attr(rankdir="BT", nodesep=f"{request.gap / 72:.3f}", ranksep=f"{request.row_gap / 72:.3f}")
    graph.attr("node", shape="box", fixedsize="true", label="")
    graph.attr("edge", arrowsize=f"{ARROW / 10:g}", fontsize=f"{NOTE_SIZE:g}")
    _add_vertices(graph, list(request.sizes), request.groups, request.sizes, [] if order is None else order.rows)
    with graph.subgraph() as lowest:
        lowest.attr(rank="min")
        for leaf in request.taps:
            lowest.node(str(leaf), shape="point", width="0.02", height="0.02")
    for edge in request.edges:
        attributes = {"id": f"{edge.target} {edge.argument}", "weight": "4" if order is None else "1"}
        if edge.source not in request.sizes:
            attributes["weight"] = "1" if order is None else "4"
            attributes["minlen"] = "1" if order is None else str(max(order.row_of[edge.target], 1))
        words = "x" * len(edge_words(edge))
        graph.edge(str(edge.source), str(edge.target), words or None, **attributes)
    return str(graph.source)


def _add_vertices(
    graph: graphviz.Digraph,
    members: Sequence[int],
    groups: Sequence[Group],
    sizes: Mapping[int, Size],
    rows: Sequence[Sequence[int]],
) -> None:
    """Add vertices, those in groups within clusters, and put neighbours in order where no cluster comes between."""
    grouped: set[int] = set()
    for group in groups:
        grouped.update(group.members)
        with graph.subgraph(name=f"cluster_{group.level}_{group.members[0]}") as cluster:
            cluster.attr(margin=f"{GROUP_MARGIN:g}")
            mine = set(group.members)
            _add_vertices(cluster, group.members, group.inner, sizes, [[v for v in row if v in mine] for row in rows])
    here = [vertex for vertex in members if vertex not in grouped]
    for vertex in here:
        graph.node(str(vertex), width=f"{sizes[vertex][0] / 72:.3f}", height=f"{sizes[vertex][1] / 72:.3f}")
    for row in rows:
        ordered = [str(vertex) for vertex in row if vertex not in grouped]
        if len(ordered) > 1:
            with graph.subgraph() as same:
                same.attr(rank="same")
                for left, right in pairwise(ordered):
                    same.edge(left, right, style="invis")


def _read(answer: Any, request: Request) -> BlockLayout:
    """The layout in Graphviz's answer."""
    left, lower, right, upper = _numbers(answer["bb"])
    things = {thing["name"]: thing for thing in answer.get("objects", ())}
    centres = {vertex: _point(things[str(vertex)]["pos"]) for vertex in request.sizes}
    taps = {leaf: _point(things[str(leaf)]["pos"]) for leaf in request.taps}
    curves: dict[Slot, Curve] = {}
    notes: dict[Slot, Point] = {}
    for edge in answer.get("edges", ()):
        if "id" not in edge:
            continue
        target, argument = edge["id"].split()
        slot = int(target), int(argument)
        tip, *points = edge["pos"].partition(";")[0].removeprefix("e,").split()  # some versions give a way twice
        curves[slot] = Curve([_point(point) for point in points], _point(tip))
        if "lp" in edge:
            notes[slot] = _point(edge["lp"])
    boxes: list[tuple[Group, Box]] = []
    waiting = list(request.groups)
    for group in waiting:
        a, b, c, d = _numbers(things[f"cluster_{group.level}_{group.members[0]}"]["bb"])
        boxes.append((group, (a, b, c, d)))
        waiting.extend(group.inner)
    return BlockLayout(centres, taps, {}, curves, notes, boxes, right - left, upper - lower)


def _numbers(words: str) -> list[float]:
    return [float(word) for word in words.split(",")]


def _point(words: str) -> Point:
    x, y = _numbers(words)
    return x, y


# ------------------------------------------------------------------------------------------------- without


def _stacked(request: Request) -> BlockLayout:
    """What has nothing to do with one another, one above the other."""
    layout = BlockLayout({}, {}, {}, {}, {}, [], max((w for w, _ in request.sizes.values()), default=0.0), 0.0)
    for vertex, (_, height) in request.sizes.items():
        layout.centres[vertex] = layout.width / 2, layout.height + height / 2
        layout.height += height + GAP
    layout.height -= GAP
    return layout


def _plain(request: Request, depths: Mapping[int, int]) -> BlockLayout:
    """Rows by depth, each in order of appearance and centred; what passes a row goes by a lane on the left."""
    sizes = request.sizes
    stretches = dict.fromkeys(request.taps, (-1, -1))
    for edge in request.edges:
        start, end = depths.get(edge.source, -1), depths[edge.target]
        if end > start + 1 or edge.source not in sizes:
            stretches[edge.source] = start, max(end, stretches.get(edge.source, (start, end))[1])
    lanes = stacked(stretches)
    left = TRACK * (max(lanes.values(), default=-1) + 1)
    rows: dict[int, list[int]] = {}
    for vertex in sorted(sizes):
        rows.setdefault(depths[vertex], []).append(vertex)
    gap, row_gap = request.gap, request.row_gap
    extents = {depth: sum(sizes[v][0] for v in row) + gap * (len(row) - 1) for depth, row in rows.items()}
    widest = max(extents.values(), default=0.0)
    taps = {source: (left - TRACK * lanes[source], 0.0) for source in request.taps}
    layout = BlockLayout({}, taps, {}, {}, {}, [], 0.0, 0.0)
    y = row_gap if request.taps else 0.0
    for depth in sorted(rows):
        x = left + gap + (widest - extents[depth]) / 2
        height = max(sizes[v][1] for v in rows[depth])
        for vertex in rows[depth]:
            layout.centres[vertex] = x + sizes[vertex][0] / 2, y + height / 2
            x += sizes[vertex][0] + gap
        y += height + row_gap
    layout.width, layout.height = left + gap + widest, y - row_gap
    _plain_curves(request, layout, {source: left - TRACK * lane for source, lane in lanes.items()}, depths)
    return layout


def _plain_curves(request: Request, layout: BlockLayout, lanes: Mapping[int, float], depths: Mapping[int, int]) -> None:
    """Edges to the next row as they are, others by the lane of their source; tips side by side under a vertex."""
    around = surroundings(layout, request.sizes)
    arriving = Counter(edge.target for edge in request.edges)
    tops: dict[int, float] = {}
    bottoms: dict[int, float] = {}
    for vertex, (_, y) in layout.centres.items():
        depth, half = depths[vertex], request.sizes[vertex][1] / 2
        tops[depth] = max(tops.get(depth, y + half), y + half)
        bottoms[depth] = min(bottoms.get(depth, y - half), y - half)
    arrived: Counter[int] = Counter()
    for edge in request.edges:
        (x, y), (w, h), slot = layout.centres[edge.target], request.sizes[edge.target], (edge.target, edge.argument)
        arrived[edge.target] += 1
        tip = x + w * 0.7 * (arrived[edge.target] / (arriving[edge.target] + 1) - 0.5), y - h / 2
        entry = tip[0], tip[1] - ARROW
        if edge.source in layout.taps:
            corners = [layout.taps[edge.source]]
        else:
            (x, y), (_, h) = layout.centres[edge.source], request.sizes[edge.source]
            corners = [(x, y + h / 2), (x, around[edge.source].above)]
        if depths[edge.target] == depths.get(edge.source, -2) + 1:
            start = corners[0][0], tops.get(depths.get(edge.source, -1), corners[0][1])
            end = (
                entry[0],
                min(bottoms[depths[edge.target]], entry[1]),
            )  # from row to row: not past wider ones
            curve = joined(straight(corners[0], start), upward(start, end), straight(end, entry))
            layout.curves[slot] = Curve(curve, tip)
        else:
            lane, below = lanes[edge.source], around[edge.target].below
            corners += [(lane, corners[-1][1]), (lane, below), (entry[0], below), entry]
            layout.curves[slot] = Curve(rounded(corners, 5.0), tip)
        if words := edge_words(edge):
            layout.notes[slot] = tip[0] + width(words, NOTE_SIZE) / 2 + 5, tip[1] - NOTE_SIZE / 2
