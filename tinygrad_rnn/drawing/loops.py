"""The loops that a graph was recorded by: who runs over time steps, and whether one loop runs within another.

Operations recorded under a step belong to a *pass* over time steps: those of one module, forward or backward. Passes of
several modules that were made in turns, a step of one and a step of the other, are one loop. Where one loop runs within
another, its passes begin anew in each step of that one, whose own steps are not the same moments even where they have
the same numbers: what the outer loop does between two passes of the inner one is a loop of its own. Steps recorded
within steps say so themselves; others are told by the order in which things were done.
"""

from __future__ import annotations

from bisect import bisect
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TypeAlias

from .model import Graph

Module: TypeAlias = tuple[str, tuple[int, ...]]  # a path, within which steps of the loops around


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
        within: The steps of the loops around, as far as they were recorded.
        operations: In order of creation.
        steps: Those of the operations.
        first, last: From here to there, what else was recorded shares the pass's moments.
        around: As in a loop.
    """

    path: str
    within: tuple[int, ...]
    operations: list[int] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    first: int = 0
    last: int = 0
    around: bool = False

    @property
    def module(self) -> Module:
        """Whose it is."""
        return self.path, self.within

    def is_within(self, other: _Pass) -> bool:
        """Were its steps recorded within the other's?"""
        depth = len(other.within)
        return len(self.within) > depth and self.within[:depth] == other.within


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
    latest: dict[Module, tuple[_Pass, int]] = {}  # of each module: its last pass, and the direction
    modules = _modules(graph)
    between = _modules_between(graph, modules)
    for i, (vertex, module) in enumerate(zip(graph.vertices, modules, strict=True)):
        step = vertex.step
        if module is None or step is None:
            continue
        one, direction = latest.get(module, (None, 0))
        turn = 0 if one is None else (step > one.steps[-1]) - (step < one.steps[-1])
        others = [latest[other][0] for other in between.get(module, ()) if other in latest]
        again = one is not None and not turn and any(other.last > one.last for other in others)
        if one is None or turn * direction < 0 or again:
            one, direction, turn = _Pass(*module, first=i), 0, 0
            passes.append(one)
        one.operations.append(i)
        one.steps.append(step)
        one.last = i
        latest[module] = one, turn or direction
    return passes


def _modules(graph: Graph) -> list[Module | None]:
    """Whose each operation in time is."""
    return [
        None if vertex.operation is None or vertex.step is None else (vertex.path, vertex.within)
        for vertex in graph.vertices
    ]


def _modules_between(graph: Graph, modules: Sequence[Module | None]) -> dict[Module, set[Module]]:
    """For each module those that move on in time between what it does at a step, and at the same again: it begins anew.

    They move in one direction: of two modules that both begin anew, this does not tell which one is the outer.
    """
    between: dict[Module, set[Module]] = {}
    ways: dict[Module, set[bool]] = {}  # of each module: does it move forward, or backward?
    latest: dict[Module, tuple[int, int]] = {}  # of each module: its last operation, and the step of that
    last: dict[tuple[int, ...], tuple[int, Module, int]] = {}  # of all within the same steps: operation, module, step
    differs: dict[tuple[int, ...], tuple[int, Module]] = {}  # the last of another step than that, and its module
    for i, (vertex, module) in enumerate(zip(graph.vertices, modules, strict=True)):
        step = vertex.step
        if module is None or step is None:
            continue
        _, within = module
        if within in last and last[within][2] != step:
            differs[within] = last[within][:2]
        before, own = latest.get(module, (i, step))
        if own != step:
            ways.setdefault(module, set()).add(step > own)
        elif within in differs and differs[within][0] > before:
            between.setdefault(module, set()).add(differs[within][1])
        latest[module], last[within] = (i, step), (i, module, step)
    steady = {module for module, found in ways.items() if len(found) == 1}
    return {module: those & steady for module, those in between.items()}


def _parted(passes: Sequence[_Pass]) -> Iterator[_Pass]:
    """The same, but those of outer loops in parts: what was done between one inner pass and the next.

    What was done during an inner pass, in a step of the outer loop but in none of the inner one, is in no part: it is
    as if it had been recorded outside time.
    """
    inner = _inner(passes)
    for k, one in enumerate(passes):
        within = inner.get(k, [])
        begins, ends = [other.first for other in within], list(accumulate((other.last for other in within), max))
        parts: dict[int, _Pass] = {}
        for i, step in zip(one.operations, one.steps, strict=True):
            gap = bisect(begins, i)
            if gap and i < ends[gap - 1]:
                continue
            part = parts.setdefault(gap, _Pass(one.path, one.within, around=bool(within)))
            part.operations.append(i)
            part.steps.append(step)
        for gap, part in parts.items():
            part.first = ends[gap - 1] + 1 if gap else one.first
            part.last = begins[gap] - 1 if gap < len(begins) else one.last
            yield part


def _inner(passes: Sequence[_Pass]) -> dict[int, list[_Pass]]:
    """For each pass of an outer loop, by its number, the passes of the loops within it.

    Its steps may have been recorded within the other's. Otherwise, a pass lies within one that did something before it
    and after it, but nothing meanwhile. They are of one loop, a module used in a part of the steps for example, if the
    other's steps before and after are not past its own, and the module does not begin anew.
    """
    anew = Counter(one.module for one in passes)
    candidates: dict[int, list[_Pass]] = {}
    modules: dict[int, set[Module]] = {}
    longer: list[int] = []
    for k, one in enumerate(passes):
        longer = [j for j in longer if passes[j].last > one.first]
        for j in longer:
            other = passes[j]
            if one.within != other.within:
                for outer, inside in ((j, one), (k, other)):
                    if inside.is_within(passes[outer]):
                        candidates.setdefault(outer, []).append(inside)
                        modules.setdefault(outer, set()).add(inside.module)
                continue
            begin, end = bisect(other.operations, one.first), bisect(other.operations, one.last)
            if begin == end:  # and what it did last comes after
                candidates.setdefault(j, []).append(one)
                several = one.steps[0] != one.steps[-1]
                forth = 1 if _rises(one if several else other) else -1
                ahead = forth * (other.steps[begin - 1] - one.steps[0]) > 0
                behind = forth * (other.steps[end] - one.steps[-1]) < 0
                if ahead or behind or (several and anew[one.module] > 1):
                    modules.setdefault(j, set()).add(one.module)
        longer.append(k)
    return {j: [one for one in candidates[j] if one.module in those] for j, those in modules.items()}


def _rises(one: _Pass) -> bool:
    return one.steps[-1] > one.steps[0]
