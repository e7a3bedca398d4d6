"""Rules of functions that only move entries: the gradient moves back.

Slices of one long sequence would each need a gradient as long as the sequence; so indexing adds into its argument's
gradient in place (``into``) on a first walk, and is a ``scatter`` on a recorded one.
"""

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise
from types import EllipsisType, NoneType
from typing import Any

import numpy as np

from ..array_interface import GETITEM, getitem
from ..primitives import defvjp, primitive_of
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


def _take(g: Any, _y: Any, _a: Any, indices: Any, axis: int | None = None) -> Any:
    if axis is None:
        return np.reshape(scatter(g, (np.asarray(indices),), (_a.size,)), _a.shape)
    return scatter(g, (slice(None),) * (axis % _a.ndim) + (np.asarray(indices),), _a.shape)


def _inverse(axes: Sequence[int] | None, ndim: int) -> list[int] | None:
    return None if axes is None else sorted(range(ndim), key=[axis % ndim for axis in axes].__getitem__)


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


def _reshape(g: Any, _y: Any, _a: Any, _shape: Any, order: str = "C") -> Any:
    if order == "A":
        raise ValueError(
            "reshape: order='A' depends on the memory layout, which has no derivative rule; give 'C' or 'F'"
        )
    return np.reshape(g, _a.shape, order=order)  # type: ignore[call-overload]


def _shapes(arrays: Any) -> list[tuple[int, ...]]:
    """The shapes of the arrays in a sequence; one array may stand for the sequence of its parts."""
    return [np.shape(a) for a in arrays] if isinstance(arrays, list) else [arrays.shape[1:]] * arrays.shape[0]


def _concatenate(g: Any, _y: Any, _arrays: Any, axis: int | None = 0) -> Any:
    shapes = _shapes(_arrays)
    sizes = [math.prod(shape) if axis is None else shape[axis] for shape in shapes]
    parts = np.split(g, list(accumulate(sizes[:-1])), axis=axis or 0)
    if axis is None:
        parts = [np.reshape(part, shape) for part, shape in zip(parts, shapes, strict=True)]
    return parts if isinstance(_arrays, list) else np.stack(parts)


def _stack(g: Any, _y: Any, _arrays: Any, axis: int = 0) -> Any:
    lead = (slice(None),) * (axis % g.ndim)
    parts = [g[(*lead, i)] for i in range(g.shape[axis])]
    return parts if isinstance(_arrays, list) else np.stack(parts)


defvjp(np.take, _take, None)
defvjp(np.reshape, _reshape)
defvjp(np.transpose, lambda g, _y, _a, axes=None: np.transpose(g, _inverse(axes, g.ndim)))
defvjp(np.swapaxes, lambda g, _y, _a, axis1, axis2: np.swapaxes(g, axis1, axis2))
defvjp(np.expand_dims, lambda g, _y, _a, _axis: np.reshape(g, _a.shape))
defvjp(np.squeeze, lambda g, _y, _a, _axis=None: np.reshape(g, _a.shape))
defvjp(np.broadcast_to, lambda g, _y, _array, _shape: g)
defvjp(np.full_like, None, lambda g, _y, _a, _fill_value: g)
defvjp(np.concatenate, _concatenate)
defvjp(np.stack, _stack)
defvjp(np.split, lambda g, _y, _ary, _indices_or_sections, axis=0: np.concatenate(g, axis=axis))
defvjp(np.flip, lambda g, _y, _m, axis=None: np.flip(g, axis))
primitive_of(np.split, split)
