"""Hooks and retained gradients."""

import numpy as np
import pytest
from leaves import leaf

import tinygrad_rnn as tg


def test_a_hook_sees_the_complete_gradient_and_only_that():
    x = leaf([1.0, 2.0])
    y = x * 2
    seen = []
    y.register_hook(seen.append)
    (y * 3 + y * y).sum().backward()
    assert [type(g) for g in seen] == [tg.Tensor]
    assert seen[0].tolist() == [7.0, 11.0]
    assert not seen[0].requires_grad
    assert x.grad.tolist() == [14.0, 22.0]


def test_what_a_hook_returns_replaces_the_gradient_below_it():
    x = leaf([1.0, 2.0])
    y = x * 2
    y.retain_grad()
    y.register_hook(lambda g: g * 10)
    y.sum().backward()
    assert (y.grad.tolist(), x.grad.tolist()) == ([10.0, 10.0], [20.0, 20.0])


def test_hooks_run_in_the_order_they_were_registered_each_on_the_answer_of_the_last():
    x = leaf(1.0)
    x.register_hook(lambda g: g + 1)
    second = x.register_hook(lambda g: g * 10)
    x.register_hook(lambda g: None)
    (x * 3).backward()
    assert x.grad.item() == 40.0
    second.remove()
    second.remove()
    x.grad = None
    (x * 3).backward()
    assert x.grad.item() == 4.0


def test_a_hook_may_remove_itself_while_it_runs():
    x = leaf(1.0)
    handles, calls = [], []
    handles.append(x.register_hook(lambda g: calls.append(1) or handles[0].remove()))
    handles.append(x.register_hook(lambda g: calls.append(2)))
    (x * 2).backward()
    (x * 2).backward()
    assert calls == [1, 2, 2]


def test_the_hook_of_a_leaf_runs_before_the_gradient_is_summed_up():
    x = leaf([1.0, 1.0])
    x.register_hook(lambda g: np.clip(g, -1, 1))
    for _ in range(2):
        (x * 5).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]


def test_grad_runs_hooks_and_returns_what_they_make():
    x = leaf([1.0, 2.0])
    y = x * 2
    y.register_hook(lambda g: g * 10)
    gx, gy = tg.grad(y.sum(), [x, y])
    assert (gx.tolist(), gy.tolist()) == ([20.0, 20.0], [10.0, 10.0])


def test_hooks_off_the_way_do_not_run():
    a, b = leaf(1.0), leaf(1.0)
    y = b * 2
    y.register_hook(lambda g: pytest.fail("this branch does not lead to the input"))
    tg.grad(a * y, a)


def scale_data(g):
    g.data *= 100.0


def scale(g):
    g *= 100.0
    return g


@pytest.mark.parametrize("write", [scale_data, scale])
def test_a_hook_that_writes_in_place_changes_no_other_gradient(write):
    a, b, start = leaf([1.0, 2.0]), leaf([1.0, 2.0]), np.ones(2)
    left, right = a * 1, b * 1
    left.register_hook(write)
    (left + right).backward(start)
    assert a.grad.tolist() == [100.0, 100.0]
    assert (b.grad.tolist(), start.tolist()) == ([1.0, 1.0], [1.0, 1.0])


def test_gradients_that_hooks_have_kept_share_no_memory():
    a, b, start = leaf([1.0, 2.0]), leaf([1.0, 2.0]), np.ones(2)
    kept = []
    for t in (a, b):
        t.register_hook(kept.append)
    total = a + b
    total.register_hook(kept.append)
    total.backward(start)
    arrays = [start, a.grad.data, b.grad.data, *(g.data for g in kept)]
    for array in arrays:
        np.multiply(array, 2.0, out=array)
    assert [array.tolist() for array in arrays] == [[2.0, 2.0]] * 6


def test_a_gradient_kept_by_a_hook_is_not_summed_into_later():
    x = leaf([1.0, 2.0])
    y, kept = x * 2, []
    y.register_hook(kept.append)
    (y + x * 3 + x[:] * 4).sum().backward()
    assert kept[0].tolist() == [1.0, 1.0]
    assert x.grad.tolist() == [9.0, 9.0]


def test_what_a_hook_returns_stays_its_own():
    replacement = tg.Tensor(np.array([5.0, 5.0]))
    x, y = leaf([1.0, 2.0]), leaf([1.0, 2.0])
    x.register_hook(lambda g: replacement)
    (x * y + x).sum().backward()
    x.grad.data *= 0
    assert replacement.tolist() == [5.0, 5.0]


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize(
    "answer",
    [
        np.array([3.0, 4.0]),
        np.array([3, 4]),
        tg.Tensor(np.array([3.0, 4.0])),
        tg.Tensor([3.0, 4.0]),
        tg.Tensor([3, 4]),
        np.array([3.0, 4.0], np.float32),
    ],
)
def test_a_hook_may_return_an_array_or_a_tensor_and_the_dtype_stays(answer, create_graph):
    for dtype in (np.float32, np.float64):
        x = tg.Tensor([1.0, 2.0], requires_grad=True, dtype=dtype)
        y = x * 2
        y.retain_grad()
        y.register_hook(lambda g: answer)
        y.sum().backward(create_graph=create_graph)
        assert (x.grad.dtype, y.grad.dtype, x.grad.tolist()) == (dtype, dtype, [6.0, 8.0])


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_hook_that_returns_something_else_is_an_error(create_graph):
    for answer, error in [
        (np.ones(3), ValueError),
        (tg.Tensor(np.ones((1, 2))), ValueError),
        (tg.Tensor(1.0), ValueError),
        (2.0, TypeError),
        ([1.0, 2.0], TypeError),
        ("g", TypeError),
    ]:
        x = leaf([1.0, 2.0])
        with tg.scope("encoder", step=4):
            y = x * 2
        y.register_hook(lambda g, answer=answer: answer)
        with pytest.raises(error, match=r"multiply at encoder, t=4.*hook"):
            y.sum().backward(create_graph=create_graph)
        assert x.grad is None


def test_hooks_under_create_graph_are_part_of_the_derivative():
    x = leaf(3.0)
    y = x * x
    y.register_hook(lambda g: g * g * 5)
    (g,) = tg.grad(y * 2, x, create_graph=True)  # 5 * 2^2 * 2x
    assert g.item() == 20.0 * 6.0
    assert tg.grad(g, x)[0].item() == 40.0


def test_hooks_need_something_to_hook():
    with pytest.raises(RuntimeError, match="does not require a gradient, so a hook would never run"):
        tg.Tensor([1.0]).register_hook(print)
    with pytest.raises(TypeError, match="hook"):
        leaf(1.0).register_hook(3)


# -------------------------------------------------------------------------------------------- retained gradients


def test_retain_grad_keeps_the_gradient_of_what_was_computed():
    x = leaf([1.0, 2.0])
    y = x * x
    z = y * 3
    y.retain_grad()
    z.sum().backward()
    assert (y.grad.tolist(), z.grad, x.grad.tolist()) == ([3.0, 3.0], None, [6.0, 12.0])


def test_retained_gradients_add_up_over_walks():
    x = leaf(2.0)
    y = x * x
    y.retain_grad()
    z = y * 3
    z.backward(retain_graph=True)
    z.backward()
    assert y.grad.item() == 6.0


def test_retain_grad_of_the_output_itself_and_of_a_leaf():
    x = leaf(2.0)
    y = x * x
    y.retain_grad()
    x.retain_grad()
    y.backward()
    assert (y.grad.item(), x.grad.item()) == (1.0, 4.0)


def test_retain_grad_needs_a_graph():
    with pytest.raises(RuntimeError, match="does not require a gradient, so it has none to retain"):
        tg.Tensor([1.0]).retain_grad()


def test_grad_leaves_retained_gradients_alone():
    x = leaf(2.0)
    y = x * x
    y.retain_grad()
    tg.grad(y * 3, x)
    assert (y.grad, x.grad) == (None, None)
