"""What a random program is made of: one expression over some operands, and where each operand may lie."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import BuiltinFunctionType, MethodDescriptorType
from typing import Any

import numpy as np

from .arrays import DISTANCE, SHAPES, Shape, from_table, numbers, pick

LARGEST = 48  # elements of an operand that is spread out by broadcasting

Options = Callable[..., dict[str, Any] | None]


class Choices:
    """Decisions, from numbers below 256 that were drawn beforehand; past their end the first option is chosen."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self._numbers = iter(numbers)

    def byte(self) -> int:
        return next(self._numbers, 0)

    def __call__(self, options: Sequence[Any]) -> Any:
        return pick(options, self.byte())

    def several(self, options: Sequence[Any], count: int) -> list[Any]:
        """So many of the options, repeats allowed."""
        return [self(options) for _ in range(count)]


@dataclass(frozen=True)
class Operand:
    """The domain of one operand of an ``Operation``.

    Attributes:
        low, high: Bounds of its elements. A value of the program serves if it lies between them; a new input is drawn
            there (an infinite bound stands for 3, or for 6 away from the other).
        away_from: Points that no element comes nearer to than ``distance``: kinks and poles.
        distance: How far that is.
        apart: "values": no two elements are nearer to each other than 0.1 (for maxima); "magnitudes": nor are their
            absolute values, nor they to 0.
        shapes: ``shapes(*shapes of the operands before)`` lists what shapes there are. None: any for the first operand,
            and for the others whatever broadcasts with those before.
        fits: ``fits(shape)``: is this one of them?
        offset: If given, multiples of 1/2 are drawn and this is added: operands of different offsets never tie.
    """

    low: float = -math.inf
    high: float = math.inf
    away_from: tuple[float, ...] = ()
    distance: float = DISTANCE
    apart: str = ""
    shapes: Callable[..., Sequence[Shape]] | None = None
    fits: Callable[[Shape], bool] | None = None
    offset: float | None = None

    def drawn(self, shape: Shape, picks: Sequence[int]) -> Any:
        """A new array in the domain, from as many numbers below 256 as it has elements."""
        if self.apart:
            return self._apart(shape, picks)
        return from_table(self._table, picks, shape)

    @cached_property
    def _table(self) -> Any:
        if self.offset is None:
            return numbers(self.low, self.high, self.away_from, self.distance)
        return np.array(sorted(np.arange(-6, 6) * 0.5, key=abs)) + self.offset

    def _apart(self, shape: Shape, picks: Sequence[int]) -> Any:
        """Multiples of 1/2 in the order of the picks; as magnitudes their signs are the picks' last bits."""
        order = np.array(picks, np.intp)
        ranks = np.argsort(np.argsort(order, kind="stable"), kind="stable")
        if self.apart == "magnitudes":
            return ((ranks + 1) * 0.5 * np.where(order % 2, -1, 1)).reshape(shape)
        return ((ranks - order.size // 2) * 0.5).reshape(shape)

    def accepts(self, array: Any) -> bool:
        """Does this value lie in the domain?"""
        if not array.size:
            return True
        if array.min() < self.low or array.max() > self.high:
            return False
        if any(np.abs(array - point).min() < self.distance for point in self.away_from):
            return False
        if not self.apart:
            return True
        flat = np.sort(np.abs(array) if self.apart == "magnitudes" else array, axis=None)
        if self.apart == "magnitudes" and flat[0] < DISTANCE:
            return False
        return flat.size < 2 or bool((flat[1:] - flat[:-1]).min() >= DISTANCE)


class Operation:
    """One kind of step of a random program: a function, the domains of its operands, and how it is written.

    Args:
        function: What is under test; ``programs(functions=...)`` names it.
        operands: The domain of each operand: an ``Operand``, a pair ``(low, high)``, or None for any numbers. The
            shapes of all broadcast together, unless an ``Operand`` says otherwise.
        expression: What stands in the source, with ``{0}``, ``{1}``, ... for the operands and the names of options;
            several: one of them is chosen. By default the call of the function.
        options: ``options(choose, *arrays)`` returns the options of one call, drawn with ``choose(sequence)``; None if
            there are none for these operands.
        valid: ``valid(*arrays)``: may these operands stand together? New inputs must always be allowed to.
        name: By default the function's ``__name__``, with ``np.`` or ``tg.functional.`` before it where it belongs
            there; a function of your own bears it in the source of a program.

    Attributes:
        own: Whether the function is neither NumPy's nor ``tg``'s, so that the source has to import it.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> from tinygrad_rnn.testing.strategies import Operation, programs
    >>> from hypothesis import given, settings
    >>> @tg.primitive
    ... def swish(x, slope):
    ...     return x / (1 + np.exp(-slope * x))
    >>> tg.defvjp(swish, definition=lambda x, slope: x / (1 + np.exp(-slope * x)))
    >>> @settings(max_examples=5, deadline=None)
    ... @given(programs(["np.multiply", "np.sum"], extra=[Operation(swish, None, (0.5, 2.0))]))
    ... def test_swish(program):
    ...     tg.testing.gradcheck(program, program.inputs)
    >>> test_swish()
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *operands: Operand | tuple[float, float] | None,
        expression: str | Sequence[str] = (),
        options: Options | None = None,
        valid: Callable[..., bool] | None = None,
        name: str | None = None,
    ) -> None:
        if not callable(function):
            raise TypeError(f"Operation: expected a function, got {function!r}")
        if not operands:
            raise ValueError(f"Operation: give {function!r} a domain for each operand, None for any numbers")
        self.function = function
        self.name = full_name(function) if name is None else name
        self.own = _is_own(function)
        if self.own and not self.name.isidentifier():
            raise ValueError(f"Operation: give {function!r} a name= that it can bear in the source of a program")
        self.operands = tuple(_as_operand(operand) for operand in operands)
        if not expression:
            expression = f"{self.name}({', '.join(f'{{{i}}}' for i in range(len(operands)))})"
        self.expressions = (expression,) if isinstance(expression, str) else tuple(expression)
        self.options = options
        self.valid = valid

    @classmethod
    def of(cls, function: Any) -> Operation:
        """An operation as it is; of a plain function one with any numbers for each argument that has no default."""
        if isinstance(function, Operation):
            return function
        if not callable(function):
            raise TypeError(f"programs: expected functions or Operations in extra=, got {function!r}")
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        parameters = inspect.signature(function).parameters.values()
        return cls(function, *(None for p in parameters if p.kind in kinds and p.default is p.empty))

    def text(self, choose: Choices, names: Sequence[str], arrays: Sequence[Any]) -> str | None:
        """The expression of one call; None if these operands do not go together."""
        if self.valid is not None and not self.valid(*arrays):
            return None
        expression = choose(self.expressions)
        options = {} if self.options is None else self.options(choose, *arrays)
        return None if options is None else expression.format(*names, **options)

    def __repr__(self) -> str:
        return f"Operation({self.name})"


def _as_operand(given: Operand | tuple[float, float] | None) -> Operand:
    if isinstance(given, Operand):
        return given
    if given is None:
        return Operand()
    low, high = given
    return Operand(float(low), float(high))


def _is_own(function: Any) -> bool:
    """Is this a function of the user's? (Indexing and ``astype`` are written without a name.)"""
    return "." not in full_name(function) and not isinstance(function, (BuiltinFunctionType, MethodDescriptorType))


def full_name(function: Any) -> str:
    """How the source of a program calls a function.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> full_name(np.tanh), full_name(np.linalg.norm), full_name(tg.functional.relu), full_name(tg.scan)
    ('np.tanh', 'np.linalg.norm', 'tg.functional.relu', 'tg.scan')
    """
    name = getattr(function, "__name__", str(function))
    module = getattr(function, "__module__", None) or ""
    if isinstance(function, np.ufunc) or module.split(".")[0] == "numpy":
        return f"np.linalg.{name}" if module == "numpy.linalg" else f"np.{name}"
    if module.startswith("tinygrad_rnn.functional."):
        return f"tg.functional.{name}"
    return f"tg.{name}" if module == "tinygrad_rnn.recurrence" else name


# ------------------------------------------------------------------------------------------------------ shapes that fit


@lru_cache(maxsize=4096)
def fitting(operand: Operand, before: tuple[Shape, ...]) -> Sequence[Shape]:
    """The shapes of a new input for an operand, after operands of the shapes ``before``."""
    found: Sequence[Shape] = SHAPES
    if operand.shapes is not None:
        found = operand.shapes(*before)
    elif before:
        found = broadcasting(*before)
    return found if operand.fits is None else tuple(shape for shape in found if operand.fits(shape))


def admits(operand: Operand, before: tuple[Shape, ...], shape: Shape) -> bool:
    """May a value of this shape be the operand?"""
    if before or operand.shapes is not None:
        return shape in fitting(operand, before)
    return operand.fits is None or operand.fits(shape)


@lru_cache(maxsize=4096)
def broadcasting(*before: Shape) -> Sequence[Shape]:
    """The shapes that broadcast with those before: the same, smaller ones, and larger ones."""
    whole = np.broadcast_shapes(*before)
    found = [whole]
    for missing in range(len(whole) + 1):
        rest = whole[missing:]
        found += [tuple(1 if ones >> k & 1 else n for k, n in enumerate(rest)) for ones in range(2 ** len(rest))]
    return tuple(dict.fromkeys(found + [s for s in SHAPES if _together(whole, s)]))


def _together(a: Shape, b: Shape) -> bool:
    try:
        return math.prod(np.broadcast_shapes(a, b)) <= LARGEST
    except ValueError:
        return False


def same(first: Shape, *_others: Shape) -> Sequence[Shape]:
    return (first,)


def filled(shape: Shape) -> bool:
    """Is there an element?"""
    return 0 not in shape


def square_of(x: Shape) -> Sequence[Shape]:
    """The square matrix that x may be multiplied by, again and again."""
    return [(x[-1], x[-1])]


def with_axes(shape: Shape) -> bool:
    return len(shape) >= 1


def filled_with_axes(shape: Shape) -> bool:
    return len(shape) >= 1 and 0 not in shape


def matrix(shape: Shape) -> bool:
    return len(shape) == 2


def two_axes_or_more(shape: Shape) -> bool:
    return len(shape) >= 2
