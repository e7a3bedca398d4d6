"""The graph model of pictures: it is the recorded graph."""

import weakref
from collections import Counter

import numpy as np
import pytest

pytest.importorskip("hypothesis", reason="property tests need the extra testing")
from drawing_programs import leaf, loops, programs, run, unroll
from hypothesis import given

import tinygrad_rnn as tg
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


def test_bad_input():
    with pytest.raises(TypeError, match="expected one Tensor, got ndarray"):
        recorded(np.ones(2))
    with pytest.raises(TypeError, match="expected one Tensor, got tuple"):
        recorded((leaf("x"), leaf("y")))
    with pytest.raises(RuntimeError, match=r"tensor 'x' has no graph: nothing it came from needs a gradient"):
        recorded(tg.Tensor([1.0], name="x"))
    with pytest.raises(RuntimeError, match=r"the tensor of shape \(2, 2\) has no graph"):
        recorded((leaf("x") * 2).detach())
