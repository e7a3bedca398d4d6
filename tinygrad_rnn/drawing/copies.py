"""Which steps are copies of one another: the same operations, wired the same way.

Steps that do the same are laid out once, so that the same operation stands in the same place in all of them. Often the
first step does a little less than the others (its state is a constant, from which nothing is recorded), or the last a
little more (only its output is used): such a step takes the places of the fullest one.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple, TypeAlias

from .blocks import Arrangement, Block, Way
from .model import Graph


class _Kind(Enum):
    """Where an operation's argument comes from, as seen from its block."""

    OPERATION = 0
    LEAF = 1
    BELOW = 2
    ELSEWHERE = 3


class _Input(NamedTuple):
    argument: int
    kind: _Kind
    which: int  # within the block for its own vertices, within the graph for what comes from below
    result: int | None


class _Operation(NamedTuple):
    name: str | None
    path: int  # which of the block's module paths, numbered in order of appearance
    inputs: tuple[_Input, ...]


_Wiring: TypeAlias = tuple[_Operation, ...]
_TRIED = 8  # different steps that a further one is compared with


def find_copies(graph: Graph, arrangement: Arrangement) -> None:
    """Let each step take the layout of the fullest step of its row that it fits into."""
    rows: dict[tuple[int, int], list[Block]] = {}
    for block in arrangement.blocks:
        if block.in_time:
            rows.setdefault((block.place.row, block.column.phase), []).append(block)
    for row in sorted(rows):  # from below: what comes in there tells steps apart
        _find_copies_among(graph, arrangement, rows[row])


def _find_copies_among(graph: Graph, arrangement: Arrangement, row: list[Block]) -> None:
    wired: dict[tuple[_Wiring, bool], list[Block]] = {}
    for block in row:
        begins = block in (row[0], row[-1])  # of a loop, forward or backward: it may have an initial state
        wired.setdefault((_wiring(graph, arrangement, block), begins), []).append(block)
    fullest_first = sorted(wired, key=lambda which: (-len(which[0]), -_from_elsewhere(which[0]), wired[which][0].place))
    originals: list[tuple[_Wiring, Block]] = []
    for which in fullest_first:
        (wiring, begins), steps = which, wired[which]
        fits = (
            (fit, original)
            for known, original in originals[:_TRIED]
            if (fit := _fit(wiring, known)) is not None and (begins or _BEFORE not in fit.leaves.values())
        )
        fit, original = next(fits, (_same(steps[0]), steps[0]))
        if original is steps[0]:
            originals.append((wiring, original))
        for block in steps:
            if block is not original:
                _copy(arrangement, block, original, fit)


def _from_elsewhere(wiring: _Wiring) -> int:
    return sum(source.kind is _Kind.ELSEWHERE for operation in wiring for source in operation.inputs)


def _wiring(graph: Graph, arrangement: Arrangement, block: Block) -> _Wiring:
    """What a block does, in terms that are equal for steps that do the same."""
    number = {v: k for k, v in enumerate(block.operations)} | {v: k for k, v in enumerate(block.leaves)}
    paths: dict[str, int] = {}
    wiring = []
    for v in block.operations:
        inputs = []
        for edge in arrangement.incoming[v]:
            way = arrangement.way(edge)
            if way is Way.INSIDE:
                kind = _Kind.LEAF if graph.vertices[edge.source].operation is None else _Kind.OPERATION
                which = number[edge.source]
            elif way is Way.ACROSS:
                kind, which = _Kind.ELSEWHERE, 0
            else:
                kind, which = _Kind.BELOW, arrangement.original_of(edge.source)
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
    if source.kind is not _Kind.OPERATION:
        return source.which == match.which
    return source.which < len(fit.operations) and fit.operations[source.which] == match.which


def _copy(arrangement: Arrangement, block: Block, original: Block, fit: _Fit) -> None:
    """Give a block the layout of another; a leaf without a place in it, an initial state, goes before the loop."""
    block.copies = original
    block.originals = {v: original.operations[k] for v, k in zip(block.operations, fit.operations, strict=True)}
    for k, leaf in enumerate(list(block.leaves)):
        if fit.leaves[k] != _BEFORE:
            block.originals[leaf] = original.leaves[fit.leaves[k]]
        else:
            arrangement.put_before(leaf)
    for vertex in block.exits:
        if block.originals[vertex] not in original.exits:
            original.exits.append(block.originals[vertex])
