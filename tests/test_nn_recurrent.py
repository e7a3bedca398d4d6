"""Recurrent cells and layers against PyTorch: outputs, states, every gradient, ragged lengths, higher derivatives."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from peer import torch

import tinygrad_rnn as tg
from tinygrad_rnn.nn.cells import Recurrent
from tinygrad_rnn.walk import walk

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


class TestLayers:
    @given(
        kinds,
        st.integers(1, 5),
        st.sampled_from([None, 1, 2, 3]),
        st.integers(1, 3),
        st.integers(1, 4),
        st.fixed_dictionaries({"bias": st.booleans(), "batch_first": st.booleans()}),
        st.booleans(),
    )
    @example(("GRU", {}), 1, None, 1, 1, {"bias": False, "batch_first": True}, True)
    def test_equal_torch(self, kind, steps, batch, inputs, hidden, options, given_state):
        name, more = kind
        ours, theirs = both(name, inputs, hidden, **options, **more)
        shape = (steps,) if batch is None else (batch, steps) if options["batch_first"] else (steps, batch)
        x, its_x = leaf((*shape, inputs))
        of_state = (1, hidden) if batch is None else (1, batch, hidden)
        state, its_state = states(name, of_state) if given_state else (None, None)
        (y, last), (its_y, its_last) = ours(x, state), theirs(its_x, its_state)
        outputs = [(y, its_y), *zip(parts(last), parts(its_last), strict=True)]
        for mine, its in outputs:
            assert mine.shape == tuple(its.shape)
            equal(mine, its)
        leaves = [(x, its_x)]
        if given_state:
            leaves += zip(parts(state), parts(its_state), strict=True)
        compare_gradients(ours, theirs, outputs, leaves)

    @given(kinds, st.lists(st.integers(1, 5), min_size=1, max_size=4), st.booleans(), st.booleans())
    @example(("LSTM", {}), [5, 5], False, True)
    def test_ragged_lengths_equal_torchs_packed_sequences_and_padding_has_no_influence(
        self, kind, lengths, batch_first, given_state
    ):
        name, options = kind
        ours, theirs = both(name, 3, 4, batch_first=batch_first, **options)
        steps, batch = max(lengths), len(lengths)
        x, its_x = leaf((batch, steps, 3) if batch_first else (steps, batch, 3))
        padding = np.arange(steps) >= np.array(lengths)[:, None]
        x.data[padding if batch_first else padding.T] = math.nan
        state, its_state = states(name, (1, batch, 4)) if given_state else (None, None)
        packed = torch.nn.utils.rnn.pack_padded_sequence(its_x, lengths, batch_first, enforce_sorted=False)
        its_y, its_last = theirs(packed, its_state)
        its_y, _ = torch.nn.utils.rnn.pad_packed_sequence(its_y, batch_first)
        y, last = ours(x, state, lengths=np.array(lengths))
        outputs = [(y, its_y), *zip(parts(last), parts(its_last), strict=True)]
        for mine, its in outputs:
            equal(mine, its)
        leaves = [(x, its_x)]
        if given_state:
            leaves += zip(parts(state), parts(its_state), strict=True)
        compare_gradients(ours, theirs, outputs, leaves)

    def test_a_length_of_zero_keeps_the_first_state(self):
        layer = tg.nn.GRU(2, 3)
        h_0 = np.random.standard_normal((1, 2, 3)).astype(np.float32)
        output, h_n = layer(np.ones((4, 2, 2), np.float32), h_0, lengths=tg.Tensor([0, 4]))
        assert not output[:, 0].numpy().any()
        np.testing.assert_array_equal(h_n[0, 0].numpy(), h_0[0, 0])

    def test_an_empty_batch(self):
        output, (h_n, c_n) = tg.nn.LSTM(2, 3)(np.ones((4, 0, 2), np.float32))
        assert (output.shape, h_n.shape, c_n.shape) == ((4, 0, 3), (1, 0, 3), (1, 0, 3))

    @pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
    def test_float32_stays_float32_also_from_integer_codes(self, kind):
        layer = getattr(tg.nn, kind)(3, 4)
        codes = tg.functional.one_hot([[0, 1], [2, 0]], 3)
        output, last = layer(codes)
        output.sum().backward()
        assert {output.dtype, parts(last)[-1].dtype} == {np.dtype(np.float32)}
        assert {p.grad.dtype for p in layer.parameters()} == {np.dtype(np.float32)}
        np.testing.assert_array_equal(output.numpy(), layer(codes.numpy().astype(np.float32))[0].numpy())

    @pytest.mark.parametrize(("make", "rows"), [("RNN", 1), ("LSTM", 4), ("GRU", 3), ("LSTMCell", 4)])
    def test_initial_distribution(self, make, rows):
        module = getattr(tg.nn, make)(30, 100)
        for parameter in module.parameters():
            assert parameter.shape[0] == rows * 100
            values = parameter.numpy()
            assert 0.095 < np.abs(values).max() <= 0.1
            assert abs(values.std() - 0.1 / math.sqrt(3)) < 0.005

    def test_no_graph_under_no_grad_and_the_same_numbers(self):
        layer, x = tg.nn.LSTM(3, 4), np.ones((5, 2, 3), np.float32)
        with tg.no_grad():
            quiet, _ = layer(x)
        assert not quiet.requires_grad
        np.testing.assert_array_equal(quiet.numpy(), layer(x)[0].numpy())

    @pytest.mark.parametrize(("kind", "more"), [("RNN", ["relu"]), ("LSTM", []), ("GRU", [])])
    def test_positional_arguments_are_torchs(self, kind, more):
        """input_size, hidden_size, num_layers, (nonlinearity,) bias, batch_first, dropout, bidirectional."""
        ours, theirs = both(kind, 3, 4, 1, *more, False, True, 0.0, False)
        x, its_x = leaf((2, 5, 3))
        equal(ours(x)[0], theirs(its_x)[0])
        assert [*ours.state_dict()] == ["weight_ih_l0", "weight_hh_l0"]

    @pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
    @pytest.mark.parametrize(
        "options",
        [{"num_layers": 2}, {"num_layers": 0}, {"num_layers": np.int64(2)}, {"dropout": 0.5}, {"bidirectional": True}],
    )
    def test_more_than_a_single_layer_in_one_direction_is_refused(self, kind, options):
        (name, value), *_ = options.items()
        with pytest.raises(ValueError, match=f"{kind}: .*only a single layer in one direction.* got .*{name}={value}"):
            getattr(tg.nn, kind)(3, 4, **options)

    def test_a_second_layer_is_not_mistaken_for_a_bias(self):
        with pytest.raises(ValueError, match="num_layers=2"):
            tg.nn.LSTM(3, 4, 2)

    @pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"num_layers": True}, "expected num_layers to be an integer, got True"),
            ({"num_layers": 1.0}, "expected num_layers to be an integer, got 1.0"),
            ({"num_layers": "relu"}, "expected num_layers to be an integer, got 'relu'"),
            ({"bias": 2}, "expected bias to be True or False, got 2"),
            ({"batch_first": None}, "expected batch_first to be True or False, got None"),
            ({"bidirectional": 0}, "expected bidirectional to be True or False, got 0"),
            ({"dropout": False}, "expected dropout to be a number, got False"),
            ({"dropout": "0"}, "expected dropout to be a number, got '0'"),
        ],
    )
    def test_options_of_another_type_are_refused(self, kind, options, message):
        with pytest.raises(TypeError, match=f"{kind}: {message}"):
            getattr(tg.nn, kind)(3, 4, **options)

    def test_options_in_repr(self):
        assert repr(tg.nn.LSTM(3, 4)) == "LSTM(3, 4)"
        assert repr(tg.nn.RNN(3, 4, nonlinearity="relu", bias=False, batch_first=True)) == (
            "RNN(3, 4, bias=False, batch_first=True, nonlinearity='relu')"
        )

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((np.ones((5, 2, 4)),), r"LSTM at 0: expected an input of shape \(\.\.\., 3\), got \(5, 2, 4\)"),
            (
                (np.ones(3),),
                r"LSTM at 0: expected an input of shape \(T, B, I\), or \(T, I\) without a batch, got \(3,\)",
            ),
            ((np.ones((0, 2, 3)),), "expected at least one step, got T=0"),
            ((np.ones((5, 2, 3)), (np.ones((2, 4)),) * 2), r"state h to have shape \(1, 2, 4\), got \(2, 4\)"),
            ((np.ones((5, 3)), (np.ones((1, 1, 4)),) * 2), r"state h to have shape \(1, 4\), got \(1, 1, 4\)"),
            ((np.ones((5, 2, 3)), None, [5]), r"lengths to be whole numbers of shape \(2,\), got int64 \(1,\)"),
            ((np.ones((5, 2, 3)), None, [5.0, 1.0]), r"lengths to be whole numbers of shape \(2,\), got float64"),
            ((np.ones((5, 2, 3)), None, [6, 1]), r"expected lengths in 0\.\.5, got 1\.\.6"),
            ((np.ones((5, 2, 3)), None, [-1, 1]), r"expected lengths in 0\.\.5, got -1\.\.1"),
            ((np.ones((5, 3)), None, [5]), "lengths need a batch"),
        ],
    )
    def test_errors(self, arguments, message):
        net = tg.nn.Sequential(tg.nn.LSTM(3, 4))
        with pytest.raises(ValueError, match=message):
            net[0](*arguments)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_a_walk_shows_what_each_step_adds_to_the_shared_weight(kind):
    layer = getattr(tg.nn, kind)(2, 3).astype(np.float64)
    output, _ = layer(np.random.standard_normal((4, 1, 2)))
    weight, summands = layer.weight_hh_l0, {}

    def observe(node, argument, gradient):
        if node.parents[argument] is weight.node:
            summands[node.step] = gradient.copy()

    loss = output.sum()
    walk([(loss.node, np.ones(()))], None, observe=observe, retain_graph=True)
    loss.backward()
    assert sorted(summands) == [0, 1, 2, 3]
    np.testing.assert_allclose(sum(summands.values()), weight.grad.numpy(), rtol=1e-12)


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


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_second_derivatives_equal_torchs_double_backward(kind):
    """The gradient of a gradient's squared norm, through three steps of a layer and of PyTorch's cell."""
    ours, _ = both(kind, 2, 3)
    theirs = getattr(torch.nn, kind + "Cell")(2, 3).double()
    names = [name for name, _ in theirs.named_parameters()]
    theirs.load_state_dict({n: torch.tensor(ours.state_dict()[f"{n}_l0"].numpy()) for n in names})
    x, its_x = leaf((3, 2, 2))
    output, _ = ours(x)
    state, ys = None, []
    for t in range(3):
        state = theirs(its_x[t], state)
        ys.append(state[0] if kind == "LSTM" else state)
    loss, its_loss = (output * output * output).sum(), (torch.stack(ys) ** 3).sum()
    parameters = [dict(ours.named_parameters())[f"{n}_l0"] for n in names]
    first = tg.grad(loss, [*parameters, x], create_graph=True)
    its_first = torch.autograd.grad(its_loss, [*theirs.parameters(), its_x], create_graph=True)
    for mine, its in zip(first, its_first, strict=True):
        equal(mine, its)
    second = tg.grad(sum((g * g).sum() for g in first), [*parameters, x])
    its_second = torch.autograd.grad(sum((g * g).sum() for g in its_first), [*theirs.parameters(), its_x])
    for mine, its in zip(second, its_second, strict=True):
        equal(mine, its)


def test_a_recurrent_base_class_has_no_step():
    with pytest.raises(NotImplementedError, match=r"Recurrent has no step\(\)"):
        Recurrent(1, 1, bias=True).step(None, None, None, None)
