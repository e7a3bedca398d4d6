"""Gradients and values in the graph model, against ``backward()`` and against the arrays themselves."""

import contextlib
import dataclasses
import math
import tracemalloc
import warnings

import numpy as np
import pytest

pytest.importorskip("hypothesis", reason="property tests need the extra testing")
from drawing_programs import loops, programs, run, unroll
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from leaves import leaf

import tinygrad_rnn as tg
from tinygrad_rnn.checkpoint import checkpoint
from tinygrad_rnn.drawing.measures import SATURATED, Values, described, norm
from tinygrad_rnn.drawing.model import recorded
from tinygrad_rnn.graph import newest_first
from tinygrad_rnn.primitives import keeping_everything
from tinygrad_rnn.tensor import lift
from tinygrad_rnn.testing.strategies import recurrent_nets
from tinygrad_rnn.walk import ITEM, walk

KINDS = ("RNN", "LSTM", "GRU")


def close(found, expected):
    if found is None or expected is None:
        return found is expected
    return found == pytest.approx(expected, rel=1e-6, abs=1e-12, nan_ok=True)


def vertex_of(graph, name):
    return next(vertex for vertex in graph.vertices if name in (vertex.name, vertex.operation))


# -------------------------------------------------------------------------------------------------- gradients


def kept_by_backward(output):
    """The norm of the gradient that ``backward`` leaves at each node, by order: several results together."""
    nodes = newest_first([output.node])
    for node in nodes:
        if node.primitive is None or not isinstance(node.shape, list):
            node.note().retain = True
    output.backward(retain_graph=True)
    squares = {}
    for node in nodes:
        if node.grad is not None:
            order = node.parents[0].order if node.primitive is ITEM else node.order
            squares[order] = squares.get(order, 0.0) + float((node.grad.numpy().astype(np.float64) ** 2).sum())
    return {order: math.sqrt(square) for order, square in squares.items()}


def contributions(output):
    """The norm of what flows along each edge, by order and argument, from an observer of its own."""
    found = {}

    def observe(node, argument, gradient):
        found[node.order, argument] = math.sqrt(float((gradient.astype(np.float64) ** 2).sum()))

    walk([(output.node, np.ones(output.shape, output.dtype))], lift, observe=observe, retain_graph=True)
    return found


def assert_gradients(output):
    graph = recorded(output, gradients=True)
    flows, expected = contributions(output), kept_by_backward(output)
    for vertex in graph.vertices:
        assert close(vertex.gradient, expected.get(vertex.order))
    for edge in graph.edges:
        assert close(edge.gradient, flows.get((graph.vertices[edge.target].order, edge.argument)))


@given(programs)
def test_gradients_of_any_program_are_what_backward_keeps(program):
    assert_gradients(np.tanh(run(program)).sum())


@given(loops)
def test_gradients_of_any_loop_are_what_backward_keeps(loop):
    assert_gradients(np.tanh(unroll(loop)).sum())


def measured(graph):
    return [v.gradient for v in graph.vertices], [e.gradient for e in graph.edges]


@given(recurrent_nets(["RNN", "LSTM", "GRU", "leaky", "gated"], max_steps=4))
def test_gradients_in_an_expanded_layer_are_those_of_the_unrolled_one(net):
    loss = net(*net.inputs)
    graph = recorded(loss, gradients=True)
    with tg.unrolled(), keeping_everything():
        truth = net(*net.inputs)
    flows, kept = contributions(truth), kept_by_backward(truth)
    same = recorded(truth)
    assert len(same.vertices) == len(graph.vertices)
    for vertex, other in zip(graph.vertices, same.vertices, strict=True):
        assert close(vertex.gradient, kept.get(other.order)), vertex.where
    for edge, other in zip(graph.edges, same.edges, strict=True):
        assert close(edge.gradient, flows.get((same.vertices[other.target].order, other.argument)))
    net.zero_grad()
    loss.backward()
    for parameter in net.parameters():
        found = [v.gradient for v in graph.vertices if v.order == parameter.node.order]
        expected = None if parameter.grad is None else float(np.linalg.norm(parameter.grad.numpy().ravel()))
        assert close(found[0] if found else None, expected)


@pytest.mark.parametrize("options", [{}, {"checkpoint": 2}, {"truncate": 2}, {"checkpoint": 3, "truncate": 2}])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_with_layers_on_one_another_and_lengths(kind, options):
    layer = getattr(tg.nn, kind)(2, 3, num_layers=2, bidirectional=True, learn_initial_state=True, **options)
    layer.astype(np.float64)
    x = leaf(np.linspace(-1, 1, 20).reshape(5, 2, 2))

    def compute():
        output, last = layer(x, None, [5, 3])
        return (output * output).sum() + (last[0] if kind == "LSTM" else last)[1].sum()

    graph = recorded(compute(), gradients=True)
    with tg.unrolled(), keeping_everything():
        truth = recorded(compute(), gradients=True)
    for found, expected in zip(measured(graph), measured(truth), strict=True):
        assert all(map(close, found, expected))
    assert None not in measured(graph)[1]


def test_shares_of_the_steps_add_up_to_the_gradient_of_a_shared_weight():
    """Everything here is positive, so the norms of one-number shares add up as the shares do."""
    w, x = leaf(0.9, name="w"), leaf(np.ones(6))
    last, _ = tg.scan(lambda h, x: (w * h + x,) * 2, leaf(1.0), x, checkpoint=2)
    graph = recorded(last, gradients=True)
    place = next(i for i, vertex in enumerate(graph.vertices) if vertex.name == "w")
    shares = {graph.vertices[e.target].step: e.gradient for e in graph.edges if e.source == place}
    states = [1.0]
    for _ in range(6):
        states.append(0.9 * states[-1] + 1)
    assert shares == pytest.approx({t: states[t] * 0.9 ** (5 - t) for t in range(6)})
    last.backward()
    assert sum(shares.values()) == pytest.approx(w.grad.item())
    assert vertex_of(graph, "w").gradient == pytest.approx(w.grad.item())


@pytest.mark.parametrize("every", [1, 2, 5])
def test_gradients_in_a_checkpointed_scan_that_uses_a_tensor_and_what_is_made_from_it(every):
    """The walk over a stretch ends at what is older, though from the one it would get to the other."""

    def compute():
        b, h = leaf(np.full((2, 2), 0.3), name="b"), leaf(np.ones((2, 2)), name="h")
        scale = np.tanh(b)
        step = lambda h, x: (np.tanh(h @ b) * scale + x,) * 2  # noqa: E731
        last, ys = tg.scan(step, h, np.ones((5, 2, 2)), checkpoint=every)
        return (last * b).sum() + ys.sum()

    graph = recorded(compute(), gradients=True)
    with keeping_everything():
        truth = compute()
    flows, kept, same = contributions(truth), kept_by_backward(truth), recorded(truth)
    for vertex, other in zip(graph.vertices, same.vertices, strict=True):
        assert close(vertex.gradient, kept.get(other.order)), vertex.where
    for edge, other in zip(graph.edges, same.edges, strict=True):
        assert close(edge.gradient, flows.get((same.vertices[other.target].order, other.argument)))


def test_no_more_gradients_are_held_than_a_walk_holds():
    h = leaf(np.ones(100_000))
    for _ in range(60):
        h = np.tanh(h)
    loss = h.sum()
    tracemalloc.start()
    try:
        recorded(loss, gradients=True)
        assert tracemalloc.get_traced_memory()[1] < 12 * 800_000
    finally:
        tracemalloc.stop()


def test_gradient_vanishes_step_by_step():
    """d h_T / d h_t = w^(T-t): finite differences of it would say so too."""
    w = leaf(0.5, name="w")
    last, _ = tg.scan(lambda h, _: (w * h,) * 2, leaf(1.0), None, length=8, checkpoint=4)
    graph = recorded(last, gradients=True)
    found = {v.step: v.gradient for v in graph.vertices if v.operation == "multiply"}
    assert found == pytest.approx({t: 0.5 ** (7 - t) for t in range(8)})


def test_gradient_of_several_results_is_that_of_all_together():
    x = leaf(np.arange(6.0))
    upper, middle, _ = np.split(x, 3)
    graph = recorded((upper * 3 + middle * 4).sum(), gradients=True)
    split = vertex_of(graph, "split")
    assert split.gradient == pytest.approx(math.sqrt(2 * 9 + 2 * 16))
    assert graph.vertices[0].gradient == pytest.approx(split.gradient)


def test_one_tensor_as_both_arguments_has_two_shares():
    x = leaf([2.0, 1.0])
    graph = recorded((x * x).sum(), gradients=True)
    assert [e.gradient for e in graph.edges] == pytest.approx([math.sqrt(5), math.sqrt(5), math.sqrt(2)])
    assert graph.vertices[0].gradient == pytest.approx(2 * math.sqrt(5))


def test_share_is_that_of_the_argument_before_it_was_broadcast():
    bias = leaf(1.0, name="bias")
    graph = recorded((leaf(np.zeros(9)) + bias).sum(), gradients=True)
    assert vertex_of(graph, "bias").gradient == 9.0
    assert [e.gradient for e in graph.edges] == [3.0, 9.0, 3.0]


def test_leaf_drawn_by_itself():
    graph = recorded(leaf(2.0), gradients=True, values=True)
    assert graph.vertices[0].gradient == 1.0
    assert graph.vertices[0].values == Values(2.0, 0.0, 2.0, 2.0)


def test_nothing_is_measured_unasked():
    graph = recorded(np.tanh(leaf([1.0, 2.0])))
    assert measured(graph) == ([None, None], [None])
    assert [vertex.values for vertex in graph.vertices] == [None, None]


def test_where_nothing_flows_there_is_no_number():
    """A branch whose rule has no gradient is no edge at all; a gradient of 0 is one."""
    x = leaf([1.0, -1.0])
    graph = recorded((tg.functional.binary_threshold(x) * 2).sum(), gradients=True)
    assert [vertex.gradient for vertex in graph.vertices] == pytest.approx([0.0, 2 * math.sqrt(2), math.sqrt(2), 1.0])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_shows(bad):
    x = leaf([1.0, 2.0])
    graph = recorded((x * np.array([bad, 1.0])).sum(), gradients=True)
    found = graph.vertices[0].gradient
    assert math.isnan(found) if math.isnan(bad) else found == math.inf
    assert graph.vertices[-1].gradient == 1.0


@given(arrays(np.float64, st.integers(0, 8), elements=st.floats(-1e3, 1e3)), st.sampled_from([1e-300, 1.0, 1e300]))
def test_norm_neither_overflows_nor_underflows(x, scale):
    expected = math.sqrt(math.fsum(value * value for value in x.tolist()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tiny = np.abs(x).max(initial=0.0) < 1e-3
        if not tiny:
            assert norm(x * scale) / scale == pytest.approx(expected, rel=1e-12)
        assert norm(x.astype(np.float16)) >= 0


def test_norm_of_special_numbers():
    assert norm(np.zeros((0, 3))) == 0.0
    assert norm(np.array(-3.0)) == 3.0
    assert norm([np.inf, 1.0]) == math.inf
    assert math.isnan(norm([np.nan, np.inf]))
    assert norm(np.full(4, 1e308)) == math.inf  # 2e308 is too large itself
    assert norm(np.array([5e-324])) == 5e-324
    assert norm(np.full(4, 200.0, np.float16)) == 400.0


# ------------------------------------------------------------------------------- gradients: hooks, errors, no trace


def test_hooks_run_and_what_they_answer_counts():
    x, seen = leaf([3.0, 4.0], name="x"), []
    y = x * 1
    x.register_hook(lambda g: g * 10)
    y.register_hook(lambda g: seen.append(g.numpy().copy()))
    y.register_hook(lambda g: g * 2)
    loss = y.sum()
    graph = recorded(loss, gradients=True)
    assert len(seen) == 1
    assert vertex_of(graph, "multiply").gradient == pytest.approx(2 * math.sqrt(2))
    assert vertex_of(graph, "x").gradient == pytest.approx(20 * math.sqrt(2))
    assert graph.edges[0].gradient == pytest.approx(2 * math.sqrt(2))
    loss.backward()
    assert float(np.linalg.norm(x.grad.numpy())) == pytest.approx(20 * math.sqrt(2))


@pytest.mark.parametrize("checkpoint", [None, 2])
def test_hook_of_a_layers_result_counts_within_the_layer(checkpoint):
    layer = tg.nn.RNN(2, 3, checkpoint=checkpoint).astype(np.float64)
    found = []
    for scale in (1.0, 10.0):
        output, _ = layer(np.ones((4, 1, 2)))
        output.register_hook(lambda g, scale=scale: g * scale)
        loss = output.sum()
        found.append(recorded(loss, gradients=True))
        layer.zero_grad()
        loss.backward()
        assert vertex_of(found[-1], "tanh").gradient
        kept = [float(np.linalg.norm(p.grad.numpy())) for p in layer.parameters()]
        drawn = {v.order: v.gradient for v in found[-1].vertices}
        assert [drawn[p.node.order] for p in layer.parameters()] == pytest.approx(kept)
    for one, ten in zip(found[0].vertices, found[1].vertices, strict=True):
        factor = 1 if one.operation == "sum" else 10
        assert ten.gradient == pytest.approx(factor * one.gradient)


def test_result_of_several_with_a_hook():
    upper, lower = np.split(leaf(np.ones(2)), 2)
    lower.register_hook(lambda g: g * 4)
    graph = recorded((upper * 3 + lower).sum(), gradients=True)
    assert vertex_of(graph, "split").gradient == pytest.approx(5.0)


def test_graph_can_be_walked_again_and_no_grad_changes():
    layer = tg.nn.GRU(2, 3, num_layers=2, checkpoint=2)
    x = tg.Tensor(np.ones((3, 2, 2), np.float32), requires_grad=True)
    x.grad = tg.Tensor(np.ones(x.shape, np.float32))
    before = x.grad
    loss = layer(x)[0].sum()
    first = recorded(loss, gradients=True)
    assert measured(recorded(loss, gradients=True)) == measured(first)
    assert x.grad is before
    assert np.array_equal(before.numpy(), np.ones(x.shape))
    assert all(parameter.grad is None for parameter in layer.parameters())
    retained = x * 1
    retained.retain_grad()
    recorded(retained.sum(), gradients=True)
    assert retained.grad is None
    loss.backward()


def test_gradients_need_a_scalar_and_a_graph():
    y = leaf([1.0, 2.0]) * 2
    with pytest.raises(RuntimeError, match=r"draw: expected a scalar .* got shape \(2,\) \(multiply\)"):
        recorded(y, gradients=True)
    loss = y.sum()
    loss.backward()
    with pytest.raises(RuntimeError, match="released by an earlier backward walk"):
        recorded(loss, gradients=True)
    layer = tg.nn.LSTM(2, 3)
    loss = layer(np.ones((2, 1, 2), np.float32))[0].sum()
    loss.backward()
    with pytest.raises(RuntimeError, match="released by an earlier backward walk"):
        recorded(loss, gradients=True)


# ----------------------------------------------------------------------------------------------------- values


def truth_of(output, positions):
    """What the numbers of every vertex are like, in a graph that has kept everything."""
    known = {output.node.order: output.numpy()}
    for node in newest_first([output.node]):
        for value, parent in zip(
            [v for a in node.args for v in (a if isinstance(a, list) else [a])], node.parents, strict=True
        ):
            if parent is not None and node.primitive is not ITEM:
                known[parent.order] = np.asarray(value)
        if isinstance(node.y, np.ndarray):
            known[node.order] = node.y
        elif isinstance(node.y, list):
            known[node.order] = np.concatenate([np.ravel(part) for part in node.y])
    return [known[order] for order in positions]


def assert_values(graph, truth, output):
    """What is said of values is true; returns the vertices of which nothing is said."""
    unknown = []
    expected = truth_of(output, [vertex.order for vertex in truth.vertices])
    for i, (vertex, y) in enumerate(zip(graph.vertices, expected, strict=True)):
        if vertex.values is None:
            unknown.append(i)
            continue
        found = vertex.values
        numbers = (found.mean, found.std, found.smallest, found.largest)
        assert numbers == pytest.approx((y.mean(), y.std(), y.min(), y.max()), rel=1e-5, abs=1e-6)
        assert (found.saturated is None) == (vertex.operation not in ("tanh", "sigmoid", "relu"))
    return unknown


@given(programs | loops)
def test_values_of_any_program_are_those_of_its_arrays(program):
    compute = run if isinstance(program, list) else unroll
    with keeping_everything():
        truth = compute(program)
    output = compute(program)
    graph = recorded(output, values=True)
    unknown = {graph.vertices[i].order for i in assert_values(graph, recorded(truth), truth)}
    needed = {graph.vertices[graph.output[0]].order}
    for i, vertex in enumerate(graph.vertices):
        arguments = [graph.vertices[edge.source] for edge in graph.edges if edge.target == i]
        if vertex.operation == "tanh":
            needed.add(vertex.order)  # its rule keeps the result
        elif vertex.operation in ("multiply", "matmul") and len(arguments) == 2:  # their rules keep both arguments
            needed.update(argument.order for argument in arguments if argument.operation != "split")
    assert not needed & unknown


@given(recurrent_nets(["RNN", "LSTM", "GRU"], max_steps=4))
def test_in_an_expanded_layer_every_value_is_known(net):
    with tg.unrolled(), keeping_everything():
        truth = net(*net.inputs)
    graph = recorded(net(*net.inputs), values=True)
    unknown = assert_values(graph, recorded(truth), truth)
    assert not [i for i in unknown if graph.vertices[i].step is not None]


def values_by_name(output):
    return {vertex.name or vertex.operation: vertex.values for vertex in recorded(output, values=True).vertices}


def test_where_values_come_from():
    x, w, b = leaf([1.0, 2.0], name="x"), leaf([3.0, 4.0], name="w"), leaf([5.0, 6.0], name="b")
    found = values_by_name(np.tanh(x * w + b))
    assert found["x"].mean == 1.5  # its user has kept it
    assert found["multiply"].mean == 5.5  # computed again
    assert found["b"] is None  # nothing needs it
    assert found["add"] is None  # nor this, and it cannot be computed without b
    assert found["tanh"].mean == pytest.approx(1.0)  # the output itself
    y = np.tanh(b)
    assert values_by_name((y * 1).sum())["tanh"].largest == pytest.approx(math.tanh(6.0))  # its rule has kept it


def test_constants_that_were_not_kept_are_not_guessed():
    x = leaf([1.0, 2.0])
    found = values_by_name(np.tanh(np.sin(x) + 1) * 1)
    assert found["sin"].mean == pytest.approx((math.sin(1) + math.sin(2)) / 2)
    assert found["add"] is None

    @tg.primitive
    def shifted(x, by=None):
        return x if by is None else x + by

    tg.defvjp(shifted, lambda g, _y, _x, _by=None: g, lambda g, _y, _x, _by=None: g)
    assert values_by_name(np.tanh(shifted(np.sin(x), 1.0)) * 1)["shifted"] is None
    assert values_by_name((np.sin(x)[None] * 1).sum())["getitem"] is not None  # None is the argument here


def test_several_results_are_described_together():
    x = leaf(np.arange(6.0))
    upper, lower = np.split(x * 1, 2)
    graph = recorded(np.sin(upper).sum() + np.sin(lower).sum(), values=True)
    assert vertex_of(graph, "split").values == described([np.arange(6.0)], None)


def test_released_graph_tells_what_is_left():
    loss = np.tanh(leaf([1.0, 2.0])).sum()
    loss.backward()
    assert [vertex.values is None for vertex in recorded(loss, values=True).vertices] == [True, True, False]


def test_arrays_written_into_since_are_not_taken_for_what_was():
    w, x = leaf([1.0, 2.0], name="w"), leaf([3.0, 4.0], name="x")
    loss = np.sin(x * w).sum()
    assert values_by_name(loss)["w"].mean == 1.5
    with tg.no_grad():
        w += 1
    found = values_by_name(loss)
    assert found["w"] is None
    assert found["x"].mean == 3.5
    assert found["multiply"].mean == 5.5  # sin has kept it: as it was


def test_result_written_into_since_is_not_taken_for_what_was():
    y = np.tanh(leaf([1.0, 2.0]))
    loss = y.sum()
    assert values_by_name(loss)["tanh"] is not None
    y.data += 1
    assert values_by_name(loss)["tanh"] is None


def test_what_a_stretch_found_outside_is_known_from_it():
    x, w = leaf([1.0, 2.0], name="x"), leaf([3.0, 5.0], name="w")
    (y,) = checkpoint(lambda x: [np.tanh(x * w)], [x])
    found = values_by_name(y)
    assert (found["x"].mean, found["w"].mean) == (1.5, 4.0)
    assert found["checkpoint"].largest == pytest.approx(1.0)


def test_computing_again_does_not_use_what_was_written_into_since():
    w, x = leaf([1.0, 2.0], name="w"), leaf([3.0, 4.0], name="x")
    loss = np.tanh(x * w).sum()
    with tg.no_grad():
        w += 1
    found = values_by_name(loss)
    assert found["multiply"] is None
    assert found["tanh"].largest == pytest.approx(math.tanh(8.0))


def test_a_function_of_a_users_own_is_not_called_again():
    """It may give something else, a random number, or have side effects."""
    calls = []

    @tg.primitive
    def noisy(x):
        calls.append(1)
        return x * len(calls)

    tg.defvjp(noisy, lambda g, _y, x: g * 2 + 0 * x)
    assert values_by_name(np.tanh(noisy(leaf([1.0]))))["noisy"] is None
    assert len(calls) == 1


@pytest.mark.parametrize("unrolled", [False, True])
def test_a_checkpoint_whose_weights_have_changed_since_shows_no_others(unrolled):
    layer = tg.nn.RNN(2, 2, checkpoint=1, bias=False)
    with tg.unrolled() if unrolled else contextlib.nullcontext():
        output, _ = layer(np.ones((2, 1, 2), np.float32))
    loss = output.sum()
    layer.weight_hh_l0.data += 50.0
    (weight,) = (vertex for vertex in recorded(loss, values=True).vertices if vertex.name == "weight_hh_l0")
    assert weight.values is None


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("layers", [1, 2])
def test_a_layer_whose_weights_have_changed_since_is_not_computed_anew(kind, layers):
    """What its steps computed is not known any more; what was kept outside of it is."""
    layer = getattr(tg.nn, kind)(3, 2, num_layers=layers)
    output, _ = layer(np.ones((3, 1, 3), np.float32))
    loss = (output * output).sum()
    before = recorded(loss, values=True).vertices
    with tg.no_grad():
        for weight in layer.parameters():
            weight.data += 10.0
    after = recorded(loss, values=True).vertices
    assert {vertex.where for vertex in after if vertex.values is not None} >= {"multiply", "sum"}
    for one, other in zip(before, after, strict=True):
        assert one.values is not None
        assert one.where == other.where
        if other.values is not None:
            assert dataclasses.astuple(other.values)[:4] == pytest.approx(dataclasses.astuple(one.values)[:4], rel=1e-5)
    assert not [vertex for vertex in after if vertex.step is not None and vertex.values is not None]


@pytest.mark.parametrize(
    ("operation", "y", "share"),
    [
        ("tanh", [0.971, -0.971, 0.969, 0.0], 0.5),
        ("sigmoid", [0.029, 0.971, 0.031, 0.969], 0.5),
        ("relu", [0.0, 0.0, 0.0, 1e-9], 0.75),
        ("multiply", [0.0, 1.0], None),
        (None, [0.0, 1.0], None),
        ("tanh", [np.nan, 1.0], 0.5),
    ],
)
def test_share_of_saturated_units(operation, y, share):
    assert SATURATED == 0.97
    assert described([np.array(y)], operation).saturated == share


def test_saturated_gates_in_a_layer():
    layer = tg.nn.LSTM(1, 2)
    layer.bias_ih_l0.data = np.array([0, 0, 9, -9, 9, 9, 0, 0], np.float32)
    found = recorded(layer(np.zeros((2, 1, 1), np.float32))[0].sum(), values=True)
    shares = [v.values.saturated for v in found.vertices if v.step == 0 and v.operation in ("tanh", "sigmoid")]
    assert sorted(shares) == [0.0, 0.0, 0.0, 1.0, 1.0]


@pytest.mark.parametrize("dtype", [np.int64, np.bool_, np.float16, np.float32])
def test_described_of_any_dtype(dtype):
    y = np.array([0, 1, 1, 0, 1], dtype)
    assert described([y], None) == described([y.astype(np.float64)], None)


def test_described_without_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for y in ([], [np.nan, 1.0], [np.inf, -np.inf], [1e308, -1e308, 1e308]):
            found = described([np.array(y)], "tanh")
            assert math.isnan(found.mean) or y[0] == 1e308
        found = described([np.zeros((0, 3)), np.zeros(0)], "relu")
        assert all(map(math.isnan, (found.mean, found.std, found.smallest, found.largest, found.saturated)))
        assert described([np.full(70000, 2.0, np.float16)], None).mean == 2.0
        assert recorded(np.tanh(leaf(np.zeros((0, 2)))), values=True).vertices[1].values.saturated is not None
