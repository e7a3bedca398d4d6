"""Recomputed stretches: ``tg.scan(checkpoint=k)`` changes memory, and no number."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn.checkpoint import checkpoint
from tinygrad_rnn.tree import leaves


def leaf(*shape, seed=0):
    return tg.Tensor(np.random.default_rng(seed).normal(size=shape), requires_grad=True)


def equal(a, b):
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(x.numpy(), y.numpy(), rtol=1e-12, atol=1e-14)


def sequence(steps=7, batch=3, size=2):
    """A nested state and inputs, and weights that the step finds in its surroundings: also the inputs themselves."""
    w, b, h, c = leaf(size, size, seed=1), leaf(size, seed=2), leaf(batch, size, seed=3), leaf(batch, size, seed=4)
    xs = leaf(steps, batch, size, seed=5)

    def step(state, x):
        new = np.tanh(x @ w + state["h"] @ w + b) * c  # c is also where the state begins
        return {"h": new, "c": state["c"] + np.sin(new)}, (new * h, state["c"])

    return step, {"h": h, "c": c}, xs, [w, b, h, c, xs]


def outcome(options, create_graph=False):
    step, init, xs, variables = sequence()
    state, ys = tg.scan(step, init, xs, **options)
    results = [y for _, y in leaves((state, ys))]
    rng = np.random.default_rng(9)
    cotangents = [rng.normal(size=y.shape) for y in results]
    return variables, results, list(tg.grad(results, variables, cotangents, create_graph=create_graph))


CASES = given(
    st.integers(1, 9),
    st.booleans(),
    st.none() | st.lists(st.integers(0, 7), min_size=3, max_size=3),
    st.sampled_from([None, 1, 2, 3]),
)


@CASES
def test_no_number_changes(every, reverse, lengths, truncate):
    options = {"reverse": reverse, "lengths": lengths, "truncate": truncate}
    _, results, gradients = outcome(options)
    _, again, gradients_again = outcome({**options, "checkpoint": every})
    equal(again, results)
    equal(gradients_again, gradients)


@CASES
def test_nor_do_second_derivatives(every, reverse, lengths, truncate):
    def second(options):
        variables, _, gradients = outcome(options, create_graph=True)
        total = sum(np.sum(np.sin(g)) for g in gradients)
        return tg.grad(total, variables)

    options = {"reverse": reverse, "lengths": lengths, "truncate": truncate}
    equal(second({**options, "checkpoint": every}), second(options))


def test_dropout_is_replayed_and_later_draws_are_not_disturbed():
    def run(every):
        tg.manual_seed(3)
        w = leaf(4, 4)

        def step(h, x):
            h = tg.functional.dropout(np.tanh(h @ w + x), 0.5)
            return h, h

        last, ys = tg.scan(step, tg.Tensor(np.zeros((2, 4))), np.ones((6, 2, 4)), checkpoint=every)
        (g,) = tg.grad((last * ys).sum(), [w])
        return g, ys, tg.functional.dropout(np.ones(50))

    for found in zip(run(None), run(2), run(4), strict=True):
        equal(found[:1] * 2, found[1:])


def test_steps_bear_their_time_and_place_in_the_second_run_too():
    seen = []
    w = leaf()

    def step(h, x):
        h = np.tanh(h * w + x)
        seen.append((h.node.path, h.node.step))
        return h, h

    with tg.scope("encoder"):
        last, _ = tg.scan(step, tg.Tensor(0.0), np.ones(4), checkpoint=2)
    first = list(seen)
    last.backward()
    assert first == [("encoder", t) for t in range(4)]
    assert seen[4:] == [("encoder", t) for t in (2, 3, 0, 1)]


def test_without_recording_nothing_is_kept():
    with tg.no_grad():
        last, ys = tg.scan(lambda h, x: (h + x, h), leaf(), np.ones(4), checkpoint=2)
    assert last.node is None
    np.testing.assert_allclose(np.diff(ys.numpy()), 1)


def test_a_graph_is_walked_twice_only_if_it_is_retained():
    step, init, xs, variables = sequence()
    state, _ = tg.scan(step, init, xs, checkpoint=3)
    loss = state["h"].sum()
    once = tg.grad(loss, variables, retain_graph=True)
    equal(tg.grad(loss, variables), once)
    with pytest.raises(RuntimeError, match="released by an earlier backward walk"):
        tg.grad(loss, variables)


def test_a_weight_that_was_updated_in_between_is_an_error():
    step, init, xs, variables = sequence()
    state, _ = tg.scan(step, init, xs, checkpoint=3)
    variables[0].data -= 0.1
    with pytest.raises(RuntimeError, match=r"checkpoint: .* was modified in place"):
        state["h"].sum().backward()


def test_a_step_that_does_not_repeat_itself_is_an_error():
    rng, w = np.random.default_rng(0), leaf()
    last, _ = tg.scan(lambda h, x: (np.tanh(h * w + rng.normal()), h), tg.Tensor(0.0), np.ones(4), checkpoint=2)
    with pytest.raises(RuntimeError, match="gave other results when it was computed again"):
        last.backward()


def test_nor_is_one_whose_sums_of_magnitudes_agree():
    signs, w = iter([1.0, -1.0, 1.0, -1.0, -1.0, 1.0, -1.0, 1.0]), leaf(2)
    _, ys = tg.scan(lambda h, x: (h, w * next(signs)), tg.Tensor(0.0), np.ones(4), checkpoint=4)
    with pytest.raises(RuntimeError, match="gave other results when it was computed again"):
        ys.sum().backward()


def test_what_a_step_keeps_for_later_is_an_error_not_a_wrong_gradient():
    w, kept = leaf(), []

    def step(h, x):
        if not kept:
            kept.append(np.tanh(w))
        return (h := kept[0] * h + x), h

    last, _ = tg.scan(step, tg.Tensor(0.5), np.ones(6), checkpoint=2)
    with pytest.raises(RuntimeError, match="none of its arguments; its gradient would be lost"):
        last.backward()


def test_the_second_run_leaves_no_graph_behind():
    def held(every):
        w = leaf(20, 20)
        _, ys = tg.scan(
            lambda h, x: ((h := np.tanh(h @ w + x)), h), np.zeros((8, 20)), np.ones((300, 8, 20)), checkpoint=every
        )
        tracemalloc.start()
        ys.sum().backward()
        found = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        return found

    assert held(20) < 200_000  # bytes; a second graph of all steps would take some 2 MB


def test_results_that_are_inputs_or_surroundings_or_constants():
    x, w = leaf(2, seed=1), leaf(2, seed=2)
    results = checkpoint(lambda a: [a, w, a * w, tg.Tensor(np.ones(2))], [x])
    assert results[3].node is None
    gx, gw = tg.grad(results[:3], [x, w], [np.ones(2), np.full(2, 10.0), np.ones(2)])
    np.testing.assert_allclose(gx.numpy(), 1 + w.numpy())
    np.testing.assert_allclose(gw.numpy(), 10 + x.numpy())


def test_hooks_of_a_weight_run_once_on_its_whole_gradient():
    step, init, xs, variables = sequence()
    state, _ = tg.scan(step, init, xs, checkpoint=2)
    seen = []
    variables[0].register_hook(lambda g: seen.append(g.copy()))
    state["h"].sum().backward()
    assert len(seen) == 1
    np.testing.assert_allclose(seen[0], variables[0].grad.numpy())


def test_y_must_keep_its_form_from_stretch_to_stretch():
    def step(h, x):
        return h, h if int(x.numpy()) < 2 else (h, h)

    with pytest.raises(ValueError, match=r"y at t=2 has structure .* as at t=0"):
        tg.scan(step, leaf(), np.arange(4), checkpoint=2)


def test_memory_grows_with_the_square_root_of_the_steps():
    def peak(steps, every):
        w, xs = leaf(50, 50), np.ones((steps, 16, 50))
        tracemalloc.start()
        last, _ = tg.scan(
            lambda h, x: (np.tanh(np.tanh(np.tanh(h @ w + x))), None), np.zeros((16, 50)), xs, checkpoint=every
        )
        last.sum().backward()
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(400, 20) < 0.25 * peak(400, None)


@pytest.mark.parametrize(("every", "error"), [(0, ValueError), (-1, ValueError), (1.5, TypeError)])
def test_bad_numbers(every, error):
    with pytest.raises(error, match="scan: expected checkpoint"):
        tg.scan(lambda h, x: (h, h), leaf(), np.ones(3), checkpoint=every)
