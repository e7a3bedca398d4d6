"""How far edges lead through time."""

from __future__ import annotations

from collections.abc import Sequence

from .model import Edge, Graph
from .timeline import Timeline


def distances(graph: Graph, timeline: Timeline, index: Sequence[int | None]) -> list[int | None]:
    """For each edge between steps of one phase, from which to which it leads: in their own numbers, or in columns.

    All edges from one box to another are counted in that in which fewer differ. A state of two steps ago is two numbers
    away also where nothing uses what lies between, so that it has no column; but where a loop runs over moments such as
    3, 10 and 100, what was computed one step ago may be any number away.

    Args:
        index: For each vertex its box.
    """
    between: dict[tuple[int | None, int | None], tuple[set[int], set[int]]] = {}
    found = [_between(edge, timeline) for edge in graph.edges]
    for edge, each in zip(graph.edges, found, strict=True):
        if each is not None:
            known = between.setdefault((index[edge.source], index[edge.target]), (set(), set()))
            for those, distance in zip(known, each, strict=True):
                those.add(distance)
    in_columns = {ends: len(steps) > len(columns) for ends, (steps, columns) in between.items()}
    return [
        None if each is None else each[in_columns[index[edge.source], index[edge.target]]]
        for edge, each in zip(graph.edges, found, strict=True)
    ]


def _between(edge: Edge, timeline: Timeline) -> tuple[int, int] | None:
    """How far it leads in numbers of steps, and in columns."""
    start, end = timeline.places[edge.source], timeline.places[edge.target]
    if start is None or end is None or not (timeline.in_time(start) and timeline.in_time(end)):
        return None
    first, last = timeline.columns[start.column], timeline.columns[end.column]
    return (last.steps[0] - first.steps[0], end.column - start.column) if first.phase == last.phase else None
