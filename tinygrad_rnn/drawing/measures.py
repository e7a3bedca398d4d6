"""What a picture says in numbers: how large the values are, and how much gradient flows back along each edge."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..graph import Free, Node, Spread
from ..primitives import Saved
from ..tensor import Tensor, lift
from ..versions import written_after
from ..walk import ITEM, saved_with_parents, walk
from .expansion import Expansion, Part

_SAFE = 1e-200  # a sum of squares above it and below its inverse has lost nothing by underflow or overflow
_PIECE = 2**14  # numbers that fit into the cache
SATURATED = 0.97  # of the way from the middle to a bound of tanh; of the way from one bound of sigmoid to the other


@dataclass(frozen=True, slots=True)
class Values:
    """What the numbers of a result are like; NaN of no numbers at all.

    Attributes:
        saturated: The share of them where the derivative is next to nothing: of tanh beyond ``SATURATED``, of sigmoid
            that near to 0 or 1, of relu the zeros. None for other operations.
    """

    mean: float
    std: float
    smallest: float
    largest: float
    saturated: float | None = None


@dataclass(frozen=True, slots=True)
class Flow:
    """2-norms of gradients.

    Attributes:
        vertices: By the order of a call or leaf, of the gradient with respect to its result, or to all of them.
        edges: By order and argument, of what flows back from a call to that argument.
    """

    vertices: dict[int, float] = field(default_factory=dict)
    edges: dict[tuple[int, int], float] = field(default_factory=dict)

    def add(self, order: int, gradient: Any) -> None:
        """Count the gradient of a result."""
        self.vertices[order] = math.hypot(self.vertices.get(order, 0.0), norm(gradient))


def norm(array: Any) -> float:
    """The 2-norm in float64, which overflows only if it is itself too large; of none, 0."""
    flat = np.ravel(array)
    with np.errstate(all="ignore"):
        square = _square(flat, 1.0)
        if _SAFE < square < 1 / _SAFE:
            return math.sqrt(square)
        largest = float(np.max(np.abs(flat), initial=0.0))
        return largest * math.sqrt(_square(flat, largest)) if 0 < largest < math.inf else largest


def _square(flat: Any, unit: float) -> float:
    """The sum of (x / unit)^2, in float64 and a piece at a time: a copy of a long array takes longer than the sum."""
    total = 0.0
    for start in range(0, len(flat), _PIECE):
        piece = flat[start : start + _PIECE].astype(np.float64)
        if unit != 1:
            piece /= unit
        total += float(piece @ piece)
    return total


# -------------------------------------------------------------------------------------------------- gradients


def largest(norms: Iterable[float | None]) -> float | None:
    """The largest of those that are known; NaN, which must not go unseen, counts as larger than all."""
    known = [norm for norm in norms if norm is not None]
    return max(known, key=lambda norm: (math.isnan(norm), norm)) if known else None


def flow(expansion: Expansion, start: tuple[Node, Any]) -> Flow:
    """Walk back over a graph, then over each expansion in it from the gradients that have come to its results.

    Args:
        start: The output's node, and the gradient that the walk starts with.

    Raises:
        RuntimeError, FloatingPointError: as ``backward()`` does.
    """
    found = Flow()
    waiting = [(expansion.root, [start])]
    while waiting:
        part, outputs = waiting.pop()
        arrived = _flow_in(part, outputs, found)
        for inner in part.inner:
            entering = [(result, arrived[node]) for node, result in inner.entrances if node in arrived]
            if entering:
                waiting.append((inner, entering))
    return found


def _flow_in(part: Part, outputs: Sequence[tuple[Node, Any]], found: Flow) -> dict[Node, Any]:
    """Walk over one part; returns the gradients of its ends, and of the results that inner parts stand for.

    What is observed adds up to the gradient of a result, and is forgotten once the walk has passed its call: no more is
    held than the walk itself holds. Where hooks may replace the sum, it is taken from the walk.
    """
    wanted = [*part.ends, *(node for inner in part.inner for node, _ in inner.entrances)]
    wanted += [node for node in part.nodes if node.notes is not None and node.notes.hooks]
    targets = {node.order for node in wanted}
    sums: dict[int, dict[int | None, Any]] = {}  # by call and which of its results
    owned: set[tuple[int, int | None]] = set()  # the sums that are arrays made here

    def add(node: Node, gradient: Any) -> None:
        if node.order in targets:
            return
        order, result = key = _key(node)
        results = sums.setdefault(order, {})
        if result not in results:
            results[result] = gradient
        elif key in owned:
            results[result] += gradient
        else:
            owned.add(key)
            results[result] = results[result] + gradient

    def settle(order: int) -> None:
        for gradient in sums.pop(order, {}).values():
            found.add(order, gradient)

    def observe(node: Node, argument: int, gradient: Any) -> None:
        settle(node.order)
        found.edges[node.order, argument] = norm(gradient)
        parent = node.parents[argument]
        if parent is not None:
            add(parent, gradient)

    for node, gradient in outputs:
        add(node, gradient)
    arrived = walk(outputs, lift, wanted, retain_graph=True, observe=observe, since=part.since)
    for node, gradient in arrived.items():
        if node.order >= part.since:
            found.add(_key(node)[0], gradient)
    return arrived


def _key(node: Node) -> tuple[int, int | None]:
    """The order of the call that made a node, and which of its results it is, within one part."""
    if node.primitive is not ITEM or node.args is None:
        return node.order, None
    (call,) = node.parents
    return (node if call is None else call).order, node.args[0]


# ----------------------------------------------------------------------------------------------------- values


class Known:
    """The arrays of results, as far as the graph has kept them or what they can be computed from.

    A graph keeps what its rules need, no more: a call its result, or the arguments, which are other calls' results.
    What was written into since is not what was computed.
    """

    def __init__(self, expansion: Expansion, output: Tensor) -> None:
        self._expansion = expansion
        self._arrays: dict[tuple[int, int | None], Any] = {}
        assert output.node is not None
        self._keep(output.node, output.numpy(), output.node.order)
        stale = _stale(expansion.root)
        calls = [call for call in expansion.calls if call.order not in stale]
        for call in calls:
            self._read(call)
        for call in calls:
            if call.primitive is not None and call.args is not None and self.of(call) is None:
                self._compute(call)

    def of(self, call: Node) -> list[Any] | None:
        """The arrays of all results of a call; None where one is not known."""
        arrays = [self._arrays.get(key) for key in _results(call)]
        return None if any(array is None for array in arrays) else arrays

    def _keep(self, node: Node, array: Any, order: int) -> None:
        """Take an array for the value of a node, unless it was written into after ``order``."""
        maker = self._expansion.maker(node)
        if maker is not None and not written_after(array, order):
            self._arrays.setdefault((maker[0].order, maker[1]), array)

    def _read(self, call: Node) -> None:
        """What a call has kept: its results, and its arguments."""
        y = call.y.y if isinstance(call.y, Saved) else call.y
        if y is not None:
            self._set(call, y)
        if call.args is None:
            return
        for value, parent in saved_with_parents(call):
            kept = (value[0] if value else None) if isinstance(value, Free) else value
            if parent is not None and kept is not None and not isinstance(kept, Node):
                self._keep(parent, kept, call.order)

    def _set(self, call: Node, y: Any) -> None:
        arrays = list(y) if isinstance(call.shape, list) else [y]
        for key, array in zip(_results(call), arrays, strict=True):
            if not written_after(array, call.order):
                self._arrays.setdefault(key, array)

    def _compute(self, call: Node) -> None:
        """Run a call again, if all its arguments are known: a function of a user's own may not be called unasked."""
        assert call.args is not None
        assert call.primitive is not None
        if not _is_known(call.primitive.function):
            return
        flat = iter(call.parents)
        kept = _kept(call)
        args: list[Any] = []
        for i, arg in enumerate(call.args):
            values = arg if isinstance(arg, Spread) else [arg]
            found = [self._argument(value, next(flat), call.order) for value in values]
            if any(value is None for value in found) and not (arg is None and kept >> (i + 1) & 1):
                return
            args.append(Spread(found) if isinstance(arg, Spread) else found[0])
        try:
            with np.errstate(all="ignore"):
                y = call.primitive.call(*args, **(call.kwargs or {}))
        except Exception:  # its arguments may be of a type that was not made to be called again
            return
        y = y.y if isinstance(y, Saved) else y
        several = isinstance(call.shape, list)
        if [np.shape(part) for part in (y if several else [y])] == (call.shape if several else [call.shape]):
            self._set(call, y)

    def _argument(self, value: Any, parent: Node | None, order: int) -> Any:
        """What a call was given, if it is known: ``value`` where that was kept."""
        if isinstance(value, Free):
            return None
        if parent is not None and (value is None or isinstance(value, Node)):
            maker = self._expansion.maker(parent)
            value = None if maker is None else self._arrays.get((maker[0].order, maker[1]))
        return None if isinstance(value, np.ndarray) and written_after(value, order) else value


def _stale(part: Part, outer: bool = False) -> set[int]:
    """The orders of calls in parts that would not compute the same again."""
    stale = outer or part.stale
    inner = (_stale(one, stale) for one in part.inner)
    return set().union({call.order for call in part.calls} if stale else (), *inner)


def _is_known(function: Any) -> bool:
    """Is it NumPy's, or this package's: without side effects, and giving the same again?"""
    module = getattr(function, "__module__", None) or ""
    return isinstance(function, np.ufunc) or module.partition(".")[0] in ("numpy", __name__.partition(".")[0])


def _results(call: Node) -> list[tuple[int, int | None]]:
    """The keys of a call's results."""
    return [(call.order, i) for i in range(len(call.shape))] if isinstance(call.shape, list) else [(call.order, None)]


def _kept(call: Node) -> int:
    """A bit mask of what a call has kept: bit i + 1 is argument i. Another argument may be None for want of a value."""
    assert call.primitive is not None
    flat, mask = iter(call.parents), 0
    for i, arg in enumerate(call.args or ()):
        parents = [next(flat) for _ in (arg if isinstance(arg, Spread) else [arg])]
        if any(parent is not None for parent in parents):
            mask |= call.primitive.kept(i)
    return mask


def values(expansion: Expansion, output: Tensor) -> dict[int, Values]:
    """The values of calls and leaves, by order, as far as they are known."""
    known = Known(expansion, output)
    found = {}
    for call in expansion.calls:
        arrays = known.of(call)
        if arrays is not None:
            found[call.order] = described(arrays, None if call.primitive is None else call.primitive.name)
    return found


def described(arrays: Sequence[Any], operation: str | None) -> Values:
    """What the numbers in some arrays are like, taken together.

    >>> import numpy as np
    >>> from tinygrad_rnn.drawing.measures import described
    >>> described([np.array([-1.0, 0.0, 1.0, 0.0])], "tanh")
    Values(mean=0.0, std=0.7071067811865476, smallest=-1.0, largest=1.0, saturated=0.5)
    """
    y = np.concatenate([np.ravel(array) for array in arrays]).astype(np.float64) if arrays else np.empty(0)
    if not y.size:
        return Values(math.nan, math.nan, math.nan, math.nan, _saturated(y, operation))
    with np.errstate(all="ignore"):
        return Values(float(y.mean()), float(y.std()), float(y.min()), float(y.max()), _saturated(y, operation))


def _saturated(y: Any, operation: str | None) -> float | None:
    """The share of units that no longer learn; None where this is not known of the operation."""
    if operation == "tanh":
        out = np.abs(y) > SATURATED
    elif operation == "sigmoid":
        out = (y > SATURATED) | (y < 1 - SATURATED)
    elif operation == "relu":
        out = y == 0
    else:
        return None
    return float(out.mean()) if out.size else math.nan
