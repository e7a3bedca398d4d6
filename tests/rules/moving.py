"""Cases of functions that only move entries.

Where torch has no function of the same meaning, its result is ``x.reshape(-1)[positions]``, with the positions that
NumPy's function moves the numbers 0, 1, 2, ... to.
"""

import numpy as np
from hypothesis import strategies as st

from .arrays import arrays, shapes
from .case import Case, torch


def moved(function):
    """Torch's form of ``function``, which only moves entries."""

    def theirs(x, **options):
        positions = function(np.arange(x.numel()).reshape(x.shape), **options)
        return x.reshape(-1)[torch.tensor(np.array(positions))]

    return theirs


@st.composite
def options_of(draw, options, min_dims=0):
    """An array, and the options that ``options(x)`` draws for it."""
    x = draw(arrays(draw(shapes(min_dims=min_dims))))
    return [x], draw(options(x))


def mover(function, options, forms=(), min_dims=0, **kwargs):
    return Case(function, (function, *forms), moved(function), options_of(options, min_dims), **kwargs)


def one_axis(x):
    return st.sampled_from(range(-x.ndim, x.ndim))
