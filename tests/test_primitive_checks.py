"""What rules keep alive, and every way a rule can be wrong."""

import gc
import weakref

import numpy as np
import pytest
from leaves import leaf

import tinygrad_rnn as tg

# --------------------------------------------------------------------------------------------- what is kept alive


def kept_alive(function, *args):
    """Call ``function`` on fresh leaves; of the arrays in and out, which does its graph keep?"""
    tensors = [leaf(values) for values in args]
    y = function(*tensors)
    refs = [weakref.ref(t.data) for t in (*tensors, y)]
    node = y.node
    del tensors, y
    gc.collect()
    assert node.args is not None
    return [ref() is not None for ref in refs]


def test_only_what_the_rules_name_is_kept():
    ones = np.ones(3)
    assert kept_alive(lambda a, b: a + b, ones, ones) == [False, False, False]
    assert kept_alive(lambda a, b: a * b, ones, ones) == [True, True, False]
    assert kept_alive(lambda a: a * 2.0, ones) == [False, False]
    assert kept_alive(np.tanh, ones) == [False, True]
    assert kept_alive(np.exp, ones) == [False, True]
    assert kept_alive(lambda a: a.sum(), ones) == [False, False]
    assert kept_alive(lambda a, b: np.concatenate([a, b]), ones, ones) == [False, False, False]
    assert kept_alive(lambda a, b: np.stack([a, b]), ones, ones) == [False, False, False]
    assert kept_alive(lambda a: a[1:2] + 0, ones) == [False, False]
    assert kept_alive(lambda a, b: a @ b, np.ones((2, 3)), ones) == [True, True, False]


def test_only_arguments_for_gradients_that_are_wanted_are_kept():
    big, w = np.ones(1000), leaf(2.0)
    x = tg.Tensor(big, copy=False)
    y = x * w
    ref = weakref.ref(w.data)
    del w
    assert any(arg is big for arg in y.node.args)
    assert ref() is None, "the rule of w needs x, not w"


def test_underscored_names_of_a_primitive_are_not_kept_and_stand_in_by_their_node():
    seen = []

    @tg.primitive
    def flat(x, parts):
        return x.reshape(-1) + sum(p.sum() for p in parts)

    def rule(g, _y, _x, _parts):
        seen.append((_x.shape, _x.dtype, _x.ndim, _x.size))
        return g.reshape(_x.shape)

    tg.defvjp(flat, rule, lambda g, _y, _x, _parts: [np.sum(g) * np.ones(p.shape) for p in _parts])
    assert kept_alive(lambda x, p: flat(x, [p]), np.ones((2, 3)), np.ones(4)) == [False, False, False]
    x, p = leaf(np.ones((2, 3))), leaf(np.ones(4))
    flat(x, [p, np.ones(2)]).sum().backward()
    assert seen == [((2, 3), np.dtype(np.float64), 2, 6)]
    assert (x.grad.shape, p.grad.tolist()) == ((2, 3), [6.0] * 4)


# --------------------------------------------------------------------------------------------- rules that are wrong


def broken(answer, arguments=1):
    @tg.primitive
    def broken(*xs):
        return sum(xs)

    tg.defvjp(broken, rest=lambda i, g, _y, *xs: answer(g))
    return broken


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_gradient_of_the_wrong_shape_is_an_error_naming_the_operation(create_graph):
    @tg.primitive
    def broken(x):
        return x.copy()

    x = leaf(np.ones((2, 3)))
    for answer in (lambda g: np.ones(4), lambda g: np.ones((3, 2)), lambda g: np.ones((5, 2, 4)), lambda g: [1.0, 2.0]):
        tg.defvjp(broken, lambda g, _y, _x, answer=answer: answer(g))
        with tg.scope("cell", step=1):
            y = broken(x)
        with pytest.raises(
            RuntimeError, match=r"broken at cell, t=1: its rule for argument 0 returned.*expected \(2, 3\)"
        ):
            tg.grad(y.sum(), x, create_graph=create_graph)


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_rule_that_returns_none_is_an_error(create_graph):
    @tg.primitive
    def forgetful(x):
        return x.copy()

    tg.defvjp(forgetful, lambda g, _y, _x: None)
    x = leaf([1.0])
    y = forgetful(x)
    with pytest.raises(RuntimeError, match="forgetful: its rule returned None for argument 0"):
        tg.grad(y.sum(), x, create_graph=create_graph)


def test_a_joint_rule_with_too_few_or_missing_answers_is_an_error():
    @tg.primitive
    def pair(a, b):
        return a + b

    a, b = leaf([1.0]), leaf([1.0])
    for answer, words in [
        ([np.ones(1)], "1 gradients for 2"),
        ([np.ones(1)] * 3, "3 gradients for 2"),
        ([np.ones(1), None], "None for argument 1"),
    ]:
        tg.defvjp(pair, joint=lambda needed, g, y, saved, a, b, answer=answer: answer)
        with pytest.raises(RuntimeError, match=f"pair: its rule returned {words}"):
            pair(a, b).sum().backward()
        assert (a.grad, b.grad) == (None, None)


def test_a_sequence_rule_with_too_few_answers_is_an_error():
    @tg.primitive
    def add_all(parts):
        return sum(parts)

    tg.defvjp(add_all, lambda g, _y, _parts: [g])
    with pytest.raises(RuntimeError, match="add_all: its rule returned 1 gradients for 2"):
        add_all([leaf([1.0]), leaf([1.0])]).sum().backward()


def test_an_error_inside_a_rule_comes_through_as_it_is():
    @tg.primitive
    def fragile(x):
        return x.copy()

    tg.defvjp(fragile, lambda g, _y, _x: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        fragile(leaf([1.0])).sum().backward()


def test_too_many_arguments_for_the_rules_are_refused_at_the_call():
    @tg.primitive
    def loose(*xs):
        return sum(xs)

    tg.defvjp(loose, lambda g, _y, _a, _b: g, lambda g, _y, _a, _b: g)
    x = leaf([1.0])
    with pytest.raises(TypeError, match=r"loose: the derivative rule takes \(a, b\), got 3 positional arguments"):
        loose(x, 1.0, 1.0)
    with pytest.raises(TypeError, match=r"loose: no derivative rule for argument 2"):
        loose(x, x, x)


def test_a_primitive_without_a_rule_says_how_to_register_one():
    @tg.primitive
    def ruleless(x):
        return x * 2

    assert ruleless(tg.Tensor([1.0])).tolist() == [2.0]
    with (
        tg.scope("cell"),
        pytest.raises(TypeError, match=r"ruleless at cell has no derivative rule.*tg\.defvjp\(ruleless"),
    ):
        ruleless(leaf([1.0]))


def test_defvjp_and_primitive_check_what_they_are_given(table):
    for make, words in [
        (lambda: tg.defvjp(np.arctan), "was given no rule"),
        (lambda: tg.defvjp(np.arctan, 3), "expected functions"),
        (lambda: tg.defvjp(np.arctan, joint="rule"), "expected functions"),
        (lambda: tg.defvjp("arctan", lambda g, y, x: g), "expected functions"),
        (lambda: tg.primitive(3), "expected a function"),
    ]:
        with pytest.raises(TypeError, match=words):
            make()


def test_an_error_in_a_primitive_names_it_and_the_shapes():
    @tg.primitive
    def picky(x, y):
        if x.shape != y.shape:
            raise ValueError("shapes differ")
        return x + y

    tg.defvjp(picky, lambda g, _y, _a, _b: g, lambda g, _y, _a, _b: g)
    with (
        tg.scope("enc", step=0),
        pytest.raises(ValueError, match=r"picky at enc, t=0: shapes differ; got \(1,\) float64, \(2,\) float64"),
    ):
        picky(leaf([1.0]), leaf([1.0, 2.0]))
