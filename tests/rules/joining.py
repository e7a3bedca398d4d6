"""Cases of tinygrad_rnn/rules/shape.py: functions that put arrays together, or cut one to pieces."""

import numpy as np
from hypothesis import strategies as st

from .arrays import arrays, shapes
from .case import Case, torch


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
def joined_by(draw, axis, min_dims, shorter, max_dims=3):
    """One to three arrays that differ in the length of one axis, some without axes that the function adds."""
    shape = draw(shapes(min_dims=min_dims, max_dims=max_dims))
    parts = []
    for _ in range(draw(st.integers(1, 3))):
        length = list(shape)
        length[axis] = draw(st.sampled_from([2, 1, 3, 1, 0]))
        same = [tuple(length)]
        while shorter(same[-1]) is not None:
            same.append(shorter(same[-1]))
        parts.append(draw(arrays(draw(st.sampled_from(same)))))
    return parts, {}


def without_row(shape):
    return shape[1:] if len(shape) <= 2 and shape[:1] == (1,) else None


def without_column(shape):
    return shape[:-1] if len(shape) <= 2 and shape[-1:] == (1,) else None


def without_depth(shape):
    return shape[:2] if len(shape) == 3 and shape[2] == 1 else without_row(shape) if len(shape) < 3 else None


def joiner(function, theirs, arguments, **options):
    """Both ways of giving the arrays: a list, a tuple."""
    return Case(
        function,
        (lambda *parts: function(parts, **options), lambda *parts: function(list(parts))),
        lambda *parts: theirs(parts),
        arguments,
        weight=1,
    )


@st.composite
def several(draw):
    """One to three arrays of any shape."""
    return [draw(arrays()) for _ in range(draw(st.integers(1, 3)))], {}


def flattened(function, library):
    """``function``, with the results of several arrays in a row."""

    def call(*parts):
        found = function(*parts)
        return found if len(parts) == 1 else library.concatenate([part.reshape(-1) for part in found])

    return call


@st.composite
def cut(draw, axis=None, min_dims=1, uneven=False):
    """Where to cut, and which of the pieces are used; ``axis(ndim)`` for the functions that know their own."""
    x = draw(arrays(draw(shapes(min_dims=min_dims))))
    options = {} if axis else {"axis": draw(st.sampled_from(range(-x.ndim, x.ndim)))}
    n = x.shape[axis(x.ndim) if axis else options["axis"]]
    equal = st.sampled_from([k for k in (1, 2, 3, 5) if uneven or n % k == 0])
    marks = st.lists(st.integers(0, n + 1), max_size=3)  # parts overlap where the next mark is smaller
    sections = draw(st.one_of(equal, marks, marks.map(tuple), marks.map(lambda m: np.array(m, int))))
    count = sections if isinstance(sections, int) else len(sections) + 1
    used = draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=count))
    return [x], {"sections": sections, "used": used, **options}


def splitter(function, axis=None, **kwargs):
    """A case of ``function``, which cuts along the axis it is given, or along ``axis(ndim)``."""

    def pieces(x, sections, used, **options):
        found = function(x, sections, *options.values())
        return [found[k] for k in used]

    def named_pieces(x, sections, used, **options):
        found = function(ary=x, indices_or_sections=sections, **options)
        return [found[k] for k in used]

    def theirs(x, sections, used, **options):
        along = options["axis"] if options else axis(x.ndim)
        marks = sections if isinstance(sections, int) else [min(int(k), x.shape[along]) for k in sections]
        found = torch.tensor_split(x, marks, along)
        return [found[k] for k in used]

    weight = kwargs.pop("weight", 1)
    return Case(function, (pieces, named_pieces), theirs, cut(axis, **kwargs), weight=weight)


CASES = [
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
    joiner(np.vstack, torch.vstack, joined_by(0, 2, without_row), dtype=None),
    joiner(
        np.hstack,
        torch.hstack,
        st.one_of(joined_by(0, 1, without_row, max_dims=1), joined_by(1, 2, lambda _shape: None)),
        casting="same_kind",
    ),
    joiner(np.dstack, torch.dstack, joined_by(2, 3, without_depth)),
    joiner(np.column_stack, torch.column_stack, joined_by(1, 2, without_column)),
    *(
        Case(function, (flattened(function, np),), flattened(theirs, torch), several(), weight=1)
        for function, theirs in [
            (np.atleast_1d, torch.atleast_1d),
            (np.atleast_2d, torch.atleast_2d),
            (np.atleast_3d, torch.atleast_3d),
        ]
    ),
    splitter(np.split, weight=2),
    splitter(np.array_split, uneven=True),
    splitter(np.hsplit, lambda ndim: min(ndim - 1, 1)),
    splitter(np.vsplit, lambda _ndim: 0, min_dims=2),
    splitter(np.dsplit, lambda _ndim: 2, min_dims=3),
]
