"""Graphs are freed the moment they are dropped, saved arrays as the walk passes, and depth costs no recursion."""

import gc
import sys
import weakref

import numpy as np
import pytest
from leaves import leaf

import tinygrad_rnn as tg


@pytest.fixture
def no_collector():
    """Nothing but reference counts may free a graph."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def lstm_like_loss(w, steps=10):
    h, c = tg.Tensor(np.zeros((4, 5))), tg.Tensor(np.zeros((4, 5)))
    xs = tg.Tensor(np.random.default_rng(0).normal(size=(steps, 4, 5)))
    with tg.scope("lstm"):
        for t in range(steps):
            with tg.scope(step=t):
                gates = np.concatenate([xs[t], h], axis=1) @ w
                i, f, g, o = np.split(gates, 4, axis=1)
                c = np.tanh(f) * c + np.exp(-(i * i)) * np.tanh(g)
                h = np.where(o > 0, o, 0.1 * o) * np.tanh(c)
    return (h * h).mean() + np.stack([h, c]).sum() * 0.1


@pytest.mark.parametrize("walk", ["none", "backward", "retained", "create_graph", "penalty"])
def test_dropping_a_graph_leaves_nothing_for_the_collector(walk, no_collector):
    w = leaf(np.random.default_rng(1).normal(size=(10, 20)) * 0.3)
    hooked = []
    loss = lstm_like_loss(w)
    result = weakref.ref(loss.data)
    loss.register_hook(lambda g: hooked.append(g.item()))
    if walk == "backward":
        loss.backward()
    elif walk == "retained":
        loss.backward(retain_graph=True)
    elif walk == "create_graph":
        loss.backward(create_graph=True)
        w.grad = None
    elif walk == "penalty":
        (g,) = tg.grad(loss, w, create_graph=True)
        (g * g).sum().backward()
        del g
    del loss
    assert result() is None
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        ours = [o for o in gc.garbage if type(o).__module__.startswith(("tinygrad_rnn", "numpy"))]
        assert ours == []
    finally:
        gc.set_debug(0)
        gc.garbage.clear()


def test_errors_leave_no_graph_behind(no_collector):
    x = leaf(np.ones(1000))
    y = np.exp(x)
    ref = weakref.ref(y.data)
    with pytest.raises(ValueError, match="shape"):
        (y * 2).backward(np.ones(3))
    with pytest.raises(TypeError, match="no derivative rule"):
        np.sinc(y)
    with pytest.raises(RuntimeError, match="pass one"):
        y.backward()
    del y
    assert ref() is None


def test_saved_arrays_are_freed_as_the_walk_passes(no_collector):
    """When the walk reaches the early steps, the late ones' results are gone already."""
    x = leaf(np.full(100, 0.1))
    h, saved, alive = x, [], []
    for _ in range(10):
        h = np.exp(h) * 0.1
        saved.append(weakref.ref(h.node.parents[0].y))
    first = x * 1.0
    (h * first).sum().backward()
    assert [ref() for ref in saved] == [None] * 10
    h, saved = x, []
    for t in range(10):
        h = np.exp(h) * 0.1
        saved.append(weakref.ref(h.node.parents[0].y))
        h.register_hook(lambda g, t=t: alive.append((t, sum(ref() is not None for ref in saved))))
    h.sum().backward()
    assert [t for t, _ in alive] == list(reversed(range(10)))
    assert all(t + 1 <= count <= t + 2 for t, count in alive), "only the node just visited may still be held"


def test_retained_saved_arrays_stay_until_the_graph_is_dropped(no_collector):
    x = leaf(np.ones(100))
    y = np.exp(x).sum()
    ref = weakref.ref(y.node.parents[0].y)
    y.backward(retain_graph=True)
    assert ref() is not None
    y.backward()
    assert ref() is None


def test_a_loop_of_training_steps_does_not_grow(no_collector):
    w = leaf(np.random.default_rng(1).normal(size=(10, 20)) * 0.3)
    counts = []
    for _ in range(5):
        w.grad = None
        lstm_like_loss(w).backward()
        w.data -= 0.01 * w.grad.data
        counts.append(len(gc.get_objects()))
    assert counts[4] <= counts[2]


def test_a_chain_of_200_000_nodes_is_built_walked_and_freed_without_recursion(no_collector):
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(200)
    try:
        x = tg.Tensor(1.0, requires_grad=True, dtype=np.float64)
        y = x
        for _ in range(200_000):
            y = y + 1.0
        first = weakref.ref(y.data)
        y.backward(retain_graph=True)
        assert (y.item(), x.grad.item()) == (200_001.0, 1.0)
        assert tg.grad(y, x)[0].item() == 1.0
        del y
        assert first() is None
    finally:
        sys.setrecursionlimit(limit)


def test_a_deep_chain_of_second_derivatives_and_of_multiplications():
    x = leaf(1.0)
    y = x
    for _ in range(3000):
        y = y * (1.0 + 1e-6 * x)
    (g,) = tg.grad(y, x, create_graph=True)
    (second,) = tg.grad(g, x)
    growth = 1.0 + 1e-6
    first = growth**3000 + 3000 * 1e-6 * growth**2999
    np.testing.assert_allclose(g.item(), first, rtol=1e-9)
    np.testing.assert_allclose(
        second.item(), 2 * 3000 * 1e-6 * growth**2999 + 3000 * 2999 * 1e-12 * growth**2998, rtol=1e-9
    )


def test_a_wide_graph_is_walked_without_recursion():
    x = leaf(np.ones(3))
    y = np.concatenate([x * float(k) for k in range(2000)]).sum() + sum(x[k % 3] for k in range(3000))
    y.backward()
    assert x.grad.tolist() == [1999 * 1000 + 1000.0] * 3
