"""linalg.norm where its definition divides by 0: the zero vector, entries of 0; and what has no rule."""

import math

import numpy as np
import pytest
from peer import torch

import tinygrad_rnn as tg

ORDERS = [None, 2, 1, 3, 4, 2.5, 1.5, 0.5, 0, -1, -2, -0.5, math.inf, -math.inf]


def derivatives(x, order, norm):
    """Gradient of a norm, and its second derivatives times the vector of ones."""
    t = tg.Tensor(np.array(x), requires_grad=True)
    (g,) = tg.grad(norm(t), t, create_graph=True)
    second = tg.grad(g.sum(), t, allow_unused=True)[0] if g.requires_grad else None
    return g.numpy(), np.zeros(t.shape) if second is None else second.numpy()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_zero_vector_has_no_slope_and_no_curvature(order, dtype):
    with np.errstate(divide="ignore"):  # NumPy's own, of negative orders
        for found in derivatives(np.zeros(3, dtype), order, lambda t: np.linalg.norm(t, order)):
            assert found.dtype == dtype
            np.testing.assert_array_equal(found, np.zeros(3))  # second derivatives are NaN in torch, but for a few


@pytest.mark.parametrize("order", [None, "fro", 1, -1, math.inf, -math.inf])
def test_the_zero_matrix_has_neither(order):
    for found in derivatives(np.zeros((2, 3)), order, lambda t: np.linalg.norm(t, order)):
        np.testing.assert_array_equal(found, np.zeros((2, 3)))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("x", [[0.0, 2.0, -1.0], [-0.0, 2.0, 2.0], [3.0, -3.0, 1.0], [1.0, -1.0, -1.0]])
def test_gradients_at_zeros_and_ties_are_torchs(x, order):
    t = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    y = torch.linalg.vector_norm(t, 2 if order is None else order)
    expected = torch.autograd.grad(y, t, allow_unused=True)[0]
    with np.errstate(divide="ignore"):
        found, second = derivatives(x, order, lambda t: np.linalg.norm(t, order))
    np.testing.assert_allclose(found, np.zeros(3) if expected is None else expected.numpy(), rtol=1e-14)
    assert np.isfinite(second).all()


@pytest.mark.parametrize("order", [1, -1, math.inf, -math.inf])
@pytest.mark.parametrize("axis", [(0, 1), (1, 0)])
def test_ties_of_matrices_are_torchs(order, axis):
    x = [[1.0, -2.0, 0.0], [1.0, 0.0, -2.0], [2.0, 1.0, 0.0]]
    t = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    (expected,) = torch.autograd.grad(torch.linalg.matrix_norm(t, order, axis), t)
    found, _ = derivatives(x, order, lambda t: np.linalg.norm(t, order, axis))
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-15)


def test_one_vector_of_many_is_zero():
    x = np.array([[0.0, 0.0], [3.0, 4.0]])
    first, second = derivatives(x, None, lambda t: np.linalg.norm(t, axis=1).sum())
    np.testing.assert_allclose(first, [[0, 0], [0.6, 0.8]])
    np.testing.assert_allclose(second, [[0, 0], [0.032, -0.024]], rtol=1e-14)


def test_fourth_derivative_of_an_even_order_at_an_entry_of_0():
    # y = (1 + x^4)^(1/4) = 1 + x^4 / 4 - ...; its fourth derivative at 0 is 6. Written with |x| it would be 0.
    x = tg.Tensor(np.array([0.0]), requires_grad=True)
    y = np.linalg.norm(np.concatenate([x, [1.0]]), 4)
    for expected in (0.0, 0.0, 0.0, 6.0):
        (y,) = tg.grad(y.sum(), x, create_graph=True)
        assert y.item() == pytest.approx(expected)


@pytest.mark.parametrize("order", [3, 4, 1.5, 0.5, -1])
def test_slopes_of_very_small_and_large_vectors(order):
    for scale in (1e-60, 1e60):
        small, _ = derivatives(np.array([1.0, -2.0, 3.0]) * scale, order, lambda t: np.linalg.norm(t, order))
        exact, _ = derivatives(np.array([1.0, -2.0, 3.0]), order, lambda t: np.linalg.norm(t, order))
        np.testing.assert_allclose(small, exact, rtol=1e-12)


@pytest.mark.parametrize("order", [np.float64(3), np.int64(2), np.array(1.5)])
def test_an_order_of_numpys_keeps_float32(order):
    for found in derivatives(np.array([1.0, -2.0], np.float32), order, lambda t: np.linalg.norm(t, order)):
        assert found.dtype == np.float32


@pytest.mark.parametrize("order", [2, -2, "nuc"])
def test_matrix_norms_by_singular_values_say_what_is_supported(order):
    x = tg.Tensor(np.eye(3), requires_grad=True)
    with pytest.raises(ValueError, match=r"orders None, 'fro', 1, -1, inf and -inf have a derivative rule, got"):
        np.linalg.norm(x, order).backward()
    assert np.linalg.norm(x.detach(), order).item() == pytest.approx(3.0 if order == "nuc" else 1.0)


def test_an_order_that_numpy_does_not_know():
    with pytest.raises(ValueError, match="Invalid norm order"):
        np.linalg.norm(tg.Tensor(np.ones(3), requires_grad=True), "fro", axis=0)


@pytest.mark.parametrize("function", [np.nanmax, np.nanmin, np.nansum, np.nanprod])
def test_reductions_that_skip_nan_have_no_rule(function):
    with pytest.raises(TypeError, match=rf"np\.{function.__name__} has no derivative rule"):
        function(tg.Tensor(np.ones(3), requires_grad=True))
