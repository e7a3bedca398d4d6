"""Operations that work entry by entry."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .arrays import DISTANCE, Shape, literal
from .operation import Choices, Operand, Operation

_WHOLE = tuple(float(k) for k in range(-6, 7))
_HALVES = tuple(k + 0.5 for k in range(-6, 6))


def _within(low: float, high: float, *away_from: float, distance: float = DISTANCE) -> Operand:
    return Operand(low, high, away_from, distance)


_ANY = Operand()

# The domain of each function of one argument: where it is defined, smooth, and neither flat nor steep.
_OF_ONE: dict[str, Operand] = {
    "negative": _ANY, "positive": _ANY, "square": _ANY, "copy": _ANY,
    "absolute": _within(-math.inf, math.inf, 0),
    "reciprocal": _within(-6, 6, 0, distance=0.3),
    "sqrt": _within(0.1, math.inf), "cbrt": _within(-math.inf, math.inf, 0, distance=0.3),
    "exp": _within(-3, 3), "exp2": _within(-4, 4), "expm1": _within(-3, 3),
    "log": _within(0.1, math.inf), "log2": _within(0.1, math.inf), "log10": _within(0.1, math.inf),
    "log1p": _within(-0.9, math.inf),
    "sin": _within(-6, 6), "cos": _within(-6, 6), "tan": _within(-1.3, 1.3),
    "arcsin": _within(-0.9, 0.9), "arccos": _within(-0.9, 0.9), "arctan": _within(-6, 6),
    "sinh": _within(-3, 3), "cosh": _within(-3, 3), "tanh": _within(-3, 3),
    "arcsinh": _within(-6, 6), "arccosh": _within(1.2, 6), "arctanh": _within(-0.9, 0.9),
    "sign": _within(-math.inf, math.inf, 0),
    "floor": _within(-6, 6, *_WHOLE), "ceil": _within(-6, 6, *_WHOLE), "trunc": _within(-6, 6, *_WHOLE),
    "fix": _within(-6, 6, *_WHOLE), "rint": _within(-6, 6, *_HALVES), "round": _within(-6, 6, *_HALVES),
}  # fmt: skip

# The other ways to write a function.
_SPELLINGS = {
    "negative": "-{0}",
    "absolute": "abs({0})",
    "copy": "+{0}",
    "square": "{0} ** 2",
}


def _of_one(name: str, operand: Operand) -> Operation:
    call = f"np.{name}({{0}})"
    return Operation(getattr(np, name), operand, expression=call)


def _apart(a: Any, b: Any) -> bool:
    """No element of one near the element of the other that it meets."""
    return not np.broadcast(a, b).size or bool(np.abs(a - b).min() >= DISTANCE)


def _off_origin(a: Any, b: Any) -> bool:
    return not np.broadcast(a, b).size or bool((np.abs(a) + np.abs(b)).min() >= 0.3)


def _extreme(function: Any) -> Operation:
    return Operation(function, Operand(offset=0.0), Operand(offset=0.25), valid=_apart)


def _quotient(function: Any, divisor: float) -> Operation:
    """Of a divisor whose multiples, where the quotient jumps, the other operand keeps away from."""
    dividend = _within(-6, 6, *(divisor * k for k in range(-6, 7)), distance=0.2)
    return Operation(function, dividend, _within(divisor, divisor))


# ---- powers: of any number with a whole exponent, of a positive one with any


def _whole_exponent(choose: Choices, _x: Any) -> dict[str, Any]:
    return {"exponent": choose((2, 3, 1, 2.0, 4, 0))}


# ---- choosing and bounding


def _mask(choose: Choices, *arrays: Any) -> dict[str, Any]:
    """A condition of the shape that the arrays broadcast to, or of its last axes."""
    shape = np.broadcast_shapes(*(a.shape for a in arrays))
    shape = shape[choose(range(len(shape) + 1)) :]
    bits = choose.byte() << 8 | choose.byte()
    mask = np.array([not bits >> k % 16 & 1 for k in range(math.prod(shape))], bool).reshape(shape)
    return {"mask": literal(mask)}


def _bounds(choose: Choices, _x: Any) -> dict[str, Any]:
    low, high = choose(((-1.0, 1.0), (None, 1.0), (-1.0, None)))
    return {"low": low, "high": high}


def _clipped(x: Any, low: Any, high: Any) -> bool:
    return _apart(x, low) and _apart(x, high) and _apart(low, high)


def _endings(shape: Shape) -> Sequence[Shape]:
    """A single number, or what may be repeated along the axes in front."""
    return [(), *(shape[k:] for k in range(len(shape))), *([(shape[0], *(1 for _ in shape[1:]))] if shape else [])]


OPERATIONS = [
    *(_of_one(name, operand) for name, operand in _OF_ONE.items()),
    *(Operation(getattr(np, name), _OF_ONE[name], expression=text) for name, text in _SPELLINGS.items()),
    Operation(np.add, None, None, expression=("np.add({0}, {1})", "{0} + {1}", "{0} + 0.5 + {1}")),
    Operation(np.subtract, None, None, expression=("np.subtract({0}, {1})", "{0} - {1}", "1.0 - {0} - {1}")),
    Operation(np.multiply, None, None, expression=("np.multiply({0}, {1})", "{0} * {1}", "-0.5 * {0} * {1}")),
    Operation(
        np.divide, None, _within(-math.inf, math.inf, 0, distance=0.3), expression=("np.divide({0}, {1})", "{0} / {1}")
    ),
    Operation(np.power, None, expression=("{0} ** {exponent}", "np.power({0}, {exponent})"), options=_whole_exponent),
    Operation(np.power, _within(0.2, 4), _within(-2.5, 2.5), expression=("np.power({0}, {1})", "{0} ** {1}")),
    Operation(np.power, _within(-2.5, 2.5), expression="2.0 ** {0}"),
    Operation(np.logaddexp, _within(-6, 6), _within(-6, 6)),
    Operation(np.logaddexp2, _within(-6, 6), _within(-6, 6)),
    Operation(np.arctan2, _within(-6, 6, 0, distance=0.3), _within(-6, 6)),
    Operation(np.hypot, _within(-6, 6, 0, distance=0.3), None, valid=_off_origin),
    Operation(np.hypot, None, _within(-6, 6, 0, distance=0.3), valid=_off_origin),
    *(_quotient(function, divisor) for function in (np.remainder, np.fmod, np.floor_divide) for divisor in (1, 2, -2)),
    *(_extreme(function) for function in (np.maximum, np.minimum, np.fmax, np.fmin)),
    Operation(np.where, None, None, expression="np.where({mask}, {0}, {1})", options=_mask),
    Operation(np.where, _within(-math.inf, math.inf, 0), None, expression="np.where({0} > 0, {0}, {1})"),
    Operation(
        np.clip,
        _within(-math.inf, math.inf, -1, 1),
        expression=("np.clip({0}, {low}, {high})", "{0}.clip({low}, {high})"),
        options=_bounds,
    ),
    *(
        Operation(
            np.clip,
            Operand(offset=0.0),
            Operand(offset=-0.3),
            Operand(offset=1.85),
            expression=text,
            valid=_clipped,
        )
        for text in (
            "np.clip({0}, {1}, {2})",
            "np.clip({0}, a_min={1}, a_max={2})",
            "{0}.clip(min={1}, max={2})",
            "np.clip({0}, {1}, a_max={2})",
            "np.clip({0}, {2}, {1})",
            "np.clip({0}, a_max={2}, a_min={1})",
        )
    ),
    *(
        Operation(np.clip, Operand(offset=0.0), Operand(offset=0.25), expression=text, valid=_apart)
        for text in (
            "np.clip({0}, {1}, None)",
            "np.clip({0}, None, {1})",
            "{0}.clip(min={1})",
            "{0}.clip(max={1})",
            "np.clip({0}, a_min={1}, a_max=None)",
            "np.clip({0}, a_min=None, a_max={1})",
        )
    ),
    Operation(np.ndarray.astype, None, expression="{0}.astype(np.float64)", name="astype"),
    Operation(np.full_like, None, Operand(shapes=_endings)),
]
