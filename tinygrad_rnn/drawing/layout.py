"""The whole picture: blocks side by side, shared leaves below them, and every edge's way.

Everything is computed with time running to the right and each step laid out upward; a picture that runs another way is
turned at the very end, which is why sizes are turned at the very beginning.

A leaf that several steps share stands at the left of a line that runs below all of them, and from which each step that
uses it draws a branch, with its name beside it: one node, one line, one colour, so that "the weights and biases are
shared between all time steps" (lecture, section 1, "RNN Diagram") is what the eye sees first. Two other ways were drawn
and looked at, at 4 and at 20 steps. One node with an edge straight to every step buries the picture under its edges,
from 4 steps on. A copy of the weight in each column reads well inside a column, but says that there are twenty weights,
and draws nodes that are not there; the names beside the branches give the same without.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from .block_layout import TRACK, BlockLayout, Box, Group, Request, Size, Slot, Surroundings, lay_out, surroundings
from .blocks import Block, arrange
from .curves import Curve, Point, joined, rounded
from .labels import NOTE_SIZE, box_size, edge_words, vertex_lines, visible, width
from .model import Edge, Graph
from .routes import Net, Standing, assign_lanes, connect

HEADER = 20.0  # for a column's title
PAD = 12.0  # between a column's edge and what is in it
GAP = 46.0  # between columns, at least
BRANCH = 7.0  # between the boxes of shared leaves
MOST_RUNS = 16  # different blocks that Graphviz is run for; where every step differs, none
MODULE_LEVELS = 2  # of modules within a step that are framed


class Column(NamedTuple):
    """A time step's frame, and the middle of its title."""

    step: int
    box: Box
    title: Point


class Frame(NamedTuple):
    """A module's frame within a block."""

    name: str
    box: Box


@dataclass(slots=True)
class Layout:
    """Positions of everything in points, y upward.

    Attributes:
        lines: What is written on each vertex.
        sizes: Of vertices.
        crossing: The edges between blocks.
        branch_names: The edges from shared leaves that bear the leaf's name, and where.
        upward: Do results stand above what they are computed from?
    """

    lines: list[list[str]]
    sizes: list[Size] = field(default_factory=list)
    crossing: set[Slot] = field(default_factory=set)
    columns: list[Column] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    centres: dict[int, Point] = field(default_factory=dict)
    curves: dict[Slot, Curve] = field(default_factory=dict)
    notes: dict[Slot, Point] = field(default_factory=dict)
    branch_names: dict[Slot, Point] = field(default_factory=dict)
    upward: bool = True

    def map(self, move: Callable[[Point], Point]) -> None:
        """Send every point to another place; upright boxes stay upright."""

        def box(old: Box) -> Box:
            (a, b), (c, d) = move(old[:2]), move(old[2:])
            return min(a, c), min(b, d), max(a, c), max(b, d)

        self.columns = [Column(step, box(old), move(title)) for step, old, title in self.columns]
        self.frames = [Frame(name, box(old)) for name, old in self.frames]
        self.centres = {vertex: move(centre) for vertex, centre in self.centres.items()}
        self.curves = {slot: curve.map(move) for slot, curve in self.curves.items()}
        self.notes = {slot: move(note) for slot, note in self.notes.items()}
        self.branch_names = {slot: move(name) for slot, name in self.branch_names.items()}


def lay_out_graph(graph: Graph, direction: str) -> Layout:
    """Find a place for everything; ``direction`` is that of time, or of the computation where there is no time."""
    timeless = all(vertex.step is None for vertex in graph.vertices if vertex.operation is not None)
    turned = timeless == (direction == "LR")  # what is upward in a block becomes rightward
    layout = _Builder(graph, turned).build()
    layout.upward = not (turned or timeless)
    if turned:
        layout.map(lambda point: (point[1], -point[0]))
    elif timeless:
        layout.map(lambda point: (point[0], -point[1]))
    return layout


class _Placed(NamedTuple):
    """A block in its place: its layout's (0, 0) went to ``origin``; ``left`` and ``right`` are its outer edges."""

    block: Block
    layout: BlockLayout
    origin: Point
    left: float
    right: float

    def at(self, point: Point) -> Point:
        """A point of the block's layout, in the picture."""
        return point[0] + self.origin[0], point[1] + self.origin[1]


class _Builder:
    """Builds a layout: time to the right, each step upward."""

    def __init__(self, graph: Graph, turned: bool) -> None:
        self.graph = graph
        self.turned = turned
        self.arrangement = arrange(graph)
        self.blocks = [block for block in self.arrangement.blocks if block.operations or block.leaves]
        self.column = {v: i for i, block in enumerate(self.blocks) for v in (*block.operations, *block.leaves)}
        self.between = [
            edge
            for edge in graph.edges
            if edge.source in self.column and self.column[edge.source] != self.column[edge.target]
        ]
        self.lanes = assign_lanes(self.between, self.column)
        self.gap = max(GAP, TRACK * (self.lanes.most + 1))
        lines = [vertex_lines(vertex) for vertex in graph.vertices]
        self.layout = Layout(lines)
        if not turned:
            for leaf in self.arrangement.shared:  # their boxes stand one under the other: flat ones take less room
                lines[leaf] = ["  ".join(lines[leaf])]
        self.sides: dict[int, int] = {}  # of each vertex: how many edges to blocks on the right, less those to the left
        for edge in self.between:
            forth = 1 if self.column[edge.source] < self.column[edge.target] else -1
            self.sides[edge.source] = self.sides.get(edge.source, 0) + forth
            self.sides[edge.target] = self.sides.get(edge.target, 0) - forth
        self.sizes: list[Size] = []  # as seen with time to the right and steps upward
        self.placed: list[_Placed] = []

    def build(self) -> Layout:
        self._make_room()
        self._place_blocks()
        self._place_shared()
        self._connect_blocks()
        return self.layout

    def _make_room(self) -> None:
        """Sizes of boxes. Copies of a step may have longer words than the original: the longest decide."""
        sizes = self.layout.sizes = [box_size(lines) for lines in self.layout.lines]
        for block in self.blocks:
            for vertex, original in block.places.items():
                sizes[original] = max(sizes[original][0], sizes[vertex][0]), max(sizes[original][1], sizes[vertex][1])
        for block in self.blocks:
            for vertex, original in block.places.items():
                sizes[vertex] = sizes[original]
        self.sizes = [(height, width) for width, height in sizes] if self.turned else sizes

    # ---- blocks

    def _place_blocks(self) -> None:
        """Lay out each different block once, and put all of them side by side."""
        different = [block for block in self.blocks if block.copies is None]
        layouts = {id(block): self._block_layout(block, len(different) > MOST_RUNS) for block in different}
        inside = [layouts[id(block.copies or block)] for block in self.blocks]
        height = max(
            (i.height for block, i in zip(self.blocks, inside, strict=True) if block.step is not None), default=0
        )
        before, above = (HEADER, PAD) if self.turned else (PAD, HEADER)  # where the title has its room
        x = 0.0
        for block, layout in zip(self.blocks, inside, strict=True):
            if block.step is None:
                right = x + layout.width
                placed = _Placed(block, layout, (x, (height - layout.height) / 2), x, right)
            else:
                right = x + before + layout.width + PAD
                placed = _Placed(block, layout, (x + before, 0.0), x, right)
                title = (x + HEADER / 2, HEADER) if self.turned else ((x + right) / 2, height + PAD + HEADER / 2)
                self.layout.columns.append(Column(block.step, (x, -PAD, right, height + PAD + above), title))
            self.placed.append(placed)
            self._fill(placed)
            x = right + self.gap

    def _block_layout(self, block: Block, plain: bool) -> BlockLayout:
        members = [*block.operations, *block.leaves]
        edges = [
            edge
            for vertex in block.operations
            for edge in self.arrangement.incoming[vertex]
            if self.column.get(edge.source) in (None, self.column[vertex])
        ]
        taps = dict.fromkeys(edge.source for edge in edges if edge.source not in self.column)
        groups = _groups(block.operations, [self._path(vertex) for vertex in block.operations])
        sizes = {vertex: self.sizes[vertex] for vertex in members}
        return lay_out(Request(sizes, list(taps), edges, groups, self.sides), plain)

    def _path(self, vertex: int) -> tuple[str, ...]:
        return tuple(segment for segment in self.graph.vertices[vertex].path.split("/") if segment)

    def _fill(self, placed: _Placed) -> None:
        """Put a block's vertices, inner edges and frames where they belong."""
        inside, move = placed.layout, placed.at
        original_of = placed.block.places or {vertex: vertex for vertex in inside.centres}
        for vertex, original in original_of.items():
            self.layout.centres[vertex] = move(inside.centres[original])
            for edge in self.arrangement.incoming[vertex]:
                if self.column.get(edge.source) in (None, self.column[vertex]):
                    slot = original, edge.argument
                    self.layout.curves[vertex, edge.argument] = inside.curves[slot].map(move)
                    if slot in inside.notes:
                        self.layout.notes[vertex, edge.argument] = move(inside.notes[slot])
        vertex_of = {original: vertex for vertex, original in original_of.items()}
        for group, (a, b, c, d) in inside.boxes:
            member = next((vertex_of[original] for original in group.members if original in vertex_of), None)
            if member is not None and len(path := self._path(member)) >= group.level:
                self.layout.frames.append(Frame(path[group.level - 1], (*move((a, b)), *move((c, d)))))

    # ---- shared leaves

    def _place_shared(self) -> None:
        """Each at the left of a line of its own, below all blocks; from there to each tap, and on to what uses it."""
        layout, y = self.layout, min(placed.origin[1] for placed in self.placed) - PAD - BRANCH
        self._name_branches(y)
        for leaf in self.arrangement.shared:
            extent, height = self.sizes[leaf]
            y -= height + BRANCH
            layout.centres[leaf] = -self.gap / 2 - extent / 2, y + height / 2
        for edge in self.graph.edges:
            if edge.source not in self.column:
                placed = self.placed[self.column[edge.target]]
                x, y = layout.centres[edge.source]
                tap = placed.at(placed.layout.taps[edge.source])
                line = rounded([(x + self.sizes[edge.source][0] / 2, y), (tap[0], y), tap])
                slot = edge.target, edge.argument
                layout.curves[slot] = Curve(joined(line, layout.curves[slot].points), layout.curves[slot].tip)

    def _name_branches(self, floor: float) -> None:
        """Where each block's branch from a shared leaf's line comes in, the leaf's name, if there is room beside it."""
        first: dict[tuple[int, int], Slot] = {}  # of a leaf's edges into a block
        for edge in self.graph.edges:
            if edge.source not in self.column:
                first.setdefault((edge.source, self.column[edge.target]), (edge.target, edge.argument))
        for i, placed in enumerate(self.placed):
            taps = sorted((placed.at(tap)[0], leaf) for leaf, tap in placed.layout.taps.items())
            for (x, leaf), (limit, _) in pairwise([*taps, (placed.right + self.gap / 2, -1)]):
                if (leaf, i) not in first or not self.graph.vertices[leaf].name:
                    continue
                extent = width(visible(vertex_lines(self.graph.vertices[leaf])[0]), NOTE_SIZE)
                if self.turned:
                    self.layout.branch_names[first[leaf, i]] = x - 6, floor + BRANCH + 4 + extent / 2
                elif extent + 6 < limit - x:
                    self.layout.branch_names[first[leaf, i]] = x + 3 + extent / 2, floor

    # ---- edges between blocks

    def _connect_blocks(self) -> None:
        ends = dict.fromkeys(vertex for edge in self.between for vertex in (edge.source, edge.target))
        sizes = dict(enumerate(self.sizes))
        around = {id(placed.layout): surroundings(placed.layout, sizes) for placed in self.placed}
        standing = {vertex: self._standing(vertex, around) for vertex in ends}
        ceiling = max(placed.origin[1] + placed.layout.height for placed in self.placed) + PAD + HEADER

        def place(net: Net, gap: int) -> Point:
            left = self.placed[gap].left - self.gap if gap < len(self.placed) else self.placed[-1].right
            return left + TRACK * (1 + self.lanes.track[net, gap]), ceiling + TRACK * (1 + self.lanes.lane[net])

        self.layout.crossing = {(edge.target, edge.argument) for edge in self.between}
        arrived: dict[tuple[int, bool], dict[Net | Edge, int]] = {}  # at each side of a target, in order
        for edge in self.between:
            net = self.lanes.net_of.get(edge)
            from_left = net is not None or self.column[edge.source] < self.column[edge.target]
            others = arrived.setdefault((edge.target, from_left), {})
            count = others.setdefault(net or edge, len(others))
            curve = connect(standing[edge.source], standing[edge.target], count, net, place)
            self.layout.curves[edge.target, edge.argument] = curve
            if words := edge_words(edge):
                x, y = curve.points[0]
                self.layout.notes[edge.target, edge.argument] = x + width(words, NOTE_SIZE) / 2 + 3, y + NOTE_SIZE

    def _standing(self, vertex: int, around: dict[int, dict[int, Surroundings]]) -> Standing:
        placed = self.placed[self.column[vertex]]
        near = around[id(placed.layout)][placed.block.places.get(vertex, vertex)]
        y = placed.origin[1]
        return Standing(
            self.layout.centres[vertex],
            self.sizes[vertex],
            self.column[vertex],
            placed.left,
            placed.right,
            near.first,
            near.last,
            near.below + y,
            near.above + y,
        )


def _groups(operations: Sequence[int], paths: Sequence[tuple[str, ...]], levels: int = MODULE_LEVELS) -> list[Group]:
    """Operations by module, as far as that tells them apart."""
    shortest = min(map(len, paths), default=0)
    level = 1 + next((i for i in range(shortest) if len({path[i] for path in paths}) > 1), shortest)
    by_prefix: dict[tuple[str, ...], list[int]] = {}
    for i, path in enumerate(paths):
        if len(path) >= level:
            by_prefix.setdefault(path[:level], []).append(i)
    groups = []
    for chosen in by_prefix.values():
        members = [operations[i] for i in chosen]
        inner = _groups(members, [paths[i] for i in chosen], levels - 1) if levels > 1 else []
        groups.append(Group(level, members, inner))
    return groups
