"""Pooling over time: against PyTorch, against each sequence by itself, and against a layer's own last state."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from peer import torch

import tinygrad_rnn as tg

KINDS = {"last": tg.nn.LastPooling, "mean": tg.nn.MeanPooling, "max": tg.nn.MaxPooling}
kinds = st.sampled_from(sorted(KINDS))
rubbish = st.sampled_from([math.nan, math.inf, -math.inf, 1e30])


def in_torch(kind, x):
    """One whole sequence (T, H), pooled by PyTorch."""
    return {"last": lambda: x[-1], "mean": lambda: x.mean(0), "max": lambda: x.max(0).values}[kind]()


@st.composite
def batches(draw, shortest):
    """x (T, B, H) with rubbish past the lengths, and the lengths."""
    steps, batch, width = draw(st.integers(1, 5)), draw(st.integers(0, 4)), draw(st.integers(0, 3))
    lengths = np.array(draw(st.lists(st.integers(shortest, steps), min_size=batch, max_size=batch)), int)
    x = np.random.default_rng(draw(st.integers(0, 999))).standard_normal((steps, batch, width))
    x[np.arange(steps)[:, None] >= lengths] = draw(rubbish)
    return x, lengths


@given(kinds, batches(1), st.booleans())
def test_each_sequence_is_pooled_as_torch_pools_it_alone(kind, drawn, batch_first):
    x, lengths = drawn
    mine = tg.Tensor(np.swapaxes(x, 0, 1) if batch_first else x, requires_grad=True)
    y = KINDS[kind](batch_first=batch_first)(mine, lengths)
    assert y.shape == x.shape[1:]
    assert y.dtype == np.float64
    weights = np.random.standard_normal(y.shape)
    (y * weights).sum().backward()
    gradient = np.swapaxes(mine.grad.numpy(), 0, 1) if batch_first else mine.grad.numpy()
    for b, length in enumerate(lengths):
        its = torch.tensor(x[:length, b], requires_grad=True)
        pooled = in_torch(kind, its)
        np.testing.assert_allclose(y.numpy()[b], pooled.detach().numpy(), rtol=1e-12, atol=1e-14)
        (pooled * torch.tensor(weights[b])).sum().backward()
        np.testing.assert_allclose(gradient[:length, b], its.grad.numpy(), rtol=1e-12, atol=1e-14)
        assert not gradient[length:, b].any()


@given(kinds, batches(0), st.booleans())
@example("max", (np.full((3, 1, 2), -math.inf), np.array([2])), False)
@example("max", (np.full((3, 2, 2), math.nan), np.array([0, 0])), True)
def test_padding_has_no_influence_and_a_sequence_of_length_0_gives_0(kind, drawn, batch_first):
    x, lengths = drawn
    padding = np.arange(len(x))[:, None] >= lengths
    seen = []
    for filled in (x, np.where(padding[..., None], 0, x)):
        t = tg.Tensor(np.swapaxes(filled, 0, 1) if batch_first else filled, requires_grad=True)
        y = KINDS[kind](batch_first=batch_first)(t, tg.Tensor(lengths))
        y.backward(np.ones(y.shape))
        seen.append((y.numpy(), np.swapaxes(t.grad.numpy(), 0, 1) if batch_first else t.grad.numpy()))
    (y, gradient), (clean, clean_gradient) = seen
    np.testing.assert_array_equal(y, clean)
    np.testing.assert_array_equal(gradient, clean_gradient)
    assert not y[lengths == 0].any()
    assert not gradient[padding].any()


@given(kinds, st.integers(1, 4), st.integers(1, 3), st.booleans())
def test_without_a_batch_and_without_lengths(kind, steps, width, batch_first):
    x = np.random.standard_normal((steps, width))
    pool = KINDS[kind](batch_first=batch_first)
    expected = in_torch(kind, torch.tensor(x)).numpy()
    np.testing.assert_allclose(pool(x).numpy(), expected, rtol=1e-12, atol=1e-14)
    batch = np.stack([x, x], axis=0 if batch_first else 1)
    np.testing.assert_array_equal(pool(batch).numpy(), np.stack([pool(x).numpy()] * 2))


@given(
    st.sampled_from(["RNN", "LSTM", "GRU"]),
    st.lists(st.integers(0, 4), min_size=1, max_size=3),
    st.booleans(),
    st.booleans(),
)
def test_last_pooling_is_the_layers_last_state(kind, lengths, bidirectional, batch_first):
    layer = getattr(tg.nn, kind)(2, 3, 2, bidirectional=bidirectional, batch_first=batch_first).astype(np.float64)
    x = np.random.standard_normal((len(lengths), 4, 2) if batch_first else (4, len(lengths), 2))
    output, state = layer(x, lengths=lengths)
    h_n = state[0] if kind == "LSTM" else state
    expected = np.concatenate([h_n[-2], h_n[-1]], axis=-1) if bidirectional else h_n[-1]
    pooled = tg.nn.LastPooling(batch_first, bidirectional)(output, lengths)
    np.testing.assert_array_equal(pooled.numpy(), expected.numpy())


def test_the_first_of_equal_maxima_gets_the_gradient_as_in_torch():
    x = np.array([[0.0, 1.0], [2.0, 1.0], [2.0, 0.0]])
    mine, its = tg.Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    tg.nn.MaxPooling()(mine).sum().backward()
    torch.nn.MaxPool1d(3)(its.T).sum().backward()
    np.testing.assert_array_equal(mine.grad.numpy(), its.grad.numpy())


@pytest.mark.parametrize("kind", KINDS)
def test_derivatives_of_both_orders(kind):
    pool = KINDS[kind](**({"bidirectional": True} if kind == "last" else {}))
    x = np.random.standard_normal((4, 3, 2))
    assert tg.testing.gradcheck(lambda t: pool(t, [4, 0, 2]) ** 3, (tg.Tensor(x, requires_grad=True),), order=2)


@pytest.mark.parametrize("kind", KINDS)
def test_a_nan_that_is_not_padding_stays_one(kind):
    x = np.ones((2, 2, 1))
    x[1, 0] = math.nan
    assert np.isnan(KINDS[kind]()(x, [2, 1]).numpy()).tolist() == [[True], [False]]


@pytest.mark.parametrize("kind", KINDS)
def test_no_steps_and_no_sequences(kind):
    pool = KINDS[kind]()
    assert pool(np.ones((0, 2, 3), np.float32), [0, 0]).tolist() == [[0.0] * 3] * 2
    assert pool(np.ones((0, 3), np.float32)).tolist() == [0.0] * 3
    assert pool(np.ones((2, 0, 3)), []).shape == (0, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_float32_stays_float32(kind):
    x = tg.Tensor(np.ones((3, 2, 2), np.float32), requires_grad=True)
    y = KINDS[kind]()(x, np.array([3, 1]))
    y.sum().backward()
    assert y.dtype == x.grad.dtype == np.float32


def test_repr():
    assert repr(tg.nn.LastPooling()) == "LastPooling()"
    assert repr(tg.nn.LastPooling(batch_first=True, bidirectional=True)) == (
        "LastPooling(batch_first=True, bidirectional=True)"
    )
    assert repr(tg.nn.MaxPooling(True)) == "MaxPooling(batch_first=True)"


X = np.ones((4, 2, 3))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: tg.nn.MeanPooling("mean"), TypeError, "MeanPooling: expected batch_first to be True or False, got 'm"),
        (lambda: tg.nn.LastPooling(bidirectional=2), TypeError, "LastPooling: expected bidirectional to be True or Fa"),
        (
            lambda: tg.nn.MaxPooling()(X[0, 0]),
            ValueError,
            r"MaxPooling: expected floats of shape \(T, B, H\), or \(T, ",
        ),
        (lambda: tg.nn.MaxPooling(True)(X[None]), ValueError, r"shape \(B, T, H\), .* got float64 \(1, 4, 2, 3\)"),
        (lambda: tg.nn.MeanPooling()(X.astype(int)), ValueError, r"expected floats of shape .* got int64 \(4, 2, 3\)"),
        (lambda: tg.nn.MeanPooling()(X, [1, 2, 3]), ValueError, r"whole numbers of shape \(2,\), got int64 \(3,\)"),
        (lambda: tg.nn.MeanPooling()(X, [1.0, 2.0]), ValueError, r"whole numbers of shape \(2,\), got float64 \(2,\)"),
        (lambda: tg.nn.MeanPooling()(X, [1, 5]), ValueError, r"expected lengths in 0\.\.4, got 1\.\.5"),
        (lambda: tg.nn.MeanPooling(True)(X, [1, 1, 1, 3]), ValueError, r"expected lengths in 0\.\.2, got 1\.\.3"),
        (lambda: tg.nn.MeanPooling()(X, [-1, 1]), ValueError, r"expected lengths in 0\.\.4, got -1\.\.1"),
        (lambda: tg.nn.MeanPooling()(X[:, 0], [1]), ValueError, "lengths need a batch"),
        (lambda: tg.nn.LastPooling(False, True)(X), ValueError, r"two halves of a bidirectional output, got .*4, 2, 3"),
        (lambda: tg.nn.Sequential(tg.nn.MaxPooling())(1.0), ValueError, "MaxPooling at 0: expected floats of shape"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_pooling_of_ones_own_needs_pooled():
    class Bare(tg.nn.pooling.Pooling):
        pass

    with pytest.raises(NotImplementedError, match=r"Bare has no pooled\(\)"):
        Bare()(X)
