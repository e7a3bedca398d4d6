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
    np.testing.assert_array_equal(curvature.numpy(), np.zeros(4))


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


def second(ours, *arrays):
    """All second derivatives of a sum, added up over the directions, for each argument."""
    tensors = [tg.Tensor(np.array(a, float), requires_grad=True) for a in arrays]
    first = tg.grad(ours(*tensors).sum(), tensors, create_graph=True)
    found = tg.grad(sum(g.sum() for g in first), tensors, allow_unused=True)
    return [np.zeros(t.shape) if g is None else g.numpy() for t, g in zip(tensors, found, strict=True)]


@pytest.mark.parametrize("name", ["fmax", "fmin"])
def test_fmax_and_fmin_give_all_to_the_first_of_equals_and_none_to_nan(name):
    a, b = [1.0, 1.0, np.nan, 2.0, np.nan, np.inf, -0.0], [1.0, 2.0, 2.0, np.nan, np.nan, np.inf, 0.0]
    ga, gb = agree(getattr(np, name), getattr(torch, name), a, b)
    np.testing.assert_array_equal(ga + gb, np.arange(1.0, 8.0))
    np.testing.assert_array_equal(ga[[0, 2, 3, 4, 5, 6]], [1, 0, 4, 5, 6, 7])


def test_hypot_has_no_slope_at_the_origin():
    ga, gb = agree(np.hypot, torch.hypot, [0.0, 3.0, -0.0], [2.0, 0.0, -1.0])
    np.testing.assert_array_equal(ga, [0, 2, 0])
    np.testing.assert_array_equal(gb, [1, 0, -3])
    origin = tg.Tensor(np.zeros(2), requires_grad=True)
    (g,) = tg.grad(np.hypot(origin, [0.0, 1.0]).sum(), origin)
    np.testing.assert_array_equal(g.numpy(), [0, 0])  # torch gives NaN; its norm of the vector (0, 0) gives 0
    for h in second(np.hypot, [0.0], [0.0]):
        np.testing.assert_array_equal(h, [0.0])


def test_arctan2_has_no_slope_at_the_origin_and_its_own_on_both_sides_of_the_cut():
    a, b = [0.0, -0.0, 0.0, -0.0, 0.0, 1.0], [0.0, 0.0, -1.0, -1.0, 1.0, 0.0]
    ga, gb = agree(np.arctan2, torch.arctan2, a, b)
    np.testing.assert_array_equal(ga, [0, 0, -3, -4, 5, 0])
    np.testing.assert_array_equal(gb, [0, 0, 0, 0, 0, -6])
    for h in second(np.arctan2, [0.0], [0.0]):
        np.testing.assert_array_equal(h, [0.0])  # torch gives NaN


def test_cbrt_is_vertical_at_0():
    x = tg.Tensor(np.array([0.0, -0.0, -8.0]), requires_grad=True)
    with np.errstate(divide="ignore"):
        (g,) = tg.grad(np.cbrt(x).sum(), x)
    np.testing.assert_allclose(g.numpy(), [np.inf, np.inf, 1 / 12])


@pytest.mark.parametrize("name", ["logaddexp", "logaddexp2"])
def test_logarithms_of_sums_of_infinities(name):
    a, b = [np.inf, -np.inf, np.inf, -np.inf, 800.0, -800.0], [1.0, 1.0, -np.inf, np.inf, 0.0, 0.0]
    ga, gb = agree(getattr(np, name), getattr(torch, name), a, b)
    np.testing.assert_allclose(ga / np.arange(1, 7), [1, 0, 1, 0, 1, 0], atol=1e-200)
    np.testing.assert_allclose(gb / np.arange(1, 7), [0, 1, 0, 1, 0, 1], atol=1e-200)
    for h in second(getattr(np, name), a, b):
        np.testing.assert_allclose(h, np.zeros(6), atol=1e-200)  # torch gives NaN, infinity / infinity
    with np.errstate(invalid="ignore"):
        ga, gb = agree(getattr(np, name), getattr(torch, name), [np.inf, -np.inf], [np.inf, -np.inf])
    assert np.isnan([ga, gb]).all()


QUOTIENTS = [(5, 3), (-5, 3), (5, -3), (-5, -3), (6, 3), (-6, 3), (0, 3), (-0.0, 3), (0, -3), (2, 5), (-2, 5)]


@pytest.mark.parametrize("name", ["remainder", "fmod"])
def test_remainders_of_either_sign(name):
    a, b = np.array([*QUOTIENTS, (5, np.inf), (-5, np.inf), (5, -np.inf), (1e300, 1e-5)], float).T
    with np.errstate(all="ignore"):
        agree(getattr(np, name), getattr(torch, name), a, b)


@pytest.mark.parametrize(("a", "b", "floor", "whole"), [(5.0, 0.1, 49, 49), (-5.0, 0.1, -50, -49)])
def test_remainders_that_are_almost_the_divisor(a, b, floor, whole):
    for function, quotient in ((np.remainder, floor), (np.fmod, whole)):
        divisor = tg.Tensor(np.array(b), requires_grad=True)
        (g,) = tg.grad(function(a, divisor), divisor)
        assert g.item() == -quotient  # torch.fmod: 50, the quotient rounded, as if nothing remained
        np.testing.assert_allclose(quotient * b + function(a, b), a, rtol=1e-15)


def test_floor_divide_is_a_step():
    for g in agree(np.floor_divide, lambda a, b: torch.div(a, b, rounding_mode="floor"), *np.array(QUOTIENTS, float).T):
        np.testing.assert_array_equal(g, np.zeros(len(QUOTIENTS)))


@pytest.mark.parametrize("name", ["floor", "ceil", "trunc", "fix", "rint", "round", "around", "sign"])
def test_steps_have_the_derivative_0_also_where_they_jump(name):
    theirs = getattr(torch, {"rint": "round", "around": "round"}.get(name, name))
    x = [-2.0, -1.5, -0.5, -0.0, 0.0, 0.5, 1.5, 2.5, 3.0]
    (g,) = agree(getattr(np, name), theirs, x)
    np.testing.assert_array_equal(g, np.zeros(9))
    t = tg.Tensor(np.array(x), requires_grad=True)
    assert getattr(np, name)(t).requires_grad
