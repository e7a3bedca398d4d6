"""What each view shows: every operation, a box for many, one place for many steps, a box for steps left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import replace

from .blocks import arrange
from .boxes import Box, boxes
from .copies import find_copies
from .fold import Folded, Folding, Inputs, Key
from .model import Edge, Graph
from .tags import Use, Where, find_uses, initial_states, is_product
from .timeline import Column, Place, Timeline, inputs_of_steps


def whole(graph: Graph, timeline: Timeline) -> Folded:
    """Nothing folded: each vertex and edge stands for itself."""
    vertices = tuple(replace(vertex, stands_for=(i,)) for i, vertex in enumerate(graph.vertices))
    edges = tuple(replace(edge, stands_for=(number,)) for number, edge in enumerate(graph.edges))
    return Folded(Graph(vertices, edges, graph.output), timeline)


def cells(graph: Graph, timeline: Timeline, kept: Collection[int] | None = None) -> Folded:
    """A box for each module and time step; shared leaves are written on the edges along which they act.

    Args:
        kept: The columns to draw. Other time steps are left out, each stretch of them and row one box.
    """
    if kept is None:
        return _modules(graph, timeline, timeline, {})
    drawn = _without(timeline, kept)
    return _modules(graph, timeline, drawn, _left_out(graph, timeline, drawn, kept))


def rolled(graph: Graph, timeline: Timeline) -> Folded:
    """A box for each module; edges from one step to another bear a delay."""
    return _modules(graph, timeline, _without(timeline, ()), {})


def without(graph: Graph, timeline: Timeline, kept: Collection[int]) -> Folded:
    """All operations of the time steps in the columns ``kept``, and one box for each stretch of others and row."""
    drawn = _without(timeline, kept)
    out = _left_out(graph, timeline, drawn, kept)
    keys = [out.get(i, i) for i in range(len(graph.vertices))]
    folding = Folding(graph, timeline, drawn, keys, range(len(keys)))
    return folding.folded([])


def _left_out(graph: Graph, timeline: Timeline, drawn: Timeline, kept: Collection[int]) -> dict[int, Place]:
    """The vertices of the steps that are not kept, with the leaves that they alone use, and where their box stands."""
    out: dict[int, Place] = {}
    for i, (before, now) in enumerate(zip(timeline.places, drawn.places, strict=True)):
        if before is not None and now is not None and timeline.in_time(before) and before.column not in kept:
            out[i] = now
    homes: dict[int, set[Place | None]] = {}  # of each leaf: the boxes of left-out steps that use it, or None
    for edge in graph.edges:
        if timeline.places[edge.source] is None:
            homes.setdefault(edge.source, set()).add(out.get(edge.target))
    for leaf, those in homes.items():
        home = those.pop() if len(those) == 1 else None
        if home is not None:
            out[leaf] = home
    return out


def _without(timeline: Timeline, kept: Collection[int]) -> Timeline:
    """The timeline with neighbouring steps in one column, but for the columns ``kept``."""
    columns: list[Column] = []
    column_of: list[int] = []
    for k, column in enumerate(timeline.columns):
        if k and column.steps and timeline.columns[k - 1].steps and not (k in kept or k - 1 in kept):
            columns[-1] = columns[-1]._replace(steps=columns[-1].steps + column.steps)
        else:
            columns.append(column)
        column_of.append(len(columns) - 1)
    places = (None if p is None else p._replace(column=column_of[p.column]) for p in timeline.places)
    return Timeline(tuple(columns), tuple(places))


def _put_in_roles(graph: Graph, timeline: Timeline, edges: Sequence[Edge], roles: list[int]) -> None:
    """Let inputs that several blocks of their step use be like those of other steps that are first used like them."""
    used: set[int] = set()
    count: Counter[Hashable] = Counter()
    like: dict[Hashable, int] = {}
    for edge in edges:
        place = timeline.places[edge.target]
        if edge.source not in used and place is not None:
            used.add(edge.source)
            target = graph.vertices[edge.target]
            use = target.path, target.operation, edge.argument, place.row
            count[place.column, use] += 1
            roles[edge.source] = like.setdefault((use, count[place.column, use]), edge.source)


def _modules(graph: Graph, timeline: Timeline, drawn: Timeline, out: Mapping[int, Place]) -> Folded:
    """A box for each module in each column of ``drawn``; what is left ``out`` is in the box of its place."""
    box_of = boxes(graph, timeline)
    initial = initial_states(graph)
    states = {graph.edges[number].source for number in initial}
    inputs = inputs_of_steps(graph, timeline)
    users: dict[int, dict[int, Box | None]] = {}  # of each leaf: its uses that may be a weight's, and by whom
    for number, edge in enumerate(graph.edges):
        is_state = number in initial or (edge.source in states and not is_product(graph, edge))
        if timeline.places[edge.source] is None and not is_state and edge.source not in inputs:
            users.setdefault(edge.source, {})[number] = box_of[edge.target]
    shared = {leaf: uses for leaf, uses in users.items() if len(set(uses.values())) > 1}
    leaves = shared.keys() - states
    written = {number for uses in shared.values() for number in uses}
    arrangement = arrange(graph, timeline)
    find_copies(graph, arrangement)
    roles = [arrangement.original_of(i) for i in range(len(graph.vertices))]
    between = [edge for edge in graph.edges if edge.source in inputs and arrangement.block_of[edge.source] is None]
    _put_in_roles(graph, timeline, between, roles)
    once = {i for i, count in Counter(roles).items() if count > 1}  # those that others take the place of
    keys: list[Key | None] = []
    for i, (box, place) in enumerate(zip(box_of, drawn.places, strict=True)):
        if box is None or place is None:
            alike = len(drawn.columns) < len(timeline.columns) and not out and roles[i] in once
            keys.append(None if i in leaves else Inputs(roles[i]) if alike else i)
        else:
            keys.append(box._replace(place=place))
    uses = find_uses(graph, keys, roles, written)
    keys = [key if i in leaves else out.get(i, key) for i, key in enumerate(keys)]
    folding = Folding(graph, timeline, drawn, keys, roles, states, written)
    return folding.folded([Use(use.edge, Where.BOX) if graph.edges[use.edge].target in out else use for use in uses])
