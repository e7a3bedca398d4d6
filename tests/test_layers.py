"""Recurrent layers with all their options against PyTorch's."""

import copy
import math
import pickle
import warnings

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from layers import (
    GATES,
    KINDS,
    Case,
    agree,
    by_hand,
    cases,
    here,
    identical,
    in_torch,
    leaf_here,
    leaf_in_torch,
    outcome,
    outcome_by_hand,
    outcome_here,
    outcome_in_torch,
    packed,
    parts,
    run,
)
from peer import torch

import tinygrad_rnn as tg

DEEP = {"num_layers": 3, "bidirectional": True}
WIDE = {"num_layers": 2, "bidirectional": True, "batch_first": True, "bias": False, "dropout": 0.4}
MORE = settings(max_examples=4 * settings().max_examples)


class TestAgainstTorch:
    @MORE
    @given(cases())
    @example(Case("LSTM", DEEP, 6, 4, 2, 3, [2, 6, 1, 4], given=True))
    @example(Case("LSTM", WIDE, 5, 3, 4, 2, [1, 3, 3], weighed=("c_n",)))
    @example(Case("GRU", WIDE, 6, 3, 1, 4, [6, 1, 5], given=True, weighed=("h_n",)))
    @example(Case("GRU", DEEP, 4, None, 3, 2, given=True))
    @example(Case("RNN", {**WIDE, "nonlinearity": "relu"}, 5, 1, 2, 3, [3]))
    @example(Case("RNN", DEEP, 1, 1, 1, 1, weighed=("output",)))
    def test_results_and_every_gradient_are_equal(self, case):
        agree(outcome_here(case), outcome_in_torch(case), 1e-10)

    @given(cases(dtype="float32"))
    @example(Case("LSTM", DEEP, 6, 4, 2, 3, [2, 6, 1, 4], given=True, dtype="float32"))
    @example(Case("GRU", WIDE, 6, 3, 1, 4, given=True, dtype="float32"))
    def test_in_float32_too_and_it_stays_float32(self, case):
        agree(outcome_here(case), outcome_in_torch(case), 1e-5)

    @given(cases())
    @example(Case("LSTM", DEEP, 6, 4, 2, 3, [2, 6, 1, 4], given=True))
    def test_torchs_layers_are_the_loops_by_hand_that_other_tests_compare_with(self, case):
        agree(outcome_by_hand(case), outcome_in_torch(case), 1e-10)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("ragged", [False, True])
    def test_at_sizes_that_no_longer_fit_a_cache(self, kind, ragged):
        """Kernels may go through what is so large piece by piece, and through the small cases above at once."""
        lengths = np.random.default_rng(0).integers(1, 61, 32).tolist() if ragged else None
        case = Case(kind, {"num_layers": 2, "bidirectional": True}, 60, 32, 24, 40, lengths, given=True)
        expected = outcome_in_torch(case)
        for checkpoint in (None, 35):
            agree(outcome_here(case, checkpoint=checkpoint), expected, 1e-10)

    @pytest.mark.parametrize("scale", [30.0, 1e3])
    @pytest.mark.parametrize("kind", KINDS)
    def test_saturated_units_overflow_nowhere(self, kind, scale):
        case = Case(kind, DEEP, 6, 4, 2, 3, [2, 6, 1, 4], given=True)
        x, layer, peer = case.numbers()["x"] * scale, here(case), in_torch(case)
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            found = outcome(
                case, lambda x, state: layer(x, state, case.lengths), layer.named_parameters(), leaf_here, x
            )
        expected = outcome(case, packed(peer, case), peer.named_parameters(), leaf_in_torch, x)
        for name, values in expected.items():  # 1 - y * y of y near 1 has no more digits than y: errors are absolute
            np.testing.assert_allclose(found[name], values, rtol=1e-10, atol=1e-12 * scale, err_msg=name)

    @given(cases())
    @example(Case("LSTM", DEEP, 6, 4, 2, 3))
    @example(Case("GRU", WIDE, 6, 4, 2, 3))
    def test_state_dicts_go_both_ways(self, case):
        ours, theirs = here(case), in_torch(case)
        mine, its = ours.state_dict(), theirs.state_dict()
        assert [(name, value.shape) for name, value in mine.items()] == [(k, tuple(v.shape)) for k, v in its.items()]
        with torch.no_grad():
            for value in its.values():
                value.add_(1.0)
        ours.load_state_dict(its)
        for name, value in ours.state_dict().items():
            np.testing.assert_array_equal(value.numpy(), its[name].numpy())
        loaded = theirs.load_state_dict({name: torch.tensor(value.numpy()) for name, value in mine.items()})
        assert (loaded.missing_keys, loaded.unexpected_keys) == ([], [])
        for name, value in theirs.state_dict().items():
            np.testing.assert_array_equal(value.numpy(), mine[name].numpy())

    @pytest.mark.parametrize(("kind", "more"), [("RNN", ["relu"]), ("LSTM", []), ("GRU", [])])
    def test_positional_arguments_are_torchs(self, kind, more):
        """input_size, hidden_size, num_layers, (nonlinearity,) bias, batch_first, dropout, bidirectional."""
        arguments = (3, 4, 2, *more, False, True, 0.25, True)
        theirs = getattr(torch.nn, kind)(*arguments).double().eval()
        ours = getattr(tg.nn, kind)(*arguments).astype(np.float64).eval()
        ours.load_state_dict(theirs.state_dict())
        x = np.random.standard_normal((2, 5, 3))
        expected = theirs(torch.tensor(x))[0].detach().numpy()
        np.testing.assert_allclose(ours(x)[0].numpy(), expected, rtol=1e-10, atol=1e-12)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("options", [{}, WIDE])
    def test_an_empty_batch(self, kind, options):
        ours, theirs = getattr(tg.nn, kind)(2, 3, **options), getattr(torch.nn, kind)(2, 3, **options)
        x = np.ones((0, 4, 2) if options else (4, 0, 2), np.float32)
        output, last = theirs(torch.tensor(x))
        shapes = [tuple(part.shape) for part in (output, *parts(last))]
        for lengths in (None, np.zeros(0, int)):
            output, last = ours(x, lengths=lengths)
            assert [part.shape for part in (output, *parts(last))] == shapes
            output.sum().backward()
            assert not any(p.grad.numpy().any() for p in ours.parameters())

    @pytest.mark.parametrize("kind", KINDS)
    def test_initial_distribution(self, kind):
        layer = getattr(tg.nn, kind)(30, 100, 2, bidirectional=True)
        assert len([*layer.parameters()]) == 16
        for parameter in layer.parameters():
            assert parameter.shape[0] == GATES[kind] * 100
            values = parameter.numpy()
            assert 0.095 < np.abs(values).max() <= 0.1
            assert abs(values.std() - 0.1 / math.sqrt(3)) < 0.005

    @pytest.mark.parametrize("kind", KINDS)
    def test_float32_stays_float32_also_from_integer_codes(self, kind):
        layer = getattr(tg.nn, kind)(3, 4)
        codes = tg.functional.one_hot([[0, 1], [2, 0]], 3)
        output, last = layer(codes)
        output.sum().backward()
        assert {output.dtype, *(part.dtype for part in parts(last))} == {np.dtype(np.float32)}
        assert {p.grad.dtype for p in layer.parameters()} == {np.dtype(np.float32)}
        np.testing.assert_array_equal(output.numpy(), layer(codes.numpy().astype(np.float32))[0].numpy())

    @given(cases(), st.none() | st.integers(1, 3), st.none() | st.integers(1, 3), st.booleans())
    def test_repr_is_the_call_that_makes_it(self, case, checkpoint, truncate, learned):
        options = {"learn_initial_state": learned, "checkpoint": checkpoint, "truncate": truncate}
        layer = getattr(tg.nn, case.kind)(case.inputs, case.hidden, **case.options, **options)
        again = eval("tg.nn." + repr(layer))
        assert repr(again) == repr(layer)
        assert {n: v.shape for n, v in again.state_dict().items()} == {
            n: v.shape for n, v in layer.state_dict().items()
        }
        for name, value in {**case.options, **options}.items():
            changed = value not in (None, False, 0.0, "tanh") and (name, value) not in [
                ("num_layers", 1),
                ("bias", True),
            ]
            assert (f"{name}={value!r}" in repr(layer)) == (changed or (name, value) == ("bias", False))

    @pytest.mark.parametrize("kind", KINDS)
    def test_repr_of_defaults(self, kind):
        assert repr(getattr(tg.nn, kind)(3, 4)) == f"{kind}(3, 4)"


def singles(case, layer):
    """The layers of ``layer`` one by one, each a layer of its own."""
    options, inputs = {**case.options, "num_layers": 1, "dropout": 0.0}, case.inputs
    for k in range(case.layers):
        single = getattr(tg.nn, case.kind)(inputs, case.hidden, **options).astype(case.dtype)
        own = {name: value for name, value in layer.state_dict().items() if f"_l{k}" in name}
        single.load_state_dict({name.replace(f"_l{k}", "_l0"): value for name, value in own.items()})
        yield single
        inputs = len(case.directions) * case.hidden


class TestDropout:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("lengths", [None, [4, 1, 2]])
    def test_it_acts_on_what_goes_from_one_layer_to_the_next_and_on_nothing_else(self, kind, lengths):
        case = Case(kind, {**DEEP, "dropout": 0.5}, 4, 3, 2, 5, lengths)
        layer, x = here(case).train(), leaf_here(case.numbers()["x"])
        stack, its_x = list(singles(case, layer)), leaf_here(x.numpy())
        tg.manual_seed(7)
        output, last = layer(x, lengths=lengths)
        tg.manual_seed(7)
        expected, states = its_x, []
        for k, single in enumerate(stack):
            expected = tg.functional.dropout(expected, 0.5) if k else expected
            expected, state = single(expected, lengths=lengths)
            states.append(parts(state))
        np.testing.assert_allclose(output.numpy(), expected.numpy(), rtol=1e-12, atol=1e-14)
        for part, rows in zip(parts(last), zip(*states, strict=True), strict=True):
            np.testing.assert_allclose(part.numpy(), np.concatenate([r.numpy() for r in rows]), rtol=1e-12, atol=1e-14)
        for result in (output, expected):
            (result * result).sum().backward()
        np.testing.assert_allclose(x.grad.numpy(), its_x.grad.numpy(), rtol=1e-11, atol=1e-13)
        named = dict(layer.named_parameters())
        for k, single in enumerate(stack):
            for name, parameter in single.named_parameters():
                found = named[name.replace("_l0", f"_l{k}")].grad.numpy()
                np.testing.assert_allclose(found, parameter.grad.numpy(), rtol=1e-11, atol=1e-13)

    @pytest.mark.parametrize("kind", KINDS)
    def test_where_all_is_dropped_only_the_first_layer_sees_x(self, kind):
        case = Case(kind, {"num_layers": 2, "dropout": 1.0}, 4, 3, 2, 5, given=True)
        found = outcome_here(case, training=True)
        other = outcome_here(case, x=case.numbers()["x"] + 1.0, training=True)
        np.testing.assert_array_equal(found["output"], other["output"])
        np.testing.assert_array_equal(found["h_n"][1], other["h_n"][1])
        assert not np.isclose(found["h_n"][0], other["h_n"][0]).any()
        assert not found["d weight_ih_l1"].any()
        assert found["d weight_hh_l1"].all()

    @pytest.mark.parametrize("kind", KINDS)
    def test_each_call_draws_anew_and_the_same_seed_draws_the_same(self, kind):
        layer, x = getattr(tg.nn, kind)(2, 5, 2, dropout=0.5), np.ones((4, 3, 2), np.float32)
        tg.manual_seed(3)
        first, second = layer(x)[0].numpy(), layer(x)[0].numpy()
        tg.manual_seed(3)
        np.testing.assert_array_equal(layer(x)[0].numpy(), first)
        assert not np.isclose(first, second).all()

    @pytest.mark.parametrize("kind", KINDS)
    def test_none_in_eval_and_none_is_drawn(self, kind):
        layer, x = getattr(tg.nn, kind)(2, 5, 2, dropout=0.5).eval(), np.ones((4, 3, 2), np.float32)
        tg.manual_seed(3)
        expected = tg.functional.dropout(np.ones(50)).numpy()
        tg.manual_seed(3)
        np.testing.assert_array_equal(layer(x)[0].numpy(), layer(x)[0].numpy())
        np.testing.assert_array_equal(tg.functional.dropout(np.ones(50)).numpy(), expected)

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_single_layer_has_nothing_to_drop_and_warns_as_torch_does(self, kind):
        with pytest.warns(UserWarning, match=r"dropout=0\.5 and num_layers=1"):
            getattr(torch.nn, kind)(2, 5, dropout=0.5)
        with pytest.warns(UserWarning, match=r"dropout.*num_layers") as caught:
            layer = getattr(tg.nn, kind)(2, 5, dropout=0.5)
        assert [warning.filename for warning in caught] == [__file__]
        x = np.ones((4, 3, 2), np.float32)
        np.testing.assert_array_equal(layer(x)[0].numpy(), layer.eval()(x)[0].numpy())
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            getattr(tg.nn, kind)(2, 5, 2, dropout=0.5)
            getattr(tg.nn, kind)(2, 5)


class TestLearnedInitialState:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("bidirectional", [False, True])
    def test_names_shapes_and_first_values(self, kind, bidirectional):
        layer = getattr(tg.nn, kind)(2, 5, 2, bidirectional=bidirectional, learn_initial_state=True)
        ends = ["_l0", "_l0_reverse", "_l1", "_l1_reverse"] if bidirectional else ["_l0", "_l1"]
        expected = {state + end for state in (["h_0", "c_0"] if kind == "LSTM" else ["h_0"]) for end in ends}
        plain = getattr(tg.nn, kind)(2, 5, 2, bidirectional=bidirectional).state_dict()
        own = layer.state_dict()
        assert set(own) - set(plain) == expected
        assert [name for name in own if name not in expected] == [*plain]
        named = dict(layer.named_parameters())
        for name in expected:
            assert (own[name].shape, named[name].requires_grad, own[name].numpy().any()) == ((5,), True, False)
        result = layer.load_state_dict(plain, strict=False)
        assert set(result.missing_keys) == expected

    @given(cases(learned=True, given=False, least=0))
    @example(Case("LSTM", DEEP, 5, 3, 2, 3, [0, 5, 2], learned=True))
    @example(Case("GRU", WIDE, 5, None, 2, 3, learned=True))
    def test_its_gradient_is_the_sum_over_the_batch(self, case):
        """By hand each sequence starts from the same parameter."""
        agree(outcome_here(case), outcome_by_hand(case), 1e-10)

    @pytest.mark.parametrize("kind", KINDS)
    def test_it_is_torchs_gradient_of_an_expanded_parameter(self, kind):
        case = Case(kind, WIDE, 5, 3, 2, 4, [5, 1, 3], learned=True, seed=5)
        found, peer = outcome_here(case), in_torch(Case(kind, WIDE, 5, 3, 2, 4))
        weights = {n: torch.tensor(v) for n, v in case.parameters().items() if n[:3] not in ("h_0", "c_0")}
        peer.load_state_dict(weights)
        ends = ["_l0", "_l0_reverse", "_l1", "_l1_reverse"]
        names = ["h_0", "c_0"] if kind == "LSTM" else ["h_0"]
        starts = {name: leaf_in_torch(np.stack([case.numbers()[name + end] for end in ends])) for name in names}
        given_state = [starts[name][:, None].expand(4, 3, 4) for name in names]
        call = packed(peer, case)
        expected = outcome(
            case,
            lambda x, _: call(x, tuple(given_state) if kind == "LSTM" else given_state[0]),
            peer.named_parameters(),
            leaf_in_torch,
        )
        for name in names:
            for row, end in zip(starts[name].grad.numpy(), ends, strict=True):
                expected[f"d {name}{end}"] = row
        agree(found, expected, 1e-10)

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_given_state_takes_its_place(self, kind):
        case = Case(kind, DEEP, 4, 3, 2, 5, given=True)
        layer = here(case, learn_initial_state=False)
        learned = getattr(tg.nn, kind)(2, 5, **DEEP, learn_initial_state=True).astype(np.float64)
        learned.load_state_dict(layer.state_dict(), strict=False)
        for name, parameter in learned.named_parameters():
            if name.startswith(("h_0", "c_0")):
                parameter.data = np.full(5, 9.0)
        results = [run(case, side, leaf_here)[0]["output"] for side in (layer, learned)]
        np.testing.assert_array_equal(results[0].numpy(), results[1].numpy())
        results[1].sum().backward()
        starts = [p.grad for name, p in learned.named_parameters() if name.startswith(("h_0", "c_0"))]
        assert not any(g is not None and g.numpy().any() for g in starts)


def test_an_optimiser_trains_a_learned_initial_state():
    """x says nothing, so only the first state can tell the net where to be after one step."""
    net = tg.nn.RNN(1, 1, learn_initial_state=True)
    optimizer = tg.optim.Adam(net.parameters(), lr=0.05)
    x = np.zeros((1, 2, 1), np.float32)
    for _ in range(200):
        net.zero_grad()
        loss = ((net(x)[0] - 0.5) ** 2).mean()
        loss.backward()
        optimizer.step()
    assert loss.item() < 1e-4
    assert net.h_0_l0.item() != 0.0


@settings(max_examples=10)
@given(cases(kinds=[("LSTM", {}), ("GRU", {})], largest=(2, 4, 3, 2, 2), power=2), st.booleans())
@example(Case("LSTM", WIDE, 4, 3, 2, 2, [1, 4, 2], given=True, power=2), True)
def test_second_derivatives_of_the_loops_by_hand_are_those_of_torchs_packed_layers(case, given_leaves):
    """What test_layers_unrolled compares second derivatives with."""
    found = []
    for side in ("nn", "by hand"):
        peer = in_torch(case)
        p = dict(peer.named_parameters())
        results, leaves = run(case, packed(peer, case) if side == "nn" else by_hand(case, p), leaf_in_torch)
        wanted = [*p.values(), *leaves.values()] if given_leaves else [*p.values()]
        first = torch.autograd.grad(case.loss(results, torch.tensor), wanted, create_graph=True)
        second = torch.autograd.grad(sum((g * g).sum() for g in first), wanted, materialize_grads=True)
        found.append({str(i): g.numpy() for i, g in enumerate(second)})
    agree(found[0], found[1], 1e-9)


def test_equal_numbers_are_found_identical_and_a_last_bit_is_not():
    """What the tests above rest on: ``agree`` does tell a NaN, another dtype, and a relative error."""
    a = {"h": np.array([1.0, 100.0])}
    identical(a, {"h": a["h"].copy()})
    agree({"h": np.array([1.0, 100.0 + 0.9e-8])}, a, 1e-10)
    for other in ([1.0, np.nextafter(100.0, 101.0)], [1.0, math.nan]):
        with pytest.raises(AssertionError, match="h is off"):
            identical({"h": np.array(other)}, a)
    with pytest.raises(AssertionError, match="h is off"):
        agree({"h": np.array([1.0, 100.0 + 1.1e-8])}, a, 1e-10)
    with pytest.raises(AssertionError):
        agree({"h": a["h"].astype(np.float32)}, a, 1.0)


@pytest.mark.parametrize("make", [tg.nn.RNN, tg.nn.RNNCell])
def test_a_copy_says_its_nonlinearity_too(make):
    module = make(2, 3, nonlinearity="relu")
    assert repr(copy.deepcopy(module)) == repr(pickle.loads(pickle.dumps(module))) == repr(module)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sizes", [(0, 3), (2, 0), (0, 0)])
def test_sizes_of_zero(kind, sizes):
    layer = getattr(tg.nn, kind)(*sizes, num_layers=2)
    x = tg.Tensor(np.ones((4, 2, sizes[0]), np.float32), requires_grad=True)
    output, _ = layer(x)
    output.sum().backward()
    assert output.shape == (4, 2, sizes[1])
    assert x.grad.shape == x.shape
