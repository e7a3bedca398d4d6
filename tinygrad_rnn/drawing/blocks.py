"""Which part of a graph goes into which block of the picture, and which blocks are copies of one step.

A block is a time step, or what was recorded outside time: before the loop, or after it. Steps that do the same are laid
out once, so that the same operation stands in the same place in all of them. Often the first step does a little less
than the others (its state is a constant, from which nothing is recorded), or the last a little more (only its output is
used): such a step takes the places of the fullest one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, TypeAlias

from .model import Edge, Graph


@dataclass(slots=True)
class Block:
    """Vertices that stand together.

    Attributes:
        step: The time step; None outside time.
        operations: In order of creation.
        leaves: Those used in this block only, in order of first use.
        copies: The block whose layout this one takes; None: it has its own.
        places: For each vertex here, which vertex of that block it takes the place of.
    """

    step: int | None = None
    operations: list[int] = field(default_factory=list)
    leaves: list[int] = field(default_factory=list)
    copies: Block | None = None
    places: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Arrangement:
    """A graph in blocks, from left to right.

    Attributes:
        block_of: For each vertex the index of its block; None for a shared leaf.
        shared: The leaves used in more than one block: parameters, mostly.
        incoming: For each vertex the edges that end there.
    """

    blocks: list[Block]
    block_of: list[int | None]
    shared: list[int]
    incoming: list[list[Edge]]


def arrange(graph: Graph) -> Arrangement:
    """Sort a graph into blocks, in linear time."""
    incoming: list[list[Edge]] = [[] for _ in graph.vertices]
    for edge in graph.edges:
        incoming[edge.target].append(edge)
    steps = sorted({v.step for v in graph.vertices if v.operation is not None and v.step is not None})
    blocks = [Block(), *(Block(step) for step in steps), Block()]
    columns = _columns(graph, {step: i for i, step in enumerate(steps, start=1)})
    block_of: list[int | None] = list(columns)
    for i, vertex in enumerate(graph.vertices):
        if vertex.operation is not None:
            blocks[columns[i]].operations.append(i)
    used_in: dict[int, set[int]] = {}  # for each leaf, in order of first use
    for edge in graph.edges:
        if graph.vertices[edge.source].operation is None:
            used_in.setdefault(edge.source, set()).add(columns[edge.target])
    if graph.vertices[graph.output[0]].operation is None:
        used_in[graph.output[0]] = {0}  # the drawn tensor is itself a leaf
    shared = [leaf for leaf, where in used_in.items() if len(where) > 1]
    for leaf, where in used_in.items():
        if len(where) == 1:
            (block_of[leaf],) = where
            blocks[min(where)].leaves.append(leaf)
        else:
            block_of[leaf] = None
    arrangement = Arrangement(blocks, block_of, shared, incoming)
    _find_copies(graph, arrangement)
    return arrangement


def _columns(graph: Graph, column_of: dict[int, int]) -> list[int]:
    """For each vertex its block: 0 is before the loop, the last one after it.

    What was recorded outside time but between steps (a body only partly under ``tg.scope``, the way from an encoder to
    a decoder) stands with the latest step that it was computed from.
    """
    after = len(column_of) + 1
    own = [None if v.operation is None else v.step for v in graph.vertices]  # of a leaf only its use counts
    latest = [0] * len(own)  # the last step among what a vertex was computed from
    leads_into_time = [False] * len(own)
    for edge in graph.edges:  # by target, in order of creation: sources are done
        step = own[edge.source]
        latest[edge.target] = max(latest[edge.target], latest[edge.source], 0 if step is None else column_of[step])
    for edge in reversed(graph.edges):
        leads_into_time[edge.source] |= leads_into_time[edge.target] or own[edge.target] is not None
    return [
        column_of[step] if step is not None else latest[i] if leads_into_time[i] else after
        for i, step in enumerate(own)
    ]


class _Kind(Enum):
    """Where an operation's argument comes from, as seen from its block."""

    OPERATION = 0
    LEAF = 1
    SHARED = 2
    ELSEWHERE = 3


class _Input(NamedTuple):
    argument: int
    kind: _Kind
    which: int  # within the block for its own vertices, within the graph for shared leaves
    result: int | None


class _Operation(NamedTuple):
    name: str | None
    path: int  # which of the block's module paths, numbered in order of appearance
    inputs: tuple[_Input, ...]


_Wiring: TypeAlias = tuple[_Operation, ...]
_TRIED = 8  # different steps that a further one is compared with


def _find_copies(graph: Graph, arrangement: Arrangement) -> None:
    """Let each step take the layout of the fullest step that it fits into."""
    wired: dict[_Wiring, list[int]] = {}
    for i, block in enumerate(arrangement.blocks):
        if block.step is not None:
            wired.setdefault(_wiring(graph, arrangement, i), []).append(i)
    fullest_first = sorted(wired, key=lambda wiring: (-len(wiring), -_from_elsewhere(wiring), wired[wiring][0]))
    originals: list[tuple[_Wiring, Block]] = []
    for wiring in fullest_first:
        steps = [arrangement.blocks[i] for i in wired[wiring]]
        fits = ((fit, original) for known, original in originals[:_TRIED] if (fit := _fit(wiring, known)) is not None)
        fit, original = next(fits, (_same(steps[0]), steps[0]))
        if original is steps[0]:
            originals.append((wiring, original))
        for block in steps:
            if block is not original:
                _copy(arrangement, block, original, fit)


def _from_elsewhere(wiring: _Wiring) -> int:
    return sum(source.kind is _Kind.ELSEWHERE for operation in wiring for source in operation.inputs)


def _wiring(graph: Graph, arrangement: Arrangement, i: int) -> _Wiring:
    """What a block does, in terms that are equal for steps that do the same."""
    block = arrangement.blocks[i]
    number = {v: k for k, v in enumerate(block.operations)} | {v: k for k, v in enumerate(block.leaves)}
    paths: dict[str, int] = {}
    wiring = []
    for v in block.operations:
        inputs = []
        for edge in arrangement.incoming[v]:
            if arrangement.block_of[edge.source] is None:
                kind, which = _Kind.SHARED, edge.source
            elif arrangement.block_of[edge.source] != i:
                kind, which = _Kind.ELSEWHERE, 0
            else:
                kind = _Kind.LEAF if graph.vertices[edge.source].operation is None else _Kind.OPERATION
                which = number[edge.source]
            inputs.append(_Input(edge.argument, kind, which, edge.result if kind is not _Kind.ELSEWHERE else None))
        vertex = graph.vertices[v]
        path = paths.setdefault(vertex.path, len(paths))
        wiring.append(_Operation(vertex.operation, path, tuple(inputs)))
    return tuple(wiring)


class _Fit(NamedTuple):
    """Which operation, and which leaf, of another block each one here corresponds to."""

    operations: list[int]
    leaves: dict[int, int]


def _same(block: Block) -> _Fit:
    """How a block corresponds to one that is wired as it is."""
    return _Fit(list(range(len(block.operations))), {k: k for k in range(len(block.leaves))})


_BEFORE = -1  # instead of a leaf: it stands where the other step has what an earlier one computed, an initial state


def _fit(wiring: _Wiring, known: _Wiring) -> _Fit | None:
    """Find ``wiring`` within ``known``: the same operations in the same order, some perhaps missing."""
    fit = _Fit([], {})
    paths: dict[int, int] = {}
    k = -1
    for operation in wiring:
        k += 1
        while k < len(known) and not _corresponds(operation, known[k], fit):
            k += 1
        if k == len(known) or paths.setdefault(operation.path, known[k].path) != known[k].path:
            return None
        fit.operations.append(k)
    places = [place for place in fit.leaves.values() if place != _BEFORE]
    return fit if len(set(places)) == len(places) and len(set(paths.values())) == len(paths) else None


def _corresponds(operation: _Operation, other: _Operation, fit: _Fit) -> bool:
    """Can ``operation`` take the place of ``other``, given what was found so far?"""
    others = {source.argument: source for source in other.inputs}
    leaves: dict[int, int] = {}
    if operation.name != other.name:
        return False
    for source in operation.inputs:
        match = others.get(source.argument)
        if match is None or not _agrees(source, match, fit, leaves):
            return False
    fit.leaves.update(leaves)
    return True


def _agrees(source: _Input, match: _Input, fit: _Fit, leaves: dict[int, int]) -> bool:
    """Can one argument stand for another? Collects in ``leaves`` what is learned of leaves on the way."""
    if source.kind is _Kind.LEAF and match.kind in (_Kind.LEAF, _Kind.ELSEWHERE):
        place = match.which if match.kind is _Kind.LEAF else _BEFORE
        return fit.leaves.get(source.which, leaves.setdefault(source.which, place)) == place
    if source.kind is not match.kind or source.result != match.result:
        return False
    which = fit.operations[source.which] if source.kind is _Kind.OPERATION else source.which
    return which == match.which


def _copy(arrangement: Arrangement, block: Block, original: Block, fit: _Fit) -> None:
    """Give a block the layout of another; a leaf without a place in it, an initial state, goes before the loop."""
    block.copies = original
    block.places = {v: original.operations[k] for v, k in zip(block.operations, fit.operations, strict=True)}
    for k, leaf in enumerate(list(block.leaves)):
        if fit.leaves[k] != _BEFORE:
            block.places[leaf] = original.leaves[fit.leaves[k]]
        else:
            block.leaves.remove(leaf)
            arrangement.blocks[0].leaves.append(leaf)
            arrangement.block_of[leaf] = 0
