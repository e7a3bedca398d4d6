"""What the rules are tried on: arrays of every small shape and memory layout."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

LAYOUTS = ("C", "F", "strided", "reversed", "transposed", "read-only")


def laid_out(array, layout):
    """The same numbers in another memory layout (never a copy of ``array`` where the layout forbids it)."""
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


def shapes(min_dims=0, max_dims=3, min_side=0):
    return hnp.array_shapes(min_dims=min_dims, max_dims=max_dims, min_side=min_side, max_side=3)


def numbers(low, high, offset=0.0):
    """Multiples of 1/8 between the bounds, so that equal ones are frequent; ``offset`` keeps away from those."""
    return st.integers(round(low * 8), round(high * 8) - 1).map(lambda k: k / 8 + offset)


@st.composite
def arrays(draw, shape=None, low=-3, high=3, offset=0.0):
    """A float64 array; any small shape unless told."""
    shape = draw(shapes()) if shape is None else shape
    array = draw(hnp.arrays(np.float64, shape, elements=numbers(low, high, offset)))
    return laid_out(array, draw(st.sampled_from(LAYOUTS)))


def broadcastable(count, **kwargs):
    """Shapes that broadcast against each other, with axes of length 0 and 1."""
    shapes = hnp.mutually_broadcastable_shapes(num_shapes=count, max_dims=3, min_side=0, max_side=3, **kwargs)
    return shapes.map(lambda found: found.input_shapes)


@st.composite
def axes(draw, ndim, several=True, none=True):
    """An axis, also negative; None; or a tuple of them."""
    choices = [st.none()] if none else []
    if ndim:
        choices.append(st.integers(-ndim, ndim - 1))
    if several:
        tuples = hnp.valid_tuple_axes(ndim, min_size=min(ndim, 1))
        choices.append(tuples)
    return draw(st.one_of(choices))
