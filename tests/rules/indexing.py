"""Cases of tinygrad_rnn/rules/shape.py: functions that pick entries, repeat them or leave some out."""

import math

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_rnn as tg
from tinygrad_rnn.array_interface import getitem
from tinygrad_rnn.rules.shape import scatter

from .arrays import arrays, axes, shapes
from .case import Case, torch
from .moving import moved, mover, one_axis, options_of


@st.composite
def repeats(draw, x):
    axis = draw(axes(x.ndim, several=False))
    n = x.size if axis is None else x.shape[axis]
    count = st.integers(0, 3)
    each = st.lists(count, min_size=n, max_size=n)
    kinds = [count, count.map(lambda k: [k]), each, each.map(lambda counts: np.array(counts, int))]
    return {"repeats": draw(st.one_of(kinds)), "axis": axis}


def tiles(x):
    count = st.integers(0, 2)
    return st.one_of(count, st.lists(count, max_size=4).map(tuple)).map(lambda reps: {"reps": reps})


@st.composite
def widths(draw, x, empty):
    """Widths in every form that NumPy takes; ``empty``: whether an empty axis can be filled."""
    if draw(st.booleans()) and (empty or x.size or not x.ndim):
        width = st.integers(0, 3)
        pair = st.tuples(width, width)
        return draw(st.one_of(width, width.map(lambda k: (k,)), pair, pair.map(lambda p: [p])))
    return [(0, 0) if n == 0 and not empty else draw(st.tuples(*[st.integers(0, 4)] * 2)) for n in x.shape] or 0


@st.composite
def framed(draw):
    """An array, the values around it (in every form), and the widths."""
    x = draw(arrays())
    forms = [(), (1,), (2,), (1, 2), (x.ndim, 1), (x.ndim, 2)] if x.ndim else [()]
    return [x, draw(arrays(draw(st.sampled_from(forms))))], {"pad_width": draw(widths(x, True))}


def framing(x, values, pad_width, **mode):
    """np.pad dispatches on the array alone: around a plain one, it has to be told that there are tensors."""
    x = tg.Tensor(x) if isinstance(values, tg.Tensor) and isinstance(x, np.ndarray) else x
    return np.pad(x, pad_width, constant_values=values, **mode)


def their_frame(x, values, pad_width):
    numbers = x.numel() + np.arange(values.numel()).reshape(values.shape)
    positions = np.pad(np.arange(x.numel()).reshape(x.shape), pad_width, constant_values=numbers)
    return torch.cat([x.reshape(-1), values.reshape(-1)])[torch.tensor(positions)]


@st.composite
def extended(draw, x):
    return {
        "pad_width": draw(widths(x, False)),
        "mode": draw(st.sampled_from(["edge", "reflect", "symmetric", "wrap"])),
    }


@st.composite
def picked_along(draw):
    """Indices into one axis, of any length there, and in the others of length 1 or theirs; None: into all entries."""
    x = draw(arrays(draw(shapes(min_dims=1))))
    axis = draw(axes(x.ndim, several=False))
    shape = [x.size] if axis is None else list(x.shape)
    k = 0 if axis is None else axis
    n, shape[k] = shape[k], draw(st.integers(0, 3))
    if n == 0:
        shape[k] = 0
    whole = [m if j == k % len(shape) or draw(st.booleans()) else 1 for j, m in enumerate(shape)]
    elements = st.integers(-n, n - 1) if n else st.just(0)
    return [x], {"indices": draw(hnp.arrays(np.intp, tuple(whole), elements=elements)), "axis": axis}


def sorting(x):
    return axes(x.ndim, several=False).map(lambda axis: {"axis": axis})


def their_sort(x, axis):
    return torch.sort(x.reshape(-1) if axis is None else x, dim=-1 if axis is None else axis, stable=True).values


def all_different(x, **_options):
    return np.unique(x).size == x.size


@st.composite
def diagonals(draw, x):
    axis1, axis2 = draw(st.permutations(range(x.ndim)))[:2]
    signed = [draw(st.sampled_from([k, k - x.ndim])) for k in (axis1, axis2)]
    return {"offset": draw(st.integers(-4, 4)), "axis1": signed[0], "axis2": signed[1]}


@st.composite
def vectors_and_matrices(draw, min_dims=1, max_dims=2):
    x = draw(arrays(draw(shapes(min_dims=min_dims, max_dims=max_dims))))
    return [x], {"k": draw(st.integers(-4, 4))}


def their_triangle(function):
    """A vector stands for a matrix of rows like it, as NumPy has it."""
    return lambda x, k: function(x.expand(len(x), len(x)) if x.ndim == 1 else x, k)


def differences(x):
    return st.fixed_dictionaries({"n": st.integers(0, 5), "axis": one_axis(x)})


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
    mover(np.repeat, repeats, (lambda x, repeats, axis: x.repeat(repeats, axis),)),
    mover(np.tile, tiles),
    Case(
        np.pad,
        (
            framing,
            lambda x, values, pad_width: framing(x, values, pad_width, mode="constant"),
        ),
        their_frame,
        framed(),
        weight=2,
    ),
    mover(np.pad, extended, note="with its own entries"),
    Case(np.take_along_axis, (np.take_along_axis,), moved(np.take_along_axis), picked_along()),
    Case(np.sort, (np.sort,), their_sort, options_of(sorting, 1), smooth=all_different),
    mover(np.diagonal, diagonals, (lambda x, **o: x.diagonal(*o.values()),), min_dims=2),
    Case(
        np.trace,
        (np.trace, lambda x, **o: x.trace(**o), lambda x, **o: np.trace(x, *o.values(), None, None)),
        lambda x, offset, axis1, axis2: torch.diagonal(x, offset, axis1, axis2).sum(-1),
        options_of(diagonals, 2),
        weight=1,
    ),
    Case(np.diag, (np.diag,), lambda x, k: torch.diag(x, diagonal=k), vectors_and_matrices()),
    Case(
        np.diagflat,
        (np.diagflat,),
        lambda x, k: torch.diagflat(x, offset=k),
        vectors_and_matrices(min_dims=0, max_dims=3),
    ),
    Case(np.tril, (np.tril,), their_triangle(torch.tril), vectors_and_matrices(max_dims=3), weight=1),
    Case(np.triu, (np.triu,), their_triangle(torch.triu), vectors_and_matrices(max_dims=3), weight=1),
    Case(np.diff, (np.diff,), torch.diff, options_of(differences, 1)),
]
