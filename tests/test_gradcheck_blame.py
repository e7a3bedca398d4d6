"""Whom gradcheck blames, and what it refuses."""

import sys
import threading
from collections import Counter

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.primitives import TABLE, keeping_everything
from tinygrad_rnn.testing import GradcheckError, KinkWarning, gradcheck, gradient_check
from tinygrad_rnn.testing.subject import Subject

RNG = np.random.default_rng(11)
X = np.array([0.5, -1.3, 2.0])


def rule_for(call, *rules, **others):
    made = tg.primitive(call)
    tg.defvjp(made, *rules, **others)
    return made


bad_square = rule_for(lambda x: x * x, lambda g, _y, x: g * x)


def leaf(values=(1.0, 2.0, 3.0), **options):
    return tg.Tensor(np.array(values), requires_grad=True, **options)


# ------------------------------------------------------------------------------------------------ what is refused


def test_a_function_that_writes_into_its_input():
    def clip(t):
        t.data[...] = np.maximum(t.data, 0)
        return t * 2

    w = leaf([1.0, -2.0])
    with pytest.raises(ValueError, match=r"writes into inputs\[1\]"):
        gradcheck(lambda x, t: clip(t) + x, (X[:2], w))
    assert np.array_equal(w.data, [1.0, -2.0])

    def replace(t):
        t.data = np.maximum(t.data, 0)
        return t * 2

    memory = w.data
    with pytest.raises(ValueError, match="writes into inputs"):
        gradcheck(replace, w)
    assert w.data is memory
    assert np.array_equal(w.data, [1.0, -2.0])


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("eps", 0.0), ("eps", -1e-3), ("eps", np.nan), ("eps", "small"), ("eps", True),
        ("atol", -1.0), ("atol", np.inf), ("rtol", np.nan), ("rtol", -1e-3), ("rtol", [1e-3]),
        ("projections", True), ("projections", 2.5), ("order", True), ("order", np.float64(1)),
    ],
)  # fmt: skip
def test_options_that_mean_nothing_are_refused(option, value):
    with pytest.raises(ValueError, match=f"expected {option} to be a"):
        gradcheck(np.tanh, X, **{option: value})


def test_numpys_numbers_are_options_too():
    one = np.int64(1)
    assert gradcheck(np.tanh, X, order=2 * one, projections=one, eps=np.float64(0.01), atol=np.float32(1e-6), rtol=0)


def test_other_float_types_are_told_what_is_expected():
    with pytest.raises(TypeError, match=r"expected inputs to be float64, got (float96|float128|longdouble); pass"):
        gradcheck(np.tanh, X.astype(np.longdouble))
    with pytest.raises(TypeError, match="got float32, whose differences have only 3 or 4 digits; pass"):
        gradcheck(np.tanh, X.astype(np.float32))


def test_variables_that_share_memory_are_refused():
    memory = np.arange(6.0)
    a, b = (tg.Tensor(part, requires_grad=True, copy=False) for part in (memory[:4], memory[2:]))
    with pytest.raises(ValueError, match=r"inputs\[0\] and inputs\[1\] share memory"):
        gradcheck(np.multiply, (a, b))
    even, odd = (tg.Tensor(part, requires_grad=True, copy=False) for part in (memory[::2], memory[1::2]))
    assert gradcheck(np.multiply, (even, odd))


# ------------------------------------------------------------------------------------------------ whom it blames


def failing_again(snippet, **names):
    with pytest.raises(GradcheckError) as caught:
        exec(snippet, names)
    return caught.value


def test_primitives_that_cannot_be_imported():
    with pytest.raises(GradcheckError) as caught:
        gradcheck(lambda x: bad_square(np.sin(x)), X)
    snippet = caught.value.snippet
    assert "# put here, under the name operation, your function <lambda>" in snippet
    assert failing_again(snippet, operation=bad_square).operation == "<lambda>"

    def inner(x):
        return x * x

    rule = rule_for(inner, lambda g, _y, x: g * x)
    with pytest.raises(GradcheckError) as caught:
        gradcheck(rule, X)
    snippet = caught.value.snippet
    assert "under the name inner, your function test_primitives_that_cannot_be_imported.<locals>.inner" in snippet
    assert failing_again(snippet, inner=rule).operation == "inner"


def test_large_arrays_are_stood_in_for():
    x, mask = RNG.uniform(1, 2, (30, 80)), RNG.normal(size=(30, 80)) > 0
    rule = rule_for(lambda x, mask: np.sqrt(x) * mask, lambda g, _y, x, mask: g * mask / np.sqrt(x), None)
    with pytest.raises(GradcheckError) as caught:
        gradcheck(lambda t: rule(t, mask), x, projections=2)
    snippet = caught.value.snippet
    assert len(snippet) < 1000
    assert snippet.count("numbers of shape (30, 80) are too many to write out") == 2
    assert failing_again(snippet, operation=rule).operation == "<lambda>"  # no square root of a negative number


def test_infinite_constants_are_written_out():
    rule = rule_for(lambda x, low: np.maximum(x, low) ** 2, lambda g, _y, x, low: g * np.maximum(x, low), None)
    with pytest.raises(GradcheckError) as caught:
        gradcheck(lambda t: rule(t, -np.inf), X)
    assert failing_again(caught.value.snippet, operation=rule).operation == "<lambda>"


def test_options_are_repeated_in_the_snippet():
    off = rule_for(lambda x: x * 1.0, lambda g, _y, _x: g * (1 + 1e-7))
    options = {"rtol": 1e-9, "atol": 1e-10, "eps": 0.25, "mode": "forward"}
    assert gradcheck(off, X)
    with pytest.raises(GradcheckError) as caught:
        gradcheck(lambda t: off(np.sin(t)), X, **options)
    assert all(f", {name}={value!r}" in caught.value.snippet for name, value in options.items())
    assert failing_again(caught.value.snippet, operation=off).operation == "<lambda>"


def test_a_wrong_definition_is_blamed_in_forward_mode():
    rule = rule_for(
        lambda a, b: tg.Saved(a * b, None),
        joint=lambda needed, g, y, saved, a, b: (g * b, g * a),
        definition=lambda a, b: a * b * 1.001,
    )
    with pytest.raises(GradcheckError) as caught:
        gradcheck(lambda a, b: rule(np.sin(a), b), (X, X + 1), mode="forward")
    assert caught.value.operation == "<lambda>"
    assert failing_again(caught.value.snippet, operation=rule).operation == "<lambda>"


def test_a_rule_that_is_wrong_for_the_same_tensor_twice_is_blamed():
    rule = rule_for(lambda a, b: a * b, lambda g, _y, _a, b: g * b, lambda g, _y, a, b: g * a * (0 if a is b else 1))

    def f(t):
        s = np.sin(t)
        return rule(s, s)

    with pytest.raises(GradcheckError) as caught:
        gradcheck(f, X)
    assert caught.value.operation == "<lambda>"
    assert "operation(x0, x0)" in caught.value.snippet
    assert failing_again(caught.value.snippet, operation=rule).operation == "<lambda>"


@pytest.mark.parametrize("x", [[-1.0, 2.0, -3.0], [-0.5, 2.0, 3.0], np.linspace(-1, 1, 150)])
def test_an_operation_outside_of_its_domain_is_not_called_wrong(x):
    with np.errstate(all="ignore"), pytest.raises(GradcheckError) as caught:
        gradcheck(lambda t: np.where(t > 0, np.sqrt(t), 0.0), np.array(x))
    assert caught.value.operation is None
    assert "sqrt is outside of its domain there" in str(caught.value)
    assert "np.sqrt(np.where(t > 0, t, 1))" in str(caught.value)


def test_exactly_at_the_edge_of_a_domain_there_is_nothing_to_compare():
    with np.errstate(all="ignore"), pytest.warns(KinkWarning, match="without a derivative"):
        assert gradcheck(lambda t: np.where(t > 0, np.sqrt(t), 0.0), np.array([0.0, 2.0, 3.0]))


def test_a_rule_of_nan_inside_the_domain_is_called_wrong():
    rule = rule_for(lambda x: np.sqrt(x), lambda g, y, _x: g * np.where(y > 1.2, np.nan, 0.5 / y))  # noqa: PLW0108
    with np.errstate(all="ignore"), pytest.raises(GradcheckError) as caught:
        gradcheck(rule, np.array([0.0, 1.0, 2.0]))
    assert caught.value.operation == "<lambda>"


def test_a_cast_on_the_way_is_passed_over():
    def f(t):
        return np.sum(t.astype(np.float32) * np.float32(0)).astype(np.float64) + bad_square(np.sin(t))

    with pytest.raises(GradcheckError) as caught:
        gradcheck(f, X)
    assert caught.value.operation == "<lambda>"


def test_operations_are_screened_along_few_directions():
    calls = Counter()

    def right(x):
        calls["right"] += 1
        return x + 1.0

    right = rule_for(right, lambda g, _y, _x: g)
    x = RNG.normal(size=(10, 10))

    def f(t):
        for _ in range(30):
            t = right(t)
        return bad_square(t).sum()

    with pytest.raises(GradcheckError) as caught:
        gradcheck(f, x, projections=2)
    assert caught.value.operation == "<lambda>"
    assert "argument 0, shape (10, 10): 100 of 10000 wrong" in str(caught.value)  # that one element by element
    assert calls["right"] < 30 * 200  # element by element each of the 30 would take 600 at least


# ------------------------------------------------------------------------------------------------ leaves no trace


def test_keeping_everything_in_interleaved_threads():
    before = {entry: entry.keeps for entry in TABLE.values()}
    inside, leave = threading.Event(), threading.Event()

    def other():
        with keeping_everything():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with keeping_everything():
        thread.start()
        assert inside.wait(10)
    assert all(keeps == -1 for entry in before for keeps in entry.keeps)  # the other one is still inside
    leave.set()
    thread.join()
    assert {entry: entry.keeps for entry in TABLE.values()} == before


def test_an_interrupt_on_the_way_into_keeping_everything_or_aside_restores():
    """Interrupted after each line of what is between the first change and the block."""
    w = [leaf(), leaf()]
    subject = Subject({"a": w[0], "b": w[1]}, lambda: w[0])
    values, before = [v.data.copy() for v in w], {entry: entry.keeps for entry in TABLE.values()}
    functions = {"_aside": lambda: gradient_check._aside(subject), "keeping_everything": keeping_everything}
    for name, enter in functions.items():
        for stop in range(12):
            lines = iter(range(stop))

            def trace(frame, event, arg, name=name, lines=lines):
                if frame.f_code.co_name != name:
                    return None
                if event == "line" and next(lines, None) is None:
                    sys.settrace(None)
                    raise KeyboardInterrupt
                return trace

            sys.settrace(trace)
            try:
                with enter():
                    sys.settrace(None)
            except KeyboardInterrupt:
                pass
            finally:
                sys.settrace(None)
            assert all(np.array_equal(v.data, old) for v, old in zip(w, values, strict=True))
            assert {entry: entry.keeps for entry in TABLE.values()} == before
