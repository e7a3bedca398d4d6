"""What tg.functional accepts: arrays, lists and integers too; and what it says of anything else."""

import math
import re

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.functional import kernels

F = tg.functional
X = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)
CALLS = {
    "binary_cross_entropy_with_logits": lambda x: F.binary_cross_entropy_with_logits(x, np.ones(x.shape)),
    "binary_threshold": F.binary_threshold,
    "cross_entropy": lambda x: F.cross_entropy(x, [0, 2], weight=np.ones(3)),
    "cross_entropy of probabilities": lambda x: F.cross_entropy(x, np.full(x.shape, 1 / 3)),
    "dropout": F.dropout,
    "elu": F.elu,
    "embedding": lambda x: F.embedding([0, 1], x),
    "hardtanh": F.hardtanh,
    "l1_loss": lambda x: F.l1_loss(x, np.zeros(x.shape)),
    "layer_norm": lambda x: F.layer_norm(x, 3, np.ones(3), np.zeros(3)),
    "leaky_relu": F.leaky_relu,
    "linear": lambda x: F.linear(x, np.ones((4, 3), np.float32), np.zeros(4, np.float32)),
    "log_softmax": F.log_softmax,
    "logsumexp": F.logsumexp,
    "mse_loss": lambda x: F.mse_loss(x, np.zeros(x.shape, np.int64)),
    "nll_loss": lambda x: F.nll_loss(x, np.array([0, 2], np.uint8)),
    "relu": F.relu,
    "sigmoid": F.sigmoid,
    "silu": F.silu,
    "softmax": F.softmax,
    "softplus": F.softplus,
}
calls = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


def test_every_function_of_floats_is_called():
    assert {name.split()[0] for name in CALLS} | {"one_hot"} == set(F.__all__)


@calls
def test_arrays_lists_and_tensors_are_all_the_same(call):
    answers = []
    for x in (X, tg.Tensor(X), tg.Tensor(X, requires_grad=True)):
        tg.manual_seed(0)
        answers.append(call(x))
    assert all(isinstance(y, tg.Tensor) and y.dtype == np.float32 for y in answers)
    assert [y.requires_grad for y in answers] == [False, False, True]
    np.testing.assert_array_equal(answers[0].numpy(), answers[1].numpy())
    np.testing.assert_array_equal(answers[0].numpy(), answers[2].numpy())


def test_lists_take_the_default_dtype():
    assert F.sigmoid([0.0]).dtype == np.float32
    tg.set_default_dtype(np.float64)
    assert F.sigmoid([0.0]).dtype == F.sigmoid([0]).dtype == F.softmax(np.array([True])).dtype == np.float64


@calls
def test_integers_become_the_default_dtype(call):
    y = call(np.arange(6).reshape(2, 3))
    assert y.dtype == np.float32


OPTIONS = {
    "binary_cross_entropy_with_logits": lambda x, of: F.binary_cross_entropy_with_logits(x, X > 0, of(2), "sum", of(3)),
    "cross_entropy": lambda x, of: F.cross_entropy(x, [0, 2], label_smoothing=of(0.25)),
    "cross_entropy, weighted": lambda x, of: F.cross_entropy(
        x, [0, 2], weight=[of(1), of(2), of(3)], label_smoothing=of(0.25), reduction="none"
    ),
    "cross_entropy of probabilities": lambda x, of: F.cross_entropy(
        x, np.full(x.shape, of(0.5)), label_smoothing=of(0.25)
    ),
    "dropout": lambda x, of: F.dropout(x, of(0.5)),
    "dropout of everything": lambda x, of: F.dropout(x, of(1)),
    "elu": lambda x, of: F.elu(x, of(1.5)),
    "hardtanh": lambda x, of: F.hardtanh(x, of(-0.5), of(0.5)),
    "layer_norm": lambda x, of: F.layer_norm(x, 3, eps=of(0.125)),
    "leaky_relu": lambda x, of: F.leaky_relu(x, of(0.25)),
    "nll_loss": lambda x, of: F.nll_loss(x, [0, 2], weight=[of(1), of(2), of(3)]),
    "softplus": lambda x, of: F.softplus(x, of(2), of(1)),
}


@pytest.mark.parametrize("of", [np.float64, np.float32, np.longdouble, np.array], ids=lambda of: of.__name__)
@pytest.mark.parametrize("call", OPTIONS.values(), ids=OPTIONS)
def test_options_as_numpy_scalars_leave_float32_alone(call, of):
    """NumPy promotes float32 by a float64 scalar, unlike by a Python number (NEP 50)."""
    found = []
    for option in (float, of):
        tg.manual_seed(0)
        x = tg.Tensor(X, requires_grad=True)
        y = call(x, option)
        (first,) = tg.grad((y * y).sum(), x, create_graph=True)
        assert y.dtype == first.dtype == np.float32
        found += [y.numpy(), first.numpy()]
    np.testing.assert_array_equal(found[0], found[2])
    np.testing.assert_array_equal(found[1], found[3])


def test_a_normalized_shape_may_be_a_numpy_integer():
    np.testing.assert_array_equal(F.layer_norm(X, np.int64(3)).numpy(), F.layer_norm(X, 3).numpy())


@calls
def test_nothing_given_is_written_into(call):
    x = X.copy()
    t = tg.Tensor(x, requires_grad=True, copy=False)
    x.flags.writeable = False
    y = call(t)
    tg.grad(y, t, np.ones(y.shape, np.float32))


@calls
def test_no_grad_records_nothing(call):
    with tg.no_grad():
        assert call(tg.Tensor(X, requires_grad=True)).node is None


@calls
def test_complex_numbers_are_refused(call):
    with pytest.raises(TypeError, match="expected real numbers, got complex"):
        call(X.astype(np.complex64))


@pytest.mark.parametrize(
    "name", [name for name in CALLS if "loss" not in name and "cross" not in name and name != "logsumexp"]
)
def test_one_call_is_one_node_of_its_name(name):
    t = tg.Tensor(X, requires_grad=True)
    node = (F.layer_norm(t, 3) if name == "layer_norm" else CALLS[name](t)).node
    assert node.primitive.name == name
    assert node.parents[0] is t.node


def test_cross_entropy_is_one_node():
    t = tg.Tensor(X, requires_grad=True)
    loss = F.cross_entropy(t, [0, 2], weight=[1.0, 2.0, 3.0], label_smoothing=0.1)
    assert loss.node.primitive.name == "cross_entropy"
    assert loss.node.parents[0] is t.node


def test_one_hot_is_torchs():
    torch = pytest.importorskip("torch", reason="one_hot is compared with PyTorch's")
    for index, classes in (([[0, 2], [1, 1]], -1), ([[0, 2], [1, 1]], 5), (1, -1), (1, 3), (np.zeros((0, 2), int), 4)):
        ours = F.one_hot(index, classes)
        theirs = torch.nn.functional.one_hot(torch.tensor(index, dtype=torch.int64), classes)
        assert ours.dtype == np.int64
        assert not ours.requires_grad
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32, np.uint64])
def test_indices_may_be_any_integers(dtype):
    index = np.array([2, 0, 2], dtype)
    table = tg.Tensor(np.arange(300 * 2.0).reshape(300, 2), requires_grad=True)
    for given in (index, tg.Tensor(index)):
        y = F.embedding(given, table)
        assert y.tolist() == [[4, 5], [0, 1], [4, 5]]
        assert tg.grad(y.sum(), table)[0].tolist()[:3] == [[1, 1], [0, 0], [2, 2]]
        assert F.one_hot(given).tolist() == [[0, 0, 1], [1, 0, 0], [0, 0, 1]]
        assert F.cross_entropy(np.zeros((3, 4)), given).item() == pytest.approx(math.log(4))


def test_empty_lists_are_no_indices_at_all():
    assert F.embedding([], np.zeros((3, 2))).shape == (0, 2)
    assert F.one_hot([], 3).shape == (0, 3)
    assert F.cross_entropy(np.zeros((0, 3)), [], reduction="sum").item() == 0


def test_the_class_axis_is_torchs_unless_told():
    scores = np.random.default_rng(0).normal(size=(2, 5, 3))
    a = F.cross_entropy(scores, np.ones((2, 3), int), reduction="none")
    b = F.cross_entropy(scores.swapaxes(1, 2), np.ones((2, 3), int), axis=-1, reduction="none")
    np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-14)
    assert F.cross_entropy([0.0, 0.0], 1).item() == pytest.approx(math.log(2))


def test_probabilities_may_need_a_gradient_and_the_rest_may_not():
    p = tg.Tensor(np.full((2, 3), 1 / 3), requires_grad=True)
    loss = F.cross_entropy(X.astype(np.float64), p)
    np.testing.assert_allclose(tg.grad(loss, p)[0].numpy(), -F.log_softmax(X.astype(np.float64)).numpy() / 2)


WEIGHT = tg.Tensor(np.ones(3), requires_grad=True)
MISTAKES = [
    (
        lambda: F.cross_entropy(X, [0, 3]),
        IndexError,
        "expected 0 <= target < 3 (or -100, which is ignored), got 3 at (1,)",
    ),
    (lambda: F.cross_entropy(X, [0, -1]), IndexError, "got -1 at (1,)"),
    (lambda: F.nll_loss(X, [5, 0]), IndexError, "nll_loss: expected 0 <= target < 3"),
    (lambda: F.cross_entropy(np.zeros((2, 0)), [0, 0]), IndexError, "expected 0 <= target < 0"),
    (
        lambda: F.cross_entropy(X, [0, 1, 2]),
        ValueError,
        "expected class indices of shape (2,) for an input of shape (2, 3) with its classes along axis 1, got (3,)",
    ),
    (lambda: F.cross_entropy(X, np.zeros((2, 3), int)), ValueError, "expected class indices of shape (2,)"),
    (lambda: F.cross_entropy(np.zeros((4, 2, 5)), np.zeros((4, 2), int)), ValueError, "along axis 1, got (4, 2)"),
    (
        lambda: F.cross_entropy(X, np.zeros(2)),
        ValueError,
        "expected class probabilities (floats) of the input's shape (2, 3), or class indices (integers) of shape (2,)",
    ),
    (lambda: F.nll_loss(X, np.zeros((2, 3))), TypeError, "expected class indices as integers, got float64"),
    (lambda: F.cross_entropy(X, [True, False]), TypeError, "expected class indices as integers, got bool"),
    (lambda: F.cross_entropy(X, [0, 1], reduction="avg"), ValueError, "'mean', 'sum' or 'none', got 'avg'"),
    (lambda: F.cross_entropy(X, [0, 1], label_smoothing=1.5), ValueError, "0 <= label_smoothing <= 1, got 1.5"),
    (lambda: F.cross_entropy(X, [0, 1], weight=[1.0]), ValueError, "expected weight of shape (3,), got (1,)"),
    (lambda: F.cross_entropy(X, [0, 1], weight=WEIGHT), TypeError, "pass weight.detach()"),
    (lambda: F.cross_entropy(X, [0, 1], axis=2), ValueError, "axis 2 is out of range for an input of shape (2, 3)"),
    (lambda: F.cross_entropy(X, X, ignore_index=0), ValueError, "ignore_index 0 means nothing for class probabilities"),
    (lambda: F.cross_entropy(1.0, 0), ValueError, "got a scalar"),
    (lambda: F.mse_loss(X, X[:1]), ValueError, "mse_loss: expected a target of the input's shape (2, 3), got (1, 3)"),
    (lambda: F.l1_loss(X, 0.0), ValueError, "l1_loss: expected a target of the input's shape (2, 3), got ()"),
    (lambda: F.mse_loss(X, X, "average"), ValueError, "got 'average'"),
    (lambda: F.binary_cross_entropy_with_logits(X, X[0]), ValueError, "of the input's shape (2, 3), got (3,)"),
    (lambda: F.binary_cross_entropy_with_logits(X, X, reduction=None), ValueError, "got None"),
    (lambda: F.embedding([0, 2], X), IndexError, "embedding: expected 0 <= index < 2, got 2 at (1,)"),
    (lambda: F.embedding([[0], [-1]], X), IndexError, "got -1 at (1, 0)"),
    (lambda: F.embedding([0.0], X), TypeError, "embedding: expected indices as integers, got float64 of shape (1,)"),
    (lambda: F.embedding([0], X[0]), ValueError, "expected a weight of shape (V, H), got (3,)"),
    (lambda: F.embedding([0], X, padding_idx=2), ValueError, "padding_idx 2 is out of range for 2 rows"),
    (lambda: F.one_hot([0.5]), TypeError, "one_hot: expected indices as integers"),
    (lambda: F.one_hot([0, -1]), IndexError, "got -1 at (1,)"),
    (lambda: F.one_hot([0, 3], 3), IndexError, "expected 0 <= index < 3, got 3 at (1,)"),
    (lambda: F.one_hot([]), ValueError, "pass num_classes"),
    (lambda: F.one_hot([0], 0), ValueError, "expected num_classes >= 1"),
    (lambda: F.dropout(X, 1.5), ValueError, "expected a probability 0 <= p <= 1, got 1.5"),
    (lambda: F.dropout(X, math.nan), ValueError, "got nan"),
    (lambda: F.layer_norm(X, 2), ValueError, "expected an input of shape (..., 2), got (2, 3)"),
    (lambda: F.layer_norm(X, (4, 2, 3)), ValueError, "expected an input of shape (..., 4, 2, 3), got (2, 3)"),
    (lambda: F.layer_norm(X, ()), ValueError, "expected normalized_shape to name at least one axis"),
    (lambda: F.layer_norm(X, 3, np.ones(1)), ValueError, "expected weight of shape (3,), got (1,)"),
    (lambda: F.layer_norm(X, 3, None, np.ones((1, 3))), ValueError, "expected bias of shape (3,), got (1, 3)"),
    (lambda: F.hardtanh(X, 1, -1), ValueError, "expected min_val <= max_val, got 1.0 > -1.0"),
    (lambda: F.elu(X, "1"), TypeError, "elu: expected alpha to be a number (a constant, without a gradient), got '1'"),
    (lambda: F.leaky_relu(X, WEIGHT), TypeError, "leaky_relu: expected negative_slope to be a number"),
    (lambda: F.layer_norm(X, 3, eps=None), TypeError, "layer_norm: expected eps to be a number"),
    (lambda: F.dropout(X, np.full(3, 0.5)), TypeError, "dropout: expected p to be a number"),
    (lambda: F.softplus(X, beta=0), ValueError, "expected beta > 0, got 0"),
    (lambda: F.softmax(X, axis=2), (ValueError, IndexError), "softmax: axis 2 is out of bounds"),
    (lambda: F.logsumexp(tg.Tensor(X, requires_grad=True), axis=5), (ValueError, IndexError), "logsumexp: axis 5"),
    (lambda: F.relu("text"), TypeError, "expected numbers"),
]


@pytest.mark.parametrize(("call", "kind", "words"), MISTAKES)
def test_mistakes_are_named(call, kind, words):
    with pytest.raises(kind, match=re.escape(words)):
        call()


def test_mistakes_say_where():
    with tg.scope("decoder", step=3), pytest.raises(IndexError, match="cross_entropy at decoder, t=3: expected 0 <="):
        F.cross_entropy(X, [0, 9])


def test_every_kernel_belongs_to_a_public_function():
    """So a primitive without a public face, and thereby without a test, cannot come in."""
    primitives = {name for name, value in vars(kernels).items() if getattr(value, "__wrapped__", None)}
    assert primitives - {"primitive", "scatter", "binary_cross_entropy"} <= set(F.__all__)
