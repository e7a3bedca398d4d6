"""Gradient clipping: the lecture's exact rule, and nothing but the gradients changed."""

import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import tinygrad_rnn as tg

clip_grad_norm_, clip_grad_value_ = tg.nn.utils.clip_grad_norm_, tg.nn.utils.clip_grad_value_


def with_gradients(*gradients):
    parameters = []
    for gradient in gradients:
        array = np.asarray(gradient)
        parameter = tg.nn.Parameter(np.zeros_like(array))
        parameter.grad = tg.Tensor(array)
        parameters.append(parameter)
    return parameters


def entries(dtype, limit):
    width = np.dtype(dtype).itemsize * 8
    return arrays(dtype, st.sampled_from([(), (0,), (3,), (2, 2)]), elements=st.floats(-limit, limit, width=width))


def exact_norm(g, p):
    """In decimal arithmetic, which neither overflows nor vanishes here."""
    sizes = [abs(Decimal(x)) for x in g.tolist()]
    if p == math.inf:
        return float(max(sizes, default=0))
    return float(sum(size ** int(p) for size in sizes) ** (1 / Decimal(p)))


@given(
    st.lists(entries(np.float64, 1e30), min_size=1, max_size=3),
    st.floats(0, 1e3),
    st.sampled_from([1.0, 2.0, 3.0, math.inf]),
)
@example([np.array([3.0, 4.0])], 5.0, 2.0)
@example([np.array([3.0, 4.0])], 0.0, 2.0)
def test_the_exact_rule(gradients, max_norm, p):
    parameters = with_gradients(*gradients)
    norm = exact_norm(np.concatenate([g.ravel() for g in gradients]), p)
    returned = clip_grad_norm_(parameters, max_norm, p)
    assert type(returned) is float
    assert returned == pytest.approx(norm, rel=1e-12, abs=1e-300)
    for parameter, g in zip(parameters, gradients, strict=True):
        if returned > max_norm:
            expected = [float(Decimal(max_norm) * Decimal(x) / Decimal(norm)) for x in g.ravel().tolist()]
            np.testing.assert_allclose(parameter.grad.numpy().ravel(), expected, rtol=1e-12, atol=1e-300)
        else:
            np.testing.assert_array_equal(parameter.grad.numpy(), g)


@given(
    st.lists(entries(np.float32, 100), min_size=1, max_size=3),
    st.floats(0.01, 10),
    st.sampled_from([1.0, 2.0, math.inf]),
)
def test_equals_torch_to_its_epsilon(gradients, max_norm, p):
    torch = pytest.importorskip("torch", reason="this test compares with PyTorch")
    assume(p < math.inf or all(g.size for g in gradients))  # PyTorch refuses the largest entry of none
    theirs = []
    for g in gradients:
        t = torch.zeros(g.shape, requires_grad=True)
        t.grad = torch.tensor(g)
        theirs.append(t)
    ours = with_gradients(*gradients)
    norm = torch.nn.utils.clip_grad_norm_(theirs, max_norm, p)
    assert clip_grad_norm_(ours, max_norm, p) == pytest.approx(norm.item(), rel=1e-5)
    for mine, its in zip(ours, theirs, strict=True):
        assert mine.grad.dtype == np.float32
        np.testing.assert_allclose(mine.grad.numpy(), its.grad.numpy(), rtol=2e-4, atol=1e-9)


@pytest.mark.parametrize(
    ("dtype", "size"),
    [(np.float32, 1e30), (np.float32, 1e-40), (np.float64, 1e200), (np.float64, 1e-300), (np.float16, 6e4)],
)
def test_nothing_overflows_or_vanishes_on_the_way(dtype, size):
    g = np.array([3, -4], dtype) / dtype(4) * dtype(size)
    (parameter,) = with_gradients(g)
    exact = math.hypot(*map(float, g))
    assert clip_grad_norm_([parameter], exact / 2) == pytest.approx(exact, rel=1e-15)
    np.testing.assert_allclose(
        parameter.grad.numpy(), g / 2, rtol=4 * np.finfo(dtype).eps, atol=np.finfo(dtype).smallest_subnormal
    )


def test_a_norm_beyond_float64_is_still_clipped():
    parameters = with_gradients(np.full(4, 1.5e308))
    assert clip_grad_norm_(parameters, 1.0) == math.inf
    np.testing.assert_allclose(parameters[0].grad.numpy(), 0.5, rtol=1e-15)


def test_within_the_bound_nothing_is_touched():
    (parameter,) = with_gradients([3.0, 4.0])
    before = parameter.grad
    clip_grad_norm_([parameter], 5.0)
    assert parameter.grad is before


def test_arrays_shared_with_others_keep_their_values():
    shared = np.array([3.0, 4.0])
    a, b = tg.nn.Parameter(np.zeros(2)), tg.nn.Parameter(np.zeros(2))
    a.grad = b.grad = tg.Tensor(shared, copy=False)
    assert clip_grad_norm_([a, b], 1.0) == pytest.approx(math.sqrt(50))
    np.testing.assert_array_equal(shared, [3.0, 4.0])
    np.testing.assert_allclose(a.grad.numpy(), np.array([3.0, 4.0]) / math.sqrt(50))
    np.testing.assert_array_equal(a.grad.numpy(), b.grad.numpy())
    a.grad = tg.Tensor(shared, copy=False)
    clip_grad_value_([a], 1.0)
    np.testing.assert_array_equal(shared, [3.0, 4.0])
    assert a.grad.tolist() == [1.0, 1.0]


def test_a_tied_parameter_counts_once_and_one_without_gradient_not_at_all():
    (parameter,) = with_gradients([3.0, 4.0])
    assert clip_grad_norm_([parameter, parameter, tg.nn.Parameter([9.0])], 1.0) == 5.0
    np.testing.assert_allclose(parameter.grad.numpy(), [0.6, 0.8])
    assert clip_grad_norm_([tg.nn.Parameter([9.0])], 1.0) == 0.0
    assert clip_grad_norm_([], 1.0) == 0.0


def test_one_tensor_and_generators_will_do():
    (parameter,) = with_gradients([3.0, 4.0])
    assert clip_grad_norm_(parameter, 10.0) == 5.0
    assert clip_grad_norm_((p for p in [parameter]), 10.0) == 5.0
    clip_grad_value_(parameter, 3.5)
    assert parameter.grad.tolist() == [3.0, 3.5]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_reported_and_left_alone(bad):
    parameters = with_gradients([3.0, bad], [4.0])
    norm = clip_grad_norm_(parameters, 1.0)
    assert not math.isfinite(norm)
    assert math.isnan(norm) == math.isnan(bad)
    np.testing.assert_array_equal(parameters[0].grad.numpy(), np.array([3.0, bad], np.float32))
    assert parameters[1].grad.tolist() == [4.0]
    with pytest.raises(RuntimeError, match="the gradients hold NaN or infinity, so that their norm is"):
        clip_grad_norm_(parameters, 1.0, error_if_nonfinite=True)


def test_clip_grad_value_equals_torch():
    torch = pytest.importorskip("torch", reason="this test compares with PyTorch")
    g = np.array([-3.0, -0.5, 0.0, 0.5, 3.0, math.inf, math.nan], np.float32)
    t = torch.zeros(7, requires_grad=True)
    t.grad = torch.tensor(g)
    torch.nn.utils.clip_grad_value_([t], 0.7)
    (parameter,) = with_gradients(g)
    clip_grad_value_([parameter], 0.7)
    np.testing.assert_array_equal(parameter.grad.numpy(), t.grad.numpy())


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda p: clip_grad_norm_([p], -1.0), ValueError, r"clip_grad_norm_: expected max_norm >= 0, got -1\.0"),
        (lambda p: clip_grad_norm_([p], math.nan), ValueError, "expected max_norm >= 0, got nan"),
        (lambda p: clip_grad_norm_([p], 1.0, 0.0), ValueError, r"expected norm_type > 0, got 0\.0"),
        (lambda p: clip_grad_norm_([p, 3], 1.0), TypeError, "clip_grad_norm_: expected tensors, got int"),
        (lambda p: clip_grad_value_([p], -1.0), ValueError, "clip_grad_value_: expected clip_value >= 0"),
        (lambda p: clip_grad_value_(["w"], 1.0), TypeError, "clip_grad_value_: expected tensors, got str"),
    ],
)
def test_errors(call, error, message):
    (parameter,) = with_gradients([3.0, 4.0])
    with pytest.raises(error, match=message):
        call(parameter)
    assert parameter.grad.tolist() == [3.0, 4.0]
