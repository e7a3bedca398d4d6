"""Attacks on gradcheck that it withstands: wrong rules of every sort are found, hard right functions raise no alarm."""

import warnings

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.primitives import TABLE
from tinygrad_rnn.testing import GradcheckError, KinkError, KinkWarning, gradcheck

RNG = np.random.default_rng(7)
X = np.array([0.5, -1.3, 2.0])
F = tg.functional


def rule_for(call, *rules, **others):
    made = tg.primitive(call)
    tg.defvjp(made, *rules, **others)
    return made


bad_square = rule_for(lambda x: x * x, lambda g, _y, x: g * x)


def leaf():
    return tg.Tensor(np.array([1.0, 2.0, 3.0]), requires_grad=True)


# ------------------------------------------------------------------------------------------------ no false pass


def scaled(x, shares):
    return rule_for(lambda x: np.sin(x), lambda g, _y, x: g * np.cos(x) * shares(x)), x  # noqa: PLW0108


WRONG = {
    "everywhere by 1e-5": scaled(X, lambda x: 1 + 1e-5),
    "at large inputs": scaled(np.array([1e3, 2e4]), lambda x: 1 + 1e-5),
    "in one element": scaled(X, lambda x: np.where(np.arange(3) == 1, 1 + 1e-5, 1)),
    "at negative inputs": scaled(X, lambda x: np.where(x < 0, 1 + 3e-5, 1)),
    "beyond 100 elements": scaled(np.linspace(-1, 1, 150), lambda x: 1.1 if x.size > 100 else 1.0),
    "a derivative that is not there": (rule_for(lambda x: x * 0, lambda g, _y, _x: g), X),
    "NaN in one of 200": (
        rule_for(lambda x: x * 2, lambda g, _y, _x: g * np.where(np.arange(200) == 5, np.nan, 2)),
        np.ones(200),
    ),
    "a value read by float()": (lambda t: float(t[0]), X),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_wrong_first_derivatives_are_found(name, mode):
    f, x = WRONG[name]
    with pytest.raises(GradcheckError):
        gradcheck(f, x, mode=mode)


def test_wrong_only_for_broadcast_arguments():
    product = rule_for(
        lambda a, b: a * b,
        lambda g, _y, _a, b: g * b,
        lambda g, _y, a, b: g * a * (1 if np.shape(a) == np.shape(b) else 1.001),
    )
    assert gradcheck(product, (X, X + 1))
    with pytest.raises(GradcheckError) as caught:
        gradcheck(product, (np.ones((2, 3)), X))
    assert caught.value.input == "inputs[1]"


def test_wrong_only_when_a_tensor_is_used_twice():
    product = rule_for(lambda a, b: a * b, lambda g, _y, _a, b: g * b, lambda g, _y, a, b: g * a * (0 if a is b else 1))
    assert gradcheck(product, (X, X))
    with pytest.raises(GradcheckError):
        gradcheck(lambda t: product(t, t), X)


@pytest.mark.parametrize("options", [{"mode": "forward"}, {"mode": "adjoint"}, {"order": 2}])
def test_wrong_only_where_the_walk_is_recorded(options):
    tanh = rule_for(
        lambda x: np.tanh(x),  # noqa: PLW0108
        lambda g, y, _x: g * (1 - y * y) + (0.01 * g if isinstance(g, tg.Tensor) else 0),
    )
    assert gradcheck(tanh, X)
    with pytest.raises(GradcheckError):
        gradcheck(tanh, X, **options)


def test_beside_a_kink_everything_else_is_checked_in_the_second_order():
    cube = rule_for(lambda x: x**3, lambda g, _y, x: g * 3 * np.square(x.detach() if isinstance(x, tg.Tensor) else x))
    x = np.append(0.0, RNG.normal(size=40))
    with pytest.raises(GradcheckError) as caught:
        gradcheck(lambda t: np.sum(cube(t) + F.relu(t)), x, order=2)
    assert (caught.value.order, caught.value.wrong) == (2, 40)


def in_a_list():
    weights = {"a": [leaf(), {"b": leaf()}]}
    return lambda x: x + bad_square(weights["a"][1]["b"])


def two_functions_deep():
    w = leaf()

    def outer(x):
        def inner(y):
            return y + bad_square(w)

        return inner(x)

    return outer


def in_a_function_of_a_list():
    w = leaf()
    functions = [lambda x: x + bad_square(w)]
    return lambda x: functions[0](2 * x)


@pytest.mark.parametrize("make", [in_a_list, two_functions_deep, in_a_function_of_a_list])
def test_tensors_that_a_function_closes_over_are_found(make):
    with pytest.raises(GradcheckError, match="variable"):
        gradcheck(make(), X)


# ------------------------------------------------------------------------------------------------ no false alarm


RIGHT = {
    "steep": (lambda t: np.tanh(1e4 * t), [0.0, 1e-5, 1e-3, 0.3]),
    "fast": (lambda t: np.sin(1e4 * t), X),
    "steep and fast": (lambda t: np.tanh(50 * np.sin(50 * t)), X),
    "narrow bump": (lambda t: np.exp(-1e4 * t * t), [0.0, 0.01, 0.5]),
    "values of 1e-12": (lambda t: 1e-12 * np.sin(t), X),
    "an offset of 1e6": (lambda t: np.sin(t) + 1e6, X),
    "inputs of 1e16": (lambda t: np.sin(t / 1e16), [1e16, -1e16]),
    "inputs of 1e-300": (lambda t: t * t + 1.5 * t, [1e-300, -1e-300]),
    "difference of large numbers": (lambda t: np.mean((t - 1e8) ** 2), 1e8 + X),
    "masked logits": (lambda t: F.softmax(np.where([True, False, True], t, -np.inf), axis=-1), X),
    "logits of 1e4": (lambda t: F.log_softmax(t, axis=-1), [1e4, 9999.0, 9990.0, -1e4]),
    "cross entropy of 1e4": (lambda t: F.cross_entropy(t, np.array([0, 2])), 1e4 * RNG.normal(size=(2, 3))),
    "saturated sigmoid": (F.sigmoid, [-800.0, -40.0, 0.0, 40.0, 800.0]),
    "layer norm of a constant row": (lambda t: F.layer_norm(t, (4,)), np.ones((2, 4))),
    "product of zeros": (np.prod, [0.0, 0.0, 2.0, 3.0]),
    "safe square root": (lambda t: np.where(t > 0, np.sqrt(np.where(t > 0, t, 1)), 0), X),
    "results of many kinds": (lambda t: (np.argmax(t), t * 2, t > 0, "word", None, 3, np.ones(2, np.float32)), X),
    "a sum of 100,000": (lambda t: np.sum(np.sin(t)), np.linspace(-1, 1, 100_000)),
    "100,000 results": (lambda t: np.sin(t * np.linspace(0, 1, 100_000)), [0.3]),
    "Fortran order": (lambda t: t * t, np.asfortranarray(RNG.normal(size=(3, 2)))),
}


@pytest.mark.filterwarnings("error::tinygrad_rnn.testing.KinkWarning")
@pytest.mark.parametrize("name", RIGHT)
def test_hard_but_right_functions_pass(name):
    f, x = RIGHT[name]
    assert gradcheck(f, np.asarray(x), progress=False)


@pytest.mark.filterwarnings("error::tinygrad_rnn.testing.KinkWarning")
@pytest.mark.parametrize("distance", [1e-1, 1e-2, 1e-3, 1e-4, 1e-5])
@pytest.mark.parametrize(
    "f",
    [
        F.relu,
        lambda t: 3 * F.relu(t) + np.sin(t),
        lambda t: np.max(np.stack([t * t, (t * t)[::-1] + t]), axis=0),
        lambda t: F.relu(t) ** 2,
    ],
)
def test_near_a_kink_is_not_on_it(f, distance):
    assert gradcheck(f, np.array([distance, -distance]))


@pytest.mark.filterwarnings("error::tinygrad_rnn.testing.KinkWarning")
def test_random_lines_over_many_kinks_raise_no_alarm():
    for _ in range(15):
        arrays = (RNG.normal(size=(4, 5)), RNG.normal(size=(5, 40)), RNG.normal(size=(40, 3)))
        assert gradcheck(lambda x, a, b: np.sum(F.relu(F.relu(x @ a) @ b), axis=-1), arrays, projections=3)


@pytest.mark.parametrize(
    ("f", "order"),
    [
        (lambda t: F.relu(t) ** 2, 2),
        (lambda t: t * np.abs(t), 2),
        (F.elu, 2),
        (lambda t: np.abs(t) * np.abs(t), 2),
        (lambda t: F.relu(t) ** 3, 3),
    ],
)
def test_a_kink_is_told_in_the_order_in_which_it_appears(f, order):
    x = np.array([0.0, 1.0, -1.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error", KinkWarning)
        assert gradcheck(f, x, order=order - 1)
    with pytest.warns(KinkWarning, match="could not be compared"):
        assert gradcheck(f, x, order=order)


# ------------------------------------------------------------------------------------------------ leaves no trace


def test_everything_is_as_it_was_after_an_interrupt_at_any_call():
    w = leaf()
    (w * w).sum().backward()
    kept, values, gradient = {entry: entry.keeps for entry in TABLE.values()}, w.data.copy(), w.grad
    state = np.random.get_state()[1].copy()
    errors, filters = np.geterr(), list(warnings.filters)

    def f(t):  # right operations, a kink, and a detached part: all that gradcheck can do is done
        return F.relu(t - 1) - F.relu(1 - t) + t * t.detach()

    interrupts = 0
    for last in range(0, 160, 3):
        calls = iter(range(last))

        def stopped(t, calls=calls):
            if next(calls, None) is None:
                raise KeyboardInterrupt
            return f(t)

        try:
            gradcheck(stopped, w, progress=False)
        except KeyboardInterrupt:
            interrupts += 1
        except (GradcheckError, KinkError):
            pass
        assert np.array_equal(w.data, values)
        assert {entry: entry.keeps for entry in TABLE.values()} == kept
    assert interrupts > 10
    assert w.grad is gradient
    assert np.array_equal(np.random.get_state()[1], state)
    assert (np.geterr(), list(warnings.filters)) == (errors, filters)


# ------------------------------------------------------------------------------------------------ what is promised


@pytest.mark.parametrize("n", [2, 3, 10, 200])
@pytest.mark.parametrize("share", [0.1, 0.3, 0.7])
def test_a_random_direction_misses_as_rarely_as_promised(n, share):
    # the docstring: P(|e . v| < t) <= 0.8 t sqrt(n) / |e| for v of length 1; here |e| = 1, t = share / sqrt(n)
    v = RNG.standard_normal((20_000, n))
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    missed = np.mean(np.abs(v[:, 0]) < share / np.sqrt(n))
    assert missed < 0.8 * share + 4 * np.sqrt(0.25 / len(v))


def test_an_element_costs_6_to_10_calls():
    calls = []

    def f(a, b):
        calls.append(1)
        return np.tanh(a @ b)

    assert gradcheck(f, (RNG.normal(size=(5, 20)), RNG.normal(size=(20, 5))))
    assert len(calls) <= 10 * 200
