"""NumPy's dispatch, both ways: its functions record tensors, and wherever it would cut a graph it raises instead."""

import re

import numpy as np
import pytest

import tinygrad_rnn as tg

HINT = r"requires a gradient and would lose its graph.*t\.numpy\(\).*t\.detach\(\)"


@pytest.fixture
def x():
    return tg.Tensor([1.0, -2.0, 3.0], requires_grad=True, dtype=np.float64, name="x")


@pytest.fixture
def scalar():
    return tg.Tensor(2.0, requires_grad=True)


@pytest.fixture
def matrix():
    return tg.Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)


def gradient(y, x):
    return tg.grad(y.sum(), x)[0].numpy()


# -------------------------------------------------------------------------------------- functions that are recorded

array = np.array([2.0, 0.5, -1.0])
RECORDED = {
    "np.tanh(t)": (lambda t: np.tanh(t), lambda a: 1 - np.tanh(a) ** 2),
    "array + t": (lambda t: array + t, lambda a: np.ones(3)),
    "array - t": (lambda t: array - t, lambda a: -np.ones(3)),
    "array * t": (lambda t: array * t, lambda a: array),
    "array / t": (lambda t: array / t, lambda a: -array / a**2),
    "array @ t": (lambda t: array @ t, lambda a: array),
    "t @ array": (lambda t: t @ array, lambda a: array),
    "outer by @": (lambda t: array[:, None] @ t[None, :], lambda a: np.full(3, array.sum())),
    "np.float32(2) * t": (lambda t: np.float32(2) * t, lambda a: np.full(3, 2.0)),
    "np.float64(2) - t": (lambda t: np.float64(2) - t, lambda a: -np.ones(3)),
    "np.int64(2) * t": (lambda t: np.int64(2) * t, lambda a: np.full(3, 2.0)),
    "2 ** t": (lambda t: 2**t, lambda a: np.log(2) * 2**a),
    "t ** 2": (lambda t: t**2, lambda a: 2 * a),
    "1 / t": (lambda t: 1 / t, lambda a: -1 / a**2),
    "0-d array * t": (lambda t: np.array(3.0) * t, lambda a: np.full(3, 3.0)),
    "list + t": (lambda t: [1.0, 2.0, 3.0] + t, lambda a: np.ones(3)),
    "t * tuple": (lambda t: t * (1.0, 2.0, 3.0), lambda a: np.array([1.0, 2.0, 3.0])),
    "np.add(array, t)": (lambda t: np.add(array, t), lambda a: np.ones(3)),
    "np.subtract(t, t)": (lambda t: np.subtract(t, 2 * t), lambda a: -np.ones(3)),
    "np.power(t, 3)": (lambda t: np.power(t, 3), lambda a: 3 * a**2),
    "np.concatenate": (lambda t: np.concatenate([t, array, t]), lambda a: np.full(3, 2.0)),
    "np.concatenate of a list": (lambda t: np.concatenate([[1.0, 2.0], t]), lambda a: np.ones(3)),
    "np.stack": (lambda t: np.stack([array, t * t], axis=1), lambda a: 2 * a),
    "np.stack of a list": (lambda t: np.stack((t, [1.0, 2.0, 3.0])), lambda a: np.ones(3)),
    "np.where": (lambda t: np.where(t > 0, t, 0), lambda a: np.where(a > 0, 1.0, 0.0)),
    "np.where with an array": (lambda t: np.where(array > 0, array, t), lambda a: np.where(array > 0, 0.0, 1.0)),
    "np.sum": (lambda t: np.sum(t * t), lambda a: 2 * a),
    "np.sum of a list": (lambda t: np.sum(np.stack([t, t]), axis=0), lambda a: np.full(3, 2.0)),
    "np.add.reduce": (lambda t: np.add.reduce(t * t), lambda a: 2 * a),
    "np.maximum.reduce": (lambda t: np.maximum.reduce(t), lambda a: (a == a.max()).astype(float)),
    "np.add.accumulate": (lambda t: np.add.accumulate(t), lambda a: np.array([3.0, 2.0, 1.0])),
    "np.clip by position": (lambda t: np.clip(t, -1, 2), lambda a: ((a >= -1) & (a <= 2)).astype(float)),
    "np.clip by min=, max=": (lambda t: np.clip(t, min=-1, max=2), lambda a: ((a >= -1) & (a <= 2)).astype(float)),
    "np.clip by a_min=, a_max=": (lambda t: np.clip(t, a_min=-1, a_max=2), lambda a: ((a >= -1) & (a <= 2)) * 1.0),
    "np.clip by min= alone": (lambda t: np.clip(t, min=0), lambda a: (a >= 0).astype(float)),
    "t.clip(min=)": (lambda t: t.clip(min=0), lambda a: (a >= 0).astype(float)),
    "np.clip, a tensor as min=": (lambda t: np.clip(array, min=t), lambda a: (array < a).astype(float)),
    "np.clip, a tensor as both": (
        lambda t: np.clip(array, min=t, max=t + 1),
        lambda a: ((array < a) | (array > a + 1)).astype(float),
    ),
    "np.sum(a=t)": (lambda t: np.sum(a=t), lambda a: np.ones(3)),
    "np.stack(arrays=)": (lambda t: np.stack(arrays=[t, t], axis=-1), lambda a: np.full(3, 2.0)),
    "np.take(a=, indices=)": (lambda t: np.take(a=t, indices=[0, 0]), lambda a: np.array([2.0, 0.0, 0.0])),
    "np.reshape(shape=)": (lambda t: np.reshape(t, shape=(3, 1)), lambda a: np.ones(3)),
    "np.mean(dtype=)": (lambda t: np.mean(t, dtype=np.float32), lambda a: np.full(3, np.float32(1) / 3)),
    "np.split": (lambda t: np.split(t, [1])[1] ** 2, lambda a: np.array([0.0, 2.0, 2.0]) * a),
    "np.amax": (lambda t: np.amax(t), lambda a: (a == a.max()).astype(float)),
    "np.abs": (lambda t: np.abs(t), lambda a: np.sign(a)),
    "sum()": (lambda t: sum([t, t, t]), lambda a: np.full(3, 3.0)),
}


@pytest.mark.parametrize("name", RECORDED)
def test_functions_are_recorded_and_differentiated(name, x):
    function, derivative = RECORDED[name]
    y, expected = function(x), np.asarray(function(x.numpy()))
    assert type(y) is tg.Tensor
    assert y.requires_grad
    assert y.dtype == expected.dtype
    assert np.array_equal(y.numpy(), expected)
    np.testing.assert_allclose(gradient(y, x), derivative(x.numpy()), rtol=1e-7, atol=0)


def test_reduce_takes_its_axis_by_position_keyword_or_not_at_all(matrix):
    for call in (
        lambda a: np.add.reduce(a), lambda a: np.add.reduce(a, 1), lambda a: np.add.reduce(a, axis=-1),
        lambda a: np.add.reduce(a, axis=None), lambda a: np.add.reduce(a, axis=(0, 1), keepdims=True),
        lambda a: np.maximum.reduce(a, 1), lambda a: np.minimum.reduce(a), lambda a: np.add.accumulate(a, 1),
        lambda a: np.add.accumulate(a),
    ):  # fmt: skip
        y, expected = call(matrix), call(matrix.numpy())
        assert np.array_equal(y.numpy(), expected)
        assert y.shape == np.shape(expected)


# ----------------------------------------------------------------------------- functions without a gradient, plain

CONSTANTS = {
    "np.isnan": lambda t: np.isnan(t),
    "np.isfinite": lambda t: np.isfinite(t),
    "np.isinf": lambda t: np.isinf(t),
    "np.signbit": lambda t: np.signbit(t),
    "np.greater": lambda t: np.greater(t, 0),
    "np.equal": lambda t: np.equal(array, t),
    "np.logical_and": lambda t: np.logical_and(t > 0, t),
    "np.logical_not": lambda t: np.logical_not(t),
    "np.any": lambda t: np.any(t > 0),
    "np.all": lambda t: np.all(t, axis=0),
    "np.isclose": lambda t: np.isclose(t, array),
    "np.argmax": lambda t: np.argmax(t),
    "np.argsort": lambda t: np.argsort(t),
    "np.nonzero": lambda t: np.nonzero(t > 0)[0],
    "np.where(mask)": lambda t: np.where(t)[0],
    "np.argwhere": lambda t: np.argwhere(t > 0),
    "np.searchsorted": lambda t: np.searchsorted(np.arange(3.0), t),
    "np.zeros_like": lambda t: np.zeros_like(t),
    "np.ones_like": lambda t: np.ones_like(t),
    "np.zeros_like(dtype=)": lambda t: np.zeros_like(t, dtype=int),
    "np.isin": lambda t: np.isin(t, [3.0]),
}


@pytest.mark.parametrize("name", CONSTANTS)
def test_constant_functions_give_plain_tensors(name, x):
    y, expected = CONSTANTS[name](x), CONSTANTS[name](x.numpy())
    assert type(y) is tg.Tensor
    assert (y.requires_grad, y.dtype) == (False, expected.dtype)
    assert np.array_equal(y.numpy(), expected)


def test_queries_give_what_numpy_gives(x):
    for query in (
        np.shape, np.ndim, np.size, np.isscalar, np.isrealobj, np.iscomplexobj, np.count_nonzero, np.result_type,
        lambda t: np.result_type(t, np.float32), lambda t: np.allclose(t, t), lambda t: np.array_equal(t, array),
        lambda t: np.shares_memory(t, t), np.array2string, np.array_str,
    ):  # fmt: skip
        got, expected = query(x), query(x.numpy())
        assert not isinstance(got, np.ndarray)
        assert got == expected
    assert isinstance(np.array_repr(x), str)


@pytest.mark.parametrize(
    "function",
    [np.floor, np.arctan, np.sort, np.linalg.norm, np.hstack, np.ravel, np.diff, np.fft.fft, np.round, np.modf, np.cumprod,
     lambda t: np.arctan2(t, 1.0), lambda t: np.floor_divide(t, 2), lambda t: np.remainder(t, 2), lambda t: np.sum(t, where=t > 0),
     lambda t: np.sum(t, initial=1.0), lambda t: np.max(t, initial=9.0, where=t > 0)],
)  # fmt: skip
def test_constants_pass_through_functions_without_a_rule(function, x):
    for t in (x.detach(), tg.Tensor([1.5, 2.5])):
        got, expected = function(t), function(t.numpy())
        for part, truth in zip(*([r] if not isinstance(r, tuple) else r for r in (got, expected)), strict=True):
            assert type(part) is tg.Tensor
            assert part.dtype == truth.dtype
            assert np.array_equal(part.numpy(), truth)


def test_no_grad_lets_functions_without_a_rule_through(x):
    with tg.no_grad():
        y = np.floor(x)
    assert (type(y), y.requires_grad) == (tg.Tensor, False)


@pytest.mark.parametrize("name", ["floor", "arctan2", "hypot", "sort", "hstack", "linspace", "nan_to_num"])
def test_a_function_without_a_rule_says_how_to_register_one(name, x):
    function = getattr(np, name)
    args = {"arctan2": (x, 1.0), "hypot": (1.0, x), "hstack": ([x, x],), "linspace": (0.0, x)}.get(name, (x,))
    with tg.scope("encoder", step=3), pytest.raises(TypeError) as caught:
        function(*args)
    for words in (f"np.{name} at encoder, t=3 has no derivative rule", f"tg.defvjp(np.{name}, lambda", "t.detach()"):
        assert words in str(caught.value)


def test_a_keyword_that_the_rule_does_not_know_is_refused(matrix):
    for call, keyword in [
        (lambda: np.sum(matrix, where=matrix > 1), "where"),
        (lambda: np.sum(matrix, initial=1.0), "initial"),
        (lambda: np.max(matrix, initial=9.0), "initial"),
        (lambda: np.tanh(matrix, dtype=np.float32), "dtype"),
        (lambda: np.add(matrix, 1.0, casting="unsafe"), "casting"),
    ]:
        with pytest.raises(TypeError, match=f"knows no keyword '{keyword}'"):
            call()


# ------------------------------------------------------------------------------------------ writes are refused


def test_out_is_refused_wherever_it_stands(x):
    buffer, target = np.zeros(3), tg.Tensor(np.zeros(3))
    for call in (
        lambda out: np.add(x, 1.0, out=out), lambda out: np.add(x, 1.0, out), lambda out: np.tanh(x, out=out),
        lambda out: np.clip(x, 0, 1, out=out), lambda out: np.clip(x, 0, 1, out), lambda out: np.cumsum(x, out=out),
        lambda out: np.concatenate([x], out=out), lambda out: np.stack([x], out=out[None]),
        lambda out: np.sum(x[None], axis=0, out=out), lambda out: np.sum(x[None], 0, None, out),
        lambda out: np.mean(x[None], 0, None, out), lambda out: np.max(x[None], 0, out),
        lambda out: np.cumsum(x, None, None, out), lambda out: np.add.reduce(x[None], out=out),
        lambda out: np.add.reduce(x[None], 0, None, out), lambda out: np.matmul(x[None], np.eye(3), out=out[None]),
    ):  # fmt: skip
        for out in (buffer, target):
            with pytest.raises(TypeError, match="writ|positional|give only one of them"):
                call(out)
            assert not np.any(buffer)
            assert not np.any(target.numpy())


def test_out_is_refused_for_constants_too(x):
    target = tg.Tensor(np.zeros(3))
    for call in (lambda: np.add(array, 1.0, out=target), lambda: np.floor(x.detach(), out=target.data)):
        with pytest.raises(TypeError, match="out= writes in place"):
            call()
    assert not np.any(target.numpy())


def test_where_of_a_ufunc_is_refused(x):
    with pytest.raises(TypeError, match=r"np\.add.*where="):
        np.add(x, 1.0, where=np.array([True, False, True]))


def test_an_array_is_not_updated_in_place_by_a_tensor(x):
    buffer = np.zeros(3)
    with tg.scope("encoder", step=2), pytest.raises(TypeError, match=r"np\.add at encoder, t=2: out= writes in place"):
        buffer += x
    with pytest.raises(TypeError, match=r"np\.multiply"):
        buffer *= x.detach()
    assert not np.any(buffer)


def test_other_methods_of_ufuncs_are_refused_by_name(x):
    for call, name in [
        (lambda: np.add.at(np.zeros(3), [0, 1, 1], x), r"np\.add\.at"),
        (lambda: np.multiply.outer(x, x), r"np\.multiply\.outer"),
        (lambda: np.add.reduceat(x, [0, 1]), r"np\.add\.reduceat"),
        (lambda: np.logical_and.reduce(x), r"np\.logical_and\.reduce"),
        (lambda: np.multiply.accumulate(x), r"np\.multiply\.accumulate"),
    ]:
        with pytest.raises(TypeError, match=name + " is not defined on tensors"):
            call()


def test_functions_that_write_are_refused(x):
    buffer = np.zeros(3)
    for t in (x, x.detach()):
        for call in (
            lambda t=t: np.copyto(buffer, t), lambda t=t: np.put(buffer, [0], t), lambda t=t: np.putmask(buffer, buffer == 0, t),
            lambda t=t: np.place(buffer, buffer == 0, t), lambda t=t: np.fill_diagonal(t, 0.0), lambda t=t: np.copyto(t, 1.0),
            lambda t=t: np.put_along_axis(buffer, np.array([0]), t, 0),
        ):  # fmt: skip
            with pytest.raises(TypeError, match=r"np\.\w+ would write into an array"):
                call()
    assert not np.any(buffer)
    assert x.tolist() == [1.0, -2.0, 3.0]


# ----------------------------------------------------------------------------- a graph is never cut without a word


@pytest.mark.parametrize(
    "convert",
    [
        np.asarray, np.array, np.asanyarray, np.ascontiguousarray, lambda t: np.array([t, t]), lambda t: np.array([[t], [t]]),
        lambda t: np.asarray((t, 1.0)), lambda t: np.array(t, dtype=object), lambda t: np.array([t], dtype=np.float32),
        lambda t: np.full(3, t), lambda t: np.ones(3).dot(t), lambda t: np.vectorize(lambda v: v * 2)(t),
        lambda t: np.float32([t]), lambda t: np.ones(3) + [t, t, t], lambda t: np.tanh([t, t]), lambda t: np.sum([t, t]),
        lambda t: np.stack([[t, t], [t, t]]), lambda t: np.concatenate([[t], [t]]), lambda t: np.dot([t, t, t], np.ones(3)),
        lambda t: np.random.default_rng(0).normal(t), lambda t: np.r_[t, t], lambda t: np.testing.assert_allclose(t, t),
        lambda t: tg.Tensor([t, t]), lambda t: np.dstack([[t]]), lambda t: np.arange(t) if t.ndim == 0 else np.asarray(t),
    ],
)  # fmt: skip
@pytest.mark.parametrize("shape", [(), (1,), (3,)])
def test_numpy_cannot_make_an_array_of_a_recorded_tensor(convert, shape):
    t = tg.Tensor(np.ones(shape), requires_grad=True)
    for recorded in (t, t * 2):
        with pytest.raises(TypeError, match=HINT):
            convert(recorded)


def test_the_hint_names_the_tensor(x):
    with pytest.raises(TypeError, match="tensor 'x' " + HINT):
        np.asarray(x)


@pytest.mark.parametrize("shape", [(), (1,), (3,)])
def test_writing_a_recorded_tensor_into_an_array_is_refused(shape):
    t = tg.Tensor(np.ones(shape), requires_grad=True) * 2
    z = np.zeros((3, 3))
    for index in [0, slice(None), ..., ([0, 1],), z == 0]:
        with pytest.raises(TypeError, match=HINT):
            z[index] = t
    assert not np.any(z)


def test_writing_a_recorded_scalar_into_one_entry_of_an_array_is_refused(scalar):
    """NumPy asks float() here, not __array__; it hands on our error, or its own with ours as the cause."""
    loss, z, point = scalar * 3, np.zeros((3, 3)), np.zeros(())

    def add():
        z[0, 0] += loss

    def put_in_a_loop():
        for i in range(3):
            z[i, i] = loss

    def put_at_a_point():
        point[()] = loss

    def put_flat():
        z.flat[0] = loss

    for write in (add, put_in_a_loop, put_at_a_point):
        with pytest.raises((TypeError, ValueError)) as caught:
            write()
        assert re.search(HINT, str(caught.value)) or re.search(HINT, str(caught.value.__cause__))
    with pytest.raises(ValueError, match="Error setting single item of array"):
        put_flat()
    assert not np.any(z)
    assert not np.any(point)
    z[0, 0] = loss.item()
    z[1, 1] = float(loss)
    z[2, 2] = loss.detach()
    assert np.diag(z).tolist() == [6.0] * 3


def test_python_numbers_of_a_recorded_scalar_are_asked_for_by_name(scalar):
    loss = scalar * 3
    losses, history = [0.0], {}
    losses[0] = float(loss)
    history[0] = loss
    assert (losses, history[0] is loss, float(loss), int(loss), f"{loss:.1f}") == ([6.0], True, 6.0, 6, "6.0")


def test_a_tensor_without_a_graph_becomes_an_array(x):
    t = x.detach()
    assert np.array_equal(np.asarray(t), x.numpy())
    assert np.shares_memory(np.asarray(t), x.numpy())
    assert not np.shares_memory(np.array(t), x.numpy())
    assert np.asarray(t, dtype=np.float32).dtype == np.float32
    z = np.zeros(3)
    z[:] = t
    z[0] = tg.Tensor(7.0)
    assert z.tolist() == [7.0, -2.0, 3.0]
    np.testing.assert_allclose(t, x.numpy())
    with pytest.raises(ValueError, match="copy"):
        np.asarray(t, dtype=np.float32, copy=False)


# -------------------------------------------------------------------------------- array types from elsewhere


def test_a_matrix_has_another_product_so_it_is_refused_or_multiplied_entry_by_entry():
    """np.matrix makes of * a matrix product: recorded as an elementwise one, its gradient would be silently wrong."""
    with pytest.warns(PendingDeprecationWarning):
        matrix = np.matrix([[1.0, 2.0], [3.0, 4.0]])
    values = np.asarray(matrix)
    x = tg.Tensor(np.array([[1.0, -1.0], [2.0, 0.5]]), requires_grad=True)
    for make in (lambda: x * matrix, lambda: matrix * x, lambda: np.multiply(x, matrix), lambda: x * tg.Tensor(matrix)):
        try:
            y = make()
        except TypeError:
            continue
        assert np.array_equal(y.numpy(), x.numpy() * values)
        assert np.array_equal(gradient(y, x), values)


class Wrapped(np.lib.mixins.NDArrayOperatorsMixin):
    """A minimal array type with NumPy's protocols and no conversion to ndarray, as GPU arrays have none."""

    def __init__(self, array):
        self.array = array

    shape = property(lambda self: self.array.shape)
    dtype = property(lambda self: self.array.dtype)
    ndim = property(lambda self: self.array.ndim)
    size = property(lambda self: self.array.size)
    T = property(lambda self: Wrapped(self.array.T))

    def __array__(self, *args, **kwargs):
        raise TypeError("this array lives elsewhere")

    def copy(self):
        return Wrapped(self.array.copy())

    def swapaxes(self, a, b):
        return Wrapped(self.array.swapaxes(a, b))

    def astype(self, dtype):
        return Wrapped(self.array.astype(dtype))

    def __getitem__(self, index):
        return Wrapped(np.asarray(self.array[index]))

    def __array_ufunc__(self, ufunc, method, *args, **kwargs):
        if method == "at":
            raise TypeError("no writes here")
        return self._wrap(getattr(ufunc, method)(*self._bare(args), **{k: self._bare(v) for k, v in kwargs.items()}))

    def __array_function__(self, function, types, args, kwargs):
        return self._wrap(function(*self._bare(args), **kwargs))

    @classmethod
    def _bare(cls, value):
        if isinstance(value, (list, tuple)):
            return type(value)(cls._bare(v) for v in value)
        return value.array if isinstance(value, cls) else value

    @classmethod
    def _wrap(cls, value):
        return cls(np.asarray(value)) if isinstance(value, (np.ndarray, np.generic)) else value


def test_another_array_type_passes_through_unharmed():
    """Values and gradients stay of that type from end to end: nothing on the way calls np.asarray."""
    rng = np.random.default_rng(0)
    a, w = rng.normal(size=(2, 3)), rng.normal(size=(3, 3))

    def loss(x, weight):
        h = np.tanh(np.matmul(x, weight) + 0.5)
        return np.sum(h * h * x) + np.sum(np.exp(-h))

    plain = [tg.Tensor(a, requires_grad=True), tg.Tensor(w, requires_grad=True)]
    foreign = [tg.Tensor(Wrapped(a), requires_grad=True), tg.Tensor(Wrapped(w), requires_grad=True)]
    loss(*plain).backward()
    value = loss(*foreign)
    assert type(value.data) is Wrapped
    value.backward(tg.Tensor(Wrapped(np.ones(()))))
    for t, truth in zip(foreign, plain, strict=True):
        assert type(t.data) is type(t.grad.data) is Wrapped
        np.testing.assert_allclose(t.grad.data.array, truth.grad.numpy(), rtol=1e-12)


def test_a_subclass_of_ndarray_keeps_its_type_and_gets_a_right_gradient():
    class Labelled(np.ndarray):
        pass

    values = np.array([1.0, 2.0]).view(Labelled)
    x = tg.Tensor(values, requires_grad=True)
    y = x * x * values
    assert type(y.data) is Labelled
    assert gradient(y, x).tolist() == [2.0, 8.0]
