"""Cases of tinygrad_rnn/rules/shape.py: functions that only move entries.

Where torch has no function of the same meaning, its result is ``x.reshape(-1)[positions]``, with the positions that
NumPy's function moves the numbers 0, 1, 2, ... to.
"""

import math

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_rnn as tg
from tinygrad_rnn.array_interface import getitem
from tinygrad_rnn.rules.shape import scatter

from .arrays import arrays, axes, broadcastable, shapes
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
def joined(draw):
    """One to three arrays that differ in the length of one axis, or (axis None) in everything."""
    count = draw(st.integers(1, 3))
    if draw(st.integers(0, 4)) == 4:
        return [draw(arrays()) for _ in range(count)], {"axis": None}
    shape = draw(shapes(min_dims=1))
    axis = draw(st.sampled_from(range(-len(shape), len(shape))))
    parts = []
    for _ in range(count):
        length = list(shape)
        length[axis] = draw(st.sampled_from([2, 1, 3, 0]))
        parts.append(draw(arrays(tuple(length))))
    return parts, {"axis": axis}


@st.composite
def stacked(draw):
    shape = draw(shapes())
    count = draw(st.integers(1, 3))
    return [draw(arrays(shape)) for _ in range(count)], {
        "axis": draw(st.sampled_from(range(-len(shape) - 1, len(shape) + 1)))
    }


@st.composite
def cut(draw):
    """Where to cut, and which of the pieces are used."""
    x = draw(arrays(draw(shapes(min_dims=1))))
    axis = draw(st.sampled_from(range(-x.ndim, x.ndim)))
    n = x.shape[axis]
    equal = st.sampled_from([k for k in (1, 2, 3, 5) if n % k == 0])
    marks = st.lists(st.integers(0, n + 1), max_size=3).map(sorted)
    sections = draw(st.one_of(equal, marks, marks.map(tuple), marks.map(lambda m: np.array(m, int))))
    count = sections if isinstance(sections, int) else len(sections) + 1
    used = draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=count))
    return [x], {"sections": sections, "axis": axis, "used": used}


def pieces(x, sections, axis, used):
    found = np.split(x, sections, axis)
    return [found[k] for k in used]


def named_pieces(x, sections, axis, used):
    found = np.split(x, indices_or_sections=sections, axis=axis)
    return [found[k] for k in used]


def their_pieces(x, sections, axis, used):
    marks = sections if not isinstance(sections, int) else [x.shape[axis] // sections * k for k in range(1, sections)]
    found = torch.tensor_split(x, [min(int(k), x.shape[axis]) for k in marks], axis)
    return [found[k] for k in used]


@st.composite
def picked(draw):
    """Indices of any shape, also negative and repeated, along an axis or into the flat array."""
    x = draw(arrays(draw(shapes(min_dims=1))))
    axis = draw(axes(x.ndim, several=False))
    n = x.size if axis is None else x.shape[axis]
    shape = draw(shapes(max_dims=2)) if n else draw(st.sampled_from([(0,), (2, 0)]))
    indices = draw(hnp.arrays(np.intp, shape, elements=st.integers(-n, n - 1) if n else st.just(0)))
    if draw(st.booleans()) and indices.size:
        indices = indices.tolist()
    return [x], {"indices": indices, "axis": axis}


def nested(kind, values):
    """Nested lists, or nested tuples, of indices."""
    if kind == "list" or not isinstance(values, list):
        return values
    return tuple(nested(kind, part) for part in values)


@st.composite
def advanced(draw, shape):
    """An index with arrays of integers (which broadcast, and repeat), masks, slices, None, an ellipsis and numbers."""
    together = draw(hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3))
    parts, dims, ellipsis = [], list(shape), False
    while dims:
        n = dims.pop(0)
        kinds = (
            ["slice", "array", "list", "tuple", "mask", "None", "end"]
            + (["int"] if n else [])
            + ["..."] * (not ellipsis)
        )
        kind = draw(st.sampled_from(kinds))
        if kind == "end":
            break
        if kind == "slice":
            parts.append(draw(st.slices(n)))
        elif kind == "int":
            parts.append(draw(st.integers(-n, n - 1)))
        elif kind in ("array", "list", "tuple"):
            own = tuple(1 if draw(st.booleans()) else k for k in together) if n else (0,)
            indices = draw(hnp.arrays(np.intp, own, elements=st.integers(-n, n - 1) if n else st.just(0)))
            parts.append(nested(kind, indices.tolist()) if kind != "array" and indices.size else indices)
        elif kind == "mask":
            parts.append(draw(hnp.arrays(bool, n)))
        else:
            dims.insert(0, n)
            if kind == "None":
                parts.append(None)
                if len(parts) > 6:
                    break
            else:
                ellipsis = True
                dims = dims[len(dims) - draw(st.integers(0, len(dims))) :]
                parts.append(...)
    alone = len(parts) == 1 and not isinstance(parts[0], tuple) and draw(st.booleans())
    return parts[0] if alone else tuple(parts)


def is_index(x, index):
    try:
        x[index]
    except IndexError:
        return False
    return True


@st.composite
def indexed(draw):
    x = draw(arrays(draw(shapes())))
    basic = hnp.basic_indices(x.shape, allow_newaxis=True, max_dims=5)
    masks = hnp.arrays(bool, x.shape)
    kinds = [basic, masks, advanced(x.shape)]
    if x.ndim and x.size:
        kinds.append(
            hnp.integer_array_indices(x.shape, result_shape=hnp.array_shapes(max_dims=2, min_side=0, max_side=4))
        )
    index = draw(st.one_of(kinds).filter(lambda i: is_index(x, i)))
    return [x], {"index": index}


@st.composite
def scattered(draw):
    (x,), options = draw(indexed())
    values = draw(arrays(x[options["index"]].shape))
    return [values], {"index": options["index"], "shape": x.shape}


def their_scatter(values, index, shape):
    positions = np.arange(math.prod(shape)).reshape(shape)[index]
    zeros = torch.zeros(math.prod(shape), dtype=values.dtype)
    return zeros.index_add(0, torch.tensor(positions.flatten()), values.reshape(-1)).reshape(shape)


def as_tensors(x, index):
    """``x[index]`` with the index's arrays given as tensors."""
    if isinstance(index, np.ndarray):
        return x[tg.Tensor(index)]
    if isinstance(index, tuple):
        return x[tuple(tg.Tensor(part) if isinstance(part, np.ndarray) else part for part in index)]
    return x[index]


CASES = [
    Case(getitem, (lambda x, index: x[index], as_tensors), moved(lambda x, index: x[index]), indexed(), weight=4),
    Case(scatter, (scatter,), their_scatter, scattered(), weight=2),
    Case(
        np.take,
        (
            np.take,
            lambda x, indices, axis: x.take(indices, axis),
            lambda x, **o: np.take(x, o["indices"], axis=o["axis"]),
        ),
        moved(np.take),
        picked(),
        weight=2,
    ),
    mover(np.reshape, new_shapes, (lambda x, shape, order: np.reshape(x, shape, order=order),)),
    mover(np.transpose, orders, (lambda x, axes: x.transpose(axes),)),
    mover(np.swapaxes, two_axes, (lambda x, axis1, axis2: x.swapaxes(axis1, axis2),), min_dims=1),
    mover(np.expand_dims, places),
    Case(np.squeeze, (np.squeeze, lambda x, axis: x.squeeze(axis)), moved(np.squeeze), squeezable()),
    Case(np.broadcast_to, (np.broadcast_to,), moved(np.broadcast_to), broadcast()),
    mover(np.flip, lambda x: axes(x.ndim).map(lambda axis: {"axis": axis})),
    Case(
        np.concatenate,
        (lambda *parts, axis: np.concatenate(parts, axis), lambda *parts, axis: np.concatenate(list(parts), axis=axis)),
        lambda *parts, axis: torch.cat([p.reshape(-1) for p in parts]) if axis is None else torch.cat(parts, axis),
        joined(),
    ),
    Case(
        np.stack,
        (lambda *parts, axis: np.stack(parts, axis), lambda *parts, axis: np.stack(arrays=list(parts), axis=axis)),
        lambda *parts, axis: torch.stack(parts, axis),
        stacked(),
    ),
    Case(np.split, (pieces, named_pieces), their_pieces, cut(), weight=2),
]
