"""The walk back over the graph: order, accumulation, what is visited, release, and higher orders."""

import threading

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from leaves import leaf, noting

import tinygrad_rnn as tg
from tinygrad_rnn.tensor import lift
from tinygrad_rnn.walk import walk


@pytest.fixture
def spy():
    return noting()


# ------------------------------------------------------------------------------------------- values and order


def test_diamond_is_visited_once_each_node_newest_first(spy):
    x = leaf([1.0, 2.0])
    top = spy(x, "top")
    left, right = spy(top, "left"), spy(top, "right")
    bottom = spy(left * right, "bottom")
    bottom.sum().backward()
    assert spy.visited == ["bottom", "right", "left", "top"]
    assert x.grad.tolist() == [2.0, 4.0]


def test_a_node_waits_for_all_its_uses_however_deep(spy):
    x = leaf([1.0])
    shared = spy(x, "shared")
    deep = shared
    for i in range(5):
        deep = spy(deep, i)
    (deep + shared).backward(np.ones(1))
    assert spy.visited == [4, 3, 2, 1, 0, "shared"]
    assert x.grad.tolist() == [2.0]


@pytest.mark.parametrize("shape", [(), (1,), (3,), (0,)])
@pytest.mark.parametrize("times", [1, 2, 3, 4, 5])
def test_repeated_inputs_all_count(shape, times):
    x = leaf(np.full(shape, 3.0))
    total = x
    for _ in range(times - 1):
        total = total + x
    power = x
    for _ in range(times - 1):
        power = power * x
    (total * 1.0).sum().backward(retain_graph=True)
    assert np.array_equal(x.grad.numpy(), np.full(shape, float(times)))
    assert np.array_equal(tg.grad(power.sum(), x)[0].numpy(), np.full(shape, times * 3.0 ** (times - 1)))
    many = np.stack([x] * times) if times > 1 else np.stack([x])
    assert np.array_equal(tg.grad(many.sum(), x)[0].numpy(), np.full(shape, float(times)))


@pytest.mark.parametrize("uses", [2, 3, 4])
def test_a_scalar_used_many_times_in_slices_and_products(uses):
    x, w = leaf(np.arange(4.0)), leaf(2.0)
    parts = sum(x[i] * w for i in range(uses))
    parts.backward()
    assert x.grad.tolist() == [2.0] * uses + [0.0] * (4 - uses)
    assert w.grad.item() == sum(range(uses))


def test_slices_wholes_and_scalars_add_up_in_any_order():
    """A buffer that slices are added into in place, and other contributions before, between and after them."""
    values = np.arange(6.0).reshape(3, 2)
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1]):
        x = leaf(values)
        makers = [
            lambda x=x: (x[0] * 2).sum(),
            lambda x=x: (x * x).sum(),
            lambda x=x: (x[[0, 0, 2]] * 3).sum(),
            lambda x=x: x.sum(),
        ]
        loss = 0.0
        for k in order:
            loss = loss + makers[k]()
        loss.backward()
        assert np.array_equal(x.grad.numpy(), 2 * values + 1 + np.array([[8.0], [0.0], [3.0]]))


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=12),
    st.integers(0, 3),
)
@example([(0, 0, 0), (0, 1, 0), (0, 2, 0)], 0)
@example([(3, 0, 0), (3, 0, 0), (0, 1, 2), (4, 3, 0)], 2)
def test_random_graphs_have_the_gradient_of_finite_differences(program, size):
    """Graphs of any wiring over two leaves, one of them a scalar at size 0: against central differences."""
    shape = () if size == 0 else (size,)
    rng = np.random.default_rng(len(program))
    start = [rng.uniform(0.5, 1.5, shape), rng.uniform(0.5, 1.5, shape)]

    def run(a, b):
        made = [a, b]
        for kind, i, j in program:
            u, v = made[i % len(made)], made[j % len(made)]
            made.append(
                [
                    lambda u, v: u + v,
                    lambda u, v: u * v * 0.5,
                    lambda u, v: u - v,
                    lambda u, v: np.tanh(u),
                    lambda u, v: u + u,
                ][kind](u, v)
            )
        return np.sum(made[-1] * made[len(made) // 2])

    leaves = [leaf(value) for value in start]
    loss = run(*leaves)
    got = tg.grad(loss, leaves, allow_unused=True) if loss.requires_grad else (None, None)
    step = 1e-5
    for k in range(2):
        expected = np.zeros(shape)
        for index in np.ndindex(shape):
            high, low = [v.copy() for v in start], [v.copy() for v in start]
            high[k][index] += step
            low[k][index] -= step
            expected[index] = (run(*high) - run(*low)) / (2 * step)
        found = np.zeros(shape) if got[k] is None else got[k].numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)


def test_backward_twice_adds_up_and_does_not_write_into_the_old_gradient():
    x = leaf([1.0, 2.0])
    y = (x * x).sum()
    y.backward(retain_graph=True)
    first = x.grad
    y.backward()
    assert x.grad.tolist() == [4.0, 8.0]
    assert first.tolist() == [2.0, 4.0]


def test_backward_of_something_else_adds_to_the_same_leaf():
    x = leaf([1.0, 2.0])
    (x * 2).sum().backward()
    (x * x).sum().backward()
    assert x.grad.tolist() == [4.0, 6.0]


def test_a_leaf_itself_can_be_walked_from():
    x = leaf(3.0)
    x.backward()
    assert x.grad.item() == 1.0
    given_gradient = np.array([1.0, 2.0])
    y = leaf([1.0, 1.0])
    y.backward(given_gradient)
    y.grad.data[:] = 0
    assert given_gradient.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    "gradient", [[1, 2], [1.0, 2.0], np.array([1, 2]), np.array([1.0, 2.0]), tg.Tensor([1.0, 2.0])]
)
def test_the_first_gradient_may_be_anything_of_the_right_shape(gradient):
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    (x * 3).backward(gradient)
    assert (x.grad.tolist(), x.grad.dtype) == ([3.0, 6.0], np.float32)


def test_a_tensor_of_one_element_is_a_scalar():
    x = leaf([[2.0]])
    (x * x).backward()
    assert x.grad.tolist() == [[4.0]]


# ---------------------------------------------------------------------------------------------------- release


def test_a_released_graph_is_an_error_that_says_so():
    x = leaf([1.0, 2.0])
    with tg.scope("encoder", step=3):
        y = (x * x).sum()
    y.backward()
    before = x.grad
    with pytest.raises(
        RuntimeError, match=r"sum at encoder, t=3: this part of the graph was released.*retain_graph=True"
    ):
        y.backward()
    with pytest.raises(RuntimeError, match="released"):
        tg.grad(y, x)
    assert x.grad is before


def test_a_part_of_a_graph_released_by_another_output_is_an_error():
    x = leaf([1.0, 2.0])
    h = x * x
    (h * 2).sum().backward()
    other = (h * 3).sum()
    with pytest.raises(RuntimeError, match="multiply: this part of the graph was released"):
        other.backward()
    assert x.grad.tolist() == [4.0, 8.0]


def test_retain_graph_allows_any_number_of_walks():
    x = leaf([1.0, 2.0])
    y = (np.tanh(x) * np.exp(x)).sum()
    values = [tg.grad(y, x, retain_graph=True)[0].tolist() for _ in range(3)]
    assert values[0] == values[1] == values[2]
    tg.grad(y, x)
    with pytest.raises(RuntimeError, match="released"):
        tg.grad(y, x)


def test_retain_graph_false_releases_even_under_create_graph():
    x = leaf([1.0, 2.0])
    y = (x * x).sum()
    tg.grad(y, x, create_graph=True, retain_graph=False)
    with pytest.raises(RuntimeError, match="released"):
        tg.grad(y, x)


def test_grads_are_untouched_when_backward_raises_midway():
    @tg.primitive
    def fragile(x):
        return x.copy()

    def rule(g, _y, _x):
        raise ArithmeticError("on purpose")

    tg.defvjp(fragile, rule)
    early, late = leaf([1.0]), leaf([1.0])
    early.grad, late.grad = tg.Tensor(np.ones(1)), None
    y = fragile(early * 2) + late
    with pytest.raises(ArithmeticError, match="on purpose"):
        y.backward(np.ones(1))
    assert (early.grad.tolist(), late.grad) == ([1.0], None)
    assert (late * 1).requires_grad, "recording goes on after an error in a walk"


# ------------------------------------------------------------------------------------------------ higher orders


def test_derivatives_to_the_fourth_order():
    x = leaf([0.5, 1.5])
    y = (x**4 + np.sin(x)).sum()
    truth = [
        lambda a: 4 * a**3 + np.cos(a),
        lambda a: 12 * a**2 - np.sin(a),
        lambda a: 24 * a - np.cos(a),
        lambda a: 24 + np.sin(a),
    ]
    for derivative in truth:
        (g,) = tg.grad(y, x, create_graph=True)
        np.testing.assert_allclose(g.numpy(), derivative(x.numpy()), rtol=1e-12)
        y = g.sum()


def test_third_order_through_a_recurrent_loop_equals_torch():
    torch = pytest.importorskip("torch", reason="compares with torch")
    rng = np.random.default_rng(0)
    w, x, h0 = rng.normal(size=(3, 3)) * 0.5, rng.normal(size=(4, 3)), rng.normal(size=3)

    def run(make, tanh):
        weight = make(w)
        h = make(h0)
        for row in x:
            h = tanh(weight @ h + (row if make is leaf else torch.tensor(row)))
        return weight, (h * h).sum()

    ours, y = run(leaf, np.tanh)
    theirs, z = run(lambda a: torch.tensor(a, requires_grad=True), torch.tanh)
    for _ in range(3):
        (g,) = tg.grad(y, ours, create_graph=True)
        (t,) = torch.autograd.grad(z, theirs, create_graph=True)
        np.testing.assert_allclose(g.numpy(), t.detach().numpy(), rtol=1e-9, atol=1e-12)
        y, z = (g * g).sum(), (t * t).sum()


def test_backward_under_create_graph_accumulates_and_can_be_differentiated():
    x = leaf(3.0)
    y = x * x * x
    y.backward(create_graph=True)
    first = x.grad
    assert (first.item(), first.requires_grad) == (27.0, True)
    first.backward()
    assert x.grad.item() == 27.0 + 18.0
    assert not x.grad.requires_grad


def test_a_gradient_penalty_reaches_the_seed_too():
    x, v = leaf([1.0, 2.0]), leaf([3.0, 5.0])
    (g,) = tg.grad(x * x, x, v, create_graph=True)
    gv, gx = tg.grad(g.sum(), [v, x])
    assert (gv.tolist(), gx.tolist()) == ([2.0, 4.0], [6.0, 10.0])


def test_create_graph_records_even_inside_no_grad():
    """torch.autograd.grad does so too: the flag decides, not the surroundings."""
    x = leaf(2.0)
    y = x * x * x
    with tg.no_grad():
        (g,) = tg.grad(y, x, create_graph=True)
    assert g.requires_grad
    assert tg.grad(g, x)[0].item() == 12.0


def test_a_walk_without_create_graph_records_nothing():
    @tg.primitive
    def square(x):
        return x * x

    inside = []

    def rule(g, _y, x):
        probe = leaf(1.0) * 2
        inside.append(probe.requires_grad)
        return 2 * g * x

    tg.defvjp(square, rule)
    x = leaf(3.0)
    (g,) = tg.grad(square(x), x)
    assert (g.requires_grad, inside) == (False, [False])


# -------------------------------------------------------------------------------------------------- observer


def test_the_observer_sees_every_contribution_and_their_sum_is_the_gradient():
    w, h = leaf([[0.5, -0.3], [0.2, 0.1]], name="w"), leaf([1.0, 2.0], name="h")
    state, xs = h, leaf(np.arange(6.0).reshape(3, 2))
    for t in range(3):
        with tg.scope("rnn", step=t):
            state = np.tanh(w @ state + xs[t])
    seen = []
    loss = (state * state).sum()
    start = (loss.node, np.ones(()))
    arrived = walk([start], lift, retain_graph=True, observe=lambda node, i, g: seen.append((node, i, np.array(g))))
    for tensor in (w, h, xs):
        parts = [g for node, i, g in seen if node.parents[i] is tensor.node]
        np.testing.assert_allclose(sum(parts), arrived[tensor.node], rtol=1e-12)
    for_w = [(node.path, node.step) for node, i, _ in seen if node.parents[i] is w.node]
    assert for_w == [("rnn", 2), ("rnn", 1), ("rnn", 0)]
    assert all(g.shape == node.parents[i].shape and g.dtype == node.parents[i].dtype for node, i, g in seen)
    loss.backward()
    for tensor in (w, h, xs):
        np.testing.assert_allclose(tensor.grad.numpy(), arrived[tensor.node], rtol=1e-12)


def test_an_observed_gradient_is_complete_when_it_is_passed_on():
    """What an observer is shown may be summed into later: it must be shown each summand, not a running sum."""
    x = leaf([1.0, 2.0])
    y = x * 2 + x * 3 + x[0] + x
    seen = []
    walk([(y.node, np.ones(2))], lift, observe=lambda node, i, g: node.parents[i] is x.node and seen.append(g))
    assert sorted(g.tolist() for g in seen) == [[1.0, 1.0], [2.0, 0.0], [2.0, 2.0], [3.0, 3.0]]


# --------------------------------------------------------------------------------------------------- threads


def test_threads_walk_their_own_graphs_over_shared_leaves():
    w = leaf(np.full(50, 0.1))
    results, errors = {}, []

    def work(k):
        try:
            for _ in range(20):
                h = w * k
                for t in range(10):
                    with tg.scope(f"thread{k}", step=t):
                        h = np.tanh(h + w)
                        assert (h.node.path, h.node.step) == (f"thread{k}", t)
                results[k] = tg.grad(h.sum(), w)[0].numpy()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    for k in range(4):
        h = w * k
        for _ in range(10):
            h = np.tanh(h + w)
        assert np.array_equal(results[k], tg.grad(h.sum(), w)[0].numpy())
