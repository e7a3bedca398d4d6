"""Recurrent cells against PyTorch: outputs, states, every gradient (layers: ``test_layers.py``)."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from peer import torch

import tinygrad_rnn as tg

KINDS = [("RNN", {}), ("RNN", {"nonlinearity": "relu"}), ("LSTM", {}), ("GRU", {})]
kinds = st.sampled_from(KINDS)


def equal(ours, theirs, tolerance=1e-10):
    np.testing.assert_allclose(ours.numpy(), theirs.detach().numpy(), rtol=tolerance, atol=tolerance)


def both(make, *arguments, **options):
    """The same module here and in PyTorch, float64, with PyTorch's parameters."""
    theirs = getattr(torch.nn, make)(*arguments, **options).double()
    ours = getattr(tg.nn, make)(*arguments, **options).astype(np.float64)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def leaf(shape):
    """The same random leaf here and in PyTorch."""
    values = np.random.standard_normal(shape)
    return tg.Tensor(values, requires_grad=True), torch.tensor(values, requires_grad=True)


def states(kind, shape):
    """A state for each side, and the leaves it is made of."""
    pairs = [leaf(shape) for _ in range(2 if kind.startswith("LSTM") else 1)]
    mine, its = zip(*pairs, strict=True)
    return (mine, its) if len(pairs) == 2 else (mine[0], its[0])


def parts(tree):
    return list(tree) if isinstance(tree, tuple) else [tree]


def compare_gradients(ours, theirs, outputs, leaves):
    """Walk back from the same weighted sum of all outputs; every parameter's and leaf's gradient must agree."""
    loss, its_loss = 0.0, 0.0
    for mine, its in outputs:
        weights = np.random.standard_normal(mine.shape)
        loss = loss + (mine * weights).sum()
        its_loss = its_loss + (its * torch.tensor(weights)).sum()
    loss.backward()
    its_loss.backward()
    named = dict(ours.named_parameters())
    for name, parameter in theirs.named_parameters():
        equal(named[name].grad, parameter.grad)
    for mine, its in leaves:
        equal(mine.grad, its.grad)


class TestCells:
    @given(
        kinds,
        st.sampled_from([(), (0,), (1,), (3,)]),
        st.integers(1, 4),
        st.integers(1, 4),
        st.booleans(),
        st.booleans(),
    )
    @example(("LSTM", {}), (2,), 1, 1, False, True)
    def test_equal_torch(self, kind, batch, inputs, hidden, bias, given_state):
        name, options = kind
        ours, theirs = both(name + "Cell", inputs, hidden, bias=bias, **options)
        x, its_x = leaf((*batch, inputs))
        state, its_state = states(name, (*batch, hidden)) if given_state else (None, None)
        y, its_y = ours(x, state), theirs(its_x, its_state)
        outputs = list(zip(parts(y), parts(its_y), strict=True))
        for mine, its in outputs:
            equal(mine, its)
        leaves = [(x, its_x)]
        if given_state:
            leaves += zip(parts(state), parts(its_state), strict=True)
        compare_gradients(ours, theirs, outputs, leaves)

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_loop_over_a_cell_is_the_layer(self, kind):
        name, options = kind
        layer = getattr(tg.nn, name)(3, 4, **options).astype(np.float64)
        cell = getattr(tg.nn, name + "Cell")(3, 4, **options).astype(np.float64)
        cell.load_state_dict({key.removesuffix("_l0"): value for key, value in layer.state_dict().items()})
        x, state, ys = np.random.standard_normal((5, 2, 3)), None, []
        for x_t in x:
            state = cell(x_t, state)
            ys.append(parts(state)[0])
        output, last = layer(x)
        np.testing.assert_allclose(np.stack(ys).numpy(), output.numpy(), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(parts(state)[-1].numpy(), parts(last)[-1].numpy()[0], rtol=1e-12, atol=1e-14)

    def test_errors(self):
        with pytest.raises(ValueError, match=r"LSTMCell: expected an input of shape \(\.\.\., 3\), got \(2, 4\)"):
            tg.nn.LSTMCell(3, 5)(np.ones((2, 4)))
        with pytest.raises(ValueError, match=r"GRUCell: expected the state h to have shape \(2, 5\), got \(3, 5\)"):
            tg.nn.GRUCell(3, 5)(np.ones((2, 3)), np.ones((3, 5)))
        with pytest.raises(ValueError, match=r"expected the state c to have shape \(2, 5\), got \(5,\)"):
            tg.nn.LSTMCell(3, 5)(np.ones((2, 3)), (np.ones((2, 5)), np.ones(5)))
        with pytest.raises(TypeError, match=r"LSTMCell: expected the state to be a pair \(h, c\), got ndarray"):
            tg.nn.LSTMCell(3, 5)(np.ones((2, 3)), np.ones((2, 5)))
        with pytest.raises(TypeError, match="RNNCell: expected the state to be one array, got tuple"):
            tg.nn.RNNCell(3, 5)(np.ones((2, 3)), (np.ones((2, 5)), np.ones((2, 5))))
        with pytest.raises(ValueError, match="RNNCell: expected nonlinearity 'tanh' or 'relu', got 'sigmoid'"):
            tg.nn.RNNCell(3, 5, nonlinearity="sigmoid")
        with pytest.raises(ValueError, match="GRUCell: expected hidden_size to be a whole number >= 0, got -5"):
            tg.nn.GRUCell(3, -5)

    @pytest.mark.parametrize(("make", "rows"), [("RNNCell", 1), ("LSTMCell", 4), ("GRUCell", 3)])
    def test_initial_distribution(self, make, rows):
        cell = getattr(tg.nn, make)(30, 100)
        for parameter in cell.parameters():
            assert parameter.shape[0] == rows * 100
            values = parameter.numpy()
            assert 0.095 < np.abs(values).max() <= 0.1
            assert abs(values.std() - 0.1 / math.sqrt(3)) < 0.005


def test_the_lectures_exercise_a_remembered_cell_passes_its_gradient_unmodified():
    """f = 1, i = 0, o = 0 for the step: then dL/dc_t = dL/dc_{t+1} (lecture, section 3, "LSTM Math")."""
    cell = tg.nn.LSTMCell(1, 1).astype(np.float64)
    for parameter in cell.parameters():
        tg.nn.init.zeros_(parameter)
    gates = np.array([-1e3, 1e3, 0.0, -1e3])  # i, f, g, o before their sigmoids
    cell.bias_ih.data = gates
    c = tg.Tensor(np.array([[0.7]]), requires_grad=True)
    _, after = cell(np.ones((1, 1)), (np.ones((1, 1)), c))
    (after * 3.0).sum().backward()
    assert after.item() == 0.7
    assert c.grad.item() == 3.0
