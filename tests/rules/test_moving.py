"""What moves, joins and repeats entries: the forms that the cases by property do not draw."""

import numpy as np
import pytest
from peer import torch

import tinygrad_rnn as tg

from .test_structure import VALUES, compare, leaf


def test_take_counts_truth_values_as_the_places_0_and_1():
    x = leaf([5.0, 6.0, 7.0])
    y = np.take(x, [True, False, True, True])
    np.testing.assert_array_equal(y.numpy(), [6, 5, 6, 6])
    np.testing.assert_array_equal(tg.grad(y, x, np.array([1.0, 10, 100, 1000]))[0].numpy(), [10, 1101, 0])


@pytest.mark.parametrize("axis", [0, -1, None])
@pytest.mark.parametrize(
    "function", [lambda t, axis: np.take(t, [0, 0, 0], axis), lambda t, axis: np.repeat(t, 3, axis)]
)
def test_a_number_is_taken_and_repeated_as_an_array_of_one(function, axis):
    x = leaf(np.array(2.0))
    y = function(x, axis)
    np.testing.assert_array_equal(y.numpy(), [2, 2, 2])
    (g,) = tg.grad(y, x, np.array([1.0, 10, 100]))
    assert g.shape == ()
    assert g.item() == 111


def test_atleast_gives_one_tensor_or_a_tuple_of_them():
    a, b = leaf(np.array(2.0)), leaf([1.0, 3.0])
    assert np.atleast_2d(b).shape == (1, 2)
    results = np.atleast_3d(a, b, 4.0)
    assert [y.shape for y in results] == [(1, 1, 1), (1, 2, 1), (1, 1, 1)]
    assert isinstance(results, tuple)
    (ga,) = tg.grad(results[0].sum() * 3, a)  # the others are never used
    gb, unused = tg.grad((np.atleast_1d(a, b)[1] ** 2).sum(), [b, a])
    assert ga.item() == 3
    np.testing.assert_array_equal(gb.numpy(), [2, 6])
    assert unused.item() == 0


FRAMES = {  # of a (2, 3) array: what is given for the values and the widths
    "one value": (5.0, 1),
    "before and after": ([5.0, 6.0], (2, 1)),
    "one for each axis": ([[5.0], [6.0]], ((1, 2), (3, 0))),
    "each side its own": ([[5.0, 6.0], [7.0, 8.0]], ((1, 2), (3, 1))),
    "nowhere": ([5.0, 6.0], 0),
}


@pytest.mark.parametrize("name", FRAMES)
def test_padding_with_values_that_need_a_gradient(name):
    values, width = (np.array(v) for v in FRAMES[name])
    padded = np.pad(VALUES[:, :3], width, constant_values=values)
    weights = np.arange(1.0, padded.size + 1).reshape(padded.shape)
    v, x = leaf(values), leaf(VALUES[:, :3])
    y = np.pad(x, width, constant_values=v)
    np.testing.assert_array_equal(y.numpy(), padded)
    gv, gx = tg.grad((y * y * weights).sum(), [v, x])

    def weight(entries):  # together, of the places that an entry went to
        return np.reshape([weights[padded == entry].sum() for entry in entries.ravel()], entries.shape)

    np.testing.assert_array_equal(gv.numpy(), 2 * values * weight(values))
    np.testing.assert_array_equal(gx.numpy(), 2 * x.numpy() * weight(x.numpy()))
    (alone,) = tg.grad((np.pad(tg.Tensor(x.numpy()), width, constant_values=v) * weights).sum(), v)
    np.testing.assert_array_equal(alone.numpy(), weight(values))


def test_padding_in_a_mode_without_a_rule_is_refused_only_where_a_gradient_is_wanted():
    x = leaf()
    for mode in ["mean", "maximum", "linear_ramp", "empty"]:
        assert np.pad(tg.Tensor(VALUES), 1, mode).shape == (4, 6)
        y = np.pad(x, 1, mode)
        with pytest.raises(ValueError, match=rf"pad: no derivative rule for mode='{mode}'.*constant, edge, reflect"):
            y.sum().backward()
    with tg.no_grad():
        assert np.pad(x, 1, "mean", stat_length=2).shape == (4, 6)


def test_padding_by_a_mapping_of_axes():
    try:
        expected = np.pad(VALUES, {-1: (1, 2)})
    except TypeError:
        pytest.skip("this NumPy takes no mapping")
    x = leaf()
    y = np.pad(x, {-1: (1, 2)})
    np.testing.assert_array_equal(y.numpy(), expected)
    (g,) = tg.grad(y, x, np.arange(14.0).reshape(2, 7))
    np.testing.assert_array_equal(g.numpy(), [[1, 2, 3, 4], [8, 9, 10, 11]])


def test_equal_entries_keep_their_order_in_a_sort():
    x = leaf([2.0, 1.0, 2.0, 1.0])
    for kind in ["quicksort", "heapsort", "stable"]:
        (g,) = tg.grad(np.sort(x, kind=kind), x, np.array([1.0, 10, 100, 1000]))
        np.testing.assert_array_equal(g.numpy(), [100, 1, 1000, 10])


def test_second_derivatives_through_moves_and_joins():
    compare(
        lambda x: np.vstack([x, x[0] ** 2, np.ones(4)]) ** 2 * np.roll(np.tile(x, (2, 1)), 1, 0)[:4],
        lambda x: torch.vstack([x, x[0] ** 2, torch.ones(4)]) ** 2 * torch.roll(torch.tile(x, (2, 1)), 1, 0)[:4],
        VALUES,
    )
    compare(
        lambda x: np.tril(x @ x.T) ** 3 + np.diag(np.diagonal(x @ x.T) ** 2) + np.trace(x[:, :2] ** 3),
        lambda x: torch.tril(x @ x.T) ** 3 + torch.diag(torch.diagonal(x @ x.T) ** 2) + torch.trace(x[:, :2] ** 3),
        VALUES,
    )
    compare(
        lambda x: np.diff(np.sort(x * x, 1), axis=1) ** 2 * np.array_split(x, 2, axis=1)[1][:, :1],
        lambda x: torch.diff(torch.sort(x * x, 1).values, dim=1) ** 2 * torch.tensor_split(x, 2, 1)[1][:, :1],
        VALUES,
    )
    compare(
        lambda x: np.pad(x * x, ((1, 0), (2, 2)), "reflect") ** 2 + np.pad(x, ((1, 0), (2, 2))),
        lambda x: (x * x)[[1, 0, 1]][:, [2, 1, 0, 1, 2, 3, 2, 1]] ** 2 + torch.nn.functional.pad(x, (2, 2, 1, 0)),
        VALUES,
    )


def test_pieces_never_used_have_no_gradient():
    compare(
        lambda x: np.array_split(x * x, 3, axis=1)[1] ** 2 + np.hsplit(x, 4)[3],
        lambda x: torch.tensor_split(x * x, 3, 1)[1] ** 2 + torch.tensor_split(x, 4, 1)[3],
        VALUES,
    )


@pytest.mark.parametrize(
    ("formula", "operands"),
    [
        ("ii", 1), ("ii->i", 1), ("ij,ij", 2), ("ij,ji", 2), ("ii,ij,jj", 3), ("...i,...i", 2), ("i...,i...->...", 2),
        ("ii,ii->", 2), ("ij->", 1), ("...->...", 1), ("ji", 1), ("iJ,Jk", 2),
    ],
)  # fmt: skip
def test_einsum_of_the_same_tensor_however_often(formula, operands):
    compare(
        lambda x: np.einsum(formula, *[x] * operands) ** 2,
        lambda x: torch.einsum(formula, *[x] * operands) ** 2,
        VALUES[:, 1:3],
    )


def test_einsum_with_numbers():
    compare(
        lambda x, s: np.einsum(",ij,->j", s, x, s) ** 2 + np.einsum(",", s, 3.0),
        lambda x, s: torch.einsum(",ij,->j", s, x, s) ** 2 + 3 * s,
        VALUES,
        np.array(1.5),
    )


def test_a_list_of_tensors_in_the_place_of_one_array_is_refused_with_the_way_out():
    x = leaf()
    with (
        tg.scope("encoder", step=2),
        pytest.raises(
            TypeError, match=r"dot at encoder, t=2: expected one array for argument 1, got a list of 4.*np.stack"
        ),
    ):
        np.dot(x, list(x[0]))
    with pytest.raises(TypeError, match=r"where: expected one array for argument 1, got a tuple of 2"):
        np.where(tg.Tensor(VALUES > 0), (x[0], x[1]), 0)
    for call in [
        lambda: np.matmul(x, list(x[0])),
        lambda: x @ list(x[0]),
        lambda: x * [x[0], x[1]],
        lambda: x.dot(list(x[0])),
    ]:
        with pytest.raises(TypeError, match=r"requires a gradient and would lose its graph.*np\.stack"):
            call()
    assert np.dot(x, list(tg.Tensor(VALUES[0]))).shape == (2,)  # constants are fine
    with tg.no_grad():
        assert np.dot(x, list(x[0])).shape == (2,)


def test_lists_of_tensors_are_arguments_of_functions_of_ones_own():
    @tg.primitive
    def total(parts):
        return sum(parts)

    tg.defvjp(total, lambda g, _y, parts: [g] * len(parts))
    x = leaf([1.0, 2.0])
    np.testing.assert_array_equal(tg.grad(total([x, x * 3]).sum(), x)[0].numpy(), [4, 4])
