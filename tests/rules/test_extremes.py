"""Elementwise functions at the ends of the floats: values and slopes are PyTorch's, infinities and NaN included."""

import numpy as np
import pytest
from peer import torch

import tinygrad_rnn as tg

SIZES = [0.0, 5e-324, 1e-300, 1e-17, 1.0, 20.0, 40.0, 700.0, 745.2, 1e5, 1e160, 1.7e308, np.inf]
POINTS = np.array([*SIZES, *np.negative(SIZES), 709.9, np.nan])
UNARY = {
    np.negative: torch.neg,
    np.reciprocal: torch.reciprocal,
    np.square: torch.square,
    np.sqrt: torch.sqrt,
    np.absolute: torch.abs,
    np.exp: torch.exp,
    np.expm1: torch.expm1,
    np.log: torch.log,
    np.log1p: torch.log1p,
    np.sin: torch.sin,
    np.cos: torch.cos,
    np.tanh: torch.tanh,
}
BINARY = {
    np.add: torch.add,
    np.subtract: torch.subtract,
    np.multiply: torch.multiply,
    np.divide: torch.divide,
    np.maximum: torch.maximum,
    np.minimum: torch.minimum,
}


def compare(ours, theirs, *arrays):
    with np.errstate(all="ignore"):
        tensors = [tg.Tensor(a, requires_grad=True) for a in arrays]
        y = ours(*tensors)
        found = tg.grad(y, tensors, np.ones(y.shape))
    t = [torch.tensor(a, requires_grad=True) for a in arrays]
    z = theirs(*t)
    np.testing.assert_allclose(y.numpy(), z.detach().numpy(), rtol=1e-14, atol=1e-323)  # torch's log1p loses these
    for f, e in zip(found, torch.autograd.grad(z, t, torch.ones_like(z)), strict=True):
        np.testing.assert_allclose(f.numpy(), e.numpy(), rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("function", UNARY, ids=lambda f: f.__name__)
def test_unary(function):
    points = POINTS
    if function is np.expm1:
        points = POINTS[POINTS < 700]  # beyond, torch's result + 1 is infinite a little earlier than exp
    if function in (np.sin, np.cos):
        points = POINTS[~(np.abs(POINTS) > 1e5)]  # argument reduction is left to the libraries
    if function is np.absolute:
        points = POINTS[~np.isnan(POINTS)]  # there torch's slope is 0, ours NaN
    compare(function, UNARY[function], points)


@pytest.mark.parametrize("function", BINARY, ids=lambda f: f.__name__)
def test_binary(function):
    a, b = (m.ravel() for m in np.meshgrid(POINTS, POINTS))
    compare(function, BINARY[function], a, b)


def test_slope_of_tanh_and_exp_to_the_last_digits():
    x = tg.Tensor(np.array([1e-8, 19.0, -700.0]), requires_grad=True)
    (g,) = tg.grad(np.tanh(x).sum(), x)
    np.testing.assert_allclose(g.numpy(), [1.0, 0.0, 0.0], atol=3e-16)
    (g,) = tg.grad(np.expm1(x).sum(), x)
    np.testing.assert_allclose(g.numpy(), np.exp(x.numpy()), rtol=1e-15)  # torch's result + 1 is 0 at -700
    (g,) = tg.grad(np.log1p(x[:2]).sum(), x)
    np.testing.assert_allclose(g.numpy(), [1 / (1 + 1e-8), 1 / 20, 0], rtol=1e-15)


@pytest.mark.parametrize("scale", [1e-150, 1.0, 1e150])
def test_reductions_of_very_small_and_large_numbers(scale):
    x = np.array([[1.0, 2.0, 4.0], [-1.0, 0.5, 8.0]]) * scale
    compare(lambda t: np.mean(t, 1), lambda t: torch.mean(t, 1), x)
    compare(lambda t: np.max(t, 1), lambda t: torch.amax(t, 1), x)
    compare(lambda t: np.cumsum(t, 1), lambda t: torch.cumsum(t, 1), x)
    compare(lambda t: np.var(t, 1), lambda t: torch.var(t, 1, correction=0), x)
    compare(lambda t: np.std(t, 1), lambda t: torch.std(t, 1, correction=0), x)


def test_nan_and_inf_stay_where_they_are():
    x = np.array([[1.0, np.nan, 2.0], [np.inf, 0.0, -1.0]])
    compare(lambda t: np.sum(t, 0), lambda t: torch.sum(t, 0), x)
    compare(lambda t: t[:, [0, 2]], lambda t: t[:, [0, 2]], x)
    with np.errstate(invalid="ignore"):
        t = tg.Tensor(x, requires_grad=True)
        (g,) = tg.grad(np.max(t, axis=1), t, np.ones(2))
    np.testing.assert_array_equal(np.isnan(g.numpy()), [[True] * 3, [False] * 3])
