"""Which part of a graph goes into which block of the picture, and by which way an edge comes into its block.

A block holds the operations that stand in the same place (``timeline``), one module's or loop's share of one time step
for example, and the leaves that it alone uses. Leaves that several blocks use, weights mostly, are *shared*.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from .model import Edge, Graph
from .timeline import Column, Place, Timeline


@dataclass(slots=True, eq=False)
class Block:
    """Vertices that stand together.

    Attributes:
        column: What its column stands for; of a band the first column of its phase.
        operations: In order of creation.
        leaves: Those used in this block only, in order of first use.
        exits: Operations from which a line goes out above.
        copies: The block whose layout this one takes; None: it has its own.
        originals: For each vertex here, which vertex of that block it takes the place of.
    """

    place: Place
    column: Column
    operations: list[int] = field(default_factory=list)
    leaves: list[int] = field(default_factory=list)
    exits: list[int] = field(default_factory=list)
    copies: Block | None = None
    originals: dict[int, int] = field(default_factory=dict)

    @property
    def in_time(self) -> bool:
        """Is it the share of a time step?"""
        return bool(self.column.steps) and not self.place.band


class Way(Enum):
    """How an edge comes into its target's block."""

    INSIDE = 0  # it does not: it began there
    LINE = 1  # by a branch of a line below the block, that of a shared leaf or of a band
    RISE = 2  # from the block right under it, in the same time step
    GATHER = 3  # into a band, with others from other steps
    ACROSS = 4  # from the side


def beginning(columns: Sequence[Column], first: int) -> int:
    """The column beside that of a loop's first step: on its left, or where the loop runs backward on its right."""
    phase = columns[first].phase
    steps = [i for i, column in enumerate(columns) if column.steps and column.phase == phase]
    backward = first == steps[-1] != steps[0]
    return steps[-1] + 1 if backward else steps[0] - 1


def gathered(target: int) -> int:
    """The tap of all edges from many steps to one operation of a band."""
    return -1 - target


@dataclass(slots=True)
class Arrangement:
    """A graph in blocks.

    Attributes:
        blocks: By column and row.
        block_of: For each vertex its block; None for a shared leaf.
        shared: The leaves used in more than one block.
        incoming: For each vertex the edges that end there.
        by_place: The blocks again.
    """

    columns: tuple[Column, ...]
    blocks: list[Block]
    block_of: list[Block | None]
    shared: list[int]
    incoming: list[list[Edge]]
    by_place: dict[Place, Block]

    def way(self, edge: Edge) -> Way:
        """How an edge comes into its target's block."""
        source, target = self.block_of[edge.source], self.home(edge.target)
        if source is None:
            return Way.LINE
        if edge.delay:
            return Way.ACROSS
        if source is target:
            return Way.INSIDE
        rises = source.column.phase == target.column.phase and source.place.row < target.place.row
        if source.place.band and target.in_time and rises:
            return Way.LINE
        if target.place.band and source.in_time and rises:
            return Way.GATHER
        beside = source.in_time and target.in_time and source.place.column == target.place.column
        return Way.RISE if beside and source.place.row + 1 == target.place.row else Way.ACROSS

    def home(self, vertex: int) -> Block:
        """The block of a vertex that is no shared leaf."""
        block = self.block_of[vertex]
        if block is None:
            raise ValueError(f"vertex {vertex} is shared by several blocks")
        return block

    def tap(self, edge: Edge) -> int:
        """Where an edge that comes in from below does so: its tap, in the same terms for all copies of a step."""
        return gathered(edge.target) if self.way(edge) is Way.GATHER else self.original_of(edge.source)

    def original_of(self, vertex: int) -> int:
        """The vertex whose place this one takes in its own block: where that is another step's, the one there."""
        block = self.block_of[vertex]
        return vertex if block is None else block.originals.get(vertex, vertex)

    def put_before(self, leaf: int) -> None:
        """Move a leaf out of its time step: it is an initial state, and stands where the loop begins."""
        old = self.home(leaf)
        old.leaves.remove(leaf)
        index = beginning(self.columns, old.place.column)
        place = Place(index, old.place.row)
        block = self.by_place.get(place)
        if block is None:
            block = self.by_place[place] = Block(place, self.columns[index])
            insort(self.blocks, block, key=lambda block: block.place)
        block.leaves.append(leaf)
        self.block_of[leaf] = block


def arrange(graph: Graph, timeline: Timeline) -> Arrangement:
    """Sort a graph into blocks, in linear time."""
    incoming: list[list[Edge]] = [[] for _ in graph.vertices]
    for edge in graph.edges:
        incoming[edge.target].append(edge)
    by_place: dict[Place, Block] = {}
    block_of: list[Block | None] = [None] * len(graph.vertices)
    for i, place in enumerate(timeline.places):
        if place is not None:
            block = by_place.setdefault(place, Block(place, timeline.columns[place.column]))
            block.operations.append(i)
            block_of[i] = block
    used_in: dict[int, dict[Place, Block]] = {}  # for each leaf, in order of first use
    for edge in graph.edges:
        user = block_of[edge.target]
        if timeline.places[edge.source] is None and user is not None:
            used_in.setdefault(edge.source, {})[user.place] = user
    if timeline.places[graph.output[0]] is None:  # the drawn tensor is itself a leaf
        place = Place(0, 0)
        used_in[graph.output[0]] = {place: by_place.setdefault(place, Block(place, timeline.columns[0]))}
    for leaf, users in used_in.items():
        if len(users) == 1:
            (block,) = users.values()
            block.leaves.append(leaf)
            block_of[leaf] = block
    shared = [leaf for leaf, users in used_in.items() if len(users) > 1]
    blocks = sorted(by_place.values(), key=lambda block: block.place)
    arrangement = Arrangement(timeline.columns, blocks, block_of, shared, incoming, by_place)
    for edge in graph.edges:
        source = arrangement.block_of[edge.source]
        if source is not None and arrangement.way(edge) in (Way.LINE, Way.RISE) and edge.source not in source.exits:
            source.exits.append(edge.source)
    return arrangement
