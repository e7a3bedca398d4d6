"""Which operations one box stands for, where a picture shows modules rather than operations.

In a time step each module is a box, with all that is inside it: ``cell`` holds ``cell/gate`` if ``cell`` itself has
operations. What stands between modules, recorded at the path that all have in common, is a box for each set of modules
that it follows. Where there is no module, the whole step is one box. Outside time modules are boxes, and all else stays
as it is. Boxes that use each other's results back and forth within a step become one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

from .model import Graph
from .timeline import Place, Timeline

Path: TypeAlias = tuple[str, ...]


class Box(NamedTuple):
    """What tells one box from all others.

    Attributes:
        path: The module's, below what all have in common; () between modules.
        after: Between modules, those of the same step that it follows.
        operation: For what stands alone, which one it is.
    """

    place: Place
    path: Path
    after: frozenset[Path] = frozenset()
    operation: int | None = None


def path_of(words: str) -> Path:
    """The segments of a module path."""
    return tuple(segment for segment in words.split("/") if segment)


def shared(paths: Sequence[Path]) -> int:
    """How many segments all these paths begin with."""
    if not paths:
        return 0
    first, last = min(paths), max(paths)
    return next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))


def boxes(graph: Graph, timeline: Timeline) -> list[Box | None]:
    """The box of each operation; None for a leaf."""
    paths = [path_of(vertex.path) for vertex in graph.vertices]
    timed = [place is not None and timeline.in_time(place) for place in timeline.places]
    common = shared([path for path, inside in zip(paths, timed, strict=True) if inside])
    answer: list[Box | None] = []
    modules = {path[common:] for path, inside in zip(paths, timed, strict=True) if inside}
    for i, place in enumerate(timeline.places):
        if place is None:
            answer.append(None)
        elif timed[i]:
            answer.append(Box(place, _module(paths[i][common:], modules)))
        else:
            answer.append(Box(place, paths[i]) if paths[i] else Box(place, (), operation=i))
    _tell_apart(graph, answer, timed, [path[max(common - 1, 0) : common] for path in paths])
    joined = _joined(graph, answer)
    return [None if box is None else joined.get(_anywhere(box), box)._replace(place=box.place) for box in answer]


def _module(path: Path, modules: set[Path]) -> Path:
    """The outermost module with operations of its own that a path lies in."""
    return next((path[:k] for k in range(1, len(path) + 1) if path[:k] in modules), ())


def _tell_apart(graph: Graph, answer: list[Box | None], timed: Sequence[bool], around: Sequence[Path]) -> None:
    """What stands between modules is told apart by those of its step that it follows.

    Where there are none, the step is the module ``around`` it.
    """
    single = {box.place.row for box in answer if box is not None} - {
        box.place.row for box in answer if box is not None and box.path
    }
    follows: list[frozenset[Path]] = [frozenset()] * len(answer)
    for edge in graph.edges:  # by target: sources are done
        source, target = answer[edge.source], answer[edge.target]
        if source is not None and target is not None and source.place == target.place and timed[edge.target]:
            own = frozenset((source.path,)) if source.path else frozenset()
            follows[edge.target] |= follows[edge.source] | own
    for i, box in enumerate(answer):
        if box is not None and timed[i] and not box.path:
            alone = box.place.row in single
            answer[i] = box._replace(path=around[i]) if alone else box._replace(after=follows[i])


def _anywhere(box: Box) -> Box:
    """A box as it is in every time step."""
    return box._replace(place=Place(-1, box.place.row, box.place.band)) if box.operation is None else box


def _joined(graph: Graph, answer: Sequence[Box | None]) -> Mapping[Box, Box]:
    """For boxes that use each other's results back and forth within a step, the one that they become."""
    uses: dict[Box, set[Box]] = {}
    for edge in graph.edges:
        source, target = answer[edge.source], answer[edge.target]
        if source is not None and target is not None and source.place == target.place and source != target:
            uses.setdefault(_anywhere(target), set()).add(_anywhere(source))
    joined: dict[Box, Box] = {}
    for circle in _circles(uses):
        whole = min(circle, key=lambda box: (len(box.path), box.path, sorted(box.after), box.operation or 0))
        path = whole.path[: shared([box.path for box in circle])]
        joined |= dict.fromkeys(circle, whole._replace(path=path, after=frozenset()))
    return joined


def _circles(uses: Mapping[Box, set[Box]]) -> list[list[Box]]:
    """The strongly connected components of more than one box (Tarjan, 1972; no recursion)."""
    number: dict[Box, int] = {}
    low: dict[Box, int] = {}
    open_: dict[Box, None] = {}
    found: list[list[Box]] = []
    for root in uses:
        waiting = [(root, iter(uses[root]))] if root not in number else []
        if waiting:
            number[root] = low[root] = len(number)
            open_[root] = None
        while waiting:
            box, rest = waiting[-1]
            for other in rest:
                if other not in number:
                    number[other] = low[other] = len(number)
                    open_[other] = None
                    waiting.append((other, iter(uses.get(other, ()))))
                    break
                if other in open_:
                    low[box] = min(low[box], number[other])
            else:
                waiting.pop()
                if waiting:
                    low[waiting[-1][0]] = min(low[waiting[-1][0]], low[box])
                if low[box] == number[box]:
                    circle: list[Box] = []
                    while not circle or circle[-1] != box:
                        last, _ = open_.popitem()
                        circle.append(last)
                    if len(circle) > 1:
                        found.append(circle)
    return found
