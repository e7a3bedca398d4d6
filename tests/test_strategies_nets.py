"""tg.testing.strategies.recurrent_nets: they vary, they reproduce themselves, and their derivatives are right."""

from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings

import tinygrad_rnn as tg
from tinygrad_rnn.testing import strategies
from tinygrad_rnn.testing.strategies.nets import CELLS, LOSSES, RecurrentNet


@settings(max_examples=10)
@given(strategies.recurrent_nets(max_steps=4, max_batch=3))
def test_derivatives_are_right(net):
    tg.testing.gradcheck(net, net.inputs)


@pytest.mark.parametrize("cell", CELLS)
def test_a_wrong_step_is_found(cell, monkeypatch):
    rule = tg.primitives.TABLE[np.tanh].rules[0]
    monkeypatch.setattr(tg.primitives.TABLE[np.tanh], "rules", (lambda g, y, x: rule(g, y, x) * 1.001,))
    net = RecurrentNet(cell, input_size=1, loss="mean", seed=1)
    with tg.unrolled(), pytest.raises(tg.testing.GradcheckError):
        tg.testing.gradcheck(net, net.inputs)


def _scaled(rule):
    def wrong(*args, **kwargs):
        return [None if d is None else d * 1.001 for d in rule(*args, **kwargs)]

    return wrong


@pytest.mark.parametrize(("cell", "name"), [("RNN", "rnn_tanh"), ("LSTM", "lstm"), ("GRU", "gru")])
def test_a_wrong_fused_sequence_is_found(cell, name, monkeypatch):
    entry = next(entry for entry in tg.primitives.TABLE.values() if entry.name == name)
    right = entry.joint
    monkeypatch.setattr(entry, "joint", _scaled(right))
    net = RecurrentNet(cell, input_size=1, loss="mean", seed=1)
    with pytest.raises(tg.testing.GradcheckError):
        tg.testing.gradcheck(net, net.inputs)


def test_nets_vary_in_everything():
    nets = list(islice(strategies.sample_recurrent_nets(0), 300))
    for name in ("cell", "loss", "hidden_size", "steps", "batch", "reverse", "batch_first", "readout"):
        assert len({getattr(net, name) for net in nets}) > 1, name
    assert {net.cell for net in nets} == set(CELLS)
    assert {net.loss for net in nets} == set(LOSSES)
    lengths = [net.lengths for net in nets if net.lengths is not None]
    assert any(0 in given for given in lengths)
    assert any(len(set(given)) > 1 for given in lengths)
    assert any(net.embedding is None for net in nets)
    for what in ("embedding", "norm", "head", "_mask"):
        assert any(getattr(net, what) is not None for net in nets), what
        assert any(getattr(net, what) is None for net in nets), what
    assert {len(net.inputs) for net in nets} == {1, 2}


def test_nets_are_small_finite_and_float64():
    for net in islice(strategies.sample_recurrent_nets(1), 150):
        loss = net(*net.inputs)
        assert loss.shape == ()
        assert loss.dtype == np.float64
        assert np.isfinite(loss.data)
        assert sum(p.size for p in net.parameters()) <= 300
        assert all(p.dtype == np.float64 for p in net.parameters())


def test_repr_makes_the_same_net_again():
    for net in islice(strategies.sample_recurrent_nets(2), 60):
        again = eval(repr(net), {"tg": tg})
        assert repr(again) == repr(net)
        assert again(*again.inputs).item() == net(*net.inputs).item()
    assert repr(RecurrentNet()) == "tg.testing.strategies.RecurrentNet()"


@pytest.mark.parametrize("cell", ["RNNCell", "LSTMCell", "GRUCell"])
@pytest.mark.parametrize("lengths", [None, (3, 1, 0)])
def test_a_loop_of_cells_is_the_layer(cell, lengths):
    options = {"batch": 3, "lengths": lengths, "initial_state": True, "readout": "last", "seed": 4}
    loop, layer = RecurrentNet(cell, **options), RecurrentNet(cell[:-4], **options)
    layer.load_state_dict({f"{name}_l0": value for name, value in loop.state_dict().items()})
    xs, state = loop.inputs
    stacked = tuple(part[None] for part in state) if isinstance(state, tuple) else state[None]
    np.testing.assert_allclose(loop(xs, state).item(), layer(xs, stacked).item(), rtol=1e-12)


def test_padding_changes_nothing():
    for cell in CELLS:
        net = RecurrentNet(cell, lengths=(1, 2), readout="last")
        xs = net.inputs[0].copy()
        before = net(xs).item()
        xs[1:, 0] = 7.0
        assert net(xs).item() == before


def test_bad_requests_are_refused():
    with pytest.raises(ValueError, match="expected a cell of"):
        RecurrentNet("LTSM")
    with pytest.raises(ValueError, match="reverse"):
        RecurrentNet("LSTM", reverse=True)
    with pytest.raises(ValueError, match="expected cells out of"):
        strategies.recurrent_nets(["LTSM"])
    (only,) = {net.cell for net in islice(strategies.sample_recurrent_nets(0, ["GRU"]), 10)}
    assert only == "GRU"
