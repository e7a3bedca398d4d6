"""Cases of tinygrad_rnn/rules/reduction.py."""

import math

import numpy as np
from hypothesis import strategies as st

from tinygrad_rnn.rules.reduction import linear_recurrence

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
def cumulated(draw, elements):
    x = draw(elements(draw(shapes())))
    return [x], {"axis": draw(axes(x.ndim, several=False))}


def cumulative(function, theirs, arguments):
    def torchs(x, axis):
        return theirs(x.reshape(-1), 0) if axis is None else theirs(x, axis)

    return Case(function, (function, lambda x, axis: getattr(x, function.__name__)(axis)), torchs, arguments)


@st.composite
def with_zeros(draw, shape, low=-1.5, high=1.5):
    """An array with some entries 0, or all of them along some axis, or none but by chance."""
    x, kind = draw(arrays(shape, low, high)), draw(st.sampled_from(["few", "entries", "lines"]))
    if kind == "few":
        return x
    sides = list(shape)
    if kind == "lines" and sides:
        sides[draw(st.integers(0, len(sides) - 1))] = 1
    return np.asarray(x * (draw(arrays(tuple(sides))) > -1))


@st.composite
def multiplied(draw):
    x = draw(with_zeros(draw(shapes())))
    return [x], {"axis": draw(axes(x.ndim)), "keepdims": draw(st.booleans())}


def torch_prod(x, over, keepdim):
    for dim in [over] if isinstance(over, int) else sorted((k % x.ndim for k in over), reverse=True):
        x = torch.prod(x, dim, keepdim)
    return x * 1


@st.composite
def recurrences(draw):
    x = draw(arrays(draw(shapes(min_dims=1)), -1.5, 1.5))
    return [x, draw(arrays((*x.shape[:-1], max(x.shape[-1] - 1, 0)), -1.5, 1.5))], {}


def torch_recurrence(x, a):
    y = list(x.unbind(-1))
    for t in range(1, len(y)):
        y[t] = y[t] + a[..., t - 1] * y[t - 1]
    return (torch.stack(y, -1) if y else x) + 0 * a.sum()


# ---- norms


@st.composite
def vectors(draw):
    order = draw(st.sampled_from([None, 2, 1, 3, 4, 0, 2.0, 1.5, 2.5, 0.5, math.inf, -math.inf, -1, -2, -0.5]))
    empty = order in (None, 1, 2, 3, 4)
    flat = draw(st.integers(0, 3)) == 0
    x = draw(with_zeros(draw(shapes(1, 1 if flat and order is not None else 3, 0 if empty else 1)), -3, 3))
    axis = None if flat else draw(st.integers(-x.ndim, x.ndim - 1))
    return [x], {"ord": order, "axis": axis, "keepdims": draw(st.booleans())}


def torch_vector_norm(x, ord, axis, keepdims):
    y = torch.linalg.vector_norm(x, 2 if ord is None else ord, axis, keepdim=keepdims)
    return y + 0 * x.sum(axis, keepdim=keepdims) if ord == 0 else y  # torch's does not depend on x at all


def smooth_vectors(x, ord, **_options):
    """Is no entry 0, where most orders have a kink, and with an infinite order none equal to another?"""
    return np.all(x != 0) and (ord not in (math.inf, -math.inf) or len(np.unique(np.abs(x))) == x.size)


def torch_right_for_vectors(x, ord, axis, keepdims):
    """In torch 0 to a negative power makes second derivatives NaN, at the vector 0 or at any entry 0."""
    if ord in (0, 1, math.inf, -math.inf):
        return True
    return np.all(np.linalg.norm(x, axis=axis) != 0) if ord in (None, 2, 3, 4) else np.all(x != 0)


@st.composite
def matrices(draw):
    x = draw(with_zeros(draw(shapes(2, 3, 1)), -3, 3))
    axis = draw(st.permutations(range(-x.ndim, 0)))[:2]
    axis = tuple(k % x.ndim if draw(st.booleans()) else k for k in axis)
    if x.ndim == 2 and draw(st.booleans()):
        axis = None
    order = draw(st.sampled_from(["fro", "fro", None, 1, -1, math.inf, -math.inf]))
    return [x], {"ord": order, "axis": axis, "keepdims": draw(st.booleans())}


def torch_matrix_norm(x, ord, axis, keepdims):
    return torch.linalg.matrix_norm(x, "fro" if ord is None else ord, axis or (0, 1), keepdim=keepdims)


def smooth_matrices(x, ord, axis, keepdims):
    """Are all entries more than 0, and no two rows or columns of the same size?"""
    sizes = [np.sum(np.abs(x), axis=k) for k in axis or (0, 1)]
    return np.all(x != 0) and all(len(np.unique(size)) == size.size for size in sizes)


def not_a_zero_matrix(x, ord, axis, keepdims):
    return np.all(np.linalg.norm(x, axis=axis) != 0)


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
    cumulative(np.cumsum, torch.cumsum, cumulated(arrays)),
    reduction(np.prod, torch_prod, multiplied()),
    cumulative(np.cumprod, torch.cumprod, cumulated(with_zeros)),
    Case(linear_recurrence, (linear_recurrence,), torch_recurrence, recurrences()),
    Case(
        np.linalg.norm,
        (np.linalg.norm, lambda x, ord, axis, keepdims: np.linalg.norm(x, ord, axis, keepdims)),  # noqa: PLW0108
        torch_vector_norm,
        vectors(),
        smooth_vectors,
        torch_right_for_vectors,
        weight=4,
        note="of vectors",
    ),
    Case(
        np.linalg.norm,
        (np.linalg.norm,),
        torch_matrix_norm,
        matrices(),
        smooth_matrices,
        not_a_zero_matrix,
        weight=2,
        note="of matrices",
    ),
]
