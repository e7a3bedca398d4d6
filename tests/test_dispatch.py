"""NumPy's dispatch, both ways: its functions record tensors, and wherever it would cut a graph it raises instead."""

import numpy as np
import pytest

import tinygrad_rnn as tg


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
    "np.tanh(t)": (np.tanh, lambda a: 1 - np.tanh(a) ** 2),
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
    "list + t": (lambda t: [1.0, 2.0, 3.0] + t, lambda a: np.ones(3)),  # noqa: RUF005
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
    "np.maximum.reduce": (np.maximum.reduce, lambda a: (a == a.max()).astype(float)),
    "np.add.accumulate": (np.add.accumulate, lambda a: np.array([3.0, 2.0, 1.0])),
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
    "np.amax": (np.amax, lambda a: (a == a.max()).astype(float)),
    "np.abs": (np.abs, np.sign),
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
        np.add.reduce,
        lambda a: np.add.reduce(a, 1),
        lambda a: np.add.reduce(a, axis=-1),
        lambda a: np.add.reduce(a, axis=None),
        lambda a: np.add.reduce(a, axis=(0, 1), keepdims=True),
        lambda a: np.maximum.reduce(a, 1),
        np.minimum.reduce,
        lambda a: np.add.accumulate(a, 1),
        np.add.accumulate,
    ):
        y, expected = call(matrix), call(matrix.numpy())
        assert np.array_equal(y.numpy(), expected)
        assert y.shape == np.shape(expected)


# ----------------------------------------------------------------------------- functions without a gradient, plain

CONSTANTS = {
    "np.isnan": np.isnan,
    "np.isfinite": np.isfinite,
    "np.isinf": np.isinf,
    "np.signbit": np.signbit,
    "np.greater": lambda t: np.greater(t, 0),
    "np.equal": lambda t: np.equal(array, t),
    "np.logical_and": lambda t: np.logical_and(t > 0, t),
    "np.logical_not": np.logical_not,
    "np.any": lambda t: np.any(t > 0),
    "np.all": lambda t: np.all(t, axis=0),
    "np.isclose": lambda t: np.isclose(t, array),
    "np.argmax": np.argmax,
    "np.argsort": np.argsort,
    "np.nonzero": lambda t: np.nonzero(t > 0)[0],
    "np.where(mask)": lambda t: np.where(t)[0],
    "np.argwhere": lambda t: np.argwhere(t > 0),
    "np.searchsorted": lambda t: np.searchsorted(np.arange(3.0), t),
    "np.zeros_like": np.zeros_like,
    "np.ones_like": np.ones_like,
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
        np.shape,
        np.ndim,
        np.size,
        np.isscalar,
        np.isrealobj,
        np.iscomplexobj,
        np.count_nonzero,
        np.result_type,
        lambda t: np.result_type(t, np.float32),
        lambda t: np.allclose(t, t),
        lambda t: np.array_equal(t, array),
        lambda t: np.shares_memory(t, t),
        np.array2string,
        np.array_str,
    ):
        got, expected = query(x), query(x.numpy())
        assert not isinstance(got, np.ndarray)
        assert got == expected
    assert isinstance(np.array_repr(x), str)


@pytest.mark.parametrize(
    "function",
    [
        np.sinc,
        np.fabs,
        np.sort,
        np.nanmax,
        np.median,
        np.diff,
        np.fft.fft,
        np.modf,
        lambda t: np.copysign(t, -1.0),
        lambda t: np.heaviside(t, 2),
        lambda t: np.divmod(t, 2),
        lambda t: np.sum(t, where=t > 0),
        lambda t: np.sum(t, initial=1.0),
        lambda t: np.max(t, initial=9.0, where=t > 0),
    ],
)
def test_constants_pass_through_functions_without_a_rule(function, x):
    for t in (x.detach(), tg.Tensor([1.5, 2.5])):
        got, expected = function(t), function(t.numpy())
        for part, truth in zip(*([r] if not isinstance(r, tuple) else r for r in (got, expected)), strict=True):
            assert type(part) is tg.Tensor
            assert part.dtype == truth.dtype
            assert np.array_equal(part.numpy(), truth)


def test_no_grad_lets_functions_without_a_rule_through(x):
    with tg.no_grad():
        y = np.sinc(x)
    assert (type(y), y.requires_grad) == (tg.Tensor, False)


@pytest.mark.parametrize(
    "name", ["fabs", "copysign", "heaviside", "sinc", "nanmax", "nanprod", "linspace", "nan_to_num"]
)
def test_a_function_without_a_rule_says_how_to_register_one(name, x):
    function = getattr(np, name)
    args = {"copysign": (x, 1.0), "heaviside": (1.0, x), "linspace": (0.0, x)}.get(name, (x,))
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
