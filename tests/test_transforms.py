"""vjp, jvp, jacobian, hessian and hvp equal torch.func's, over random functions of random nested inputs."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from peer import torch

import tinygrad_rnn as tg
from tinygrad_rnn.tree import leaves, map_leaves, structure

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # torch.func's own


@dataclass(frozen=True)
class Shape:
    """Stands for a leaf of this shape (a bare tuple would be a structure)."""

    lengths: tuple


class State(NamedTuple):
    h: object
    c: object


SHAPES = [(), (1,), (3,), (2, 2), (1, 3)]
EMPTY = [(0,), (2, 0)]


def nested(shapes):
    """Random structures with shapes for leaves."""
    return st.recursive(
        st.sampled_from(shapes).map(Shape),
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=2),
            st.tuples(inner, inner),
            st.builds(State, inner, inner),
            st.dictionaries(st.sampled_from("abc"), inner, min_size=1, max_size=2),
        ),
        max_leaves=4,
    )


# One output of two inputs (of any shapes) each, as NumPy spells it and as torch does.
OPERATIONS = [
    (lambda a, b: np.tanh(a) * (b * b).sum(), lambda a, b: torch.tanh(a) * (b * b).sum()),
    (
        lambda a, b: a.reshape(-1, 1) * np.sin(b.reshape(1, -1)),
        lambda a, b: a.reshape(-1, 1) * torch.sin(b.reshape(1, -1)),
    ),
    (lambda a, b: np.exp(0.3 * a).sum(), lambda a, b: torch.exp(0.3 * a).sum()),
    (lambda a, b: a * a * a, lambda a, b: a * a * a),
    (lambda a, b: tg.functional.relu(a) + b.sum(), lambda a, b: torch.relu(a) + b.sum()),
    (lambda a, b: 2.0 * a - b.sum(), lambda a, b: 2.0 * a - b.sum()),
    (lambda a, b: tg.Tensor(np.ones(2)), lambda a, b: torch.ones(2, dtype=torch.float64)),
    (
        lambda a, b: np.concatenate([a.reshape(-1), np.tanh(b).reshape(-1)]) ** 3,
        lambda a, b: torch.cat([a.reshape(-1), torch.tanh(b).reshape(-1)]) ** 3,
    ),
    (lambda a, b: a, lambda a, b: a),
]
# Which operation, on which two leaves.
calls = st.tuples(st.integers(0, len(OPERATIONS) - 1), st.integers(0, 9), st.integers(0, 9))
programs = st.recursive(
    calls.map(Shape),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=2),
        st.tuples(inner, inner),
        st.dictionaries(st.sampled_from("yz"), inner, min_size=1, max_size=2),
    ),
    max_leaves=3,
)


def function(program, library):
    """A function of any number of nested arguments, here (library 0) or in torch (1)."""

    def f(*arguments):
        inputs = [leaf for _, leaf in leaves(list(arguments))]

        def run(call):
            operation, i, j = call.lengths
            return OPERATIONS[operation][library](inputs[i % len(inputs)], inputs[j % len(inputs)])

        return map_leaves(run, program)

    return f


def scalar(program, library):
    """The same, with one number for a result."""
    f = function(program, library)
    return lambda *arguments: sum((leaf * leaf).sum() + leaf.sum() for _, leaf in leaves(f(*arguments)))


def drawn(shapes, seed):
    rng = np.random.default_rng(seed)
    return map_leaves(lambda shape: rng.normal(size=shape.lengths), shapes)


def in_torch(tree):
    return map_leaves(lambda a: torch.tensor(a, dtype=torch.float64), tree)


def flat(tree):
    return [leaf for _, leaf in leaves(tree)]


def close(found, expected):
    """Equal leaf by leaf; torch's tensors on the right."""
    found, expected = flat(found), flat(expected)
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert isinstance(a, tg.Tensor)
        assert a.shape == tuple(b.shape)
        assert a.dtype == np.float64
        assert not a.requires_grad
        np.testing.assert_allclose(a.numpy(), b.detach().numpy(), rtol=1e-10, atol=1e-10)


def structure_of(tree):
    """With the kinds of its containers: a named tuple's stars are a named tuple."""
    return repr(structure(tree))


# ------------------------------------------------------------------------------------------------ against torch.func


@given(st.lists(nested(SHAPES + EMPTY), min_size=1, max_size=3), programs, st.integers(0, 99))
@example([Shape((2, 0))], Shape((1, 0, 0)), 0)
@example([Shape(()), Shape((3,))], [Shape((8, 0, 0)), Shape((8, 0, 0))], 0)
def test_vjp_equals_torch(shapes, program, seed):
    primals = drawn(shapes, seed)
    out, pullback = tg.vjp(function(program, 0), *primals)
    theirs, pull_theirs = torch.func.vjp(function(program, 1), *in_torch(primals))
    close(out, theirs)
    for k in range(2):
        rng = np.random.default_rng(seed + k)
        cotangent = map_leaves(lambda y, rng=rng: rng.normal(size=y.shape), out)
        found = pullback(cotangent)
        assert type(found) is tuple
        assert structure_of(found) == structure_of(tuple(primals))
        close(found, pull_theirs(in_torch(cotangent)))


@given(st.lists(nested(SHAPES + EMPTY), min_size=1, max_size=3), programs, st.integers(0, 99))
@example([Shape(()), Shape((3,))], [Shape((8, 0, 0)), Shape((8, 0, 0))], 0)
def test_jvp_equals_torch(shapes, program, seed):
    primals, tangents = tuple(drawn(shapes, seed)), tuple(drawn(shapes, seed + 1))
    out, tangent_out = tg.jvp(function(program, 0), primals, tangents)
    theirs, expected = torch.func.jvp(function(program, 1), in_torch(primals), in_torch(tangents))
    assert structure_of(tangent_out) == structure_of(out) == structure_of(program)
    close(out, theirs)
    close(tangent_out, expected)


@given(nested(SHAPES), programs, st.integers(0, 99))
def test_jacobian_equals_torch(shapes, program, seed):
    x = drawn(shapes, seed)
    several = x if type(x) is tuple else (x,)
    found = tg.jacobian(function(program, 0), x)
    expected = torch.func.jacrev(function(program, 1), argnums=tuple(range(len(several))))(*in_torch(tuple(several)))
    assert structure_of(found) == repr(map_leaves(lambda _: structure(x), program))
    close(found, expected)


@given(nested(SHAPES), programs, st.integers(0, 99))
def test_hessian_and_hvp_equal_torch(shapes, program, seed):
    x, v = drawn(shapes, seed), drawn(shapes, seed + 1)
    found = tg.hessian(scalar(program, 0), x)
    assert structure_of(found) == repr(map_leaves(lambda _: structure(x), x))

    def theirs(*flat_x):
        following = iter(flat_x)
        return scalar(program, 1)(map_leaves(lambda _: next(following), x))

    numbers, directions = tuple(flat(in_torch(x))), tuple(flat(in_torch(v)))
    close(found, torch.func.hessian(theirs, argnums=tuple(range(len(numbers))))(*numbers))
    product = tg.hvp(scalar(program, 0), x, v)
    assert structure_of(product) == structure_of(x)
    close(product, torch.autograd.functional.hvp(theirs, numbers, directions)[1])


# ------------------------------------------------------------------------------------------------ shapes and dtypes


@pytest.mark.parametrize("shape", [(), (1,), (0,), (2, 0), (3, 1)])
@pytest.mark.parametrize("copies", [1, 40])
def test_jacobians_have_the_output_s_axes_and_then_the_input_s(shape, copies):
    """Also of size 0, by rows and (40 times as many outputs) by columns."""
    x = np.random.default_rng(0).normal(size=shape)
    j = tg.jacobian(lambda x: np.stack([x * x] * copies), x)
    assert (j.shape, j.dtype) == ((copies, *shape, *shape), np.float64)
    expected = np.broadcast_to(np.diag(2 * x.ravel()), (copies, x.size, x.size)).reshape(j.shape)
    np.testing.assert_array_equal(j.numpy(), expected)
    assert tg.hessian(lambda x: (x * x).sum(), x).shape == shape + shape


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_everything_keeps_its_dtype(dtype):
    x = np.array([0.5, -1.5], dtype)
    for size in (1, 30):
        f = lambda x, n=size: np.concatenate([np.tanh(x)] * n)  # noqa: E731
        assert tg.jacobian(f, x).dtype == dtype
    loss = lambda x: (np.tanh(x) * x).sum()  # noqa: E731
    out, pullback = tg.vjp(np.tanh, x)
    (same,) = tg.vjp(lambda x: x, x)[1](np.ones(2))
    results = [out, same, *pullback(np.ones(2)), *tg.jvp(np.tanh, (x,), (np.ones(2),)), tg.hessian(loss, x)]
    assert {r.dtype for r in [*results, tg.hvp(loss, x, [1, 2])]} == {np.dtype(dtype)}


@pytest.mark.parametrize("copies", [1, 40])
def test_a_block_of_a_jacobian_has_its_input_s_dtype(copies):
    a, b = np.array([1.0], np.float32), np.array([2.0])
    found = tg.jacobian(lambda a, b: np.concatenate([a * b] * copies), (a, b))
    assert [(j.dtype, j[0, 0].item()) for j in found] == [(np.float32, 2.0), (np.float64, 1.0)]


def test_python_numbers_are_of_the_default_dtype():
    assert tg.jacobian(lambda x: x * x, 3.0).dtype == np.float32
    tg.set_default_dtype(np.float64)
    j = tg.jacobian(lambda x: x * x, 3.0)
    assert (j.dtype, j.shape, j.item()) == (np.float64, (), 6.0)


def test_a_list_of_numbers_is_a_structure_of_scalars():
    assert [j.item() for j in tg.jacobian(lambda xs: xs[0] * xs[1], [3.0, 5.0])] == [5.0, 3.0]


def test_integer_results_are_constants():
    def f(x):
        return {"value": x * x, "order": np.argsort(x), "positive": x > 0}

    x = np.array([3.0, -1.0])
    out, pullback = tg.vjp(f, x)
    assert out["order"].tolist() == [1, 0]
    (g,) = pullback({"value": np.ones(2), "order": np.ones(2), "positive": np.ones(2)})
    assert g.tolist() == [6.0, -2.0]
    _, d = tg.jvp(f, (x,), (np.ones(2),))
    assert [(d[k].dtype.kind, d[k].tolist()) for k in d] == [
        ("f", [6.0, -2.0]),
        ("i", [0, 0]),
        ("b", [False, False]),
    ]
    j = tg.jacobian(f, x)
    assert (j["order"].tolist(), j["value"].tolist()) == ([[0.0, 0.0]] * 2, [[6.0, 0.0], [0.0, -2.0]])


def test_what_does_not_depend_on_an_input_is_zero():
    w = tg.Tensor(np.ones(2), requires_grad=True)
    for f in (lambda x: w * 2, lambda x: w.detach(), lambda x: x.detach() * 2):
        assert tg.vjp(f, np.ones(3))[1](np.ones(f(tg.Tensor(np.ones(3))).shape))[0].tolist() == [0.0] * 3
        assert (tg.jacobian(f, np.ones(3)).numpy() == 0).all()
        assert (tg.jvp(f, (np.ones(3),), (np.ones(3),))[1].numpy() == 0).all()
        assert tg.hvp(lambda x, f=f: f(x).sum(), np.ones(3), np.ones(3)).tolist() == [0.0] * 3
        assert tg.hessian(lambda x, f=f: f(x).sum(), np.ones(3)).tolist() == [[0.0] * 3] * 3


# ------------------------------------------------------------------------------------- joint rules, and odd ones


def test_a_joint_rule_with_a_definition_has_every_derivative():
    x, targets = np.random.default_rng(0).normal(size=(3, 4)), np.array([1, 0, 3])
    ours = lambda x: tg.functional.cross_entropy(x, targets)  # noqa: E731
    theirs = lambda x: torch.nn.functional.cross_entropy(x, torch.tensor(targets))  # noqa: E731
    v = np.random.default_rng(1).normal(size=(3, 4))
    close(tg.jvp(ours, (x,), (v,))[1], torch.func.jvp(theirs, (in_torch(x),), (in_torch(v),))[1])
    close(tg.hessian(ours, x), torch.func.hessian(theirs)(in_torch(x)))


def first_order_only():
    """Two primitives equal to 3 x: one with a joint rule and no definition, one whose rule takes arrays only."""

    @tg.primitive
    def joint(x):
        return tg.Saved(3.0 * x, None)

    tg.defvjp(joint, joint=lambda needed, g, y, saved, x: (3.0 * g,))

    @tg.primitive
    def arrays_only(x):
        return 3.0 * x

    def rule(g, _y, _x):
        d = g.copy()
        d *= 3.0
        return np.frombuffer(d.tobytes()).reshape(d.shape)

    tg.defvjp(arrays_only, rule)
    return [joint, arrays_only]


@pytest.mark.parametrize("i", [0, 1])
def test_a_tall_jacobian_needs_no_rule_that_can_be_recorded(i):
    f = first_order_only()[i]
    j = tg.jacobian(lambda x: np.concatenate([f(x)] * 40), np.array([1.0, 2.0]))
    np.testing.assert_array_equal(j.numpy(), np.concatenate([3.0 * np.eye(2)] * 40))


def test_an_error_in_a_tall_jacobian_is_the_rule_s_own():
    @tg.primitive
    def broken(x):
        return x * 1.0

    def rule(g, _y, _x):
        raise KeyError("my mistake")

    tg.defvjp(broken, rule)
    with pytest.raises(KeyError, match="my mistake"):
        tg.jacobian(lambda x: np.concatenate([broken(x)] * 40), np.ones(2))


def test_rows_and_columns_agree():
    rng = np.random.default_rng(0)
    w, x = rng.normal(size=(3, 50)), rng.normal(size=(3,))
    f = lambda x: np.tanh(x @ w) * x.sum()  # noqa: E731
    tall = tg.jacobian(f, x)
    rows = np.concatenate([tg.jacobian(lambda x, k=k: f(x)[k : k + 5], x).numpy() for k in range(0, 50, 5)])
    np.testing.assert_allclose(tall.numpy(), rows, rtol=1e-13)


def test_a_jacobian_takes_as_many_walks_as_its_shorter_side(monkeypatch):
    walks = []
    original = tg.walk.newest_first
    monkeypatch.setattr("tinygrad_rnn.walk.newest_first", lambda *a: walks.append(1) or original(*a))
    for inputs, outputs, expected in [(3, 100, 3 + 1), (100, 3, 3), (10, 10, 10), (0, 100, 1), (100, 0, 0)]:
        tg.jacobian(lambda x, n=outputs: np.tanh(x) @ np.ones((x.size, n)), np.ones(inputs))
        assert len(walks) == expected
        walks.clear()


# --------------------------------------------------------------------------------------- the caller's own things


def test_nothing_outside_is_changed():
    x = tg.Tensor(np.array([1.0, 2.0]), requires_grad=True, name="x")
    w = tg.Tensor(np.array([3.0, 4.0]), requires_grad=True)
    v = np.array([1.0, 0.0])
    before, seen = x.node, []
    w.register_hook(seen.append)

    def f(y):
        assert y is not x
        assert y.requires_grad
        return (np.tanh(y) * w).sum()

    results = [*tg.vjp(f, x)[1](1.0), tg.jvp(f, (x,), (v,))[1], tg.jacobian(f, x), tg.hessian(f, x), tg.hvp(f, x, v)]
    assert len(results) == 5
    assert (x.grad, w.grad, x.node is before, seen) == (None, None, True, [])
    assert (x.tolist(), v.tolist()) == ([1.0, 2.0], [1.0, 0.0])


def test_a_pullback_holds_the_primals_as_they_were():
    x = np.array([1.0, 2.0])
    t = tg.Tensor(x)
    pulls = [tg.vjp(lambda x: x * x, x)[1], tg.vjp(lambda x: x * x, t)[1]]
    x[:] = 100.0
    t.data[...] = 100.0
    assert [pull(np.ones(2))[0].tolist() for pull in pulls] == [[2.0, 4.0]] * 2


def test_results_do_not_share_memory():
    u = np.ones(2)
    out, pullback = tg.vjp(lambda x, y: (x, x + y), np.ones(2), np.ones(2))
    arrays = [a.numpy() for a in (*out, *pullback((u, u)), *pullback((u, u)))] + [u]
    for i, a in enumerate(arrays):
        assert not any(np.shares_memory(a, b) for b in arrays[:i])


def test_f_is_called_once():
    calls = []

    def f(x):
        calls.append(1)
        return (x * x).sum()

    x = np.ones(3)
    for transform in (tg.jacobian, tg.hessian, lambda f, x: tg.hvp(f, x, x), lambda f, x: tg.jvp(f, (x,), (x,))):
        transform(f, x)
    _, pullback = tg.vjp(f, x)
    pullback(1.0)
    pullback(2.0)
    assert len(calls) == 5


def test_f_may_change_the_containers_it_is_given_and_returns():
    made = []

    def f(d):
        made.append(d.pop("a") * d.pop("b"))
        return made

    x = {"a": np.array(2.0), "b": np.array(5.0)}
    out, pullback = tg.vjp(f, x)
    made.clear()
    (g,) = pullback([1.0])
    assert ([y.item() for y in out], {k: v.item() for k, v in g.items()}) == ([10.0], {"a": 5.0, "b": 2.0})
    (j,) = tg.jacobian(f, x)
    assert ({k: v.item() for k, v in j.items()}, list(x)) == ({"a": 5.0, "b": 2.0}, ["a", "b"])


def test_a_named_tuple_is_one_argument():
    x = State(np.array(2.0), np.array(5.0))
    j = tg.jacobian(lambda state: state.h * state.c, x)
    assert (type(j), j.h.item(), j.c.item()) == (State, 5.0, 2.0)
    second = tg.hessian(lambda state: state.h * state.c, x)
    assert (second.h.h.item(), second.h.c.item(), second.c.h.item()) == (0.0, 1.0, 1.0)
