"""tg.primitive and tg.defvjp: every form a rule can have, and every way it can be wrong."""

import functools
from typing import NamedTuple

import numpy as np
import pytest
from leaves import leaf

import tinygrad_rnn as tg

# --------------------------------------------------------------------------------------------- the forms of rules


def test_one_rule_for_each_argument_and_any_order(table):
    tg.defvjp(np.float_power, lambda g, y, a, b: g * b * y / a, lambda g, y, a, _b: g * y * np.log(a))
    a, b = leaf([3.0, 1.0]), leaf([4.0, 2.0])
    y = np.float_power(a, b).sum()
    ga, gb = tg.grad(y, [a, b], create_graph=True)
    np.testing.assert_allclose(ga.numpy(), [108.0, 2.0])
    (second,) = tg.grad(ga.sum(), b)
    np.testing.assert_allclose(second.numpy(), [27 + 108 * np.log(3.0), 1.0])
    np.testing.assert_allclose(gb.numpy(), [81 * np.log(3.0), 0.0])


def test_an_argument_without_a_rule_has_no_gradient_if_none_is_said():
    @tg.primitive
    def scaled(x, factor):
        return x * factor

    tg.defvjp(scaled, lambda g, _y, _x, factor: g * factor, None)
    x, factor = leaf([1.0, 2.0]), leaf(3.0)
    y = scaled(x, factor)
    y.sum().backward()
    assert (x.grad.tolist(), factor.grad) == ([3.0, 3.0], None)
    assert not scaled(np.ones(2), factor).requires_grad


def test_a_function_all_of_whose_rules_are_none_is_constant(table):
    tg.defvjp(np.fabs, None)
    assert not np.fabs(leaf([-1.5])).requires_grad
    assert np.fabs(leaf([-1.5])).tolist() == [1.5]


def test_a_tensor_past_the_last_rule_is_refused_at_the_call(table):
    @tg.primitive
    def product(a, b):
        return a * b

    tg.defvjp(product, lambda g, _y, a, b: g * b)
    tg.defvjp(np.copysign, lambda g, y, a, b: g * y / a)
    x = leaf([1.0])
    assert tg.grad(product(x, np.array([2.0])), x)[0].tolist() == [2.0]
    for call in (lambda: product(x, leaf([2.0])), lambda: product(np.ones(1), x), lambda: np.copysign(x, x)):
        with pytest.raises(TypeError, match=r"(product|copysign).*argument 1"):
            call()


def test_rest_serves_variadic_functions():
    @tg.primitive
    def total(*xs):
        return sum(k * x for k, x in enumerate(xs, start=1))

    tg.defvjp(total, rest=lambda i, g, _y, *xs: g * (i + 1))
    xs = [leaf([1.0]) for _ in range(4)]
    total(xs[0], np.ones(1), xs[2], xs[3]).backward(np.ones(1))
    assert [x.grad and x.grad.tolist() for x in xs] == [[1.0], None, [3.0], [4.0]]


def test_rules_and_rest_together():
    @tg.primitive
    def scaled_total(factor, *xs):
        return factor * sum(xs)

    tg.defvjp(scaled_total, lambda g, _y, _factor, *xs: g * sum(xs), rest=lambda i, g, _y, factor, *xs: g * factor)
    factor, xs = leaf(3.0), [leaf(1.0), leaf(5.0)]
    scaled_total(factor, *xs).backward()
    assert (factor.grad.item(), [x.grad.item() for x in xs]) == (6.0, [3.0, 3.0])


def test_several_results_some_of_them_unused():
    @tg.primitive
    def sine_and_cosine(x):
        return np.sin(x), np.cos(x)

    tg.defvjp(sine_and_cosine, lambda g, y, _x: g[0] * y[1] - g[1] * y[0])
    x = leaf([0.3, 1.0])
    s, c = sine_and_cosine(x)
    assert type(s) is type(c) is tg.Tensor
    for y, truth in [(s, np.cos(x.numpy())), (c, -np.sin(x.numpy())), (s * c, np.cos(2 * x.numpy()))]:
        np.testing.assert_allclose(tg.grad(y.sum(), x, retain_graph=True)[0].numpy(), truth, rtol=1e-12)
    (g,) = tg.grad((s * s * c).sum(), x, create_graph=True)
    (second,) = tg.grad(g.sum(), x)
    np.testing.assert_allclose(second.numpy(), (9 * np.cos(3 * x.numpy()) - np.cos(x.numpy())) / 4, rtol=1e-9)


def test_several_results_may_be_a_named_tuple():
    class Split(NamedTuple):
        low: object
        high: object

    @tg.primitive
    def halves(x):
        return Split(np.minimum(x, 0), np.maximum(x, 0))

    tg.defvjp(halves, lambda g, y, x: g[0] * (x < 0) + g[1] * (x >= 0))
    x = leaf([-1.0, 2.0])
    for result in (halves(x), halves(x.detach())):
        assert type(result) is Split
        assert type(result.low) is tg.Tensor
    assert tg.grad((halves(x).high * 3 - halves(x).low).sum(), x)[0].tolist() == [-1.0, 3.0]


def test_arguments_that_are_sequences():
    @tg.primitive
    def weighted(parts, weight):
        return weight * sum(k * p for k, p in enumerate(parts, start=1))

    tg.defvjp(
        weighted,
        lambda g, _y, parts, weight: [g * weight * k for k in range(1, len(parts) + 1)],
        lambda g, _y, parts, _weight: g * sum(k * p for k, p in enumerate(parts, start=1)),
    )
    a, b, w = leaf([1.0, 2.0]), leaf([3.0, 4.0]), leaf(2.0)
    weighted((a, np.ones(2), b), w).sum().backward()
    assert (a.grad.tolist(), b.grad.tolist(), w.grad.item()) == ([2.0] * 2, [6.0] * 2, 3.0 + 4.0 + 21.0)
    (g,) = tg.grad(weighted([a, a], w).sum(), a, create_graph=True)
    assert g.tolist() == [6.0, 6.0]
    assert tg.grad(g.sum(), w)[0].item() == 6.0


def test_a_sequence_of_constants_needs_no_rule():
    @tg.primitive
    def scaled(x, factors):
        return x * sum(factors)

    x, factors = leaf([1.0, 2.0]), [tg.Tensor(1.0), tg.Tensor(2.0)]
    tg.defvjp(scaled, lambda g, _y, _x, factors: g * sum(factors))
    assert tg.grad(scaled(x, factors).sum(), x)[0].tolist() == [3.0, 3.0]
    with pytest.raises(TypeError, match="scaled: no derivative rule for argument 1"):
        scaled(x, [leaf(1.0), 2.0])
    tg.defvjp(scaled, lambda g, _y, _x, factors: g * sum(factors), None)
    factor = leaf(1.0)
    scaled(x, [factor, 2.0]).sum().backward()
    assert (x.grad.tolist(), factor.grad) == ([3.0, 3.0], None)


def test_tensors_given_by_keyword_are_bound_to_their_position():
    @tg.primitive
    def affine(x, scale=1.0, shift=0.0, *, sign=1):
        return sign * (x * scale + shift)

    tg.defvjp(
        affine,
        lambda g, _y, _x, scale=1.0, _shift=0.0, *, sign=1: sign * g * scale,
        lambda g, _y, x, _scale=1.0, _shift=0.0, *, sign=1: sign * g * x,
        lambda g, _y, _x, _scale=1.0, _shift=0.0, *, sign=1: sign * g,
    )
    x, scale, shift = leaf([1.0, 2.0]), leaf(3.0), leaf(5.0)
    for call in (
        lambda: affine(x, scale, shift, sign=-1),
        lambda: affine(x, scale=scale, shift=shift, sign=-1),
        lambda: affine(x, shift=shift, scale=scale, sign=-1),
        lambda: affine(x=x, scale=scale, shift=shift, sign=-1),
    ):
        y = call()
        assert y.tolist() == [-8.0, -11.0]
        gx, gs, gb = tg.grad(y.sum(), [x, scale, shift])
        assert (gx.tolist(), gs.item(), gb.item()) == ([-3.0, -3.0], -3.0, -2.0)
    assert tg.grad(affine(x, shift=shift).sum(), [x, shift])[0].tolist() == [1.0, 1.0]
    assert affine(np.ones(2), shift=shift).requires_grad


def test_keywords_that_are_not_tensors_reach_the_rule():
    @tg.primitive
    def power(x, *, exponent=2):
        return x**exponent

    tg.defvjp(power, lambda g, _y, x, *, exponent=2: g * exponent * x ** (exponent - 1))
    x = leaf([2.0])
    assert tg.grad(power(x), x, np.ones(1))[0].tolist() == [4.0]
    assert tg.grad(power(x, exponent=3), x, np.ones(1))[0].tolist() == [12.0]
    for bad, words in [({"degree": 3}, "degree"), ({"exponent": leaf(2.0)}, "exponent")]:
        with pytest.raises(TypeError, match=f"power: .*'{words}'"):
            power(x, **bad)


def test_a_rule_may_be_replaced():
    @tg.primitive
    def same(x):
        return x.copy()

    x = leaf([1.0])
    tg.defvjp(same, lambda g, _y, _x: g)
    assert tg.grad(same(x), x, np.ones(1))[0].item() == 1.0
    tg.defvjp(same, joint=lambda needed, g, y, saved, x: [g * 5])
    assert tg.grad(same(x), x, np.ones(1))[0].item() == 5.0
    tg.defvjp(same, lambda g, _y, _x: g * 7)
    assert tg.grad(same(x), x, np.ones(1))[0].item() == 7.0


class Doubling:
    def __call__(self, x, times=2):
        return x * times


@pytest.mark.parametrize("kind", ["partial", "object", "nameless module", "lambda"])
def test_anything_callable_can_be_a_primitive(kind):
    namespace = {"__name__": None}
    exec("def function(x, times=2): return x * times", namespace)
    function = tg.primitive(
        {
            "partial": functools.partial(lambda factor, x, times=2: factor * x * times, 1),
            "object": Doubling(),
            "nameless module": namespace["function"],
            "lambda": lambda x, times=2: x * times,
        }[kind]
    )
    for rules in ([lambda g, _y, _x, times=2: g * times], []):
        joint = None if rules else lambda needed, g, y, saved, x, times=2: [g * times]
        tg.defvjp(function, *rules, joint=joint)
        x = leaf([1.0, 2.0])
        assert tg.grad(function(x, times=3).sum(), x)[0].tolist() == [3.0, 3.0]
        assert tg.grad(function(x, 4).sum(), x)[0].tolist() == [4.0, 4.0]
        assert tg.grad(function(x=x).sum(), x)[0].tolist() == [2.0, 2.0]


def test_a_primitive_keeps_its_name_and_docstring():
    @tg.primitive
    def documented(x):
        """Says what it does."""
        return x

    assert (documented.__name__, documented.__doc__) == ("documented", "Says what it does.")


def test_broadcasting_is_undone_by_the_walk_not_by_rules():
    @tg.primitive
    def product(a, b):
        return a * b

    tg.defvjp(product, lambda g, _y, _a, b: g * b, lambda g, _y, a, _b: g * a)
    for shapes in [((2, 3), (3,)), ((2, 3), ()), ((2, 1), (1, 3)), ((1, 1, 3), (2, 1)), ((0, 3), (1, 3)), ((2, 0), ())]:
        a, b = (leaf(np.arange(1.0, np.prod(s) + 1).reshape(s)) for s in shapes)
        product(a, b).sum().backward()
        for t, other in [(a, b), (b, a)]:
            whole = np.broadcast_to(other.numpy(), np.broadcast_shapes(*shapes))
            extra = whole.ndim - t.ndim
            expected = whole.sum(axis=tuple(range(extra)))
            axes = tuple(k for k in range(t.ndim) if t.shape[k] == 1 and expected.shape[k] != 1)
            assert np.array_equal(t.grad.numpy(), expected.sum(axis=axes, keepdims=True) if axes else expected)


def test_a_gradient_is_cast_to_the_dtype_of_its_argument():
    @tg.primitive
    def same(x):
        return x.copy()

    for answer in (
        lambda g: g.astype(np.float64),
        lambda g: np.ones(2, np.int64),
        lambda g: np.float64(1.0),
        lambda g: 1.0,
    ):
        tg.defvjp(same, lambda g, _y, _x, answer=answer: answer(g))
        x = tg.Tensor([1.0, 2.0], requires_grad=True)
        same(x).sum().backward()
        assert (x.grad.dtype, x.grad.tolist()) == (np.float32, [1.0, 1.0])
