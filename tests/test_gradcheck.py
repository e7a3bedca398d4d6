"""tg.testing.gradcheck: it passes what is right, catches what is wrong, and leaves everything as it was."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn.testing import GradcheckError, gradcheck


def leaf(values, name=None):
    return tg.Tensor(np.array(values, np.float64), requires_grad=True, name=name)


@tg.primitive
def wrong_square(x):
    return x * x


tg.defvjp(wrong_square, lambda g, _y, x: g * x)  # 2 x would be right


def test_single_array_scalar_and_matrix_results():
    x = np.array([[0.3, -1.2], [2.0, 0.5]])
    assert gradcheck(lambda t: (t * np.tanh(t)).sum(), x) is True
    assert gradcheck(lambda t: t @ t, x) is True
    assert gradcheck(lambda t: t, x) is True
    assert gradcheck(np.exp, np.float64(0.7)) is True


def test_tuple_is_several_arguments():
    a, b = np.array([1.0, 2.0, 3.0]), np.array([[0.5], [0.25]])
    assert gradcheck(lambda s, t: s / t, (a, b))


def test_constants_are_handed_on_unchanged():
    received = []

    def f(x, power, index, frozen):
        received.append((power, index, frozen))
        return (x**power)[index] * frozen

    index, frozen = np.array([0, 2, 2]), tg.Tensor(np.array(4.0))
    assert gradcheck(f, (np.array([1.0, 2.0, 3.0]), 3, index, frozen))
    power, given_index, given_frozen = received[0]
    assert power == 3
    assert given_index is index
    assert given_frozen is frozen


def test_nested_inputs_and_outputs():
    def step(state, weights):
        h = np.tanh(weights["w"] @ state[0] + weights["b"])
        return (h, {"c": state[1] * h, "length": len(h)})

    state = (np.array([0.1, 0.2]), np.array([1.5, -0.5]))
    assert gradcheck(step, (state, {"w": np.array([[1.0, 2.0], [-1.0, 0.5]]), "b": np.array([0.0, 0.3])}))


def test_closed_over_leaves_are_varied_in_place_and_restored():
    w, b = leaf([[1.0, -2.0], [0.5, 3.0]], "w"), leaf([0.1, 0.2])
    before, memory = w.data.copy(), w.data
    assert gradcheck(lambda *_: np.tanh(w @ b).sum(), (w, b))
    assert w.data is memory
    assert np.array_equal(w.data, before)
    assert w.grad is None


def test_earlier_graph_of_a_leaf_survives():
    w = leaf([1.0, 2.0])
    loss = (w * w).sum()
    gradcheck(lambda t: t * t, w)
    loss.backward()
    assert np.array_equal(w.grad.data, [2.0, 4.0])


def test_same_tensor_twice_is_one_variable():
    w = leaf([1.0, 2.0])
    assert gradcheck(lambda a, b: a * b, (w, w))


@pytest.mark.parametrize("calls_before_error", [0, 1, 2, 3, 4])
def test_restores_on_error(calls_before_error):
    w = leaf([1.0, 2.0, 3.0])
    calls = iter(range(100))

    def f(t):
        if next(calls) == calls_before_error:
            raise KeyError("on purpose")
        return t * 2

    with pytest.raises(KeyError, match="on purpose"):
        gradcheck(f, w)
    assert np.array_equal(w.data, [1.0, 2.0, 3.0])


def test_report_of_a_wrong_rule():
    x = leaf([[1.0, 2.0, 0.0], [0.5, -4.0, 3.0]], "x")
    with pytest.raises(GradcheckError) as caught:
        gradcheck(lambda scale, t: wrong_square(t) * scale, (np.array(2.0), x))
    error = caught.value
    assert (error.input, error.index, error.output) == ("inputs[1]", (1, 1), "output[1, 1]")
    assert error.analytic == pytest.approx(-8.0)
    assert error.numeric == pytest.approx(-16.0)
    assert (error.wrong, error.total) == (5, 6 + 36)  # at 0 even the wrong rule is right
    lines = str(error).splitlines()
    assert lines[0] == "gradcheck: 5 of 42 derivatives are wrong"
    assert lines[1] == "  inputs[0], shape (): all 6 right"
    assert "inputs[1] 'x', shape (2, 3): 5 of 36 wrong, worst d output[1, 1] / d inputs[1][1, 1]" in lines[2]
    assert "first operation that is wrong by itself: wrong_square: argument 0, shape (2, 3): 5 of 36" in lines[3]


def test_detached_part_is_found():
    with pytest.raises(GradcheckError, match="no result requires a gradient"):
        gradcheck(lambda t: t.detach() * 2, np.ones(2))
    with pytest.raises(GradcheckError, match="3 of 9 derivatives are wrong"):
        gradcheck(lambda t: t * t.detach(), np.ones(3))
    with pytest.raises(GradcheckError, match=r"d output\[1\]\[0\]"):
        gradcheck(lambda t: (t * 2, t.detach() * 3), np.ones(1))


def test_nan_gradient_is_wrong():
    # at 1 the value is flat, but sqrt's derivative at 0 makes the walk say 0 * inf
    with pytest.raises(GradcheckError, match="analytic nan, numeric 0"), np.errstate(all="ignore"):
        gradcheck(lambda t: np.sqrt(t * 0), np.ones(1))


def test_large_outputs_are_projected():
    x = np.linspace(-1.0, 1.0, 30)
    assert gradcheck(lambda t: np.tanh(np.reshape(t, (30, 1)) * t), x)
    with pytest.raises(GradcheckError, match="300 derivatives are wrong") as caught:
        gradcheck(lambda t: np.reshape(t, (30, 1)) * t.detach(), x)
    assert caught.value.output.startswith("projection")


def test_one_wrong_entry_of_a_large_output_is_found():
    mask = np.zeros((20, 20))
    mask[7, 3] = 1e-3

    def f(t):
        return t * 1.5 + t.detach() * mask

    with pytest.raises(GradcheckError) as caught:
        gradcheck(f, np.ones((20, 20)))
    assert (caught.value.index, caught.value.wrong) == ((7, 3), 10)


@given(st.integers(0, 3), st.integers(0, 3))
def test_any_shape(rows, columns):
    x = np.linspace(-1.0, 2.0, rows * columns).reshape(rows, columns)
    assert gradcheck(lambda t: np.exp(t).sum(axis=0), x)
    assert gradcheck(lambda t: np.sin(t.T), x)


def test_derivative_of_a_derivative():
    def slope(t):
        (g,) = tg.grad((t * t * t).sum(), t, create_graph=True)
        return g

    assert gradcheck(slope, np.array([1.0, -2.0]))


def test_tolerances_and_step():
    x = np.array([1.0])
    assert gradcheck(np.exp, x, eps=4.0)  # the largest step: the others are found
    with pytest.raises(GradcheckError):
        gradcheck(wrong_square, x)
    assert gradcheck(wrong_square, x, rtol=0.6)
    assert gradcheck(wrong_square, x, atol=1.1)
    with pytest.raises(GradcheckError):
        gradcheck(wrong_square, x * 1e-7)  # off by 1e-7, as all derivatives here are small
    assert gradcheck(wrong_square, x * 1e-9, atol=1e-8)


def test_refuses_what_it_cannot_check():
    x = np.ones(2)
    for order in (0, 1.5, "2"):
        with pytest.raises(ValueError, match="expected order to be a whole number from 1"):
            gradcheck(np.tanh, x, order=order)
    with pytest.raises(ValueError, match="expected mode to be one of 'reverse', 'forward', 'adjoint', got 'backward'"):
        gradcheck(np.tanh, x, mode="backward")
    with pytest.raises(ValueError, match="expected projections to be"):
        gradcheck(np.tanh, x, projections=0)
    with pytest.raises(TypeError, match=r"inputs\[1\] to be float64, got float32"):
        gradcheck(np.add, (x, x.astype(np.float32)))
    with pytest.raises(TypeError, match="output of f is float32"):
        gradcheck(lambda t: t.astype(np.float32), x)
    with pytest.raises(ValueError, match="expected a float64 array or a tensor with requires_grad=True"):
        gradcheck(lambda t: t, np.arange(3))
    with pytest.raises(ValueError, match="expected a float64 array or a tensor with requires_grad=True"):
        gradcheck(np.tanh, tg.Tensor(x))
    with pytest.raises(ValueError, match="no float array or tensor"):
        gradcheck(lambda t: t > 0, x)
    with pytest.raises(ValueError, match="was computed"):
        gradcheck(np.tanh, leaf(x) * 2)
    with pytest.raises(ValueError, match="on the same inputs"):
        gradcheck(lambda t: t * np.random.default_rng().normal(), x)
    x.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        gradcheck(np.tanh, tg.Tensor(x, requires_grad=True, copy=False))
    assert gradcheck(np.tanh, x)  # an array is copied, so it may be read-only


def test_central_difference_agrees_with_known_jacobian():
    # tanh(W x): dy_i/dx_j = (1 - y_i^2) W_ij; a deliberate error of 1e-4 in one entry is found
    w = np.array([[0.5, -1.0], [2.0, 0.25]])
    x = np.array([0.3, -0.7])
    with pytest.raises(GradcheckError, match="1 of 4 derivatives are wrong") as caught:
        gradcheck(lambda t: np.tanh(w @ t) + 1e-4 * t.detach() * np.array([1.0, 0.0]), x)
    y = np.tanh(w @ x)
    assert caught.value.analytic == pytest.approx((1 - y[0] ** 2) * w[0, 0], abs=1e-12)
    assert caught.value.numeric - caught.value.analytic == pytest.approx(1e-4, rel=1e-4)
