"""A Python number beside a float32 tensor, on either side, neither widens a result nor any derivative of it."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import walk

from .case import fitted_without_cast

BINARY = [
    np.add, np.subtract, np.multiply, np.divide, np.power, np.maximum, np.minimum, np.fmax, np.fmin, np.arctan2,
    np.hypot, np.logaddexp, np.logaddexp2, np.remainder, np.fmod, np.floor_divide,
]  # fmt: skip


@pytest.mark.parametrize("number", [2, 0.75, True, np.float32(1.25)])
@pytest.mark.parametrize("function", BINARY, ids=lambda f: f.__name__)
@pytest.mark.parametrize("shape", [(3,), ()])
def test_number_beside_float32(function, number, shape, monkeypatch):
    if number is True and function is np.subtract:
        number = 1  # NumPy subtracts no booleans
    monkeypatch.setattr(walk, "_fitted", fitted_without_cast)
    values = np.resize(np.array([0.5, 1.5, 2.25], np.float32), shape)
    for call in (lambda x: function(x, number), lambda x: function(number, x)):
        x = tg.Tensor(values, requires_grad=True)
        y = call(x)
        assert (y.dtype, y.shape) == (np.dtype(np.float32), shape)
        np.testing.assert_allclose(y.numpy(), call(values), rtol=1e-6)
        derivative = y
        for _ in range(3):
            if not derivative.requires_grad:
                break
            (derivative,) = tg.grad(derivative.sum(), x, create_graph=True)
            assert (derivative.dtype, derivative.shape) == (np.dtype(np.float32), shape)
        double = tg.Tensor(values.astype(np.float64), requires_grad=True)
        (exact,) = tg.grad(call(double).sum(), double)
        np.testing.assert_allclose(tg.grad(y.sum(), x)[0].numpy(), exact.numpy(), rtol=1e-5, atol=1e-6)
