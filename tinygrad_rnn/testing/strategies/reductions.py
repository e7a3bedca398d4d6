"""Operations that reduce axes, or add and multiply along them."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np

from .arrays import DISTANCE, Shape
from .operation import Choices, Operand, Operation, filled, filled_with_axes, with_axes

_ANY = Operand()
_FILLED = Operand(fits=filled)
_DISTINCT = Operand(apart="values", fits=filled)


def _small(shape: Shape) -> bool:
    return math.prod(shape) <= 12


_FACTORS = Operand(-2, 2, fits=_small)


def _all_axes(ndim: int) -> list[Any]:
    """None, each axis by both its numbers, and each tuple of two or more."""
    tuples = [axes for n in range(2, ndim + 1) for axes in combinations(range(ndim), n)]
    return [None, *range(ndim), *range(-ndim, 0), *tuples]


def _axis(choose: Choices, x: Any) -> dict[str, Any]:
    return {"axis": choose(_all_axes(x.ndim)), "keepdims": choose((False, True))}


def _one_axis(choose: Choices, x: Any) -> dict[str, Any]:
    return {"axis": choose((None, *range(-x.ndim, x.ndim)))}


def _reduced(x: Any, axis: Any) -> int:
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return math.prod(x.shape[k] for k in axes)


def _spread_axis(choose: Choices, x: Any) -> dict[str, Any] | None:
    """Axes of 2 elements or more, so that a variance is not 0."""
    axes = [axis for axis in _all_axes(x.ndim) if _reduced(x, axis) > 1]
    return {"axis": choose(axes), "ddof": choose((0, 1)), "keepdims": choose((False, True))} if axes else None


def _several(shape: Shape) -> bool:
    return math.prod(shape) > 1


def _any_ddof(choose: Choices, x: Any) -> dict[str, Any]:
    found = _axis(choose, x)
    return {**found, "ddof": choose((0, 1)) if _reduced(x, found["axis"]) > 1 else 0}


def _order(choose: Choices, x: Any) -> dict[str, Any]:
    """An order of vector norms along an axis, or of the Frobenius norm over two."""
    keepdims = choose((False, True))
    pairs = list(combinations(range(x.ndim), 2))
    if pairs and choose((False, False, True)):
        return {"order": choose(("'fro'", None)), "axis": choose(pairs), "keepdims": keepdims}
    order = choose((None, 1, 2, 3, 4, 0.5, -1, -2, 6, 2.5, "np.inf", "-np.inf", 0))
    return {"order": order, "axis": choose(range(-x.ndim, x.ndim)), "keepdims": keepdims}


def _moderate(x: Any) -> bool:
    return bool(np.abs(x).max(initial=0) <= 10)


def _sums_apart(x: Any) -> bool:
    """Do the sums of magnitudes, in the rows of a matrix and in its columns, differ from each other?"""
    sums = [np.sort(np.abs(x).sum(axis=k)) for k in (-2, -1)]
    return all(s.shape[-1] < 2 or np.diff(s).min() >= DISTANCE for s in sums)


def _filled_matrices(shape: Shape) -> bool:
    return 2 <= len(shape) <= 3 and 0 not in shape


def _matrix_order(choose: Choices, x: Any) -> dict[str, Any]:
    """The axes of a matrix, or of each one in a stack."""
    order = choose((1, -1, "np.inf", "-np.inf"))
    axis = choose(((-2, -1), (x.ndim - 1, x.ndim - 2), None if x.ndim == 2 else (1, -1)))
    return {"order": order, "axis": axis, "keepdims": choose((False, True))}


def _difference(choose: Choices, x: Any) -> dict[str, Any]:
    return {"n": choose((1, 2, 0, 3)), "axis": choose(range(-x.ndim, x.ndim))}


def _sorted_axis(choose: Choices, x: Any) -> dict[str, Any]:
    return {"axis": choose((*range(-x.ndim, x.ndim), None))}


_KEPT = ("np.{name}({{0}}, axis={{axis}}, keepdims={{keepdims}})", "{{0}}.{name}({{axis}}, keepdims={{keepdims}})")
_REDUCTION = (*_KEPT, "np.{name}({{0}}, {{axis}})")
_SPREAD = (*(form.replace("axis}},", "axis}}, ddof={{ddof}},") for form in _KEPT), "np.{name}({{0}}, {{axis}})")


def _forms(name: str, forms: tuple[str, ...] = _REDUCTION) -> list[str]:
    return [form.format(name=name) for form in forms]


OPERATIONS = [
    Operation(np.sum, _ANY, expression=_forms("sum"), options=_axis),
    Operation(np.mean, _FILLED, expression=_forms("mean"), options=_axis),
    Operation(np.max, _DISTINCT, expression=_forms("max"), options=_axis),
    Operation(np.min, _DISTINCT, expression=_forms("min"), options=_axis),
    Operation(np.prod, _FACTORS, expression=_forms("prod"), options=_axis),
    Operation(np.var, _FILLED, expression=_forms("var", _SPREAD), options=_any_ddof),
    Operation(np.std, Operand(apart="values", fits=_several), expression=_forms("std", _SPREAD), options=_spread_axis),
    Operation(np.cumsum, _ANY, expression=("np.cumsum({0}, axis={axis})", "{0}.cumsum({axis})"), options=_one_axis),
    Operation(np.cumprod, _FACTORS, expression="np.cumprod({0}, axis={axis})", options=_one_axis),
    Operation(
        np.cumprod, Operand(-2, 2, shapes=lambda: [(4,), (3,), (2, 3), (4, 2)]), expression="np.cumprod({0}, axis=0)"
    ),
    Operation(
        np.linalg.norm,
        Operand(apart="magnitudes", fits=filled_with_axes),
        expression="np.linalg.norm({0}, {order}, axis={axis}, keepdims={keepdims})",
        options=_order,
        valid=_moderate,
    ),
    Operation(
        np.linalg.norm, Operand(-10, 10, (0.0,), distance=DISTANCE, fits=filled), expression="np.linalg.norm({0})"
    ),
    Operation(
        np.linalg.norm,
        Operand(apart="magnitudes", fits=_filled_matrices),
        expression="np.linalg.norm({0}, {order}, axis={axis}, keepdims={keepdims})",
        options=_matrix_order,
        valid=_sums_apart,
    ),
    Operation(
        np.sort,
        Operand(apart="values", fits=with_axes),
        expression=("np.sort({0}, axis={axis})", "np.sort({0})"),
        options=_sorted_axis,
    ),
    Operation(
        np.diff,
        Operand(fits=filled_with_axes),
        expression=("np.diff({0}, {n}, axis={axis})", "np.diff({0})", "np.diff({0}, {n})", "np.diff({0}, axis={axis})"),
        options=_difference,
    ),
    Operation(np.diff, Operand(shapes=lambda: [(1, 3), (2, 4), (1, 2, 4)]), expression="np.diff({0}, 2)"),
]
