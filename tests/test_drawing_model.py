"""The graph model of pictures: it is the recorded graph, and each step finds its place."""

import weakref
from collections import Counter

import numpy as np
import pytest

pytest.importorskip("hypothesis", reason="property tests need the extra testing")
from drawing_programs import leaf, loops, programs, run, unroll
from hypothesis import given

import tinygrad_rnn as tg
from tinygrad_rnn.drawing.blocks import arrange
from tinygrad_rnn.drawing.model import recorded
from tinygrad_rnn.walk import ITEM


def walked(output):
    """Read off the nodes: calls and leaves by order, and the arguments (source, target, argument, result)."""
    calls, arguments, waiting, seen = {}, Counter(), [output.node], set()
    while waiting:
        node = waiting.pop()
        if node.order in seen:
            continue
        seen.add(node.order)
        waiting.extend(parent for parent in node.parents if parent is not None)
        if node.primitive is ITEM:
            continue
        calls[node.order] = node
        for argument, parent in enumerate(node.parents):
            if parent is not None and parent.primitive is ITEM:
                arguments[parent.parents[0].order, node.order, argument, parent.args[0]] += 1
            elif parent is not None:
                arguments[parent.order, node.order, argument, None] += 1
    return calls, arguments


def assert_all_there(output):
    calls, arguments = walked(output)
    graph = recorded(output)
    assert [vertex.order for vertex in graph.vertices] == sorted(calls)
    for vertex in graph.vertices:
        node = calls[vertex.order]
        assert vertex.operation == (None if node.primitive is None else node.primitive.name)
        assert (vertex.name, vertex.path, vertex.step) == (node.name, node.path, node.step)
        assert vertex.shape == tuple(node.shape)
    order = [vertex.order for vertex in graph.vertices]
    assert arguments == Counter((order[e.source], order[e.target], e.argument, e.result) for e in graph.edges)
    assert len({(edge.target, edge.argument) for edge in graph.edges}) == len(graph.edges)


@given(programs)
def test_model_of_any_program_is_the_recorded_graph(program):
    assert_all_there(run(program))


@given(loops)
def test_model_of_any_loop_is_the_recorded_graph(loop):
    assert_all_there(unroll(loop))


@given(loops)
def test_blocks_hold_each_operation_once_and_copies_fit(loop):
    graph = recorded(unroll(loop))
    arrangement = arrange(graph)
    held = [v for block in arrangement.blocks for v in (*block.operations, *block.leaves)] + arrangement.shared
    assert sorted(held) == list(range(len(graph.vertices)))
    for i, block in enumerate(arrangement.blocks):
        for vertex in block.operations:
            assert arrangement.block_of[vertex] == i
            if graph.vertices[vertex].step is not None:
                assert graph.vertices[vertex].step == block.step
        if block.copies is None:
            continue
        original = {*block.copies.operations, *block.copies.leaves}
        assert set(block.places) == {*block.operations, *block.leaves}
        assert set(block.places.values()) <= original
        assert len(set(block.places.values())) == len(block.places)
        for vertex in block.operations:
            assert graph.vertices[block.places[vertex]].operation == graph.vertices[vertex].operation
            inputs = {edge.argument: edge for edge in arrangement.incoming[block.places[vertex]]}
            for edge in arrangement.incoming[vertex]:
                if edge.source in block.places:
                    assert inputs[edge.argument].source == block.places[edge.source]
                elif arrangement.block_of[edge.source] is None:
                    assert inputs[edge.argument].source == edge.source


def rnn(steps, h):
    w, v = leaf("w"), leaf("v")
    for t in range(steps):
        with tg.scope("rnn", step=t):
            h = np.tanh(h @ w + np.ones((2, 2)))
    return (h @ v).sum()


@pytest.mark.parametrize(
    "h", [tg.Tensor(np.zeros((2, 2))), leaf("h0"), leaf("a") * 2], ids=["constant", "leaf", "computed"]
)
def test_all_steps_of_a_plain_net_are_copies_of_one(h):
    graph = recorded(rnn(5, h))
    blocks = arrange(graph).blocks
    assert [block.step for block in blocks] == [None, 0, 1, 2, 3, 4, None]
    assert len({id(block.copies or block) for block in blocks[1:-1]}) == 1
    after = [
        graph.vertices[v].operation or graph.vertices[v].name for v in (*blocks[-1].operations, *blocks[-1].leaves)
    ]
    assert after == ["matmul", "sum", "v"]


def test_initial_state_and_what_makes_it_stand_before_the_loop():
    graph = recorded(rnn(3, leaf("h0") * 2))
    before = arrange(graph).blocks[0]
    assert [graph.vertices[v].operation for v in before.operations] == ["multiply"]
    assert [graph.vertices[v].name for v in before.leaves] == ["h0"]
    graph = recorded(rnn(3, leaf("h0")))
    arrangement = arrange(graph)
    assert arrangement.blocks[0].operations == []
    assert [graph.vertices[v].name for v in arrangement.blocks[0].leaves] == ["h0"]
    assert [graph.vertices[v].name for v in arrangement.shared] == ["w"]


def test_step_without_a_gradient_yet_takes_the_places_of_the_others():
    """At t = 0 the concatenation of constants is not recorded; what follows it stands where it stands later."""
    w, h = leaf("w"), tg.Tensor(np.zeros((2, 1)))
    for t in range(4):
        with tg.scope(step=t):
            h = np.tanh(np.concatenate([np.ones((2, 1)), h], axis=1) @ w)[:, :1]
    graph = recorded(h)
    first, second, *_ = [block for block in arrange(graph).blocks if block.step is not None]
    assert [graph.vertices[v].operation for v in first.operations] == ["matmul", "tanh", "getitem"]
    assert [graph.vertices[v].operation for v in second.operations] == ["concatenate", "matmul", "tanh", "getitem"]
    assert list(first.places.values()) == second.operations[1:]


def test_what_is_outside_time_between_steps_stands_with_the_latest_step_it_comes_from():
    w, h = leaf("w"), leaf("h0")
    for t in range(3):
        with tg.scope(step=t):
            h = h @ w
        h = h * 2
    graph = recorded(h)
    blocks = arrange(graph).blocks
    assert [[graph.vertices[v].operation for v in block.operations] for block in blocks] == [
        [],
        ["matmul", "multiply"],
        ["matmul", "multiply"],
        ["matmul"],
        ["multiply"],
    ]


def test_result_of_several_becomes_the_edge():
    x = leaf("x")
    upper, lower = np.split(x, 2)
    lower.name = "lower half"
    graph = recorded(lower * 2 + upper)
    assert [vertex.operation for vertex in graph.vertices] == [None, "split", "multiply", "add"]
    assert graph.vertices[1].shape == ((1, 2), (1, 2))
    assert [(e.source, e.target, e.result, e.name) for e in graph.edges] == [
        (0, 1, None, None),
        (1, 2, 1, "lower half"),
        (2, 3, None, None),
        (1, 3, 0, None),
    ]
    assert recorded(upper).output == (1, 0)


@given(programs)
def test_released_graph_gives_the_same_model(program):
    output = run(program)
    before = recorded(output)
    output.sum().backward()
    assert recorded(output) == before


def test_model_keeps_no_array_alive():
    y = np.tanh(leaf("x"))
    kept = weakref.ref(y.numpy())
    graph = recorded(y.sum())
    del y
    assert kept() is None
    assert len(graph.vertices) == 3


def test_single_leaf_is_a_graph_of_one():
    graph = recorded(leaf("x"))
    assert (len(graph.vertices), graph.edges, graph.output) == (1, (), (0, None))
    assert arrange(graph).blocks[0].leaves == [0]


def test_step_that_a_leaf_was_made_in_does_not_count():
    with tg.scope(step=3):
        x = leaf("x")
    arrangement = arrange(recorded(np.tanh(x)))
    assert [block.step for block in arrangement.blocks] == [None, None]
    assert arrangement.blocks[-1].leaves == [0]


def test_bad_input():
    with pytest.raises(TypeError, match="expected one Tensor, got ndarray"):
        recorded(np.ones(2))
    with pytest.raises(TypeError, match="expected one Tensor, got tuple"):
        recorded((leaf("x"), leaf("y")))
    with pytest.raises(RuntimeError, match=r"tensor 'x' has no graph: nothing it came from needs a gradient"):
        recorded(tg.Tensor([1.0], name="x"))
    with pytest.raises(RuntimeError, match=r"the tensor of shape \(2, 2\) has no graph"):
        recorded((leaf("x") * 2).detach())


@pytest.mark.parametrize(
    "step",
    [
        lambda h, t, w, u: np.tanh(h @ (w if t % 2 else u)),
        lambda h, t, w, u: (np.tanh(h @ w) if t % 2 else np.tanh(h)) @ w,
        lambda h, t, w, u: (a := h @ w) * (b := h @ u) + (a if t % 2 else b),
    ],
    ids=["another weight", "one operation more", "another argument"],
)
def test_steps_that_do_different_things_are_not_copies(step):
    w, u, h = leaf("w"), leaf("u"), leaf("h0")
    for t in range(4):
        with tg.scope(step=t):
            h = step(h, t, w, u)
    blocks = [block for block in arrange(recorded(h)).blocks if block.step is not None]
    assert len({id(block.copies or block) for block in blocks}) == 2
    assert [(block.copies or block).step % 2 for block in blocks] == [0, 1, 0, 1]
