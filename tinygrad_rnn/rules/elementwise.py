"""Rules of elementwise functions: each gradient is g times the derivative, entry by entry.

Ties follow PyTorch: ``maximum`` and ``minimum`` share the gradient equally between equal arguments, ``fmax`` and
``fmin`` give all of it to the first, ``clip`` lets it pass at its bounds, ``absolute`` has none at 0. Steps (``floor``,
``sign``, ...) have the derivative 0 everywhere.
"""

import math
from typing import Any

import numpy as np

from ..array_interface import astype
from ..primitives import TABLE, defvjp, primitive_of

defvjp(np.add, lambda g, _y, _a, _b: g, lambda g, _y, _a, _b: g)
defvjp(np.subtract, lambda g, _y, _a, _b: g, lambda g, _y, _a, _b: -g)
defvjp(np.multiply, lambda g, _y, _a, b: g * b, lambda g, _y, a, _b: g * a)
defvjp(np.divide, lambda g, _y, _a, b: g / b, lambda g, y, _a, b: -g * y / b)
defvjp(np.negative, lambda g, _y, _x: -g)
defvjp(np.positive, lambda g, _y, _x: g)
defvjp(np.reciprocal, lambda g, y, _x: -g * y * y)
defvjp(np.square, lambda g, _y, x: g * 2 * x)
defvjp(np.sqrt, lambda g, y, _x: g * 0.5 / y)
defvjp(np.cbrt, lambda g, y, _x: g / (3 * y * y))
defvjp(np.absolute, lambda g, _y, x: g * np.sign(x))

defvjp(np.exp, lambda g, y, _x: g * y)
defvjp(np.expm1, lambda g, _y, x: g * np.exp(x))
defvjp(np.log, lambda g, _y, x: g / x)
defvjp(np.log1p, lambda g, _y, x: g / (1 + x))
defvjp(np.exp2, lambda g, y, _x: g * y * math.log(2))
defvjp(np.log2, lambda g, _y, x: g / (x * math.log(2)))
defvjp(np.log10, lambda g, _y, x: g / (x * math.log(10)))

defvjp(np.sin, lambda g, _y, x: g * np.cos(x))
defvjp(np.cos, lambda g, _y, x: -g * np.sin(x))
defvjp(np.tan, lambda g, y, _x: g * (1 + y * y))
defvjp(np.sinh, lambda g, _y, x: g * np.cosh(x))
defvjp(np.cosh, lambda g, _y, x: g * np.sinh(x))
defvjp(np.tanh, lambda g, y, _x: g * (1 - y * y))

# 1 - x^2 is written as a product, and 1 + x^2 under a root as a length: near 1 and far from 0 they keep their digits.
defvjp(np.arcsin, lambda g, _y, x: g / np.sqrt((1 - x) * (1 + x)))
defvjp(np.arccos, lambda g, _y, x: -g / np.sqrt((1 - x) * (1 + x)))
defvjp(np.arctan, lambda g, _y, x: g / (1 + x * x))
defvjp(np.arcsinh, lambda g, _y, x: g / np.hypot(x, 1))
defvjp(np.arccosh, lambda g, _y, x: g / (np.sqrt(x - 1) * np.sqrt(x + 1)))
defvjp(np.arctanh, lambda g, _y, x: g / ((1 - x) * (1 + x)))


def off_origin(g: Any, r: Any) -> tuple[Any, Any]:
    """g and the length r, with 0 and 1 in their place where r is 0: there no derivative of any order passes."""
    origin = r == 0
    return np.where(origin, 0, g), np.where(origin, 1, r)


def _hypot(g: Any, y: Any, x: Any) -> Any:
    g, y = off_origin(g, y)
    return g * (x / y)


def _arctan2(g: Any, a: Any, b: Any, side: Any) -> Any:
    """g side / (a^2 + b^2), without the squares, which would overflow."""
    g, r = off_origin(g, np.hypot(a, b))
    return g * (side / r) / r


defvjp(np.hypot, lambda g, y, a, _b: _hypot(g, y, a), lambda g, y, _a, b: _hypot(g, y, b))
defvjp(np.arctan2, lambda g, _y, a, b: _arctan2(g, a, b, b), lambda g, _y, a, b: _arctan2(g, a, b, -a))

# 1 / (1 + exp(b - a)), whose own derivatives would be infinity / infinity for a large difference
defvjp(
    np.logaddexp,
    lambda g, _y, a, b: g * np.exp(-np.logaddexp(0, b - a)),
    lambda g, _y, a, b: g * np.exp(-np.logaddexp(0, a - b)),
)
defvjp(
    np.logaddexp2,
    lambda g, _y, a, b: g * np.exp2(-np.logaddexp2(0, b - a)),
    lambda g, _y, a, b: g * np.exp2(-np.logaddexp2(0, a - b)),
)


def _power_base(g: Any, _y: Any, a: Any, b: Any) -> Any:
    """g b a^(b-1), and 0 where b is 0, also if a is 0 or NaN: there 0 a^-1 would be NaN."""
    if isinstance(b, (int, float)):
        return g * 0 if b == 0 else g if b == 1 else g * 2 * a if b == 2 else g * b * a ** (b - 1)
    flat = np.logical_and(np.logical_or(a == 0, np.isnan(a)), b == 0)
    return g * b * np.where(flat, 0, a) ** np.where(flat, 1, b - 1)


def _power_exponent(g: Any, y: Any, a: Any, b: Any) -> Any:
    """g a^b log(a), and 0 where a is 0 and b is not negative, as PyTorch has it."""
    still = np.logical_and(a == 0, b >= 0)
    one = np.ones((), y.dtype)  # so that the logarithm has the precision of the result, no less and no more
    return np.where(still, 0, g * y * np.log(np.where(still, one, a)))


defvjp(np.power, _power_base, _power_exponent)

defvjp(
    np.maximum,
    lambda g, _y, a, b: np.where(a == b, g * 0.5, np.where(a < b, 0, g)),
    lambda g, _y, a, b: np.where(a == b, g * 0.5, np.where(a > b, 0, g)),
)
defvjp(
    np.minimum,
    lambda g, _y, a, b: np.where(a == b, g * 0.5, np.where(a > b, 0, g)),
    lambda g, _y, a, b: np.where(a == b, g * 0.5, np.where(a < b, 0, g)),
)
# NaN counts as absent: the other argument has the gradient.
defvjp(
    np.fmax,
    lambda g, _y, a, b: np.where(np.logical_or(a >= b, np.isnan(b)), g, 0),
    lambda g, _y, a, b: np.where(np.logical_or(a >= b, np.isnan(b)), 0, g),
)
defvjp(
    np.fmin,
    lambda g, _y, a, b: np.where(np.logical_or(a <= b, np.isnan(b)), g, 0),
    lambda g, _y, a, b: np.where(np.logical_or(a <= b, np.isnan(b)), 0, g),
)


def clip(a: Any, min: Any = None, max: Any = None, out: Any = None, a_min: Any = None, a_max: Any = None) -> Any:
    """np.clip for arrays, which knows each bound by two names, as one positional argument for each name."""
    if (min is not None and a_min is not None) or (max is not None and a_max is not None):
        raise TypeError("each bound has two names, min and a_min, max and a_max; give only one of them")
    return np.clip(a, a_min if min is None else min, a_max if max is None else max, out)


def _bounds(lower: Any, upper: Any, a_min: Any, a_max: Any) -> tuple[Any, Any]:
    lower, upper = a_min if lower is None else lower, a_max if upper is None else upper
    return -np.inf if lower is None else lower, np.inf if upper is None else upper


def _clip(
    g: Any, _y: Any, a: Any, min: Any = None, max: Any = None, _out: Any = None, a_min: Any = None, a_max: Any = None
) -> Any:
    lower, upper = _bounds(min, max, a_min, a_max)
    return np.where(np.logical_and(a >= lower, a <= upper), g, 0)


def _clip_min(
    g: Any, _y: Any, a: Any, min: Any = None, max: Any = None, _out: Any = None, a_min: Any = None, a_max: Any = None
) -> Any:
    lower, upper = _bounds(min, max, a_min, a_max)
    return np.where(np.logical_and(a < lower, lower < upper), g, 0)


def _clip_max(
    g: Any, _y: Any, a: Any, min: Any = None, max: Any = None, _out: Any = None, a_min: Any = None, a_max: Any = None
) -> Any:
    lower, upper = _bounds(min, max, a_min, a_max)
    return np.where(np.logical_or(a > upper, upper < lower), g, 0)


defvjp(np.clip, _clip, _clip_min, _clip_max, None, _clip_min, _clip_max)
primitive_of(np.clip, clip)
defvjp(np.where, None, lambda g, _y, m, _a, _b: np.where(m, g, 0), lambda g, _y, m, _a, _b: np.where(m, 0, g))
defvjp(astype, lambda g, _y, _x, _dtype: g)
defvjp(np.copy, lambda g, _y, _a: g)


def _fmod_divisor(g: Any, _y: Any, a: Any, b: Any) -> Any:
    """-g times the quotient without its fraction: the floor, and one more where it is negative and not whole."""
    above = np.logical_and(np.signbit(a) != np.signbit(b), np.fmod(a, b) != 0)
    return -g * (np.floor_divide(a, b) + above)


defvjp(np.sign, lambda g, _y, _x: np.zeros_like(g))
defvjp(np.floor, lambda g, _y, _x: np.zeros_like(g))
defvjp(np.ceil, lambda g, _y, _x: np.zeros_like(g))
defvjp(np.trunc, lambda g, _y, _x: np.zeros_like(g))
defvjp(np.rint, lambda g, _y, _x: np.zeros_like(g))
defvjp(np.fix, lambda g, _y, _x: np.zeros_like(g))
primitive_of(np.fix, lambda x: np.trunc(x))  # noqa: PLW0108 (without the second argument, which writes)
defvjp(np.round, lambda g, _y, _a, _decimals=0, _out=None: np.zeros_like(g))
TABLE[np.around] = TABLE[np.round]  # a function of its own in NumPy
defvjp(np.floor_divide, lambda g, _y, _a, _b: np.zeros_like(g), lambda g, _y, _a, _b: np.zeros_like(g))
# a = b q + remainder, where the whole number q is a step
defvjp(np.remainder, lambda g, _y, _a, _b: g, lambda g, _y, a, b: -g * np.floor_divide(a, b))
defvjp(np.fmod, lambda g, _y, _a, _b: g, _fmod_divisor)
