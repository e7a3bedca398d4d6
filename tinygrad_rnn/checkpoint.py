"""A stretch of computation that is not kept but done again in the walk: memory for time.

Chen, Xu, Zhang and Guestrin, "Training Deep Nets with Sublinear Memory Cost" (2016). Recorded once to see what it was
made from, its graph is dropped at once, and one node stands for it; when the walk comes to that node, the stretch is
run again in the same context and with the same random numbers, and walked over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import Context as Variables
from contextvars import copy_context
from typing import Any

import numpy as np

from . import versions
from .context import current, generator
from .graph import Free, Node, newest_first
from .primitives import defvjp, is_keeping_everything, primitive_of
from .tensor import Tensor, lift, tensors_of
from .walk import ALIAS, saved_with_parents

_SAME = 1e-6  # relative: how much the sums of a result may change when it is computed again


class _Again:
    """How to run a stretch again: in the variables it ran in, with the random numbers it drew, to the same results."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.variables: Variables = copy_context()
        self.random = generator().bit_generator.state
        self.recorded: list[int] = []  # the places of those results that have a gradient
        self.sums: list[tuple[float, float]] = []

    def first(self, inputs: Sequence[Any]) -> list[Any]:
        results = list(self.function(*inputs))
        self.recorded = [i for i, result in enumerate(results) if result.node is not None]
        self.sums = [_sums(results[i]) for i in self.recorded]
        return results

    def __call__(self, inputs: Sequence[Any]) -> list[Any]:
        """The recorded results. ``inputs`` has None in the places of what the function finds in its surroundings."""
        tensors = [x if isinstance(x, Tensor) else Tensor(x, copy=False) for x in inputs if x is not None]
        bits = generator().bit_generator
        now, bits.state = bits.state, self.random
        try:
            results = self.variables.copy().run(self.function, *tensors)
        finally:
            bits.state = now
        found = [results[i] for i in self.recorded]
        if not all(map(_same, self.sums, map(_sums, found))):
            raise RuntimeError(
                "checkpoint: a step gave other results when it was computed again in the backward walk. Was something "
                "it uses changed after the forward pass, or does it draw random numbers from elsewhere than tg?"
            )
        return found


def _sums(result: Any) -> tuple[float, float]:
    """Sums of a result's entries, and of their magnitudes, weighted by their places."""
    flat = np.ravel(result.data).astype(np.float64)
    places = np.arange(1.0, flat.size + 1)
    return float(flat @ places), float(np.absolute(flat) @ places)


def _same(before: tuple[float, float], after: tuple[float, float]) -> bool:
    """Are these the sums of the same result, but for rounding?"""
    scale = before[1]
    if not np.isfinite(scale):
        return not np.isfinite(after[1])
    return all(abs(a - b) <= _SAME * scale for a, b in zip(before, after, strict=True))


def _stretch(*_arrays: Any, again: _Again) -> Any:
    raise RuntimeError("checkpoint: a stretch is recorded by checkpoint(), not called")


_STRETCH = primitive_of(_stretch)
_STRETCH.name = "checkpoint"
defvjp(_stretch, definition=lambda *inputs, again: again(inputs))


def checkpoint(function: Callable[..., Sequence[Tensor]], inputs: Sequence[Tensor]) -> list[Tensor]:
    """``function(*inputs)``, of which only the inputs and results are kept; the rest is computed again in the walk.

    Args:
        function: Takes tensors and returns a list of tensors. It may use other tensors (weights, say); they get their
            gradients too. Run again, it must do the same: what it draws from ``tg.manual_seed``'s generator is drawn
            again.
        inputs: Tensors, with or without a gradient.

    Raises:
        RuntimeError: in the walk, if the second run gives something else, or uses a tensor that the first has made.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> w = tg.Tensor(2.0, requires_grad=True)
    >>> (y,) = checkpoint(lambda x: [np.exp(x * w)], [tg.Tensor(0.0)])
    >>> y.backward()
    >>> w.grad
    Tensor(0.)
    """
    if not current.get().recording or is_keeping_everything():
        return list(function(*inputs))
    again, start = _Again(function), versions.tick()
    results = again.first([_aliased(x) for x in inputs])
    if not again.recorded:
        return results
    free = _surroundings([results[i].node for i in again.recorded], start)
    args = (*(x.data for x in inputs), *(Free(arrays) for _, arrays in free))
    parents = (*(x.node for x in inputs), *(node for node, _ in free))
    stretch = Node.of(_STRETCH, parents, args, current.get())
    stretch.kwargs = {"again": again}
    fresh = tensors_of(stretch, [results[i].data for i in again.recorded])
    for i, tensor in zip(again.recorded, fresh, strict=True):
        results[i] = tensor
    return results


def _aliased(x: Tensor) -> Tensor:
    """The input as a tensor of its own, so that it is not taken for the same tensor in the function's surroundings."""
    if x.node is None:
        return x
    alias = Node.of(ALIAS, (), (), current.get())
    alias.shape, alias.dtype = x.shape, x.dtype
    return lift(alias, x.data)


def _surroundings(results: Sequence[Any], start: int) -> list[tuple[Node, list[Any]]]:
    """The nodes from before ``start`` that results were made from, each with its array, where one was kept."""
    found: dict[int, tuple[Node, list[Any]]] = {}
    for node in newest_first(results, since=start):
        if node.order < start:
            found.setdefault(node.order, (node, []))
            continue
        for value, parent in saved_with_parents(node) if node.primitive is not ALIAS else ():
            if parent is not None and parent.order < start:
                arrays = found.setdefault(parent.order, (parent, []))[1]
                if isinstance(value, np.ndarray) and not arrays:
                    arrays.append(value)
    return list(found.values())
