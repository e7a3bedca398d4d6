"""Functions whose results do not change smoothly with their arguments: NumPy's results, and never a gradient."""

import operator

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.primitives import CONSTANT

X = np.array([[1.0, -2.0, 0.0, 2.5], [np.inf, 3.0, np.nan, -2.0]])
Y = np.array([[1.0, 2.0, -1.0, 2.5], [0.0, 3.0, 1.0, 7.0]])

# How each is called, with x and y either arrays or tensors that require a gradient.
GROUPS = [
    (
        [np.greater, np.greater_equal, np.less, np.less_equal, np.equal, np.not_equal],
        [lambda f, x, y: f(x, y), lambda f, x, y: f(x, 1), lambda f, x, y: f(Y, x)],
    ),
    (
        [np.logical_and, np.logical_or, np.logical_xor, np.array_equiv],
        [lambda f, x, y: f(x, y), lambda f, x, y: f(x > 0, y)],
    ),
    (
        [np.logical_not, np.isnan, np.isinf, np.isfinite, np.signbit, np.isneginf, np.isposinf, np.isreal],
        [lambda f, x, y: f(x)],
    ),
    (
        [np.iscomplex, np.isrealobj, np.iscomplexobj, np.isscalar, np.shape, np.ndim, np.min_scalar_type],
        [lambda f, x, y: f(x)],
    ),
    (
        [np.any, np.all, np.argmax, np.argmin],
        [lambda f, x, y: f(y), lambda f, x, y: f(y, axis=1), lambda f, x, y: f(y, axis=0, keepdims=True)],
    ),
    ([np.isclose, np.allclose, np.array_equal], [lambda f, x, y: f(x, y), lambda f, x, y: f(x, x, equal_nan=True)]),
    ([np.argsort], [lambda f, x, y: f(y), lambda f, x, y: f(y, axis=None, kind="stable")]),
    ([np.argpartition], [lambda f, x, y: f(y, 1)]),
    ([np.argwhere, np.nonzero, np.flatnonzero], [lambda f, x, y: f(y)]),
    ([np.count_nonzero, np.size], [lambda f, x, y: f(y), lambda f, x, y: f(y, 0)]),
    ([np.searchsorted], [lambda f, x, y: f(y[1], 2.0), lambda f, x, y: f([0.0, 1.0, 4.0], y)]),
    ([np.digitize], [lambda f, x, y: f(y, [0.0, 1.0, 3.0])]),
    ([np.lexsort], [lambda f, x, y: f((y[0], y[1]))]),
    ([np.isin], [lambda f, x, y: f(x, [1.0, 3.0]), lambda f, x, y: f(x, y)]),
    ([np.result_type, np.common_type], [lambda f, x, y: f(x, y), lambda f, x, y: f(x, X.astype(np.float32))]),
    ([np.can_cast], [lambda f, x, y: f(x.dtype, np.float32)]),
    (
        [np.zeros_like, np.ones_like],
        [lambda f, x, y: f(x), lambda f, x, y: f(x, dtype=int), lambda f, x, y: f(x, shape=(3,))],
    ),
    ([np.empty_like], [lambda f, x, y: f(x).shape, lambda f, x, y: f(x, int).dtype]),
    ([np.may_share_memory, np.shares_memory], [lambda f, x, y: f(x, x), lambda f, x, y: f(x, y)]),
    ([np.array_repr, np.array_str], [lambda f, x, y: f(x), lambda f, x, y: f(x, precision=2)]),
    ([np.array2string], [lambda f, x, y: f(x, separator=", ")]),
]
CALLS = {function: calls for functions, calls in GROUPS for function in functions}


def same(found, expected):
    """Is ``found`` what NumPy gave, arrays (and their scalars) as tensors without a gradient?"""
    if isinstance(expected, (np.ndarray, np.generic)):
        assert isinstance(found, tg.Tensor)
        assert not found.requires_grad
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found.numpy(), expected)
    elif isinstance(expected, tuple):
        assert len(found) == len(expected)
        for f, e in zip(found, expected, strict=True):
            same(f, e)
    else:
        assert type(found) is type(expected)
        assert found == expected


def test_every_constant_function_is_called():
    assert set(CALLS) == CONSTANT


@pytest.mark.parametrize("function", CALLS, ids=lambda f: f.__name__)
def test_equals_numpys_and_has_no_gradient(function):
    for call in CALLS[function]:
        x, y = tg.Tensor(X, requires_grad=True), tg.Tensor(Y, requires_grad=True)
        with np.errstate(invalid="ignore"):
            same(call(function, x, y), call(function, X, Y))


OPERATORS = [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne]


@pytest.mark.parametrize("op", OPERATORS)
@pytest.mark.parametrize("other", [1, 1.0, np.float32(1), Y, [1.0, 2.0, 0.0, 2.5], tg.Tensor(Y)])
def test_comparisons_on_either_side(op, other):
    bare = other.numpy() if isinstance(other, tg.Tensor) else other
    x = tg.Tensor(X, requires_grad=True)
    same(op(x, other), op(X, bare))
    same(op(other, x), op(bare, X))


def test_boolean_algebra_and_methods():
    x, y = tg.Tensor(X, requires_grad=True), tg.Tensor(Y, requires_grad=True)
    same((x > 0) & (y > 0), (X > 0) & (Y > 0))
    same((x > 0) | (y > 0), (X > 0) | (Y > 0))
    same((x > 0) ^ (y > 0), (X > 0) ^ (Y > 0))
    same(~(x > 0), ~(X > 0))
    same(y.argmax(1), Y.argmax(1))
    same(y.argmin(0, keepdims=True), Y.argmin(0, keepdims=True))
    same(y.argsort(), Y.argsort())
    same((y > 0).all(axis=0), (Y > 0).all(axis=0))
    same((y > 0).any(), (Y > 0).any())
    same(y.nonzero(), Y.nonzero())
    assert 7.0 in y
    assert -7.0 not in y
    assert bool(y[0, 0] == 1)


def test_integers_and_booleans_pass_through_every_rule_without_a_gradient():
    n = tg.Tensor(np.arange(6).reshape(2, 3))
    for y, expected in [
        (n + 1, n.numpy() + 1),
        (n @ n.T, n.numpy() @ n.numpy().T),
        (np.concatenate([n, n]), np.concatenate([n.numpy()] * 2)),
        (n.sum(), n.numpy().sum()),
        (n[:, ::-1], n.numpy()[:, ::-1]),
        (np.einsum("ij->", n), np.einsum("ij->", n.numpy())),
        (n.mean(0), n.numpy().mean(0)),
        (np.tanh(n), np.tanh(n.numpy())),
    ]:
        same(y, expected)


def test_a_gradient_ends_where_floats_become_integers():
    x = tg.Tensor([1.5, 2.5], requires_grad=True)
    assert not x.astype(int).requires_grad
    assert not (x > 2).astype(np.float32).requires_grad
    with pytest.raises(RuntimeError, match="does not require a gradient"):
        x.astype(int).sum().backward()
