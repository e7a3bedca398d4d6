"""The heart: a tensor, and the graph it records.

Calling a NumPy function on a ``Tensor`` runs it on the bare arrays and, if anything that went in needs a gradient,
leaves a ``Node`` behind: which function, which nodes it came from, and what its derivative will want to see again.
``walk.py`` goes back over those nodes. A recurrent net needs nothing more: apply a step in a loop, and the recorded
graph *is* the unrolled network (lecture, section 1, "RNN Diagram").

A tensor points to its node, a node to the nodes it came from, never to a tensor: no cycles, so a graph is freed the
moment it is dropped. Leaves have a node too; it keeps their gradient.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import versions
from .array_interface import ArrayInterface, as_array, bare, wants_gradient
from .backward import Differentiable
from .context import current, site
from .graph import Node, Spread, check_finite, is_finite, watch
from .primitives import CONSTANT, TABLE, WRITING, Primitive, Saved, no_rule, primitive_of
from .walk import ITEM

if TYPE_CHECKING:  # numpy.typing takes time to load, and only readers want it
    from numpy.typing import DTypeLike

ndarray = np.ndarray
_new = object.__new__
_FLOAT32, _FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
_SCALARS = (np.generic, int, float)
_CONSTANTS = {int, bool, float, str, type(None)}


# ------------------------------------------------------------------------------------------------- recording


def lift(node: Node | None, a: Any) -> Tensor:
    """The tensor of an array and of a node that is complete, or of an array alone."""
    t: Tensor = _new(Tensor)
    t._data = a if isinstance(a, ndarray) or not isinstance(a, _SCALARS) else np.asarray(a)
    t.node = node
    return t


def _tensor(node: Node, y: Any) -> Tensor:
    """The tensor of a fresh result, whose node takes its shape and dtype."""
    if y.__class__ is not ndarray:
        if isinstance(y, _SCALARS):
            y = np.asarray(y)
        elif y.__class__ is Saved:
            raise TypeError(f"{node.words()}: it returned tg.Saved, which only a joint rule (joint=) can take")
        elif isinstance(y, np.matrix):
            raise TypeError(f"{node.words()}: np.matrix has a product of its own; use np.asarray(matrix)")
    t: Tensor = _new(Tensor)
    t._data = y
    t.node = node
    node.shape = y.shape
    dtype = node.dtype = y.dtype
    if (dtype is _FLOAT32 or dtype is _FLOAT64) and node.context.anomaly is None:
        return t
    if dtype.kind == "f":
        watch(node, y)
    elif dtype.kind in "biu":
        t.node = None
    else:
        raise TypeError(f"{node.words()}: only real floats have gradients, the result is {dtype}")
    return t


def tensors_of(node: Node, results: Any) -> Any:
    """The tensors of several fresh results, each with a node that picks it out of theirs."""
    parents, context = (node,), node.context
    if context.anomaly is not None:
        for part in results:
            watch(node, part)
    tensors, node.shape = [], []
    for i, part in enumerate(results):
        item = Node.of(ITEM, parents, (i,), context)
        tensors.append(_tensor(item, part))
        node.shape.append(item.shape)
    node.dtype = tensors[0]._data.dtype if tensors else _FLOAT32
    if results.__class__ is list:
        return tensors
    return type(results)(*tensors) if hasattr(results, "_fields") else type(results)(tensors)


def record1(x: Tensor, primitive: Primitive, *rest: Any) -> Any:
    """Call a primitive whose first argument alone is a tensor: the short path of methods."""
    parent = x.node
    context = current.get()
    if parent is None or not context.recording or not primitive.simple:
        return record(primitive, (x, *rest))
    data = x._data
    try:
        y = primitive.call(data, *rest)
    except (TypeError, ValueError, IndexError) as error:
        raise primitive.explained(error, (data,), context) from error
    if len(rest) >= len(primitive.names):
        primitive.check((x, *rest), None, context)
    mask = primitive.keeps[0]
    parents = (parent,) + (None,) * len(rest) if rest else (parent,)
    node = Node.of(primitive, parents, (data if mask & 2 else parent, *rest), context)
    if mask & 1:
        node.y = y
    return tensors_of(node, y) if y.__class__ is not ndarray and isinstance(y, (list, tuple)) else _tensor(node, y)


def record2(primitive: Primitive, a: Any, b: Any) -> Any:
    """Call a primitive of two arguments, at least one of them a tensor: the short path of operators."""
    if isinstance(a, Tensor):
        x, p = a._data, a.node
    else:  # rules want arrays or numbers, not lists
        x, p = np.asarray(a) if isinstance(a, (list, tuple)) else a, None
    if isinstance(b, Tensor):
        z, q = b._data, b.node
    else:
        z, q = np.asarray(b) if isinstance(b, (list, tuple)) else b, None
    context = current.get()
    if (p is None and q is None) or not context.recording or not primitive.simple:
        return record(primitive, (a, b))
    try:
        y = primitive.call(x, z)
    except (TypeError, ValueError) as error:
        raise primitive.explained(error, (x, z), context) from error
    keeps = primitive.keeps
    mask = keeps[1] if p is None else keeps[0] if q is None else keeps[0] | keeps[1]
    node = Node.of(primitive, (p, q), (x if mask & 2 else p, z if mask & 4 else q), context)
    if mask & 1:
        node.y = y
    return _tensor(node, y)


def record(primitive: Primitive, args: Sequence[Any], kwargs: dict[str, Any] | None = None) -> Any:
    """Call a primitive on any mixture of tensors, arrays and sequences of them; record it if a gradient is wanted.

    Returns:
        A tensor, or as many as the function has results.

    Raises:
        TypeError: the function has no rule, or none for a keyword given, or its result is not real.
        ValueError, IndexError: NumPy's own complaint, with the operation, the shapes and the place put before it.
    """
    context = current.get()
    if kwargs:
        if primitive.joint is None or wants_gradient([*kwargs.values()]):
            args, kwargs = primitive.positional(args, kwargs)
        for k, v in kwargs.items():
            if context.recording and wants_gradient([v]):
                words = site(primitive.name, context)
                raise TypeError(f"{words}: cannot take a tensor as keyword {k!r}; pass it by position")
        kwargs = {k: bare(v) for k, v in kwargs.items()}
    values: list[Any] = []  # what the function is called with
    nodes: list[Any] = []  # the same places: the node of each tensor
    parents: list[Node | None] = []  # the same, flat
    mask = 0
    last = -1  # the place of the last one that needs a gradient
    for i, a in enumerate(args):
        silent = i < len(primitive.rules) and primitive.rules[i] is None
        if isinstance(a, Tensor):
            values.append(a._data)
            nodes.append(None if silent else a.node)
            parents.append(nodes[-1])
        elif isinstance(a, (list, tuple)) and any(isinstance(v, Tensor) for v in a):
            values.append(Spread(v._data if isinstance(v, Tensor) else v for v in a))
            nodes.append(Spread(v.node if isinstance(v, Tensor) and not silent else None for v in a))
            parents.extend(nodes[-1])
        else:
            values.append(a)
            nodes.append(None)
            parents.append(None)
        part = nodes[-1]
        if part is not None and (part.__class__ is not Spread or any(node is not None for node in part)):
            mask |= primitive.kept(i)
            last = i
    wanted = context.recording and last >= 0
    if wanted:
        primitive.check(args, kwargs, context, last)
    try:
        y = primitive.call(*values, **(kwargs or {}))
    except (TypeError, ValueError, IndexError) as error:
        raise primitive.explained(error, values, context) from error
    if not wanted:
        y = y.y if y.__class__ is Saved else y
        if context.anomaly is not None and all(is_finite(value) for value in values):
            for part in y if isinstance(y, (list, tuple)) else [y]:
                check_finite(part, site(primitive.name, context), "result")
        return plain(y)
    kept = [value if mask >> i & 2 else nodes[i] for i, value in enumerate(values)]
    single = True
    for i, part in enumerate(nodes):
        if isinstance(part, Spread):
            single = False
            if not mask >> i & 2:
                kept[i] = Spread(v if n is None else n for v, n in zip(values[i], part, strict=True))
    node = Node.of(primitive, tuple(parents), tuple(kept), context)
    if y.__class__ is Saved:
        node.y, y = y, y.y
    elif mask & 1:
        node.y = y
    node.kwargs = kwargs or (None if single else {})
    return tensors_of(node, y) if isinstance(y, (list, tuple)) else _tensor(node, y)


def plain(y: Any) -> Any:
    """What an unrecorded call returns: its arrays as tensors without a graph, anything else as it is."""
    if isinstance(y, (ndarray, np.generic)) or hasattr(y, "__array_function__"):
        return lift(None, y)
    if isinstance(y, (list, tuple)) and any(isinstance(part, ndarray) for part in y):
        parts = [plain(part) for part in y]
        return type(y)(*parts) if hasattr(y, "_fields") else type(y)(parts)
    return y


def primitive(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make an array function of your own recordable (decorator); ``tg.defvjp`` gives it its derivative.

    The function is always called with bare arrays, and must return arrays (or ``tg.Saved``). As a rule may be run on
    tensors, its own calls of primitives then are recorded.

    Raises:
        TypeError: when called on tensors that need a gradient before a rule was registered.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> @tg.primitive
    ... def softsign(x):
    ...     return x / (1 + np.abs(x))
    >>> tg.defvjp(softsign, lambda g, _y, x: g / (1 + np.abs(x)) ** 2)
    >>> x = tg.Tensor([1.0, -3.0], requires_grad=True)
    >>> softsign(x).sum().backward()
    >>> x.grad
    Tensor([0.25  , 0.0625])
    """
    if not callable(function):
        raise TypeError(f"primitive: expected a function, got {function!r}")

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        lone = args[0] if len(args) == 1 and not kwargs else None
        if isinstance(lone, Tensor):
            return record1(lone, entry)
        if lone.__class__ is not ndarray and any(bare(a) is not a for a in (*args, *kwargs.values())):
            return record(entry, args, kwargs)
        y = function(*args, **kwargs)
        return y.y if y.__class__ is Saved else y

    entry = TABLE[call] = primitive_of(function)
    entry.function = call
    return call


_REDUCTIONS = {np.add: np.sum, np.multiply: np.prod, np.maximum: np.max, np.minimum: np.min}
_ACCUMULATIONS = {np.add: np.cumsum, np.multiply: np.cumprod}


class Tensor(ArrayInterface, Differentiable):
    """An array that remembers how it was computed.

    Takes NumPy's functions (``np.tanh(t)``), operators and methods; ``backward()`` then gives the gradient of a scalar
    with respect to every tensor made with ``requires_grad=True``.

    Args:
        data: Numbers, nested lists of them, or an array. Python floats become the default dtype (float32); integers and
            booleans stay what they are; NumPy arrays keep their dtype.
        requires_grad: Record what is computed from this tensor, and give it a ``grad``. Floats only.
        dtype: Convert to this dtype.
        name: Shown in pictures and error messages.
        copy: False: share the memory of a given array.

    Raises:
        TypeError: not numbers, or ``requires_grad`` of integers, booleans or complex numbers.

    >>> import tinygrad_rnn as tg
    >>> w = tg.Tensor([1.0, 2.0], requires_grad=True, name="w")
    >>> loss = (w * w).sum()
    >>> loss.backward()
    >>> w.grad
    Tensor([2., 4.])
    """

    __slots__ = ("__weakref__", "_data", "_name", "node")
    _data: Any
    node: Node | None

    def __init__(
        self,
        data: Any,
        requires_grad: bool = False,
        dtype: DTypeLike | None = None,
        name: str | None = None,
        copy: bool = True,
    ) -> None:
        self._data = as_array(data, dtype, copy)
        self._name = name
        self.node = None
        self.requires_grad = requires_grad

    # ---- what it is

    @property
    def data(self) -> Any:
        """The array. Assigning to it, or ``t.data -= ...``, is an update in place that the graph notices."""
        return self._data

    @data.setter
    def data(self, value: Any) -> None:
        array = value if isinstance(value, ndarray) else as_array(value, None, False)
        if self.node is not None and array is not self._data:
            if array.shape != self.shape or array.dtype.kind != "f":
                raise ValueError(
                    f"{self._words()}.data: expected floats of shape {self.shape}, got {array.dtype} {array.shape}"
                )
            if self.is_leaf:
                self.node.dtype = array.dtype
        versions.stamp(self._data)
        self._data = array

    @property
    def requires_grad(self) -> bool:
        return self.node is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if value and self.node is None:
            if self._data.dtype.kind != "f":
                raise TypeError(f"{self._words()}: only floats can require a gradient, got {self._data.dtype}")
            self.node = Node.leaf(self._data, self.name)
        elif not value and self.node is not None:
            if not self.is_leaf:
                raise RuntimeError(f"{self._words()} was computed; its graph is cut by detach(), not by requires_grad")
            self._name, self.node = self.name, None

    @property
    def name(self) -> str | None:
        return self.node.name if self.node is not None else getattr(self, "_name", None)

    @name.setter
    def name(self, value: str | None) -> None:
        if self.node is not None:
            self.node.note().name = value
        else:
            self._name = value

    def _words(self) -> str:
        return f"tensor {self.name!r}" if self.name else f"tensor of shape {self.shape}"

    def detach(self) -> Tensor:
        """The same array, outside the graph. Memory is shared, and so are the marks of writes into it."""
        return lift(None, self._data)

    def numpy(self) -> Any:
        """The array itself (shared memory), with or without a graph."""
        return self._data

    # ---- NumPy's dispatch

    _lift = staticmethod(lift)
    _record1 = record1
    _record2 = staticmethod(record2)

    def _constant(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return plain(function(self._data, *bare(args), **kwargs))

    def _update(self, entry: Primitive, other: Any) -> Tensor:
        """``t += other``: a write in place where nothing is to be recorded, otherwise a new tensor of the same name."""
        recording = current.get().recording
        if self.node is not None and self.is_leaf and recording:
            raise RuntimeError(
                f"{self._words()} requires a gradient, so it cannot be written into while operations are recorded; "
                f"update it under tg.no_grad(), or write a new tensor (x = x + y)"
            )
        if recording and (self.node is not None or (isinstance(other, Tensor) and other.node is not None)):
            return record2(entry, self, other)  # type: ignore[no-any-return]
        entry.function(self._data, bare(other), out=self._data)
        versions.stamp(self._data)
        return self

    def __array_ufunc__(self, ufunc: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        if method == "__call__" and not kwargs and (entry := TABLE.get(ufunc)) is not None and entry.simple:
            return record1(self, entry) if len(args) == 1 else record2(entry, *args)
        if kwargs and (kwargs.get("out") is not None or "where" in kwargs):
            word = "out=" if "out" in kwargs else "where="
            raise TypeError(
                f"{site(f'np.{ufunc.__name__}', current.get())}: {word} writes in place, which a graph cannot record; "
                f"use the result instead (x = x + y, or np.where)"
            )
        if method == "__call__":
            function = ufunc
        elif method == "reduce" and ufunc in _REDUCTIONS:
            function, kwargs = _REDUCTIONS[ufunc], {"axis": 0, **kwargs}
        elif method == "accumulate" and ufunc in _ACCUMULATIONS:
            function, kwargs = _ACCUMULATIONS[ufunc], {"axis": 0, **kwargs}
        else:
            words = site(f"np.{ufunc.__name__}.{method}", current.get())
            raise TypeError(f"{words} is not defined on tensors; call another function, or this one on t.numpy()")
        return _dispatch(function, args, kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return _dispatch(function, args, kwargs)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Any:
        if self.node is not None:
            raise TypeError(
                f"{site(self._words(), current.get())} requires a gradient and would lose its graph as a plain array; "
                f"use t.numpy() for its values, t.detach() to cut the graph, or np.stack/np.concatenate to put tensors "
                f"together"
            )
        return np.array(self._data, dtype, copy=copy)


def _dispatch(function: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """NumPy called ``function`` with a tensor somewhere: record it, run it, or say why not."""
    entry = TABLE.get(function)
    if kwargs.get("out") is not None or function in WRITING:
        raise TypeError(_writes(function))
    if entry is not None and entry.has_rule:
        if kwargs:
            args, kwargs = entry.positional(args, kwargs)
        if len(args) > 2 and any(n == "out" and a is not None for n, a in zip(entry.names, args, strict=False)):
            raise TypeError(_writes(function))
        x, *rest = args or (None,)
        for a in rest:
            if a.__class__ not in _CONSTANTS:
                break
        else:
            if not kwargs and isinstance(x, Tensor):
                return record1(x, entry, *rest)
        return record(entry, args, kwargs)
    if function not in CONSTANT and current.get().recording and wants_gradient([*args, *kwargs.values()]):
        raise TypeError(no_rule(function, current.get()))
    return plain(function(*bare(list(args)), **{k: bare(v) for k, v in kwargs.items()}))


def _writes(function: Any) -> str:
    words = site(f"np.{function.__name__}", current.get())
    return f"{words} would write into an array, which a graph cannot record; use its result"
