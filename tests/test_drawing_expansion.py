"""Layers and checkpoints in the graph model: what stands there is what an unrolled net would have recorded."""

import gc
from collections import Counter

import numpy as np
import pytest

pytest.importorskip("hypothesis", reason="property tests need the extra testing")
from hypothesis import example, given
from hypothesis import strategies as st
from leaves import leaf

import tinygrad_rnn as tg
from tinygrad_rnn.checkpoint import checkpoint
from tinygrad_rnn.context import generator
from tinygrad_rnn.drawing.model import recorded
from tinygrad_rnn.graph import Node, newest_first
from tinygrad_rnn.nn.fused import fused
from tinygrad_rnn.nn.kinds import ELMAN, Weights
from tinygrad_rnn.primitives import keeping_everything
from tinygrad_rnn.testing.strategies import recurrent_nets

KINDS = ("RNN", "LSTM", "GRU")
FUSED = {"rnn_tanh", "rnn_relu", "lstm", "gru", "checkpoint"}


def structure(graph):
    """All of a graph but the order numbers."""
    vertices = [(v.operation, v.name, v.shape, v.dtype, v.path, v.step, v.where) for v in graph.vertices]
    edges = [(e.source, e.target, e.argument, e.result, e.name) for e in graph.edges]
    return vertices, edges, graph.output


def operations(graph):
    return [vertex.operation for vertex in graph.vertices]


def assert_topological(graph):
    assert all(edge.source < edge.target for edge in graph.edges)
    assert len({vertex.order for vertex in graph.vertices}) == len(graph.vertices)
    used = {edge.source for edge in graph.edges} | {graph.output[0]}
    assert used == set(range(len(graph.vertices)))


def assert_as_unrolled(compute):
    """``compute`` twice, once with every operation recorded by the net itself: nothing is left to be expanded.

    Inside ``keeping_everything`` a checkpoint runs its stretch plainly.
    """
    tg.manual_seed(1)
    output = compute()
    tg.manual_seed(1)
    with tg.unrolled(), keeping_everything():
        truth = compute()
    graph = recorded(output)
    assert_topological(graph)
    if truth.node is None:  # a fused layer gives a gradient of 0 where the unrolled one gives none
        assert FUSED & set(operations(graph))
        return
    assert not FUSED & {node.primitive.name for node in newest_first([truth.node]) if node.primitive is not None}
    assert structure(graph) == structure(recorded(truth))


# --------------------------------------------------------------------------------------------- layers, exactly


@st.composite
def layer_calls(draw):
    """A layer with any options, some of its parameters frozen, and what it is called with."""
    kind = draw(st.sampled_from(KINDS))
    number = st.none() | st.integers(1, 4)
    options = {
        "num_layers": draw(st.integers(1, 3)),
        "bias": draw(st.booleans()),
        "batch_first": draw(st.booleans()),
        "bidirectional": draw(st.booleans()),
        "learn_initial_state": draw(st.booleans()),
        "checkpoint": draw(number),
        "truncate": draw(number),
    }
    if options["num_layers"] > 1:
        options["dropout"] = draw(st.sampled_from((0.0, 0.4)))
    if kind == "RNN":
        options["nonlinearity"] = draw(st.sampled_from(("tanh", "relu")))
    steps, batch = draw(st.integers(1, 5)), draw(st.none() | st.integers(1, 3))
    lengths = None
    if batch is not None and draw(st.booleans()):
        lengths = draw(st.lists(st.integers(0, steps), min_size=batch, max_size=batch))
    return {
        "kind": kind,
        "options": options,
        "steps": steps,
        "batch": batch,
        "lengths": lengths,
        "input_learns": draw(st.booleans()),
        "state": draw(st.sampled_from((None, "constant", "leaf"))),
        "frozen": draw(st.sets(st.integers(0, 5))),
        "used": draw(st.sampled_from(("output", "last", "memory", "all", "one step", "result"))),
        "named": draw(st.booleans()),
        "step": draw(st.sampled_from((None, 0, 3))),
    }


def called(call):
    """A function that calls the layer and returns what is used of its results."""
    kind, options, steps, batch = call["kind"], call["options"], call["steps"], call["batch"]
    layer = getattr(tg.nn, kind)(2, 3, **options)
    for i, parameter in enumerate(layer.parameters()):
        parameter.requires_grad = i % 6 not in call["frozen"]
    outer = (steps,) if batch is None else (batch, steps) if options["batch_first"] else (steps, batch)
    x = tg.Tensor(np.ones((*outer, 2), np.float32), requires_grad=call["input_learns"], name="x")
    state = None
    if call["state"] is not None:
        directions = options["num_layers"] * (2 if options["bidirectional"] else 1)
        shape = (directions, 3) if batch is None else (directions, batch, 3)
        parts = [tg.Tensor(np.ones(shape, np.float32), requires_grad=call["state"] == "leaf") for _ in range(2)]
        state = tuple(parts) if kind == "LSTM" else parts[0]

    def compute():
        with tg.scope("net", step=call["step"]):
            output, last = layer(x * 2, state, call["lengths"])
        h, c = last if kind == "LSTM" else (last, last)
        if call["named"]:
            output.name, h.name, c.name = "output", "h_n", "c_n"
        used = call["used"]
        if used == "result":
            return output
        if used == "all":
            return output.sum() + h.sum() + (c * 2).sum()
        return {"output": output, "last": h, "memory": c, "one step": output[0]}[used].sum()

    return compute


PLAIN = {
    "num_layers": 1, "bias": True, "batch_first": False, "bidirectional": False, "learn_initial_state": False,
    "checkpoint": None, "truncate": None,
}  # fmt: skip
CALL = {
    "kind": "LSTM", "options": PLAIN, "steps": 3, "batch": 2, "lengths": None, "input_learns": True, "state": "leaf",
    "frozen": set(), "used": "output", "named": False, "step": None,
}  # fmt: skip
DEEP = {"num_layers": 2, "bidirectional": True, "learn_initial_state": True, "batch_first": True}
CUT = {**PLAIN, "truncate": 1, "checkpoint": 1}
ALL = set(range(6))


@given(layer_calls())
@example({**CALL, "used": "all", "named": True})
@example({**CALL, "kind": "GRU", "options": {**PLAIN, **DEEP, "checkpoint": 2, "truncate": 3}, "lengths": [3, 0]})
@example({**CALL, "kind": "RNN", "options": {**PLAIN, "bias": False}, "steps": 1, "step": 0})  # that very step
@example({**CALL, "kind": "RNN", "options": {**PLAIN, "checkpoint": 1}, "steps": 1, "step": 0})
@example({**CALL, "options": {**PLAIN, "truncate": 1}, "frozen": ALL, "input_learns": False, "used": "all"})
@example({**CALL, "options": {**PLAIN, "truncate": 1}, "frozen": ALL, "input_learns": False, "used": "memory"})
@example({**CALL, "options": {**PLAIN, "truncate": 1, "checkpoint": 2}, "frozen": ALL, "input_learns": False})
@example(
    {**CALL, "options": {**CUT, "bidirectional": True}, "frozen": {0, 1, 2, 3}, "input_learns": False, "used": "last"}
)
def test_any_layer_is_drawn_as_the_unrolled_one(call):
    if not call["input_learns"] and call["state"] != "leaf" and call["frozen"] == ALL:
        return  # there is no graph
    compute = called(call)
    if compute().node is not None:
        assert_as_unrolled(compute)


@given(recurrent_nets(["RNN", "LSTM", "GRU", "leaky", "gated"], max_steps=4))
def test_any_recurrent_net_is_drawn_as_the_unrolled_one(net):
    assert_as_unrolled(lambda: net(*net.inputs))


@given(
    st.sampled_from(KINDS),
    st.integers(1, 2),
    st.booleans(),
    st.booleans(),
    st.none() | st.integers(1, 3),
    st.none() | st.tuples(st.integers(0, 4), st.integers(1, 4)),
)
def test_encoder_decoder_and_both_are_drawn_unrolled(cell, layers, bidirectional, batch_first, every, lengths):
    options = {"cell": cell, "num_layers": layers, "batch_first": batch_first, "checkpoint": every}
    encoder = tg.nn.Encoder(7, 2, 3, bidirectional=bidirectional, **options)
    decoder = tg.nn.Decoder(6, 2, 6 if bidirectional else 3, **options)
    model = tg.nn.Seq2Seq(encoder, decoder, end_token=0)
    source, target = np.arange(8).reshape(4, 2) % 7, np.arange(10).reshape(5, 2) % 6
    if batch_first:
        source, target = source.T, target.T
    more = () if lengths is None else (lengths, lengths)
    assert_as_unrolled(lambda: model.loss(source, target, *more))
    assert_as_unrolled(lambda: np.tanh(encoder(source, *more[:1])[0]))
    assert_as_unrolled(lambda: np.tanh(decoder(target, None, *more[:1])[0]))
    if not bidirectional:
        assert_as_unrolled(lambda: tg.functional.cross_entropy(model(source, target), target, axis=-1))


@pytest.mark.parametrize("checkpoint", [None, 1])
def test_layer_called_token_by_token_is_expanded_in_every_step(checkpoint):
    """Its own step is 0 each time, also in step 0 of the loop around it."""
    layer = tg.nn.GRU(2, 3, checkpoint=checkpoint)

    def compute():
        state = None
        for t in range(3):
            with tg.scope("decoder", step=t):
                y, state = layer(np.ones((1, 2, 2), np.float32), state)
        return y.sum()

    assert_as_unrolled(compute)
    assert "gru" not in operations(recorded(compute()))


# ----------------------------------------------------------------------------------- checkpoints, and all together


def loop(steps=7, **options):
    """A scan with a nested state, part of which no step changes, and a tensor that each step finds outside."""
    w, b, h, c = (leaf(np.full((2, 2), 0.3), name=name) for name in "wbhc")
    xs = leaf(np.linspace(-1, 1, steps * 4).reshape(steps, 2, 2), name="xs")
    scale = np.tanh(b)

    def step(state, x):
        with tg.scope("cell"):
            new = tg.functional.dropout(np.tanh(x @ w + state["h"] @ w), 0.3) * scale + h
        return {"h": new, "c": state["c"]}, (new * state["c"], state["h"])

    state, ys = tg.scan(step, {"h": h, "c": c}, xs, **options)
    return state["h"].sum() + (state["c"] * 3).sum() + ys[0].sum() + ys[1].sum()


LOOPS = given(
    st.integers(1, 8), st.booleans(), st.none() | st.lists(st.integers(0, 7), min_size=2, max_size=2),
    st.none() | st.integers(1, 3),
)  # fmt: skip


@LOOPS
@example(2, False, None, None)
@example(3, True, [7, 0], 2)
def test_checkpointed_scan_is_drawn_as_one_that_keeps_everything(every, reverse, lengths, truncate):
    """Slices of ``xs`` and pieces of ``ys`` are the same, too."""
    options = {"checkpoint": every, "reverse": reverse, "lengths": lengths, "truncate": truncate}
    assert_as_unrolled(lambda: loop(**options))


@LOOPS
def test_steps_of_a_checkpointed_scan_are_those_of_the_scan_without(every, reverse, lengths, truncate):
    """Compared is what happens in time, and between it and the leaves: not how xs are cut up and ys put together.

    A checkpoint takes its slice of ``xs`` first, and stacks the ``ys`` of each stretch.
    """

    def in_time(graph):
        place = {i: n for n, i in enumerate(i for i, v in enumerate(graph.vertices) if v.step is not None)}
        edges = [
            (place.get(e.source, graph.vertices[e.source].name), place[e.target], e.argument, e.result)
            for e in graph.edges
            if e.target in place and (e.source in place or graph.vertices[e.source].name not in (None, "xs"))
        ]
        vertices = [
            (v.operation, v.name, v.shape, v.dtype, v.path, v.step) for v in graph.vertices if v.step is not None
        ]
        return vertices, edges

    options = {"reverse": reverse, "lengths": lengths, "truncate": truncate}
    assert in_time(recorded(loop(**options, checkpoint=every))) == in_time(recorded(loop(**options)))


def test_name_of_a_result_goes_to_what_computes_it():
    w = leaf(0.5, name="w")
    last, ys = tg.scan(lambda h, x: (np.tanh(h * w + x),) * 2, leaf(0.1), np.ones(4), checkpoint=4)
    last.name, ys.name = "last", "ys"
    graph = recorded(last + ys.sum())
    assert [(v.name, v.operation, v.step) for v in graph.vertices if v.name] == [
        ("w", None, None),
        ("last", "tanh", 3),
        ("ys", "concatenate", None),
    ]
    h, y = leaf(np.ones(2)), leaf(np.ones(4))
    first, second = checkpoint(lambda h: stepped(lambda: np.split(h, 2)), [y * 2])
    second.name = "second"
    graph = recorded((first + second + h[:1]).sum())
    assert [edge.name for edge in graph.edges if edge.name] == ["second"]


def stepped(compute, t=5):
    with tg.scope(step=t):
        return compute()


def test_layer_in_a_checkpointed_scan_in_a_checkpointed_scan():
    layer = tg.nn.LSTM(2, 2, num_layers=2, checkpoint=2)
    words = np.ones((2, 3, 1, 2), np.float32)

    def compute(every):
        def word(h, x):
            _, (h_n, _) = layer(x, (np.stack([h, h]), np.stack([h, h])))
            return h_n[0] + h, h

        def text(h, xs):
            return tg.scan(word, h, xs[None], checkpoint=every)

        last, ys = tg.scan(text, tg.Tensor(np.ones((1, 2), np.float32), requires_grad=True), words, checkpoint=every)
        return last.sum() + ys.sum()

    assert_as_unrolled(lambda: compute(1))
    assert_as_unrolled(lambda: compute(None))


def test_result_that_is_an_argument_or_older_makes_an_edge_past_the_checkpoint():
    a, b, w = leaf(1.0, name="a"), leaf(2.0, name="b"), leaf(3.0, name="w")
    outside = w * 2

    def stretch(x, y):
        with tg.scope(step=3):
            return [y, x * y, outside, x, tg.Tensor(1.0)]

    y, product, older, x, constant = checkpoint(stretch, [a * 2, b * 3])
    assert not constant.requires_grad
    graph = recorded(y + older * x)
    assert operations(graph) == [None, None, None, "multiply", "multiply", "multiply", "multiply", "add"]
    names = {edge.source for edge in graph.edges if edge.target == 7}
    assert names == {5, 6}
    graph = recorded(product)
    assert [(v.operation, v.step) for v in graph.vertices][-1] == ("multiply", 3)
    graph = recorded(y)
    assert [v.operation or v.name for v in graph.vertices] == ["b", "multiply"]


def test_argument_passed_through_checkpoints_in_checkpoints():
    def nested(depth, x, y):
        if not depth:
            return stepped(lambda: [x, np.tanh(y)])
        return checkpoint(lambda x, y: nested(depth - 1, x, y), [x, y])

    for depth in range(5):
        x, y = leaf(1.0, name="x"), leaf(2.0, name="y")
        graph = recorded(np.multiply(*nested(depth, x * 3, y)))
        assert [v.operation or v.name for v in graph.vertices] == ["x", "y", "multiply", "tanh", "multiply"]
        assert [(e.source, e.target) for e in graph.edges] == [(0, 2), (1, 3), (2, 4), (3, 4)]
        assert_topological(graph)


def test_chain_of_arguments_passed_through_takes_linear_time_and_no_recursion():
    constant = leaf(0.5, name="constant")
    h = leaf(1.0)
    for t in range(1500):
        h, constant = checkpoint(lambda h, c, t=t: [stepped(lambda: np.tanh(h * c), t), c], [h, constant])
    graph = recorded(h + constant)
    assert len(graph.vertices) == 3003
    shared = next(i for i, v in enumerate(graph.vertices) if v.name == "constant")
    assert sum(edge.source == shared for edge in graph.edges) == 1501


# ---------------------------------------------------------------------------------------- what stays one vertex


def counting(definition):
    """A function with a definition, and how often that was run."""
    runs = []

    @tg.primitive
    def own(x):
        return np.tanh(x)

    def run(x):
        runs.append(x)
        return definition(x)

    tg.defvjp(own, lambda g, y, _x: g * (1 - y * y), definition=run)
    return own, runs


@pytest.mark.parametrize("step", [None, 4])
def test_definition_outside_time_is_tried_once_and_stays_one_vertex(step):
    def definition(x):
        with tg.scope("inside"):
            return np.tanh(x)

    own, runs = counting(definition)
    h = leaf(np.ones(2))
    with tg.scope("net", step=step):
        for _ in range(100):
            h = own(h)
        assert operations(recorded(h)) == [None, *["own"] * 100]
    assert len(runs) == 1


def test_definition_through_time_is_expanded():
    def definition(x):
        for t in range(3):
            x = stepped(lambda x=x: np.tanh(x), t)
        return x

    own, runs = counting(definition)
    graph = recorded(own(own(leaf(np.ones(2)))) * 2)
    assert operations(graph) == [None, *["tanh"] * 6, "multiply"]
    assert [vertex.step for vertex in graph.vertices] == [None, 0, 1, 2, 0, 1, 2, None]
    assert len(runs) == 2


def test_definition_that_calls_a_layer_is_expanded():
    """Without a step of its own: the layer in it has them."""
    w_ih, w_hh, h = leaf(np.eye(2)), leaf(np.eye(2)), np.zeros((1, 2))

    @tg.primitive
    def read(x, w_ih, w_hh):
        return fused(ELMAN["tanh"], x, h, Weights(w_ih, w_hh, None, None))[0]

    tg.defvjp(read, definition=lambda x, *weights: fused(ELMAN["tanh"], x, h, Weights(*weights, None, None))[0] * 1)
    graph = recorded(read(np.ones((3, 1, 2)), w_ih, w_hh))
    assert operations(graph).count("tanh") == 3
    assert operations(graph)[-2:] == ["stack", "multiply"]
    assert not {"read", "rnn_tanh"} & set(operations(graph))


@pytest.mark.parametrize("first", [0, 3])
def test_calls_of_one_function_are_judged_one_by_one(first):
    """One call goes through no time step, another through three: in either order both are drawn for what they are."""

    def body(x, steps):
        for t in range(steps):
            with tg.scope("loop", step=t):
                x = np.tanh(x)
        return x * 1.0

    many = tg.primitive(body)
    tg.defvjp(many, definition=body)
    graph = recorded(many(many(leaf(np.eye(2)), first), 3 - first))
    assert sum(vertex.operation == "tanh" for vertex in graph.vertices) == 3
    assert sum(vertex.operation == "body" for vertex in graph.vertices) == 1


@pytest.mark.parametrize("error", [StopIteration, KeyError, ValueError, RuntimeError])
def test_checkpoint_that_cannot_be_run_again_stays_one_vertex(error):
    w, left = leaf(np.eye(2)), [4]

    def step(h, x):
        if not left[0]:
            raise error("only once")
        left[0] -= 1
        return (np.tanh(h @ w + x),) * 2

    h, _ = tg.scan(step, leaf(np.eye(2)), np.zeros((4, 2, 2)), checkpoint=2)
    graph = recorded(h)
    assert [vertex.operation for vertex in graph.vertices if vertex.operation] == ["checkpoint"] * 2


def test_loss_stays_one_vertex():
    logits = leaf(np.ones((2, 3)))
    for step in (None, 0):
        with tg.scope(step=step):
            total = sum(tg.functional.cross_entropy(logits, np.array([0, 1])) for _ in range(5))
        assert Counter(operations(recorded(total))) == {None: 1, "cross_entropy": 5, "add": 5}


def test_checkpoint_is_judged_one_by_one():
    x = leaf(np.ones(2))
    for t in (None, 3, None, 4):
        (x,) = checkpoint(lambda x, t=t: [stepped(lambda: np.tanh(x), t)], [x])
    graph = recorded(x)
    assert operations(graph) == [None, "checkpoint", "tanh", "checkpoint", "tanh"]
    assert [vertex.step for vertex in graph.vertices] == [None, None, 3, None, 4]


def test_definition_that_uses_something_from_outside_stays_one_vertex():
    w = leaf(2.0)
    older = w * 2
    own, _ = counting(lambda x: stepped(lambda: np.tanh(x) * older))
    assert operations(recorded(own(leaf(np.ones(2))))) == [None, "own"]


@pytest.mark.parametrize("checkpoint", [None, 2])
def test_released_layer_stays_one_vertex(checkpoint):
    layer = tg.nn.LSTM(2, 3, checkpoint=checkpoint)
    loss = layer(np.ones((4, 2, 2), np.float32))[0].sum()
    assert "lstm" not in operations(recorded(loss))
    loss.backward()
    assert operations(recorded(loss))[-2:] == ["lstm", "sum"]
    assert len(recorded(loss).edges) == 5


def test_arguments_that_no_used_result_leads_to_are_left_out():
    x, h, c, w = (leaf(np.full((3, 1, 1), 0.5), name=name) for name in "xhcw")

    def stretch(x, h, c):
        return stepped(lambda: [np.tanh(x), h * 2, np.sin(c)])

    graph = recorded(checkpoint(stretch, [x * w, h * w, c * w])[1])
    assert [v.operation or v.name for v in graph.vertices] == ["h", "w", "multiply", "multiply"]


# -------------------------------------------------------------------------------------- drawing changes nothing


def everything(output):
    """What a graph is made of, by identity."""
    return [
        (node, node.parents, id(node.args), id(node.y), id(node.kwargs), id(node.notes), node.grad)
        for node in newest_first([output.node])
    ]


def nodes_alive():
    return sum(type(found) is Node for found in gc.get_objects())


def recurrent():
    layer = tg.nn.LSTM(2, 3, num_layers=2, dropout=0.5, checkpoint=2)
    w = leaf(np.eye(3))
    xs, _ = layer(np.ones((5, 2, 2), np.float32))
    step = lambda h, x: (np.tanh(tg.functional.dropout(h, 0.5) @ w + x),) * 2  # noqa: E731
    return tg.scan(step, xs[0], xs, checkpoint=2)[1].sum(), [*layer.parameters(), w]


@pytest.mark.parametrize("flags", [{}, {"gradients": True}, {"values": True}, {"gradients": True, "values": True}])
def test_drawing_changes_nothing_and_leaves_nothing(flags):
    tg.manual_seed(0)
    output, leaves = recurrent()
    before, random = everything(output), generator().bit_generator.state
    gc.collect()
    gc.disable()
    try:
        alive = nodes_alive()
        graph = recorded(output, **flags)
        assert nodes_alive() == alive
    finally:
        gc.enable()
    assert generator().bit_generator.state == random
    assert everything(output) == before
    with tg.no_grad():
        again = recorded(output, **flags)
    assert structure(again) == structure(graph)
    assert [(v.gradient, v.values) for v in again.vertices] == [(v.gradient, v.values) for v in graph.vertices]
    assert all(leaf.grad is None for leaf in leaves)
    output.backward()
    tg.manual_seed(0)
    other, its_leaves = recurrent()  # never drawn
    other.backward()
    for leaf_, its in zip(leaves, its_leaves, strict=True):
        np.testing.assert_array_equal(leaf_.grad.numpy(), its.grad.numpy())
