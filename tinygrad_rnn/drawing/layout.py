"""The whole picture: blocks side by side, shared leaves below them, and every edge's way.

Everything is computed with time running to the right and each step laid out upward; a picture that runs another way is
turned at the very end, which is why sizes are turned at the very beginning.

A leaf that several steps share stands at the left of a line that runs below all of them, and from which each step that
uses it draws a branch: one node, one line, one colour, so that "the weights and biases are shared between all time steps"
(lecture, section 1, "RNN Diagram") is what the eye sees first. Two other ways were drawn and looked at. A copy of the
weight in each column reads well at 3 steps, but at 20 as twenty weights, and it draws nodes that are not there; one node
with its edges straight to every step covers, from 5 steps on, what lies between.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from .block_layout import BlockLayout, Box, Group, Request, Size, Slot, lay_out
from .blocks import Arrangement, Block, arrange
from .curves import Curve, Point, joined, moved, rounded
from .labels import vertex_size
from .model import Graph
from .routes import Routes, Standing

HEADER = 20.0  # for a column's title
PAD = 12.0  # between a column's edge and what is in it
GUTTER = 46.0  # between columns, at least
TRACK = 9.0  # between lines that run side by side
BRANCH = 7.0  # between the boxes of shared leaves
MODULE_LEVELS = 2  # of modules within a step that are framed


class Column(NamedTuple):
    """A time step's frame, and where its title stands."""

    step: int
    box: Box
    title: Point


class Frame(NamedTuple):
    """A module's frame within a block."""

    name: str
    box: Box


@dataclass(slots=True)
class Layout:
    """Positions of everything in points, y upward."""

    arrangement: Arrangement
    sizes: list[Size]
    columns: list[Column] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    centres: dict[int, Point] = field(default_factory=dict)
    curves: dict[Slot, Curve] = field(default_factory=dict)
    notes: dict[Slot, Point] = field(default_factory=dict)


class _Placed(NamedTuple):
    """A block in its place: its layout's (0, 0) went to ``origin``; ``left`` and ``right`` are its outer edges."""

    block: Block
    layout: BlockLayout
    origin: Point
    left: float
    right: float


def lay_out_graph(graph: Graph, direction: str) -> Layout:
    """Find a place for everything; ``direction`` is that of time, or of the computation where there is no time."""
    arrangement = arrange(graph)
    timeless = all(block.step is None for block in arrangement.blocks)
    turned = timeless == (direction == "LR")  # what is upward in a block becomes rightward
    sizes = [vertex_size(vertex)[:: -1 if turned else 1] for vertex in graph.vertices]
    layout = Layout(arrangement, sizes)
    _make_room(layout)
    blocks = [block for block in arrangement.blocks if block.operations or block.leaves]
    shown = {id(block): i for i, block in enumerate(blocks)}
    block_of = {
        vertex: shown[id(arrangement.blocks[i])] for vertex, i in enumerate(arrangement.block_of) if i is not None
    }
    between = [edge for edge in graph.edges if edge.source in block_of and block_of[edge.source] != block_of[edge.target]]
    lanes = assign_lanes(between, block_of)
    gap = max(GAP, TRACK * (lanes.most + 1))
    placed = _place_blocks(graph, layout, blocks, between, gap, turned)
    _place_shared(graph, layout, placed, gap)
    _connect_blocks(layout, placed, between, block_of, lanes, gap)
    if turned:
        _map(layout, lambda point: (point[1], -point[0]))
    elif timeless:
        _map(layout, lambda point: (point[0], -point[1]))
    return layout


def _make_room(layout: Layout) -> None:
    """Copies of a step may have longer words than the original: the longest decide."""
    sizes = layout.sizes
    for block in layout.arrangement.blocks:
        for vertex, original in block.places.items():
            sizes[original] = max(sizes[original][0], sizes[vertex][0]), max(sizes[original][1], sizes[vertex][1])
    for block in layout.arrangement.blocks:
        for vertex, original in block.places.items():
            sizes[vertex] = sizes[original]


# ------------------------------------------------------------------------------------------------- blocks


def _place_blocks(
    graph: Graph, layout: Layout, blocks: list[Block], between: list[Edge], gap: float, turned: bool
) -> list[_Placed]:
    """Lay out each different block once, and put all of them side by side."""
    layouts = {id(block): _block_layout(graph, layout, block) for block in blocks if block.copies is None}
    _face(layouts, blocks, between, layout)
    height = max((layouts[id(block.copies or block)].height for block in blocks if block.step is not None), default=0.0)
    before, above = (HEADER, PAD) if turned else (PAD, HEADER)  # the title's room, in the block's own directions
    placed: list[_Placed] = []
    x = 0.0
    for block in blocks:
        inside = layouts[id(block.copies or block)]
        if block.step is None:
            placed.append(_Placed(block, inside, (x, (height - inside.height) / 2), x, x + inside.width))
        else:
            right = x + before + inside.width + PAD
            placed.append(_Placed(block, inside, (x + before, 0.0), x, right))
            title = (x + HEADER / 2, -PAD) if turned else ((x + right) / 2, height + PAD + HEADER / 2)
            layout.columns.append(Column(block.step, (x, -PAD, right, height + PAD + above), title))
        _fill(graph, layout, placed[-1])
        x = placed[-1].right + gap
    return placed


def _block_layout(graph: Graph, layout: Layout, block: Block) -> BlockLayout:
    members = [*block.operations, *block.leaves]
    inside, shared = set(members), set(layout.arrangement.shared)
    edges = [edge for v in block.operations for edge in layout.arrangement.incoming[v]]
    edges = [edge for edge in edges if edge.source in inside or edge.source in shared]
    taps = dict.fromkeys(edge.source for edge in edges if edge.source in shared)
    groups = _groups(block.operations, [tuple(graph.vertices[v].path.split("/")) for v in block.operations])
    return lay_out(Request({v: layout.sizes[v] for v in members}, list(taps), edges, groups))


def _groups(operations: Sequence[int], paths: Sequence[tuple[str, ...]], level: int = 0, framed: int = 0) -> list[Group]:
    """Operations by module, as far as that tells them apart, ``MODULE_LEVELS`` deep."""
    while len(set(path[: level + 1] for path in paths)) == 1 and any(len(path) > level for path in paths):
        level += 1
    ...
