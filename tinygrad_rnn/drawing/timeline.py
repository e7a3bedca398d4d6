"""Where in time each operation stands: its column and its row, found from the steps that were recorded.

Operations recorded under a step belong to a *loop* (``loops``): one pass over them, forward or backward. A loop that
only needs what another one has come to in the end, as a decoder needs its encoder's last state, comes after it in time:
a new *phase*, whose steps stand to the right. All others, further layers and directions, share the phase's columns and
stand in rows one above the other. What was recorded outside time stands left of a phase or right of it; but what
gathers the outputs of all steps below, or feeds all steps above, one product for the inputs of all steps for example,
is a *band* across the columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from .loops import Loop, find_loops
from .model import Edge, Graph

Reach: TypeAlias = dict[int, tuple[int, int]]  # for each loop, the first and the last of its steps, as numbered there


class Place(NamedTuple):
    """Where an operation stands.

    Attributes:
        column, row: Counted from the left, and from below; of a band the first column of its phase.
        band: Does it stand across all columns of the phase?
    """

    column: int
    row: int
    band: bool = False


class Column(NamedTuple):
    """One column of the picture.

    Attributes:
        phase: For what is outside time, the phase to the right.
        steps: The time steps it stands for, in order; empty outside time.
    """

    phase: int
    steps: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Timeline:
    """Columns from left to right, and the place of each operation (None for a leaf)."""

    columns: tuple[Column, ...]
    places: tuple[Place | None, ...]

    def in_time(self, place: Place) -> bool:
        """Is it the place of a time step?"""
        return bool(self.columns[place.column].steps) and not place.band


def columns_of_users(graph: Graph, time: Timeline) -> dict[int, set[int | None]]:
    """For each leaf the columns of the steps that use it; None for what is outside time."""
    users: dict[int, set[int | None]] = {}
    for edge in graph.edges:
        place = time.places[edge.target]
        if graph.vertices[edge.source].operation is None and place is not None:
            users.setdefault(edge.source, set()).add(place.column if time.in_time(place) else None)
    return users


def inputs_of_steps(graph: Graph, time: Timeline) -> set[int]:
    """The leaves that one of several time steps alone uses: they are its inputs, all others may be weights."""
    if sum(bool(column.steps) for column in time.columns) == 1:
        return set()
    users = columns_of_users(graph, time)
    return {leaf for leaf, where in users.items() if len(where) == 1 and where != {None}}


def timeline(graph: Graph) -> Timeline:
    """Find the place of everything, in linear time (but for one sort)."""
    incoming: list[list[Edge]] = [[] for _ in graph.vertices]
    for edge in graph.edges:
        incoming[edge.target].append(edge)
    loop_of, loops = find_loops(graph)
    past = _past(graph, incoming, loop_of, loops)
    future = _future(graph, loop_of, loops)
    _stack(graph, loop_of, loops, past)
    return _placed(graph, loop_of, loops, past, future)


def _past(graph: Graph, incoming: list[list[Edge]], loop_of: list[int | None], loops: list[Loop]) -> list[Reach]:
    """For each operation outside time, the steps whose results it uses, directly or through others outside time."""
    past: list[Reach] = [{} for _ in graph.vertices]
    for i, loop in enumerate(loop_of):
        if loop is None:
            past[i] = _united(_steps_of(graph, edge.source, loop_of, loops, past) for edge in incoming[i])
    return past


def _future(graph: Graph, loop_of: list[int | None], loops: list[Loop]) -> list[Reach]:
    """For each operation outside time, the steps that use its result, directly or through others outside time."""
    future: list[Reach] = [{} for _ in graph.vertices]
    for edge in reversed(graph.edges):  # by target: what comes after a target is done
        if loop_of[edge.source] is None:
            reached = _steps_of(graph, edge.target, loop_of, loops, future)
            future[edge.source] = _united((future[edge.source], reached))
    return future


def _steps_of(graph: Graph, i: int, loop_of: list[int | None], loops: list[Loop], outside: list[Reach]) -> Reach:
    loop, step = loop_of[i], graph.vertices[i].step
    if loop is None or step is None:
        return outside[i]
    number = loops[loop].number[step]
    return {loop: (number, number)}


def _united(parts: Iterable[Reach]) -> Reach:
    united: Reach = {}
    shared = False  # is ``united`` one of the parts, which must stay as it is?
    for part in parts:
        if not part or part is united:
            continue
        if not united:
            united, shared = part, True
            continue
        if shared:
            united, shared = dict(united), False
        for loop, (low, high) in part.items():
            known = united.get(loop, (low, high))
            united[loop] = min(known[0], low), max(known[1], high)
    return united


def _stack(graph: Graph, loop_of: list[int | None], loops: list[Loop], past: list[Reach]) -> None:
    """Give each loop its phase, and its level there."""
    for edge in graph.edges:  # by target: the loops that it came from have their phases
        target = loop_of[edge.target]
        if target is None or loop_of[edge.source] == target:
            continue
        step = graph.vertices[edge.target].step
        for source, (low, high) in _steps_of(graph, edge.source, loop_of, loops, past).items():
            if source != target:
                later = low == high and _comes_after(loops[target], step, loops[source], low)
                loops[target].phase = max(loops[target].phase, loops[source].phase + later)
    levels: dict[int, int] = {}
    for loop in loops:
        loop.level = levels.get(loop.phase, 0)
        levels[loop.phase] = loop.level + 1


def _comes_after(loop: Loop, step: int | None, other: Loop, number: int) -> bool:
    """Does ``loop`` come after the other one, of which it uses, in one of its steps, one step's result?"""
    if loop.around or other.around:
        return True
    if len(other.steps) == 1:  # its first step is its last: only the names of modules tell
        return {path.rpartition("/")[0] for path in loop.paths} != {path.rpartition("/")[0] for path in other.paths}
    return number == len(other.steps) - 1 and step != other.steps[-1]


def _placed(
    graph: Graph, loop_of: list[int | None], loops: list[Loop], past: list[Reach], future: list[Reach]
) -> Timeline:
    phases = 1 + max((loop.phase for loop in loops), default=-1)
    steps: list[set[int]] = [set() for _ in range(phases)]
    for loop in loops:
        steps[loop.phase].update(loop.number)
    columns: list[Column] = []
    column_of: dict[tuple[int, int], int] = {}
    before: list[int] = []  # of each phase, and one for what comes after the last: the column on its left
    for phase in range(phases + 1):
        before.append(len(columns))
        columns.append(Column(phase))
        for step in sorted(steps[phase]) if phase < phases else ():
            column_of[phase, step] = len(columns)
            columns.append(Column(phase, (step,)))
    wished: list[tuple[int, float, bool] | None] = []  # column, height, band
    for i, vertex in enumerate(graph.vertices):
        own, at = loop_of[i], vertex.step
        if vertex.operation is None:
            wished.append(None)
        elif own is not None and at is not None:
            wished.append((column_of[loops[own].phase, at], loops[own].level, False))
        else:
            wished.append(_outside(past[i], future[i], loops, before, column_of))
    heights = sorted({where[1] for where in wished if where is not None})
    row_of = {height: row for row, height in enumerate(heights)}
    places = (None if w is None else Place(w[0], row_of[w[1]], w[2]) for w in wished)
    return Timeline(tuple(columns), tuple(places))


def _outside(
    past: Reach, future: Reach, loops: list[Loop], before: list[int], column_of: Mapping[tuple[int, int], int]
) -> tuple[int, float, bool]:
    """Column, height and whether it is a band, of what was recorded outside time; a band is below a loop's level."""
    both = [loop for loop in past if loop in future]
    if both:  # between two steps of one loop: it stands with the later of those that it comes from
        latest = loops[max(both)]
        return column_of[latest.phase, latest.steps[past[max(both)][1]]], latest.level, False
    source = max((loops[loop].phase for loop in past), default=-1)
    levels = [loops[loop].level for loop in past if loops[loop].phase == source]
    if not future:
        top = max((loop.level for loop in loops if loop.phase == len(before) - 2), default=0)
        return before[-1], max(levels, default=top), False
    target = min(loops[loop].phase for loop in future)
    fed = [loop for loop in future if loops[loop].phase == target]
    lowest = min(loops[loop].level for loop in fed)
    if source == target:
        step = _single_step(past, future, loops)
        if step is not None:
            return column_of[target, step], lowest, False
    elif source >= 0 or all(future[loop][0] == future[loop][1] for loop in fed):
        return before[source + 1 if source >= 0 else target], max(levels, default=lowest), False
    return before[target] + 1, lowest - 0.5, True


def _single_step(past: Reach, future: Reach, loops: list[Loop]) -> int | None:
    """The one step that what lies between two loops belongs to, if there is only one."""
    steps = {loops[loop].steps[k] for loop, ends in (*past.items(), *future.items()) for k in ends}
    return steps.pop() if len(steps) == 1 else None
