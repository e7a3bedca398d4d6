"""Whose memory a gradient is, and what tg.grad visits."""

import numpy as np
import pytest
from leaves import leaf, noting

import tinygrad_rnn as tg


@pytest.fixture
def spy():
    return noting()


# ------------------------------------------------------------------------------------- nobody else's memory


def test_gradients_do_not_share_memory():
    a, b, g = leaf([1.0, 2.0]), leaf([1.0, 2.0]), np.array([1.0, 1.0])
    (a + b).backward(g)
    shared = [np.shares_memory(u, v) for u, v in [(a.grad.data, b.grad.data), (a.grad.data, g), (b.grad.data, g)]]
    assert shared == [False] * 3
    a.grad.data *= 100.0
    assert (b.grad.tolist(), g.tolist()) == ([1.0, 1.0], [1.0, 1.0])


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize(
    "function",
    [
        lambda a, b: a + b,
        lambda a, b: a - b,
        lambda a, b: (a + b) + (a + b),
        lambda a, b: a.reshape(2, 1) + b.reshape(2, 1),
        lambda a, b: np.concatenate([a, b]),
        lambda a, b: np.stack([a, b]),
        lambda a, b: a.T + b[::-1],
        lambda a, b: np.broadcast_to(a, (3, 2)) + b,
        lambda a, b: np.expand_dims(a, 0) + np.flip(b),
        lambda a, b: np.split(a, 2)[0] + b,
    ],
)
def test_clipping_one_gradient_in_place_changes_no_other(function, create_graph):
    def run(seed):
        a, b = leaf([1.0, 2.0], name="a"), leaf([3.0, 4.0], name="b")
        y = function(a, b)
        y.backward(seed(y), create_graph=create_graph)
        return a, b

    a, b = run(lambda y: np.ones(y.shape))
    truth = a.grad.numpy().copy(), b.grad.numpy().copy()
    for first, second, expected in [(0, 1, truth[1]), (1, 0, truth[0])]:
        kept = []
        pair = run(lambda y, kept=kept: kept.append(np.ones(y.shape)) or kept[0])
        pair[first].grad.data[...] *= 1e9
        assert np.array_equal(pair[second].grad.numpy(), expected)
        assert np.array_equal(kept[0], np.ones(kept[0].shape))


def test_gradients_of_grad_do_not_share_memory():
    a, b, g = leaf([1.0, 2.0]), leaf([1.0, 2.0]), np.ones(2)
    y = a + b
    results = [r.numpy() for r in tg.grad(y, [a, b, y, a], g)]
    for i, r in enumerate(results):
        assert not np.shares_memory(r, g)
        assert not any(np.shares_memory(r, other) for other in results[i + 1 : 3])


def test_retained_gradients_do_not_share_memory_with_those_of_leaves():
    a, b = leaf([1.0, 2.0]), leaf([1.0, 2.0])
    y = a + b
    z = y + 0
    y.retain_grad()
    z.retain_grad()
    z.backward(np.ones(2))
    grads = [t.grad for t in (a, b, y, z)]
    for t in grads:
        t.data *= 2.0
    assert [t.tolist() for t in grads] == [[2.0, 2.0]] * 4


def test_accumulated_gradients_do_not_share_memory():
    """Several contributions are summed in a buffer of the walk's own: no one may see it but its tensor."""
    a, b = leaf([1.0, 2.0]), leaf([1.0, 2.0])
    y = a * 2
    y.retain_grad()
    (y + y + b).backward(np.ones(2))
    for t in (a, b, y):
        t.grad.data[:] += 100.0
    assert (a.grad.tolist(), b.grad.tolist(), y.grad.tolist()) == ([104.0] * 2, [101.0] * 2, [102.0] * 2)


# --------------------------------------------------------------------------------------------- what is visited


def test_branches_that_need_no_gradient_are_not_walked(spy):
    x, constant = leaf([1.0]), tg.Tensor(np.ones(1))
    y = spy(x, "x") * spy(constant, "constant") + spy(tg.Tensor(np.ones(1)), "other")
    y.backward(np.ones(1))
    assert spy.visited == ["x"]


def test_grad_walks_only_towards_its_inputs(spy):
    a, b = leaf([1.0]), leaf([1.0])
    middle = spy(spy(a, "below"), "above")
    y = spy(middle, "left") * spy(b, "right")
    (g,) = tg.grad(y, middle, np.ones(1), retain_graph=True)
    assert spy.visited == ["left"]
    assert g.tolist() == [1.0]
    spy.visited.clear()
    tg.grad(y, b, np.ones(1), retain_graph=True)
    assert spy.visited == ["right"]
    spy.visited.clear()
    tg.grad(y, [b, a], np.ones(1))
    assert spy.visited == ["right", "left", "above", "below"]
    assert (a.grad, b.grad) == (None, None)


def test_the_rule_of_an_argument_that_needs_nothing_is_not_called():
    called = []

    @tg.primitive
    def product(a, b):
        return a * b

    tg.defvjp(
        product, lambda g, _y, _a, b: called.append("a") or g * b, lambda g, _y, a, _b: called.append("b") or g * a
    )
    x, xs = leaf([2.0]), np.ones(1)
    product(x, xs).backward(np.ones(1))
    product(tg.Tensor(xs), x).backward(np.ones(1))
    assert called == ["a", "b"]


def test_grad_of_several_outputs_and_interior_inputs():
    x = leaf([1.0, 2.0])
    h = x * x
    y, z = h * 3, np.tanh(h)
    gx, gh = tg.grad([y, z], [x, h], [np.ones(2), np.array([1.0, 10.0])])
    dh = 3 + np.array([1.0, 10.0]) * (1 - np.tanh(h.numpy()) ** 2)
    np.testing.assert_allclose(gh.numpy(), dh)
    np.testing.assert_allclose(gx.numpy(), dh * 2 * x.numpy())
    assert (x.grad, h.grad) == (None, None)


def test_grad_with_an_output_that_is_an_input_of_another():
    x = leaf(2.0)
    y = x * x
    z = y * y
    gx, gy, gz = tg.grad([z, y], [x, y, z])
    assert (gx.item(), gy.item(), gz.item()) == (4 * 8.0 + 4.0, 2 * 4.0 + 1.0, 1.0)
    (again,) = tg.grad([x, x], x)
    assert again.item() == 2.0


def test_grad_of_the_same_input_twice():
    x = leaf(3.0)
    one, two = tg.grad(x * x, [x, x])
    assert (one.item(), two.item()) == (6.0, 6.0)


@pytest.mark.parametrize("wrap", [lambda g: g, lambda g: [g], lambda g: (g,)])
@pytest.mark.parametrize("kind", [tg.Tensor, np.array])
def test_grad_outputs_of_one_output_may_stand_in_a_sequence_as_in_torch(wrap, kind):
    x = leaf([1.0, 2.0])
    for outputs in (x * 2, [x * 2]):
        (g,) = tg.grad(outputs, x, wrap(kind([1.0, 10.0])))
        assert g.tolist() == [2.0, 20.0]


def test_unused_inputs():
    x, unused = leaf(2.0), leaf(1.0)
    y = x * x
    with pytest.raises(RuntimeError, match=r"do not depend on inputs\[1\] \(shape \(\)\).*allow_unused=True"):
        tg.grad(y, [x, unused], retain_graph=True)
    gx, gu = tg.grad(y, [x, unused], allow_unused=True)
    assert (gx.item(), gu) == (4.0, None)


def test_leaves_that_backward_does_not_reach_keep_no_gradient():
    x, unused = leaf(2.0), leaf(1.0)
    (x * x).backward()
    assert unused.grad is None
