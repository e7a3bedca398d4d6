"""Rules of reductions. The walk repeats a smaller gradient by itself: they only put the summed axes back, of length 1.

Ties follow PyTorch's ``amax`` and ``amin``: the gradient is shared equally between equal extremes. ``std`` and norms
have none where they are 0. Products never divide, so they are right at zeros.
"""

import math
from typing import Any

import numpy as np

from ..primitives import TABLE, defvjp, primitive_of
from ..tensor import primitive
from .elementwise import off_origin


def _expand(g: Any, axis: Any, keepdims: bool) -> Any:
    """The reduced axes put back, with length 1."""
    return g if keepdims or axis is None else np.expand_dims(g, axis)


def _axes(a: Any, axis: Any) -> tuple[int, ...]:
    """The reduced axes, counted from the first."""
    given = range(a.ndim) if axis is None or a.ndim == 0 else axis if isinstance(axis, tuple) else (axis,)
    return tuple(k % a.ndim for k in given)


def _count(a: Any, axis: Any) -> int:
    """How many entries of ``a`` go into one of the result."""
    return math.prod(a.shape[k] for k in _axes(a, axis))


def _mean(
    g: Any, _y: Any, _a: Any, axis: Any = None, _dtype: Any = None, _out: Any = None, keepdims: bool = False
) -> Any:
    return _expand(g, axis, keepdims) / max(_count(_a, axis), 1)


def _shared(g: Any, sizes: Any, extreme: Any, axis: Any) -> Any:
    """g, divided between those of ``sizes`` along ``axis`` that equal the extreme."""
    tied = (sizes == extreme).astype(g.dtype)
    return g * (tied / np.sum(tied, axis=axis, keepdims=True))


def _extreme(g: Any, y: Any, a: Any, axis: Any = None, _out: Any = None, keepdims: bool = False) -> Any:
    return _shared(_expand(g, axis, keepdims), a, _expand(y, axis, keepdims), axis)


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


@primitive
def linear_recurrence(x: Any, a: Any) -> Any:
    """y_0 = x_0 and y_t = x_t + a_{t-1} y_{t-1} along the last axis, which in ``a`` is one shorter."""
    y = np.array(x, np.result_type(x, a))
    for t in range(1, y.shape[-1]):
        y[..., t] += a[..., t - 1] * y[..., t - 1]
    return y


def _backward_recurrence(g: Any, a: Any) -> Any:
    """The transpose of ``linear_recurrence``: s_t = g_t + a_t s_{t+1}, from the end."""
    return np.flip(linear_recurrence(np.flip(g, -1), np.flip(a, -1)), -1)


defvjp(
    linear_recurrence,
    lambda g, _y, _x, a: _backward_recurrence(g, a),
    lambda g, y, _x, a: _backward_recurrence(g, a)[..., 1:] * y[..., :-1],
)


def _before(x: Any) -> Any:
    """For each entry the product of those before it on the last axis."""
    return np.concatenate([np.ones_like(x[..., :1]), np.cumprod(x[..., :-1], -1)], -1)


def _cumprod_last(g: Any, x: Any) -> Any:
    """Entry i is in all products from y_i on: what comes before it, times g_i + x_{i+1} (g_{i+1} + x_{i+2} ...)."""
    return _before(x) * _backward_recurrence(g, x[..., 1:])


def _cumprod(g: Any, _y: Any, a: Any, axis: int | None = None, dtype: Any = None, _out: Any = None) -> Any:
    x = a if dtype is None else a.astype(dtype)
    if axis is None or a.ndim == 0:
        return np.reshape(_cumprod_last(g, np.reshape(x, -1)), a.shape)
    return np.swapaxes(_cumprod_last(np.swapaxes(g, axis, -1), np.swapaxes(x, axis, -1)), axis, -1)


def _prod(
    g: Any, _y: Any, a: Any, axis: Any = None, dtype: Any = None, _out: Any = None, keepdims: bool = False
) -> Any:
    """g times the product of all other entries: of those before and of those after."""
    axes = _axes(a, axis)
    order = [*(k for k in range(a.ndim) if k not in axes), *axes]
    moved = np.transpose(a if dtype is None else a.astype(dtype), order)
    x = np.reshape(moved, (*moved.shape[: a.ndim - len(axes)], _count(a, axis)))
    others = np.reshape(_before(x) * np.flip(_before(np.flip(x, -1)), -1), moved.shape)
    return _expand(g, axis, keepdims) * np.transpose(others, sorted(range(a.ndim), key=order.__getitem__))


def _vector_norm(g: Any, y: Any, x: Any, p: float, axes: tuple[int, ...]) -> Any:
    """g sign(x) (|x| / y)^(p-1), and 0 where y is 0 or the power of a 0 would be infinite.

    A whole p needs no absolute value, whose derivative at 0 would be lost in the higher orders.
    """
    if p == 0:
        return np.zeros_like(g)
    if p == 1:
        return g * np.sign(x)
    if math.isinf(p):
        return _shared(g, np.absolute(x), y, axes) * np.sign(x)
    g, y = off_origin(g, y)
    if p == 2:
        return g * (x / y)
    if p > 2 and p % 2 == 0:
        return g * (x / y) ** (p - 1)
    if p > 2 and p % 2 == 1:
        return g * np.sign(x) * (x / y) ** (p - 1)
    absent = x == 0
    return np.where(absent, 0, g * np.sign(x) * (np.where(absent, 1, np.absolute(x)) / y) ** (p - 1))


def _matrix_norm(g: Any, x: Any, ord: Any, axes: tuple[int, ...]) -> Any:
    """Of the largest (smallest) sum of absolute values in a column (order 1, -1) or a row (inf, -inf)."""
    if ord not in (1, -1, math.inf, -math.inf):
        raise ValueError(
            f"linalg.norm: of a matrix, orders None, 'fro', 1, -1, inf and -inf have a derivative rule, got {ord!r}: "
            f"it needs singular values"
        )
    summed, kept = axes if abs(ord) == 1 else axes[::-1]
    sums = np.sum(np.absolute(x), axis=summed, keepdims=True)
    extreme = (np.max if ord > 0 else np.min)(sums, axis=kept, keepdims=True)
    return _shared(g, sums, extreme, kept) * np.sign(x)


def _norm(g: Any, y: Any, x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    g, y, axes = _expand(g, axis, keepdims), _expand(y, axis, keepdims), _axes(x, axis)
    if ord is None or (isinstance(ord, str) and ord in ("f", "fro")):
        return _vector_norm(g, y, x, 2, axes)
    return _matrix_norm(g, x, ord, axes) if len(axes) == 2 else _vector_norm(g, y, x, float(ord), axes)


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
defvjp(np.prod, _prod)
defvjp(np.cumprod, _cumprod)
defvjp(np.linalg.norm, _norm)
TABLE[np.amax], TABLE[np.amin] = TABLE[np.max], TABLE[np.min]  # functions of their own in NumPy


# ndarray's own methods skip a layer of Python that np.sum and its kin go through.
def _fast_sum(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, **kwargs: Any
) -> Any:
    return np.add.reduce(a, axis, dtype, out, keepdims=keepdims, **kwargs)  # type: ignore[call-overload]


primitive_of(np.sum, _fast_sum)
