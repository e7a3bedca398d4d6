"""The numeric side of gradcheck: known functions, honest error bars, kinks told from smooth points."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn.testing import GradcheckError, KinkError, KinkWarning, gradcheck
from tinygrad_rnn.testing.differences import FIRST_STEP, differentiate, noise_of


def slope(f, x, first=FIRST_STEP, enough=1e-9):
    """The derivative of a scalar function at x, as (value, error, bend, kink)."""

    def line(h):
        return np.atleast_1d(f(np.float64(x + h)))

    with np.errstate(all="ignore"):
        found = differentiate(line, line(0.0), noise_of(line), first, lambda _: enough)
    return tuple(part[0] for part in found)


SMOOTH = {
    "sine": (np.sin, np.cos, -20, 20),
    "exponential": (np.exp, np.exp, -20, 5),
    "fast sine": (lambda x: np.sin(300 * x), lambda x: 300 * np.cos(300 * x), -3, 3),
    "logarithm": (np.log, lambda x: 1 / x, 1e-3, 1e3),
    "square root": (np.sqrt, lambda x: 0.5 / np.sqrt(x), 1e-3, 1e6),
    "fifth power": (lambda x: x**5, lambda x: 5 * x**4, -30, 30),
    "sharp step": (
        lambda x: np.tanh(1000 * x),
        lambda x: 1000 / np.cosh(np.minimum(np.abs(1000 * x), 300)) ** 2,
        -1,
        1,
    ),
    "pole": (lambda x: 1 / x, lambda x: -1 / x**2, 0.01, 5),
    "bump": (lambda x: np.exp(-50 * x * x), lambda x: -100 * x * np.exp(-50 * x * x), -1, 1),
}


@pytest.mark.parametrize("name", SMOOTH)
@given(st.floats(0, 1))
@example(0.0)
@example(0.5)
@example(1.0)
def test_the_value_is_within_its_error_bar_and_the_bar_is_small(name, share):
    f, derivative, low, high = SMOOTH[name]
    x = low + share * (high - low)
    value, error, _, kink = slope(f, x)
    assert not kink
    size = max(1.0, abs(float(derivative(x))), abs(float(f(x))))
    assert abs(value - float(derivative(x))) <= 10 * error + 1e-14 * size
    assert error <= 1e-6 * size


KINKS = {
    "absolute value": (np.abs, 2.0),
    "relu": (lambda x: np.maximum(x, 0), 1.0),
    "relu on a slope": (lambda x: np.maximum(x, 0) + np.sin(5 * x), 1.0),
    "weak": (lambda x: 1e-3 * np.abs(x) + np.exp(x), 2e-3),
    "steep": (lambda x: 1e3 * np.abs(x) + np.exp(3 * x), 2e3),
}


@pytest.mark.parametrize("name", KINKS)
@pytest.mark.parametrize("off", [0.0, 1e-10, -1e-9])
def test_a_kink_is_told_by_its_two_slopes(name, off):
    f, bend = KINKS[name]
    *_, found, kink = slope(f, off)
    assert kink
    assert found == pytest.approx(bend, rel=0.02)


@pytest.mark.parametrize("off", [1e-1, -1e-2, 1e-3, -1e-4, 3e-5])
def test_beside_a_kink_the_slope_is_that_of_its_side(off):
    value, error, _, kink = slope(np.abs, off)
    assert not kink
    assert abs(value - math.copysign(1, off)) <= 10 * error + 1e-9
    assert error < 1e-4


NO_DERIVATIVE = {
    "jump": (lambda x: np.sign(x) + x, 0.0),
    "edge of the domain": (np.sqrt, 0.0),
    "infinite slope": (np.cbrt, 0.0),
    "pole": (lambda x: 1 / x, 0.0),
    "one-sided": (lambda x: np.where(x < 0, np.nan, x), 0.0),
    "not finite": (lambda x: x * np.inf, 1.0),
}


@pytest.mark.parametrize("name", NO_DERIVATIVE)
def test_what_has_no_derivative_is_told(name):
    f, x = NO_DERIVATIVE[name]
    assert slope(f, x)[-1]


@given(st.floats(-3, 3), st.floats(0.02, 50), st.floats(-3, 3))
def test_no_smooth_function_is_taken_for_a_kink(x, speed, shift):
    value, error, _, kink = slope(lambda t: np.tanh(speed * (t - shift)) + t * t, x)
    assert not kink
    expected = speed * (1 - math.tanh(speed * (x - shift)) ** 2) + 2 * x
    assert abs(value - expected) <= 10 * error + 1e-12 * max(1, abs(expected))


def test_noise_widens_the_bar():
    def rounded(x):
        return (1e7 + np.sin(x)) - 1e7  # to 2e-9

    xs = np.linspace(-1, 1, 20)
    noisy = [slope(rounded, x) for x in xs]
    told = [(abs(value - math.cos(x)), error) for x, (value, error, _, kink) in zip(xs, noisy, strict=True) if not kink]
    assert len(told) >= 15  # noise may look like a jump, but not often
    for off, error in told:
        assert off <= 10 * error
        assert 1e-10 < error < 1e-4


# ------------------------------------------------------------------------------------ what gradcheck makes of it


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (tg.functional.relu, [0.0, 0.0]),
        (np.abs, [0.0]),  # whose central difference is 0, as is our slope: right by luck
        (np.max, [1.5, 1.5]),
        (lambda t: np.maximum(t, 2.0), [2.0]),
        (lambda t: np.clip(t, -1, 1), [1.0, -1.0]),
        (np.sign, [0.0]),
        (lambda t: tg.functional.relu(t) - tg.functional.relu(-t), [0.0]),  # smooth, though both of its parts are not
    ],
)
@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_nothing_but_kinks_neither_passes_nor_fails(f, x, mode):
    with pytest.raises(KinkError, match="could not be compared"):
        gradcheck(f, np.array(x), mode=mode)


def test_kinks_among_others_are_reported_and_the_others_checked():
    x = np.array([0.5, 0.0, -1.0])
    with pytest.warns(KinkWarning, match=r"1 of 9 .* 1 on a kink \(first: d output\[1\] / d inputs\[1\]\)"):
        assert gradcheck(tg.functional.relu, x)

    @tg.primitive
    def bad_relu(x):
        return np.maximum(x, 0)

    tg.defvjp(bad_relu, lambda g, _y, x: g * (x > 0.6))
    with pytest.raises(GradcheckError, match="1 of 9") as caught:
        gradcheck(bad_relu, x)
    assert caught.value.index == (0,)


def test_on_a_kink_a_slope_outside_of_both_sides_is_wrong():
    @tg.primitive
    def hinge(x):
        return np.maximum(x, 0)

    tg.defvjp(hinge, lambda g, _y, x: g * np.where(x == 0, 1.5, x > 0))
    with pytest.raises(GradcheckError, match="a kink: the slopes on its sides differ by 1"):
        gradcheck(hinge, np.array([0.0, 1.0]))


def test_a_kink_excuses_nothing_that_is_wrong_beside_it():
    def f(t):
        return tg.functional.relu(t) - tg.functional.relu(-t) + t * t.detach()

    with pytest.raises(GradcheckError, match="each recorded operation is right by itself"):
        gradcheck(f, np.array([0.0, 2.0]))


def test_a_gradient_of_nan_is_no_convention():
    with np.errstate(all="ignore"), pytest.raises(GradcheckError, match="analytic nan"):
        gradcheck(lambda t: np.sqrt(t * 0) + t, np.ones(1))


@given(st.floats(-1e6, 1e6), st.sampled_from([1.0, 1e-6, 1e6]))
def test_no_tolerance_needs_tuning_at_any_scale(x, scale):
    assume(abs(x) > 1e-3)
    assert gradcheck(lambda t: np.tanh(t / (1 + abs(x))) * scale + np.log(np.abs(t)), np.array([x, 2 * x]))


# ------------------------------------------------------------------------- what once went wrong, from an attack on it


@pytest.mark.parametrize("octave", range(3, 14))
def test_no_aliasing_of_steps_and_periods(octave):
    assert gradcheck(lambda t: np.sin(2.0**octave * np.pi * t), np.array([0.3, -1.1]))

    @tg.primitive
    def dropped(t):
        return np.sin(2.0**octave * np.pi * t)

    tg.defvjp(dropped, lambda g, _y, _t: g * 0)
    with pytest.raises(GradcheckError):
        gradcheck(dropped, np.array([0.3, -1.1]))


def test_a_plateau_nearby_is_not_taken_for_the_slope():
    assert gradcheck(lambda t: np.maximum(1 - (t - 1e-3) ** 2, 1 - 1e-5), np.array([0.0]))
    assert gradcheck(lambda t: np.clip(np.cos(3 * t), -1, 0.9999), np.array([1e-3]))
    rng = np.random.default_rng(0)
    for _ in range(10):
        assert gradcheck(lambda x: np.max(np.abs(np.sin(3 * x)), axis=0), rng.normal(size=(30, 4)))


@pytest.mark.parametrize("x", [1e-5, 3e-6, 1e-6, 3e-7, -1e-6])
def test_beside_a_kink_nothing_is_wrong(x):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KinkWarning)
        for f in (tg.functional.relu, lambda t: tg.functional.relu(t) ** 2, lambda t: np.abs(t) ** 1.5):
            assert gradcheck(f, np.array([x, 1.0]))


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (lambda t: -np.log(1 - tg.functional.sigmoid(t)), 30.0),
        (lambda t: (np.sin(t) + 1e12) - 1e12, 1.0),
    ],
)
def test_coarse_rounding_is_noise_and_not_a_wrong_derivative(f, x):
    with pytest.raises(KinkError, match="do not settle"):
        gradcheck(f, np.array([x]))


def test_one_jump_does_not_blind_the_check_of_all_others():
    x = np.linspace(0.1, 1.0, 150)
    x[7] = 0.0
    with pytest.warns(KinkWarning):
        assert gradcheck(lambda t: np.sum(np.sin(t) + tg.functional.relu(t)), x, order=2)

    @tg.primitive
    def sine(t):
        return np.sin(t)

    tg.defvjp(sine, lambda g, _y, t: g * np.cos(getattr(t, "data", t)))  # second derivatives are lost
    with pytest.raises(GradcheckError, match="order 2"):
        gradcheck(lambda t: np.sum(sine(t) + tg.functional.relu(t)), x, order=2)


def test_nan_on_a_kink_is_wrong():
    @tg.primitive
    def nan_abs(t):
        return np.abs(t)

    with np.errstate(invalid="ignore"):
        tg.defvjp(nan_abs, lambda g, _y, t: g * t / np.abs(t))
        with pytest.raises(GradcheckError, match="analytic nan"):
            gradcheck(lambda t: np.sum(nan_abs(t)), np.array([0.0, 1.0]))


@pytest.mark.parametrize("scale", [1e-4, 1e-7, 1e-9])
def test_small_derivatives_are_checked_too(scale):
    x = np.array([0.5, -1.3, 2.0])
    assert gradcheck(lambda t: np.sin(t) * scale, x)

    @tg.primitive
    def off(t):
        return np.sin(t) * scale

    tg.defvjp(off, lambda g, _y, t: g * np.cos(t) * scale * 1.05)
    with pytest.raises(GradcheckError):
        gradcheck(off, x)


def test_a_rule_that_adds_something_is_found_in_every_mode():
    @tg.primitive
    def affine(t):
        return t * 2

    tg.defvjp(affine, lambda g, _y, _t: g * 2 + 1.0)
    for mode in ("reverse", "forward", "adjoint"):
        with pytest.raises(GradcheckError):
            gradcheck(affine, np.array([1.0, 2.0]), mode=mode)


def test_a_joint_rule_must_not_depend_on_what_it_is_asked_for():
    @tg.primitive
    def product(a, b):
        return tg.Saved(a * b, None)

    def rule(needed, g, _y, _saved, a, b):
        return g * b * (1 if all(needed) else 2), g * a

    tg.defvjp(product, joint=rule, definition=lambda a, b: a * b)
    with pytest.raises(GradcheckError, match="a walk to it alone against one to all inputs"):
        gradcheck(product, (np.array([1.0, 2.0]), np.array([3.0, 4.0])))


def test_large_and_tiny_numbers():
    for f, x in [
        (lambda t: t * t, [1e8, 1e100]),
        (lambda t: 1e12 * np.sin(t), [0.3, 1.0]),
        (np.exp, [30.0, 100.0, 300.0, 700.0]),
        (lambda t: t * 1.5, [1e300, 1.0]),
        (np.log, [1e-5, 1e-8]),
        (np.sqrt, [1e-5, 1e-8]),
        (lambda t: 1 / t, [1e-5, 1e-3]),
    ]:
        with warnings.catch_warnings():
            warnings.simplefilter("error", KinkWarning)
            assert gradcheck(f, np.array(x)), (f, x)


def test_results_that_are_not_finite_are_left_out_and_the_others_checked():
    mask = np.zeros(120)
    mask[5] = -np.inf
    assert gradcheck(lambda t: np.sin(t) + mask, np.linspace(0.1, 2.0, 120))
    with pytest.raises(GradcheckError):
        gradcheck(lambda t: np.sin(t) + mask + t.detach(), np.linspace(0.1, 2.0, 120))


@pytest.mark.parametrize("f", [np.cbrt, np.sqrt, np.log])
def test_an_edge_of_the_domain_is_no_mistake_however_many_results_there_are(f):
    for x in ([0.0, 1.0], [1.0, 0.0, 2.0]):
        with pytest.warns(KinkWarning, match="without a derivative"):
            assert gradcheck(f, np.array(x))
        if f is not np.log:  # whose sum is infinite
            with pytest.warns(KinkWarning, match="without a derivative"):
                assert gradcheck(lambda t: f(t).sum(), np.array(x))
    with pytest.raises(KinkError):
        gradcheck(f, np.array(0.0))


def test_differences_that_leave_the_domain_warn_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert gradcheck(np.log, np.array([1e-3, 1.0]))
        assert gradcheck(np.sqrt, np.array([1e-4, 1.0]), order=2)
