"""However it is written (function, operator, method, keyword, either side), derivative and dtype are the same."""

import operator

import numpy as np
import pytest
from peer import torch

import tinygrad_rnn as tg

from .forms import SAME, VALUES


def leaf(values=VALUES, dtype=np.float64):
    return tg.Tensor(np.asarray(values, dtype), requires_grad=True)


def gradient(y, x):
    """The gradient of a weighted sum of all of ``y``."""
    weights = np.arange(1.0, y.size + 1).reshape(y.shape)
    return tg.grad(y, x, weights)[0]


OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow]
OTHERS = {
    "int": 2,
    "float": 1.5,
    "bool": True,
    "float32": np.float32(1.5),
    "float64": np.float64(1.5),
    "int64": np.int64(2),
    "0-d array": np.array(1.5),
    "row": np.array([1.0, 2.0, 0.5]),
    "int row": np.array([1, 2, 3]),
    "bool row": np.array([True, False, True]),
    "float32 column": np.array([[1.0], [2.0]], np.float32),
    "list": [1.0, 2.0, 0.5],
    "tuple": (1, 2, 3),
    "constant tensor": tg.Tensor([1.0, 2.0, 0.5]),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("op", OPERATORS)
def test_operator_with_anything(op, side, name, dtype):
    other, x = OTHERS[name], leaf(dtype=dtype)
    bare = other.numpy() if isinstance(other, tg.Tensor) else other
    if op is operator.truediv and side == "right" and name == "bool row":
        bare = other = np.array([True, True, True])  # nothing is divided by False
    y = op(x, other) if side == "right" else op(other, x)
    expected = op(VALUES.astype(dtype), bare) if side == "right" else op(bare, VALUES.astype(dtype))
    assert isinstance(y, tg.Tensor)
    assert y.dtype == expected.dtype
    np.testing.assert_array_equal(y.numpy(), expected)
    t = torch.tensor(VALUES, requires_grad=True)
    u = torch.tensor(np.asarray(bare, np.float64))
    theirs = op(t, u) if side == "right" else op(u, t)
    theirs.backward(torch.arange(1.0, y.size + 1, dtype=torch.float64).reshape(theirs.shape))
    g = gradient(y, x)
    assert g.dtype == dtype
    np.testing.assert_allclose(g.numpy(), t.grad.numpy(), rtol=1e-5 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("name", [name for name in OTHERS if "row" in name or name in ("list", "tuple")])
def test_matmul_with_anything(name):
    other, x = OTHERS[name], leaf()
    for y, expected, slope in [
        (x @ other, VALUES @ np.asarray(other), np.outer([1, 2], other)),
        (np.matmul(x, other), VALUES @ np.asarray(other), np.outer([1, 2], other)),
        (np.dot(x, other), VALUES @ np.asarray(other), np.outer([1, 2], other)),
        (other @ x.T, np.asarray(other) @ VALUES.T, np.outer([1, 2], other)),
        (np.dot(other, x.T), np.asarray(other) @ VALUES.T, np.outer([1, 2], other)),
        (np.einsum("ij,j", x, other), VALUES @ np.asarray(other), np.outer([1, 2], other)),
    ]:
        np.testing.assert_allclose(y.numpy(), expected, rtol=1e-15)
        np.testing.assert_allclose(gradient(y, x).numpy(), slope, rtol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", SAME)
def test_all_ways_of_writing_it(name, dtype):
    first, *others = SAME[name]
    x = leaf(dtype=dtype)
    y = first(x)
    np.testing.assert_allclose(y.numpy(), first(VALUES.astype(dtype)), rtol=1e-6)
    expected = gradient(y, x)
    assert expected.dtype == dtype
    for other in others:
        z = other(x)
        np.testing.assert_allclose(z.numpy(), y.numpy(), rtol=1e-6)
        g = gradient(z, x)
        assert g.dtype == dtype
        np.testing.assert_allclose(g.numpy(), expected.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", SAME)
def test_backward_and_observed_walks_agree_with_grad(name):
    # the walk has a short path, an in-place one for slices, and a slow one under anomaly detection
    x = leaf()
    expected = gradient(SAME[name][0](x), x).numpy()
    for function in SAME[name]:
        x = leaf()
        y = function(x)
        y.backward(np.arange(1.0, y.size + 1).reshape(y.shape))
        np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-6)
        with tg.detect_anomaly():
            x = leaf()
            y = function(x)
            y.backward(np.arange(1.0, y.size + 1).reshape(y.shape))
        np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-6)


def test_mixed_precision_follows_numpy():
    x32, x64 = leaf(dtype=np.float32), leaf()
    y = x32 * x64
    assert y.dtype == np.float64
    g32, g64 = tg.grad(y.sum(), [x32, x64])
    assert (g32.dtype, g64.dtype) == (np.float32, np.float64)
    joined = np.concatenate([x32, x64])
    assert joined.dtype == np.float64
    assert tg.grad(joined.sum(), x32)[0].dtype == np.float32


def test_bounds_given_by_keyword_get_their_gradients():
    x = leaf([-2.0, 0.5, 3.0])
    low, high = leaf([-1.0, -1.0, -1.0]), leaf([1.0, 1.0, 2.0])
    for y in [np.clip(x, low, high), np.clip(x, min=low, max=high), np.clip(x, a_max=high, a_min=low)]:
        gx, gl, gh = tg.grad(y, [x, low, high], np.array([1.0, 10.0, 100.0]))
        np.testing.assert_array_equal(gx.numpy(), [0, 10, 0])
        np.testing.assert_array_equal(gl.numpy(), [1, 0, 0])
        np.testing.assert_array_equal(gh.numpy(), [0, 0, 100])
    (g,) = tg.grad(np.clip(x.numpy(), low, None), low, np.ones(3))
    np.testing.assert_array_equal(g.numpy(), [1, 0, 0])


REFUSED = {
    "order that depends on the memory layout": lambda x: np.reshape(x, (3, 2), order="A").sum().backward(),
    "ravel in the memory's order": lambda x: np.ravel(x, "K").sum().backward(),
    "flatten in an order of the memory": lambda x: x.flatten("A").sum().backward(),
    "padding with statistics": lambda x: np.pad(x, 1, "mean").sum().backward(),
    "padding with a function": lambda x: np.pad(x, 1, lambda *_args: None).sum().backward(),
    "padding with statistics of a part": lambda x: np.pad(x, 1, "mean", stat_length=1),
    "padding with reflections about a point": lambda x: np.pad(x, 1, "reflect", reflect_type="odd").sum().backward(),
    "padding with several tensors": lambda x: np.pad(x, 1, constant_values=(x[0, 0], x[0, 1])),
    "differences from a given start": lambda x: np.diff(x, prepend=0),
    "moves to fewer places": lambda x: np.moveaxis(x, [0, 1], [0]),
    "stacks of unlike widths": lambda x: np.vstack([x, x[:, 1:]]),
    "tensordot of unlike axes": lambda x: np.tensordot(x, x, 1),
    "list of tensors in dot": lambda x: np.dot(x, [x[0, 0], x[0, 1], x[0, 2]]),
    "list of tensors in where": lambda x: np.where(x > 1, [x[0], x[1]], 0),
    "tuple of tensors in tensordot": lambda x: np.tensordot(x, (x[0], x[1]), ([0, 1], [0, 1])),
    "list of tensors in einsum": lambda x: np.einsum("ij,ij", x, [x[0], x[1]]),
    "list of tensors in clip": lambda x: np.clip(x, [x[0], x[1]], None),
    "einsum with lists of axes": lambda x: np.einsum(x, [0, 1], [0]).sum().backward(),
    "bound given twice": lambda x: np.clip(x, 0, None, min=1),
    "unknown keyword of take": lambda x: np.take(x, [0], mode="clip"),
    "unknown keyword of sum": lambda x: np.sum(x, where=VALUES > 1),
    "start of max": lambda x: np.max(x, initial=0),
    "mean of var": lambda x: np.var(x, mean=1.0),
    "dtype of a ufunc": lambda x: np.add(x, x, dtype=np.float64),
    "outer": lambda x: np.add.outer(x, x),
    "at": lambda x: np.add.at(x, 0, 1),
    "accumulate without a rule": np.maximum.accumulate,
    "uneven split": lambda x: np.split(x, 2, axis=1),
    "split into none": lambda x: np.split(x, 0),
    "shapes that do not fit": lambda x: x @ x,
    "index out of range": lambda x: x[5],
    "take out of range": lambda x: x.take([7]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_a_word_of_explanation(name):
    x = leaf()
    with pytest.raises(
        (TypeError, ValueError, IndexError), match=r"[a-z]+( at [a-z/]+)?: .{10}|np\.\w+\.\w+ is not defined"
    ):
        REFUSED[name](x)
    assert x.grad is None
