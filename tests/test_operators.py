"""Operators, methods and indexing: ndarray's own, with NumPy's promotion, and gradients in each tensor's dtype."""

import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_rnn as tg

# --------------------------------------------------------------------------------------------------- operations

arrays = hnp.arrays(
    np.float64, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3), elements=st.floats(-5, 5)
)


@given(arrays)
def test_methods_are_those_of_ndarray(array):
    t = tg.Tensor(array)
    calls = [
        lambda a: a.sum(),
        lambda a: a.sum(keepdims=True),
        lambda a: a.reshape(-1),
        lambda a: a.reshape(a.shape),
        lambda a: a.transpose(),
        lambda a: a.astype(np.float32),
        lambda a: a.copy(),
        lambda a: a.cumsum(),
        lambda a: a.clip(-1, 1),
        lambda a: a.ravel(),
        lambda a: a.ravel(order="F"),
        lambda a: a.flatten("F"),
        lambda a: a.prod(),
        lambda a: a.prod(keepdims=True),
        lambda a: a.cumprod(),
        lambda a: a.round(),
        lambda a: a.round(decimals=1),
        lambda a: a.repeat(2),
        lambda a: a % 0.75,
        lambda a: 7 // (abs(a) + 1),
        lambda a: divmod(a, 0.75)[0],
        lambda a: divmod(7, abs(a) + 1)[1],
        lambda a: a.clip(max=0.5),
        lambda a: a.squeeze(),
        lambda a: a.all(),
        lambda a: a.any(),
        lambda a: -a,
        lambda a: +a,
        abs,
        lambda a: a.T,
        lambda a: a.item() if a.size == 1 else 0,
    ]
    if array.size:
        calls += [lambda a: a.mean(), lambda a: a.max(), lambda a: a.min(), lambda a: a.var(), lambda a: a.std()]
        calls += [lambda a: a.argmax(), lambda a: a.argmin(), lambda a: a.take([0, 0])]
    if array.ndim:
        last = array.ndim - 1
        calls += [
            lambda a: a.sum(axis=-1),
            lambda a: a.sum(0, keepdims=True),
            lambda a: a.sum(axis=(0, last) if last else 0),
            lambda a: a.cumsum(axis=0),
            lambda a: a.cumprod(axis=-1),
            lambda a: a.prod(axis=-1),
            lambda a: a.repeat([2] * len(a), axis=0),
            lambda a: a.repeat(np.arange(len(a)), 0),
            lambda a: a.argsort(),
            lambda a: a.swapaxes(0, -1),
            lambda a: a.nonzero()[0],
            lambda a: a.transpose(*range(a.ndim)[::-1]),
            lambda a: a.transpose(tuple(range(a.ndim))),
            lambda a: a.any(axis=0),
            lambda a: a.all(axis=-1, keepdims=True),
            lambda a: a[..., :1],
            len,
        ]
        if array.size:
            calls += [lambda a: a.max(axis=0), lambda a: a.min(axis=-1, keepdims=True), lambda a: a.mean(axis=0)]
            calls += [lambda a: a.std(axis=0, keepdims=True), lambda a: a.var(-1), lambda a: a.argmax(axis=-1)]
    if array.ndim > 1:
        calls += [lambda a: a.diagonal(), lambda a: a.diagonal(1, -1, 0), lambda a: a.trace(), lambda a: a.trace(-1)]
        calls += [lambda a: a.trace(axis1=-1, axis2=-2), lambda a: a.trace(dtype=np.float32)]
    for call in calls:
        expected, got = call(array), call(t)
        if isinstance(expected, (np.ndarray, np.generic)):
            assert type(got) is tg.Tensor
            assert got.dtype == expected.dtype
            assert np.array_equal(got.numpy(), expected, equal_nan=True)
        else:
            assert got == expected


@pytest.mark.parametrize(
    "other", [2, 2.5, True, np.float32(2), np.float64(2), np.int64(2), np.ones(2), np.ones(2, int)]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.bool_])
@pytest.mark.parametrize("operate", [operator.add, operator.mul, operator.truediv])
def test_promotion_is_numpys(operate, other, dtype):
    array = np.ones(2, dtype)
    for got, expected in [
        (operate(tg.Tensor(array), other), operate(array, other)),
        (operate(other, tg.Tensor(array)), operate(other, array)),
        (operate(tg.Tensor(array), tg.Tensor(other)), operate(array, np.asarray(tg.Tensor(other)))),
    ]:
        assert type(got) is tg.Tensor
        assert got.dtype == expected.dtype
        assert np.array_equal(got.numpy(), expected)


@pytest.mark.parametrize("operate", [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow])
@pytest.mark.parametrize("a", [np.float32(3), np.array([1.0, 2.0], np.float32)])
@pytest.mark.parametrize("b", [np.float64(2), np.array([3.0, 1.0])])
def test_a_gradient_has_the_dtype_of_its_tensor(operate, a, b):
    single, double = tg.Tensor(a, requires_grad=True), tg.Tensor(b, requires_grad=True)
    (operate(single, double) + operate(double, single)).sum().backward()
    assert (single.grad.dtype, double.grad.dtype) == (np.float32, np.float64)
    assert (single.grad.shape, double.grad.shape) == (single.shape, double.shape)


def test_a_gradient_keeps_its_dtype_through_casts():
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    (x.astype(np.float64) * 3).astype(np.float16).sum().backward()
    assert (x.grad.dtype, x.grad.tolist()) == (np.float32, [3.0, 3.0])


def test_a_flattened_copy_is_a_copy_and_a_raveled_one_need_not_be():
    t = tg.Tensor([[1.0, 2.0], [3.0, 4.0]])
    assert not np.shares_memory(t.flatten().data, t.data)
    assert np.shares_memory(t.ravel().data, t.data)


def test_divmod_is_the_floor_and_the_remainder_with_their_gradients():
    x, b = tg.Tensor(np.array([5.5, -5.5]), requires_grad=True), tg.Tensor(np.array(2.0), requires_grad=True)
    floor, rest = divmod(x, b)
    assert (floor.tolist(), rest.tolist()) == ([2.0, -3.0], [1.5, 0.5])
    gx, gb = tg.grad(floor.sum() * 7 + rest.sum(), [x, b])
    assert (gx.tolist(), gb.item()) == ([1.0, 1.0], 1.0)  # rest = x - 2 b and x + 3 b
    assert [part.item() for part in divmod(7, b)] == [3.0, 1.0]


def test_integer_and_boolean_results_never_require_a_gradient():
    x = tg.Tensor([1.5, -2.5], requires_grad=True)
    for result in (x.astype(int), x.astype(bool), x > 0, x.argmax(), np.argsort(x), np.sum(x, dtype=int), x.any()):
        assert result.dtype.kind in "biu"
        assert not result.requires_grad
        assert result.is_leaf
    assert not (x.astype(int) * 2.0).requires_grad


def test_complex_results_are_refused():
    x = tg.Tensor([1.5], requires_grad=True)
    for make in (lambda: x * 1j, lambda: x.astype(complex), lambda: x + np.array([1j])):
        with pytest.raises(TypeError, match="only real floats have gradients, the result is complex"):
            make()
    assert (tg.Tensor([1.5]) * 1j).dtype.kind == "c"


def test_in_place_operators_write_where_nothing_is_recorded():
    t = tg.Tensor([1.0, 2.0])
    same, array = t, t.data
    t += 1
    t *= tg.Tensor([2.0, 3.0])
    t -= np.array([1.0, 1.0])
    t /= 2.0
    assert t is same
    assert t.data is array
    assert (t.dtype, t.tolist()) == (np.float32, [1.5, 4.0])
    scalar = same = tg.Tensor(1.0)
    scalar += 2
    assert scalar is same
    assert scalar.item() == 3.0


def test_in_place_operators_make_a_new_tensor_where_something_is_recorded():
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    y = before = x * 2
    y += 1
    y *= x
    assert before.tolist() == [2.0, 4.0]
    y.sum().backward()
    assert x.grad.tolist() == [5.0, 9.0]  # (2x + 1) x
    constant = kept = tg.Tensor([1.0, 1.0])
    constant += x
    assert kept.tolist() == [1.0, 1.0]
    assert constant.requires_grad


def test_a_leaf_that_is_recorded_is_not_written_into():
    x = tg.Tensor([1.0, 2.0], requires_grad=True, name="w")
    with pytest.raises(RuntimeError, match=r"tensor 'w' requires a gradient, so it cannot be written into.*no_grad"):
        x += 1
    assert x.tolist() == [1.0, 2.0]
    with tg.no_grad():
        x += 1
    assert (x.tolist(), x.requires_grad, x.is_leaf) == ([2.0, 3.0], True, True)


def test_in_place_casting_is_numpys():
    t = tg.Tensor([1, 2])
    with pytest.raises(TypeError, match="Cannot cast"):
        t += 1.5
    assert t.tolist() == [1, 2]


def test_item_assignment_is_refused():
    for t in (tg.Tensor([1.0, 2.0]), tg.Tensor([1.0], requires_grad=True)):
        with pytest.raises(TypeError, match=r"t\[\.\.\.\] = v writes in place.*np.where"):
            t[0] = 5.0


@pytest.mark.parametrize(
    "index",
    [
        0,
        -1,
        slice(None),
        slice(None, None, -1),
        (0, 1),
        (slice(None), 0),
        ...,
        None,
        (..., 0),
        [0, 0, 1],
        np.array([1, 1]),
        (np.array([0, 1]), np.array([1, 0])),
        (slice(None), [0, 2]),
        np.array([True, False]),
        tg.Tensor([1, 0]),
        (tg.Tensor(0), tg.Tensor([2, 2])),
        (None, 1),
        np.zeros(0, int),
        tg.Tensor(np.eye(2, 3) > 0),
    ],
)
def test_indexing_equals_numpys_and_repeated_entries_add_up(index):
    array = np.arange(6.0).reshape(2, 3)
    bare = tuple(np.asarray(i) if isinstance(i, tg.Tensor) else i for i in index) if isinstance(index, tuple) else index
    bare = np.asarray(bare) if isinstance(bare, tg.Tensor) else bare
    x = tg.Tensor(array, requires_grad=True)
    y = x[index]
    weights = np.arange(1.0, y.size + 1).reshape(y.shape)
    assert np.array_equal(y.numpy(), array[bare])
    (y * weights).sum().backward()
    expected = np.zeros_like(array)
    np.add.at(expected, bare, weights)
    assert np.array_equal(x.grad.numpy(), expected)
