"""tg.scan: a plain loop with its bookkeeping; equal to loops written by hand, in values, gradients and graph."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from leaves import leaf

import tinygrad_rnn as tg


class Net:
    """A small recurrent net with an output, over any batch."""

    def __init__(self, inputs=2, hidden=3, seed=0):
        rng = np.random.default_rng(seed)
        self.wx, self.wh = leaf(rng.normal(size=(inputs, hidden)) * 0.6), leaf(rng.normal(size=(hidden, hidden)) * 0.6)
        self.hidden = hidden

    @property
    def parameters(self):
        return [self.wx, self.wh]

    def step(self, h, x):
        new = np.tanh(x @ self.wx + h @ self.wh)
        return new, new * 2.0 - x.sum(axis=-1, keepdims=True)


def names_of(root):
    """Names and steps of all operations below a node, in order of creation."""
    seen, stack = {}, [root]
    while stack:
        node = stack.pop()
        if node.order not in seen:
            seen[node.order] = node
            stack.extend(p for p in node.parents if p is not None)
    ordered = [seen[k] for k in sorted(seen)]
    return [(node.primitive.name, node.step) for node in ordered if node.primitive is not None]


# ------------------------------------------------------------------------------------------ equal to a loop by hand


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_equals_a_loop_by_hand_in_values_gradients_and_graph(reverse, steps):
    rng = np.random.default_rng(steps)
    xs, init = leaf(rng.normal(size=(steps, 4, 2))), leaf(rng.normal(size=(4, 3)))
    net = Net()

    def by_hand():
        h, ys = init, [None] * steps
        for t in reversed(range(steps)) if reverse else range(steps):
            with tg.scope(step=t):
                h, ys[t] = net.step(h, xs[t])
        return h, np.stack(ys)

    weights = rng.normal(size=(steps, 4, 3))
    results = []
    for h, ys in (tg.scan(net.step, init, xs, reverse=reverse), by_hand()):
        loss = (h * h).sum() + (ys * weights).sum()
        gradients = tg.grad(loss, [*net.parameters, init, xs], retain_graph=True)
        results.append((names_of(loss.node), [h.numpy(), ys.numpy(), *(g.numpy() for g in gradients)]))
    (names, values), (expected_names, expected_values) = results
    assert names == expected_names
    for a, b in zip(values, expected_values, strict=True):
        assert np.array_equal(a, b)


def test_second_derivatives_equal_torch():
    torch = pytest.importorskip("torch", reason="compares with torch")
    rng = np.random.default_rng(3)
    data, net = rng.normal(size=(5, 2, 2)), Net()
    init = leaf(rng.normal(size=(2, 3)))
    xs = leaf(data)
    h, ys = tg.scan(net.step, init, xs)
    ours = (h * h).sum() + (ys * ys).sum()
    wx, wh, start, inputs = (torch.tensor(t.numpy(), requires_grad=True) for t in (*net.parameters, init, xs))
    state, outputs = start, []
    for x in inputs:
        state = torch.tanh(x @ wx + state @ wh)
        outputs.append(state * 2.0 - x.sum(dim=-1, keepdim=True))
    theirs = (state * state).sum() + (torch.stack(outputs) ** 2).sum()
    first = tg.grad(ours, [*net.parameters, init, xs], create_graph=True)
    expected = torch.autograd.grad(theirs, [wx, wh, start, inputs], create_graph=True)
    second = tg.grad(sum((g * g).sum() for g in first), [*net.parameters, init, xs])
    expected_second = torch.autograd.grad(sum((g * g).sum() for g in expected), [wx, wh, start, inputs])
    for a, b in zip([*first, *second], [*expected, *expected_second], strict=True):
        np.testing.assert_allclose(a.numpy(), b.detach().numpy(), rtol=1e-9, atol=1e-10)


def test_steps_are_in_the_nodes_and_scopes_around_stay():
    net, xs = Net(), leaf(np.zeros((3, 1, 2)))
    with tg.scope("encoder"):
        h, ys = tg.scan(net.step, tg.Tensor(np.zeros((1, 3))), xs, reverse=True)
    assert (h.node.path, h.node.step) == ("encoder", 0)
    assert ys.node.step is None
    assert [p.step for p in ys.node.parents] == [0, 1, 2]


def test_plain_arrays_and_numbers_go_in():
    h, ys = tg.scan(lambda h, x: (h + x, h * x), 1.0, np.array([1.0, 2.0, 3.0]))
    assert (h.item(), ys.tolist()) == (7.0, [1.0, 4.0, 12.0])
    h, _ = tg.scan(lambda h, x: (h + x, None), 0, np.array([1, 2, 3]))
    assert (h.item(), h.dtype.kind) == (6, "i")


def test_integer_inputs_stay_integers():
    table = leaf([[1.0], [2.0], [3.0]])
    tokens = np.array([[0, 2], [1, 1]])
    seen = []

    def step(h, token):
        seen.append((token.dtype.kind, token.shape))
        return h + table[token], None

    h, ys = tg.scan(step, tg.Tensor(np.zeros((2, 1))), tokens, lengths=np.array([2, 1]))
    assert ys is None
    assert (h.tolist(), seen) == ([[3.0], [3.0]], [("i", (2,))] * 2)
    h.sum().backward()
    assert table.grad.tolist() == [[1.0], [1.0], [1.0]]


# -------------------------------------------------------------------------------------------------- nested states


class State(NamedTuple):
    h: object
    c: object


def test_nested_state_inputs_and_outputs():
    w = leaf(0.5)

    def step(state, x):
        lstm, count = state["lstm"], state["count"]
        assert type(lstm) is State
        new = State(np.tanh(w * lstm.h + x["a"]), lstm.c + x["b"][0])
        return {"lstm": new, "count": [count[0] + 1]}, {
            "h": new.h,
            "both": (new.c, [new.h * x["b"][1]]),
            "nothing": None,
        }

    rng = np.random.default_rng(0)
    a, b0, b1 = rng.normal(size=(3, 4, 2))
    init = {"lstm": State(np.zeros(2), np.ones(2)), "count": [0]}
    state, ys = tg.scan(step, init, {"a": a, "b": (tg.Tensor(b0), b1)})
    assert type(state["lstm"]) is State
    assert state["count"][0].item() == 4
    assert np.allclose(state["lstm"].c.numpy(), 1 + b0.sum(axis=0))
    h, hs = np.zeros(2), []
    for t in range(4):
        h = np.tanh(0.5 * h + a[t])
        hs.append(h)
    assert np.allclose(ys["h"].numpy(), hs)
    assert np.allclose(ys["both"][1][0].numpy(), np.array(hs) * b1)
    assert (ys["both"][0].shape, ys["nothing"]) == ((4, 2), None)
    assert state["lstm"].h.requires_grad


def test_a_dict_may_come_back_in_another_order():
    def step(state, x):
        return {"c": state["c"] + x, "h": state["h"] * 2.0}, {"z": x, "y": x} if x.item() else {"y": x, "z": x}

    init = {"h": np.ones(2), "c": np.zeros(3)}
    state, ys = tg.scan(step, init, np.array([1.0, 0.0, 2.0]))
    assert (state["h"].tolist(), state["c"].tolist()) == ([8.0, 8.0], [3.0] * 3)
    assert ys["z"].tolist() == ys["y"].tolist() == [1.0, 0.0, 2.0]


def test_without_inputs_length_says_how_often():
    state, ys = tg.scan(lambda s, x: (s * 2.0, s if x is None else None), 1.0, None, length=4)
    assert (state.item(), ys.tolist()) == (16.0, [1.0, 2.0, 4.0, 8.0])
    _, ys = tg.scan(lambda s, x: (s + x["b"], None), 1.0, {"a": None, "b": np.ones(3)}, length=3)
    assert ys is None


def test_an_empty_state():
    state, ys = tg.scan(lambda s, x: (s, x * 2.0), None, np.arange(3.0))
    assert (state, ys.tolist()) == (None, [0.0, 2.0, 4.0])
    state, ys = tg.scan(lambda s, x: ((), x), (), np.arange(3.0))
    assert (state, ys.tolist()) == ((), [0.0, 1.0, 2.0])


def test_batches_of_size_zero():
    net = Net()
    h, ys = tg.scan(net.step, np.zeros((0, 3)), np.zeros((4, 0, 2)), lengths=np.zeros(0, int))
    assert (h.shape, ys.shape) == ((0, 3), (4, 0, 3))


# --------------------------------------------------------------------------------------------------------- lengths


@given(
    st.integers(1, 4).flatmap(
        lambda steps: st.tuples(st.just(steps), st.lists(st.integers(0, steps), min_size=1, max_size=4))
    ),
    st.booleans(),
    st.integers(0, 2),
)
@example((3, [0, 3, 1]), True, 0)
@example((2, [0, 0]), False, 1)
@example((1, [1]), True, 2)
def test_lengths_equal_a_loop_over_each_sequence_alone(shape, reverse, seed):
    """State, outputs and all gradients, with NaN in the padding."""
    steps, lengths = shape
    rng = np.random.default_rng(seed)
    clean = rng.normal(size=(steps, len(lengths), 2))
    data = clean.copy()
    for b, n in enumerate(lengths):
        data[n:, b] = np.nan
    start = rng.normal(size=(len(lengths), 3))
    by_state, by_output = rng.normal(size=(len(lengths), 3)), rng.normal(size=(steps, len(lengths), 3))

    net, xs, init = Net(seed=seed), leaf(data), leaf(start)
    h, ys = tg.scan(net.step, init, xs, lengths=np.array(lengths), reverse=reverse)
    ((h * by_state).sum() + (ys * by_output).sum()).backward()

    alone, parts, inits, loss = Net(seed=seed), [], [], 0.0
    for b, n in enumerate(lengths):
        parts.append(leaf(clean[:n, b : b + 1]))
        inits.append(leaf(start[b : b + 1]))
        state = inits[-1]
        expected = np.zeros((steps, 3))
        for t in reversed(range(n)) if reverse else range(n):
            state, y = alone.step(state, parts[-1][t])
            expected[t] = y.numpy()[0]
            loss = loss + (y * by_output[t, b]).sum()
        loss = loss + (state * by_state[b]).sum()
        np.testing.assert_allclose(h.numpy()[b], state.numpy()[0], rtol=1e-12)
        np.testing.assert_allclose(ys.numpy()[:, b], expected, rtol=1e-12)
    loss.backward()
    for ours, theirs in zip(net.parameters, alone.parameters, strict=True):
        expected = np.zeros(ours.shape) if theirs.grad is None else theirs.grad.numpy()
        np.testing.assert_allclose(ours.grad.numpy(), expected, rtol=1e-9, atol=1e-12)
    for b, n in enumerate(lengths):
        np.testing.assert_allclose(init.grad.numpy()[b], inits[b].grad.numpy()[0], rtol=1e-9, atol=1e-12)
        if n:
            np.testing.assert_allclose(xs.grad.numpy()[:n, b], parts[b].grad.numpy()[:, 0], rtol=1e-9, atol=1e-12)
        assert np.array_equal(xs.grad.numpy()[n:, b], np.zeros((steps - n, 2)))


@pytest.mark.parametrize(
    "lengths", [[2, 3], (2, 3), np.array([2, 3], np.int8), np.array([2, 3], np.uint64), tg.Tensor([2, 3])]
)
def test_lengths_may_be_anything_whole(lengths):
    h, _ = tg.scan(lambda h, x: (h + x, None), np.zeros(2), np.ones((3, 2)), lengths=lengths)
    assert h.tolist() == [2.0, 3.0]


def test_full_lengths_record_the_same_graph_as_none():
    net, xs, init = Net(), leaf(np.ones((3, 2, 2))), leaf(np.zeros((2, 3)))
    graphs = [names_of(tg.scan(net.step, init, xs, lengths=lengths)[0].node) for lengths in (None, np.array([3, 3]))]
    assert graphs[0] == graphs[1]


def test_what_a_step_computes_from_padding_changes_nothing():
    """Zeroed padding may still make NaN inside a step (0/0): neither values nor gradients may see it."""
    xs = leaf(np.array([[1.0, 2.0], [3.0, np.inf]]))
    with np.errstate(all="ignore"):
        h, ys = tg.scan(lambda h, x: (h + 1.0 / x, np.log(x)), leaf(np.zeros(2)), xs, lengths=[2, 1])
    assert np.allclose(h.numpy(), [1 + 1 / 3, 0.5])
    assert np.allclose(ys.numpy(), [[0.0, np.log(2)], [np.log(3), 0.0]])


@pytest.mark.parametrize("dtype", [np.bool_, np.int8, np.int64, np.float16, np.float32, np.float64])
def test_padding_keeps_the_dtype_of_inputs_and_outputs(dtype):
    seen = []

    def step(count, x):
        seen.append(x.dtype)
        return count + 1, x

    _, ys = tg.scan(step, np.zeros(2, np.int32), np.ones((3, 2), dtype), lengths=[3, 1])
    assert seen == [np.dtype(dtype)] * 3
    assert ys.dtype == dtype
    assert ys.tolist() == [[1, 1], [1, 0], [1, 0]]


# ------------------------------------------------------------------------------------------------------- truncation


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("truncate", [1, 2, 3, 5, 6, 100])
def test_truncation_equals_detaching_by_hand(truncate, reverse):
    rng = np.random.default_rng(truncate)
    data, start = rng.normal(size=(6, 2, 2)), rng.normal(size=(2, 3))
    weights = rng.normal(size=(6, 2, 3))

    def by_hand(step, init, xs):
        h, ys = init, [None] * 6
        for done in range(6):
            t = 5 - done if reverse else done
            if done and done % truncate == 0:
                h = h.detach()
            h, ys[t] = step(h, xs[t])
        return h, np.stack(ys)

    results = []
    for run in (lambda *a: tg.scan(*a, truncate=truncate, reverse=reverse), by_hand):
        net, init, xs = Net(), leaf(start), leaf(data)
        h, ys = run(net.step, init, xs)
        ((ys * weights).sum() + h.sum()).backward()
        results.append([h.numpy(), ys.numpy(), *(t.grad.numpy() for t in (*net.parameters, init, xs))])
    for a, b in zip(*results, strict=True):
        assert np.array_equal(a, b)


@pytest.mark.parametrize("checkpoint", [None, 2])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("truncate", [1, 2, 3, 5])
def test_each_sequence_is_truncated_as_if_it_were_alone(truncate, reverse, checkpoint):
    rng = np.random.default_rng(truncate)
    data, start, lengths = rng.normal(size=(5, 4, 2)), rng.normal(size=(4, 3)), [4, 0, 5, 1]
    by_output, by_state = rng.normal(size=(5, 4, 3)), rng.normal(size=(4, 3))
    options = {"reverse": reverse, "truncate": truncate}
    net, init, xs = Net(), leaf(start), leaf(data)
    h, ys = tg.scan(net.step, init, xs, lengths=lengths, checkpoint=checkpoint, **options)
    ((ys * by_output).sum() + (h * by_state).sum()).backward()
    alone, alone_init, alone_xs = Net(), leaf(start), leaf(data)
    for b, n in enumerate(lengths):
        if n:
            h, ys = tg.scan(alone.step, alone_init[b], alone_xs[:n, b], **options)
            ((ys * by_output[:n, b]).sum() + (h * by_state[b]).sum()).backward()
        else:
            (alone_init[b] * by_state[b]).sum().backward()
    for a, b in zip((*net.parameters, init, xs), (*alone.parameters, alone_init, alone_xs), strict=True):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=0, atol=1e-13)


def test_truncation_bounds_how_far_back_a_gradient_reaches():
    xs = leaf(np.ones(6))
    h, _ = tg.scan(lambda h, x: (h * 0.5 + x, None), tg.Tensor(0.0), xs, truncate=2)
    h.backward()
    assert xs.grad.tolist() == [0.0, 0.0, 0.0, 0.0, 0.5, 1.0]


def test_truncation_of_nested_states_with_lengths():
    xs = leaf(np.ones((4, 2)))
    state, _ = tg.scan(
        lambda s, x: ({"a": s["a"] * 0.5 + x, "n": s["n"] + 1}, None),
        {"a": np.zeros(2), "n": np.zeros(2, int)},
        xs,
        truncate=2,
        lengths=[4, 3],
    )
    state["a"].sum().backward()
    assert xs.grad.tolist() == [[0.0, 0.0], [0.0, 0.0], [0.5, 1.0], [1.0, 0.0]]
    assert state["n"].tolist() == [4, 3]
