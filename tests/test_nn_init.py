"""Initialisers: distributions, and that their writes are seen."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg

init = tg.nn.init

DRAWN = [
    (lambda t: init.uniform_(t, -2, 4), "uniform", (-2, 4)),
    (lambda t: init.normal_(t, 1.0, 0.5), "normal", (1.0, 0.5)),
    (lambda t: init.xavier_uniform_(t, gain=2.0), "uniform", (-2 * math.sqrt(6 / 500), 2 * math.sqrt(6 / 500))),
    (lambda t: init.xavier_normal_(t, gain=2.0), "normal", (0.0, 2 * math.sqrt(2 / 500))),
    (lambda t: init.kaiming_uniform_(t, a=math.sqrt(5)), "uniform", (-math.sqrt(1 / 300), math.sqrt(1 / 300))),
    (
        lambda t: init.kaiming_uniform_(t, mode="fan_out", nonlinearity="tanh"),
        "uniform",
        (-5 / 3 * math.sqrt(3 / 200), 5 / 3 * math.sqrt(3 / 200)),
    ),
]


@pytest.mark.parametrize(("fill", "kind", "numbers"), DRAWN)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_distributions(fill, kind, numbers, dtype):
    t = tg.nn.Parameter(np.zeros((200, 300), dtype))
    assert fill(t) is t
    values = t.numpy()
    assert values.dtype == dtype
    if kind == "uniform":
        low, high = numbers
        spread = high - low
        assert low <= values.min() < low + spread / 1000
        assert high - spread / 1000 < values.max() <= high + 1e-6
        assert abs(values.mean() - (low + high) / 2) < spread / 100
        assert abs(values.std() - spread / math.sqrt(12)) < spread / 100
    else:
        mean, deviation = numbers
        assert abs(values.mean() - mean) < deviation / 50
        assert abs(values.std() - deviation) < deviation / 50


def test_fans_of_more_than_two_axes_equal_torchs():
    torch = pytest.importorskip("torch", reason="this test compares with PyTorch")
    theirs = torch.nn.init._calculate_fan_in_and_fan_out(torch.empty(4, 3, 5, 2))
    assert init._fans(tg.Tensor(np.empty((4, 3, 5, 2))), "xavier_uniform_") == theirs
    for name in ("linear", "sigmoid", "tanh", "relu", "selu"):
        assert init.calculate_gain(name) == pytest.approx(torch.nn.init.calculate_gain(name))
    assert init.calculate_gain("leaky_relu", 0.3) == pytest.approx(torch.nn.init.calculate_gain("leaky_relu", 0.3))


@given(st.integers(0, 5), st.integers(1, 3), st.integers(1, 3), st.sampled_from([1.0, 2.5]))
def test_orthogonal(rows, width, depth, gain):
    q = init.orthogonal_(tg.Tensor(np.empty((rows, width, depth))), gain).numpy().reshape(rows, width * depth)
    product = q @ q.T if rows <= width * depth else q.T @ q
    np.testing.assert_allclose(product, gain**2 * np.eye(len(product)), atol=1e-12)


def test_orthogonal_is_uniform_in_its_sign():
    signs = [init.orthogonal_(tg.Tensor(np.empty((1, 1)))).item() for _ in range(100)]
    assert 25 < signs.count(1.0) < 75
    assert set(signs) == {1.0, -1.0}


def test_constants_and_identity():
    t = tg.Tensor(np.empty((2, 3), np.float32))
    assert init.zeros_(t).tolist() == [[0.0] * 3] * 2
    assert init.ones_(t).tolist() == [[1.0] * 3] * 2
    assert init.constant_(t, 0.5).tolist() == [[0.5] * 3] * 2
    assert init.identity_(t, gain=2.0).tolist() == [[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]]


def test_the_seed_decides():
    drawn = []
    for seed in (3, 3, 4):
        tg.manual_seed(seed)
        drawn.append(tg.nn.LSTM(2, 3).state_dict()["weight_hh_l0"].tolist())
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_write_after_the_forward_pass_is_noticed():
    w, x = tg.nn.Parameter([2.0]), tg.Tensor([3.0], requires_grad=True)
    y = (w * x).sum()
    init.ones_(w)
    with pytest.raises(RuntimeError, match="modified in place"):
        y.backward()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: init.identity_(tg.Tensor([1.0])), ValueError, r"identity_: expected a matrix, got shape \(1,\)"),
        (lambda: init.orthogonal_(tg.Tensor([1.0])), ValueError, "orthogonal_: expected at least 2 axes"),
        (
            lambda: init.xavier_normal_(tg.Tensor([1.0])),
            ValueError,
            r"xavier_normal_: expected at least 2 axes, \(out, in",
        ),
        (
            lambda: init.kaiming_uniform_(tg.Tensor([[1.0]]), mode="in"),
            ValueError,
            "expected mode 'fan_in' or 'fan_out'",
        ),
        (
            lambda: init.kaiming_uniform_(tg.Tensor([[1.0]]), nonlinearity="x"),
            ValueError,
            "calculate_gain: expected one of",
        ),
        (lambda: init.normal_(tg.Tensor([1.0]), std=-1), ValueError, "normal_: expected std >= 0, got -1"),
        (lambda: init.uniform_(tg.Tensor([1.0]), 1.0, 0.0), ValueError, "uniform_: expected a <= b, got a=1.0, b=0.0"),
        (lambda: init.zeros_(np.zeros(2)), TypeError, "init: expected a tensor to write into, got ndarray"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()
