"""Sequences of different lengths in one batch: no padding leaks, empty ones pass their state through, any order."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from layers import (
    KINDS,
    Case,
    agree,
    cases,
    drawn_lengths,
    here,
    identical,
    leaf_here,
    outcome_by_hand,
    outcome_here,
    outcome_in_torch,
    parts,
    run,
    state_of,
)

import tinygrad_rnn as tg

DEEP = {"num_layers": 2, "bidirectional": True}
WIDE = {**DEEP, "batch_first": True, "bias": False}
STATES = ("h_n", "c_n", "d h_0", "d c_0")


def padded(case, value):
    """The case's x with another value as its padding."""
    x = case.numbers()["x"]
    x[case.past_the_end] = value
    return x


class TestPadding:
    @given(cases(ragged=True, least=0), st.sampled_from([math.nan, math.inf, -math.inf, 1e30, -1e300]))
    @example(Case("LSTM", DEEP, 6, 4, 2, 3, [2, 6, 0, 4], given=True), math.nan)
    @example(Case("GRU", WIDE, 6, 4, 2, 3, [2, 5, 0, 4]), math.inf)
    @example(Case("RNN", {**WIDE, "nonlinearity": "relu"}, 3, 2, 2, 3, [0, 0], given=True), math.nan)
    def test_it_changes_nothing_to_the_last_bit(self, case, value):
        found = outcome_here(case, padded(case, value))
        identical(found, outcome_here(case))
        past = case.past_the_end
        assert not found["output"][past].any()
        assert not found["d x"][past].any()

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("value", [math.nan, math.inf, 1e30])
    def test_it_changes_nothing_in_float32(self, kind, value):
        case = Case(kind, DEEP, 5, 3, 2, 3, [2, 0, 4], given=True, dtype="float32")
        identical(outcome_here(case, padded(case, value)), outcome_here(case))

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("value", [math.nan, math.inf, 1e30])
    def test_it_changes_nothing_in_training_with_dropout(self, kind, value):
        case = Case(kind, {**DEEP, "dropout": 0.5}, 5, 3, 2, 3, [2, 0, 4])
        found = []
        for x in (padded(case, value), None):
            tg.manual_seed(1)
            found.append(outcome_here(case, x, training=True))
        identical(*found)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("options", [DEEP, WIDE])
    def test_it_is_no_anomaly(self, kind, options):
        case = Case(kind, options, 5, 3, 2, 3, [2, 0, 4], given=True)
        with tg.detect_anomaly():
            found = outcome_here(case, padded(case, math.nan))
        identical(found, outcome_here(case))

    @given(cases(ragged=True, least=0), st.sampled_from([math.nan, math.inf, 1e30]))
    @example(Case("LSTM", DEEP, 6, 4, 2, 3, [2, 6, 0, 4], given=True), math.nan)
    def test_a_gradient_that_arrives_there_goes_nowhere(self, case, value):
        """The outputs there are 0 whatever happens; a loss that is not masked may well hand NaN back to them."""
        found = []
        for at_padding in (0.0, value):
            layer = here(case)
            results, leaves = run(case, lambda x, state, layer=layer: layer(x, state, case.lengths), leaf_here)
            start = np.random.default_rng(case.seed).normal(size=results["output"].shape)
            start[case.past_the_end] = at_padding
            results["output"].backward(start)
            gradients = {**dict(layer.named_parameters()), **leaves}
            found.append({name: t.grad.numpy() for name, t in gradients.items()})
        identical(*found)

    @given(cases(ragged=True, least=0), st.integers(1, 4), *[st.sampled_from([None, 1, 2, 3, 9])] * 2)
    @example(Case("LSTM", DEEP, 4, 3, 2, 3, [4, 0, 3], given=True), 3, None, None)
    @example(Case("GRU", WIDE, 2, 4, 1, 1, [1, 1, 1, 1]), 1, 2, 1)
    @example(Case("RNN", DEEP, 5, 3, 2, 3, [4, 1, 3], given=True), 4, 2, None)
    @example(Case("LSTM", DEEP, 5, 3, 2, 3, [4, 1, 3], given=True), 2, None, 2)
    def test_more_of_it_changes_nothing(self, case, extra, checkpoint, truncate):
        expected, first = outcome_here(case, truncate=truncate), bool(case.options.get("batch_first"))
        longer = Longer(**vars(case), extra=extra)
        found = outcome_here(longer, checkpoint=checkpoint, truncate=truncate)
        for name in ("output", "d x"):
            kept, added = np.split(found[name], [case.steps], int(first))
            found[name] = kept
            assert not added.any()
        agree(found, expected, 1e-12)


class Longer(Case):
    """The case with ``extra`` steps of padding at the end of all sequences."""

    def __init__(self, extra, **fields):
        super().__init__(**fields)
        object.__setattr__(self, "without", Case(**fields))
        object.__setattr__(self, "extra", extra)
        object.__setattr__(self, "steps", self.steps + extra)

    def padded(self, value, by):
        first = bool(self.options.get("batch_first"))
        return np.pad(value, [(0, self.extra if axis == first else 0) for axis in range(3)], constant_values=by)

    def numbers(self):
        numbers = self.without.numbers()
        return numbers | {"x": self.padded(numbers["x"], 0.5)}

    def weights(self):
        weights = self.without.weights()
        return weights | {"output": self.padded(weights["output"], 0.25)}


class TestEmptySequences:
    @given(cases(ragged=True, least=0))
    @example(Case("LSTM", DEEP, 6, 4, 2, 3, [2, 6, 0, 4], given=True))
    @example(Case("GRU", WIDE, 6, 3, 2, 3, [0, 0, 0], given=True))
    @example(Case("RNN", DEEP, 1, 2, 1, 1, [0, 1]))
    def test_by_hand_they_are_loops_without_a_turn(self, case):
        agree(outcome_here(case), outcome_by_hand(case), 1e-10)

    @given(cases(ragged=True, given=True), st.data())
    @example(Case("LSTM", DEEP, 6, 3, 2, 3, [2, 6, 4], given=True), None)
    def test_they_change_nothing_for_the_others_and_pass_their_state_through(self, case, data):
        """The batch with an empty sequence put in at ``place``, against PyTorch on the batch without it."""
        place = data.draw(st.integers(0, case.batch)) if data is not None else 1
        first = case.options.get("batch_first", False)
        longer = WithOneMore(**vars(case), place=place)
        expected, found = outcome_in_torch(case), outcome_here(longer)
        own = {}
        for name in found:
            axis = 1 if name in STATES else 1 - first if name in ("output", "d x") else None
            if axis is not None:
                own[name] = np.take(found[name], place, axis)
                found[name] = np.delete(found[name], place, axis)
        agree(found, expected, 1e-10)
        for name in ("h", "c") if case.kind == "LSTM" else ("h",):
            before = np.take(longer.numbers()[f"{name}_0"], place, 1)
            np.testing.assert_array_equal(own[f"{name}_n"], before)
            weights = np.take(longer.weights()[f"{name}_n"], place, 1)
            weighed = f"{name}_n" in case.weighed
            np.testing.assert_array_equal(own[f"d {name}_0"], weights if weighed else np.zeros_like(weights))
        assert not own["output"].any()
        assert not own["d x"].any()

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("options", [{}, WIDE])
    def test_without_a_state_theirs_is_zero(self, kind, options):
        case = Case(kind, options, 4, 3, 2, 3, [0, 4, 0])
        found = outcome_here(case)
        for part in ("h_n", "c_n") if kind == "LSTM" else ("h_n",):
            assert not found[part][:, [0, 2]].any()
            assert found[part][:, 1].all()

    @pytest.mark.parametrize("kind", KINDS)
    def test_with_a_learned_state_it_is_theirs_and_gets_their_gradient(self, kind):
        case = Case(kind, DEEP, 4, 3, 2, 3, [0, 0, 0], learned=True, weighed=("h_n",))
        found, weights = outcome_here(case), case.weights()["h_n"]
        for row, end in enumerate(["_l0", "_l0_reverse", "_l1", "_l1_reverse"]):
            np.testing.assert_array_equal(found["h_n"][row], [case.numbers()[f"h_0{end}"]] * 3)
            np.testing.assert_allclose(found[f"d h_0{end}"], weights[row].sum(0), rtol=1e-14)
            assert not found[f"d weight_hh{end}"].any()


class WithOneMore(Case):
    """The case with an empty sequence at ``place``; the others keep their numbers and weights."""

    def __init__(self, place, **fields):
        super().__init__(**fields)
        object.__setattr__(self, "place", place)
        object.__setattr__(self, "without", Case(**fields))
        object.__setattr__(self, "batch", self.batch + 1)
        object.__setattr__(self, "lengths", [*self.lengths[:place], 0, *self.lengths[place:]])

    def numbers(self):
        first = self.options.get("batch_first", False)
        return {
            name: np.insert(value, self.place, 0.5, {"x": 1 - first, "h_0": 1, "c_0": 1}[name])
            if name in ("x", "h_0", "c_0")
            else value
            for name, value in self.without.numbers().items()
        }

    def weights(self):
        first = self.options.get("batch_first", False)
        return {
            name: np.insert(value, self.place, 0.25, 1 - first if name == "output" else 1)
            for name, value in self.without.weights().items()
        }


class TestOrder:
    @given(cases(ragged=True, least=0, given=True), st.randoms(use_true_random=False))
    @example(Case("LSTM", WIDE, 5, 4, 2, 3, [1, 5, 0, 3], given=True, weighed=("h_n",)), None)
    def test_a_permuted_batch_has_permuted_results(self, case, random):
        order = [*range(case.batch)]
        if random is None:
            order.reverse()
        else:
            random.shuffle(order)
        layer, numbers = here(case), case.numbers()
        along = 0 if case.options.get("batch_first") else 1
        output, last = layer(numbers["x"], state_of(case, numbers), case.lengths)
        moved = {
            name: np.take(numbers[name], order, axis)
            for name, axis in {"x": along, "h_0": 1, "c_0": 1}.items()
            if name in numbers
        }
        lengths = [case.lengths[b] for b in order]
        its_output, its_last = layer(moved["x"], state_of(case, moved), lengths)
        pairs = [(output, its_output, along), *((a, b, 1) for a, b in zip(parts(last), parts(its_last), strict=True))]
        for mine, its, axis in pairs:
            np.testing.assert_allclose(np.take(mine.numpy(), order, axis), its.numpy(), rtol=1e-12, atol=1e-14)

    @given(cases(ragged=True))
    @example(Case("GRU", WIDE, 6, 4, 2, 3, [2, 6, 1, 4], given=True))
    def test_each_sequence_is_what_it_is_alone(self, case):
        """Cut to its length and without a batch: so in reverse it starts at its own last element."""
        layer, numbers = here(case), case.numbers()
        output, last = layer(numbers["x"], state_of(case, numbers), case.lengths)
        first = case.options.get("batch_first", False)
        for b, end in enumerate(case.lengths):
            x = np.take(numbers["x"], b, 1 - first)[:end]
            alone = {name: numbers[name][:, b] for name in ("h_0", "c_0") if name in numbers}
            its_output, its_last = layer(x, state_of(case, alone))
            mine = output.numpy()[b] if first else output.numpy()[:, b]
            np.testing.assert_allclose(mine[:end], its_output.numpy(), rtol=1e-12, atol=1e-14)
            for part, its in zip(parts(last), parts(its_last), strict=True):
                np.testing.assert_allclose(part.numpy()[:, b], its.numpy(), rtol=1e-12, atol=1e-14)

    @given(cases(ragged=True))
    @example(Case("LSTM", WIDE, 6, 2, 2, 3, [6, 6]))
    def test_full_lengths_are_no_lengths(self, case):
        full = replace(case, lengths=[case.steps] * case.batch)
        agree(outcome_here(full), outcome_here(replace(case, lengths=None)), 1e-12)


class TestForms:
    @given(drawn_lengths(5, 3, 0), st.sampled_from(KINDS), st.sampled_from([DEEP, WIDE]))
    def test_lists_arrays_and_tensors_of_any_whole_numbers(self, lengths, kind, options):
        case = Case(kind, options, 5, 3, 2, 3, lengths)
        expected = outcome_here(case)
        arrays = [np.array(lengths, dtype) for dtype in ("int64", "int32", "uint8", ">i2")]
        tensors = [tg.Tensor(lengths), tg.Tensor(arrays[1])]
        strided = np.repeat(lengths, 2)[::2]
        for form in (tuple(lengths), *arrays, *tensors, strided):
            identical(outcome_here(case, lengths=form), expected)

    @pytest.mark.parametrize("kind", KINDS)
    def test_they_may_be_used_for_something_else_afterwards(self, kind):
        case = Case(kind, DEEP, 5, 3, 2, 3, [1, 5, 3])
        layer, lengths = here(case), [1, 5, 3]
        results, leaves = run(case, lambda x, state: layer(x, state, lengths), leaf_here)
        lengths[:] = [5, 0, 5]
        results["output"].sum().backward()
        found, layer = leaves["x"].grad.numpy(), here(case)
        results, leaves = run(case, lambda x, state: layer(x, state, [1, 5, 3]), leaf_here)
        results["output"].sum().backward()
        np.testing.assert_array_equal(found, leaves["x"].grad.numpy())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", [{}, WIDE])
@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([5.0, 1.0], r"whole numbers.*got float64"),
        (np.array([5, 1], np.float32), r"whole numbers.*got float32"),
        ([True, False], r"whole numbers.*got bool"),
        ([2 + 0j, 1], r"whole numbers.*got complex"),
        (["5", "1"], r"whole numbers.*got"),
        ([6, 1], r"lengths in 0\.\.5, got .*6"),
        ([1, -1], r"lengths in 0\.\.5, got .*-1"),
        ([5], r"shape \(2,\).*got .*\(1,\)"),
        ([5, 1, 2], r"shape \(2,\).*got .*\(3,\)"),
        ([[5, 1]], r"shape \(2,\).*got .*\(1, 2\)"),
        (5, r"shape \(2,\).*got .*\(\)"),
        (tg.Tensor([5.0, 1.0]), r"whole numbers.*got float"),
    ],
)
def test_lengths_that_are_none_are_refused(kind, options, lengths, message):
    net = tg.nn.Sequential(getattr(tg.nn, kind)(3, 4, **options))
    x = np.ones((2, 5, 3) if options else (5, 2, 3), np.float32)
    with pytest.raises((ValueError, TypeError), match=rf"{kind} at 0: .*{message}"):
        net[0](x, None, lengths)


@pytest.mark.parametrize("kind", KINDS)
def test_lengths_without_a_batch_are_refused(kind):
    with pytest.raises(ValueError, match=rf"{kind}: .*lengths need a batch"):
        getattr(tg.nn, kind)(3, 4)(np.ones((5, 3), np.float32), lengths=[5])
