"""Where NumPy would write into an array or cut a graph, there is an error instead; other array types pass."""

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


def gradient(y, x):
    return tg.grad(y.sum(), x)[0].numpy()


# ------------------------------------------------------------------------------------------ writes are refused


def test_out_is_refused_wherever_it_stands(x):
    buffer, target = np.zeros(3), tg.Tensor(np.zeros(3))
    for call in (
        lambda out: np.add(x, 1.0, out=out),
        lambda out: np.add(x, 1.0, out),
        lambda out: np.tanh(x, out=out),
        lambda out: np.clip(x, 0, 1, out=out),
        lambda out: np.clip(x, 0, 1, out),
        lambda out: np.cumsum(x, out=out),
        lambda out: np.concatenate([x], out=out),
        lambda out: np.stack([x], out=out[None]),
        lambda out: np.sum(x[None], axis=0, out=out),
        lambda out: np.sum(x[None], 0, None, out),
        lambda out: np.mean(x[None], 0, None, out),
        lambda out: np.max(x[None], 0, out),
        lambda out: np.cumsum(x, None, None, out),
        lambda out: np.add.reduce(x[None], out=out),
        lambda out: np.add.reduce(x[None], 0, None, out),
        lambda out: np.matmul(x[None], np.eye(3), out=out[None]),
    ):
        for out in (buffer, target):
            with pytest.raises(TypeError, match=r"writ|positional|give only one of them"):
                call(out)
            assert not np.any(buffer)
            assert not np.any(target.numpy())


def test_out_is_refused_for_constants_too(x):
    target = tg.Tensor(np.zeros(3))
    for call in (lambda: np.add(x.numpy(), 1.0, out=target), lambda: np.fabs(x.detach(), out=target.data)):
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
        (lambda: np.maximum.accumulate(x), r"np\.maximum\.accumulate"),
    ]:
        with pytest.raises(TypeError, match=name + " is not defined on tensors"):
            call()


def test_functions_that_write_are_refused(x):
    buffer = np.zeros(3)
    for t in (x, x.detach()):
        for call in (
            lambda t=t: np.copyto(buffer, t),
            lambda t=t: np.put(buffer, [0], t),
            lambda t=t: np.putmask(buffer, buffer == 0, t),
            lambda t=t: np.place(buffer, buffer == 0, t),
            lambda t=t: np.fill_diagonal(t, 0.0),
            lambda t=t: np.copyto(t, 1.0),
            lambda t=t: np.put_along_axis(buffer, np.array([0]), t, 0),
        ):
            with pytest.raises(TypeError, match=r"np\.\w+ would write into an array"):
                call()
    assert not np.any(buffer)
    assert x.tolist() == [1.0, -2.0, 3.0]


# ----------------------------------------------------------------------------- a graph is never cut without a word


@pytest.mark.parametrize(
    "convert",
    [
        np.asarray,
        np.array,
        np.asanyarray,
        np.ascontiguousarray,
        lambda t: np.array([t, t]),
        lambda t: np.array([[t], [t]]),
        lambda t: np.asarray((t, 1.0)),
        lambda t: np.array(t, dtype=object),
        lambda t: np.array([t], dtype=np.float32),
        lambda t: np.full(3, t),
        lambda t: np.ones(3).dot(t),
        np.vectorize(lambda v: v * 2),
        lambda t: np.float32([t]),
        lambda t: np.ones(3) + [t, t, t],  # noqa: RUF005
        lambda t: np.tanh([t, t]),
        lambda t: np.sum([t, t]),
        lambda t: np.stack([[t, t], [t, t]]),
        lambda t: np.concatenate([[t], [t]]),
        lambda t: np.dot([t, t, t], np.ones(3)),
        lambda t: np.random.default_rng(0).normal(t),
        lambda t: np.r_[t, t],
        lambda t: np.testing.assert_allclose(t, t),
        lambda t: tg.Tensor([t, t]),
        lambda t: np.dstack([[t]]),
        lambda t: np.arange(t) if t.ndim == 0 else np.asarray(t),
    ],
)
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


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_a_matrix_has_another_product_so_it_is_refused_or_multiplied_entry_by_entry():
    """np.matrix makes of * a matrix product: recorded as an elementwise one, its gradient would be silently wrong."""
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

    def __len__(self):
        return len(self.array)

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
