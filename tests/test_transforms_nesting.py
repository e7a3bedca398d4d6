"""Derivatives of derivatives: any order by nesting, levels never confused, graphs where something leads outside."""

import numpy as np
import pytest
from peer import torch

import tinygrad_rnn as tg

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # torch.func's own
RNG = np.random.default_rng(5)
X, Y, W, V = RNG.normal(size=3), RNG.normal(size=3), RNG.normal(size=(3, 3)), RNG.normal(size=3)


def close(found, expected):
    expected = expected.detach().numpy() if hasattr(expected, "detach") else expected
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-10, atol=1e-10)


def leaf(values):
    return tg.Tensor(values, requires_grad=True)


def in_torch(values):
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def ours(x):
    return np.tanh(x @ W) * np.exp(0.5 * x[0]) + x * x * x


def theirs(x):
    return torch.tanh(x @ torch.tensor(W)) * torch.exp(0.5 * x[0]) + x * x * x


def ours_scalar(x):
    return (ours(x) * x).sum()


def theirs_scalar(x):
    return (theirs(x) * x).sum()


def of_jvp(library, f):
    """x -> J(x) V."""
    jvp, v = (tg.jvp, V) if library is tg else (torch.func.jvp, torch.tensor(V))
    return lambda x: jvp(f, (x,), (v,))[1]


def of_vjp(library, f):
    """x -> V^T J(x)."""
    vjp, v = (tg.vjp, V) if library is tg else (torch.func.vjp, torch.tensor(V))
    return lambda x: vjp(f, x)[1](v)[0]


def of_jacobian(library, f):
    jacobian = tg.jacobian if library is tg else torch.func.jacrev
    return (lambda x: jacobian(f, x)) if library is tg else jacobian(f)


LEVELS = {"jvp": of_jvp, "vjp": of_vjp, "jacobian": of_jacobian}


# ------------------------------------------------------------------------------------------------- any order


@pytest.mark.parametrize("inner", LEVELS)
@pytest.mark.parametrize("middle", LEVELS)
@pytest.mark.parametrize("outer", LEVELS)
def test_every_nesting_of_three_equals_torch(outer, middle, inner):
    f, g = LEVELS[inner](tg, ours), LEVELS[inner](torch, theirs)
    levels = [middle, outer]
    for k, level in enumerate(levels):
        if level == "vjp" and "jacobian" in (inner, *levels[:k]):  # the cotangent is a matrix: take a row of it
            f, g = (lambda x, f=f: f(x).reshape(-1)[:3]), (lambda x, g=g: g(x).reshape(-1)[:3])
        f, g = LEVELS[level](tg, f), LEVELS[level](torch, g)
    found = f(X)
    assert not found.requires_grad
    close(found, g(torch.tensor(X)))


def test_hessians_nest():
    third = tg.jacobian(lambda x: tg.hessian(ours_scalar, x), X)
    close(third, torch.func.jacrev(torch.func.hessian(theirs_scalar))(torch.tensor(X)))
    fourth = tg.hessian(lambda x: tg.hessian(ours_scalar, x).sum(), X)
    close(fourth, torch.func.hessian(lambda x: torch.func.hessian(theirs_scalar)(x).sum())(torch.tensor(X)))
    third = tg.jacobian(lambda x: tg.hvp(ours_scalar, x, V), X)
    by_torch = torch.func.jacrev(lambda x: torch.func.hessian(theirs_scalar)(x) @ torch.tensor(V))
    close(third, by_torch(torch.tensor(X)))


def test_high_orders_of_one_number():
    f = lambda x: np.exp(2.0 * x) + x * x  # noqa: E731
    for order in range(1, 6):
        f = lambda x, f=f: tg.jacobian(f, x)  # noqa: E731
        expected = 2.0**order * np.exp(2 * 0.3) + {1: 0.6, 2: 2.0}.get(order, 0.0)
        assert f(np.array(0.3)).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("f", [tg.functional.relu, np.abs, lambda x: 3.0 * x, lambda x: np.maximum(x, 0.1)])
def test_second_derivatives_of_what_is_linear_piece_by_piece_are_zero(f):
    zeros = np.zeros((3, 3))
    assert np.array_equal(tg.hessian(lambda x: f(x).sum(), X).numpy(), zeros)
    assert np.array_equal(tg.hvp(lambda x: f(x).sum(), X, V).numpy(), np.zeros(3))
    assert np.array_equal(tg.jacobian(lambda x: tg.jacobian(f, x), X).numpy(), np.zeros((3, 3, 3)))
    assert np.array_equal(tg.jacobian(lambda x: tg.jvp(f, (x,), (V,))[1], X).numpy(), zeros)
    x = leaf(X)
    assert not tg.hessian(lambda x: f(x).sum(), x).requires_grad


@pytest.mark.parametrize("under", [tg.no_grad, lambda: tg.scope("here")])
@pytest.mark.parametrize("f", [tg.functional.relu, lambda x: 3.0 * x])
def test_second_derivatives_by_grad_of_a_constant_gradient_are_zero(f, under):
    x, y = leaf(X), leaf(Y)
    s = f(x).sum() + np.sqrt(np.abs(y * 0.0)).sum()  # of infinite slope at 0: no 0 * inf on the way
    with under(), np.errstate(all="ignore"):
        (g,) = tg.grad(s, x, create_graph=True)
    slope = np.where(X > 0, 1.0, 0.0) if f is tg.functional.relu else np.full(3, 3.0)
    assert np.array_equal(g.numpy(), slope)
    assert tg.grad((g * V).sum(), x, retain_graph=True)[0].tolist() == [0.0] * 3
    (zeros,) = tg.grad((g * g).sum(), x, create_graph=True)
    assert tg.grad(zeros.sum(), x)[0].tolist() == [0.0] * 3


# ------------------------------------------------------------------------------------------- levels stay apart


def test_an_inner_derivative_is_not_mistaken_for_an_outer_one():
    """d/dx (x d/dy (x + y)) = 1, not 2 (Siskind and Pearlmutter's example), by every pair of transforms."""
    one = np.array(1.0)
    inner = {
        "jvp": lambda f, y: tg.jvp(f, (y,), (one,))[1],
        "vjp": lambda f, y: tg.vjp(f, y)[1](one)[0],
        "jacobian": tg.jacobian,
    }
    for of_y in inner.values():
        for of_x in inner.values():
            assert of_x(lambda x, of_y=of_y: x * of_y(lambda y: x + y, one), np.array(3.0)).item() == 1.0
            # the inner one at the outer's own variable: d/dx (x^2 + 2 x y at y = x) = 6 x, and its half by y is 2 x
            assert of_x(lambda x, of_y=of_y: of_y(lambda y: x * x * y + x * y * y, x), np.array(3.0)).item() == 18.0


def test_the_same_tensor_twice_is_two_inputs():
    x = leaf(X)
    a, b = tg.jacobian(lambda a, b: a * a * b, (x, x))
    close(a, np.diag(2 * X * X))
    close(b, np.diag(X * X))
    _, pullback = tg.vjp(lambda a: a * x, x)
    close(pullback(np.ones(3))[0], X)


def test_grad_inside_a_transform_and_outside():
    def through_grad(x):
        (g,) = tg.grad(ours_scalar(x), x, create_graph=True)
        return g

    close(tg.jacobian(through_grad, X), torch.func.hessian(theirs_scalar)(torch.tensor(X)))
    x = leaf(X)
    (g,) = tg.grad(tg.jacobian(ours, x).sum(), x)
    t = in_torch(X)
    close(g, torch.autograd.grad(torch.func.jacrev(theirs)(t).sum(), t)[0])


def test_results_of_one_pullback_are_differentiated_by_its_cotangent():
    _, pullback = tg.vjp(ours, X)
    u = leaf(V)
    (g,) = pullback(u)
    close(tg.grad((g * g).sum(), u)[0], 2 * tg.jacobian(ours, X).numpy() @ g.numpy())
    tangent = leaf(V)
    d = tg.jvp(ours, (X,), (tangent,))[1]
    close(tg.grad(d.sum(), tangent)[0], tg.jacobian(ours, X).numpy().sum(axis=0))
    close(tg.jacobian(lambda v: tg.hvp(ours_scalar, X, v), V), tg.hessian(ours_scalar, X).numpy())


# ------------------------------------------------------------------------------------------------------ closures


def test_a_jacobian_penalty_reaches_the_parameters_of_a_module_as_torch_s_does():
    net = tg.nn.Sequential(tg.nn.Linear(3, 4), tg.nn.Linear(4, 2)).astype(np.float64)
    weights = [in_torch(p.numpy()) for p in net.parameters()]
    x = RNG.normal(size=3)

    def f(x):
        first, second = net
        return second(np.tanh(first(x)))

    def g(x, w=weights):
        return torch.tanh(x @ w[0].T + w[1]) @ w[2].T + w[3]

    j = tg.jacobian(f, x)
    assert j.requires_grad
    found = tg.grad((j * j).sum() + f(x).sum(), list(net.parameters()))
    k = torch.func.jacrev(g)(torch.tensor(x))
    expected = torch.autograd.grad((k * k).sum() + g(torch.tensor(x)).sum(), weights)
    for a, b in zip(found, expected, strict=True):
        close(a, b)
    assert all(p.grad is None for p in net.parameters())
    with tg.no_grad():
        assert not tg.jacobian(f, x).requires_grad


@pytest.mark.parametrize("wide", [False, True])
def test_each_result_leads_to_what_the_function_closes_over(wide):
    """By rows, and (a wide result of a small input) by columns."""
    repeat = 20 if wide else 1
    w, t = leaf(W), in_torch(W)
    many = lambda x, w: np.concatenate([np.tanh(x @ w)] * repeat)  # noqa: E731
    many_theirs = lambda x, w: torch.cat([torch.tanh(x @ w)] * repeat)  # noqa: E731
    x, z = X, torch.tensor(X)
    u = RNG.normal(size=3 * repeat)
    f, g = (lambda x: many(x, w)), (lambda x: many_theirs(x, t))
    loss, loss_theirs = (lambda x: f(x) @ u), (lambda x: g(x) @ torch.tensor(u))
    pairs = [
        (tg.jacobian(f, x), torch.func.jacrev(g)(z)),
        (tg.vjp(f, x)[0], g(z)),
        (tg.vjp(f, x)[1](u)[0], torch.func.vjp(g, z)[1](torch.tensor(u))[0]),
        (tg.jvp(f, (x,), (V,))[1], torch.func.jvp(g, (z,), (torch.tensor(V),))[1]),
        (tg.hessian(loss, x), torch.func.hessian(loss_theirs)(z)),
        (tg.hvp(loss, x, V), torch.func.hessian(loss_theirs)(z) @ torch.tensor(V)),
    ]
    for found, expected in pairs:
        close(found, expected)
        close(tg.grad((found * found).sum(), w)[0], torch.autograd.grad((expected * expected).sum(), t)[0])


def test_an_input_that_requires_a_gradient_is_reached():
    x, t = leaf(X), in_torch(X)
    found = tg.grad((tg.jacobian(ours, x * 2.0) ** 2).sum(), x)[0]  # computed: the way on leads through it
    close(found, torch.autograd.grad((torch.func.jacrev(theirs)(t * 2.0) ** 2).sum(), t)[0])
    out, pullback = tg.vjp(ours, x * 2.0)
    (g,) = pullback(V)
    (out.sum() + (g * g).sum()).backward()
    s = t * 2.0
    k = torch.autograd.grad(theirs(s), s, torch.tensor(V), create_graph=True)[0]
    (theirs(s).sum() + (k * k).sum()).backward()
    close(x.grad, t.grad)


def test_results_carry_a_graph_only_if_it_leads_outside():
    w = leaf(np.array(2.0))
    inside = lambda x: np.tanh(x) + w * 0.0 + w  # noqa: E731
    results = [tg.jacobian(ours, X), tg.vjp(ours, X)[0], *tg.jvp(ours, (X,), (V,)), tg.hvp(ours_scalar, X, V)]
    assert not any(r.requires_grad for r in results)
    assert tg.vjp(inside, X)[0].requires_grad
    assert not tg.jacobian(inside, X).requires_grad  # w falls out
    assert not tg.jacobian(lambda x: tg.nn.Linear(3, 2)(x.astype(np.float32)), X).requires_grad  # made inside
    # nor does a graph that an inner level has made for itself
    assert not tg.jacobian(lambda x: tg.jacobian(lambda y: y * y * x, Y).sum(axis=0), X).requires_grad


def test_graphs_keep_cotangents_as_they_were():
    w, u = leaf(Y), V.copy()
    (g,) = tg.vjp(lambda x: x * w, X)[1](u)
    u[:] = 100.0
    close(tg.grad(g.sum(), w)[0], V)


# ------------------------------------------------------------------------------------------------------ no_grad


def test_under_no_grad_everything_is_right_and_nothing_carries_a_graph():
    x, w = leaf(X), leaf(W)
    f = lambda y: np.tanh(y @ w) * x  # noqa: E731
    results = []
    for context in (tg.no_grad(), tg.scope("here")):
        with context:
            out, pullback = tg.vjp(lambda y: (f(y), f(y)), x)  # two results, one node each, and their sum
            both = tg.jvp(lambda y: (y, y, f(y)), (x,), (V,))[1]
            scalar = lambda y: (f(y) ** 2).sum()  # noqa: E731
            results.append(
                [*out, *pullback((V, V)), *both, tg.jacobian(f, x), tg.hessian(scalar, x), tg.hvp(scalar, x, V)]
            )
            results[-1].append(tg.jacobian(lambda y: tg.jacobian(f, y), x))
    for without, recorded in zip(*results, strict=True):
        assert not without.requires_grad
        np.testing.assert_allclose(without.numpy(), recorded.numpy(), rtol=1e-13)


def test_under_no_grad_no_rule_need_be_recorded():
    @tg.primitive
    def triple(x):
        return tg.Saved(3.0 * x, None)

    tg.defvjp(triple, joint=lambda needed, g, y, saved, x: (3.0 * g,))
    with tg.no_grad():
        close(tg.jacobian(triple, leaf(X)), 3.0 * np.eye(3))
        close(tg.vjp(triple, leaf(X))[1](leaf(V))[0], 3.0 * V)


def test_an_output_given_twice_sums_its_cotangents_under_no_grad():
    def f(x):
        y = x * x
        return y, y

    with tg.no_grad():
        _, d = tg.jvp(f, (X,), (V,))
    close(d[0], 2 * X * V)
    close(d[1], 2 * X * V)


def test_a_pullback_records_if_recording_is_on_where_it_is_called():
    x = leaf(X)
    with tg.no_grad():
        out, pullback = tg.vjp(ours, x)
    assert not out.requires_grad
    (g,) = pullback(V)
    expected = torch.func.hessian(lambda z: theirs(z) @ torch.tensor(V))(torch.tensor(X)).sum(0)
    close(tg.grad(g.sum(), x, retain_graph=True)[0], expected)
    with tg.no_grad():
        assert not pullback(V)[0].requires_grad
    tg.grad(pullback(V)[0].sum(), x)
    with pytest.raises(RuntimeError, match="released by an earlier backward walk; pass retain_graph=True"):
        pullback(V)


# ---------------------------------------------------------------------------------------------------------- scan


def lstm_step(library, wx, wh):
    """One step of an LSTM by hand: sigma(i), sigma(f), tanh(g), sigma(o) (lecture, section on LSTM)."""
    tanh, exp = (np.tanh, np.exp) if library is np else (torch.tanh, torch.exp)

    def step(state, x):
        h, c = state
        z = x @ wx + h @ wh
        n = h.shape[-1]
        i, f, g, o = (z[..., k * n : (k + 1) * n] for k in range(4))
        c = c / (1 + exp(-f)) + tanh(g) / (1 + exp(-i))
        h = tanh(c) / (1 + exp(-o))
        return (h, c), h

    return step


def test_jacobian_and_hessian_of_a_scan_equal_torch():
    rng = np.random.default_rng(2)
    xs, h, c = rng.normal(size=(4, 2)), rng.normal(size=3), rng.normal(size=3)
    wx, wh = rng.normal(size=(2, 12)), rng.normal(size=(3, 12))

    def f(state, wh):
        state, ys = tg.scan(lstm_step(np, wx, wh), state, xs)
        return {"last": state, "all": ys}

    def g(h, c, wh):
        state, ys = (h, c), []
        for x in torch.tensor(xs):
            state, y = lstm_step(torch, torch.tensor(wx), wh)(state, x)
            ys.append(y)
        return {"last": state, "all": torch.stack(ys)}

    numbers = [torch.tensor(a) for a in (h, c, wh)]
    expected = torch.func.jacrev(g, argnums=(0, 1, 2))(*numbers)
    found = tg.jacobian(f, ((h, c), wh))
    for key, at in [("last", 0), ("last", 1), ("all", None)]:
        (dh, dc), dw = found[key] if at is None else found[key][at]
        for a, b in zip((dh, dc, dw), expected[key] if at is None else expected[key][at], strict=True):
            close(a, b)
    second = tg.hessian(lambda state, wh: (f(state, wh)["all"] ** 2).sum(), ((h, c), wh))
    by_torch = torch.func.hessian(lambda *a: (g(*a)["all"] ** 2).sum(), argnums=(0, 1, 2))(*numbers)
    for row, i in [(second[0][0], 0), (second[0][1], 1), (second[1], 2)]:
        for a, b in zip((*row[0], row[1]), by_torch[i], strict=True):
            close(a, b)


# ---------------------------------------------------------------------------------------------------------- cost


def test_a_walk_does_not_visit_what_is_older_than_its_inputs(monkeypatch):
    """A state in the middle of a long history: its Jacobian costs no walk through that history."""
    visited = []
    original = tg.walk.newest_first
    monkeypatch.setattr("tinygrad_rnn.walk.newest_first", lambda *a: visited.append(found := original(*a)) or found)
    h = leaf(X)
    for _ in range(200):
        h = np.tanh(h)
    j = tg.jacobian(ours, h)
    assert j.requires_grad
    assert len(visited) == 3
    assert max(len(nodes) for nodes in visited) < 30
