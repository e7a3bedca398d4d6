"""tg.defvjp with joint= and definition=: all gradients at once, and what is walked for higher derivatives."""

import numpy as np
import pytest
from leaves import leaf

import tinygrad_rnn as tg
from tinygrad_rnn.graph import newest_first


def differences(f, x, step=1e-6):
    result = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        high, low = x.copy(), x.copy()
        high[index] += step
        low[index] -= step
        result[index] = (f(high) - f(low)) / (2 * step)
    return result


@pytest.fixture
def cubed_sine():
    """sin(x)^3 w by a joint rule that reuses the forward's work, and by its definition."""
    calls = []

    @tg.primitive
    def cubed_sine(x, w):
        s = np.sin(x)
        return tg.Saved(s**3 * w, {"sine": s})

    def joint(needed, g, y, saved, x, w):
        calls.append(needed)
        s = saved["sine"]
        return [g * 3 * s * s * np.cos(x) * w if needed[0] else None, g * s**3 if needed[1] else None]

    tg.defvjp(cubed_sine, joint=joint, definition=lambda x, w: np.sin(x) ** 3 * w)
    cubed_sine.calls = calls
    return cubed_sine


def test_joint_rule_with_what_it_saved(cubed_sine):
    x, w = leaf([0.3, 1.2]), leaf([2.0, -1.0])
    y = cubed_sine(x, w)
    assert type(y) is tg.Tensor
    y.sum().backward()
    for t, f in [(x, lambda v: (np.sin(v) ** 3 * w.numpy()).sum()), (w, lambda v: (np.sin(x.numpy()) ** 3 * v).sum())]:
        np.testing.assert_allclose(t.grad.numpy(), differences(f, t.numpy()), rtol=1e-8)
    tg.grad(cubed_sine(x, w.numpy()).sum(), x)
    tg.grad(cubed_sine(x, w).sum(), w)
    assert cubed_sine.calls == [(True, True), (True, False), (False, True)]


def test_a_primitive_called_on_arrays_gives_an_array(cubed_sine):
    y = cubed_sine(np.array([0.3]), np.array([2.0]))
    assert type(y) is np.ndarray
    constant = cubed_sine(tg.Tensor(np.array([0.3])), 2.0)
    assert (type(constant), constant.requires_grad) == (tg.Tensor, False)
    with tg.no_grad():
        assert cubed_sine(leaf([0.3]), leaf([2.0])).tolist() == y.tolist()


def test_the_definition_is_walked_under_create_graph(cubed_sine):
    x, w = leaf([0.3, 1.2]), leaf([2.0, -1.0])
    values = x.numpy()

    def slope(v):
        return (3 * np.sin(v) ** 2 * np.cos(v) * w.numpy()).sum()

    (g,) = tg.grad(cubed_sine(x, w).sum(), x, create_graph=True)
    assert cubed_sine.calls == []
    np.testing.assert_allclose(g.numpy(), 3 * np.sin(values) ** 2 * np.cos(values) * w.numpy(), rtol=1e-12)
    second, cross = tg.grad(g.sum(), [x, w], create_graph=True)
    np.testing.assert_allclose(second.numpy(), differences(slope, values), rtol=1e-6)
    np.testing.assert_allclose(cross.numpy(), 3 * np.sin(values) ** 2 * np.cos(values), rtol=1e-12)
    (third,) = tg.grad(second.sum(), x)
    plain = (np.sin(x) ** 3 * w).sum()
    for _ in range(3):
        (plain,) = tg.grad(plain.sum(), x, create_graph=True)
    np.testing.assert_allclose(third.numpy(), plain.numpy(), rtol=1e-10)


def test_a_definition_alone_is_enough():
    @tg.primitive
    def gaussian(x, width):
        return np.exp(-((x / width) ** 2))

    tg.defvjp(gaussian, definition=lambda x, width: np.exp(-((x / width) ** 2)))
    x, width = leaf([0.5, -1.0]), leaf(2.0)
    first = tg.grad(gaussian(x, width).sum(), [x, width])
    truth = tg.grad(np.exp(-((x / width) ** 2)).sum(), [x, width])
    for a, b in zip(first, truth, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-14)
    assert tg.grad(gaussian(x, 2.0).sum(), x)[0].shape == (2,)


def test_a_definition_that_does_not_use_an_argument_gives_it_zero():
    @tg.primitive
    def first(a, b):
        return a.copy()

    tg.defvjp(first, definition=lambda a, b: a * 1)
    a, b = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    ga, gb = tg.grad(first(a, b).sum(), [a, b], create_graph=True)
    assert (ga.tolist(), gb.tolist()) == ([1.0, 1.0], [0.0, 0.0])


def test_walking_definitions_stays_linear_in_the_depth_of_the_graph(monkeypatch):
    """Each definition is walked by itself: not with everything below it once more, which would be quadratic."""
    visited = []

    def counting(roots, oldest=0, since=0):
        nodes = newest_first(roots, oldest, since)
        visited.append(len(nodes))
        return nodes

    monkeypatch.setattr("tinygrad_rnn.walk.newest_first", counting)

    @tg.primitive
    def squash(x):
        return np.tanh(x)

    tg.defvjp(squash, definition=lambda x: np.tanh(x) * 1.0)
    counts = []
    for depth in (50, 100):
        x = leaf([0.3])
        h = x
        for _ in range(depth):
            h = squash(h)
        (g,) = tg.grad(h, x, np.ones(1), create_graph=True)
        counts.append(sum(visited))
        visited.clear()
        np.testing.assert_allclose(tg.grad(g.sum(), x)[0].numpy(), second_derivative(depth), rtol=1e-9)
        visited.clear()
    assert counts[1] <= 2.1 * counts[0]


def second_derivative(depth):
    """Of tanh applied ``depth`` times, at 0.3, by the chain rule: (f' g')' = f'' g'^2 + f' g''."""
    value, first, second = 0.3, 1.0, 0.0
    for _ in range(depth):
        y = np.tanh(value)
        slope, bend = 1 - y * y, -2 * y * (1 - y * y)
        value, first, second = y, slope * first, bend * first * first + slope * second
    return second


def test_an_argument_that_a_definition_does_not_use_is_no_anomaly():
    @tg.primitive
    def first(a, b):
        return a.copy()

    tg.defvjp(first, joint=lambda needed, g, y, saved, a, b: [g, 0 * g], definition=lambda a, b: a * 1)
    a, b = leaf([1.0]), leaf([2.0])
    with tg.detect_anomaly():
        ga, gb = tg.grad(first(a, b), [a, b], np.ones(1), create_graph=True)
    assert (ga.item(), gb.item()) == (1.0, 0.0)


def test_a_joint_rule_without_a_definition_says_so_under_create_graph():
    @tg.primitive
    def fused(x):
        return x * x

    tg.defvjp(fused, joint=lambda needed, g, y, saved, x: [2 * g * x])
    x = leaf([1.0])
    y = fused(x)
    with tg.scope("layer"), pytest.raises(RuntimeError, match=r"fused.*first derivatives only.*definition="):
        tg.grad(y.sum(), x, create_graph=True)


def test_several_results_of_a_joint_rule_with_definition():
    def define(x, h):
        new = np.tanh(x + h)
        return new, new * 2

    @tg.primitive
    def cell(x, h):
        new = np.tanh(x + h)
        return tg.Saved((new, new * 2), new)

    def joint(needed, g, y, saved, x, h):
        d = (g[0] + 2 * g[1]) * (1 - saved * saved)
        return [d, d]

    tg.defvjp(cell, joint=joint, definition=define)
    x, h = leaf([0.3, 1.0]), leaf([0.1, -0.4])
    for function in (cell, define):
        a, b = function(x, h)
        (first,) = tg.grad((a * b).sum() + b.sum(), x, retain_graph=True)
        (g,) = tg.grad((a * b).sum() + b.sum(), x, create_graph=True)
        (second,) = tg.grad((g * g).sum(), h)
        if function is cell:
            expected = first.numpy(), second.numpy()
    np.testing.assert_allclose(first.numpy(), expected[0], rtol=1e-12)
    np.testing.assert_allclose(second.numpy(), expected[1], rtol=1e-12)


def test_a_definition_that_uses_more_than_its_arguments_is_an_error(table):
    w = leaf([2.0, -1.0])

    @tg.primitive
    def scaled(x):
        return x * w.data

    tg.defvjp(scaled, definition=lambda x: x * w)
    with pytest.raises(RuntimeError, match=r"scaled: .* is none of its arguments; its gradient would be lost"):
        scaled(leaf([0.3, 1.2])).sum().backward()


def test_joint_rules_take_tensors_by_keyword_too(cubed_sine, table):
    x, w = leaf([0.3, 1.2]), leaf([2.0, -1.0])
    truth = tg.grad(cubed_sine(x, w).sum(), [x, w])
    for y in (cubed_sine(x, w=w), cubed_sine(x=x, w=w), cubed_sine(w=w, x=x)):
        for a, b in zip(tg.grad(y.sum(), [x, w]), truth, strict=True):
            assert np.array_equal(a.numpy(), b.numpy())
    tg.defvjp(np.linalg.inv, joint=lambda needed, g, y, saved, a: [-y.T @ g @ y.T])
    assert np.linalg.inv(leaf(np.eye(2))).requires_grad
    with pytest.raises(TypeError, match="inv: cannot take a tensor as keyword 'a'; pass it by position"):
        np.linalg.inv(a=leaf(np.eye(2)))
