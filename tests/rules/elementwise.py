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
    return Case(function, (function, *forms), theirs, several((low, high, offset)))


def binary(function, theirs, a, b, forms=(), **kwargs):
    return Case(function, (function, *forms), theirs, several(a, b), **kwargs)


def no_ties(a, b):
    return not np.any(a == b)


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
    unary(np.reciprocal, torch.reciprocal, low=1),
    unary(np.square, torch.square),
    unary(np.sqrt, torch.sqrt, low=0.5),
    unary(np.absolute, torch.abs, offset=1 / 16, forms=(operator.abs,)),
    unary(np.sign, torch.sign, offset=1 / 16),
    unary(np.exp, torch.exp),
    unary(np.expm1, torch.expm1),
    unary(np.log, torch.log, low=0.5),
    unary(np.log1p, torch.log1p, low=-0.5),
    unary(np.sin, torch.sin),
    unary(np.cos, torch.cos),
    unary(np.tanh, torch.tanh),
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
