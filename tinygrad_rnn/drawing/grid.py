"""Room for everything: how wide columns are, how high rows, and where the lines between rows run.

Seen with time to the right and each step upward. From below, a row has the lines that shared leaves and bands send
along it, a branch to each block; then the blocks; then the title of their columns, if it is the topmost row of these;
then the lanes of edges that go further than to a neighbour.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from .block_layout import TRACK, BlockLayout, Box, Size
from .blocks import Block
from .curves import Point
from .labels import NOTE_SIZE, width
from .routes import Lanes, Net
from .words import step_words, title_width

HEADER = 20.0  # for a column's title
PAD = 12.0  # between a column's edge and what is in it
GAP = 46.0  # between columns, at least
BRANCH = 7.0  # between the boxes of shared leaves


class Column(NamedTuple):
    """A column's frame, and the middle of its title."""

    steps: tuple[int, ...]
    box: Box
    middle: Point


@dataclass(slots=True)
class Grid:
    """Where everything is to be put.

    Attributes:
        gap: Between columns.
        between: Lanes.
        left, right: The outer edges of each column that holds a block, counted from the left.
        origins: For each block, by its id, where its layout's (0, 0) goes.
        spans: For each block its outer edges, or those of its column.
        ceiling: Of each row, above which its lanes are.
        floor: Of each row, the height of the names of branches.
        lines: For each source of a line, and each row along which it runs, its height.
        leaves: The centres of shared leaves.
        trunks: For each shared leaf that has lines along several rows, where it climbs from one to the other.
        columns: The frames of time steps.
        bands: The frames of what stands across the time steps given.
    """

    lanes: Lanes
    gap: float
    between: float = TRACK
    left: list[float] = field(default_factory=list)
    right: list[float] = field(default_factory=list)
    origins: dict[int, Point] = field(default_factory=dict)
    spans: dict[int, tuple[float, float]] = field(default_factory=dict)
    ceiling: dict[int, float] = field(default_factory=dict)
    floor: dict[int, float] = field(default_factory=dict)
    lines: dict[tuple[int, int], float] = field(default_factory=dict)
    leaves: dict[int, Point] = field(default_factory=dict)
    trunks: dict[int, float] = field(default_factory=dict)
    columns: list[Column] = field(default_factory=list)
    bands: list[Column] = field(default_factory=list)

    def mover(self, block: Block) -> Callable[[Point], Point]:
        """What takes a point of a block's layout to its place."""
        dx, dy = self.origins[id(block)]
        return lambda point: (point[0] + dx, point[1] + dy)

    def place(self, net: Net, gap: int) -> Point:
        """Where a net's track in a gap meets its lane."""
        return self.track(net, gap), self.ceiling[self.lanes.row[net]] + TRACK + self.between * self.lanes.lane[net]

    def track(self, net: Net, gap: int) -> float:
        """Where a net climbs in a gap."""
        left = self.left[gap] - self.gap if gap < len(self.left) else self.right[-1]
        return left + TRACK * (1 + self.lanes.track[net, gap])


def lay_grid(
    blocks: Sequence[Block],
    inside: Mapping[int, BlockLayout],
    lanes: Lanes,
    lines: Mapping[int, Sequence[int]],
    leaves: Mapping[int, Size],
    turned: bool,
    room: float = 0.0,
    between: float = TRACK,
    margin: float = 0.0,
) -> Grid:
    """Make room for everything.

    Args:
        blocks: By column and row.
        inside: The layout of each, by its id.
        lines: For each source of a line, the rows along which it runs, its own first.
        leaves: The sizes of shared leaves.
        turned: Will time run downward in the end? Then titles stand left of what they are above now.
        room: How long words on edges between columns may be.
        between: How far from one another lanes run.
        margin: Turned, how long titles and the names of branches may be.
    """
    gap = max(GAP, TRACK * (lanes.most + 1), TRACK * lanes.most + room + (GAP / 2 if room else 0.0))
    grid = Grid(lanes, gap, between)
    _widths(grid, blocks, inside, HEADER if turned else PAD)
    _heights(grid, blocks, inside, lines, leaves, margin)
    _trunks(grid, lines, leaves)
    _frames(grid, blocks, inside, turned, margin)
    return grid


def _widths(grid: Grid, blocks: Sequence[Block], inside: Mapping[int, BlockLayout], before: float) -> None:
    """Left and right of columns and blocks.

    What is on a band stands in the middle of its phase: where lines climb between the columns within one column, which
    makes room for it, and below all of them anywhere.
    """
    columns: dict[int, list[Block]] = {}
    timed: dict[int, list[int]] = {}  # of each phase, the columns of its steps
    for block in blocks:
        if not block.place.band:
            columns.setdefault(block.place.column, []).append(block)
        if block.in_time and block.place.column not in timed.setdefault(block.column.phase, [])[-1:]:
            timed[block.column.phase].append(block.place.column)
    widths = {column: max(inside[id(block)].width for block in those) for column, those in columns.items()}
    free: list[Block] = []
    for block in blocks:
        if block.place.band:
            steps = timed[block.column.phase]
            lowest = all(block.place.row < other.place.row for column in steps for other in columns[column])
            if lowest and inside[id(block)].width < sum(widths[c] + grid.gap for c in steps) - grid.gap:
                free.append(block)
            else:
                middle = steps[len(steps) // 2]
                columns[middle].append(block)
                widths[middle] = max(widths[middle], inside[id(block)].width)
    x = 0.0
    for column in sorted(columns):
        in_time = any(block.in_time for block in columns[column])
        right = x + (before + widths[column] + PAD if in_time else widths[column])
        for block in columns[column]:
            grid.origins[id(block)] = x + before * in_time + (widths[column] - inside[id(block)].width) / 2, 0.0
            grid.spans[id(block)] = x, right
        grid.left.append(x)
        grid.right.append(right)
        x = right + grid.gap
    number = {column: k for k, column in enumerate(sorted(columns))}
    for block in blocks:
        if block.place.band:
            steps = timed[block.column.phase]
            left, right = grid.spans[id(block)] = grid.left[number[steps[0]]], grid.right[number[steps[-1]]]
            if block in free:
                grid.origins[id(block)] = (left + right - inside[id(block)].width) / 2, 0.0


def _heights(
    grid: Grid,
    blocks: Sequence[Block],
    inside: Mapping[int, BlockLayout],
    lines: Mapping[int, Sequence[int]],
    leaves: Mapping[int, Size],
    margin: float,
) -> None:
    """From below, row by row: lines, blocks, lanes."""
    rows: dict[int, list[Block]] = {}
    topmost: dict[int, int] = {}
    lowest: dict[int, int] = {}
    for block in blocks:
        rows.setdefault(block.place.row, []).append(block)
        if block.in_time:
            phase, row = block.column.phase, block.place.row
            topmost[phase] = max(row, topmost.get(phase, row))
            lowest[phase] = min(row, lowest.get(phase, row))
    running: dict[int, list[int]] = {}
    for source, where in lines.items():
        for row in where:
            running.setdefault(row, []).append(source)
    y = 0.0
    for row in sorted(rows):
        for source in reversed(running.get(row, ())):
            high = leaves[source][1] if source in leaves and lines[source][0] == row else 2.0
            grid.lines[source, row] = y + high / 2
            y += high + BRANCH
        grid.floor[row] = y
        y += BRANCH + PAD + margin * (row in running or row in lowest.values())
        height = max(inside[id(block)].height for block in rows[row])
        for block in rows[row]:
            down = 0.0 if block.in_time else (height - inside[id(block)].height) / 2
            grid.origins[id(block)] = grid.origins[id(block)][0], y + down
        grid.ceiling[row] = y + height + PAD + HEADER * (row in topmost.values())
        y = grid.ceiling[row] + 2 * TRACK + grid.between * grid.lanes.above.get(row, 0)


def _trunks(grid: Grid, lines: Mapping[int, Sequence[int]], leaves: Mapping[int, Size]) -> None:
    """Shared leaves stand at the left, each at the beginning of its line; some climb to further rows."""
    climbing = [leaf for leaf in leaves if len(lines[leaf]) > 1]
    crowded = any(gap == 0 for _, gap in grid.lanes.track)  # do others climb left of the first column?
    edge = -grid.gap / (1 if crowded else 2) - TRACK * len(climbing)
    for leaf, (extent, _) in leaves.items():
        grid.leaves[leaf] = edge - extent / 2, grid.lines[leaf, lines[leaf][0]]
    for k, leaf in enumerate(climbing):
        grid.trunks[leaf] = edge + TRACK * (k + 1)


def _frames(
    grid: Grid, blocks: Sequence[Block], inside: Mapping[int, BlockLayout], turned: bool, margin: float
) -> None:
    """The frames of time steps, from the lowest to the highest row of their phase."""
    lowest: dict[int, float] = {}
    highest: dict[int, float] = {}
    for block in blocks:
        if block.in_time:
            phase, y = block.column.phase, grid.origins[id(block)][1]
            lowest[phase] = min(y, lowest.get(phase, y))
            highest[phase] = max(y + inside[id(block)].height, highest.get(phase, y))
    done: set[int] = set()
    for block in blocks:
        if block.in_time and block.place.column not in done:
            done.add(block.place.column)
            (left, right), phase = grid.spans[id(block)], block.column.phase
            low, high = lowest[phase] - PAD - margin, highest[phase] + PAD + (PAD if turned else HEADER)
            middle = (left + right) / 2, high - HEADER / 2
            if turned:
                middle = left + HEADER / 2, low + PAD / 2 + title_width(block.column.steps) / 2
            grid.columns.append(Column(block.column.steps, (left, low, right, high), middle))
    steps: dict[int, list[int]] = {}
    for block in blocks:
        if block.in_time and block.column.steps[0] not in steps.setdefault(block.column.phase, [])[-1:]:
            steps[block.column.phase].extend(block.column.steps)
    for block in blocks:
        if block.place.band:
            (left, right), (_, y) = grid.spans[id(block)], grid.origins[id(block)]
            low, high = y - PAD / 2, y + inside[id(block)].height + PAD / 2
            half = width(step_words(steps[block.column.phase]), NOTE_SIZE) / 2 + PAD / 2
            middle = (left + HEADER / 2, low + half) if turned else (left + half, high - HEADER / 2)
            grid.bands.append(Column(tuple(steps[block.column.phase]), (left, low, right, high), middle))
