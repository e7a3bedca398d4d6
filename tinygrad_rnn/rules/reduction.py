"""Rules of reductions. The walk repeats a smaller gradient by itself: they only put the summed axes back, of length 1.

Ties follow PyTorch's ``amax`` and ``amin``: the gradient is shared equally between equal extremes. ``std`` has none
where it is 0.
"""

import math
from typing import Any

import numpy as np

from ..primitives import TABLE, defvjp, primitive_of


def _expand(g: Any, axis: Any, keepdims: bool) -> Any:
    """The reduced axes put back, with length 1."""
    return g if keepdims or axis is None else np.expand_dims(g, axis)


def _count(a: Any, axis: Any) -> int:
    """How many entries of ``a`` go into one of the result."""
    axes = range(a.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return math.prod(a.shape[k] for k in axes)


def _mean(
    g: Any, _y: Any, _a: Any, axis: Any = None, _dtype: Any = None, _out: Any = None, keepdims: bool = False
) -> Any:
    return _expand(g, axis, keepdims) / max(_count(_a, axis), 1)


def _extreme(g: Any, y: Any, a: Any, axis: Any = None, _out: Any = None, keepdims: bool = False) -> Any:
    tied = (a == _expand(y, axis, keepdims)).astype(g.dtype)
    return _expand(g, axis, keepdims) * (tied / np.sum(tied, axis=axis, keepdims=True))


def _var(
    g: Any,
    _y: Any,
    a: Any,
    axis: Any = None,
    _dtype: Any = None,
    _out: Any = None,
    ddof: int = 0,
    keepdims: bool = False,
) -> Any:
    """2 g (a - mean) / (n - ddof)."""
    free = _count(a, axis) - ddof
    scale = 2 / free if free > 0 else math.nan
    return _expand(g, axis, keepdims) * scale * (a - np.mean(a, axis=axis, keepdims=True))


def _std(
    g: Any,
    y: Any,
    a: Any,
    axis: Any = None,
    _dtype: Any = None,
    _out: Any = None,
    ddof: int = 0,
    keepdims: bool = False,
) -> Any:
    """The rule of var, divided by 2 y; 0 where y is 0."""
    still = y == 0
    return _var(np.where(still, 0, g * 0.5 / np.where(still, 1, y)), y, a, axis, None, None, ddof, keepdims)


def _cumsum(g: Any, _y: Any, _a: Any, axis: int | None = None) -> Any:
    """Each entry went into all later sums."""
    return np.reshape(np.flip(np.cumsum(np.flip(g, axis), axis), axis), _a.shape)


defvjp(
    np.sum,
    lambda g, _y, _a, axis=None, _dtype=None, _out=None, keepdims=False: _expand(g, axis, keepdims),
)
defvjp(np.mean, _mean)
defvjp(np.max, _extreme)
defvjp(np.min, _extreme)
defvjp(np.var, _var)
defvjp(np.std, _std)
defvjp(np.cumsum, _cumsum)
TABLE[np.amax], TABLE[np.amin] = TABLE[np.max], TABLE[np.min]  # functions of their own in NumPy


# ndarray's own methods skip a layer of Python that np.sum and its kin go through.
def _fast_sum(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, **kwargs: Any
) -> Any:
    return np.add.reduce(a, axis, dtype, out, keepdims=keepdims, **kwargs)  # type: ignore[call-overload]


primitive_of(np.sum, _fast_sum)
