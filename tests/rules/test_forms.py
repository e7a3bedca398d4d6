"""However it is written (function, operator, method, keyword, either side), derivative and dtype are the same."""

import operator

import numpy as np
import pytest
from peer import torch

import tinygrad_rnn as tg

VALUES = np.array([[0.5, 1.5, 2.0], [3.0, 0.25, 1.0]])


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


# Each line: one thing, written in several ways.
SAME = {
    "sum of two axes": [lambda x: np.sum(x, axis=(0, 1)), lambda x: x.sum(axis=(0, 1)), lambda x: x.sum((-1, 0))],
    "sum of none": [lambda x: np.sum(x, ()), lambda x: x.sum(axis=()), lambda x: x * 1],
    "sum": [lambda x: np.sum(x, 0), lambda x: x.sum(0), np.add.reduce, lambda x: np.add.reduce(x, axis=0)],
    "sum kept": [
        lambda x: np.sum(x, 1, keepdims=True),
        lambda x: x.sum(1, keepdims=True),
        lambda x: np.add.reduce(x, axis=1, keepdims=True),
        lambda x: np.add.reduce(x, 1, None, None, True),
        lambda x: np.sum(a=x, axis=-1, keepdims=True),
    ],
    "sum in another dtype": [lambda x: np.sum(x, dtype=np.float64), lambda x: x.sum(None, np.float64)],
    "mean": [lambda x: np.mean(x, 1), lambda x: x.mean(axis=1), lambda x: np.mean(x, axis=-1, dtype=np.float64)],
    "max": [lambda x: np.max(x, 0), lambda x: np.amax(x, 0), lambda x: x.max(0), np.maximum.reduce],
    "min": [lambda x: np.min(x, 0), lambda x: np.amin(x, 0), lambda x: x.min(axis=0), np.minimum.reduce],
    "var": [lambda x: np.var(x, 0, ddof=1), lambda x: x.var(0, ddof=1), lambda x: np.var(x, 0, None, None, 1)],
    "std": [lambda x: np.std(x, 0), lambda x: x.std(0), lambda x: np.sqrt(np.var(x, 0))],
    "cumsum": [lambda x: np.cumsum(x, 0), lambda x: x.cumsum(0), np.add.accumulate],
    "power": [
        lambda x: x**3,
        lambda x: np.power(x, 3),
        lambda x: np.pow(x, 3),
        lambda x: pow(x, 3),
        lambda x: x * x * x,
    ],
    "square": [lambda x: x**2, np.square, lambda x: x * x, lambda x: x**2.0],
    "root": [lambda x: x**0.5, np.sqrt],
    "reciprocal": [lambda x: 1 / x, np.reciprocal, lambda x: x**-1],
    "negative": [lambda x: -x, np.negative, lambda x: 0 - x],
    "absolute": [abs, np.abs, np.absolute],
    "copy": [lambda x: +x, np.copy, lambda x: x.copy(), lambda x: np.where(True, x, 0)],
    "clip": [
        lambda x: np.clip(x, 0.4, 1.75),
        lambda x: np.clip(x, a_min=0.4, a_max=1.75),
        lambda x: np.clip(x, min=0.4, max=1.75),
        lambda x: np.clip(x, 0.4, a_max=1.75),
        lambda x: x.clip(0.4, 1.75),
        lambda x: x.clip(max=1.75, min=0.4),
        lambda x: np.minimum(np.maximum(x, 0.4), 1.75),
    ],
    "clip one side": [
        lambda x: np.clip(x, None, 1.75),
        lambda x: np.clip(x, max=1.75),
        lambda x: x.clip(max=1.75),
        lambda x: np.minimum(1.75, x),
    ],
    "transpose": [
        lambda x: x.T,
        np.transpose,
        lambda x: x.transpose(),
        lambda x: x.transpose(1, 0),
        lambda x: x.transpose((-1, 0)),
        lambda x: np.transpose(a=x, axes=[1, 0]),
        lambda x: np.permute_dims(x, (1, 0)),
        lambda x: x.mT,
        lambda x: x.swapaxes(0, 1),
        lambda x: np.swapaxes(x, axis1=-1, axis2=0),
        lambda x: np.einsum("ij->ji", x),
        lambda x: np.einsum("ji", x),
        lambda x: np.einsum(" b ... a ", x),
    ],
    "reshape": [
        lambda x: x.reshape(3, 2),
        lambda x: x.reshape((3, -1)),
        lambda x: np.reshape(x, (3, 2)),
        lambda x: np.reshape(x, shape=(-1, 2), order="C"),
        lambda x: np.stack(np.split(x.reshape(-1), 3)),
    ],
    "reshape in Fortran's order": [lambda x: np.reshape(x, (3, 2), "F"), lambda x: x.T.reshape(2, 3).T],
    "new axis": [
        lambda x: x[:, None],
        lambda x: np.expand_dims(x, 1),
        lambda x: np.expand_dims(x, axis=-2),
        lambda x: x.reshape(2, 1, 3),
        lambda x: np.squeeze(np.expand_dims(x, (0, 2)), axis=0),
    ],
    "squeeze": [
        lambda x: x[:1].squeeze(),
        lambda x: np.squeeze(x[:1], 0),
        lambda x: x[:1].squeeze(axis=-2),
        lambda x: x[0],
    ],
    "broadcast": [
        lambda x: np.broadcast_to(x, (2, 2, 3)),
        lambda x: np.broadcast_to(x, shape=(2, 2, 3)),
        lambda x: np.stack([x, x]),
        lambda x: x + np.zeros((2, 1, 1)),
    ],
    "concatenate": [
        lambda x: np.concatenate([x, x]),
        lambda x: np.concatenate((x, x), axis=-2),
        lambda x: np.concat([x, x]),
        lambda x: np.concatenate(np.stack([x, x])),
        lambda x: np.concatenate([x.reshape(-1), x], axis=None).reshape(4, 3),
    ],
    "stack": [
        lambda x: np.stack(list(x), axis=1),
        lambda x: np.stack(tuple(x), -1),
        lambda x: np.stack(x, axis=1),
        lambda x: x.T,
    ],
    "flip": [
        lambda x: np.flip(x, 1),
        lambda x: np.flip(m=x, axis=-1),
        lambda x: x[:, ::-1],
        lambda x: x[..., [2, 1, 0]],
    ],
    "split": [
        lambda x: np.split(x, 3, axis=1)[1],
        lambda x: np.split(x, np.int64(3), 1)[1],
        lambda x: np.split(ary=x, indices_or_sections=[1, 2], axis=-1)[1],
        lambda x: x[:, 1:2],
    ],
    "take": [
        lambda x: np.take(x, [0, 0, 2], axis=1),
        lambda x: x.take([0, 0, 2], 1),
        lambda x: np.take(a=x, indices=np.array([0, 0, -1]), axis=-1),
        lambda x: x[:, [0, 0, 2]],
        lambda x: x.take(tg.Tensor([0, 0, 2]), -1),
    ],
    "entries": [lambda x: x[[0, 1, 1], [2, 0, 0]], lambda x: x[(0, 1, 1), (2, 0, 0)], lambda x: x.take([2, 3, 3])],
    "rows": [
        lambda x: x[[0, 0, 1]],
        lambda x: x[(0, 0, 1),],
        lambda x: x[np.array([0, 0, -1])],
        lambda x: x.take([0, 0, 1], 0),
    ],
    "mask": [
        lambda x: x[VALUES > 1],
        lambda x: x[x > 1],
        lambda x: x[(VALUES > 1).tolist()],
        lambda x: x[np.nonzero(x > 1)],
    ],
    "iteration": [sum, lambda x: x[0] + x[1], lambda x: x.sum(0)],
    "dot": [lambda x: x @ x.T, lambda x: np.dot(x, x.T), lambda x: x.dot(x.T), lambda x: np.einsum("ij,kj->ik", x, x)],
    "dot with a number": [lambda x: np.dot(x, 2.0), lambda x: np.dot(np.array(2.0), x), lambda x: 2 * x],
    "trace": [lambda x: np.einsum("ii", x[:, :2]), lambda x: x[0, 0] + x[1, 1]],
    "full_like": [
        lambda x: np.full_like(x, x[0, 1]),
        lambda x: np.full_like(a=x, fill_value=x[0, 1]),
        lambda x: x[0, 1] + 0 * x,
    ],
    "astype": [lambda x: x.astype(np.float32), lambda x: x.astype("float32"), lambda x: x.astype(np.dtype("f4"))],
    "into float64": [lambda x: x.astype(np.float64), lambda x: x * np.float64(1)],
}


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
