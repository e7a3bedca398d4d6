"""Third and fourth derivatives: the rules differentiate themselves again, so nothing stops at two."""

import numpy as np
import pytest
from peer import torch

import tinygrad_rnn as tg

RNG = np.random.default_rng(11)
A, B, C = RNG.normal(size=(3, 4)), RNG.normal(size=(4, 2)), RNG.normal(size=(2, 3))


def gates(x):
    a, b = np.split(x, 2, axis=1)
    return np.exp(a) * np.sin(b)


WITH_ZEROS = np.array([[0.5, 0.0, 2.0, -1.5], [0.0, 3.0, 0.0, 1.0], [0.7, -0.2, 1.1, 0.4]])

PROGRAMS = {
    "tanh": (np.tanh, torch.tanh, [A]),
    "power": (lambda x: x**5, lambda x: x**5, [A]),
    "power of two tensors": (np.power, torch.pow, [np.abs(A) + 0.5, A]),
    "chain of products": (lambda a, b, c: np.tanh(a @ b) @ c @ a, lambda a, b, c: torch.tanh(a @ b) @ c @ a, [A, B, C]),
    "division": (np.divide, torch.divide, [A, np.abs(A) + 1]),
    "logarithm of a sum of exponentials": (
        lambda x: np.log(np.sum(np.exp(x), axis=1, keepdims=True)),
        lambda x: torch.log(torch.sum(torch.exp(x), 1, keepdim=True)),
        [A],
    ),
    "standard deviation": (lambda x: np.std(x, axis=0), lambda x: torch.std(x, 0, correction=0), [A]),
    "einsum": (
        lambda a, b, c: np.exp(np.einsum("ij,jk,ki->i", a, b, c)),
        lambda a, b, c: torch.exp(torch.einsum("ij,jk,ki->i", a, b, c)),
        [A, B, C],
    ),
    "slices and gathers": (
        lambda x: np.sin(np.concatenate([x[:, 1:] * x[:, :-1], x[[0, 0, 2], :3] ** 3], axis=1)),
        lambda x: torch.sin(torch.cat([x[:, 1:] * x[:, :-1], x[[0, 0, 2], :3] ** 3], 1)),
        [A],
    ),
    "gates": (gates, lambda x: torch.exp(x[:, :2]) * torch.sin(x[:, 2:]), [A]),
    "cumulative sum and extremes": (
        lambda x: np.cos(np.cumsum(x, 1) * np.max(x, 1, keepdims=True)),
        lambda x: torch.cos(torch.cumsum(x, 1) * torch.amax(x, 1, keepdim=True)),
        [A],
    ),
    "product": (lambda x: np.prod(x, axis=1), lambda x: torch.prod(x, 1), [WITH_ZEROS]),
    "product of all": (lambda x: np.sin(np.prod(x)), lambda x: torch.sin(torch.prod(x)), [A]),
    "cumulative product": (lambda x: np.cumprod(x, axis=1), lambda x: torch.cumprod(x, 1), [WITH_ZEROS]),
    "cumulative product of all": (np.cumprod, lambda x: torch.cumprod(x.reshape(-1), 0), [A]),
    "norms": (
        lambda x: sum(np.linalg.norm(x, p, axis=1) for p in (None, 3, 1.5, -2)),
        lambda x: sum(torch.linalg.vector_norm(x, p, 1) for p in (2, 3, 1.5, -2)),
        [A],
    ),
    "Frobenius norm": (np.linalg.norm, torch.linalg.matrix_norm, [A]),
    "arctan2": (np.arctan2, torch.arctan2, [A, A[::-1].copy()]),
    "hypot": (np.hypot, torch.hypot, [A, A[::-1].copy()]),
    "logaddexp": (np.logaddexp, torch.logaddexp, [A, A[::-1].copy()]),
    "logaddexp2": (np.logaddexp2, torch.logaddexp2, [A, A[::-1].copy()]),
    "inverse trigonometric functions": (
        lambda x: np.arcsin(x / 4) * np.arctan(x) + np.arccos(x / 4) * np.arctanh(x / 4),
        lambda x: torch.arcsin(x / 4) * torch.arctan(x) + torch.arccos(x / 4) * torch.arctanh(x / 4),
        [A],
    ),
    "inverse hyperbolic functions": (
        lambda x: np.arcsinh(x) * np.arccosh(2 + x * x) + np.tan(x / 4),
        lambda x: torch.arcsinh(x) * torch.arccosh(2 + x * x) + torch.tan(x / 4),
        [A],
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_first_to_fourth_derivative(name):
    ours, theirs, arrays = PROGRAMS[name]
    weights = [RNG.normal(size=a.shape) for a in arrays]
    xs = [tg.Tensor(a, requires_grad=True) for a in arrays]
    ts = [torch.tensor(a, requires_grad=True) for a in arrays]
    s, z = ours(*xs).sum(), theirs(*ts).sum()
    for _ in range(4):
        found = tg.grad(s, xs, create_graph=True)
        expected = torch.autograd.grad(z, ts, create_graph=True)
        for f, e in zip(found, expected, strict=True):
            size = max(1.0, float(e.detach().abs().max()))
            np.testing.assert_allclose(f.numpy(), e.detach().numpy(), rtol=1e-9, atol=1e-11 * size)
        s = sum((f * w).sum() for f, w in zip(found, weights, strict=True))
        z = sum((e * torch.tensor(w)).sum() for e, w in zip(expected, weights, strict=True))
