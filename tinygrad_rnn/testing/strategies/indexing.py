"""Operations that pick entries by index, by mask or by slice."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from .arrays import Shape
from .operation import Choices, Operand, Operation, filled, filled_with_axes

_ANY = Operand()


def _take(choose: Choices, x: Any) -> dict[str, Any]:
    axis = choose([None, *range(-x.ndim, x.ndim)])
    n = x.size if axis is None else x.shape[axis]
    return {"indices": _indices(choose, n), "axis": axis}


def _indices(choose: Choices, n: int) -> Any:
    """Whole numbers in -n..n-1, perhaps repeated, in a list, in lists of lists, or alone."""
    if not n:
        return "np.zeros(0, int)"
    places = choose.several(range(-n, n), 3)
    return choose([places[0], places[:1], places, places[:2], [places[:2], places[1:]]])


def _index(choose: Choices, x: Any) -> dict[str, Any]:
    """An index: a number or slice for each of some axes, a list or mask for one, None and ``...`` between."""
    parts: list[str] = []
    advanced = choose(range(x.ndim + 2)) - 1  # the axis of a list; none for -1
    for axis, n in enumerate(x.shape):
        if axis == advanced:
            parts.append(_advanced(choose, n))
        elif axis > max(advanced, 0) and choose((False, False, True)):
            parts.append("...")
            break
        else:
            parts.append(_basic(choose, n))
    if choose((False, False, True)):
        parts.insert(choose(range(len(parts) + 1)), "None")
    return {"index": ", ".join(parts) or choose(("...", "()"))}


def _basic(choose: Choices, n: int) -> str:
    slices = (":", "1:", ":-1", "::-1", "::2", ":2", "-1:", "1::2")
    numbers = tuple(str(k) for k in range(-n, n))
    return str(choose((*slices, *numbers, *numbers)))


def _advanced(choose: Choices, n: int) -> str:
    if choose((True, False)):
        return str(_indices(choose, n) if n else "np.zeros(0, int)")
    return str(choose.several((True, False), n)) if n else "np.zeros(0, bool)"


def _mask(choose: Choices, x: Any) -> dict[str, Any]:
    bits = choose.byte() << 8 | choose.byte()
    mask = np.array([not bits >> k % 16 & 1 for k in range(x.size)], bool).reshape(x.shape)
    return {"index": f"np.array({mask.tolist()})" if x.size else f"np.zeros({x.shape}, bool)"}


def _pairs(choose: Choices, x: Any) -> dict[str, Any]:
    """Two lists of places, which go together, and repeat."""
    first, second = (choose.several(range(-n, n), 3) for n in x.shape[:2])
    forms = (f"{first}, {second}", f"[[{first[0]}], [{first[1]}]], {second}", f"{tuple(first)}, {tuple(second)}")
    return {"index": choose(forms)}


def _along(choose: Choices, x: Any) -> dict[str, Any]:
    axis = choose(range(-x.ndim, x.ndim))
    shape = list(x.shape)
    shape[axis] = choose((1, 2, 3))
    n = x.shape[axis]
    places = [choose(range(-n, n)) for _ in range(min(math.prod(shape), 6))]
    indices = np.resize(np.array(places, int), shape)
    return {"indices": f"np.array({indices.tolist()})", "axis": axis}


def _along_flat(choose: Choices, x: Any) -> dict[str, Any]:
    return {"indices": choose.several(range(-x.size, x.size), choose((1, 2, 4)))}


def _two_sides(shape: Shape) -> bool:
    return len(shape) >= 2 and 0 not in shape


OPERATIONS = [
    Operation(
        np.take, _ANY, expression=("np.take({0}, {indices}, axis={axis})", "{0}.take({indices}, {axis})"), options=_take
    ),
    Operation(
        np.take_along_axis,
        Operand(fits=filled_with_axes),
        expression="np.take_along_axis({0}, {indices}, {axis})",
        options=_along,
    ),
    Operation(
        np.take_along_axis,
        Operand(fits=filled),
        expression="np.take_along_axis({0}, np.array({indices}), None)",
        options=_along_flat,
    ),
    Operation(operator.getitem, _ANY, expression="{0}[{index}]", options=_index, name="getitem"),
    Operation(operator.getitem, _ANY, expression="{0}[{index}]", options=_mask, name="getitem"),
    Operation(operator.getitem, Operand(fits=_two_sides), expression="{0}[{index}]", options=_pairs, name="getitem"),
]
