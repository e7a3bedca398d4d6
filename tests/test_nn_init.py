"""Initialisers: distributions, and that their writes are seen."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg

init = tg.nn.init

DRAWN = [
    (lambda t: init.uniform_(t, -2, 4), "uniform", (-2, 4)),
    (lambda t: init.normal_(t, 1.0, 0.5), "normal", (1.0, 0.5)),
    (lambda t: init.xavier_uniform_(t, gain=2.0), "uniform", (-2 * math.sqrt(6 / 500), 2 * math.sqrt(6 / 500))),
    (lambda t: init.xavier_normal_(t, gain=2.0), "normal", (0.0, 2 * math.sqrt(2 / 500))),
    (lambda t: init.kaiming_uniform_(t, a=math.sqrt(5)), "uniform", (-math.sqrt(1 / 300), math.sqrt(1 / 300))),
    (
        lambda t: init.kaiming_uniform_(t, mode="fan_out", nonlinearity="tanh"),
        "uniform",
        (-5 / 3 * math.sqrt(3 / 200), 5 / 3 * math.sqrt(3 / 200)),
    ),
]


@pytest.mark.parametrize(("fill", "kind", "numbers"), DRAWN)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_distributions(fill, kind, numbers, dtype):
    t = tg.nn.Parameter(np.zeros((200, 300), dtype))
    assert fill(t) is t
    values = t.numpy()
    assert values.dtype == dtype
    if kind == "uniform":
        low, high = numbers
        spread = high - low
        assert low <= values.min() < low + spread / 1000
        assert high - spread / 1000 < values.max() <= high + 1e-6
        assert abs(values.mean() - (low + high) / 2) < spread / 100
        assert abs(values.std() - spread / math.sqrt(12)) < spread / 100
    else:
        mean, deviation = numbers
        assert abs(values.mean() - mean) < deviation / 50
        assert abs(values.std() - deviation) < deviation / 50


def test_fans_of_more_than_two_axes_equal_torchs():
    torch = pytest.importorskip("torch", reason="this test compares with PyTorch")
    theirs = torch.nn.init._calculate_fan_in_and_fan_out(torch.empty(4, 3, 5, 2))
    assert init._fans(tg.Tensor(np.empty((4, 3, 5, 2))), "xavier_uniform_") == theirs
    for name in ("linear", "sigmoid", "tanh", "relu", "selu"):
        assert init.calculate_gain(name) == pytest.approx(torch.nn.init.calculate_gain(name))
    assert init.calculate_gain("leaky_relu", 0.3) == pytest.approx(torch.nn.init.calculate_gain("leaky_relu", 0.3))


@given(st.integers(0, 5), st.integers(1, 3), st.integers(1, 3), st.sampled_from([1.0, 2.5]))
def test_orthogonal(rows, width, depth, gain):
    q = init.orthogonal_(tg.Tensor(np.empty((rows, width, depth))), gain).numpy().reshape(rows, width * depth)
    product = q @ q.T if rows <= width * depth else q.T @ q
    np.testing.assert_allclose(product, gain**2 * np.eye(len(product)), atol=1e-12)


def test_orthogonal_is_uniform_in_its_sign():
    signs = [init.orthogonal_(tg.Tensor(np.empty((1, 1)))).item() for _ in range(100)]
    assert 25 < signs.count(1.0) < 75
    assert set(signs) == {1.0, -1.0}


def test_constants_and_identity():
    t = tg.Tensor(np.empty((2, 3), np.float32))
    assert init.zeros_(t).tolist() == [[0.0] * 3] * 2
    assert init.ones_(t).tolist() == [[1.0] * 3] * 2
    assert init.constant_(t, 0.5).tolist() == [[0.5] * 3] * 2
    assert init.identity_(t, gain=2.0).tolist() == [[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]]


def test_the_seed_decides():
    drawn = []
    for seed in (3, 3, 4):
        tg.manual_seed(seed)
        drawn.append(tg.nn.LSTM(2, 3).state_dict()["weight_hh_l0"].tolist())
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_write_after_the_forward_pass_is_noticed():
    w, x = tg.nn.Parameter([2.0]), tg.Tensor([3.0], requires_grad=True)
    y = (w * x).sum()
    init.ones_(w)
    with pytest.raises(RuntimeError, match="modified in place"):
        y.backward()


class Two(tg.nn.Module):
    """A bidirectional layer of two levels below a cell, and something without a memory."""

    def __init__(self, kind):
        self.layer = getattr(tg.nn, kind)(3, 4, 2, bidirectional=True)
        self.cell = getattr(tg.nn, kind + "Cell")(8, 4)
        self.out = tg.nn.Linear(4, 4)


def blocks(module):
    """Each (H, H) block of each weight_hh, and what is not a weight_hh, by name."""
    named = {name: p.numpy().copy() for name, p in module.named_parameters()}
    recurrent = [named.pop(name) for name in [*named] if "weight_hh" in name]
    return [block for weight in recurrent for block in weight.reshape(-1, 4, 4)], named


@pytest.mark.parametrize(("kind", "gates"), [("RNN", 1), ("GRU", 3), ("LSTM", 4)])
class TestRecurrent:
    def test_identity_in_every_block_and_no_bias(self, kind, gates):
        module = Two(kind)
        _, before = blocks(module)
        assert init.recurrent_identity_(module, gain=0.5) is module
        found, after = blocks(module)
        assert len(found) == 5 * gates
        for block in found:
            assert block.tolist() == (0.5 * np.eye(4)).tolist()
        for name, values in after.items():
            if "bias_" in name:
                assert not values.any()
            else:
                np.testing.assert_array_equal(values, before[name])
        assert sum("bias_" in name for name in after) == 10

    def test_orthogonal_in_every_block_each_another_and_nothing_else_changes(self, kind, gates):
        module = Two(kind).astype(np.float64)
        _, before = blocks(module)
        assert init.recurrent_orthogonal_(module, gain=2.0) is module
        found, after = blocks(module)
        assert len({block.tobytes() for block in found}) == len(found) == 5 * gates
        for block in found:
            np.testing.assert_allclose(block @ block.T, 4 * np.eye(4), atol=1e-12)
        for name, values in after.items():
            np.testing.assert_array_equal(values, before[name])

    def test_dtypes_stay_and_no_biases_are_no_trouble(self, kind, gates):
        module = getattr(tg.nn, kind)(3, 4, bias=False)
        for fill in (init.recurrent_orthogonal_, init.recurrent_identity_):
            assert fill(module).weight_hh_l0.dtype == np.float32
            assert len(blocks(module)[0]) == gates

    def test_a_hidden_size_of_0(self, kind, gates):
        module = getattr(tg.nn, kind)(3, 0)
        assert init.recurrent_orthogonal_(init.recurrent_identity_(module)).weight_hh_l0.shape == (0, 0)


@given(st.integers(1, 3), st.booleans(), st.sampled_from([1.0, 5.0, -2.5]))
def test_forget_gate_bias(num_layers, bidirectional, value):
    module = tg.nn.Sequential(tg.nn.LSTM(3, 4, num_layers, bidirectional=bidirectional), tg.nn.LSTMCell(2, 4))
    before = module.state_dict()
    assert init.forget_gate_bias_(module, value) is module
    found = 0
    for name, after in module.state_dict().items():
        forget = np.zeros(len(after), bool)
        if "bias_" in name:
            forget[4:8] = True
            assert after.numpy()[forget].tolist() == [value if "bias_ih" in name else 0.0] * 4
            found += 1
        np.testing.assert_array_equal(after.numpy()[~forget], before[name].numpy()[~forget])
    assert found == 2 * (num_layers * (1 + bidirectional) + 1)


def test_the_forget_gate_is_the_block_that_the_lstm_forgets_by():
    """Nothing read, nothing written: c' = sigmoid(bias) * c."""
    cell = tg.nn.LSTMCell(1, 3).astype(np.float64)
    for parameter in cell.parameters():
        init.zeros_(parameter)
    c = np.array([[1.0, -2.0, 3.0]])
    _, after = init.forget_gate_bias_(cell, 2.0)(np.zeros((1, 1)), (np.zeros((1, 3)), c))
    np.testing.assert_allclose(after.numpy(), c / (1 + math.exp(-2)), rtol=1e-12)


def test_the_irnn_keeps_its_state_and_passes_gradients_unmodified():
    irnn = init.recurrent_identity_(tg.nn.RNN(2, 3, nonlinearity="relu")).astype(np.float64)
    first = tg.Tensor(np.array([[[0.5, 2.0, 1.0]]]), requires_grad=True)
    _, last = irnn(np.zeros((50, 1, 2)), first)
    np.testing.assert_array_equal(last.numpy(), first.numpy())
    weights = np.random.standard_normal(last.shape)
    (last * weights).sum().backward()
    np.testing.assert_array_equal(first.grad.numpy(), weights)


def test_initialisers_of_an_encoder_reach_its_layer():
    model = tg.nn.Seq2Seq(tg.nn.Encoder(5, 3, 4), tg.nn.Decoder(5, 3, 4), end_token=0)
    init.recurrent_orthogonal_(init.forget_gate_bias_(model, 3.0))
    assert len(blocks(model)[0]) == 8
    for part in (model.encoder, model.decoder):
        assert part.rnn.bias_ih_l0.tolist()[4:8] == [3.0] * 4


def test_nothing_changes_on_an_error():
    module = tg.nn.Sequential(tg.nn.LSTM(3, 4), tg.nn.LSTM(4, 4, bias=False))
    before = module.state_dict()
    with pytest.raises(ValueError, match=r"forget_gate_bias_: 1\.weight_hh_l0 has no biases beside it \(bias=False\)"):
        init.forget_gate_bias_(module)
    for name, values in module.state_dict().items():
        np.testing.assert_array_equal(values.numpy(), before[name].numpy())


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: init.identity_(tg.Tensor([1.0])), ValueError, r"identity_: expected a matrix, got shape \(1,\)"),
        (lambda: init.orthogonal_(tg.Tensor([1.0])), ValueError, "orthogonal_: expected at least 2 axes"),
        (
            lambda: init.xavier_normal_(tg.Tensor([1.0])),
            ValueError,
            r"xavier_normal_: expected at least 2 axes, \(out, in",
        ),
        (
            lambda: init.kaiming_uniform_(tg.Tensor([[1.0]]), mode="in"),
            ValueError,
            "expected mode 'fan_in' or 'fan_out'",
        ),
        (
            lambda: init.kaiming_uniform_(tg.Tensor([[1.0]]), nonlinearity="x"),
            ValueError,
            "calculate_gain: expected one of",
        ),
        (lambda: init.normal_(tg.Tensor([1.0]), std=-1), ValueError, "normal_: expected std >= 0, got -1"),
        (lambda: init.uniform_(tg.Tensor([1.0]), 1.0, 0.0), ValueError, "uniform_: expected a <= b, got a=1.0, b=0.0"),
        (lambda: init.zeros_(np.zeros(2)), TypeError, "init: expected a tensor to write into, got ndarray"),
        (
            lambda: init.recurrent_orthogonal_(tg.Tensor(np.zeros((2, 2)))),
            TypeError,
            "recurrent_orthogonal_: expected a module with recurrent weights, got Tensor",
        ),
        (
            lambda: init.recurrent_identity_(tg.nn.Linear(2, 2)),
            ValueError,
            "recurrent_identity_: Linear has no recurrent weights",
        ),
        (lambda: init.forget_gate_bias_(tg.nn.Linear(2, 2)), ValueError, "Linear has no recurrent weights"),
        (
            lambda: init.forget_gate_bias_(tg.nn.Sequential(tg.nn.GRU(2, 3))),
            ValueError,
            r"expected LSTMs only, .* but 0\.weight_hh_l0 of shape \(9, 3\) has no forget gate",
        ),
        (lambda: init.forget_gate_bias_(tg.nn.RNNCell(2, 3)), ValueError, r"but weight_hh of shape \(3, 3\) has no"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()
