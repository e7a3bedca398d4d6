"""tg.functional where numbers are large, tiny, infinite or missing; and the lecture's own numbers."""

import math
import warnings
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import tinygrad_rnn as tg

F = tg.functional
EXTREMES = [0.0, -0.0, 1.0, -1.0, 40.0, -40.0, 88.0, -88.0, 104.0, -104.0, 710.0, -746.0, 1e4, -1e4, 1e30, -1e30]


@pytest.fixture
def warnings_are_errors():
    with warnings.catch_warnings(), np.errstate(over="raise", divide="raise", invalid="raise"):
        warnings.simplefilter("error")
        yield


def with_derivative(function, x):
    t = tg.Tensor(x, requires_grad=True)
    y = function(t)
    return y.numpy(), tg.grad(y, t, np.ones_like(y.numpy()))[0].numpy()


def exact(x):
    """sigmoid, its derivative, and softplus, with 700 digits to spare."""
    with localcontext() as context:
        context.prec = 700
        e = Decimal(float(x)).exp()
        return float(e / (1 + e)), float(e / (1 + e) ** 2), float((1 + e).ln())


@given(x=st.floats(-700, 700))
@example(x=-40.0)
@example(x=40.0)
@example(x=-700.0)
@example(x=700.0)
def test_sigmoid_and_softplus_have_all_their_digits_in_float64(x):
    y, dy, soft = exact(x)
    found, derivative = with_derivative(F.sigmoid, np.array([x]))
    assert found[0] == pytest.approx(y, rel=1e-15, abs=0)
    assert derivative[0] == pytest.approx(dy, rel=1e-15, abs=2.3e-16 if x > 0 else 0)  # y (1 - y): y rounds to 1
    found, derivative = with_derivative(lambda t: F.softplus(t, threshold=math.inf), np.array([x]))
    assert found[0] == pytest.approx(soft, rel=1e-15, abs=0)
    assert derivative[0] == pytest.approx(y, rel=1e-15, abs=0)


@given(x=st.floats(-85, 85, width=32))
@example(x=-40.0)
@example(x=40.0)
def test_sigmoid_and_softplus_have_all_their_digits_in_float32(x):
    y, dy, soft = exact(x)
    found, derivative = with_derivative(F.sigmoid, np.array([x], np.float32))
    assert found.dtype == derivative.dtype == np.float32
    assert found[0] == pytest.approx(y, rel=5e-7, abs=0)
    assert derivative[0] == pytest.approx(dy, rel=5e-7, abs=1.2e-7 if x > 0 else 0)
    found, _ = with_derivative(lambda t: F.softplus(t, threshold=math.inf), np.array([x], np.float32))
    assert found[0] == pytest.approx(soft, rel=5e-7, abs=0)


def test_sigmoids_higher_derivatives_have_all_their_digits_in_the_lower_tail():
    x = tg.Tensor(-40.0, dtype=np.float64, requires_grad=True)
    y = F.sigmoid(x)
    for _ in range(4):  # there each derivative is exp(-40), to 17 digits
        assert y.item() == pytest.approx(math.exp(-40), rel=1e-15, abs=0)
        (y,) = tg.grad(y, x, create_graph=True)


def test_sigmoid_of_infinities_and_nan():
    np.testing.assert_array_equal(F.sigmoid([-math.inf, math.inf, math.nan]).numpy(), np.array([0, 1, np.nan], "f"))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("name", ["sigmoid", "relu", "leaky_relu", "elu", "silu", "softplus", "hardtanh"])
def test_activations_of_extremes_do_not_overflow(name, dtype, warnings_are_errors):
    x = np.array([v for v in EXTREMES if abs(v) < float(np.finfo(dtype).max)], dtype)
    y, derivative = with_derivative(getattr(F, name), x)
    assert y.dtype == derivative.dtype == dtype
    assert np.isfinite(y).all()
    assert np.isfinite(derivative).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_and_its_kin_at_ten_thousand(dtype, warnings_are_errors):
    x = np.array([1e4, 1e4, -1e4], dtype)
    for function, value in (
        (F.softmax, [0.5, 0.5, 0]),
        (F.log_softmax, [-math.log(2), -math.log(2), -2e4 - math.log(2)]),
        (F.logsumexp, 1e4 + math.log(2)),
    ):
        y, derivative = with_derivative(function, x)
        np.testing.assert_allclose(y, np.array(value, dtype), rtol=1e-6)
        assert y.dtype == derivative.dtype == dtype
        assert np.isfinite(derivative).all()
    np.testing.assert_array_equal(with_derivative(F.logsumexp, x)[1], np.array([0.5, 0.5, 0], dtype))


@pytest.mark.parametrize("shift", [1e4, -1e4, 2.0**100, -(2.0**100)])
def test_softmax_and_its_kin_of_scores_that_are_all_large(shift, warnings_are_errors):
    x = np.array([shift, shift, -math.inf])
    np.testing.assert_array_equal(F.softmax(x).numpy(), [0.5, 0.5, 0])
    np.testing.assert_array_equal(F.log_softmax(x).numpy(), [-math.log(2), -math.log(2), -math.inf])
    assert F.logsumexp(x).item() == shift + math.log(2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cross_entropy_at_ten_thousand(dtype, warnings_are_errors):
    scores = np.array([[1e4, 0, -1e4], [1e4, 0, -1e4]], dtype)
    losses, derivative = with_derivative(lambda x: F.cross_entropy(x, [0, 2], reduction="none"), scores)
    np.testing.assert_array_equal(losses, np.array([0, 2e4], dtype))
    np.testing.assert_array_equal(derivative, np.array([[0, 0, 0], [1, 0, -1]], dtype))
    loss = F.binary_cross_entropy_with_logits(np.array([1e4, -1e4, 1e4], dtype), [1, 0, 0], reduction="none")
    np.testing.assert_array_equal(loss.numpy(), np.array([0, 0, 1e4], dtype))


def test_a_sure_and_right_prediction_keeps_its_tiny_loss():
    loss, derivative = with_derivative(
        lambda x: F.binary_cross_entropy_with_logits(x, [0.0, 1.0], reduction="none"), np.array([-40.0, 40.0])
    )
    np.testing.assert_allclose(loss, math.exp(-40), rtol=1e-15)
    np.testing.assert_allclose(derivative, [math.exp(-40), -math.exp(-40)], rtol=1e-15)


def test_a_score_of_minus_infinity_is_a_class_ruled_out(warnings_are_errors):
    x = np.array([0.0, -math.inf, 0.0])
    for function, value, gradient in (
        (F.softmax, [0.5, 0, 0.5], [0, 0, 0]),
        (F.log_softmax, [-math.log(2), -math.inf, -math.log(2)], [-0.5, 1, -0.5]),
        (F.logsumexp, math.log(2), [0.5, 0, 0.5]),
        (lambda t: F.cross_entropy(t, 0), math.log(2), [-0.5, 0, 0.5]),
    ):
        y, derivative = with_derivative(function, x)
        np.testing.assert_allclose(y, value, rtol=1e-15)
        np.testing.assert_allclose(derivative, gradient, rtol=1e-15)


def test_logsumexp_of_nothing_and_of_infinities(warnings_are_errors):
    assert F.logsumexp(np.zeros((2, 0)), axis=1).tolist() == [-math.inf] * 2
    assert F.logsumexp([-math.inf, -math.inf]).item() == -math.inf
    assert F.logsumexp([math.inf, 0.0]).item() == math.inf
    assert F.softmax(np.zeros((2, 0)), axis=1).shape == F.log_softmax(np.zeros((2, 0))).shape == (2, 0)


def test_ignored_targets_get_no_gradient_even_if_there_are_no_others(warnings_are_errors):
    scores = np.array([[0.0, 1.0], [2.0, -math.inf]])
    loss, derivative = with_derivative(lambda x: F.cross_entropy(x, [-100, -100]), scores)
    assert math.isnan(loss)
    np.testing.assert_array_equal(derivative, np.zeros((2, 2)))
    loss, derivative = with_derivative(lambda x: F.cross_entropy(x, [1, -100]), scores)
    assert loss == pytest.approx(math.log1p(math.exp(-1)))
    np.testing.assert_array_equal(derivative[1], [0, 0])


@given(
    target=st.lists(st.integers(0, 4), min_size=1, max_size=6),
    smoothing=st.sampled_from([0.0, 0.1]),
    reduction=st.sampled_from(["none", "mean", "sum"]),
    seed=st.integers(0, 99),
)
def test_cross_entropy_of_indices_of_one_hot_codes_and_of_log_softmax_agree(target, smoothing, reduction, seed):
    rng = np.random.default_rng(seed)
    scores, codes = rng.normal(size=(len(target), 5)) * 5, F.one_hot(target, 5).astype(np.float64)
    options = {"reduction": reduction, "label_smoothing": smoothing}
    fused = with_derivative(lambda x: F.cross_entropy(x, target, **options).sum(), scores)
    soft = with_derivative(lambda x: F.cross_entropy(x, codes, **options).sum(), scores)
    turned = with_derivative(lambda x: F.cross_entropy(x.T, target, axis=0, **options).sum(), scores)
    for a, b, c in zip(fused, soft, turned, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(a, c, rtol=1e-12, atol=1e-12)
    if not smoothing:
        picked = with_derivative(lambda x: F.nll_loss(F.log_softmax(x), target, reduction=reduction).sum(), scores)
        for a, b in zip(fused, picked, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_layer_norm_has_mean_0_and_variance_1():
    x = np.random.default_rng(0).normal(1e3, 5, (4, 3, 50))
    y = F.layer_norm(x, (3, 50), eps=0.0).numpy()
    np.testing.assert_allclose(y.mean((1, 2)), 0, atol=1e-12)
    np.testing.assert_allclose(y.var((1, 2)), 1, rtol=1e-12)


def test_dropout_keeps_the_expectation_and_drops_what_its_seed_says():
    x = tg.Tensor(np.full((100, 1000), 3.0), requires_grad=True)
    tg.manual_seed(1)
    y = F.dropout(x, p=0.2)
    assert set(np.unique(y.numpy())) == {0, 3 / 0.8}
    assert (y.numpy() == 0).mean() == pytest.approx(0.2, abs=0.01)  # 8 standard deviations
    (g,) = tg.grad(y.sum(), x)
    np.testing.assert_array_equal(g.numpy() * 3, y.numpy())
    tg.manual_seed(1)
    np.testing.assert_array_equal(F.dropout(x, p=0.2).numpy(), y.numpy())
    assert (F.dropout(x, p=0.2).numpy() != y.numpy()).any()
    tg.manual_seed(1)
    single = F.dropout(x.numpy().astype(np.float32), p=0.2)
    np.testing.assert_array_equal(single.numpy() == 0, y.numpy() == 0)


def test_dropout_with_nothing_or_everything_to_drop():
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    assert F.dropout(x, 0.9, training=False) is x
    assert F.dropout(x, 0.0) is x
    np.testing.assert_array_equal(F.dropout(x, 1.0).numpy(), [0, 0])


@given(index=st.lists(st.integers(0, 4), max_size=8), width=st.integers(0, 3), twice=st.booleans())
def test_embedding_is_the_product_with_one_hot_codes(index, width, twice):
    rng = np.random.default_rng(0)
    table = tg.Tensor(np.asfortranarray(rng.normal(size=(5, width))), requires_grad=True)
    g = rng.normal(size=(len(index), width))
    y, product = F.embedding(index, table), F.one_hot(index, 5).astype(np.float64) @ table
    if twice:  # the second gradient is added to what the first has left
        y, product = y + F.embedding(index, table), product * 2
    np.testing.assert_allclose(y.numpy(), product.numpy(), rtol=1e-12)
    np.testing.assert_allclose(
        tg.grad(y, table, g)[0].numpy(), tg.grad(product, table, g)[0].numpy(), rtol=1e-12, atol=1e-12
    )


def test_the_gradient_of_wide_rows_is_added_up_in_blocks():
    table = tg.Tensor(np.zeros((2, 2**17 + 1)), requires_grad=True)
    y = F.embedding([1, 1, 0, 1, 1], table)
    (g,) = tg.grad((y * np.arange(1, 6)[:, None]).sum(), table)
    np.testing.assert_array_equal(g.numpy(), np.repeat([[3.0], [12.0]], table.shape[1], axis=1))


def test_parity_by_binary_threshold_units():
    """Lecture, section 1, "Computing Parity": h1 is AND, h2 is OR, y is XOR."""
    pairs = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    h = F.binary_threshold(pairs @ np.ones((2, 2), np.float32) - np.array([1.5, 0.5], np.float32))
    y = F.binary_threshold(h[:, 1] - h[:, 0] - 0.5)
    assert h.tolist() == [[0, 0], [0, 1], [0, 1], [1, 1]]
    assert y.tolist() == [0, 1, 1, 0]


def test_binary_threshold_is_recorded_with_a_gradient_of_0():
    x = tg.Tensor([-1.0, 0.0, 1.0], requires_grad=True)
    y = F.binary_threshold(x)
    assert y.node.primitive.name == "binary_threshold"
    assert tg.grad(y.sum(), x)[0].tolist() == [0, 0, 0]
