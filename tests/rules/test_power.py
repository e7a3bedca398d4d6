"""power at its difficult places: base 0, exponent 0, negative bases, constant exponents."""

import numpy as np
import pytest
from peer import torch

import tinygrad_rnn as tg
from tinygrad_rnn.testing import gradcheck


def gradients(power, make, a, b, grad):
    x, p = make(a), make(b)
    return grad(power(x, p), [x, p])


def ours(a, b):
    def make(v):
        return tg.Tensor(np.array(v, float), requires_grad=True)

    with np.errstate(all="ignore"):
        return [g.numpy() for g in gradients(np.power, make, a, b, lambda y, x: tg.grad(y.sum(), x))]


def theirs(a, b):
    def make(v):
        return torch.tensor(np.array(v, float), requires_grad=True)

    return [g.numpy() for g in gradients(torch.pow, make, a, b, lambda y, x: torch.autograd.grad(y.sum(), x))]


BASES = [0.0, -0.0, 1.0, 2.0, 0.5, -1.0, -2.0, 1e200, 1e-200, np.inf, np.nan]
EXPONENTS = [0.0, -0.0, 1.0, 2.0, 3.0, 0.5, 1.5, 2.5, -1.0, -2.0, -0.5, np.inf, -np.inf, np.nan]


@pytest.mark.parametrize("a", BASES)
@pytest.mark.parametrize("b", EXPONENTS)
def test_first_derivatives_are_torchs(a, b):
    for found, expected in zip(ours(a, b), theirs(a, b), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("number", sorted({*BASES, *EXPONENTS} - {1e200, 1e-200}, key=str))
def test_first_derivatives_beside_a_number_are_torchs(number, dtype):
    points = np.array([p for p in BASES if p not in (1e200, 1e-200)], dtype)
    for power in (lambda x: x**number, lambda x: number**x):
        x, t = tg.Tensor(points, requires_grad=True), torch.tensor(points, requires_grad=True)
        with np.errstate(all="ignore"):
            y = power(x)
            (found,) = tg.grad(y, x, np.ones(points.shape))
        z = power(t)
        (expected,) = torch.autograd.grad(z, t, torch.ones_like(z))
        assert (y.dtype, found.dtype) == (np.dtype(dtype), np.dtype(dtype))
        here = ~((points == 0) & np.signbit(points))  # torch's (-0.0)**-0.5 is -inf, NumPy's inf; so are the slopes
        np.testing.assert_allclose(y.numpy()[here], z.numpy(force=True)[here], rtol=1e-6)
        np.testing.assert_allclose(found.numpy()[here], expected.numpy()[here], rtol=1e-6)


@pytest.mark.parametrize(
    "exponent", [0, 1, 2, 3, 0.0, 1.0, 2.0, 3.0, np.float64(2), np.int64(3), np.array([0.0, 1.0, 2.0, 3.0])]
)
def test_constant_exponent_at_0_to_the_third_derivative(exponent):
    x = tg.Tensor(np.array([[0.0], [-1.5], [2.0]]) * np.ones(4), requires_grad=True)
    y = x**exponent
    p = np.asarray(exponent, float)
    base, factor = x.numpy().copy(), np.ones(4)
    for _ in range(3):
        (y,) = tg.grad(y.sum(), x, create_graph=True) if y.requires_grad else (tg.Tensor(np.zeros((3, 4))),)
        factor = factor * p
        p = p - 1
        with np.errstate(all="ignore"):
            expected = np.where(factor == 0, 0.0, factor * base ** np.where(factor == 0, 0, p))
        np.testing.assert_allclose(y.numpy(), expected, rtol=1e-14)


def test_mixed_second_derivative_at_exponent_0():
    # d/db d/da a^b = a^(b-1) (1 + b log a), which is 1 / a at b = 0; torch gives 0 there
    def slope(a, b):
        x, p = tg.Tensor(a, requires_grad=True), tg.Tensor(b, requires_grad=True)
        (g,) = tg.grad(x**p, x, create_graph=True)
        return tg.grad(g, p)[0].numpy()

    np.testing.assert_allclose(slope(2.0, 0.0), 0.5, rtol=1e-6)
    a, b = np.array([0.5, 2.0, 3.0]), np.array([0.0, 0.0, 1.0])

    def base_slope(x, p):
        return tg.grad((x**p).sum(), x, create_graph=True)[0]

    def exponent_slope(x, p):
        return tg.grad((x**p).sum(), p, create_graph=True)[0]

    assert gradcheck(base_slope, (a, b))
    assert gradcheck(exponent_slope, (a, b))


def test_second_derivatives_at_base_0_are_finite_where_they_exist():
    x = tg.Tensor(np.zeros(3), requires_grad=True)
    p = tg.Tensor(np.array([2.0, 3.0, 4.0]), requires_grad=True)
    first = tg.grad((x**p).sum(), [x, p], create_graph=True)
    second = [tg.grad(g.sum(), [x, p], retain_graph=True, allow_unused=True) for g in first]
    np.testing.assert_array_equal(second[0][0].numpy(), [2, 0, 0])
    np.testing.assert_array_equal(second[0][1].numpy(), [0, 0, 0])
    np.testing.assert_array_equal(second[1][0].numpy(), [0, 0, 0])
    np.testing.assert_array_equal(second[1][1].numpy(), [0, 0, 0])


@pytest.mark.parametrize("base", [2, 2.0, 1.0, 0.5, np.float64(3), np.float32(3)])
def test_constant_base(base):
    x = tg.Tensor(np.array([-1.0, 0.0, 2.5], np.float32), requires_grad=True)
    y = base**x
    (g,) = tg.grad(y.sum(), x)
    assert y.dtype == (base ** x.numpy()).dtype
    assert g.dtype == np.float32
    np.testing.assert_allclose(g.numpy(), float(base) ** x.numpy() * np.log(float(base)), rtol=1e-6)


def test_base_0_has_no_slope_in_positive_exponents():
    x = tg.Tensor(np.array([0.0, 1.0, 2.0]), requires_grad=True)
    np.testing.assert_array_equal(tg.grad((0.0**x).sum(), x)[0].numpy(), [0, 0, 0])
    np.testing.assert_array_equal(tg.grad((0**x).sum(), x)[0].numpy(), [0, 0, 0])
