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
    np.positive: torch.positive,
    np.exp2: torch.exp2,
    np.log2: torch.log2,
    np.log10: torch.log10,
    np.sinh: torch.sinh,
    np.cosh: torch.cosh,
    np.arcsin: torch.arcsin,
    np.arccos: torch.arccos,
    np.arctan: torch.arctan,
    np.arcsinh: torch.arcsinh,
    np.arccosh: torch.arccosh,
    np.arctanh: torch.arctanh,
    np.floor: torch.floor,
    np.ceil: torch.ceil,
    np.trunc: torch.trunc,
    np.rint: torch.round,
    np.sign: torch.sign,
}
BINARY = {
    np.add: torch.add,
    np.subtract: torch.subtract,
    np.multiply: torch.multiply,
    np.divide: torch.divide,
    np.maximum: torch.maximum,
    np.minimum: torch.minimum,
    np.fmax: torch.fmax,
    np.fmin: torch.fmin,
    np.hypot: torch.hypot,
    np.arctan2: torch.arctan2,
    np.logaddexp: torch.logaddexp,
    np.logaddexp2: torch.logaddexp2,
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
    if function is np.sign:
        points = POINTS[~np.isnan(POINTS)]  # there torch's sign is 0, NumPy's NaN
    if function is np.arccosh:
        points = POINTS[~(POINTS <= -1)]  # there torch has a slope, although the value is NaN
    compare(function, UNARY[function], points)


@pytest.mark.parametrize("function", BINARY, ids=lambda f: f.__name__)
def test_binary(function):
    a, b = (m.ravel() for m in np.meshgrid(POINTS, POINTS))
    keep = np.ones(a.shape, bool)
    if function is np.hypot:
        keep = (a != 0) | (b != 0)  # there torch's slope is NaN: see test_ties.py
    if function is np.arctan2:
        far = [5e-324, 1e-300, 1e160, 1.7e308]  # their squares leave the floats, and torch squares: see the next test
        keep = ~np.isin(np.abs(a), far) & ~np.isin(np.abs(b), far)
    if function is np.logaddexp2:
        keep = (a != -1) | (b != -1)  # there torch's value is 5e-17, NumPy's 0
    compare(function, BINARY[function], a[keep], b[keep])


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e-160, 1.0, 1e160, 1e200, 1e300])
def test_slopes_of_lengths_and_angles_neither_overflow_nor_vanish(scale):
    a, b = (tg.Tensor(np.array(v * scale), requires_grad=True) for v in (3.0, 4.0))
    np.testing.assert_allclose([g.item() for g in tg.grad(np.hypot(a, b), [a, b])], [0.6, 0.8])
    slopes = [g.item() * scale for g in tg.grad(np.arctan2(a, b), [a, b])]
    np.testing.assert_allclose(slopes, [0.16, -0.12])  # torch: 0 where the squares leave the floats
    (slope,) = tg.grad(np.arcsinh(a), a)
    np.testing.assert_allclose(slope.item(), 1 / np.hypot(1, 3 * scale))
    if scale >= 1:
        (slope,) = tg.grad(np.arccosh(a), a)
        np.testing.assert_allclose(slope.item(), 1 / np.sqrt(9 - scale**-2) / scale)


def test_slopes_close_to_1_keep_their_digits():
    one = np.nextafter(1, 0)  # 1 - e
    e = np.spacing(one)
    x = tg.Tensor(np.array(one), requires_grad=True)
    np.testing.assert_allclose(tg.grad(np.arcsin(x), x)[0].item(), (e * (2 - e)) ** -0.5, rtol=1e-15)
    np.testing.assert_allclose(tg.grad(np.arctanh(x), x)[0].item(), 1 / (e * (2 - e)), rtol=1e-15)


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
