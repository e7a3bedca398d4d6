"""What a tensor knows of gradients: its own, how to send one back, and who is to be shown it on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from .graph import HookHandle, Node
from .walk import Lift, walk


class Differentiable:
    """The part of ``Tensor`` that deals with derivatives."""

    __slots__ = ()

    if TYPE_CHECKING:  # Tensor's own
        _data: Any
        node: Node | None

        @property
        def shape(self) -> tuple[int, ...]: ...
        @property
        def dtype(self) -> np.dtype[Any]: ...
        @property
        def size(self) -> int: ...

        name: str | None
        _name: str | None
        requires_grad: bool
        _lift: Lift

        def _words(self) -> str: ...
        def astype(self, dtype: Any) -> Self: ...
        def detach(self) -> Self: ...

    @property
    def is_leaf(self) -> bool:
        """Was it made by hand, not computed from tensors that need a gradient?"""
        return self.node is None or self.node.primitive is None

    @property
    def grad(self) -> Self | None:
        """The gradient that ``backward`` has summed up here: on leaves, or where ``retain_grad`` asked for it."""
        return self.node.grad if self.node is not None else None

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is not None and not isinstance(value, Differentiable):
            raise TypeError(f"{self._words()}.grad: expected a Tensor or None, got {type(value).__name__}")
        if value is not None and value.shape != self.shape:
            raise ValueError(f"{self._words()}.grad: expected shape {self.shape}, got {value.shape}")
        if value is not None and value.dtype != self.dtype:
            raise TypeError(f"{self._words()}.grad: expected {self.dtype}, got {value.dtype}")
        if self.node is not None:
            self.node.note().grad = value
        elif value is not None:
            raise RuntimeError(f"{self._words()} does not require a gradient")

    def backward(self, gradient: Any = None, *, retain_graph: bool | None = None, create_graph: bool = False) -> None:
        """Add to each leaf's ``grad`` the gradient of this tensor: dL/dx = sum over paths of products of Jacobians.

        Args:
            gradient: What the walk starts with, of this tensor's shape; may be left out for a scalar (it is 1).
            retain_graph: Keep what the graph has saved for another walk. None: as ``create_graph``.
            create_graph: Record the walk itself, so that gradients can be differentiated. The leaves then hold
                gradients whose graphs hold the leaves: set ``grad`` to None to free them, or use ``tg.grad``.

        Raises:
            RuntimeError: not a scalar and no gradient given; no graph, or one released before; a saved tensor was
                modified in place.
            ValueError: ``gradient`` has another shape.

        >>> import tinygrad_rnn as tg
        >>> x = tg.Tensor(3.0, requires_grad=True)
        >>> (x * x).backward()
        >>> x.grad
        Tensor(6.)
        """
        start = seed(self, gradient, create_graph)
        retain = create_graph if retain_graph is None else retain_graph
        arrived = walk([start], self._lift, retain_graph=retain, create_graph=create_graph)
        for node, g in arrived.items():  # only now: an error on the way leaves every gradient as it was
            new = g if isinstance(g, Differentiable) else self._lift(None, g)
            old = node.grad
            node.note().grad = new if old is None else old + new if create_graph else old.detach() + new

    def retain_grad(self) -> None:
        """Keep the gradient of this computed tensor too, in ``grad``."""
        if self.node is None:
            raise RuntimeError(f"{self._words()} does not require a gradient, so it has none to retain")
        self.node.note().retain = True

    def register_hook(self, hook: Callable[[Any], Any]) -> HookHandle:
        """Call ``hook(gradient)`` when this tensor's gradient is complete; what it returns, if anything, replaces it.

        >>> import tinygrad_rnn as tg
        >>> x = tg.Tensor([1.0, 2.0], requires_grad=True)
        >>> handle = x.register_hook(lambda g: g * 10)
        >>> x.sum().backward()
        >>> x.grad
        Tensor([10., 10.])
        >>> handle.remove()
        """
        if self.node is None:
            raise RuntimeError(f"{self._words()} does not require a gradient, so a hook would never run")
        if not callable(hook):
            raise TypeError(f"{self._words()}: expected a hook to be a function, got {hook!r}")

        lift = self._lift  # not self: the node keeps the hook, and must not lead back to its tensor

        def run(g: Any) -> Any:
            if not isinstance(g, Differentiable):
                return _bare(hook(lift(None, g)))
            answer = hook(g)
            return lift(None, answer) if isinstance(answer, np.ndarray) else answer

        return HookHandle(self.node.note().hooks, run)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if not self.is_leaf:
            raise RuntimeError(f"{self._words()} was computed; deep copies are for leaves (detach() it first)")
        copy = _rebuild(type(self), self._data.copy(), self.requires_grad, self.name)
        memo[id(self)] = copy
        if self.grad is not None and copy.node is not None:
            copy.node.note().grad = self.grad.__deepcopy__(memo) if self.grad.is_leaf else None
        return copy

    def __reduce__(self) -> Any:
        if not self.is_leaf:
            raise RuntimeError(f"{self._words()} was computed; only leaves can be pickled (detach() it first)")
        return _rebuild, (type(self), self._data, self.requires_grad, self.name)


def _rebuild(kind: Any, data: Any, requires_grad: bool, name: str | None) -> Any:
    t = object.__new__(kind)
    t._data, t._name, t.node = data, name, None
    t.requires_grad = requires_grad
    return t


def _bare(answer: Any) -> Any:
    return answer._data if isinstance(answer, Differentiable) else answer


def seed(output: Differentiable, gradient: Any, create_graph: bool) -> tuple[Node, Any]:
    """What a walk from ``output`` starts with: its node, and a gradient checked against it."""
    node = output.node
    if node is None:
        raise RuntimeError(
            f"{output._words()} does not require a gradient: nothing it came from does, or no_grad was on"
        )
    if gradient is None:
        if output.size != 1:
            raise RuntimeError(
                f"{node.words()}: only a scalar has a gradient by itself, got shape {output.shape}; pass one"
            )
        gradient = np.ones(output.shape, output.dtype)
    g = gradient if isinstance(gradient, Differentiable) else output._lift(None, np.asarray(gradient))
    if g.shape != output.shape:
        raise ValueError(f"{node.words()}: expected a gradient of shape {output.shape}, got {g.shape}")
    if g.dtype.kind not in "fbiu":
        raise TypeError(f"{node.words()}: expected a real gradient, got {g.dtype}")
    if g.dtype != output.dtype:
        g = g.astype(output.dtype)
    return node, g if create_graph else g._data
