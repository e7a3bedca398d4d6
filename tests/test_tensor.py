"""The tensor's contract: how it is made, what it says of itself, and how it behaves under Python's protocols."""

import copy
import operator
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_rnn as tg

FLOATS = [np.float16, np.float32, np.float64]
INTEGERS = [np.bool_, np.int8, np.int32, np.int64, np.uint8]


@pytest.fixture
def float64_by_default():
    before = tg.get_default_dtype()
    tg.set_default_dtype(np.float64)
    yield
    tg.set_default_dtype(before)


# ------------------------------------------------------------------------------------------------ construction


@pytest.mark.parametrize(
    ("data", "dtype", "values"),
    [
        (1.5, np.float32, 1.5),
        ([1.0, 2.0], np.float32, [1.0, 2.0]),
        ([[1, 2.5], [3, 4]], np.float32, [[1.0, 2.5], [3.0, 4.0]]),
        ((1.0, 2.0), np.float32, [1.0, 2.0]),
        ([], np.float32, []),
        (3, np.int64, 3),
        ([1, 2], np.int64, [1, 2]),
        (range(3), np.int64, [0, 1, 2]),
        (True, np.bool_, True),
        ([True, False], np.bool_, [True, False]),
        ([True, 1.5], np.float32, [1.0, 1.5]),
        ([1 + 2j], np.complex128, [1 + 2j]),
    ],
)
def test_python_numbers_floats_become_the_default_dtype_and_others_stay(data, dtype, values):
    t = tg.Tensor(data)
    assert t.dtype == dtype
    assert type(t.data) is np.ndarray
    assert t.tolist() == values


def test_default_dtype_is_what_python_floats_become(float64_by_default):
    assert tg.get_default_dtype() == np.float64
    assert tg.Tensor([1.0]).dtype == np.float64
    assert tg.Tensor(0.1).item() == 0.1
    assert tg.Tensor([1]).dtype == np.int64
    assert tg.Tensor(np.zeros(1, np.float32)).dtype == np.float32


@pytest.mark.parametrize("dtype", [*FLOATS, *INTEGERS, np.complex64])
def test_numpy_arrays_and_scalars_keep_their_dtype(dtype):
    assert tg.Tensor(np.ones((2, 3), dtype)).dtype == dtype
    assert tg.Tensor(dtype(1)).dtype == dtype
    assert tg.Tensor(dtype(1)).shape == ()


@pytest.mark.parametrize("data", [[1, 2], [1.0, 2.0], np.array([1, 2]), np.array([1.0, 2.0])])
@pytest.mark.parametrize("dtype", [*FLOATS, np.int32, "float64", float])
def test_dtype_converts(data, dtype):
    t = tg.Tensor(data, dtype=dtype)
    assert t.dtype == np.dtype(dtype)
    assert t.tolist() == [1, 2]


def test_data_is_copied_unless_copy_is_false():
    array = np.array([1.0, 2.0])
    own, shared = tg.Tensor(array), tg.Tensor(array, copy=False)
    array[0] = 9.0
    assert own.tolist() == [1.0, 2.0]
    assert shared.tolist() == [9.0, 2.0]
    assert shared.data is array
    assert shared.numpy() is array


def test_conversion_copies_even_with_copy_false():
    array = np.array([1.0, 2.0])
    t = tg.Tensor(array, dtype=np.float32, copy=False)
    array[0] = 9.0
    assert t.tolist() == [1.0, 2.0]


def test_noncontiguous_and_readonly_arrays():
    base = np.arange(12.0).reshape(3, 4)
    view = base[::2, ::-1]
    fixed = np.broadcast_to(base[0], (2, 4))
    for array in (view, fixed):
        t = tg.Tensor(array, requires_grad=True, copy=False)
        (t * t).sum().backward()
        assert np.array_equal(t.grad.numpy(), 2 * array)


@pytest.mark.parametrize("data", [[1, 2], [True], np.array([1, 2]), [1j], np.array([1 + 2j])])
def test_only_floats_can_require_a_gradient(data):
    with pytest.raises(TypeError, match="only floats can require a gradient, got"):
        tg.Tensor(data, requires_grad=True)
    with pytest.raises(TypeError, match="only floats can require a gradient, got"):
        tg.Tensor(data).requires_grad = True


@pytest.mark.parametrize("dtype", FLOATS)
def test_every_float_can_require_a_gradient_and_gets_its_own_dtype(dtype):
    x = tg.Tensor([1.0, 2.0], requires_grad=True, dtype=dtype)
    (x * np.ones(2)).sum().backward(np.float64(1))
    assert x.grad.dtype == dtype
    assert x.grad.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("data", [None, "abc", b"12", object(), {}, [None], 10**30, float, np.array(["a"])])
def test_what_is_not_numbers_is_refused(data):
    with pytest.raises(TypeError, match="Tensor: expected numbers, got"):
        tg.Tensor(data)


def test_ragged_lists_are_refused():
    with pytest.raises(ValueError, match="inhomogeneous"):
        tg.Tensor([[1.0, 2.0], [3.0]])


def test_a_tensor_of_a_tensor_is_refused():
    with pytest.raises(TypeError, match=r"detach\(\)"):
        tg.Tensor(tg.Tensor([1.0]))


# -------------------------------------------------------------------------------------------------- properties


def test_properties():
    array = np.arange(6.0).reshape(2, 3)
    t = tg.Tensor(array, name="x")
    assert (t.shape, t.dtype, t.ndim, t.size, t.name) == ((2, 3), np.dtype(np.float64), 2, 6, "x")
    assert (t.requires_grad, t.is_leaf, t.grad, t.node) == (False, True, None, None)
    assert np.array_equal(t.T.numpy(), array.T)
    assert np.array_equal(t.mT.numpy(), array.mT)


def test_properties_of_what_was_computed():
    x = tg.Tensor([1.0, 2.0], requires_grad=True, name="x")
    y = x * 2
    assert (x.is_leaf, y.is_leaf, y.requires_grad, y.grad, y.name) == (True, False, True, None, None)
    assert y.node.parents[0] is x.node
    assert (x.node.name, x.node.shape, x.node.is_leaf, y.node.is_leaf) == ("x", (2,), True, False)
    assert (y.node.primitive.function, y.node.path, y.node.step) == (np.multiply, "", None)


def test_name_can_be_given_later_to_any_tensor():
    x = tg.Tensor([1.0], requires_grad=True)
    y, constant = x * 2, tg.Tensor([1.0])
    for t in (x, y, constant, constant + 1):
        t.name = "given"
        assert t.name == "given"
    assert (x.node.name, y.node.name) == ("given", "given")


def test_requires_grad_can_be_switched_on_leaves_and_keeps_the_name():
    t = tg.Tensor([1.0, 2.0], name="w")
    t.requires_grad = True
    (t * 3).sum().backward()
    assert t.grad.tolist() == [3.0, 3.0]
    t.requires_grad = False
    assert (t.requires_grad, t.grad, t.name, t.node) == (False, None, "w", None)
    assert not (t * 3).requires_grad


def test_requires_grad_does_not_cut_a_graph():
    y = tg.Tensor([1.0], requires_grad=True) * 2
    with pytest.raises(RuntimeError, match=r"detach\(\)"):
        y.requires_grad = False
    y.requires_grad = True
    assert not y.is_leaf


def test_detach_and_numpy_share_memory_and_leave_the_graph():
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    for t in (x, y):
        assert np.shares_memory(t.detach().data, t.data)
        assert t.numpy() is t.data
        assert not t.detach().requires_grad
        assert not (t.detach() * 2).requires_grad


def test_gradient_can_be_set_and_cleared():
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    x.grad = tg.Tensor([1.0, 1.0])
    (x * 2).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]
    x.grad = None
    assert x.grad is None
    with pytest.raises(TypeError, match=r"grad: expected a Tensor or None, got ndarray"):
        x.grad = np.ones(2)
    with pytest.raises(ValueError, match=r"grad: expected shape \(2,\), got \(3,\)"):
        x.grad = tg.Tensor(np.ones(3))
    with pytest.raises(RuntimeError, match="does not require a gradient"):
        tg.Tensor([1.0]).grad = tg.Tensor([1.0])


def test_a_gradient_that_was_set_in_another_dtype_does_not_change_that_of_the_sum():
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(TypeError, match="float64"):
        x.grad = tg.Tensor(np.ones(2, np.float64))
    (x * 2).sum().backward()
    assert x.grad.dtype == np.float32


def test_data_can_be_replaced_by_an_array_that_fits():
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    x.data = np.array([3.0, 4.0])
    (x * x).sum().backward()
    assert (x.dtype, x.grad.dtype, x.grad.tolist()) == (np.float64, np.float64, [6.0, 8.0])
    for bad in (np.zeros(3), np.zeros(2, int), np.zeros(2, complex)):
        with pytest.raises(ValueError, match=r"data: expected floats of shape \(2,\), got"):
            x.data = bad
    assert x.tolist() == [3.0, 4.0]


# --------------------------------------------------------------------------------------------- Python's protocols


def test_numbers_of_one_entry():
    t = tg.Tensor(2.5, requires_grad=True)
    assert (float(t), int(t), bool(t), t.item()) == (2.5, 2, True, 2.5)
    assert [10, 20, 30][tg.Tensor(1)] == 20
    assert type(t.item()) is float
    assert tg.Tensor([[7]]).item() == 7
    assert not bool(tg.Tensor(0.0))


def test_numbers_of_many_entries_are_refused():
    many = tg.Tensor([1.0, 2.0])
    with pytest.raises(ValueError, match="ambiguous"):
        bool(many)
    for convert in (float, int):
        with pytest.raises(TypeError, match="0-dim|length-1|size-1"):
            convert(many)
    with pytest.raises(ValueError, match="size 1"):
        many.item()
    with pytest.raises(TypeError, match="integer"):
        operator.index(tg.Tensor(1.5))


def test_len_and_iteration():
    t = tg.Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    rows = list(t)
    assert (len(t), len(rows), rows[1].tolist()) == (2, 2, [3.0, 4.0])
    (rows[0] * rows[1]).sum().backward()
    assert t.grad.tolist() == [[3.0, 4.0], [1.0, 2.0]]
    first, second = t
    assert second.requires_grad
    assert list(tg.Tensor(np.zeros((0, 2)))) == []
    with pytest.raises(TypeError, match="unsized"):
        len(tg.Tensor(1.0))
    with pytest.raises(TypeError, match="0-d"):
        iter(tg.Tensor(1.0))


def test_membership_is_by_value():
    t = tg.Tensor([1.0, 2.0])
    assert 2.0 in t
    assert 3.0 not in t


def test_repr():
    x = tg.Tensor([1.0, 2.5], requires_grad=True)
    assert repr(x) == "Tensor([1. , 2.5], requires_grad=True)"
    assert repr(x * 2) == "Tensor([2., 5.], node=multiply)"
    assert repr(x.detach()) == "Tensor([1. , 2.5])"
    assert repr(tg.Tensor([1, 2])) == "Tensor([1, 2])"
    assert repr(tg.Tensor([True])) == "Tensor([ True])"
    assert repr(tg.Tensor(np.zeros(1))) == "Tensor([0.], dtype=float64)"
    assert repr(tg.Tensor(np.zeros((0, 3), np.float32))).startswith("Tensor([]")
    lines = repr(tg.Tensor([[1.0, 2.0], [3.0, 4.0]])).splitlines()
    assert lines == ["Tensor([[1., 2.],", "        [3., 4.]])"]


def test_format():
    assert f"{tg.Tensor(2.0, requires_grad=True):.3f}" == "2.000"
    assert f"{tg.Tensor(7):04d}" == "0007"
    assert f"{tg.Tensor([1.0, 2.0])}" == "Tensor([1., 2.])"
    assert f"{tg.Tensor([1.0]):>14}" == "  Tensor([1.])"
    with pytest.raises(ValueError, match="format"):
        format(tg.Tensor([1.0, 2.0]), ".3f")


def test_equality_is_elementwise_and_hash_is_identity():
    a, b = tg.Tensor([1.0, 2.0]), tg.Tensor([1.0, 3.0])
    assert (a == b).tolist() == [True, False]
    assert (a != b).tolist() == [False, True]
    assert hash(a) == hash(a) != hash(a.detach())
    assert {a: 1, b: 2}[a] == 1
    assert len({a, b, a}) == 2


def test_comparisons_and_logic_are_plain_tensors():
    x = tg.Tensor([-1.0, 0.0, 1.0], requires_grad=True)
    for result, values in [
        (x < 0, [True, False, False]),
        (x <= 0, [True, True, False]),
        (x > 0, [False, False, True]),
        (x >= np.zeros(3), [False, True, True]),
        (0 < x, [False, False, True]),
        ((x > 0) | (x < 0), [True, False, True]),
        ((x >= 0) & (x <= 0), [False, True, False]),
        ((x >= 0) ^ (x <= 0), [True, False, True]),
        (~(x > 0), [True, True, False]),
        (x == x, [True, True, True]),
    ]:
        assert type(result) is tg.Tensor
        assert (result.dtype, result.requires_grad, result.tolist()) == (np.bool_, False, values)


def test_deepcopy_of_a_leaf_is_a_new_leaf_with_the_gradient():
    x = tg.Tensor([1.0, 2.0], requires_grad=True, name="w")
    (x * x).sum().backward()
    twin = copy.deepcopy(x)
    twin.data[:] = 0.0
    twin.grad.data[:] = 0.0
    assert (x.tolist(), x.grad.tolist()) == ([1.0, 2.0], [2.0, 4.0])
    assert (twin.name, twin.requires_grad, twin.is_leaf, twin.dtype) == ("w", True, True, np.float32)
    (twin * 3).sum().backward()
    assert twin.grad.tolist() == [3.0, 3.0]
    assert x.grad.tolist() == [2.0, 4.0]


def test_deepcopy_keeps_what_is_shared_shared():
    x = tg.Tensor([1.0], requires_grad=True)
    copied = copy.deepcopy({"a": x, "b": [x], "c": tg.Tensor([1])})
    assert copied["a"] is copied["b"][0] is not x
    assert not copied["c"].requires_grad


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_of_a_leaf(protocol):
    for x in (tg.Tensor(np.arange(6.0).reshape(2, 3)[:, ::2], requires_grad=True, name="w"), tg.Tensor([1, 2])):
        back = pickle.loads(pickle.dumps(x, protocol))
        assert type(back) is tg.Tensor
        assert (back.name, back.requires_grad, back.dtype, back.tolist()) == (
            x.name, x.requires_grad, x.dtype, x.tolist(),
        )  # fmt: skip


def test_what_was_computed_is_neither_copied_nor_pickled():
    y = tg.Tensor([1.0], requires_grad=True) * 2
    with pytest.raises(RuntimeError, match="deep copies are for leaves"):
        copy.deepcopy(y)
    with pytest.raises(RuntimeError, match="only leaves can be pickled"):
        pickle.dumps(y)


def test_a_subclass_is_a_tensor_everywhere():
    class Parameter(tg.Tensor):
        pass

    p = Parameter([1.0, 2.0], requires_grad=True, name="p")
    assert isinstance(p * 2, tg.Tensor)
    assert (2 * p).requires_grad
    assert np.tanh(p).requires_grad
    (np.ones(2, np.float32) @ p).backward()
    assert p.grad.tolist() == [1.0, 1.0]
    assert type(copy.deepcopy(p)) is Parameter


# --------------------------------------------------------------------------------------------------- operations

arrays = hnp.arrays(np.float64, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3), elements=st.floats(-5, 5))


@given(arrays)
def test_methods_are_those_of_ndarray(array):
    t = tg.Tensor(array)
    calls = [
        lambda a: a.sum(), lambda a: a.sum(keepdims=True), lambda a: a.reshape(-1), lambda a: a.reshape(a.shape),
        lambda a: a.transpose(), lambda a: a.astype(np.float32), lambda a: a.copy(), lambda a: a.cumsum(),
        lambda a: a.clip(-1, 1), lambda a: a.clip(max=0.5), lambda a: a.squeeze(), lambda a: a.all(), lambda a: a.any(),
        lambda a: -a, lambda a: +a, lambda a: abs(a), lambda a: a.T, lambda a: a.item() if a.size == 1 else 0,
    ]  # fmt: skip
    if array.size:
        calls += [lambda a: a.mean(), lambda a: a.max(), lambda a: a.min(), lambda a: a.var(), lambda a: a.std()]
        calls += [lambda a: a.argmax(), lambda a: a.argmin(), lambda a: a.take([0, 0])]
    if array.ndim:
        last = array.ndim - 1
        calls += [
            lambda a: a.sum(axis=-1), lambda a: a.sum(0, keepdims=True), lambda a: a.sum(axis=(0, last) if last else 0),
            lambda a: a.cumsum(axis=0), lambda a: a.argsort(), lambda a: a.swapaxes(0, -1), lambda a: a.nonzero()[0],
            lambda a: a.transpose(*range(a.ndim)[::-1]), lambda a: a.transpose(tuple(range(a.ndim))),
            lambda a: a.any(axis=0), lambda a: a.all(axis=-1, keepdims=True), lambda a: a[..., :1], lambda a: len(a),
        ]  # fmt: skip
        if array.size:
            calls += [lambda a: a.max(axis=0), lambda a: a.min(axis=-1, keepdims=True), lambda a: a.mean(axis=0)]
            calls += [lambda a: a.std(axis=0, keepdims=True), lambda a: a.var(-1), lambda a: a.argmax(axis=-1)]
    for call in calls:
        expected, got = call(array), call(t)
        if isinstance(expected, (np.ndarray, np.generic)):
            assert type(got) is tg.Tensor
            assert got.dtype == expected.dtype
            assert np.array_equal(got.numpy(), expected, equal_nan=True)
        else:
            assert got == expected


@pytest.mark.parametrize("other", [2, 2.5, True, np.float32(2), np.float64(2), np.int64(2), np.ones(2), np.ones(2, int)])
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
    [0, -1, slice(None), slice(None, None, -1), (0, 1), (slice(None), 0), ..., None, (..., 0), [0, 0, 1], np.array([1, 1]),
     (np.array([0, 1]), np.array([1, 0])), (slice(None), [0, 2]), np.array([True, False]), tg.Tensor([1, 0]),
     (tg.Tensor(0), tg.Tensor([2, 2])), (None, 1), np.zeros(0, int), tg.Tensor(np.eye(2, 3) > 0)],
)  # fmt: skip
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
