"""Cases of tinygrad_rnn/rules/elementwise.py."""

import operator

import numpy as np
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn.array_interface import astype

from .arrays import arrays, broadcastable
from .case import Case, torch

AWAY = (-3, 3, 1 / 16)  # never 0, and never equal to a number of an argument without that offset


@st.composite
def several(draw, *ranges, options=None):
    """Arrays of shapes that broadcast, each with its (low, high, offset)."""
    shapes = draw(broadcastable(len(ranges)))
    drawn = [draw(arrays(shape, *bounds)) for shape, bounds in zip(shapes, ranges, strict=True)]
    return drawn, {} if options is None else draw(options)


def unary(function, theirs, low=-3, high=3, offset=0.0, forms=()):
    return Case(function, (function, *forms), theirs, several((low, high, offset)), weight=1)


def binary(function, theirs, a, b, forms=(), **kwargs):
    return Case(function, (function, *forms), theirs, several(a, b), **kwargs)


def no_ties(a, b):
    return not np.any(a == b)


def not_at_origin(a, b):
    return not np.any((a == 0) & (b == 0))


def off_the_cut(a, b):
    """Away from where arctan2 jumps: the origin, and the negative axis."""
    return not np.any((a == 0) & (b <= 0))


def not_whole(a, b):
    """Does no quotient lie where the whole part jumps?"""
    whole = np.rint(a / np.where(b == 0, 1, b))
    return not np.any(np.isclose(a, whole * b))


def between_steps(x, decimals=0):
    """Does no entry lie at a whole number or half of one, where something jumps?"""
    halves = x * 2 * 10.0**decimals
    return not np.any(np.isclose(halves, np.rint(halves)))


def step(function, theirs):
    arguments = several((-3, 3)) | several((-3, 3, 1 / 16))
    return Case(function, (function,), theirs, arguments, between_steps, weight=0.5)


def rounding(function):
    arguments = several((-30, 30), options=st.fixed_dictionaries({"decimals": st.integers(-1, 2)}))
    return Case(function, (function,), torch.round, arguments, between_steps, weight=0.5)


def torch_floor_divide(a, b):
    """torch.floor_divide itself has no derivative."""
    return torch.div(a, b, rounding_mode="floor")


@st.composite
def masked(draw):
    shapes = draw(broadcastable(3))
    return [draw(arrays(shape)) for shape in shapes[:2]], {"mask": draw(arrays(shapes[2])) > 0}


@st.composite
def fills(draw):
    shapes = draw(broadcastable(2))
    return [draw(arrays(shapes[0]))], {"shape": np.broadcast_shapes(*shapes)}


def full_like(fill, shape):
    like = np.zeros(shape, fill.dtype)
    return np.full_like(tg.Tensor(like) if isinstance(fill, tg.Tensor) else like, fill)


BOUNDS = st.sampled_from([(-1.0, 1.0), (None, 1), (0, None), (-1, 0.5)])

CASES = [
    binary(np.add, torch.add, (-3, 3), (-3, 3), forms=(operator.add,)),
    binary(np.subtract, torch.subtract, (-3, 3), (-3, 3), forms=(operator.sub,)),
    binary(np.multiply, torch.multiply, (-3, 3), (-3, 3), forms=(operator.mul,)),
    binary(np.divide, torch.divide, AWAY, (1, 3), forms=(operator.truediv,)),
    unary(np.negative, torch.neg, forms=(operator.neg,)),
    unary(np.positive, torch.positive),
    unary(np.reciprocal, torch.reciprocal, low=1),
    unary(np.square, torch.square),
    unary(np.sqrt, torch.sqrt, low=0.5),
    unary(np.cbrt, lambda x: torch.sign(x) * torch.abs(x) ** (1 / 3), offset=1 / 16),
    unary(np.absolute, torch.abs, offset=1 / 16, forms=(operator.abs,)),
    unary(np.sign, torch.sign, offset=1 / 16),
    unary(np.exp, torch.exp),
    unary(np.expm1, torch.expm1),
    unary(np.log, torch.log, low=0.5),
    unary(np.log1p, torch.log1p, low=-0.5),
    unary(np.exp2, torch.exp2, low=-20, high=6),
    unary(np.log2, torch.log2, low=0.125, high=20),
    unary(np.log10, torch.log10, low=0.125, high=20),
    unary(np.sin, torch.sin),
    unary(np.cos, torch.cos),
    unary(np.tan, torch.tan),
    unary(np.sinh, torch.sinh),
    unary(np.cosh, torch.cosh),
    unary(np.tanh, torch.tanh),
    unary(np.arcsin, torch.arcsin, low=-0.875, high=1),
    unary(np.arccos, torch.arccos, low=-0.875, high=1),
    unary(np.arctan, torch.arctan, low=-20, high=20),
    unary(np.arcsinh, torch.arcsinh, low=-20, high=20),
    unary(np.arccosh, torch.arccosh, low=1.125, high=20),
    unary(np.arctanh, torch.arctanh, low=-0.875, high=1),
    binary(np.arctan2, torch.arctan2, (-3, 3), (-3, 3), smooth=off_the_cut, twice=not_at_origin),
    binary(np.hypot, torch.hypot, AWAY, (-3, 3)),  # at the origin torch has NaN: see test_ties.py
    binary(np.logaddexp, torch.logaddexp, (-3, 3), (-3, 3)),
    binary(np.logaddexp, torch.logaddexp, (-40, 40), (-40, 40), note="far apart"),
    binary(np.logaddexp2, torch.logaddexp2, (-40, 40), (-3, 3)),
    # exponents are never 0 here, because there torch's second derivatives are wrong: see test_power.py
    binary(np.power, torch.pow, (0.5, 3), AWAY, forms=(operator.pow,)),
    Case(
        np.power,
        (lambda x, p: np.power(x, p), lambda x, p: x**p),  # noqa: PLW0108 (keywords)
        lambda x, p: x**p,
        several((-3, 3), options=st.sampled_from([0, 1, 2, 3, 4, 0.0, 1.0, 2.0, 5.0]).map(lambda p: {"p": p})),
        note="of any base with a whole number",
    ),
    Case(
        np.power,
        (lambda x, base: np.power(base, x), lambda x, base: base**x),
        lambda x, base: torch.pow(base, x),
        several((-3, 3), options=st.sampled_from([1.0, 2, 0.5]).map(lambda base: {"base": base})),
        note="of a number",
    ),
    binary(np.maximum, torch.maximum, (-3, 3), (-3, 3), smooth=no_ties),
    binary(np.minimum, torch.minimum, (-3, 3), (-3, 3), smooth=no_ties),
    binary(np.fmax, torch.fmax, (-3, 3), (-3, 3), smooth=no_ties),
    binary(np.fmin, torch.fmin, (-3, 3), (-3, 3), smooth=no_ties),
    binary(np.remainder, torch.remainder, (-3, 3), AWAY, forms=(operator.mod,), smooth=not_whole),
    binary(np.fmod, torch.fmod, (-3, 3), AWAY, smooth=not_whole),
    binary(np.floor_divide, torch_floor_divide, (-3, 3), AWAY, forms=(operator.floordiv,), smooth=not_whole),
    step(np.floor, torch.floor),
    step(np.ceil, torch.ceil),
    step(np.trunc, torch.trunc),
    step(np.fix, torch.fix),
    step(np.rint, torch.round),
    rounding(np.round),
    rounding(np.around),
    Case(
        np.clip,
        (np.clip, lambda x, low, high: np.clip(x, a_min=low, a_max=high)),
        lambda *args: torch.clamp(*torch.broadcast_tensors(*args)),  # torch fails to broadcast () to (0,)
        several(AWAY, (-2, 0), (0, 2, 1 / 32)),
    ),
    Case(
        np.clip,
        (lambda x, low: np.clip(x, low, None), lambda x, low: np.clip(x, a_min=low, a_max=None)),
        lambda x, low: torch.clamp(x, min=low),
        several(AWAY, (-2, 2)),
        note="from below",
    ),
    Case(
        np.clip,
        (lambda x, high: np.clip(x, None, high), lambda x, high: np.clip(x, None, a_max=high)),
        lambda x, high: torch.clamp(x, max=high),
        several(AWAY, (-2, 2)),
        note="from above",
    ),
    Case(
        np.clip,
        (lambda x, low, high: np.clip(x, low, high), lambda x, low, high: x.clip(low, high)),  # noqa: PLW0108
        lambda x, low, high: torch.clamp(x, low, high),  # noqa: PLW0108
        several(AWAY, options=BOUNDS.map(lambda bounds: dict(zip(("low", "high"), bounds, strict=True)))),
        note="between numbers",
    ),
    Case(
        np.where,
        (lambda a, b, mask: np.where(mask, a, b), lambda a, b, mask: np.where(tg.Tensor(mask), a, b)),
        lambda a, b, mask: torch.where(torch.tensor(mask), a, b),
        masked(),
    ),
    Case(np.copy, (np.copy, lambda x: +x, lambda x: x.copy()), torch.clone, several((-3, 3))),
    Case(astype, (lambda x: x.astype(x.dtype), lambda x: x.astype(x.dtype.name)), torch.clone, several((-3, 3))),
    Case(np.full_like, (full_like,), lambda fill, shape: fill.expand(shape), fills()),
]
