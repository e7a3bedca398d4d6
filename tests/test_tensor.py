"""The tensor's contract: how it is made, what it says of itself, and how it behaves under Python's protocols."""

import copy
import operator
import pickle

import numpy as np
import pytest

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
        with pytest.raises(TypeError, match=r"0-dim|length-1|size-1"):
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
    _, second = t
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
        (0 < x, [False, False, True]),  # noqa: SIM300
        ((x > 0) | (x < 0), [True, False, True]),
        ((x >= 0) & (x <= 0), [False, True, False]),
        ((x >= 0) ^ (x <= 0), [True, False, True]),
        (~(x > 0), [True, True, False]),
        (x == x, [True, True, True]),  # noqa: PLR0124
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
            x.name,
            x.requires_grad,
            x.dtype,
            x.tolist(),
        )


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
