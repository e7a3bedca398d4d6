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

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from .block_layout import TRACK, BlockLayout, Box, Group, Request, Size, Slot, Surroundings, lay_out, surroundings
from .blocks import Block, Way, arrange
from .boxes import Path, path_of, shared
from .copies import find_copies
from .curves import Curve, Point, joined, rounded, upward
from .grid import BRANCH, Column, lay_grid
from .labels import NOTE_SIZE, box_size, visible, width
from .model import Edge, Graph
from .routes import Ends, Net, Standing, assign_lanes, connect, gather, side_for
from .timeline import Timeline
from .words import Lettering, Words, edge_words, title_width

MOST_RUNS = 16  # different blocks that Graphviz is run for; where every step differs, none
_MOST_ASIDE = 7  # edges for which a box is made higher, so that each ends in a place of its own
DELAY = 7.0  # a mark's side
MODULE_LEVELS = 2  # of modules within a step that are framed


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
        notes: Where words on edges stand.
        branch_names: What is written on edges from shared leaves, each leaf's name in the first place.
        branches: For each edge along a line that many share, with which of its points its own branch begins.
        stems: These lines: each one's source, and its way.
        upward: Do results stand above what they are computed from?
        turned: Do they stand beside it, to the right?
    """

    lines: list[list[str]]
    sizes: list[Size] = field(default_factory=list)
    crossing: set[Slot] = field(default_factory=set)
    columns: list[Column] = field(default_factory=list)
    bands: list[Column] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    centres: dict[int, Point] = field(default_factory=dict)
    curves: dict[Slot, Curve] = field(default_factory=dict)
    notes: dict[Slot, Point] = field(default_factory=dict)
    branch_names: dict[Slot, Words] = field(default_factory=dict)
    branches: dict[Slot, int] = field(default_factory=dict)
    stems: list[tuple[int, list[Point]]] = field(default_factory=list)
    upward: bool = True
    turned: bool = False

    def map(self, move: Callable[[Point], Point]) -> None:
        """Send every point to another place; upright boxes stay upright."""

        def box(old: Box) -> Box:
            (a, b), (c, d) = move(old[:2]), move(old[2:])
            return min(a, c), min(b, d), max(a, c), max(b, d)

        for columns in (self.columns, self.bands):
            columns[:] = [Column(steps, box(old), move(middle)) for steps, old, middle in columns]
        self.frames = [Frame(name, box(old)) for name, old in self.frames]
        self.centres = {vertex: move(centre) for vertex, centre in self.centres.items()}
        self.curves = {slot: curve.map(move) for slot, curve in self.curves.items()}
        self.notes = {slot: move(note) for slot, note in self.notes.items()}
        self.stems = [(source, [move(point) for point in points]) for source, points in self.stems]
        self.branch_names = {slot: Words(text, move(place)) for slot, (text, place) in self.branch_names.items()}


def lay_out_graph(graph: Graph, timeline: Timeline, direction: str, lettering: Lettering) -> Layout:
    """Find a place for everything; ``direction`` is that of time, or of the computation where there is no time."""
    timeless = not any(column.steps for column in timeline.columns)
    turned = timeless == (direction == "LR")  # what is upward in a block becomes rightward
    layout = _Builder(graph, timeline, turned, lettering).build()
    layout.upward, layout.turned = not (turned or timeless), turned
    if turned:
        layout.map(lambda point: (point[1], -point[0]))
    elif timeless:
        layout.map(lambda point: (point[0], -point[1]))
    return layout


class _Builder:
    """Builds a layout: time to the right, each step upward."""

    def __init__(self, graph: Graph, timeline: Timeline, turned: bool, lettering: Lettering) -> None:
        self.graph = graph
        self.turned = turned
        self.arrangement = arrange(graph, timeline)
        find_copies(graph, self.arrangement)
        self.blocks = [block for block in self.arrangement.blocks if block.operations or block.leaves]
        self.edges: dict[Way, list[Edge]] = {way: [] for way in Way}
        for edge in graph.edges:
            self.edges[self.arrangement.way(edge)].append(edge)
        self.lettering = lettering
        lines = lettering.lines
        self.layout = Layout(lines)
        if not turned:
            for leaf in self.arrangement.shared:  # their boxes stand one under the other: flat ones take less room
                lines[leaf] = ["  ".join(lines[leaf])]
        self.sides = self._sides()
        self.sizes: list[Size] = []  # as seen with time to the right and steps upward
        self.inside: dict[int, BlockLayout] = {}  # by id of the block
        self.begun: dict[int, Slot] = {}  # for each tap of gathered edges, the one whose way goes on to the target

    def build(self) -> Layout:
        self._make_room()
        self._lay_out_blocks()
        ends = self._ends()
        across, gathering = self.edges[Way.ACROSS], self.edges[Way.GATHER]
        sources = self._lines()
        trunks = {source: ends[source].left for source, rows in sources.items() if source in ends and len(rows) > 1}
        self.lanes = assign_lanes(across, gathering, trunks, ends)
        sizes = {leaf: self.sizes[leaf] for leaf in self.arrangement.shared}
        delay = self.lettering.delay and (self.lettering.delay + 2 * DELAY if self.turned else NOTE_SIZE + DELAY + 3.0)
        wide, high = self.lettering.room
        room, between = high if self.turned else wide, max(TRACK, delay)
        margin = self._margin() if self.turned else 0.0
        self.grid = lay_grid(self.blocks, self.inside, self.lanes, sources, sizes, self.turned, room, between, margin)
        self._fill_blocks()
        self._draw_lines(sources, trunks)
        self._connect(ends)
        return self.layout

    def _margin(self) -> float:
        """Where time runs downward: room for titles, and for the names of branches, left of what is in a step."""
        rooms = [0.0, *(title_width(block.column.steps) for block in self.blocks if block.in_time)]
        for edge in self.edges[Way.LINE]:
            if self.arrangement.block_of[edge.source] is None:
                names = self.lettering.branch(edge, self.graph)[:1]
                rooms += [width(visible(name), NOTE_SIZE) + 11 - BRANCH for name in names]
        return max(rooms)

    def _sides(self) -> dict[int, int]:
        """Of each vertex: how many edges go to blocks on the right, less those to the left."""
        sides: dict[int, int] = {}
        for edge in self.edges[Way.ACROSS]:
            source, target = (self.arrangement.home(end).place.column for end in (edge.source, edge.target))
            forth = 1 if source < target or edge.delay > 0 else -1
            sides[edge.source] = sides.get(edge.source, 0) + forth
            sides[edge.target] = sides.get(edge.target, 0) - forth
        return sides

    def _make_room(self) -> None:
        """Sizes of boxes. Copies of a step may have longer words than the original: the longest decide."""
        sizes = self.layout.sizes = [box_size(lines) for lines in self.layout.lines]
        for vertex, count in Counter(edge.target for edge in self.edges[Way.ACROSS] if edge.folded).items():
            if self.arrangement.home(vertex).in_time:  # elsewhere many arrive as one
                (wide, high), least = sizes[vertex], side_for(min(count, _MOST_ASIDE))
                sizes[vertex] = (max(wide, least), high) if self.turned else (wide, max(high, least))
        for block in self.blocks:
            for vertex, original in block.originals.items():
                sizes[original] = max(sizes[original][0], sizes[vertex][0]), max(sizes[original][1], sizes[vertex][1])
        for block in self.blocks:
            for vertex, original in block.originals.items():
                sizes[vertex] = sizes[original]
        self.sizes = [(height, width) for width, height in sizes] if self.turned else sizes

    # ---- blocks

    def _lay_out_blocks(self) -> None:
        """Lay out each different block once."""
        different = [block for block in self.blocks if block.copies is None]
        paths: dict[bool, list[Path]] = {timed: [] for timed in (True, False)}
        for block in self.blocks:
            operations = (v for v in block.operations if not self.graph.vertices[v].is_box)
            paths[_timed(block)].extend(map(self._path, operations))
        level = {timed: shared(those) + 1 for timed, those in paths.items()}
        around = paths[True][0][: level[True] - 1] if paths[True] else ()  # the loops themselves: it shows as columns
        for block in different:
            timed = _timed(block)
            groups = self._groups(block, level[timed], () if timed else around)
            self.inside[id(block)] = self._block_layout(block, groups, len(different) > MOST_RUNS)
        for block in self.blocks:
            self.inside[id(block)] = self.inside[id(block.copies or block)]

    def _groups(self, block: Block, level: int, around: Path) -> list[Group]:
        """The modules within a block; what is recorded just ``around`` the loops is in none."""
        paths = [self._path(vertex) for vertex in block.operations]
        inside = [() if path == around[: len(path)] else path for path in paths] if around else paths
        return _groups(block.operations, inside, level)

    def _block_layout(self, block: Block, groups: list[Group], plain: bool) -> BlockLayout:
        edges: list[Edge] = []
        taps: dict[int, None] = {}
        for vertex in block.operations:
            for edge in self.arrangement.incoming[vertex]:
                way = self.arrangement.way(edge)
                if way is Way.INSIDE:
                    edges.append(edge)
                elif way is not Way.ACROSS:
                    tap = self.arrangement.tap(edge)
                    if way is not Way.GATHER or tap not in taps:  # many gathered edges are one from their tap on
                        edges.append(Edge(tap, edge.target, edge.argument, edge.result, edge.name))
                        self.begun[tap] = edge.slot
                    taps[tap] = None
        sizes = {vertex: self.sizes[vertex] for vertex in (*block.operations, *block.leaves)}
        return lay_out(Request(sizes, list(taps), edges, groups, self.sides, block.exits, self._room(edges)), plain)

    def _room(self, edges: Sequence[Edge]) -> Size:
        """For weights' names on edges; where several come to one vertex, or stand at both ends, for two rows."""
        written = [edge for edge in edges if self.lettering.is_written_on(edge.slot)]
        if not written:
            return 0.0, 0.0
        several = max(Counter(edge.target for edge in written).values()) > 1
        several |= any(self.lettering.is_written_on(edge.slot, both=True) for edge in written)
        wide, high = self.lettering.room[::-1] if self.turned else self.lettering.room
        return wide, high * (1 + several)

    def _path(self, vertex: int) -> Path:
        return path_of(self.graph.vertices[vertex].path)

    def _fill_blocks(self) -> None:
        """Put each block's vertices, inner edges and frames where they belong."""
        for block in self.blocks:
            inside, move = self.inside[id(block)], self.grid.mover(block)
            original_of = block.originals or {vertex: vertex for vertex in inside.centres}
            for vertex, original in original_of.items():
                self.layout.centres[vertex] = move(inside.centres[original])
                for edge in self.arrangement.incoming[vertex]:
                    slot = original, edge.argument
                    if slot in inside.curves:
                        self.layout.curves[edge.slot] = inside.curves[slot].map(move)
                    if slot in inside.notes:
                        self.layout.notes[edge.slot] = move(inside.notes[slot])
            vertex_of = {original: vertex for vertex, original in original_of.items()}
            for group, (a, b, c, d) in inside.boxes:
                member = next((vertex_of[original] for original in group.members if original in vertex_of), None)
                if member is not None and len(path := self._path(member)) >= group.level:
                    self.layout.frames.append(Frame(path[group.level - 1], (*move((a, b)), *move((c, d)))))
        self.layout.columns, self.layout.bands = self.grid.columns, self.grid.bands

    # ---- lines that run below a row

    def _lines(self) -> dict[int, list[int]]:
        """For each source of a line, a shared leaf or an operation of a band, the rows along which it runs."""
        rows: dict[int, set[int]] = {leaf: set() for leaf in self.arrangement.shared}
        for edge in self.edges[Way.LINE]:
            source = self.arrangement.block_of[edge.source]
            start = set() if source is None else {source.place.row + 1}
            rows.setdefault(edge.source, start).add(self.arrangement.home(edge.target).place.row)
        return {source: sorted(rows[source]) for source in rows}

    def _draw_lines(self, sources: dict[int, list[int]], trunks: dict[int, int]) -> None:
        """From each source along its lines to each tap, and on to what uses it."""
        layout, grid = self.layout, self.grid
        stems: dict[tuple[int, int, int], list[Point]] = {}  # of each source and row: as far as it goes, to each side
        self._name_branches()
        for leaf in self.arrangement.shared:
            layout.centres[leaf] = grid.leaves[leaf]
        for edge in self.edges[Way.LINE]:
            source, target = edge.source, self.arrangement.home(edge.target)
            tap = grid.mover(target)(self.inside[id(target)].taps[self.arrangement.tap(edge)])
            home, row = sources[source][0], target.place.row
            block = self.arrangement.block_of[source]
            if block is None:
                x, y = layout.centres[source]
                way = [(x + self.sizes[source][0] / 2, y)]
            else:
                start = [grid.mover(block)(point) for point in self.inside[id(block)].exits[source]]
                way = [start[-1], (start[-1][0], grid.lines[source, home])]
            if row != home:
                x = grid.trunks[source] if block is None else grid.track(("line", source), trunks[source])
                way += [(x, grid.lines[source, home]), (x, grid.lines[source, row])]
            line = rounded([*way, (tap[0], grid.lines[source, row]), tap])
            parts = [line] if block is None else [start, line]
            curve = layout.curves[edge.slot]
            whole = layout.curves[edge.slot] = Curve(joined(*parts, curve.points), curve.tip)
            turn = layout.branches[edge.slot] = len(joined(*parts)) - 7  # where the last corner begins
            stem = whole.points[: turn + 1]
            for side in (-1, 1):
                known = stems.get((source, row, side))
                if known is None or side * stem[-1][0] > side * known[-1][0]:
                    stems[source, row, side] = stem
        layout.stems = [(source, stem) for (source, _, _), stem in stems.items()]

    def _name_branches(self) -> None:
        """Write the leaf's name where a branch of its line comes into a block, or as much as there is room for."""
        first: dict[tuple[int, int], Edge] = {}  # of a leaf's edges into a block
        for edge in self.edges[Way.LINE]:
            first.setdefault((edge.source, id(self.arrangement.home(edge.target))), edge)
        for block in self.blocks:
            move, floor = self.grid.mover(block), self.grid.floor[block.place.row]
            taps = sorted((move(tap)[0], source) for source, tap in self.inside[id(block)].taps.items())
            (start, end), half = self.grid.spans[id(block)], self.grid.gap / 2
            reached = start - half
            for (x, leaf), (limit, _) in pairwise([*taps, (end + half, -1)]):
                into = first.get((leaf, id(block)))
                if into is not None and self.arrangement.block_of[leaf] is None:
                    name = self._beside(self.lettering.branch(into, self.graph), x, floor, reached, limit)
                    if name is not None:
                        self.layout.branch_names[into.slot] = name
                        reached = name.place[0] + width(visible(name.text), NOTE_SIZE) / 2
                reached = max(reached, x)

    def _beside(self, options: list[str], x: float, y: float, left: float, right: float) -> Words | None:
        """The first of these words that there is room for on either side of a line, between two others."""
        for text in options:
            extent = width(visible(text), NOTE_SIZE)
            if self.turned:
                return Words(text, (x - 6, y + 11 + extent / 2))
            if extent + 6 < right - x:
                return Words(text, (x + 3 + extent / 2, y))
            if extent + 6 < x - left:
                return Words(text, (x - 3 - extent / 2, y))
        return None

    # ---- edges between blocks

    def _ends(self) -> dict[int, Ends]:
        """Where lines reach each operation's, and each unshared leaf's, block."""
        used = sorted({block.place.column for block in self.blocks if not block.place.band})
        number = {column: k for k, column in enumerate(used)}
        columns = self.arrangement.columns
        phases: dict[int, list[int]] = {}
        for column in used:
            if columns[column].steps:
                phases.setdefault(columns[column].phase, []).append(number[column])
        ends: dict[int, Ends] = {}
        for block in self.blocks:
            if block.place.band:
                those = phases[block.column.phase]
                where = Ends(those[0], those[-1] + 1, block.place.row)
            else:
                where = Ends(number[block.place.column], number[block.place.column] + 1, block.place.row)
            ends.update(dict.fromkeys((*block.operations, *block.leaves), where))
        return ends

    def _connect(self, ends: dict[int, Ends]) -> None:
        """The ways of all edges between blocks but those along lines."""
        sizes = dict(enumerate(self.sizes))
        layouts = {id(inside): inside for inside in self.inside.values()}
        around = {key: surroundings(inside, sizes) for key, inside in layouts.items()}

        def standing(vertex: int) -> Standing:
            return self._standing(vertex, ends[vertex], around)

        direct = [edge for edge in self.edges[Way.ACROSS] if edge.slot not in self.lanes.net_of]
        back = [edge for edge in direct if ends[edge.source].left == ends[edge.target].right]
        met, left = {edge.target for edge in back}, {edge.source for edge in back}
        heights = {(ends[edge.source].right, round(self.layout.centres[edge.source][1])) for edge in direct}
        for edge in self.edges[Way.RISE]:
            source, target = self.arrangement.home(edge.source), self.arrangement.home(edge.target)
            move = self.grid.mover(source)
            rise = [move(point) for point in self.inside[id(source)].exits[self.arrangement.original_of(edge.source)]]
            tap = self.grid.mover(target)(self.inside[id(target)].taps[self.arrangement.tap(edge)])
            curve = self.layout.curves[edge.slot]
            self.layout.curves[edge.slot] = Curve(joined(rise, upward(rise[-1], tap), curve.points), curve.tip)
        for edge in self.edges[Way.GATHER]:
            target = self.arrangement.home(edge.target)
            tap = self.grid.mover(target)(self.inside[id(target)].taps[self.arrangement.tap(edge)])
            net, found = self.lanes.net_of[edge.slot], edge.source in met
            line = gather(standing(edge.source), tap, net, self.grid.place, found)
            curve = self.inside[id(target)].curves[self.begun[self.arrangement.tap(edge)]].map(self.grid.mover(target))
            self.layout.curves[edge.slot] = Curve(joined(line, curve.points), curve.tip)
        arrived: dict[tuple[int, bool], dict[Net | Slot, int]] = {}  # at each side of a target, in order
        first: dict[tuple[int, bool], int] = {}
        for edge in self.edges[Way.ACROSS]:
            lane = self.lanes.net_of.get(edge.slot)
            start, end = standing(edge.source), standing(edge.target)
            from_left = lane is not None or start.ends.right == end.ends.left
            others = arrived.setdefault((edge.target, from_left), {})
            begin = int(from_left and edge.target in left)  # where another leaves, none arrives
            if lane is not None and (end.ends.left, round(end.centre[1])) in heights:
                begin = 2  # nor where others begin that go elsewhere
            count = others.setdefault(
                lane or edge.slot, len(others) + first.setdefault((edge.target, from_left), begin)
            )
            found = lane is not None and edge.source in met
            curve = self.layout.curves[edge.slot] = connect(start, end, count, lane, self.grid.place, found)
            if words := edge_words(edge):
                x, y = curve.points[0]
                self.layout.notes[edge.slot] = x + width(words, NOTE_SIZE) / 2 + 3, y + NOTE_SIZE
        self.layout.crossing = {edge.slot for way in (Way.ACROSS, Way.RISE, Way.GATHER) for edge in self.edges[way]}

    def _standing(self, vertex: int, ends: Ends, around: dict[int, dict[int, Surroundings]]) -> Standing:
        block = self.arrangement.home(vertex)
        near = around[id(self.inside[id(block)])][self.arrangement.original_of(vertex)]
        left, right = self.grid.spans[id(block)]
        y = self.grid.origins[id(block)][1]
        return Standing(
            self.layout.centres[vertex],
            self.sizes[vertex],
            ends,
            left,
            right,
            near.first,
            near.last,
            near.below + y,
            near.above + y,
        )


def _timed(block: Block) -> bool:
    return block.in_time or block.place.band


def _groups(operations: Sequence[int], paths: Sequence[Path], level: int, levels: int = MODULE_LEVELS) -> list[Group]:
    """Operations by module, named by that many segments of their paths; within, as far as these tell them apart."""
    by_prefix: dict[Path, list[int]] = {}
    for i, path in enumerate(paths):
        if len(path) >= level:
            by_prefix.setdefault(path[:level], []).append(i)
    groups = []
    for chosen in by_prefix.values():
        members, theirs = [operations[i] for i in chosen], [paths[i] for i in chosen]
        inner = _groups(members, theirs, shared(theirs) + 1, levels - 1) if levels > 1 else []
        groups.append(Group(level, members, inner))
    return groups
