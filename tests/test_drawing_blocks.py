"""Blocks of pictures: each operation has its place, and steps that do the same are copies of one."""

import numpy as np
import pytest

pytest.importorskip("hypothesis", reason="property tests need the extra testing")
from drawing_programs import leaf, loops, unroll
from hypothesis import given

import tinygrad_rnn as tg
from tinygrad_rnn.drawing.blocks import Way, arrange
from tinygrad_rnn.drawing.copies import find_copies
from tinygrad_rnn.drawing.model import recorded
from tinygrad_rnn.drawing.timeline import timeline


def arranged(graph):
    arrangement = arrange(graph, timeline(graph))
    find_copies(graph, arrangement)
    return arrangement


def steps_of(blocks):
    return [block.column.steps[0] if block.in_time else None for block in blocks]


@given(loops)
def test_blocks_hold_each_operation_once_and_copies_fit(loop):
    graph = recorded(unroll(loop))
    arrangement = arranged(graph)
    held = [v for block in arrangement.blocks for v in (*block.operations, *block.leaves)] + arrangement.shared
    assert sorted(held) == list(range(len(graph.vertices)))
    for block in arrangement.blocks:
        for vertex in block.operations:
            assert arrangement.block_of[vertex] is block
            if graph.vertices[vertex].step is not None:
                assert block.column.steps == (graph.vertices[vertex].step,)
                assert block.in_time
        if block.copies is None:
            continue
        original = {*block.copies.operations, *block.copies.leaves}
        assert set(block.originals) == {*block.operations, *block.leaves}
        assert set(block.originals.values()) <= original
        assert len(set(block.originals.values())) == len(block.originals)
        for vertex in block.operations:
            assert graph.vertices[block.originals[vertex]].operation == graph.vertices[vertex].operation
            inputs = {edge.argument: edge for edge in arrangement.incoming[block.originals[vertex]]}
            for edge in arrangement.incoming[vertex]:
                if arrangement.way(edge) is Way.INSIDE:
                    assert inputs[edge.argument].source == block.originals[edge.source]
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
    blocks = arranged(graph).blocks
    assert [step for step in steps_of(blocks) if step is not None] == [0, 1, 2, 3, 4]
    assert len({id(block.copies or block) for block in blocks if block.in_time}) == 1
    after = [
        graph.vertices[v].operation or graph.vertices[v].name for v in (*blocks[-1].operations, *blocks[-1].leaves)
    ]
    assert after == ["matmul", "sum", "v"]


def test_initial_state_and_what_makes_it_stand_before_the_loop():
    graph = recorded(rnn(3, leaf("h0") * 2))
    before = arranged(graph).blocks[0]
    assert [graph.vertices[v].operation for v in before.operations] == ["multiply"]
    assert [graph.vertices[v].name for v in before.leaves] == ["h0"]
    graph = recorded(rnn(3, leaf("h0")))
    arrangement = arranged(graph)
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
    first, second, *_ = [block for block in arranged(graph).blocks if block.in_time]
    assert [graph.vertices[v].operation for v in first.operations] == ["matmul", "tanh", "getitem"]
    assert [graph.vertices[v].operation for v in second.operations] == ["concatenate", "matmul", "tanh", "getitem"]
    assert list(first.originals.values()) == second.operations[1:]


def test_what_is_outside_time_between_steps_stands_with_the_latest_step_it_comes_from():
    w, h = leaf("w"), leaf("h0")
    for t in range(3):
        with tg.scope(step=t):
            h = h @ w
        h = h * 2
    graph = recorded(h)
    blocks = arranged(graph).blocks
    assert [[graph.vertices[v].operation for v in block.operations] for block in blocks if block.operations] == [
        ["matmul", "multiply"],
        ["matmul", "multiply"],
        ["matmul"],
        ["multiply"],
    ]


def test_step_that_a_leaf_was_made_in_does_not_count():
    with tg.scope(step=3):
        x = leaf("x")
    arrangement = arranged(recorded(np.tanh(x)))
    assert steps_of(arrangement.blocks) == [None]
    assert arrangement.blocks[-1].leaves == [0]


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
    blocks = [block for block in arranged(recorded(h)).blocks if block.in_time]
    assert len({id(block.copies or block) for block in blocks}) == 2
    assert [(block.copies or block).column.steps[0] % 2 for block in blocks] == [0, 1, 0, 1]
