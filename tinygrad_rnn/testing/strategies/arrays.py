"""Arrays of simple numbers, and the strategies of tensors made of them.

An element is picked from a table of at most 256 numbers, simplest first: whole ones, then halves, quarters and so on.
What is to be kept away from is not in the table, so nothing is filtered, and what shrinks gets simpler.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from random import Random
from typing import Any

import numpy as np
from hypothesis import strategies as st

from ...tensor import Tensor

Shape = tuple[int, ...]

DISTANCE = 0.1  # how near an element may come to a kink
BYTE = 256  # what is picked from: whatever the list, one number below 256 says which

# Simplest first. Length 1 and 0 are among them, since that is where broadcasting and reductions have their traps.
SHAPES: tuple[Shape, ...] = (
    (), (1,), (2,), (3,), (1, 1), (1, 2), (2, 1), (2, 2), (2, 3), (3, 2), (4,), (3, 3), (1, 3), (3, 1), (2, 4),
    (1, 1, 2), (2, 1, 2), (1, 2, 2), (2, 2, 1), (2, 2, 2), (2, 3, 2), (1, 2, 3), (2, 1, 3), (3, 2, 2), (2, 2, 3),
    (0,), (0, 2), (2, 0), (2, 0, 1),
)  # fmt: skip


@lru_cache(maxsize=512)
def numbers(low: float, high: float, away_from: tuple[float, ...] = (), distance: float = DISTANCE) -> Any:
    """At most 256 numbers in ``low``..``high``, none nearer than ``distance`` to a point of ``away_from``.

    They are multiples of a power of 2, those with the fewest digits first. An infinite bound stands for one 6 away from
    the other, or for 3 on either side of 0.

    >>> numbers(0.0, 2.0)[:5]
    array([0. , 1. , 2. , 0.5, 1.5])
    >>> numbers(-math.inf, math.inf, away_from=(0.0,))[:4]
    array([ 1., -1.,  2., -2.])
    """
    if math.isinf(low) or math.isinf(high):
        low = (-3.0 if math.isinf(high) else high - 6.0) if math.isinf(low) else low
        high = (3.0 if low <= -3.0 else low + 6.0) if math.isinf(high) else high
    if not low <= high:
        raise ValueError(f"expected numbers low <= high, got {low} and {high}")
    exponent = math.ceil(math.log2((high - low) / (BYTE - 1))) if high > low else 0
    step = 2.0**exponent
    grid = np.arange(math.ceil(low / step), math.floor(high / step) + 1) * step
    if not grid.size:
        grid = np.array([low])
    for point in away_from:
        grid = grid[np.abs(grid - point) >= distance]
    if not grid.size:
        raise ValueError(f"no number in {low}..{high} keeps {distance} away from all of {away_from}")
    digits = np.zeros(grid.size)
    for halvings in range(1, 64 + max(-exponent, 0)):
        scaled = grid * 2.0 ** (halvings - 1)
        fractional = scaled != np.round(scaled)
        if not fractional.any():
            break
        digits[fractional] = halvings
    return grid[np.lexsort((grid < 0, np.abs(grid), digits))]


def pick(options: Sequence[Any], byte: int) -> Any:
    """The option that a number below 256 stands for: the first for 0, and all about equally often."""
    return options[byte * len(options) // BYTE]


def from_table(table: Any, picks: Sequence[int], shape: Shape) -> Any:
    """An array of ``shape`` with the element of ``table`` that each number below 256 picks."""
    return table[np.array(picks, np.intp) * len(table) // BYTE].reshape(shape)


def literal(array: Any) -> str:
    """An array as Python text.

    >>> literal(np.array([[0.5, 2.0]])), literal(np.zeros((0, 2)))
    ('np.array([[0.5, 2.0]])', 'np.zeros((0, 2))')
    """
    array = np.asarray(array)
    dtype = "" if array.dtype in (np.float64, np.bool_, np.int64) else f", np.{array.dtype}"
    if array.size:
        return f"np.array({array.tolist()}{dtype})"
    return f"np.zeros({array.shape}{dtype or ('' if array.dtype.kind == 'f' else f', {array.dtype.name}')})"


# ------------------------------------------------------------------------------------------------------ strategies


def _dtype(dtype: Any) -> Any:
    found = np.dtype(dtype)
    if found.kind != "f":
        raise TypeError(f"strategies: expected a floating-point dtype, got {found}")
    return found


def _moved_away(x: float, points: Sequence[float], distance: float) -> float:
    """``x``, or the nearest number beyond all points that it is too near to."""
    for point in sorted(points):
        if abs(x - point) < distance:
            x = point + distance
    return x


def _values(draw: Any, shape: Shape, dtype: Any, elements: Any, away_from: tuple[float, ...], distance: float) -> Any:
    size = math.prod(shape)
    if isinstance(elements, st.SearchStrategy):
        drawn = [_moved_away(float(draw(elements)), away_from, distance) for _ in range(size)]
        return np.array(drawn, dtype).reshape(shape)
    low, high = (-3.0, 3.0) if elements is None else (float(bound) for bound in elements)
    rnd: Random = draw(st.randoms(use_true_random=False))
    picks = [rnd.randrange(BYTE) for _ in range(size)]
    return from_table(numbers(low, high, away_from, distance), picks, shape).astype(dtype)


def _points(away_from: float | Sequence[float]) -> tuple[float, ...]:
    points = (away_from,) if isinstance(away_from, (int, float)) else away_from
    return tuple(float(point) for point in points)


def _shape_strategy(shape: Any) -> st.SearchStrategy[Shape]:
    if shape is None:
        return st.sampled_from(SHAPES)
    if isinstance(shape, st.SearchStrategy):
        return shape
    return st.just((int(shape),) if isinstance(shape, (int, np.integer)) else tuple(int(n) for n in shape))


@st.composite
def _tensors(
    draw: Any, shape: Any, dtype: Any, elements: Any, points: tuple[float, ...], distance: float, requires_grad: bool
) -> Tensor:
    values = _values(draw, tuple(draw(shape)), dtype, elements, points, distance)
    return Tensor(values, requires_grad=requires_grad)


def tensors(
    shape: Any = None,
    dtype: Any = np.float64,
    elements: Any = None,
    *,
    away_from: float | Sequence[float] = (),
    distance: float = DISTANCE,
    requires_grad: bool = True,
) -> st.SearchStrategy[Tensor]:
    """A Hypothesis strategy of tensors, which shrink to few and simple numbers.

    Args:
        shape: Of the tensors: a tuple, or a strategy of tuples. None: any small shape of up to 3 axes, among them
            0-d ones and axes of length 1 and 0.
        dtype: float64, float32 or float16.
        elements: ``(low, high)``, or a strategy of numbers; None: -3..3.
        away_from: Points that no element comes nearer to than ``distance``: where the function under test has a kink
            or a pole. Such numbers are never drawn (those of an ``elements`` strategy are moved away), not filtered
            out.
        distance: How far that is.
        requires_grad: Of the tensors.

    Raises:
        TypeError: ``dtype`` is not a floating-point one.
        ValueError: no number is left to draw.

    >>> import tinygrad_rnn as tg
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=20, deadline=None)
    ... @given(tg.testing.strategies.tensors((2, 3), away_from=0))
    ... def test_relu(x):
    ...     assert (abs(x.data) >= 0.1).all()
    ...     tg.testing.gradcheck(tg.functional.relu, x)
    >>> test_relu()
    """
    points = _points(away_from)
    if elements is not None and not isinstance(elements, st.SearchStrategy):
        low, high = elements
        numbers(float(low), float(high), points, distance)  # raises now, not at the first example
    return _tensors(_shape_strategy(shape), _dtype(dtype), elements, points, distance, requires_grad)


@st.composite
def _broadcastable(
    draw: Any, n: int, shape: Any, dtype: Any, elements: Any, points: tuple[float, ...], distance: float, grad: bool
) -> tuple[Tensor, ...]:
    whole = tuple(draw(shape))
    found = []
    for _ in range(n):
        missing = draw(st.integers(0, len(whole)))
        ones = draw(st.integers(0, 2 ** (len(whole) - missing) - 1))
        own = tuple(1 if ones >> k & 1 else length for k, length in enumerate(whole[missing:]))
        found.append(Tensor(_values(draw, own, dtype, elements, points, distance), requires_grad=grad))
    return tuple(found)


def broadcastable(
    n: int,
    shape: Any = None,
    dtype: Any = np.float64,
    elements: Any = None,
    *,
    away_from: float | Sequence[float] = (),
    distance: float = DISTANCE,
    requires_grad: bool = True,
) -> st.SearchStrategy[tuple[Tensor, ...]]:
    """A Hypothesis strategy of ``n`` tensors whose shapes broadcast together: axes of length 1, and missing ones.

    The arguments are those of ``tensors``; ``shape`` is the shape that all of them broadcast to.

    Raises:
        TypeError: ``dtype`` is not a floating-point one.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=20, deadline=None)
    ... @given(tg.testing.strategies.broadcastable(2))
    ... def test_product(tensors):
    ...     tg.testing.gradcheck(np.multiply, tensors)
    >>> test_product()
    """
    return _broadcastable(
        n, _shape_strategy(shape), _dtype(dtype), elements, _points(away_from), distance, requires_grad
    )
