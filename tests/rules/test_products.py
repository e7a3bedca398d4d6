"""prod and cumprod at zeros, where a rule that divides by the result fails: every order, against sums over subsets."""

import itertools
import math

import numpy as np
import pytest

import tinygrad_rnn as tg

VECTORS = {
    "no zero": [2.0, -1.5, 0.5, 3.0],
    "one zero": [2.0, 0.0, 0.5, 3.0],
    "first and last": [0.0, -1.5, 0.5, -0.0],
    "three zeros": [0.0, 0.0, 0.5, 0.0],
    "only zeros": [0.0, 0.0, 0.0, 0.0],
    "one entry": [0.0],
    "none": [],
}


def partial(x, places):
    """The derivative of the product of x with respect to the entries at ``places``: the product of the others."""
    distinct = len(set(places)) == len(places) and all(k < len(x) for k in places)
    return math.prod(v for k, v in enumerate(x) if k not in places) if distinct else 0.0


def derivatives(f, x, order):
    """The derivatives of ``f`` (a scalar function) at all combinations of ``order`` places."""
    t = tg.Tensor(np.array(x), requires_grad=True)

    def descend(y, left):
        if not left:
            return y.numpy()
        if not y.requires_grad:
            return np.zeros((len(x),) * left)
        (g,) = tg.grad(y, t, create_graph=True, allow_unused=True)
        return np.zeros((len(x),) * left) if g is None else np.array([descend(part, left - 1) for part in g])

    return descend(f(t), order)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("x", VECTORS.values(), ids=VECTORS)
def test_product(x, order):
    found = derivatives(np.prod, x, order)
    for places in itertools.product(range(len(x)), repeat=order):
        np.testing.assert_allclose(found[places], partial(x, places), rtol=1e-14)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("x", VECTORS.values(), ids=VECTORS)
def test_cumulative_product(x, order):
    for k in range(len(x)):
        found = derivatives(lambda t, k=k: np.cumprod(t)[k], x, order)
        for places in itertools.product(range(len(x)), repeat=order):
            np.testing.assert_allclose(found[places], partial(x[: k + 1], places), rtol=1e-14)


def test_factors_whose_product_leaves_the_floats():
    x = tg.Tensor(np.array([0.0, 1e20, 1e20, 1e-15, 1e-20], np.float32), requires_grad=True)
    with np.errstate(over="ignore"):
        (g,) = tg.grad(np.cumprod(x)[-1], x)
    assert g.dtype == np.float32
    np.testing.assert_allclose(g.numpy(), [1e5, 0, 0, 0, 0], rtol=1e-6)


@pytest.mark.parametrize("function", [np.prod, np.cumprod])
def test_a_wider_dtype_is_computed_in_it(function):
    x = tg.Tensor(np.array([1e-30, 1e-30, 1e30], np.float32), requires_grad=True)
    y = function(x, dtype=np.float64)
    assert y.dtype == np.float64
    (g,) = tg.grad(y[-1] if y.ndim else y, x)
    assert g.dtype == np.float32
    np.testing.assert_allclose(g.numpy(), [1, 1, 1e-30 * 1e-30], rtol=1e-6, atol=1e-45)


@pytest.mark.parametrize("axis", [0, -1, None, ()])
def test_a_tensor_without_axes(axis):
    x = tg.Tensor(np.array(0.0), requires_grad=True)
    assert tg.grad(np.prod(x, axis=axis), x)[0].tolist() == 1.0
    if axis != ():
        assert tg.grad(np.cumprod(x, axis=axis)[0], x)[0].tolist() == 1.0


def test_ufunc_reduce_and_out():
    x = tg.Tensor(np.array([[2.0, 0.0], [3.0, 4.0]]), requires_grad=True)
    np.testing.assert_array_equal(tg.grad(np.multiply.reduce(x).sum(), x)[0].numpy(), [[3, 4], [2, 0]])
    with pytest.raises(TypeError, match="would write into an array"):
        np.prod(x, 0, None, np.zeros(2))
    with pytest.raises(TypeError, match=r"prod.*knows no keyword 'initial'"):
        np.prod(x, initial=2.0)
