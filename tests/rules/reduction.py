"""Cases of tinygrad_rnn/rules/reduction.py."""

import math

import numpy as np
from hypothesis import strategies as st

from .arrays import arrays, axes, shapes
from .case import Case, torch


def dims(x, axis):
    return tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)


@st.composite
def reduced(draw, min_side=0, ddof=False):
    """An array, and an axis, axes or None to reduce, kept or not."""
    x = draw(arrays(draw(shapes(min_side=min_side))))
    options = {"axis": draw(axes(x.ndim)), "keepdims": draw(st.booleans())}
    if ddof:
        count = math.prod(x.shape[k] for k in dims(x, options["axis"]))
        options["ddof"] = draw(st.integers(0, 1)) if count > 1 else 0
    return [x], options


def reduction(function, theirs, arguments, **kwargs):
    """A reduction in NumPy's form and as a method, against ``theirs(x, dim, keepdim, **options)``."""

    def method(x, axis, **options):
        return getattr(x, function.__name__.removeprefix("a"))(axis, **options)

    def torchs(x, axis, keepdims, **options):
        over = dims(x, axis)
        if x.ndim and not over:  # torch means all of them by (), NumPy none
            return theirs(x.unsqueeze(-1), -1, False, **options)
        return theirs(x, over, keepdims, **options)

    return Case(function, (function, method), torchs, arguments, **kwargs)


def extreme(function, theirs, **kwargs):
    def smooth(x, **_options):
        return len(np.unique(x)) == x.size

    return reduction(function, theirs, reduced(min_side=1), smooth=smooth, **kwargs)


def positive(x, axis, ddof, keepdims):
    """Is every standard deviation positive, so that it has a derivative?"""
    return x.size > 0 and bool(np.all(np.std(x, axis=axis) > 0))


@st.composite
def cumulated(draw):
    x = draw(arrays())
    return [x], {"axis": draw(axes(x.ndim, several=False))}


CASES = [
    reduction(np.sum, torch.sum, reduced()),
    reduction(np.mean, torch.mean, reduced()),
    extreme(np.max, torch.amax),
    extreme(np.amax, torch.amax),
    extreme(np.min, torch.amin),
    extreme(np.amin, torch.amin),
    reduction(np.var, lambda x, d, k, ddof: torch.var(x, d, correction=ddof, keepdim=k), reduced(ddof=True)),
    reduction(
        np.std,
        lambda x, d, k, ddof: torch.std(x, d, correction=ddof, keepdim=k),
        reduced(ddof=True),
        smooth=positive,
        twice=positive,
    ),
    Case(
        np.cumsum,
        (np.cumsum, lambda x, axis: x.cumsum(axis)),
        lambda x, axis: torch.cumsum(x.reshape(-1), 0) if axis is None else torch.cumsum(x, axis),
        cumulated(),
    ),
]
