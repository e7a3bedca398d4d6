"""ndarray's operators and methods, each a line: what makes a tensor look like an array.

They reach the recorder by a short path, past NumPy's dispatch: ``t.sum(axis=0)`` records what ``np.sum(t, axis=0)``
does.
"""

from __future__ import annotations

import opcode
import operator
import sys
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from .context import current, get_default_dtype, site
from .graph import Node
from .primitives import Primitive, primitive_of

if TYPE_CHECKING:  # numpy.typing takes time to load, and only readers want it
    from numpy.typing import DTypeLike


def getitem(x: Any, index: Any) -> Any:
    """``x[index]``, as a function that has a rule."""
    return x[index]


def astype(x: Any, dtype: DTypeLike) -> Any:
    """``x.astype(dtype)``, as a function that has a rule."""
    return x.astype(dtype)


GETITEM, ASTYPE = primitive_of(getitem), primitive_of(astype)
_ADD, _SUBTRACT = primitive_of(np.add, operator.add), primitive_of(np.subtract, operator.sub)
_MULTIPLY, _DIVIDE = primitive_of(np.multiply, operator.mul), primitive_of(np.divide, operator.truediv)
_POWER, _MATMUL = primitive_of(np.power, operator.pow), primitive_of(np.matmul)
_COPY, _CLIP, _DOT, _CUMSUM = (
    primitive_of(np.copy),
    primitive_of(np.clip),
    primitive_of(np.dot),
    primitive_of(np.cumsum),
)
_RESHAPE, _TRANSPOSE, _SWAPAXES, _SQUEEZE = (
    primitive_of(np.reshape),
    primitive_of(np.transpose),
    primitive_of(np.swapaxes),
    primitive_of(np.squeeze),
)
_TAKE, _SUM, _MEAN, _MAX, _MIN = (
    primitive_of(np.take),
    primitive_of(np.sum),
    primitive_of(np.mean),
    primitive_of(np.max),
    primitive_of(np.min),
)
_VAR, _STD, _PROD, _CUMPROD = (
    primitive_of(np.var),
    primitive_of(np.std),
    primitive_of(np.prod),
    primitive_of(np.cumprod),
)
_RAVEL, _REPEAT, _DIAGONAL, _TRACE = (
    primitive_of(np.ravel),
    primitive_of(np.repeat),
    primitive_of(np.diagonal),
    primitive_of(np.trace),
)
_NEGATIVE, _ABSOLUTE, _ROUND = (
    primitive_of(np.negative, operator.neg),
    primitive_of(np.absolute, operator.abs),
    primitive_of(np.round),
)


_STORE_ITEM = opcode.opmap["STORE_SUBSCR"]


class ArrayInterface:
    """What ``Tensor`` has in common with ``np.ndarray``."""

    __slots__ = ()

    if TYPE_CHECKING:  # Tensor's own
        _data: Any
        node: Node | None

        def _record1(self, primitive: Primitive, *rest: Any) -> Self: ...
        def _record2(self, primitive: Primitive, a: Any, b: Any) -> Self: ...
        def _constant(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Self: ...

        def _words(self) -> str: ...
        def _update(self, primitive: Primitive, other: Any) -> Self: ...

    # ---- attributes

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        return self._data.shape  # type: ignore[no-any-return]

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy dtype."""
        return self._data.dtype  # type: ignore[no-any-return]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._data.ndim  # type: ignore[no-any-return]

    @property
    def size(self) -> int:
        """Number of elements."""
        return self._data.size  # type: ignore[no-any-return]

    @property
    def T(self) -> Self:
        """The transpose."""
        return self._record1(_TRANSPOSE, None)

    @property
    def mT(self) -> Self:
        """The transpose of the last two axes."""
        return self._record1(_SWAPAXES, -1, -2)

    # ---- operators

    def __add__(self, other: Any) -> Self:
        return self._record2(_ADD, self, other)

    def __radd__(self, other: Any) -> Self:
        return self._record2(_ADD, other, self)

    def __sub__(self, other: Any) -> Self:
        return self._record2(_SUBTRACT, self, other)

    def __rsub__(self, other: Any) -> Self:
        return self._record2(_SUBTRACT, other, self)

    def __mul__(self, other: Any) -> Self:
        return self._record2(_MULTIPLY, self, other)

    def __rmul__(self, other: Any) -> Self:
        return self._record2(_MULTIPLY, other, self)

    def __truediv__(self, other: Any) -> Self:
        return self._record2(_DIVIDE, self, other)

    def __rtruediv__(self, other: Any) -> Self:
        return self._record2(_DIVIDE, other, self)

    def __pow__(self, other: Any) -> Self:
        return self._record2(_POWER, self, other)

    def __rpow__(self, other: Any) -> Self:
        return self._record2(_POWER, other, self)

    def __matmul__(self, other: Any) -> Self:
        return self._record2(_MATMUL, self, other)

    def __rmatmul__(self, other: Any) -> Self:
        return self._record2(_MATMUL, other, self)

    def __iadd__(self, other: Any) -> Self:
        return self._update(_ADD, other)

    def __isub__(self, other: Any) -> Self:
        return self._update(_SUBTRACT, other)

    def __imul__(self, other: Any) -> Self:
        return self._update(_MULTIPLY, other)

    def __itruediv__(self, other: Any) -> Self:
        return self._update(_DIVIDE, other)

    def __floordiv__(self, other: Any) -> Self:
        return np.floor_divide(self, other)  # type: ignore[call-overload, no-any-return]

    def __rfloordiv__(self, other: Any) -> Self:
        return np.floor_divide(other, self)  # type: ignore[call-overload, no-any-return]

    def __mod__(self, other: Any) -> Self:
        return np.remainder(self, other)  # type: ignore[call-overload, no-any-return]

    def __rmod__(self, other: Any) -> Self:
        return np.remainder(other, self)  # type: ignore[call-overload, no-any-return]

    def __divmod__(self, other: Any) -> tuple[Self, Self]:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> tuple[Self, Self]:
        return other // self, other % self

    def __neg__(self) -> Self:
        return self._record1(_NEGATIVE)

    def __pos__(self) -> Self:
        return self._record1(_COPY)

    def __abs__(self) -> Self:
        return self._record1(_ABSOLUTE)

    def __lt__(self, other: Any) -> Self:
        return self._constant(operator.lt, other)

    def __le__(self, other: Any) -> Self:
        return self._constant(operator.le, other)

    def __gt__(self, other: Any) -> Self:
        return self._constant(operator.gt, other)

    def __ge__(self, other: Any) -> Self:
        return self._constant(operator.ge, other)

    def __eq__(self, other: Any) -> Self:  # type: ignore[override]
        return self._constant(operator.eq, other)

    def __ne__(self, other: Any) -> Self:  # type: ignore[override]
        return self._constant(operator.ne, other)

    def __and__(self, other: Any) -> Self:
        return self._constant(operator.and_, other)

    def __or__(self, other: Any) -> Self:
        return self._constant(operator.or_, other)

    def __xor__(self, other: Any) -> Self:
        return self._constant(operator.xor, other)

    def __invert__(self) -> Self:
        return self._constant(operator.invert)

    __hash__ = object.__hash__  # identity, so that tensors can be keys although == is elementwise

    def __bool__(self) -> bool:
        return bool(self._data)

    def __int__(self) -> int:
        return int(self._data)

    def __float__(self) -> float:
        if self.node is not None and _stores_item(sys._getframe(1)):
            np.asarray(self)  # for one entry of an array NumPy asks float(); refused like every other conversion
        return float(self._data)

    def __index__(self) -> int:
        return operator.index(self._data)

    def __repr__(self) -> str:
        node = self.node
        kind = type(self).__name__
        body = np.array2string(self._data, separator=", ", prefix=f"{kind}(")
        words = [] if self._data.dtype in (get_default_dtype(), np.bool_, np.int64) else [f"dtype={self._data.dtype}"]
        if node is not None:
            entry = node.primitive
            words.append("requires_grad=True" if entry is None else f"node={entry.name}")
        return f"{kind}({', '.join([body, *words])})"

    def __format__(self, spec: str) -> str:
        return format(self._data.item(), spec) if self._data.ndim == 0 else format(str(self), spec)

    def __len__(self) -> int:
        return len(self._data)

    def __iter__(self) -> Iterator[Self]:
        if self._data.ndim == 0:
            raise TypeError("iteration over a 0-d tensor")
        return (self[i] for i in range(len(self._data)))

    def __contains__(self, value: Any) -> bool:
        return value in self._data

    def __getitem__(self, index: Any) -> Self:
        if index.__class__ is not int and index.__class__ is not slice:
            index = _frozen(bare(index))
        return self._record1(GETITEM, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TypeError(
            f"{site(self._words(), current.get())}: t[...] = v writes in place, which a graph cannot record; build the "
            f"result with np.where, np.concatenate or np.stack, or write t.data[...] = v before anything is computed "
            f"from t"
        )

    # ---- shapes

    def reshape(self, *shape: Any) -> Self:
        return self._record1(_RESHAPE, shape[0] if len(shape) == 1 else shape)

    def ravel(self, order: str = "C") -> Self:
        return self._record1(_RAVEL, order)

    def flatten(self, order: str = "C") -> Self:
        return self.ravel(order).copy()

    def transpose(self, *axes: Any) -> Self:
        return self._record1(_TRANSPOSE, axes[0] if len(axes) == 1 else axes or None)

    def swapaxes(self, axis1: int, axis2: int) -> Self:
        return self._record1(_SWAPAXES, axis1, axis2)

    def squeeze(self, axis: Any = None) -> Self:
        return self._record1(_SQUEEZE, axis)

    def take(self, indices: Any, axis: int | None = None) -> Self:
        return self._record1(_TAKE, bare(indices), axis)

    def repeat(self, repeats: Any, axis: int | None = None) -> Self:
        return self._record1(_REPEAT, bare(repeats), axis)

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Self:
        return self._record1(_DIAGONAL, offset, axis1, axis2)

    def astype(self, dtype: DTypeLike) -> Self:
        return self._record1(ASTYPE, np.dtype(dtype))

    def copy(self) -> Self:
        return self._record1(_COPY)

    # ---- reductions

    def sum(self, axis: Any = None, dtype: DTypeLike | None = None, *, keepdims: bool = False) -> Self:
        return self._record1(_SUM, axis, dtype, None, keepdims)

    def prod(self, axis: Any = None, dtype: DTypeLike | None = None, *, keepdims: bool = False) -> Self:
        return self._record1(_PROD, axis, dtype, None, keepdims)

    def mean(self, axis: Any = None, dtype: DTypeLike | None = None, *, keepdims: bool = False) -> Self:
        return self._record1(_MEAN, axis, dtype, None, keepdims)

    def max(self, axis: Any = None, *, keepdims: bool = False) -> Self:
        return self._record1(_MAX, axis, None, keepdims)

    def min(self, axis: Any = None, *, keepdims: bool = False) -> Self:
        return self._record1(_MIN, axis, None, keepdims)

    def var(self, axis: Any = None, *, ddof: int = 0, keepdims: bool = False) -> Self:
        return self._record1(_VAR, axis, None, None, ddof, keepdims)

    def std(self, axis: Any = None, *, ddof: int = 0, keepdims: bool = False) -> Self:
        return self._record1(_STD, axis, None, None, ddof, keepdims)

    def cumsum(self, axis: int | None = None) -> Self:
        return self._record1(_CUMSUM, axis)

    def cumprod(self, axis: int | None = None) -> Self:
        return self._record1(_CUMPROD, axis)

    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: DTypeLike | None = None) -> Self:
        return self._record1(_TRACE, offset, axis1, axis2, dtype)

    def round(self, decimals: int = 0) -> Self:
        return self._record1(_ROUND, decimals)

    def clip(self, min: Any = None, max: Any = None) -> Self:
        return np.clip(self, min, max)  # type: ignore[call-overload, no-any-return]

    def dot(self, other: Any) -> Self:
        return self._record2(_DOT, self, other)

    # ---- without a gradient

    def argmax(self, axis: int | None = None, *, keepdims: bool = False) -> Self:
        return self._constant(np.argmax, axis, None, keepdims=keepdims)

    def argmin(self, axis: int | None = None, *, keepdims: bool = False) -> Self:
        return self._constant(np.argmin, axis, None, keepdims=keepdims)

    def argsort(self, axis: int = -1) -> Self:
        return self._constant(np.argsort, axis)

    def all(self, axis: Any = None, *, keepdims: bool = False) -> Self:
        return self._constant(np.all, axis, None, keepdims)

    def any(self, axis: Any = None, *, keepdims: bool = False) -> Self:
        return self._constant(np.any, axis, None, keepdims)

    def nonzero(self) -> tuple[Self, ...]:
        found: Any = self._constant(np.nonzero)
        return tuple(found)

    def item(self) -> Any:
        """The Python number of a tensor of one element."""
        return self._data.item()

    def tolist(self) -> Any:
        """Nested lists of Python numbers."""
        return self._data.tolist()


def _stores_item(frame: FrameType) -> bool:
    """Is this frame just now at ``a[i] = value``?"""
    return frame.f_code.co_code[frame.f_lasti] == _STORE_ITEM


def bare(a: Any) -> Any:
    """The array of a tensor, also inside lists and tuples; anything else as it is."""
    if isinstance(a, ArrayInterface):
        return a._data
    if isinstance(a, (list, tuple)) and any(isinstance(v, (ArrayInterface, list, tuple)) for v in a):
        return type(a)([bare(v) for v in a])
    return a


def _frozen(index: Any) -> Any:
    """An index that later changes to the lists in it cannot reach."""
    if isinstance(index, tuple):
        return tuple(_frozen(part) for part in index)
    return np.array(index, None if index else np.intp) if isinstance(index, list) else index


def wants_gradient(values: Sequence[Any]) -> bool:
    return any(
        wants_gradient(v) if isinstance(v, (list, tuple)) else isinstance(v, ArrayInterface) and v.node is not None
        for v in values
    )


def as_array(data: Any, dtype: DTypeLike | None, copy: bool) -> Any:
    """The array for a new tensor: Python floats become the default dtype, everything else keeps its own."""
    if isinstance(data, ArrayInterface):
        raise TypeError("Tensor(t) of a tensor would cut its graph silently; use t.detach() or t.astype(dtype)")
    if isinstance(data, (np.ndarray, np.generic)) or hasattr(data, "__array_function__"):
        if isinstance(data, np.matrix):
            raise TypeError("Tensor: np.matrix has a product of its own; give np.asarray(matrix)")
        array = np.asarray(data) if isinstance(data, np.generic) else data
        if dtype is not None and array.dtype != dtype:
            array = array.astype(dtype)
        elif copy:
            array = array.copy()
    else:
        array = np.asarray(data, dtype)
        if dtype is None and array.dtype == np.float64:
            array = array.astype(get_default_dtype())
    if array.dtype.kind not in "fbiuc":
        raise TypeError(f"Tensor: expected numbers, got {array.dtype} from {type(data).__name__}")
    return array
