"""Layers without a memory, and losses, against PyTorch and their own formulas."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from peer import torch

import tinygrad_rnn as tg

sizes = st.integers(0, 4)


def equal(ours, theirs, tolerance=1e-10):
    np.testing.assert_allclose(ours.numpy(), theirs.detach().numpy(), rtol=tolerance, atol=tolerance)


def both(make, *arguments, **options):
    """The same layer here and in PyTorch, float64, with PyTorch's parameters."""
    theirs = getattr(torch.nn, make)(*arguments, **options).double()
    ours = getattr(tg.nn, make)(*arguments, **options).astype(np.float64)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def compare(ours, theirs, x):
    """Output, and every gradient of the same weighted sum of it."""
    mine = tg.Tensor(x, requires_grad=True) if x.dtype.kind == "f" else x
    its = torch.tensor(x, requires_grad=x.dtype.kind == "f")
    y, z = ours(mine), theirs(its)
    equal(y, z)
    weights = np.random.standard_normal(y.shape)
    (y * weights).sum().backward()
    (z * torch.tensor(weights)).sum().backward()
    named = dict(ours.named_parameters())
    for name, parameter in theirs.named_parameters():
        equal(named[name].grad, parameter.grad)
    if x.dtype.kind == "f":
        equal(mine.grad, its.grad)


class TestLinear:
    @given(st.lists(sizes, max_size=3), sizes, sizes, st.booleans())
    @example([0, 2], 3, 2, True)
    @example([], 0, 1, True)
    def test_equals_torch(self, batch, inputs, outputs, bias):
        ours, theirs = both("Linear", inputs, outputs, bias=bias)
        compare(ours, theirs, np.random.standard_normal((*batch, inputs)))

    def test_initial_distribution(self):
        layer = tg.nn.Linear(100, 200)
        for values in (layer.weight.numpy(), layer.bias.numpy()):
            assert values.dtype == np.float32
            assert 0.09 < np.abs(values).max() <= 0.1
            assert abs(values.std() - 0.1 / math.sqrt(3)) < 0.005

    def test_integers_become_the_weights_dtype(self):
        layer = tg.nn.Linear(3, 2)
        codes = tg.functional.one_hot([0, 2, 1], 3)
        assert layer(codes).dtype == np.float32
        np.testing.assert_array_equal(layer(codes).numpy(), layer(codes.numpy().astype(np.float32)).numpy())
        np.testing.assert_array_equal(layer([1.0, 0.0, 0.0]).numpy(), layer([1, 0, 0]).numpy())

    def test_errors_of_the_function(self):
        with (
            pytest.raises(
                ValueError, match=r"linear at enc: expected an input \(\.\.\., I\) and a weight \(O, I\), got shapes"
            ),
            tg.scope("enc"),
        ):
            tg.functional.linear(np.ones((2, 3)), np.ones((4, 2)))
        with pytest.raises(ValueError, match=r"linear: expected a bias of shape \(4,\), got \(1,\)"):
            tg.functional.linear(np.ones(3), np.ones((4, 3)), np.ones(1))

    def test_errors(self):
        net = tg.nn.Sequential(tg.nn.Linear(3, 2))
        with pytest.raises(ValueError, match=r"Linear at 0: expected an input of shape \(\.\.\., 3\), got \(4, 2\)"):
            net(np.ones((4, 2)))
        with pytest.raises(ValueError, match=r"got \(\)"):
            net(1.0)
        with pytest.raises(TypeError, match="expected real numbers, got complex128"):
            net(np.ones(3, complex))
        with pytest.raises(ValueError, match="expected in_features to be a whole number >= 0, got -1"):
            tg.nn.Linear(-1, 2)
        with pytest.raises(ValueError, match=r"expected out_features to be a whole number >= 0, got 2\.0"):
            tg.nn.Linear(1, 2.0)


class TestEmbedding:
    @given(st.lists(sizes, max_size=3), sizes, st.integers(1, 4), st.data())
    def test_equals_torch_with_repeated_and_padding_indices(self, shape, width, rows, data):
        padding = data.draw(st.none() | st.integers(-rows, rows - 1))
        ours, theirs = both("Embedding", rows, width, padding_idx=padding)
        assert ours.padding_idx == theirs.padding_idx
        compare(ours, theirs, np.random.randint(0, rows, shape))

    def test_initial_values(self):
        table = tg.nn.Embedding(400, 50, padding_idx=-1)
        values = table.weight.numpy()
        assert table.padding_idx == 399
        assert not values[-1].any()
        assert abs(values[:-1].std() - 1) < 0.02
        assert repr(table) == "Embedding(400, 50, padding_idx=399)"

    def test_the_padding_row_is_never_trained(self):
        table = tg.nn.Embedding(3, 2, padding_idx=0)
        optimizer = tg.optim.SGD(table.parameters(), lr=1.0)
        table(np.array([0, 1, 0])).sum().backward()
        optimizer.step()
        assert table.weight.tolist()[0] == [0.0, 0.0]

    def test_errors(self):
        with pytest.raises(IndexError, match=r"embedding at 0: expected 0 <= index < 3"):
            tg.nn.Sequential(tg.nn.Embedding(3, 2))(np.array([3]))
        with pytest.raises(TypeError, match="integers"):
            tg.nn.Embedding(3, 2)(np.array([0.5]))
        with pytest.raises(ValueError, match=r"Embedding: expected padding_idx in 0\.\.2, got 3"):
            tg.nn.Embedding(3, 2, padding_idx=3)


class TestLayerNorm:
    @given(
        st.lists(sizes, max_size=2),
        st.lists(st.integers(1, 4), min_size=1, max_size=2),
        st.sampled_from([{}, {"elementwise_affine": False}, {"bias": False}, {"eps": 0.1}]),
    )
    def test_equals_torch(self, batch, shape, options):
        ours, theirs = both("LayerNorm", shape, **options)
        x = np.random.standard_normal((*batch, *shape))
        if "weight" in ours.state_dict():
            values = {name: np.random.standard_normal(shape) for name in ours.state_dict()}
            ours.load_state_dict(values)
            theirs.load_state_dict({name: torch.tensor(value) for name, value in values.items()})
        compare(ours, theirs, x)

    def test_one_length_and_errors(self):
        assert tg.nn.LayerNorm(3).normalized_shape == tg.nn.LayerNorm(np.int64(3)).normalized_shape == (3,)
        with pytest.raises(ValueError, match=r"expected an input of shape \(\.\.\., 3\), got \(2,\)"):
            tg.nn.LayerNorm(3)(np.ones(2))
        with pytest.raises(ValueError, match=r"expected normalized_shape\[1\] to be a whole number"):
            tg.nn.LayerNorm((3, -2))
        assert repr(tg.nn.LayerNorm((2, 3), elementwise_affine=False)) == (
            "LayerNorm((2, 3), eps=1e-05, elementwise_affine=False)"
        )


class TestDropout:
    def test_in_training_a_share_p_is_zero_and_the_rest_is_scaled(self):
        y = tg.nn.Dropout(0.25)(tg.Tensor(np.ones(10_000, np.float32))).numpy()
        assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.75)}
        assert abs((y == 0).mean() - 0.25) < 0.02

    def test_in_eval_nothing_changes(self):
        x = np.random.standard_normal(100)
        np.testing.assert_array_equal(tg.nn.Dropout(0.9).eval()(x).numpy(), x)

    def test_the_seed_decides(self):
        layer, draws = tg.nn.Dropout(), []
        for seed in (1, 1, 2):
            tg.manual_seed(seed)
            draws.append(layer(np.ones(50, np.float32)).tolist())
        assert draws[0] == draws[1] != draws[2]

    def test_errors(self):
        for p in (-0.1, 1.1, math.nan):
            with pytest.raises(ValueError, match=r"Dropout: expected a probability in \[0, 1\]"):
                tg.nn.Dropout(p)


LOSSES = [
    ("MSELoss", {}, "numbers"),
    ("L1Loss", {}, "numbers"),
    ("BCEWithLogitsLoss", {}, "bits"),
    ("BCEWithLogitsLoss", {"pos_weight": [2.0, 0.5, 1.0], "weight": [1.0, 3.0, 0.0]}, "bits"),
    ("CrossEntropyLoss", {}, "classes"),
    ("CrossEntropyLoss", {"weight": [1.0, 2.0, 0.5], "ignore_index": 1, "label_smoothing": 0.1}, "classes"),
    ("NLLLoss", {}, "classes"),
    ("NLLLoss", {"weight": [1.0, 2.0, 0.5], "ignore_index": 2}, "classes"),
]


@pytest.mark.parametrize(("name", "options", "targets"), LOSSES)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_losses_equal_torch(name, options, targets, reduction):
    tensors = {k: torch.tensor(v, dtype=torch.double) if isinstance(v, list) else v for k, v in options.items()}
    ours = getattr(tg.nn, name)(**options, reduction=reduction)
    theirs = getattr(torch.nn, name)(**tensors, reduction=reduction)
    x = np.random.standard_normal((8, 3))
    target = {
        "numbers": np.random.standard_normal((8, 3)),
        "bits": np.random.randint(0, 2, (8, 3)).astype(float),
        "classes": np.array([0, 1, 2, 0, 0, 1, 2, 2]),
    }[targets]
    compare(lambda_module(ours, target), lambda_module(theirs, torch.tensor(target)), x)


def lambda_module(loss, target):
    """A loss with its target held fast, as something ``compare`` can call."""

    class Held:
        def __call__(self, x):
            return loss(x, target)

        def named_parameters(self):
            return loss.named_parameters()

    return Held()


def test_classes_along_the_last_axis():
    x = np.random.standard_normal((5, 2, 3))
    target = np.random.randint(0, 3, (5, 2))
    theirs = torch.nn.CrossEntropyLoss()(torch.tensor(x).permute(0, 2, 1), torch.tensor(target))
    equal(tg.nn.CrossEntropyLoss(axis=-1)(x, target), theirs)
    log = np.log(tg.functional.softmax(tg.Tensor(x), axis=-1))
    equal(tg.nn.NLLLoss(axis=-1)(log, target), theirs)


def test_loss_errors_and_repr():
    with pytest.raises(ValueError, match="MSELoss: expected reduction 'mean', 'sum' or 'none', got 'max'"):
        tg.nn.MSELoss(reduction="max")
    with pytest.raises(ValueError, match="target of the input's shape"):
        tg.nn.L1Loss()(np.ones(3), np.ones(2))
    assert repr(tg.nn.L1Loss("sum")) == "L1Loss(reduction='sum')"
    assert repr(tg.nn.CrossEntropyLoss()) == "CrossEntropyLoss()"
