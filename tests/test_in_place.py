"""The modified-in-place guard: a graph whose saved arrays were written into must not be walked."""

import gc

import numpy as np
import pytest
from leaves import leaf

import tinygrad_rnn as tg
from tinygrad_rnn import versions

WRITTEN = "was modified in place after this operation used it"


def step_data(p):
    p.data -= 0.1


def step_no_grad(p):
    with tg.no_grad():
        p -= 0.1


def step_detached(p):
    view = p.detach()
    view *= 2.0


def step_detached_data(p):
    p.detach().data += 1.0


def step_slice(p):
    part = p.detach()[1:]
    part += 1.0


def step_slice_of_data(p):
    tg.Tensor(p.data[:1], copy=False).data *= 3.0


def step_reshaped(p):
    part = p.detach().reshape(-1, 1).T
    part -= 1.0


def step_replace(p):
    p.data = p.data * 2.0


WRITES = [
    step_data,
    step_no_grad,
    step_detached,
    step_detached_data,
    step_slice,
    step_slice_of_data,
    step_reshaped,
    step_replace,
]


@pytest.mark.parametrize("write", WRITES)
def test_a_parameter_updated_between_forward_and_backward_is_an_error(write):
    w, x = leaf([1.0, 2.0], name="weight"), leaf([3.0, 4.0])
    with tg.scope("encoder", step=2):
        y = w * x
    write(w)
    with pytest.raises(RuntimeError, match=rf"multiply at encoder, t=2: tensor 'weight', of shape \(2,\), {WRITTEN}"):
        y.sum().backward()
    assert (w.grad, x.grad) == (None, None)


@pytest.mark.parametrize("write", WRITES)
def test_no_alarm_where_the_rule_does_not_need_the_value(write):
    w, x = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    y = (w + x) - w * 2.0 + w[::-1] + np.concatenate([w])
    write(w)
    y.sum().backward()
    assert (w.grad.tolist(), x.grad.tolist()) == ([1.0, 1.0], [1.0, 1.0])


def test_no_alarm_where_only_the_other_argument_needs_a_gradient():
    w, x = leaf([1.0, 2.0]), tg.Tensor(np.array([3.0, 4.0]))
    y = w * x
    step_data(w)
    y.sum().backward()
    assert w.grad.tolist() == [3.0, 4.0]


@pytest.mark.parametrize("write", WRITES)
def test_no_alarm_for_writes_before_the_forward(write):
    w = leaf([1.0, 2.0])
    write(w)
    values = w.numpy().copy()
    (w * w).sum().backward()
    write(w)
    w.grad = None
    later = w.numpy().copy()
    (w * w).sum().backward()
    assert np.array_equal(w.grad.numpy(), 2 * later)
    assert not np.array_equal(values, later)


@pytest.mark.parametrize("write", WRITES)
def test_no_alarm_for_writes_to_unrelated_arrays(write):
    w, other = leaf([1.0, 2.0]), leaf([1.0, 2.0])
    y = (w * w).sum()
    write(other)
    write(other)
    y.backward()
    assert w.grad.tolist() == [2.0, 4.0]


def test_a_training_loop_of_many_steps_raises_no_alarm():
    w = leaf([5.0, -3.0])
    for _ in range(200):
        w.grad = None
        (w * w).sum().backward()
        w.data -= 0.1 * w.grad.data
    assert np.abs(w.numpy()).max() < 1e-12


def test_a_saved_result_that_was_written_into_is_an_error():
    x = leaf([1.0, 2.0])
    y = np.tanh(x)
    y.data *= 2.0
    with pytest.raises(RuntimeError, match=f"tanh: its result, of shape .*{WRITTEN}"):
        y.sum().backward()


def test_writes_through_a_view_of_a_result_reach_what_was_saved():
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    y = np.exp(x)
    with tg.no_grad():
        row = y[0]
        row += 1.0
    with pytest.raises(RuntimeError, match=f"exp: its result.*{WRITTEN}"):
        y.sum().backward()


def test_constants_are_guarded_too():
    x, c = leaf([1.0, 2.0]), tg.Tensor(np.array([3.0, 4.0]))
    y = x * c
    c += 1.0
    with pytest.raises(RuntimeError, match=f"multiply: argument 1, of shape .*{WRITTEN}"):
        y.sum().backward()


def test_sequences_are_guarded_too():
    @tg.primitive
    def dot_all(parts):
        return sum((p * p).sum() for p in parts)

    tg.defvjp(dot_all, lambda g, _y, parts: [2 * g * p for p in parts])
    a, b = leaf([1.0]), leaf([2.0], name="b")
    y = dot_all([a, b])
    b.data *= 2.0
    with pytest.raises(RuntimeError, match=f"dot_all: tensor 'b'.*{WRITTEN}"):
        y.backward()


def test_what_a_primitive_saved_is_guarded_too():
    x = leaf([1.0, 2.0])
    kept = np.zeros(2)

    @tg.primitive
    def double(x):
        kept[:] = x
        return tg.Saved(2 * x, kept)

    tg.defvjp(double, joint=lambda needed, g, y, saved, x: [2 * g])
    y = double(x)
    y.data += 1.0
    with pytest.raises(RuntimeError, match=f"double: its result.*{WRITTEN}"):
        y.sum().backward()


def test_shared_memory_is_one_storage():
    array = np.array([1.0, 2.0, 3.0])
    a, b = tg.Tensor(array, requires_grad=True, copy=False), tg.Tensor(array[1:], requires_grad=True, copy=False)
    y = (b * b).sum()
    a.data -= 1.0
    with pytest.raises(RuntimeError, match=WRITTEN):
        y.backward()


def test_deeper_graphs_name_the_first_operation_that_the_walk_meets():
    w = leaf([[0.5, 0.0], [0.0, 0.5]], name="w")
    h = tg.Tensor(np.ones(2))
    for t in range(4):
        with tg.scope("rnn", step=t):
            h = np.tanh(w @ h)
    w.data *= 0.9
    with pytest.raises(RuntimeError, match=r"matmul at rnn, t=3: tensor 'w'"):
        h.sum().backward()


def test_a_walk_under_create_graph_and_grad_are_guarded_too():
    w = leaf([1.0, 2.0])
    y = (w * w).sum()
    w.data -= 1.0
    with pytest.raises(RuntimeError, match=WRITTEN):
        tg.grad(y, w, create_graph=True)
    (g,) = tg.grad((w * w * w).sum(), w, create_graph=True)
    w.data -= 1.0
    with pytest.raises(RuntimeError, match=WRITTEN):
        tg.grad(g.sum(), w)


def test_writing_between_two_walks_of_a_retained_graph():
    w = leaf([1.0, 2.0])
    y = (w * w).sum()
    y.backward(retain_graph=True)
    w.data -= 0.1 * w.grad.data
    with pytest.raises(RuntimeError, match=WRITTEN):
        y.backward()


def test_memory_that_is_used_again_raises_no_alarm():
    """Stamps are by address; when an array is freed and another takes its place, the stamp must be gone."""
    w = leaf([1.0, 2.0])
    addresses = set()
    for _ in range(50):
        scratch = tg.Tensor(np.ones(2))
        addresses.add(id(scratch.data))
        kept = w * tg.Tensor(np.full(2, 2.0))
        scratch += 1.0
        del scratch
        later = tg.Tensor(np.full(2, 3.0))
        y = (kept * later * w).sum()
        y.backward()
    assert len(addresses) < 50, "addresses were never used again, so nothing was tested"


def test_stamps_do_not_pile_up():
    gc.collect()
    before = len(versions._writes)
    for _ in range(100):
        t = tg.Tensor(np.ones(2))
        t += 1.0
        t.data -= 1.0
        t.data = np.zeros(2)
    del t
    assert len(versions._writes) <= before + 2


def test_raw_writes_are_caught_under_detect_anomaly():
    x, scale = leaf([1.0, 2.0], name="x"), np.array([3.0, 4.0])
    with tg.detect_anomaly():
        y = x * scale
        z = np.exp(x)
    scale[0] = 7.0
    with pytest.raises(RuntimeError, match=f"multiply: argument 1.*{WRITTEN}"):
        y.sum().backward()
    x.data[0] = 9.0
    z.sum().backward()
    assert np.allclose(x.grad.numpy(), np.exp([1.0, 2.0]))
    with tg.detect_anomaly():
        w = x * x
    x.data[0] = 1.0
    with pytest.raises(RuntimeError, match=f"multiply: tensor 'x'.*{WRITTEN}"):
        w.sum().backward()


def test_checksums_raise_no_alarm_when_nothing_was_written():
    with tg.detect_anomaly():
        x = leaf(np.arange(1.0, 7.0).reshape(2, 3))
        y = (np.tanh(x[:, ::2]) @ x[:, 1:].T * np.concatenate([x[:, :2], x[:, 1:]])[:2]).sum()
        y.backward(retain_graph=True)
        first = x.grad.tolist()
        x.grad = None
        y.backward()
    assert x.grad.tolist() == first


def test_an_array_inside_an_index_or_given_by_keyword_is_guarded_too():
    x, index = leaf([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]), tg.Tensor([0, 1])
    y = x[:, index]
    index += 1
    with pytest.raises(RuntimeError, match=r"getitem: argument 1.*modified in place"):
        y.sum().backward()

    @tg.primitive
    def scaled(a, *, by):
        return a * by

    tg.defvjp(scaled, lambda g, _y, _a, *, by: g * by)
    by = tg.Tensor(np.array([2.0, 3.0, 4.0]))
    y = scaled(x, by=by)
    by *= 10
    with pytest.raises(RuntimeError, match=r"scaled: argument by.*modified in place"):
        y.sum().backward()


def test_a_list_used_as_an_index_may_change_afterwards():
    x, index = leaf([1.0, 2.0, 3.0]), [0, 0]
    y = x[index]
    index[:] = [1, 2]
    y.sum().backward()
    assert x.grad.tolist() == [2.0, 0.0, 0.0]
