"""Operations that join arrays, and that split them into several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .arrays import Shape
from .operation import Choices, Operand, Operation, Options, same, two_axes_or_more, with_axes

_ANY = Operand()
_AXES = Operand(fits=with_axes)
_TWO_AXES = Operand(fits=two_axes_or_more)

# ---- joining


def _joinable(first: Shape) -> Sequence[Shape]:
    """Shapes that differ from the first in the length of at most one axis."""
    found = [first]
    for k in range(len(first)):
        found += [(*first[:k], n, *first[k + 1 :]) for n in (1, 2, 3, 0) if n != first[k]]
    return found


def _joined_axis(choose: Choices, a: Any, b: Any) -> dict[str, Any]:
    unequal = [k for k in range(a.ndim) if a.shape[k] != b.shape[k]]
    axes = unequal or list(range(a.ndim))
    return {"axis": choose([*axes, *(k - a.ndim for k in axes), None])}


def _stackable(first: Shape) -> Sequence[Shape]:
    """What ``vstack`` puts under a first array: its row, or more rows."""
    if len(first) < 2:
        return [first, *([(2, *first), (1, *first)] if first else [(1,)])]
    return [(n, *first[1:]) for n in (1, 2, 3)]


def _beside(first: Shape) -> Sequence[Shape]:
    """What ``hstack`` puts beside a first array."""
    if len(first) < 2:
        return [first, (2,), (1,), ()]
    return [(first[0], n, *first[2:]) for n in (1, 2, 3)]


def _stack_axis(choose: Choices, a: Any, _b: Any) -> dict[str, Any]:
    return {"axis": choose(range(-a.ndim - 1, a.ndim + 1))}


def _deep(first: Shape) -> Sequence[Shape]:
    """What ``dstack`` puts behind a first array."""
    return [first] if len(first) < 3 else [(*first[:2], n, *first[3:]) for n in (1, 2, 3)]


def _column(first: Shape) -> Sequence[Shape]:
    """What ``column_stack`` puts beside a first vector or matrix, or a stack of them."""
    if len(first) == 3:
        return [(first[0], n, first[2]) for n in (1, 2, 3)]
    return [first[:1], (first[0], 1), (first[0], 2)]


def _two_or_three(call: str) -> tuple[str, str]:
    """A call with two parts, and with three, of which the one in the middle may have another length."""
    return call.format("[{0}, {1}]"), call.format("[{1}, {0}, {1}]")


# ---- splitting


def _sections_along(axis: int) -> Options:
    def options(choose: Choices, x: Any) -> dict[str, Any]:
        return {"sections": choose(_equal_or_cut(x.shape[min(axis, x.ndim - 1)]))}

    return options


def _sections(choose: Choices, x: Any) -> dict[str, Any]:
    axis = choose(range(-x.ndim, x.ndim))
    return {"sections": choose(_equal_or_cut(x.shape[axis])), "axis": axis}


def _unequal_sections(choose: Choices, x: Any) -> dict[str, Any]:
    axis = choose(range(-x.ndim, x.ndim))
    return {"sections": choose([2, 1, 3, *_cuts(x.shape[axis])]), "axis": axis}


def _equal_or_cut(n: int) -> list[Any]:
    return [k for k in (1, 2, 3) if n % k == 0] + _cuts(n)


def _cuts(n: int) -> list[list[int]]:
    return [[min(1, n)], [n], [0, min(2, n)], [min(2, n), min(1, n)]]  # the parts of the last overlap


def _three(shape: Shape) -> bool:
    return len(shape) == 3


def _has_parts(shape: Shape) -> bool:
    """Is it a sequence of arrays, of at least one?"""
    return len(shape) >= 2 and shape[0] > 0


def _one_to_three(shape: Shape) -> bool:
    return 1 <= len(shape) <= 3


OPERATIONS = [
    Operation(
        np.concatenate,
        _AXES,
        Operand(shapes=_joinable),
        expression=(
            "np.concatenate([{0}, {1}], axis={axis})",
            "np.concatenate(({0}, {1}, {0}), axis={axis})",
            "np.concatenate([{1}, {0}, {1}], axis={axis})",
        ),
        options=_joined_axis,
    ),
    *(
        Operation(
            function, Operand(fits=_has_parts), expression=f"np.{function.__name__}({{0}})"
        )  # an array stands for its parts
        for function in (np.concatenate, np.stack, np.vstack, np.hstack)
    ),
    Operation(
        np.stack,
        _ANY,
        Operand(shapes=same),
        expression=("np.stack([{0}, {1}], axis={axis})", "np.stack([{1}, {0}, {0}], axis={axis})"),
        options=_stack_axis,
    ),
    Operation(np.vstack, _ANY, Operand(shapes=_stackable), expression=_two_or_three("np.vstack({})")),
    Operation(np.hstack, _ANY, Operand(shapes=_beside), expression=_two_or_three("np.hstack({})")),
    Operation(np.dstack, _ANY, Operand(shapes=_deep), expression=_two_or_three("np.dstack({})")),
    Operation(
        np.column_stack,
        Operand(fits=_one_to_three),
        Operand(shapes=_column),
        expression=_two_or_three("np.column_stack({})"),
    ),
    Operation(np.hsplit, _AXES, expression="np.hsplit({0}, {sections})", options=_sections_along(1)),
    Operation(np.vsplit, _TWO_AXES, expression="np.vsplit({0}, {sections})", options=_sections_along(0)),
    Operation(np.dsplit, Operand(fits=_three), expression="np.dsplit({0}, {sections})", options=_sections_along(2)),
    Operation(np.split, _AXES, expression="np.split({0}, {sections}, axis={axis})", options=_sections),
    Operation(np.split, _AXES, expression="np.split({0}, {sections})", options=_sections_along(0)),
    Operation(
        np.array_split, _AXES, expression="np.array_split({0}, {sections}, axis={axis})", options=_unequal_sections
    ),
]
