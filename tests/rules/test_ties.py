"""Where a function has a kink, its gradient is a choice: it is PyTorch's, as the rules' docstrings say."""

import numpy as np
import pytest
from peer import torch

import tinygrad_rnn as tg


def both(ours, theirs, *arrays):
    """Our gradients and torch's, of all the arguments, for cotangents 1, 2, 3, ..."""
    tensors = [tg.Tensor(np.array(a, float), requires_grad=True) for a in arrays]
    y = ours(*tensors)
    found = tg.grad(y, tensors, np.arange(1.0, y.size + 1).reshape(y.shape))
    t = [torch.tensor(np.array(a, float), requires_grad=True) for a in arrays]
    z = theirs(*t)
    np.testing.assert_array_equal(y.numpy(), z.detach().numpy())
    expected = torch.autograd.grad(z, t, torch.arange(1.0, y.size + 1, dtype=torch.float64).reshape(z.shape))
    return [g.numpy() for g in found], [g.numpy() for g in expected]


def agree(ours, theirs, *arrays):
    found, expected = both(ours, theirs, *arrays)
    for f, e in zip(found, expected, strict=True):
        np.testing.assert_allclose(f, e, rtol=1e-15)
    return found


def test_equal_extremes_share_the_gradient():
    x = [[3.0, 1.0, 3.0, 3.0], [2.0, 2.0, -1.0, 0.0]]
    (g,) = agree(lambda t: t.max(axis=1), lambda t: torch.amax(t, 1), x)
    np.testing.assert_array_equal(g, [[1 / 3, 0, 1 / 3, 1 / 3], [1, 1, 0, 0]])
    agree(lambda t: -np.min(-t, axis=1), lambda t: -torch.amin(-t, 1), x)
    agree(np.max, torch.amax, x)
    agree(lambda t: np.amax(t, axis=(0, 1), keepdims=True), lambda t: torch.amax(t, (0, 1), keepdim=True), x)
    (g,) = agree(lambda t: np.max(t, axis=0), lambda t: torch.amax(t, 0), np.zeros((2, 3)))
    np.testing.assert_array_equal(g, [[0.5, 1, 1.5]] * 2)
    agree(np.max, torch.amax, [-np.inf, -np.inf])
    agree(np.max, torch.amax, [np.inf, 1, np.inf])


def test_maximum_and_minimum_of_equal_arguments_give_half_to_each():
    a, b = [1.0, 2.0, 3.0, np.inf], [1.0, 5.0, 0.0, np.inf]
    ga, gb = agree(np.maximum, torch.maximum, a, b)
    np.testing.assert_array_equal(ga, [0.5, 0, 3, 2])
    np.testing.assert_array_equal(gb, [0.5, 2, 0, 2])
    ga, gb = agree(np.minimum, torch.minimum, a, b)
    np.testing.assert_array_equal(ga, [0.5, 2, 0, 2])
    np.testing.assert_array_equal(gb, [0.5, 0, 3, 2])
    (g,) = agree(lambda t: np.maximum(t, t), lambda t: torch.maximum(t, t), a)
    np.testing.assert_array_equal(g, [1, 2, 3, 4])
    (g,) = agree(lambda t: np.maximum(t, 0), lambda t: torch.maximum(t, torch.zeros(())), [0.0, -1.0, 1.0])
    np.testing.assert_array_equal(g, [0.5, 0, 3])
    agree(np.maximum, torch.maximum, [0.0, -0.0], [-0.0, 0.0])


def test_clip_lets_the_gradient_pass_at_its_bounds():
    x = [-2.0, -1.0, 0.0, 1.0, 2.0]
    (g,) = agree(lambda t: np.clip(t, -1, 1), lambda t: torch.clamp(t, -1, 1), x)
    np.testing.assert_array_equal(g, [0, 2, 3, 4, 0])
    low, high = np.full(5, -1.0), np.full(5, 1.0)
    gx, gl, gh = agree(np.clip, torch.clamp, x, low, high)
    np.testing.assert_array_equal(gx, [0, 2, 3, 4, 0])
    np.testing.assert_array_equal(gl, [1, 0, 0, 0, 0])
    np.testing.assert_array_equal(gh, [0, 0, 0, 0, 5])


@pytest.mark.parametrize("x", [-2.0, -1.0, 0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize(("low", "high"), [(1.0, -1.0), (0.5, 0.5), (1.0, 0.0), (0.0, 0.0)])
def test_clip_between_bounds_that_meet_or_cross(x, low, high):
    agree(np.clip, torch.clamp, x, low, high)


def test_absolute_has_no_slope_at_0():
    (g,) = agree(np.absolute, torch.abs, [0.0, -0.0, -2.0, 3.0])
    np.testing.assert_array_equal(g, [0, 0, -3, 4])
    (g,) = agree(np.sign, torch.sign, [0.0, -2.0, 3.0])
    np.testing.assert_array_equal(g, [0, 0, 0])


def test_std_of_equal_entries_has_no_gradient():
    (g,) = agree(
        lambda t: np.std(t, axis=1), lambda t: torch.std(t, 1, correction=0), [[2.0, 2.0, 2.0], [1.0, 2.0, 3.0]]
    )
    np.testing.assert_array_equal(g[0], [0, 0, 0])
    x = tg.Tensor(np.ones(4), requires_grad=True)
    (slope,) = tg.grad(np.std(x), x, create_graph=True)
    (curvature,) = tg.grad(slope.sum(), x)
    np.testing.assert_array_equal(curvature.numpy(), np.zeros(4))  # torch gives NaN


def test_where_passes_no_gradient_to_what_it_did_not_pick():
    ga, gb = agree(
        lambda a, b: np.where([[True], [False]], a, b),
        lambda a, b: torch.where(torch.tensor([[True], [False]]), a, b),
        [1.0, 2.0],
        [3.0, 4.0],
    )
    np.testing.assert_array_equal(ga, [1, 2])
    np.testing.assert_array_equal(gb, [3, 4])
    x = tg.Tensor(np.array([1.0, np.nan]), requires_grad=True)
    (g,) = tg.grad(np.where([True, False], x, 0.0).sum(), x)
    np.testing.assert_array_equal(g.numpy(), [1, 0])
    m = tg.Tensor(np.array([1.0, 0.0]), requires_grad=True)  # as a condition, a float has no gradient
    assert not np.where(m, 2.0, 3.0).requires_grad
