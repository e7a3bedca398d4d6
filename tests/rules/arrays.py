"""What the rules are tried on: arrays of every small shape and memory layout.

Hypothesis by itself draws mostly empty and constant arrays; here the interesting ones are the frequent ones.
"""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

LAYOUTS = ("C", "F", "strided", "reversed", "transposed", "read-only")
SIDES = (2, 3, 1, 2, 3, 2, 3, 4, 2, 3, 1, 0)


def laid_out(array, layout):
    """The same numbers in another memory layout."""
    if layout == "F":
        return np.array(array, order="F")
    if layout == "strided" and array.ndim:
        spaced = np.full((*array.shape[:-1], 2 * array.shape[-1]), np.nan, array.dtype)
        spaced[..., ::2] = array
        return spaced[..., ::2]
    if layout == "reversed" and array.ndim:
        return np.flip(np.flip(array).copy())
    if layout == "transposed":
        return array.T.copy().T
    if layout == "read-only":
        array = array.copy()
        array.flags.writeable = False
    return array


@st.composite
def shapes(draw, min_dims=0, max_dims=3, min_side=0):
    sides = st.sampled_from([n for n in SIDES if n >= min_side])
    ndim = draw(st.sampled_from([k for k in (2, 1, 3, 2, 3, 1, 0) if min_dims <= k <= max_dims]))
    return tuple(draw(sides) for _ in range(ndim))


@st.composite
def arrays(draw, shape=None, low=-3, high=3, offset=0.0):
    """A float64 array of multiples of 1/8, of any small shape unless told.

    One in three has few different values, so that there are ties; ``offset`` keeps away from the numbers without it.
    """
    shape = draw(shapes()) if shape is None else shape
    values = np.arange(round(low * 8), round(high * 8)) / 8 + offset
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    if draw(st.sampled_from([False, False, True])):
        values = rng.choice(values, 2)
    return laid_out(rng.choice(values, shape), draw(st.sampled_from(LAYOUTS)))


@st.composite
def broadcastable(draw, count, max_dims=3):
    """Shapes that broadcast against each other: axes of length 1 and missing ones in any of them."""
    whole = draw(shapes(max_dims=max_dims))
    found = []
    for _ in range(count):
        missing = draw(st.sampled_from([0, 0, *range(len(whole) + 1)]))
        found.append(tuple(draw(st.sampled_from([n, n, n, 1])) for n in whole[missing:]))
    return found


@st.composite
def axes(draw, ndim, several=True, none=True):
    """An axis, also negative; None; or a tuple of them."""
    choices = [st.sampled_from(range(-ndim, ndim))] * 2 if ndim else []
    if none or not choices:
        choices.append(st.none())
    if several:
        choices.append(hnp.valid_tuple_axes(ndim, min_size=min(ndim, 1)))
    return draw(st.one_of(choices))
