"""What the walk itself does with rules: several results, definitions, slices in place, whose memory a gradient is."""

import numpy as np
import pytest
from peer import torch

import tinygrad_rnn as tg
from tinygrad_rnn.primitives import TABLE
from tinygrad_rnn.walk import ALIAS, ITEM

VALUES = np.array([[0.5, -1.5, 2.0, 1.0], [3.0, 0.25, -1.0, 0.0]])


def leaf(values=VALUES):
    return tg.Tensor(values, requires_grad=True)


def compare(ours, theirs, *arrays):
    """First derivatives by every way of walking, and second ones, are torch's."""
    ts = [torch.tensor(a, requires_grad=True) for a in arrays]
    z = theirs(*ts).sum()
    first = torch.autograd.grad(z, ts, create_graph=True)
    again = [e.sum() for e in first if e.requires_grad]
    second = torch.autograd.grad(sum(again), ts, allow_unused=True) if again else [None] * len(ts)
    xs = [leaf(a) for a in arrays]
    ours(*xs).sum().backward()
    for x, e in zip(xs, first, strict=True):
        np.testing.assert_allclose(x.grad.numpy(), e.detach().numpy(), rtol=1e-12, atol=1e-14)
    plain = tg.grad(ours(*xs).sum(), xs)
    recorded = tg.grad(ours(*xs).sum(), xs, create_graph=True)
    for p, r, e in zip(plain, recorded, first, strict=True):
        np.testing.assert_allclose(p.numpy(), e.detach().numpy(), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(r.numpy(), e.detach().numpy(), rtol=1e-12, atol=1e-14)
    curved = [r.sum() for r in recorded if r.requires_grad]
    found = tg.grad(sum(curved), xs, allow_unused=True) if curved else [None] * len(xs)
    for f, e, x in zip(found, second, xs, strict=True):
        zero = np.zeros(x.shape)
        ours_again, theirs_again = zero if f is None else f.numpy(), zero if e is None else e.numpy()
        np.testing.assert_allclose(ours_again, theirs_again, rtol=1e-10, atol=1e-12)


# ---- several results (the walk's _item)


def test_item_is_the_node_of_each_result():
    parts = np.split(leaf(), 2, axis=1)
    assert [part.node.primitive for part in parts] == [ITEM, ITEM]
    assert parts[0].node.parents == parts[1].node.parents
    assert parts[0].node.parents[0].primitive is TABLE[np.split]


@pytest.mark.parametrize("used", [[0], [1], [0, 1], [1, 1], [0, 1, 1, 0]])
def test_some_results_used_once_or_often_or_never(used):
    compare(
        lambda x: sum(np.split(x * x, 2, axis=1)[k] * (k + 2) for k in used),
        lambda x: sum(torch.tensor_split(x * x, 2, 1)[k] * (k + 2) for k in used),
        VALUES,
    )


def test_results_of_which_one_is_an_output_and_one_goes_on():
    x = leaf()
    a, b = np.split(x, 2, axis=1)
    (g,) = tg.grad([a, (b * b).sum()], x, [np.full((2, 2), 3.0), None])
    np.testing.assert_array_equal(g.numpy(), np.concatenate([np.full((2, 2), 3.0), 2 * VALUES[:, 2:]], 1))


def test_gates_of_one_product():
    w = np.linspace(-1, 1, 32).reshape(4, 8)

    def ours(x, w):
        i, f, g, o = np.split(np.tanh(x @ w), 4, axis=-1)
        return i * f + np.tanh(g * o) * i

    def theirs(x, w):
        i, f, g, o = torch.tensor_split(torch.tanh(x @ w), 4, -1)
        return i * f + torch.tanh(g * o) * i

    compare(ours, theirs, VALUES, w)


# ---- a function given by its definition (the walk's _alias)


@tg.primitive
def swish(x, w):
    return x / (1 + np.exp(-x * w))


tg.defvjp(swish, definition=lambda x, w: x / (1 + np.exp(-x * w)))


def test_definition_is_walked_from_aliases_of_the_arguments():
    compare(
        lambda x, w: swish(x, w) * x, lambda x, w: x * torch.sigmoid(x * w) * x, VALUES, np.array([1.0, 2.0, 0.5, -1.0])
    )
    compare(lambda x: swish(x, x), lambda x: x * torch.sigmoid(x * x), VALUES)


def test_alias_passes_the_gradient_on():
    assert ALIAS.function("anything") == "anything"
    g = np.ones(3)
    assert ALIAS.rule(0)(g, None, None) is g


# ---- the same array used by many


def test_slices_of_one_tensor_and_the_tensor_itself():
    compare(
        lambda x: x[:, 1:] * x[:, :-1] + np.sum(x) + (x[0, 1:] * x[1, 1:])[None] + x[[0, 0]][:, ::2][:, :1] ** 2,
        lambda x: x[:, 1:] * x[:, :-1] + torch.sum(x) + (x[0, 1:] * x[1, 1:])[None] + x[[0, 0]][:, ::2][:, :1] ** 2,
        VALUES,
    )
    compare(
        lambda x: sum(x[i] * x[i] * i for i in (0, 1, -1)), lambda x: sum(x[i] * x[i] * i for i in (0, 1, -1)), VALUES
    )


def test_one_weight_in_many_products():
    w = np.linspace(-1, 1, 16).reshape(4, 4)

    def ours(x, w):
        h = x
        for _ in range(4):
            h = np.tanh(h @ w + x)
        return h @ w + x[0] @ w + (w @ x.T).T + w.T[:2] * 3 + np.stack([x, h]) @ w

    def theirs(x, w):
        h = x
        for _ in range(4):
            h = torch.tanh(h @ w + x)
        return h @ w + x[0] @ w + (w @ x.T).T + w.T[:2] * 3 + torch.stack([x, h]) @ w

    compare(ours, theirs, VALUES, w)


def test_same_operand_several_times():
    compare(lambda x: x * x * x, lambda x: x * x * x, VALUES)
    compare(lambda x: np.concatenate([x, x, x * 2]) ** 2, lambda x: torch.cat([x, x, x * 2]) ** 2, VALUES)
    compare(lambda x: np.stack([x, x]) ** 3, lambda x: torch.stack([x, x]) ** 3, VALUES)
    compare(lambda x: np.maximum(x, x), lambda x: torch.maximum(x, x), VALUES)
    compare(
        lambda x: np.where(VALUES > 0, x, x) ** 2, lambda x: torch.where(torch.tensor(VALUES > 0), x, x) ** 2, VALUES
    )
    compare(lambda x: np.einsum("ij,ij->i", x, x), lambda x: torch.einsum("ij,ij->i", x, x), VALUES)
    compare(lambda x: np.einsum("ij,kj,ij", x, x, x), lambda x: torch.einsum("ij,kj,ij", x, x, x), VALUES)
    compare(lambda x: x @ x.T @ x, lambda x: x @ x.T @ x, VALUES)


def test_concatenating_and_stacking_with_what_needs_no_gradient():
    ones = np.ones((2, 4))
    compare(
        lambda x: np.concatenate([ones, x, tg.Tensor(ones), [[1.0, 2.0, 3.0, 4.0]]]) ** 2,
        lambda x: torch.cat([torch.tensor(ones), x, torch.tensor(ones), torch.tensor([[1.0, 2.0, 3.0, 4.0]])]) ** 2,
        VALUES,
    )
    compare(
        lambda x: np.concatenate([ones, x], axis=None) ** 2,
        lambda x: torch.cat([torch.tensor(ones).reshape(-1), x.reshape(-1)]) ** 2,
        VALUES,
    )
    compare(
        lambda x: np.stack([ones, x * x, tg.Tensor(ones)], axis=-1) ** 2,
        lambda x: torch.stack([torch.tensor(ones), x * x, torch.tensor(ones)], -1) ** 2,
        VALUES,
    )


# ---- whose memory


def test_gradients_share_no_memory():
    a, b, g = leaf(), leaf(), np.ones((2, 4))
    (a + b).backward(g)
    assert not np.shares_memory(a.grad.numpy(), b.grad.numpy())
    assert not np.shares_memory(a.grad.numpy(), g)
    for function in [np.copy, np.transpose, lambda x: x.reshape(-1), lambda x: x[:], np.flip, lambda x: x + 0]:
        x = leaf()
        y = function(x)
        g = np.ones(y.shape)
        y.backward(g)
        assert not np.shares_memory(x.grad.numpy(), g)
        assert np.array_equal(g, np.ones(y.shape))


def test_given_gradient_is_not_written_into():
    x = leaf()
    g = np.ones((2, 4))
    y = x + 0
    (dx,) = tg.grad([y, y, x[0]], x, [g, g, np.ones(4)])
    np.testing.assert_array_equal(g, np.ones((2, 4)))
    np.testing.assert_array_equal(dx.numpy(), [[3.0] * 4, [2.0] * 4])


def test_aliases_of_one_function_share_their_rules():
    assert TABLE[np.amax] is TABLE[np.max]
    assert TABLE[np.amin] is TABLE[np.min]
    assert np.pow is np.power
    assert np.concat is np.concatenate
    assert np.permute_dims is np.transpose


def test_broadcast_both_ways_in_one_call():
    column, row, cube = np.ones((3, 1)), np.arange(4.0), np.linspace(0, 1, 24).reshape(2, 3, 4)
    compare(lambda a, b, c: a * b * c + a - b, lambda a, b, c: a * b * c + a - b, column, row, cube)
    compare(
        lambda a, b: (a.sum(0, keepdims=True) + b) / (b * b + 1),
        lambda a, b: (a.sum(0, keepdim=True) + b) / (b * b + 1),
        column,
        row,
    )


@pytest.mark.parametrize(
    "formula", ["...i,...i->...", "...i,i...->i...", "...i,...j", "...,...->...", "k...,...k->...k"]
)
def test_einsum_with_ellipses_of_different_widths(formula):
    a, b = np.linspace(-1, 1, 8).reshape(2, 2, 2), np.linspace(0.5, 2, 4).reshape(2, 2)
    for x, y in [(a, b), (b, a), (a, b[0]), (a, a)]:
        compare(lambda s, t: np.einsum(formula, s, t) ** 2, lambda s, t: torch.einsum(formula, s, t) ** 2, x, y)


# ---- the fast paths of products begin at sizes that the small arrays of the properties never have


@pytest.mark.parametrize(("rows", "inner", "columns"), [(3, 130, 140), (64, 128, 128), (65, 128, 128), (1, 1, 20_000)])
def test_products_of_large_matrices(rows, inner, columns):
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(rows, inner)), rng.normal(size=(inner, columns)) / inner
    compare(lambda x, w: np.tanh(x @ w), lambda x, w: torch.tanh(x @ w), a, b)
    compare(lambda x, w: np.tanh(x @ w.T), lambda x, w: torch.tanh(x @ w.T), a, np.asfortranarray(b.T))
    compare(lambda x, w: np.tanh(x @ w), lambda x, w: torch.tanh(x @ w), a[None, ::2], b)


@pytest.mark.parametrize("rows", [1, 30, 2000])
def test_one_weight_over_many_steps(rows):
    # the walk gathers a weight's products until they have 1024 rows together
    rng = np.random.default_rng(3)
    x, w, first = rng.normal(size=(rows, 5)), rng.normal(size=(5, 5)) / 3, rng.normal(size=(2, 5))

    def unrolled(tanh, x, w, first):
        h = x
        for t in range(40):
            h = tanh(h @ w + x)
            if t % 15 == 0:
                first = tanh(first @ w)
        return h.sum(0) * first

    compare(
        lambda x, w, first: unrolled(np.tanh, x, w, first),
        lambda x, w, first: unrolled(torch.tanh, x, w, first),
        x,
        w,
        first,
    )
