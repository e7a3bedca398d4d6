"""Operations that move, repeat and drop entries: shapes, axes, diagonals, padding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import permutations
from typing import Any

import numpy as np

from .arrays import Shape
from .operation import Choices, Operand, Operation, filled, two_axes_or_more, with_axes

_ANY = Operand()
_AXES = Operand(fits=with_axes)
_TWO_AXES = Operand(fits=two_axes_or_more)

# ---- shapes and axes


def _new_shape(choose: Choices, x: Any) -> dict[str, Any]:
    """A shape of as many entries, perhaps with -1."""
    sides = list(x.shape)
    shapes = [(x.size,), (*sides, 1), (1, *sides), tuple(sides[::-1])]
    if len(sides) > 1:
        shapes += [(sides[0] * sides[1], *sides[2:]), (*sides[:-2], sides[-2] * sides[-1])]
    shapes += [(k, x.size // k) for k in (2, 3) if x.size % k == 0]
    shape = choose(shapes)
    if x.size and shape and choose((False, False, True)):
        unknown = choose(range(len(shape)))
        shape = (*shape[:unknown], -1, *shape[unknown + 1 :])
    return {"shape": shape, "order": choose(("C", "C", "F"))}


def _order_of_axes(choose: Choices, x: Any) -> dict[str, Any]:
    axes = choose([None, *permutations(range(x.ndim))])
    return {"axes": axes and tuple(k - choose((0, x.ndim)) for k in axes)}


def _two_axes(choose: Choices, x: Any) -> dict[str, Any]:
    axes = range(-x.ndim, x.ndim)
    return {"a": choose(axes), "b": choose(axes)}


def _new_axis(choose: Choices, x: Any) -> dict[str, Any]:
    return {"axis": choose([0, -1, *range(1, x.ndim + 1), (0, -1), (0, 1)])}


def _single_axes(choose: Choices, x: Any) -> dict[str, Any]:
    single = [k for k, n in enumerate(x.shape) if n == 1]
    return {"axis": choose([None, *single, *(k - x.ndim for k in single), tuple(single)])}


def _has_single(shape: Shape) -> bool:
    return 1 in shape


def _broadcast_shape(choose: Choices, x: Any) -> dict[str, Any]:
    longer = [tuple(k if n == 1 else n for n in x.shape) for k in (2, 3, 1)]
    return {"shape": choose([(2, *x.shape), *longer, (2, 1, *longer[0]), (0, *x.shape)])}


def _axis(choose: Choices, x: Any) -> dict[str, Any]:
    return {"axis": choose(range(-x.ndim, x.ndim))}


def _flip_axes(choose: Choices, x: Any) -> dict[str, Any]:
    return {"axis": choose([None, *range(-x.ndim, x.ndim), *([(0, 1), (-1, 0)] if x.ndim > 1 else [])])}


def _shift(choose: Choices, x: Any) -> dict[str, Any]:
    several = [((1, -1), (0, 1)), ((1, 2), (0, 0))] if x.ndim > 1 else []
    shift, axis = choose([(1, None), *((s, k) for k in range(-x.ndim, x.ndim) for s in (1, -1, 2, 5)), *several])
    return {"shift": shift, "axis": axis}


def _repeats(choose: Choices, x: Any) -> dict[str, Any]:
    axis = choose([None, *range(-x.ndim, x.ndim)])
    count = x.size if axis is None else x.shape[axis]
    if count > 6 or choose((True, False)):
        return {"repeats": choose((2, 1, 3)), "axis": axis}
    each = choose.several((1, 2, 0, 3), count)
    return {"repeats": choose((each, f"np.array({each}, int)")), "axis": axis}


def _tiles(choose: Choices, _x: Any) -> dict[str, Any]:
    return {"reps": choose((2, (2,), (1, 2), (2, 1), (2, 1, 2), (1, 1, 1, 2), 1))}


def _pad(choose: Choices, x: Any, *_fill: Any) -> dict[str, Any]:
    widths = [1, (1, 0), (0, 2)]
    if x.ndim:
        widths.append(tuple((choose((0, 1, 2)), choose((1, 0, 2))) for _ in range(x.ndim)))
    return {"width": choose(widths)}


def _fills(x: Shape) -> Sequence[Shape]:
    """One value, one before and one after, or these for each axis."""
    return [(), (1,), (2,), (len(x), 2), (len(x), 1)]


def _repeating_pad(choose: Choices, x: Any) -> dict[str, Any]:
    """Modes that fill with the array's own entries, by no more than are there."""
    return {"width": choose((1, (1, 0), (0, 1))), "mode": choose(("edge", "wrap", "symmetric", "reflect"))}


def _moved(choose: Choices, x: Any) -> dict[str, Any]:
    return {"axis": choose(range(-x.ndim, x.ndim)), "start": choose(range(-x.ndim, x.ndim + 1))}


def _turn(choose: Choices, x: Any) -> dict[str, Any]:
    return {"k": choose((1, 2, 3, -1)), "axes": choose([*permutations(range(x.ndim), 2), (-1, 0)])}


def _diagonal(choose: Choices, x: Any) -> dict[str, Any]:
    a, b = choose(list(permutations(range(x.ndim), 2)))
    n = x.ndim
    a, b = choose(((a, b), (a, b), (a - n, b), (a, b - n), (a - n, b - n)))
    return {"k": choose((0, 1, -1, 2, -2, -3)), "a": a, "b": b}


def _k(choose: Choices, _x: Any) -> dict[str, Any]:
    return {"k": choose((0, 1, -1, 2, -2))}


def _two_sides(shape: Shape) -> bool:
    return len(shape) >= 2 and 0 not in shape


def _at_least_two(shape: Shape) -> bool:
    """At least two entries along every axis, of which there is one."""
    return len(shape) >= 1 and min(shape) >= 2


def _few(shape: Shape) -> bool:
    return filled(shape) and math.prod(shape) <= 6


def _at_most_two(shape: Shape) -> bool:
    return 1 <= len(shape) <= 2


OPERATIONS = [
    Operation(
        np.reshape,
        _ANY,
        expression=("np.reshape({0}, {shape}, order='{order}')", "{0}.reshape({shape})"),
        options=_new_shape,
    ),
    Operation(np.ravel, _ANY),
    Operation(np.transpose, _ANY, expression=("np.transpose({0}, {axes})", "{0}.T"), options=_order_of_axes),
    Operation(
        np.swapaxes, _AXES, expression=("np.swapaxes({0}, {a}, {b})", "{0}.swapaxes({a}, {b})"), options=_two_axes
    ),
    Operation(np.moveaxis, _AXES, expression="np.moveaxis({0}, {a}, {b})", options=_two_axes),
    Operation(np.expand_dims, _ANY, expression="np.expand_dims({0}, {axis})", options=_new_axis),
    Operation(
        np.squeeze,
        Operand(fits=_has_single),
        expression=("np.squeeze({0}, {axis})", "{0}.squeeze({axis})"),
        options=_single_axes,
    ),
    Operation(np.broadcast_to, _ANY, expression="np.broadcast_to({0}, {shape})", options=_broadcast_shape),
    Operation(np.flip, _ANY, expression="np.flip({0}, {axis})", options=_flip_axes),
    Operation(np.fliplr, _TWO_AXES),
    Operation(np.flipud, _AXES),
    Operation(np.roll, _ANY, expression="np.roll({0}, {shift}, axis={axis})", options=_shift),
    Operation(np.repeat, _ANY, expression="np.repeat({0}, {repeats}, axis={axis})", options=_repeats),
    Operation(np.tile, _ANY, expression="np.tile({0}, {reps})", options=_tiles),
    Operation(
        np.pad,
        _ANY,
        expression=("np.pad({0}, {width})", "np.pad({0}, {width}, constant_values=0.5)"),
        options=_pad,
    ),
    Operation(
        np.pad,
        _AXES,
        Operand(shapes=_fills),
        expression="np.pad({0}, {width}, constant_values={1})",
        options=_pad,
    ),
    Operation(np.pad, Operand(fits=_at_least_two), expression="np.pad({0}, {width}, '{mode}')", options=_repeating_pad),
    Operation(
        np.rollaxis, _AXES, expression=("np.rollaxis({0}, {axis}, {start})", "np.rollaxis({0}, {axis})"), options=_moved
    ),
    Operation(
        np.rot90,
        _TWO_AXES,
        expression=("np.rot90({0}, {k}, {axes})", "np.rot90({0}, {k})", "np.rot90({0})"),
        options=_turn,
    ),
    Operation(np.matrix_transpose, _TWO_AXES),
    Operation(np.swapaxes, _TWO_AXES, expression="{0}.mT"),
    *(Operation(function, _ANY) for function in (np.atleast_1d, np.atleast_2d, np.atleast_3d)),
    *(Operation(function, _ANY, _ANY) for function in (np.atleast_1d, np.atleast_2d, np.atleast_3d)),
    Operation(
        np.diagonal,
        Operand(fits=_two_sides),
        expression=("np.diagonal({0}, {k}, {a}, {b})", "np.diagonal({0})"),
        options=_diagonal,
    ),
    Operation(np.diag, Operand(fits=_at_most_two), expression=("np.diag({0}, {k})", "np.diag({0})"), options=_k),
    Operation(np.diagflat, Operand(fits=_few), expression=("np.diagflat({0}, {k})", "np.diagflat({0})"), options=_k),
    Operation(np.tril, _AXES, expression=("np.tril({0}, {k})", "np.tril({0})"), options=_k),
    Operation(np.triu, _AXES, expression=("np.triu({0}, {k})", "np.triu({0})"), options=_k),
    Operation(
        np.trace,
        _TWO_AXES,
        expression=("np.trace({0})", "np.trace({0}, {k}, {a}, {b})"),
        options=_diagonal,
    ),
]
