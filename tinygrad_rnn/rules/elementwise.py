"""Rules of elementwise functions: each gradient is g times the derivative, entry by entry.

Ties follow PyTorch: ``maximum`` and ``minimum`` share the gradient equally between equal arguments, ``clip`` lets it
pass at its bounds, ``absolute`` has none at 0.
"""

from typing import Any

import numpy as np

from ..array_interface import astype
from ..primitives import defvjp, primitive_of

defvjp(np.add, lambda g, _y, _a, _b: g, lambda g, _y, _a, _b: g)
defvjp(np.subtract, lambda g, _y, _a, _b: g, lambda g, _y, _a, _b: -g)
defvjp(np.multiply, lambda g, _y, _a, b: g * b, lambda g, _y, a, _b: g * a)
defvjp(np.divide, lambda g, _y, _a, b: g / b, lambda g, y, _a, b: -g * y / b)
defvjp(np.negative, lambda g, _y, _x: -g)
defvjp(np.reciprocal, lambda g, y, _x: -g * y * y)
defvjp(np.square, lambda g, _y, x: g * 2 * x)
defvjp(np.sqrt, lambda g, y, _x: g * 0.5 / y)
defvjp(np.absolute, lambda g, _y, x: g * np.sign(x))
defvjp(np.sign, lambda g, _y, _x: np.zeros_like(g))

defvjp(np.exp, lambda g, y, _x: g * y)
defvjp(np.expm1, lambda g, _y, x: g * np.exp(x))
defvjp(np.log, lambda g, _y, x: g / x)
defvjp(np.log1p, lambda g, _y, x: g / (1 + x))
defvjp(np.sin, lambda g, _y, x: g * np.cos(x))
defvjp(np.cos, lambda g, _y, x: -g * np.sin(x))
defvjp(np.tanh, lambda g, y, _x: g * (1 - y * y))


def _power_base(g: Any, _y: Any, a: Any, b: Any) -> Any:
    """g b a^(b-1), and 0 where a and b are 0: there 0 a^-1 would be NaN."""
    if isinstance(b, (int, float)):
        return g * 0 if b == 0 else g if b == 1 else g * 2 * a if b == 2 else g * b * a ** (b - 1)
    return g * b * a ** np.where(np.logical_and(a == 0, b == 0), 1, b - 1)


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
