"""The loops that a graph was recorded by: who runs over time steps, and whether one loop runs within another.

Operations recorded under a step belong to a *pass* over time steps: those of one module, forward or backward. Passes of
several modules that were made in turns, a step of one and a step of the other, are one loop. Where one loop runs within
another, its passes begin anew in each step of that one, whose own steps are not the same moments even where they have
the same numbers: what the outer loop does between two passes of the inner one is a loop of its own.
"""

from __future__ import annotations

from bisect import bisect
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from .model import Graph


@dataclass(slots=True)
class Loop:
    """One pass over time steps.

    Attributes:
        number: For each step, the how manieth it was.
        steps: In the order in which they were made.
        around: Is it what a longer loop does between passes of one within it?
    """

    paths: set[str] = field(default_factory=set)
    number: dict[int, int] = field(default_factory=dict)
    steps: list[int] = field(default_factory=list)
    phase: int = 0
    level: int = 0
    around: bool = False


@dataclass(slots=True)
class _Pass:
    """What one module does over time steps in one direction.

    Attributes:
        operations: In order of creation.
        steps: Those of the operations.
        first, last: From here to there, what else was recorded shares the pass's moments.
        around: As in a loop.
    """

    path: str
    operations: list[int] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    first: int = 0
    last: int = 0
    around: bool = False


def find_loops(graph: Graph) -> tuple[list[int | None], list[Loop]]:
    """The loop of each operation (None: outside time), and the loops in order of creation."""
    loop_of: list[int | None] = [None] * len(graph.vertices)
    loops: list[Loop] = []
    end = -1  # of the loop so far
    for one in sorted(_parted(_passes(graph)), key=lambda one: (one.first, one.operations)):
        if one.first > end:
            loops.append(Loop())
        end = max(end, one.last)
        loops[-1].paths.add(one.path)
        loops[-1].around |= one.around
        for i in one.operations:
            loop_of[i] = len(loops) - 1
    for i, k in enumerate(loop_of):
        step = graph.vertices[i].step
        if k is not None and step is not None and step not in loops[k].number:
            loops[k].number[step] = len(loops[k].steps)
            loops[k].steps.append(step)
    return loop_of, loops


def _passes(graph: Graph) -> list[_Pass]:
    """In order of creation. The steps of one pass follow one another in one direction."""
    passes: list[_Pass] = []
    latest: dict[str, tuple[_Pass, int]] = {}  # of each path: its last pass, and the direction
    between = _modules_between(graph)
    for i, vertex in enumerate(graph.vertices):
        step, path = vertex.step, vertex.path
        if vertex.operation is None or step is None:
            continue
        one, direction = latest.get(path, (None, 0))
        turn = 0 if one is None else (step > one.steps[-1]) - (step < one.steps[-1])
        others = [latest[other][0] for other in between.get(path, ()) if other in latest]
        again = one is not None and not turn and any(other.last > one.last for other in others)
        if one is None or turn * direction < 0 or again:
            one, direction, turn = _Pass(path, first=i), 0, 0
            passes.append(one)
        one.operations.append(i)
        one.steps.append(step)
        one.last = i
        latest[path] = one, turn or direction
    return passes


def _modules_between(graph: Graph) -> dict[str, set[str]]:
    """For each path those that move on in time between what it does at a step, and at the same again: it begins anew.

    They move in one direction: of two modules that both begin anew, this does not tell which one is the outer.
    """
    between: dict[str, set[str]] = {}
    ways: dict[str, set[bool]] = {}  # of each path: does it move forward, or backward?
    latest: dict[str, tuple[int, int]] = {}  # of each path: its last operation, and the step of that
    last: tuple[int, str, int] | None = None  # of all: operation, path and step
    differs = -1, ""  # the last of another step than that, and its path
    for i, vertex in enumerate(graph.vertices):
        step, path = vertex.step, vertex.path
        if vertex.operation is None or step is None:
            continue
        if last is not None and last[2] != step:
            differs = last[:2]
        before, own = latest.get(path, (i, step))
        if own != step:
            ways.setdefault(path, set()).add(step > own)
        elif differs[0] > before:
            between.setdefault(path, set()).add(differs[1])
        latest[path], last = (i, step), (i, path, step)
    steady = {path for path, found in ways.items() if len(found) == 1}
    return {path: those & steady for path, those in between.items()}


def _parted(passes: Sequence[_Pass]) -> Iterator[_Pass]:
    """The same, but those of outer loops in parts: what was done between one inner pass and the next."""
    inner = _inner(passes)
    for k, one in enumerate(passes):
        within = inner.get(k, [])
        begins, ends = [other.first for other in within], list(accumulate((other.last for other in within), max))
        parts: dict[int, _Pass] = {}
        for i, step in zip(one.operations, one.steps, strict=True):
            gap = bisect(begins, i)
            part = parts.setdefault(gap, _Pass(one.path, around=bool(within)))
            part.operations.append(i)
            part.steps.append(step)
        for gap, part in parts.items():
            part.first = ends[gap - 1] + 1 if gap else one.first
            part.last = begins[gap] - 1 if gap < len(begins) else one.last
            yield part


def _inner(passes: Sequence[_Pass]) -> dict[int, list[_Pass]]:
    """For each pass of an outer loop, by its number, the passes of the loops within it.

    A pass lies within one that did something before it and after it, but nothing meanwhile. They are of one loop, a
    module used in a part of the steps for example, if the other's steps before and after are not past its own, and the
    module does not begin anew.
    """
    anew = Counter(one.path for one in passes)
    candidates: dict[int, list[_Pass]] = {}
    modules: dict[int, set[str]] = {}
    longer: list[int] = []
    for k, one in enumerate(passes):
        longer = [j for j in longer if passes[j].last > one.first]
        for j in longer:
            other = passes[j]
            begin, end = bisect(other.operations, one.first), bisect(other.operations, one.last)
            if begin == end:  # and what it did last comes after
                candidates.setdefault(j, []).append(one)
                several = one.steps[0] != one.steps[-1]
                forth = 1 if _rises(one if several else other) else -1
                ahead = forth * (other.steps[begin - 1] - one.steps[0]) > 0
                behind = forth * (other.steps[end] - one.steps[-1]) < 0
                if ahead or behind or (several and anew[one.path] > 1):
                    modules.setdefault(j, set()).add(one.path)
        longer.append(k)
    return {j: [one for one in candidates[j] if one.path in paths] for j, paths in modules.items()}


def _rises(one: _Pass) -> bool:
    return one.steps[-1] > one.steps[0]
