"""Programs drawn at random, run here and in torch: first and second derivatives at every node, by every way to walk."""

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from leaves import leaf
from peer import torch

import tinygrad_rnn as tg
from tinygrad_rnn.tensor import lift
from tinygrad_rnn.walk import walk

# Each operation of three (4, 4) matrices, as NumPy spells it and as torch does.
OPERATIONS = [
    (lambda a, b, c: a + b, lambda a, b, c: a + b),
    (lambda a, b, c: a * b * 0.5, lambda a, b, c: a * b * 0.5),
    (lambda a, b, c: np.tanh(a @ b), lambda a, b, c: torch.tanh(a @ b)),
    (lambda a, b, c: a - b.T, lambda a, b, c: a - b.T),
    (lambda a, b, c: np.concatenate([a[:2], b[2:]]), lambda a, b, c: torch.cat([a[:2], b[2:]])),
    (
        lambda a, b, c: np.concatenate([np.split(a, 2, axis=1)[0], np.split(b, 2, axis=1)[1]], axis=1),
        lambda a, b, c: torch.cat([torch.split(a, 2, 1)[0], torch.split(b, 2, 1)[1]], 1),
    ),
    (lambda a, b, c: a[[0, 0, 2, 1]], lambda a, b, c: a[[0, 0, 2, 1]]),
    (lambda a, b, c: np.stack([a, b, c]).mean(axis=0), lambda a, b, c: torch.stack([a, b, c]).mean(0)),
    (lambda a, b, c: a[0] + b, lambda a, b, c: a[0] + b),
    (lambda a, b, c: a.sum() * 0.1 + b[1, 2] * c, lambda a, b, c: a.sum() * 0.1 + b[1, 2] * c),
    (lambda a, b, c: np.exp(-a * a * 0.1), lambda a, b, c: torch.exp(-a * a * 0.1)),
    (lambda a, b, c: np.where(b > 0, a, c), lambda a, b, c: torch.where(b > 0, a, c)),
    (lambda a, b, c: a / (2.0 + b * b), lambda a, b, c: a / (2.0 + b * b)),
    (lambda a, b, c: a[1:2] * b[:, 1:2], lambda a, b, c: a[1:2] * b[:, 1:2]),
    (
        lambda a, b, c: np.tanh(a.sum(axis=0, keepdims=True)) + b[:, :1] * c,
        lambda a, b, c: torch.tanh(a.sum(0, keepdim=True)) + b[:, :1] * c,
    ),
]
steps = st.tuples(st.integers(0, len(OPERATIONS) - 1), *[st.integers(0, 99)] * 3)


def run(program, leaves, library):
    made = list(leaves)
    for operation, *places in program:
        made.append(OPERATIONS[operation][library](*(made[place % len(made)] for place in places)))
    return made, (made[-1] * made[-1]).sum() + made[len(made) // 2].sum()


def close(ours, theirs):
    """Equal gradients; None is zero."""
    for a, b in zip(ours, theirs, strict=True):
        expected = np.zeros((4, 4)) if b is None else b.detach().numpy()
        found = np.zeros((4, 4)) if a is None else a.numpy() if isinstance(a, tg.Tensor) else a
        np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-9)


@settings(max_examples=60)
@given(st.lists(steps, min_size=1, max_size=12), st.integers(0, 9))
@example([(0, 0, 0, 0), (0, 3, 0, 0), (9, 4, 4, 4)], 0)
def test_derivatives_equal_torch_by_every_walk(program, seed):
    data = np.random.default_rng(seed).normal(size=(3, 4, 4))
    leaves, theirs = [leaf(values) for values in data], [torch.tensor(values, requires_grad=True) for values in data]
    made, loss = run(program, leaves, 0)
    others, other_loss = run(program, theirs, 1)
    np.testing.assert_allclose(loss.item(), other_loss.item(), rtol=1e-9)
    expected = torch.autograd.grad(other_loss, others, create_graph=True, allow_unused=True)

    first = tg.grad(loss, made, retain_graph=True, allow_unused=True)
    close(first, expected)
    close(tg.grad(loss, made[2], retain_graph=True, allow_unused=True), [expected[2]])
    arrays = [g.numpy() for g in first if g is not None]
    assert not any(np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i])

    seen = dict.fromkeys(made, 0.0)
    of = {t.node: t for t in made}

    def observe(node, i, g):
        if node.parents[i] in of:
            seen[of[node.parents[i]]] += np.array(g)

    walk([(loss.node, np.ones(()))], lift, retain_graph=True, observe=observe)
    for t, g in zip(made, first, strict=True):
        np.testing.assert_allclose(seen[t] + np.zeros((4, 4)), 0.0 if g is None else g.numpy(), rtol=1e-9, atol=1e-12)

    again = tg.grad(loss, made, create_graph=True, allow_unused=True)
    close(again, expected)
    penalty = sum(((g * g).sum() for g in again[:3] if g is not None), start=tg.Tensor(0.0))
    other_penalty = sum((g * g).sum() for g in expected[:3] if g is not None)
    if penalty.requires_grad:
        second = torch.autograd.grad(other_penalty, theirs, allow_unused=True)
        close(tg.grad(penalty, leaves, retain_graph=True, allow_unused=True), second)

    for t in made[3::2]:
        t.retain_grad()
        t.register_hook(lambda g: None)
    loss.backward()
    close([t.grad for t in leaves], expected[:3])
    close([t.grad for t in made[3::2]], expected[3::2])
