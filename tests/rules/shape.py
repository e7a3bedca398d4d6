"""Cases of tinygrad_rnn/rules/shape.py: shapes, and the order of axes; those of indexing and joining beside them."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from . import indexing, joining
from .arrays import arrays, axes, broadcastable, shapes
from .case import Case
from .moving import moved, mover, one_axis


@st.composite
def new_shapes(draw, x):
    """A shape of as many entries, perhaps with -1, perhaps in Fortran's order."""
    factors = draw(st.permutations([*x.shape, 1]))
    if len(factors) > 1 and draw(st.booleans()):
        factors = [factors[0] * factors[1], *factors[2:]]
    if x.size and draw(st.booleans()):
        factors[draw(st.integers(0, len(factors) - 1))] = -1
    return {"shape": tuple(factors), "order": draw(st.sampled_from("CF"))}


def orders(x):
    """None, or a permutation of the axes, some counted from the end."""
    lists = st.permutations(range(x.ndim)).flatmap(
        lambda order: st.tuples(*(st.sampled_from([k, k - x.ndim]) for k in order))
    )
    return st.one_of(st.none(), lists).map(lambda axes: {"axes": axes})


def two_axes(x):
    axis = st.sampled_from(range(-x.ndim, x.ndim))
    return st.fixed_dictionaries({"axis1": axis, "axis2": axis})


def places(x):
    """Where new axes of length 1 go."""
    several = st.integers(1, 2).flatmap(lambda n: hnp.valid_tuple_axes(x.ndim + n, min_size=n, max_size=n))
    return st.one_of(st.sampled_from(range(-x.ndim - 1, x.ndim + 1)), several).map(lambda axis: {"axis": axis})


@st.composite
def squeezable(draw):
    x = draw(arrays(draw(shapes())))
    single = [k for k in range(x.ndim) if x.shape[k] == 1]
    axis = draw(st.one_of(st.none(), st.sets(st.sampled_from(single)).map(tuple)) if single else st.none())
    if axis and len(axis) == 1 and draw(st.booleans()):
        axis = axis[0] - x.ndim
    return [x], {"axis": axis}


@st.composite
def broadcast(draw):
    ours, others = draw(broadcastable(2))
    return [draw(arrays(ours))], {"shape": np.broadcast_shapes(ours, others)}


@st.composite
def moves(draw, x):
    """Axes, and where they go."""
    count = draw(st.integers(0, x.ndim))
    ends = [draw(st.permutations(range(x.ndim)))[:count] for _ in range(2)]
    source, destination = ([draw(st.sampled_from([k, k - x.ndim])) for k in end] for end in ends)
    if count == 1 and draw(st.booleans()):
        source, destination = source[0], destination[0]
    return {"source": source, "destination": destination}


def rolls_of_axes(x):
    return st.fixed_dictionaries({"axis": one_axis(x), "start": st.integers(-x.ndim, x.ndim)})


def quarter_turns(x):
    planes = st.permutations(range(x.ndim)).map(lambda order: order[:2])
    signed = planes.flatmap(lambda plane: st.tuples(*(st.sampled_from([k, k - x.ndim]) for k in plane)))
    return st.fixed_dictionaries({"k": st.integers(-5, 5), "axes": signed})


@st.composite
def shifts(draw, x):
    """Any number of places, along no axis, one, or several of which some are the same."""
    axis = draw(
        st.one_of(st.none(), one_axis(x), st.lists(one_axis(x), min_size=1, max_size=3)) if x.ndim else st.none()
    )
    places = st.integers(-4, 4)
    several = isinstance(axis, list) and draw(st.booleans())
    shift = draw(st.tuples(*[places] * len(axis))) if several else draw(places)
    return {"shift": shift, "axis": tuple(axis) if isinstance(axis, list) else axis}


CASES = [
    mover(np.reshape, new_shapes, (lambda x, shape, order: np.reshape(x, shape, order=order),)),
    mover(np.transpose, orders, (lambda x, axes: x.transpose(axes),)),
    mover(np.swapaxes, two_axes, (lambda x, axis1, axis2: x.swapaxes(axis1, axis2),), min_dims=1),
    mover(np.expand_dims, places),
    Case(np.squeeze, (np.squeeze, lambda x, axis: x.squeeze(axis)), moved(np.squeeze), squeezable()),
    Case(np.broadcast_to, (np.broadcast_to,), moved(np.broadcast_to), broadcast()),
    mover(np.flip, lambda x: axes(x.ndim).map(lambda axis: {"axis": axis})),
    mover(
        np.ravel,
        lambda _x: st.sampled_from([{"order": "C"}, {"order": "F"}, {}]),
        (lambda x, **order: x.ravel(**order), lambda x, **order: x.flatten(*order.values())),
        weight=1,
    ),
    mover(np.moveaxis, moves, weight=1),
    mover(np.rollaxis, rolls_of_axes, min_dims=1, weight=1),
    mover(
        np.matrix_transpose,
        lambda _x: st.just({}),
        (np.linalg.matrix_transpose, lambda x: x.mT),
        min_dims=2,
        weight=0.5,
    ),
    mover(np.fliplr, lambda _x: st.just({}), min_dims=2, weight=0.5),
    mover(np.flipud, lambda _x: st.just({}), min_dims=1, weight=0.5),
    mover(np.rot90, quarter_turns, min_dims=2, weight=1),
    mover(np.roll, shifts),
    *indexing.CASES,
    *joining.CASES,
]
