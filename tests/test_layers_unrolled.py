"""One fused node for a sequence, or every operation of every step: the same numbers, to every order of derivatives."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from layers import (
    KINDS,
    KINDS_AND_NONLINEARITIES,
    Case,
    agree,
    by_hand,
    cases,
    here,
    identical,
    in_torch,
    leaf_here,
    leaf_in_torch,
    outcome_by_hand,
    outcome_here,
    packed,
    run,
    state_of,
)
from peer import torch

import tinygrad_rnn as tg
from tinygrad_rnn.nn.fused import kernel, plan
from tinygrad_rnn.tensor import lift
from tinygrad_rnn.walk import walk

DEEP = {"num_layers": 3, "bidirectional": True}
WIDE = {"num_layers": 2, "bidirectional": True, "batch_first": True, "bias": False, "dropout": 0.4}
PATHS = ["fused", "unrolled"]
MORE = settings(max_examples=2 * settings().max_examples)
FEWER = settings(max_examples=max(settings().max_examples // 2, 1))
intervals = st.none() | st.integers(1, 8)


def on(path):
    return tg.unrolled() if path == "unrolled" else nullcontext()


def on_both(case, **more):
    """The outcome of each path, from the same seed of dropout."""
    found = []
    for path in PATHS:
        tg.manual_seed(case.seed)
        with on(path):
            found.append(outcome_here(case, **more))
    return found


def nodes_behind(*tensors):
    seen, todo = set(), [t.node for t in tensors]
    while todo:
        node = todo.pop()
        if node is not None and node.order not in seen:
            seen.add(node.order)
            todo.extend(node.parents)
    return len(seen)


@st.composite
def cases_with_a_learned_state(draw):
    case = draw(cases(least=0))
    return replace(case, learned=True, given=False) if draw(st.booleans()) else case


class TestTheTwoPaths:
    @MORE
    @given(cases_with_a_learned_state(), st.booleans())
    @example(Case("LSTM", DEEP, 6, 4, 2, 3, [2, 6, 0, 4], given=True), False)
    @example(Case("GRU", {**WIDE, "bias": True}, 6, 4, 2, 3, [2, 5, 1, 4], learned=True), True)
    @example(Case("RNN", {**WIDE, "nonlinearity": "relu"}, 5, 3, 2, 3, weighed=("h_n",)), True)
    @example(Case("LSTM", WIDE, 5, None, 2, 3, given=True, weighed=("c_n",)), True)
    def test_agree_in_results_and_every_gradient(self, case, training):
        agree(*on_both(case, training=training), 1e-12)

    @MORE
    @given(cases_with_a_learned_state(), intervals, intervals, st.booleans())
    @example(Case("LSTM", DEEP, 6, 4, 2, 3, [2, 6, 0, 4], given=True), 2, 3, False)
    @example(Case("GRU", WIDE, 6, 4, 2, 3, [2, 5, 1, 4], learned=True), 2, 4, True)
    @example(Case("RNN", DEEP, 6, 2, 2, 3, [1, 2], given=True, weighed=("h_n",)), 4, 2, False)
    def test_agree_with_checkpoints_and_truncation(self, case, checkpoint, truncate, training):
        agree(*on_both(case, checkpoint=checkpoint, truncate=truncate, training=training), 1e-12)

    @MORE
    @given(cases_with_a_learned_state(), intervals, intervals, *[st.sampled_from([1, 20, 60, 200])] * 2)
    @example(Case("LSTM", DEEP, 6, 4, 2, 3, [2, 6, 0, 4], given=True), None, None, 40, 60)
    @example(Case("GRU", WIDE, 6, 4, 2, 3, [2, 5, 1, 4], learned=True), 2, 4, 40, 1)
    @example(Case("RNN", DEEP, 6, 4, 2, 3, given=True), None, 4, 20, 200)
    def test_agree_where_time_is_cut_into_pieces_that_stay_in_the_cache(self, case, checkpoint, truncate, chunk, block):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kernel, "_CHUNK", chunk)
            patch.setattr(plan, "_GATES_IN_BLOCK", block)
            agree(*on_both(case, checkpoint=checkpoint, truncate=truncate), 1e-12)

    @given(cases(least=0), intervals, intervals)
    @example(Case("LSTM", DEEP, 6, 4, 2, 3, [2, 6, 0, 4], given=True), 2, None)
    def test_agree_without_a_graph(self, case, checkpoint, truncate):
        layer, numbers = here(case, checkpoint=checkpoint, truncate=truncate), case.numbers()
        recorded = run(case, lambda x, state: layer(x, state, case.lengths), leaf_here)[0]
        with tg.no_grad():
            for path in PATHS:
                with on(path):
                    quiet, _ = layer(numbers["x"], state_of(case, numbers), case.lengths)
                assert (quiet.requires_grad, quiet.node) == (False, None)
                np.testing.assert_allclose(quiet.numpy(), recorded["output"].numpy(), rtol=1e-12, atol=1e-14)

    @pytest.mark.parametrize(("kind", "more"), KINDS_AND_NONLINEARITIES)
    def test_agree_on_where_nan_goes(self, kind, more):
        case = Case(kind, {**more, "bias": False}, 3, 2, 1, 2)
        x = case.numbers()["x"]
        x[1, 0] = np.nan
        found, expected = on_both(case, x=x)
        for name in expected:
            assert np.array_equal(np.isnan(found[name]), np.isnan(expected[name])), name

    def test_agree_on_an_empty_batch_that_is_truncated(self):
        for path in PATHS:
            with on(path):
                h = leaf_here(np.zeros((1, 0, 3), np.float32))
                y, last = tg.nn.RNN(2, 3, truncate=100)(np.zeros((4, 0, 2), np.float32), h, lengths=np.zeros(0, int))
            (gradient,) = tg.grad(y.sum() + last.sum(), [h])
            assert gradient.shape == h.shape

    @pytest.mark.parametrize("kind", KINDS)
    def test_only_the_unrolled_graph_grows_with_the_steps(self, kind):
        counts = {}
        for steps in (3, 9):
            for path in [*PATHS, "fused"]:
                case = Case(kind, DEEP, steps, 2, 2, 3, [steps, 2])
                layer, x = here(case), case.numbers()["x"]
                with on(path):
                    counts.setdefault((path, steps), set()).add(nodes_behind(layer(x, None, case.lengths)[0]))
        ((fused,), (later,)) = counts["fused", 3], counts["fused", 9]
        assert fused == later
        assert min(counts["unrolled", 9]) > 2 * min(counts["unrolled", 3]) > 2 * fused

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_walk_shows_what_each_step_adds_to_the_shared_weight(self, kind):
        layer = getattr(tg.nn, kind)(2, 3).astype(np.float64)
        with tg.unrolled():
            output, _ = layer(np.random.standard_normal((4, 1, 2)))
        weight, summands = layer.weight_hh_l0, {}

        def observe(node, argument, gradient):
            if node.parents[argument] is weight.node:
                summands[node.step] = gradient.copy()

        loss = output.sum()
        walk([(loss.node, np.ones(()))], lift, observe=observe, retain_graph=True)
        loss.backward()
        assert sorted(summands) == [0, 1, 2, 3]
        np.testing.assert_allclose(sum(summands.values()), weight.grad.numpy(), rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
class TestWhateverIsGiven:
    """What kernels that write into memory of their own could get wrong: memory and dtypes of others."""

    def outcome_of(self, case, path, x, loss, state=None, **more):
        layer = here(case, **more)
        with on(path):
            output, last = layer(x, state, case.lengths)
        loss(output, last).backward()
        found = {f"d {name}": p.grad.numpy() for name, p in layer.named_parameters()}
        if isinstance(x, tg.Tensor) and x.grad is not None:
            found["d x"] = x.grad.numpy()
        return found | {"output": output.numpy()}

    @pytest.mark.parametrize("more", [{}, {"checkpoint": 2}])
    def test_gradients_that_are_broadcast_or_partial(self, kind, more):
        case = Case(kind, DEEP, 5, 3, 2, 4, [5, 1, 3])
        losses = [
            lambda output, last: output.sum(),
            lambda output, last: output[-1].sum(),
            lambda output, last: (output[::-2, ::-1] * output[0, 0, 0]).sum(),
            lambda output, last: (output.T * 1.5).mean(),
            lambda output, last: (last[0] if kind == "LSTM" else last)[::-1][::2].sum(),
        ]
        for loss in losses:
            found = [self.outcome_of(case, path, leaf_here(case.numbers()["x"]), loss, **more) for path in PATHS]
            agree(*found, 1e-12)

    def test_x_in_any_memory(self, kind):
        case = Case(kind, DEEP, 5, 3, 2, 4, [5, 1, 3])
        x = case.numbers()["x"]
        expected = self.outcome_of(case, "fused", x, lambda output, last: (output * output).sum())
        padded = np.full((5, 6, 4), 7.0)
        padded[:, ::2, ::2] = x
        backwards = x[::-1, ::-1, ::-1].copy()[::-1, ::-1, ::-1]
        for same in (np.asfortranarray(x), x.swapaxes(0, 1).copy().swapaxes(0, 1), padded[:, ::2, ::2], backwards):
            before = same.copy()
            agree(self.outcome_of(case, "fused", same, lambda output, last: (output * output).sum()), expected, 1e-14)
            np.testing.assert_array_equal(same, before)
        repeated = np.broadcast_to(x[:, :1], x.shape)
        found = [self.outcome_of(case, path, repeated, lambda output, last: (output * output).sum()) for path in PATHS]
        agree(*found, 1e-12)

    @pytest.mark.parametrize(("of_x", "of_parameters"), [("float32", "float64"), ("float64", "float32")])
    def test_dtypes_that_differ(self, kind, of_x, of_parameters):
        """Both promote alike, and a gradient has its tensor's dtype."""
        case = Case(kind, DEEP, 4, 3, 2, 4, [4, 1, 3], dtype=of_parameters)
        x = case.numbers()["x"].astype(of_x)
        found = [self.outcome_of(case, path, leaf_here(x), lambda output, last: (output**2).sum()) for path in PATHS]
        agree(*found, 1e-5)
        assert found[0]["d x"].dtype == of_x
        assert {values.dtype for name, values in found[0].items() if "l0" in name} == {np.dtype(of_parameters)}

    @pytest.mark.parametrize("path", PATHS)
    def test_one_tensor_as_all_of_the_state(self, kind, path):
        case = Case(kind, DEEP, 4, 3, 2, 4, [4, 0, 3], given=True)
        layer, h, c = here(case), leaf_here(case.numbers()["h_0"]), leaf_here(case.numbers()["h_0"])
        grads = []
        for state in ((h, h), (h, c)):
            h.grad = c.grad = None
            with on(path):
                output, _ = layer(case.numbers()["x"], state if kind == "LSTM" else state[0], case.lengths)
            (output * output).sum().backward()
            grads.append(h.grad.numpy() + (0.0 if c.grad is None else c.grad.numpy()))
        np.testing.assert_allclose(grads[0], grads[1], rtol=1e-12, atol=1e-14)

    def test_later_calls_and_walks_touch_neither_results_nor_gradients(self, kind):
        case = Case(kind, DEEP, 4, 3, 2, 4, [4, 1, 3], given=True)
        layer = here(case)
        results, leaves = run(case, lambda x, state: layer(x, state, case.lengths), leaf_here)
        wanted = [*layer.parameters(), *leaves.values()]
        first = tg.grad(case.loss(results, tg.Tensor), wanted, retain_graph=True)
        kept = [t.numpy().copy() for t in (*results.values(), *first)]
        later, its_leaves = run(case, lambda x, state: layer(x * 2, state, case.lengths), leaf_here)
        with tg.no_grad():
            layer(np.ones((9, 7, 2)))
        tg.grad(case.loss(later, tg.Tensor), [*layer.parameters(), *its_leaves.values()])
        again = tg.grad(case.loss(results, tg.Tensor), wanted)
        for before, *after in zip(kept, (*results.values(), *first), (*results.values(), *again), strict=True):
            for tensor in after:
                np.testing.assert_array_equal(tensor.numpy(), before)

    def test_threads_do_not_share_what_they_compute_in(self, kind):
        chosen = [Case(kind, DEEP, 6, 3, 2, 4, [6, 1, 3], given=True, seed=seed) for seed in range(4)]
        expected = [outcome_here(case) for case in chosen]
        with ThreadPoolExecutor(4) as pool:
            for _ in range(5):
                for found, right in zip(pool.map(outcome_here, chosen), expected, strict=True):
                    identical(found, right)


class TestCheckpoint:
    @pytest.mark.parametrize("path", PATHS)
    @FEWER
    @given(cases_with_a_learned_state(), st.integers(1, 8), st.booleans())
    @example(Case("LSTM", DEEP, 6, 4, 2, 3, [2, 6, 0, 4], given=True), 2, False)
    @example(Case("GRU", WIDE, 6, 4, 2, 3, [2, 6, 1, 4]), 4, True)
    def test_it_changes_no_number(self, path, case, checkpoint, training):
        """Nor does dropout draw anything again in the walk: what is drawn afterwards is the same."""
        found = []
        for k in (None, checkpoint):
            tg.manual_seed(case.seed)
            with on(path):
                found.append(outcome_here(case, training=training, checkpoint=k))
            found[-1]["drawn later"] = tg.functional.dropout(np.ones(20)).numpy()
        agree(*found, 1e-12)

    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("checkpoint", [1, 2, 6, 11])
    def test_the_walk_may_be_taken_twice(self, kind, path, checkpoint):
        case = Case(kind, DEEP, 6, 3, 2, 3, [6, 1, 4], given=True)
        layer = here(case, checkpoint=checkpoint)
        with on(path):
            results, leaves = run(case, lambda x, state: layer(x, state, case.lengths), leaf_here)
        loss, wanted = case.loss(results, tg.Tensor), [*layer.parameters(), *leaves.values()]
        first = tg.grad(loss, wanted, retain_graph=True)
        second = tg.grad(loss, wanted)
        for a, b in zip(first, second, strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy())
        with pytest.raises(RuntimeError, match="released"):
            tg.grad(loss, wanted)


class TestTruncation:
    @pytest.mark.parametrize("path", PATHS)
    @given(cases_with_a_learned_state(), st.integers(1, 7))
    @example(Case("LSTM", DEEP, 6, 4, 2, 3, [2, 6, 0, 4], given=True), 2)
    @example(Case("GRU", WIDE, 6, None, 2, 3, given=True), 1)
    @example(Case("RNN", DEEP, 6, 2, 2, 3, [1, 2], given=True, weighed=("h_n",)), 2)
    def test_it_is_a_loop_in_torch_that_detaches_the_state(self, path, case, truncate):
        with on(path):
            found = outcome_here(case, truncate=truncate)
        agree(found, outcome_by_hand(case, truncate), 1e-10)

    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize("kind", KINDS)
    def test_no_gradient_reaches_further_back(self, kind, path):
        layer, x = getattr(tg.nn, kind)(2, 3, truncate=2).astype(np.float64), leaf_here(np.ones((5, 1, 2)))
        with on(path):
            layer(x)[0][4].sum().backward()
        np.testing.assert_array_equal(x.grad.numpy().any((1, 2)), [False, False, False, False, True])
        x.grad = None
        with on(path):
            layer(x)[0][3].sum().backward()
        np.testing.assert_array_equal(x.grad.numpy().any((1, 2)), [False, False, True, True, False])

    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize("kind", KINDS)
    def test_streaming_a_text_in_pieces_with_the_state_detached_is_the_same(self, kind, path):
        case = Case(kind, {"num_layers": 1}, 6, 2, 2, 3)
        x = case.numbers()["x"]
        whole, pieces = here(case, truncate=2), here(case)
        with on(path):
            (whole(x)[0] ** 2).sum().backward()
            state = None
            for k in (0, 2, 4):
                if state is not None:
                    state = tuple(part.detach() for part in state) if kind == "LSTM" else state.detach()
                output, state = pieces(x[k : k + 2], state)
                (output**2).sum().backward()
        for a, b in zip(whole.parameters(), pieces.parameters(), strict=True):
            np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-11, atol=1e-14)


def derivatives(case, results, wanted, leaf, grad):
    """The first derivatives of the loss, and the product of the second ones with a random vector."""
    first = grad(case.loss(results, lambda w: leaf(w).detach()), [*wanted.values()], create_graph=True)
    rng, along = np.random.default_rng([case.seed, 2]), 0.0
    for g in first:
        along = along + (g * leaf(rng.normal(size=tuple(g.shape))).detach()).sum()
    second = grad(along, [*wanted.values()], allow_unused=True)
    found = {f"d {name}": g.detach().numpy() for name, g in zip(wanted, first, strict=True)}
    for name, g, gg in zip(wanted, first, second, strict=True):
        found[f"dd {name}"] = np.zeros(tuple(g.shape)) if gg is None else gg.detach().numpy()
    return found


RAGGED = {"num_layers": 2, "bidirectional": True}


class TestSecondDerivatives:
    @pytest.mark.parametrize("path", PATHS)
    @FEWER
    @given(
        cases(
            ragged=True, least=0, largest=(2, 4, 3, 2, 2), power=2, weighed=("output", "h_n", "c_n"), given=True
        ).filter(lambda case: max(case.ends) > 0)
    )
    @example(Case("LSTM", RAGGED, 5, 4, 2, 3, [2, 5, 0, 3], power=2))
    @example(Case("LSTM", RAGGED, 5, 4, 2, 3, [2, 5, 0, 3], given=True, power=3))
    @example(Case("GRU", RAGGED, 5, 4, 2, 3, [2, 5, 0, 3], power=2))
    @example(Case("GRU", RAGGED, 5, 4, 2, 3, [2, 5, 0, 3], given=True, power=3))
    @example(Case("RNN", RAGGED, 5, 3, 2, 3, [2, 5, 3], power=2))
    def test_equal_those_of_a_loop_in_torch(self, path, case):
        layer = here(case)
        with on(path):
            results, leaves = run(case, lambda x, state: layer(x, state, case.lengths), leaf_here)
        found = derivatives(case, results, dict(layer.named_parameters()) | leaves, leaf_here, tg.grad)
        p = {name: leaf_in_torch(value) for name, value in case.parameters().items()}
        its_results, its_leaves = run(case, by_hand(case, p), leaf_in_torch)
        agree(found, derivatives(case, its_results, p | its_leaves, leaf_in_torch, torch.autograd.grad), 1e-8)

    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize("kind", ["LSTM", "GRU"])
    def test_equal_torchs_own_double_backward(self, kind, path):
        case = Case(kind, RAGGED, 6, 4, 3, 4, [3, 6, 1, 4], given=True, power=2)
        layer, peer = here(case), in_torch(case)
        with on(path):
            results, leaves = run(case, lambda x, state: layer(x, state, case.lengths), leaf_here)
        found = derivatives(case, results, dict(layer.named_parameters()) | leaves, leaf_here, tg.grad)
        its_results, its_leaves = run(case, packed(peer, case), leaf_in_torch)
        wanted = dict(peer.named_parameters()) | its_leaves
        agree(found, derivatives(case, its_results, wanted, leaf_in_torch, torch.autograd.grad), 1e-8)

    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize("options", [{"checkpoint": 2}, {"truncate": 2}, {"checkpoint": 3, "truncate": 2}])
    @pytest.mark.parametrize("kind", ["LSTM", "GRU"])
    def test_with_checkpoints_and_truncation(self, kind, options, path):
        case = Case(kind, RAGGED, 5, 3, 2, 3, [2, 5, 3], power=2, seed=4)
        layer = here(case, **options)
        with on(path):
            results, leaves = run(case, lambda x, state: layer(x, state, case.lengths), leaf_here)
        found = derivatives(case, results, dict(layer.named_parameters()) | leaves, leaf_here, tg.grad)
        p = {name: leaf_in_torch(value) for name, value in case.parameters().items()}
        its_results, its_leaves = run(case, by_hand(case, p, options.get("truncate")), leaf_in_torch)
        agree(found, derivatives(case, its_results, p | its_leaves, leaf_in_torch, torch.autograd.grad), 1e-8)

    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize("kind", KINDS)
    def test_hvp_and_jvp_through_a_layer(self, kind, path):
        case = Case(kind, RAGGED, 5, 3, 2, 3, [2, 5, 0], given=True, power=2)
        layer, numbers = here(case), case.numbers()
        names = [name for name in ("x", "h_0", "c_0") if name in numbers]
        rng = np.random.default_rng(3)
        at = tuple(numbers[name] for name in names)
        v = tuple(rng.normal(size=a.shape) for a in at)

        def ours(*leaves):
            given_leaves = iter(leaves)
            results, _ = run(case, lambda x, state: layer(x, state, case.lengths), lambda _: next(given_leaves))
            return case.loss(results, tg.Tensor)

        with on(path):
            found = tg.hvp(ours, at, v)
            _, tangent = tg.jvp(ours, at, v)
        p = {name: leaf_in_torch(value) for name, value in case.parameters().items()}
        results, leaves = run(case, by_hand(case, p), leaf_in_torch)
        first = torch.autograd.grad(case.loss(results, torch.tensor), [*leaves.values()], create_graph=True)
        along = sum((g * torch.tensor(d)).sum() for g, d in zip(first, v, strict=True))
        np.testing.assert_allclose(tangent.item(), along.item(), rtol=1e-10)
        expected = torch.autograd.grad(along, [*leaves.values()])
        agree(
            {name: h.numpy() for name, h in zip(names, found, strict=True)},
            {name: h.numpy() for name, h in zip(leaves, expected, strict=True)},
            1e-8,
        )


class TestGradcheck:
    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize("kind", KINDS_AND_NONLINEARITIES)
    def test_differences_agree(self, kind, path):
        name, more = kind
        case = Case(name, {**more, "bidirectional": True}, 3, 2, 1, 2, [3, 1], given=True, seed=1)
        layer, numbers = here(case), case.numbers()
        state = tuple(numbers[n] for n in ("h_0", "c_0") if n in numbers)

        def call(x, *state):
            return layer(x, state if name == "LSTM" else state[0], case.lengths)

        with on(path):
            assert tg.testing.gradcheck(call, (numbers["x"], *state), progress=False)

    @pytest.mark.parametrize("options", [{}, {"checkpoint": 2}])
    @pytest.mark.parametrize("kind", KINDS_AND_NONLINEARITIES)
    def test_second_derivatives_are_adjoint_and_the_same_on_arrays_and_tensors(self, kind, options):
        name, more = kind
        case = Case(name, {**more, **RAGGED}, 4, 3, 2, 3, [4, 0, 2], seed=2)
        layer = here(case, **options)
        assert tg.testing.gradcheck(
            lambda x: layer(x, None, case.lengths), case.numbers()["x"], order=2, mode="adjoint", progress=False
        )
