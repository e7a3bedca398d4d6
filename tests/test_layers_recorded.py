"""What recurrent layers record: only what is needed, with hooks, and whole where a layer is called twice."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from layers import KINDS, Case, agree, cases, here, leaf_here, outcome_here, parts, run

import tinygrad_rnn as tg

DEEP = {"num_layers": 3, "bidirectional": True}


class TestWhatIsRecorded:
    @pytest.mark.parametrize("kind", KINDS)
    def test_nothing_under_no_grad_and_the_numbers_are_the_same(self, kind):
        case = Case(kind, DEEP, 4, 3, 2, 3, [4, 0, 2], given=True)
        layer = here(case)
        loud = run(case, lambda x, state: layer(x, state, case.lengths), leaf_here)[0]
        with tg.no_grad():
            quiet = run(case, lambda x, state: layer(x, state, case.lengths), leaf_here)[0]
        for name, result in quiet.items():
            assert (result.node, result.requires_grad, loud[name].requires_grad) == (None, False, True)
            np.testing.assert_array_equal(result.numpy(), loud[name].numpy())

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("more", [{}, {"checkpoint": 2}])
    def test_nothing_where_nothing_requires_a_gradient(self, kind, more):
        case = Case(kind, DEEP, 4, 3, 2, 3, given=True)
        layer = here(case, **more)
        for parameter in layer.parameters():
            parameter.requires_grad = False
        for result in run(case, layer, tg.Tensor)[0].values():
            assert (result.node, result.requires_grad) == (None, False)

    @given(cases(), st.sampled_from([None, 2]), st.data())
    @example(Case("LSTM", DEEP, 4, 3, 2, 3, [4, 1, 2], given=True), None, None)
    @example(Case("GRU", DEEP, 4, 3, 2, 3, [4, 1, 2], given=True), 2, None)
    def test_only_the_gradients_that_are_needed_and_they_are_the_same(self, case, checkpoint, data):
        everything = outcome_here(case, checkpoint=checkpoint)
        names = [name.removeprefix("d ") for name in everything if name.startswith("d ")]
        chosen = (
            ["weight_hh_l0"] if data is None else data.draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
        )
        layer = here(case, checkpoint=checkpoint)
        results, leaves = run(case, lambda x, state: layer(x, state, case.lengths), leaf_here)
        tensors = {**dict(layer.named_parameters()), **leaves}
        found = tg.grad(case.loss(results, tg.Tensor), [tensors[name] for name in chosen])
        expected = {name: everything[f"d {name}"] for name in chosen}
        agree({name: g.numpy() for name, g in zip(chosen, found, strict=True)}, expected, 1e-12)
        for name, tensor in tensors.items():
            tensor.requires_grad = name in chosen
        state = tuple(leaves[name] for name in ("h_0", "c_0") if name in leaves) or None
        again, last = layer(leaves["x"], state[0] if state and len(state) == 1 else state, case.lengths)
        results = dict(zip(case.results, [again, *parts(last)], strict=True))
        case.loss(results, tg.Tensor).backward()
        agree({name: tensors[name].grad.numpy() for name in chosen}, expected, 1e-12)
        assert [name for name, tensor in tensors.items() if tensor.grad is not None and name not in chosen] == []

    @pytest.mark.parametrize("kind", KINDS)
    def test_hooks_and_retained_gradients_of_the_results(self, kind):
        case = Case(kind, DEEP, 4, 3, 2, 3, [4, 1, 2], given=True)
        expected, layer, seen = outcome_here(case), here(case), {}
        results, leaves = run(case, lambda x, state: layer(x, state, case.lengths), leaf_here)
        for name, result in results.items():
            result.retain_grad()
            result.register_hook(lambda g, name=name: seen.setdefault(name, g.numpy()) * 3.0)
        case.loss(results, tg.Tensor).backward()
        for name, weights in case.weights().items():
            np.testing.assert_array_equal(seen[name], weights)
            np.testing.assert_array_equal(results[name].grad.numpy(), weights * 3.0)
        tensors = {**dict(layer.named_parameters()), **leaves}
        found = {f"d {name}": t.grad.numpy() for name, t in tensors.items()}
        agree(found, {name: 3.0 * g for name, g in expected.items() if name.startswith("d ")}, 1e-12)

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_layer_called_twice_adds_up_its_gradients(self, kind):
        case = Case(kind, DEEP, 4, 3, 2, 3, [4, 1, 2])
        layer, once = here(case), outcome_here(case)
        losses = []
        for _ in range(2):
            results, _leaves = run(case, lambda x, state: layer(x, state, case.lengths), leaf_here)
            losses.append(case.loss(results, tg.Tensor))
        (losses[0] + losses[1]).backward()
        found = {f"d {name}": p.grad.numpy() for name, p in layer.named_parameters()}
        agree(found, {name: 2.0 * once[name] for name in found}, 1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_called_twice_gets_both_gradients(kind):
    """The walk adds the second one to the array that the first one came in: what was handed out must not change."""
    layer = getattr(tg.nn, kind)(2, 3).astype(np.float64)
    xs = [np.random.standard_normal((4, 2, 2)) for _ in range(2)]
    each = [tg.grad(layer(x)[0].sum(), list(layer.parameters())) for x in xs]
    before = [[g.numpy().copy() for g in gradients] for gradients in each]
    for x in xs:
        layer(x)[0].sum().backward()
    both = tg.grad(layer(xs[0])[0].sum() + layer(xs[1])[0].sum(), list(layer.parameters()))
    for p, g, a, b in zip(layer.parameters(), both, *before, strict=True):
        np.testing.assert_allclose(g.numpy(), a + b, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(p.grad.numpy(), a + b, rtol=1e-12, atol=1e-14)
    for gradients, copies in zip(each, before, strict=True):
        for g, copied in zip(gradients, copies, strict=True):
            np.testing.assert_array_equal(g.numpy(), copied)
