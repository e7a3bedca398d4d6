"""Second derivatives of the loss of an LSTM built on scan, with ragged lengths, equal torch's double backward.

There each sequence is a plain loop of its own over its valid elements, so nothing is masked.
"""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from peer import torch

import tinygrad_rnn as tg

KEYS = ("wx", "wh", "b", "h", "c")


def sigmoid(library):
    return tg.functional.sigmoid if library is np else torch.sigmoid


def cell(library, wx, wh, b):
    """One step of an LSTM: c = sigma(f) c + sigma(i) tanh(g), h = sigma(o) tanh(c)."""
    s, tanh = sigmoid(library), library.tanh

    def step(state, x):
        h, c = state
        z = x @ wx + h @ wh + b
        n = h.shape[-1]
        i, f, g, o = (z[..., k * n : (k + 1) * n] for k in range(4))
        c = s(f) * c + s(i) * tanh(g)
        h = s(o) * tanh(c)
        return (h, c), h

    return step


class Problem:
    """Random numbers, and the same loss of them here and in torch: <u, ys^2> + <last h, last c>."""

    def __init__(self, sizes, lengths, reverse, seed):
        T, B, inputs, H = sizes
        rng = np.random.default_rng(seed)
        self.lengths, self.reverse = lengths, reverse
        self.xs, self.u = rng.normal(size=(T, B, inputs)), rng.normal(size=(T, B, H))
        shapes = {"wx": (inputs, 4 * H), "wh": (H, 4 * H), "b": (4 * H,), "h": (B, H), "c": (B, H)}
        self.numbers = {key: rng.normal(size=shapes[key]) * 0.7 for key in KEYS}
        self.directions = {key: rng.normal(size=shapes[key]) for key in KEYS}

    def ours(self, p):
        padded = self.xs.copy()
        for b, end in enumerate(self.lengths):
            padded[end:, b] = np.nan  # what is past the end must not matter
        (h, c), ys = tg.scan(
            cell(np, p["wx"], p["wh"], p["b"]),
            (p["h"], p["c"]),
            padded,
            lengths=np.array(self.lengths),
            reverse=self.reverse,
        )
        return (ys * ys * self.u).sum() + (h * c).sum()

    def theirs(self, *numbers):
        wx, wh, b, h, c = numbers
        step, u, loss = cell(torch, wx, wh, b), torch.tensor(self.u), 0.0
        for k, end in enumerate(self.lengths):
            state = (h[k], c[k])
            for t in reversed(range(end)) if self.reverse else range(end):
                state, y = step(state, torch.tensor(self.xs[t, k]))
                loss = loss + (y * y * u[t, k]).sum()
            loss = loss + (state[0] * state[1]).sum()
        return loss

    def in_torch(self):
        return [torch.tensor(self.numbers[key], requires_grad=True) for key in KEYS]


def close(found, expected):
    np.testing.assert_allclose(found.numpy(), expected.detach().numpy(), rtol=1e-8, atol=1e-8)


@st.composite
def problems(draw, largest):
    T, B, *_ = sizes = [draw(st.integers(1, n)) for n in largest]
    lengths = draw(st.lists(st.integers(0, T), min_size=B, max_size=B))
    return Problem(sizes, lengths, draw(st.booleans()), draw(st.integers(0, 99)))


RAGGED = [Problem((5, 4, 2, 3), [0, 5, 2, 1], reverse, seed=1) for reverse in (False, True)]
TINY = [Problem((3, 3, 1, 1), [2, 0, 3], reverse, seed=2) for reverse in (False, True)]


@given(problems(largest=(6, 4, 3, 4)))
@example(RAGGED[0])
@example(RAGGED[1])
@example(Problem((2, 2, 1, 1), [0, 0], True, seed=0))
@example(Problem((1, 1, 1, 1), [1], False, seed=0))
def test_products_of_the_hessian_with_a_vector_equal_torch(problem):
    found = tg.hvp(problem.ours, problem.numbers, problem.directions)
    numbers, v = problem.in_torch(), [torch.tensor(problem.directions[key]) for key in KEYS]
    first = torch.autograd.grad(problem.theirs(*numbers), numbers, create_graph=True, materialize_grads=True)
    along = sum((g * d).sum() for g, d in zip(first, v, strict=True))
    second = torch.autograd.grad(along, numbers, materialize_grads=True)
    for key, expected in zip(KEYS, second, strict=True):
        close(found[key], expected)


@given(problems(largest=(3, 3, 1, 1)))
@example(TINY[0])
@example(TINY[1])
def test_every_block_of_the_hessian_equals_torch(problem):
    found = tg.hessian(problem.ours, problem.numbers)
    expected = torch.autograd.functional.hessian(problem.theirs, tuple(problem.in_torch()))
    for key, row in zip(KEYS, expected, strict=True):
        for other, block in zip(KEYS, row, strict=True):
            close(found[key][other], block)


@given(problems(largest=(5, 3, 2, 3)))
@example(RAGGED[0])
@example(RAGGED[1])
def test_second_derivatives_by_tg_grad_twice_equal_torch(problem):
    """The same through the parameters' own graph: what a training loop with a gradient penalty does."""
    ours = {key: tg.Tensor(problem.numbers[key], requires_grad=True) for key in KEYS}
    first = tg.grad(problem.ours(ours), list(ours.values()), create_graph=True)
    found = tg.grad(sum((g * g).sum() for g in first), list(ours.values()), allow_unused=True)
    numbers = problem.in_torch()
    theirs = torch.autograd.grad(problem.theirs(*numbers), numbers, create_graph=True, materialize_grads=True)
    expected = torch.autograd.grad(sum((g * g).sum() for g in theirs), numbers, materialize_grads=True)
    for a, b in zip(first, theirs, strict=True):
        close(a, b)
    for a, b in zip(found, expected, strict=True):
        close(tg.Tensor(np.zeros(b.shape)) if a is None else a, b)
