"""Rules of functions that only move entries: the gradient moves back.

Slices of one long sequence would each need a gradient as long as the sequence; so indexing adds into its argument's
gradient in place (``into``) on a first walk, and is a ``scatter`` on a recorded one.
"""

import math
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from types import EllipsisType, NoneType
from typing import Any

import numpy as np

from ..array_interface import GETITEM, bare, getitem
from ..primitives import TABLE, defvjp, primitive_of
from ..tensor import primitive

_UNREPEATED = (int, np.integer, slice, EllipsisType, NoneType)  # what picks no entry twice, and neither does a mask


def _add_at(buffer: Any, index: Any, g: Any) -> None:
    """``buffer[index] += g``, where repeated indices all count."""
    for part in index if isinstance(index, tuple) else (index,):
        if not isinstance(part, _UNREPEATED) and np.asarray(part).dtype.kind != "b":
            np.add.at(buffer, index, g)
            return
    buffer[index] += g


@primitive
def scatter(g: Any, index: Any, shape: tuple[int, ...]) -> Any:
    """Zeros of ``shape`` with ``g`` added at ``index``: the transpose of ``x[index]``."""
    y = np.zeros(shape, g.dtype)
    _add_at(y, index, g)
    return y


defvjp(scatter, lambda h, _y, _g, index, _shape: h[index])
defvjp(getitem, lambda g, _y, _x, index: scatter(g, index, _x.shape))
GETITEM.into[0] = lambda buffer, g, _x, index: _add_at(buffer, index, g)


def _counted(a: Any, axis: int | None) -> tuple[tuple[int, ...], int]:
    """The shape in which ``axis`` is counted, and its place there: the flat one for None, and for a single number."""
    return ((a.size,), 0) if axis is None or a.ndim == 0 else (a.shape, axis % a.ndim)


def _take(g: Any, _y: Any, _a: Any, indices: Any, axis: int | None = None) -> Any:
    shape, axis = _counted(_a, axis)
    index = np.asarray(indices, np.intp)  # truth values are the places 0 and 1 here, not a mask
    return np.reshape(scatter(g, (slice(None),) * axis + (index,), shape), _a.shape)


def _take_along_axis(g: Any, _y: Any, _arr: Any, indices: Any, axis: int | None = -1) -> Any:
    shape, axis = _counted(_arr, axis)
    index = list(np.indices(shape, sparse=True))
    index[axis] = indices
    return np.reshape(scatter(g, tuple(index), shape), _arr.shape)


def _sort(
    g: Any, _y: Any, a: Any, axis: int | None = -1, _kind: Any = None, _order: Any = None, *, stable: Any = None
) -> Any:
    """Equal entries go back in the order they stood in, whatever order the sort left them in."""
    return _take_along_axis(g, _y, a, bare(np.argsort(a, axis, kind="stable")), axis)


def _repeat(g: Any, _y: Any, _a: Any, repeats: Any, axis: int | None = None) -> Any:
    shape, axis = _counted(_a, axis)
    if np.size(repeats) == 1:
        copies = np.reshape(g, (*shape[: axis + 1], np.asarray(repeats).item(), *shape[axis + 1 :]))
        return np.reshape(np.sum(copies, axis=axis + 1), _a.shape)
    source = np.repeat(np.arange(shape[axis]), repeats)
    return np.reshape(scatter(g, (slice(None),) * axis + (source,), shape), _a.shape)


def _tile(g: Any, _y: Any, _A: Any, reps: Any) -> Any:
    counts = np.ravel(reps).tolist()
    counts = [1] * (_A.ndim - len(counts)) + counts
    lengths = [1] * (len(counts) - _A.ndim) + list(_A.shape)
    copies = np.reshape(g, [n for pair in zip(counts, lengths, strict=True) for n in pair])
    return np.reshape(np.sum(copies, axis=tuple(range(0, copies.ndim, 2))), _A.shape)


def _diagonal(g: Any, _y: Any, _a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """In a matrix laid flat, the steps from one entry of the diagonal to the next are equally long."""
    ends = (axis1 % _a.ndim, axis2 % _a.ndim)
    rest = [n for k, n in enumerate(_a.shape) if k not in ends]
    rows, columns = (_a.shape[k] for k in ends)
    length = max(min(rows + min(offset, 0), columns - max(offset, 0)), 0)
    start = offset if offset >= 0 else -offset * columns
    index = (..., slice(start, start + length * (columns + 1), columns + 1))
    flat = scatter(g, index, (*rest, rows * columns))
    return np.moveaxis(np.reshape(flat, (*rest, rows, columns)), (-2, -1), ends)


def _trace(
    g: Any, _y: Any, _a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, _dtype: Any = None, _out: Any = None
) -> Any:
    return _diagonal(np.expand_dims(g, -1), _y, _a, offset, axis1, axis2)


def pad(array: Any, pad_width: Any, mode: Any = "constant", constant_values: Any = None, **options: Any) -> Any:
    """np.pad for arrays, with ``constant_values`` as an argument of its own, so that it can have a gradient."""
    if constant_values is not None:
        options["constant_values"] = constant_values
    return np.pad(array, pad_width, mode, **options)


_REPEATING = ("edge", "reflect", "symmetric", "wrap")  # the modes that fill with entries of the array itself


def _pad(
    g: Any,
    _y: Any,
    _array: Any,
    pad_width: Any,
    mode: Any = "constant",
    _constant_values: Any = None,
    *,
    reflect_type: str = "even",
) -> Any:
    if mode == "constant":
        return np.reshape(g[np.pad(np.ones(_array.shape, bool), pad_width)], _array.shape)
    if mode not in _REPEATING or reflect_type != "even":
        raise ValueError(
            f"pad: no derivative rule for mode={mode!r} with reflect_type={reflect_type!r}; there are rules for the "
            f"modes constant, {', '.join(_REPEATING)}, with reflect_type='even'"
        )
    source = np.pad(np.reshape(np.arange(_array.size), _array.shape), pad_width, mode)
    return np.reshape(scatter(g, (source,), (_array.size,)), _array.shape)


def _pad_constant(
    g: Any, _y: Any, array: Any, pad_width: Any, _mode: Any, _constant_values: Any, *, reflect_type: str = "even"
) -> Any:
    """Each value's number, padded around zeros, says where it went."""
    count, shape = _constant_values.size, _constant_values.shape
    numbers = np.reshape(np.arange(1, count + 1), shape)
    source = np.pad(np.zeros(array.shape, np.intp), pad_width, constant_values=numbers)
    return np.reshape(scatter(g, (source,), (count + 1,))[1:], shape)


def _diff(g: Any, _y: Any, _a: Any, n: int = 1, axis: int = -1) -> Any:
    """Each entry is taken away from its follower: so is, with zeros beyond both ends, each gradient from the next."""
    width = [(int(k == axis % _a.ndim),) * 2 for k in range(_a.ndim)]
    for _ in range(min(n, _a.shape[axis])):
        g = -np.diff(np.pad(g, width), axis=axis)
    return g


def _inverse(axes: Sequence[int] | None, ndim: int) -> list[int] | None:
    return None if axes is None else sorted(range(ndim), key=[axis % ndim for axis in axes].__getitem__)


def _rollaxis(g: Any, _y: Any, _a: Any, axis: int, start: int = 0) -> Any:
    axis, start = axis % g.ndim, start + g.ndim if start < 0 else start
    return np.moveaxis(g, start - 1 if axis < start else start, axis)


def split(a: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """np.split for arrays, without its layers of Python: views along ``axis``."""
    n, sections = a.shape[axis], indices_or_sections
    if isinstance(sections, (int, np.integer)):
        if sections < 1 or n % sections:
            raise ValueError(f"cannot split an axis of length {n} into {sections} equal parts")
        stops = range(0, n + 1, n // sections) if n else [0] * (sections + 1)
    else:
        stops = [0, *sections, n]
    if axis in (-1, a.ndim - 1):
        return [a[..., i:j] for i, j in pairwise(stops)]
    lead = (slice(None),) * (axis % a.ndim)
    return [a[(*lead, slice(i, j))] for i, j in pairwise(stops)]


def _reshaped(g: Any, shape: tuple[int, ...], order: str, name: str) -> Any:
    if order not in ("C", "F"):
        raise ValueError(
            f"{name}: order={order!r} depends on the memory layout, which has no derivative rule; give 'C' or 'F'"
        )
    return np.reshape(g, shape, order=order)  # type: ignore[call-overload]


def _shapes(arrays: Any) -> list[tuple[int, ...]]:
    """The shapes of the arrays in a sequence; one array may stand for the sequence of its parts."""
    return [np.shape(a) for a in arrays] if isinstance(arrays, list) else [arrays.shape[1:]] * arrays.shape[0]


def _cut(g: Any, arrays: Any, axis: int, length: Callable[[tuple[int, ...]], int]) -> Any:
    """The gradient of each of the arrays that were joined along ``axis``: as much of it as an array's shape says."""
    shapes = _shapes(arrays)
    stops = list(accumulate(length(shape) for shape in shapes[:-1]))
    parts = [np.reshape(part, shape) for part, shape in zip(np.split(g, stops, axis=axis), shapes, strict=True)]
    return parts if isinstance(arrays, list) else np.stack(parts)


def _concatenate(
    g: Any, _y: Any, _arrays: Any, axis: int | None = 0, *, dtype: Any = None, casting: str = "same_kind"
) -> Any:
    return _cut(g, _arrays, axis or 0, lambda shape: math.prod(shape) if axis is None else shape[axis])


def _hstack(g: Any, _y: Any, _tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    axis = min(g.ndim - 1, 1)
    return _cut(g, _tup, axis, lambda shape: shape[axis] if shape else 1)


def _stack(g: Any, _y: Any, _arrays: Any, axis: int = 0, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    lead = (slice(None),) * (axis % g.ndim)
    parts = [g[(*lead, i)] for i in range(g.shape[axis])]
    return parts if isinstance(_arrays, list) else np.stack(parts)


def _unsplit(g: Any, _ary: Any, sections: Any, axis: int) -> Any:
    joined = np.concatenate(g, axis=axis)
    if joined.shape == _ary.shape:
        return joined
    axis %= _ary.ndim  # places that go back make parts that overlap: both add to what they share
    index = np.concatenate(np.split(np.arange(_ary.shape[axis]), sections))
    return scatter(joined, (slice(None),) * axis + (index,), _ary.shape)


def _atleast(i: int, g: Any, _y: Any, *arys: Any) -> Any:
    return np.reshape(g if len(arys) == 1 else g[i], arys[i].shape)


# ---- entries picked, perhaps several times
defvjp(np.take, _take, None)
defvjp(np.take_along_axis, _take_along_axis)
defvjp(np.sort, _sort)
defvjp(np.repeat, _repeat)
defvjp(np.tile, _tile)
defvjp(np.diagonal, _diagonal)
defvjp(np.trace, _trace)
defvjp(np.diag, lambda g, _y, _v, k=0: np.diagonal(g, k) if _v.ndim == 1 else _diagonal(g, _y, _v, k))
defvjp(np.diagflat, lambda g, _y, _v, k=0: np.reshape(np.diagonal(g, k), _v.shape))
defvjp(np.tril, lambda g, _y, _m, k=0: np.tril(g, k))
defvjp(np.triu, lambda g, _y, _m, k=0: np.triu(g, k))
defvjp(np.diff, _diff)
defvjp(np.pad, _pad, None, None, _pad_constant)
primitive_of(np.pad, pad)

# ---- shapes and orders
defvjp(np.reshape, lambda g, _y, _a, _shape, order="C": _reshaped(g, _a.shape, order, "reshape"))
defvjp(np.ravel, lambda g, _y, _a, order="C": _reshaped(g, _a.shape, order, "ravel"))
defvjp(np.transpose, lambda g, _y, _a, axes=None: np.transpose(g, _inverse(axes, g.ndim)))
defvjp(np.matrix_transpose, lambda g, _y, _x: np.matrix_transpose(g))
defvjp(np.swapaxes, lambda g, _y, _a, axis1, axis2: np.swapaxes(g, axis1, axis2))
defvjp(np.moveaxis, lambda g, _y, _a, source, destination: np.moveaxis(g, destination, source))
defvjp(np.rollaxis, _rollaxis)
defvjp(np.expand_dims, lambda g, _y, _a, _axis: np.reshape(g, _a.shape))
defvjp(np.squeeze, lambda g, _y, _a, _axis=None: np.reshape(g, _a.shape))
defvjp(np.atleast_1d, rest=_atleast)
defvjp(np.atleast_2d, rest=_atleast)
defvjp(np.atleast_3d, rest=_atleast)
defvjp(np.broadcast_to, lambda g, _y, _array, _shape: g)
defvjp(np.full_like, None, lambda g, _y, _a, _fill_value: g)
defvjp(np.flip, lambda g, _y, _m, axis=None: np.flip(g, axis))
defvjp(np.fliplr, lambda g, _y, _m: np.fliplr(g))
defvjp(np.flipud, lambda g, _y, _m: np.flipud(g))
defvjp(np.rot90, lambda g, _y, _m, k=1, axes=(0, 1): np.rot90(g, -k, axes))
defvjp(np.roll, lambda g, _y, _a, shift, axis=None: np.roll(g, np.negative(shift), axis))
TABLE[np.linalg.matrix_transpose] = TABLE[np.matrix_transpose]

# ---- joining and splitting
defvjp(np.concatenate, _concatenate)
defvjp(np.stack, _stack)
defvjp(
    np.vstack,
    lambda g, _y, _tup, *, dtype=None, casting="": _cut(g, _tup, 0, lambda shape: shape[0] if len(shape) > 1 else 1),
)
defvjp(np.hstack, _hstack)
defvjp(np.dstack, lambda g, _y, _tup: _cut(g, _tup, 2, lambda shape: shape[2] if len(shape) > 2 else 1))
defvjp(np.column_stack, lambda g, _y, _tup: _cut(g, _tup, 1, lambda shape: shape[1] if len(shape) > 1 else 1))
defvjp(np.split, lambda g, _y, _ary, indices_or_sections, axis=0: _unsplit(g, _ary, indices_or_sections, axis))
defvjp(np.array_split, lambda g, _y, _ary, indices_or_sections, axis=0: _unsplit(g, _ary, indices_or_sections, axis))
defvjp(
    np.hsplit, lambda g, _y, _ary, indices_or_sections: _unsplit(g, _ary, indices_or_sections, min(_ary.ndim - 1, 1))
)
defvjp(np.vsplit, lambda g, _y, _ary, indices_or_sections: _unsplit(g, _ary, indices_or_sections, 0))
defvjp(np.dsplit, lambda g, _y, _ary, indices_or_sections: _unsplit(g, _ary, indices_or_sections, 2))
primitive_of(np.split, split)
