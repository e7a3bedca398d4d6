"""Rules of functions that only move entries: the gradient moves back.

Slices of one long sequence would each need a gradient as long as the sequence; so indexing adds into its argument's
gradient in place (``into``) on a first walk, and is a ``scatter`` on a recorded one.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..array_interface import GETITEM, getitem
from ..primitives import defvjp, primitive_of
from ..tensor import primitive


def _add_at(buffer: Any, index: Any, g: Any) -> None:
    """``buffer[index] += g``, where repeated indices all count."""
    parts = index if isinstance(index, tuple) else (index,)
    if any(isinstance(part, (list, np.ndarray)) and np.asarray(part).dtype.kind != "b" for part in parts):
        np.add.at(buffer, index, g)
    else:
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
    return None if axes is None else sorted(range(ndim), key=lambda k: [a % ndim for a in axes].index(k))


def split(a: Any, sections: Any, axis: int = 0) -> list[Any]:
    """np.split for arrays, without its layers of Python: views along ``axis``."""
    n = a.shape[axis]
    if isinstance(sections, int):
        if sections < 1 or n % sections:
            raise ValueError(f"cannot split an axis of length {n} into {sections} equal parts")
        stops = range(0, n + 1, n // sections) if n else [0] * (sections + 1)
    else:
        stops = [0, *sections, n]
    lead = (slice(None),) * (axis % a.ndim)
    return [a[(*lead, slice(i, j))] for i, j in zip(stops, stops[1:], strict=False)]


def _concatenate(g: Any, _y: Any, _arrays: Any, axis: int | None = 0) -> list[Any]:
    if axis is None:
        sizes = [a.size for a in _arrays]
    else:
        sizes = [a.shape[axis] for a in _arrays]
    stops = [sum(sizes[: i + 1]) for i in range(len(sizes) - 1)]
    parts = np.split(g, stops, axis=axis or 0)
    return parts if axis is not None else [np.reshape(p, a.shape) for p, a in zip(parts, _arrays, strict=True)]


def _stack(g: Any, _y: Any, _arrays: Any, axis: int = 0) -> list[Any]:
    lead = (slice(None),) * (axis % g.ndim)
    return [g[(*lead, i)] for i in range(len(_arrays))]


defvjp(np.take, _take, None)
defvjp(np.reshape, lambda g, _y, _a, _shape, order="C": np.reshape(g, _a.shape, order=order))
defvjp(np.transpose, lambda g, _y, _a, axes=None: np.transpose(g, _inverse(axes, g.ndim)))
defvjp(np.swapaxes, lambda g, _y, _a, axis1, axis2: np.swapaxes(g, axis1, axis2))
defvjp(np.expand_dims, lambda g, _y, _a, _axis: np.reshape(g, _a.shape))
defvjp(np.squeeze, lambda g, _y, _a, _axis=None: np.reshape(g, _a.shape))
defvjp(np.broadcast_to, lambda g, _y, _array, _shape: g)
defvjp(np.full_like, None, lambda g, _y, _a, _fill_value: g)
defvjp(np.concatenate, _concatenate)
defvjp(np.stack, _stack)
defvjp(np.split, lambda g, _y, _ary, _sections, axis=0: np.concatenate(g, axis=axis))
defvjp(np.flip, lambda g, _y, _m, axis=None: np.flip(g, axis))
primitive_of(np.split, split)
