"""What gradcheck says of a failure: the element, the operation to blame, Python that reproduces it; and its modes."""

import sys
import types

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn.primitives import TABLE
from tinygrad_rnn.testing import GradcheckError, gradcheck, gradient_check

RNG = np.random.default_rng(5)


def planted(name, call, *rules, **others):
    """A primitive of a module of its own, so that a snippet can import it."""
    call.__name__ = call.__qualname__ = name
    call.__module__ = "planted_rules"
    made = tg.primitive(call)
    tg.defvjp(made, *rules, **others)
    setattr(sys.modules.setdefault("planted_rules", types.ModuleType("planted_rules")), name, made)
    return made


bad_square = planted("bad_square", lambda x: x * x, lambda g, _y, x: g * x)
bad_product = planted("bad_product", lambda a, b: a * b, lambda g, _y, _a, b: g * b, lambda g, _y, _a, b: g * b)
bad_joint = planted(
    "bad_joint",
    lambda a, b: tg.Saved(a * b, None),
    joint=lambda needed, g, y, saved, a, b: (g * b, g * a),
    definition=lambda a, b: a * b * 1.001,
)


def detached(x):
    return x.detach() if isinstance(x, tg.Tensor) else x


# right on arrays; on tensors it cuts the graph, so that second derivatives lose a term
cut = planted("cut", lambda x: x**3, lambda g, _y, x: g * 3 * np.square(detached(x)))


def failing_again(snippet):
    """Run a snippet; the error that it must raise."""
    with pytest.raises(GradcheckError) as caught:
        exec(snippet, {})
    return caught.value


def test_the_first_wrong_operation_is_named_with_its_place_and_a_snippet():
    def f(w, x):
        with tg.scope("encoder"):
            for t in range(4):
                with tg.scope(step=t):
                    x = np.tanh(x @ w)
                    x = bad_square(x) if t == 2 else x
        return x.sum()

    with pytest.raises(GradcheckError) as caught:
        gradcheck(f, (RNG.normal(size=(3, 3)), RNG.normal(size=(2, 3))))
    error = caught.value
    assert error.operation == "bad_square at encoder, t=2"
    assert "from planted_rules import bad_square" in error.snippet
    assert all(f"    {line}\n" in f"{error}\n" for line in error.snippet.splitlines())
    again = failing_again(error.snippet)
    assert again.operation == "bad_square"
    assert (again.order, again.total) == (1, 36)


def test_the_error_bar_and_the_element_are_given():
    x = np.array([[1.0, 2.0, 0.5]])
    with pytest.raises(GradcheckError) as caught:
        gradcheck(bad_square, x)
    error = caught.value
    assert (error.input, error.index, error.element, error.output) == ("inputs", (0, 1), "inputs[0, 1]", "output[0, 1]")
    assert (error.wrong, error.total) == (3, 9)
    assert error.analytic == pytest.approx(2.0)
    assert abs(error.numeric - 4.0) <= 10 * error.error < 1e-7


@pytest.mark.parametrize(
    ("name", "call", "inputs", "operation"),
    [
        ("swapped", lambda a, b: np.tanh(bad_product(a, b)), (RNG.normal(size=3), RNG.normal(size=3)), "bad_product"),
        ("broadcast", bad_product, (RNG.normal(size=(2, 3)), RNG.normal(size=3)), "bad_product"),
        ("keyword", lambda a: bad_square(np.sum(a, axis=1, keepdims=True)), (RNG.normal(size=(2, 3)),), "bad_square"),
        ("sequence", lambda a: bad_square(np.stack([a, a * 2])), (RNG.normal(size=2),), "bad_square"),
        (
            "empty beside it",
            lambda a, b: (bad_square(a), np.sum(b)),
            (RNG.normal(size=2), np.zeros((0, 2))),
            "bad_square",
        ),
    ],
)
def test_snippets_run(name, call, inputs, operation):
    with pytest.raises(GradcheckError) as caught:
        gradcheck(call, inputs)
    assert caught.value.operation == operation
    assert failing_again(caught.value.snippet).operation == operation


@pytest.fixture
def wrong_rules():
    """Puts wrong rules into the live table, and the right ones back."""
    saved = []

    def plant(function, i, rule):
        entry = TABLE[function]
        saved.append((entry, entry.rules, entry.keeps))
        rules = list(entry.rules)
        rules[i] = rule
        entry.rules, entry.keeps = tuple(rules), (-1,) * len(rules)
        return entry

    yield plant
    for entry, rules, keeps in reversed(saved):
        entry.rules, entry.keeps = rules, keeps


def test_snippets_of_numpys_functions_run(wrong_rules):
    wrong_rules(np.cumsum, 0, lambda g, y, a, axis=None: np.cumsum(g, axis))
    wrong_rules(np.take, 0, lambda g, y, a, indices, axis=None: np.zeros_like(a))
    cases = [
        (lambda x: np.cumsum(np.tanh(x), axis=1), "cumsum"),
        (lambda x: np.take(np.tanh(x), np.array([[0, 2], [1, 1]]), axis=1), "take"),
    ]
    for f, operation in cases:
        with pytest.raises(GradcheckError) as caught:
            gradcheck(f, RNG.normal(size=(2, 3)))
        assert caught.value.operation == operation
        assert failing_again(caught.value.snippet).operation == operation


def test_what_no_single_operation_explains_says_so():
    with pytest.raises(GradcheckError, match="each recorded operation is right by itself") as caught:
        gradcheck(lambda x: x * x.detach(), np.ones(2))
    assert caught.value.operation is None
    assert caught.value.snippet is None


# ------------------------------------------------------------------------------------------------ orders and modes


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("mode", ["reverse", "forward", "adjoint"])
def test_right_functions_pass_in_every_order_and_mode(order, mode):
    w, x = RNG.normal(size=(2, 3)), RNG.normal(size=(3, 2))
    assert gradcheck(lambda a, b: np.exp(np.sin(a @ b)).sum(axis=0), (w, x), order=order, mode=mode)
    assert gradcheck(lambda a: a * 2.0, w, order=order, mode=mode)  # derivatives that are 0 from the second on
    assert gradcheck(lambda a: tg.functional.cross_entropy(a, np.array([0, 2])), w, order=order, mode=mode)


@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_a_rule_that_is_wrong_from_the_second_order_on(mode):
    x = RNG.normal(size=3)
    if mode == "reverse":
        assert gradcheck(cut, x, mode=mode)
    with pytest.raises(GradcheckError, match="derivatives of order 2 are wrong") as caught:
        gradcheck(lambda a: cut(np.sin(a)), x, order=2, mode=mode)
    assert (caught.value.order, caught.value.operation) == (2, "cut")
    assert failing_again(caught.value.snippet).order == 2


def test_adjoint_finds_a_joint_rule_that_differs_from_its_definition():
    a, b = RNG.normal(size=(2, 3))
    assert gradcheck(bad_joint, (a, b))
    with pytest.raises(GradcheckError, match=r"<J v, u> = .* but <v, J\^T u> = ") as caught:
        gradcheck(bad_joint, (a, b), mode="adjoint")
    error = caught.value
    assert error.analytic != error.numeric
    assert (error.input, error.index, error.element) == ("inputs", None, "direction 0 of inputs")
    assert (error.output, error.wrong, error.total) == ("projection 0 of the output", 1, 10)
    assert (error.order, error.operation, error.snippet) == (1, None, None)
    with pytest.raises(GradcheckError):
        gradcheck(bad_joint, (a, b), mode="forward")


bad_clipped = planted("bad_clipped", lambda x: np.sin(x) * 1.0, lambda g, _y, x: np.clip(g, -3, 3) * np.cos(x))


def test_a_rule_that_is_not_linear_in_the_gradient_is_found():
    for x in (np.array([0.3, 1.2]), RNG.normal(size=(15, 10))):
        with pytest.raises(GradcheckError, match="a walk with all cotangents at once against the sum") as caught:
            gradcheck(lambda a: bad_clipped(a) * 1.0, x)
        assert caught.value.operation == "bad_clipped"
        assert failing_again(caught.value.snippet).operation == "bad_clipped"
    with pytest.raises(GradcheckError, match=r"<J v, u>"):
        gradcheck(bad_clipped, 3 * np.ones(40), mode="adjoint")


def test_adjoint_cannot_see_a_linear_rule_that_is_wrong():
    # as its docstring says: the two walks share the mistake
    assert gradcheck(bad_square, np.array([1.0, 2.0]), mode="adjoint")


def test_random_projections_find_one_wrong_entry():
    def f(x):
        return np.sum(np.sin(x)) + 1e-3 * np.sin(x.detach())[13, 7]

    x = RNG.normal(size=(40, 40))
    with pytest.raises(GradcheckError) as caught:
        gradcheck(f, x, projections=10)
    assert caught.value.element.startswith("direction")
    assert caught.value.index is None
    assert gradcheck(lambda x: np.sum(np.sin(x)), x, projections=10, order=3)


@given(st.integers(0, 3), st.integers(0, 3), st.sampled_from(["reverse", "forward", "adjoint"]))
def test_empty_and_single_axes_in_every_mode(rows, columns, mode):
    x = np.linspace(-1.0, 2.0, rows * columns).reshape(rows, columns)
    assert gradcheck(lambda t: np.exp(t) @ t.T, x, mode=mode, order=2)


# ---------------------------------------------------------------------------------------------- what is checked


def test_a_modules_parameters_are_checked_and_restored():
    class Scale(tg.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = tg.nn.Parameter(np.array([0.5, 2.0]))

        def forward(self, x):
            return bad_product(x, self.weight)

    model = Scale()
    with pytest.raises(GradcheckError) as caught:
        gradcheck(model, np.array([1.0, 3.0]))
    assert caught.value.input == "parameter 'weight'"
    assert np.array_equal(model.weight.data, [0.5, 2.0])
    linear = tg.nn.Linear(3, 2).astype(np.float64)
    x = RNG.normal(size=(4, 3))
    assert gradcheck(linear, x, order=2)
    for f in (linear.__call__, linear.forward):
        linear.weight.data[...] = 1.0
        assert gradcheck(f, x)
    with pytest.raises(TypeError, match="parameter 'weight' to be float64, got float32"):
        gradcheck(tg.nn.Linear(3, 2), x)


def test_closed_over_tensors_are_checked():
    w = tg.Tensor(np.array([1.0, 2.0]), requires_grad=True)
    with pytest.raises(GradcheckError, match="variable 'w'"):
        gradcheck(lambda x: np.sum(x) + bad_square(w), np.ones(2))


def test_a_scan_with_ragged_lengths():
    w = tg.Tensor(RNG.normal(size=(3, 3)), requires_grad=True, name="w")

    def f(h, xs):
        return tg.scan(lambda h, x: (np.tanh(h @ w + x),) * 2, h, xs, lengths=np.array([4, 0, 2]))

    inputs = (RNG.normal(size=(3, 3)), RNG.normal(size=(4, 3, 3)))
    for mode in ("reverse", "forward", "adjoint"):
        assert gradcheck(f, inputs, mode=mode)
    assert gradcheck(f, inputs, order=2, projections=3)


def test_a_bar_appears_only_when_a_check_takes_long(capsys, monkeypatch):
    gradcheck(np.tanh, np.ones(30))
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(gradient_check, "_PATIENCE", 0.0)
    gradcheck(np.tanh, np.ones(30))
    assert "gradcheck:" in capsys.readouterr().err
    gradcheck(np.tanh, np.ones(30), progress=False)
    assert capsys.readouterr().err == ""


def test_results_of_no_elements():
    for mode in ("reverse", "forward", "adjoint"):
        assert gradcheck(
            lambda a, b: (a * b, b * 2), (np.zeros((2, 0, 1)), np.ones(3)), mode=mode, order=2, projections=2
        )
        assert gradcheck(lambda a, b: a * b, (np.zeros((2, 0, 1)), np.ones(3)), mode=mode, order=2, projections=2)
