"""Where a picture puts things: columns of steps, rows of operations, lines that touch what they connect and no more."""

import sys
import traceback
from itertools import combinations, pairwise

import numpy as np
import pytest

pytest.importorskip("hypothesis", reason="property tests need the extra testing")
from drawing_programs import leaf, loops, programs, run, unroll
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn.drawing import block_layout
from tinygrad_rnn.drawing.labels import box_size
from tinygrad_rnn.drawing.layout import lay_out_graph
from tinygrad_rnn.drawing.model import recorded
from tinygrad_rnn.drawing.routes import stacked
from tinygrad_rnn.drawing.timeline import timeline
from tinygrad_rnn.drawing.views import cells, rolled, whole
from tinygrad_rnn.drawing.words import Lettering
from tinygrad_rnn.testing import strategies

directions = st.sampled_from(("LR", "TB"))


@pytest.fixture(params=["Graphviz", "plain"])
def layouter(request, monkeypatch):
    """Both ways to lay out a step: by Graphviz (if there is any), and without."""
    if request.param == "plain":
        monkeypatch.setattr(block_layout, "_MOST", -1)
    return request.param


def lay_out(output, direction="LR", fold=whole):
    graph = recorded(output)
    folded = fold(graph, timeline(graph))
    lettering = Lettering.of(folded, graph, None, False)
    return folded.graph, lay_out_graph(folded.graph, folded.timeline, direction, lettering)


def box(layout, vertex, margin=0.0):
    (x, y), (w, h) = layout.centres[vertex], layout.sizes[vertex]
    return x - w / 2 - margin, y - h / 2 - margin, x + w / 2 + margin, y + h / 2 + margin


def inside(point, sides):
    return sides[0] < point[0] < sides[2] and sides[1] < point[1] < sides[3]


def along(points, pieces=12):
    """Points along a chain of cubic Bezier curves."""
    for k in range(0, len(points) - 1, 3):
        p = np.array(points[k : k + 4])
        for t in np.linspace(0, 1, pieces):
            yield (1 - t) ** 3 * p[0] + 3 * (1 - t) ** 2 * t * p[1] + 3 * (1 - t) * t**2 * p[2] + t**3 * p[3]


def check(graph, layout):
    """Nothing is missing or overlaps; each line leaves its source, ends at its target, and passes through nothing."""
    vertices = range(len(graph.vertices))
    assert set(layout.centres) == set(vertices)
    assert set(layout.curves) == {(edge.target, edge.argument) for edge in graph.edges}
    boxes = {v: box(layout, v) for v in vertices}
    for a, b in combinations(vertices, 2):
        (a0, a1, a2, a3), (b0, b1, b2, b3) = boxes[a], boxes[b]
        assert min(a2, b2) <= max(a0, b0) + 0.01 or min(a3, b3) <= max(a1, b1) + 0.01, f"n{a} and n{b} overlap"
    for edge in graph.edges:
        points, tip = layout.curves[edge.target, edge.argument]
        assert len(points) % 3 == 1
        assert inside(points[0], box(layout, edge.source, 1.5)), f"{edge} does not leave its source"
        assert inside(tip, box(layout, edge.target, 1.5)), f"{edge} does not end at its target"
        assert not inside(tip, box(layout, edge.target, -3)), f"{edge} ends within its target"
        assert np.hypot(*np.subtract(tip, points[-1])) < 2 * block_layout.ARROW
        others = [box(layout, v, -1.5) for v in vertices if v not in (edge.source, edge.target)]
        for point in along(points):
            assert not any(inside(point, sides) for sides in others), f"{edge} passes through a node at {point}"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(programs, directions)
def test_any_program_is_laid_out_cleanly(layouter, program, direction):
    check(*lay_out(run(program), direction))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(loops, directions)
def test_any_loop_is_laid_out_cleanly(layouter, loop, direction):
    check(*lay_out(unroll(loop), direction))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(programs, directions, st.sampled_from((cells, rolled)))
def test_any_program_is_laid_out_cleanly_when_folded(layouter, program, direction, fold):
    check(*lay_out(run(program), direction, fold))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(loops, directions, st.sampled_from((cells, rolled)))
def test_any_loop_is_laid_out_cleanly_when_folded(layouter, loop, direction, fold):
    check(*lay_out(unroll(loop), direction, fold))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(strategies.recurrent_nets(), directions, st.sampled_from((whole, cells, rolled)))
def test_any_net_is_laid_out_cleanly(layouter, net, direction, fold):
    """Layers, directions, lengths, checkpoints: rows above each other, and bands between."""
    check(*lay_out(net(*net.inputs).sum(), direction, fold))


# ------------------------------------------------------------------------------------------------- columns and rows


def lstm(steps, hidden=4, batch=2):
    """A hand-written LSTM, every operation recorded, under tg.scope(step=t)."""
    rng = np.random.default_rng(0)
    w_x, w_h, b = (
        tg.Tensor(rng.standard_normal(shape), requires_grad=True, name=name)
        for name, shape in (("w_x", (3, 4 * hidden)), ("w_h", (hidden, 4 * hidden)), ("b", (4 * hidden,)))
    )
    h, c = tg.Tensor(np.zeros((batch, hidden))), tg.Tensor(np.zeros((batch, hidden)))
    outputs = []
    for t in range(steps):
        with tg.scope("lstm", step=t):
            i, f, g, o = np.split(rng.standard_normal((batch, 3)) @ w_x + h @ w_h + b, 4, axis=-1)
            c = 1 / (1 + np.exp(-f)) * c + 1 / (1 + np.exp(-i)) * np.tanh(g)
            h = 1 / (1 + np.exp(-o)) * np.tanh(c)
            outputs.append(h)
    return (np.stack(outputs) ** 2).mean()


@pytest.mark.parametrize("direction", ["LR", "TB"])
def test_each_step_is_a_column_and_each_operation_has_its_row(layouter, direction):
    graph, layout = lay_out(lstm(6), direction)
    assert [column.steps for column in layout.columns] == [(t,) for t in range(6)]
    time, flow = (0, 1) if direction == "LR" else (1, 0)
    steps = [[layout.centres[i] for i, v in enumerate(graph.vertices) if v.step == t] for t in range(6)]
    assert len({len(places) for places in steps}) == 1
    for t, (column, places) in enumerate(zip(layout.columns, steps, strict=True)):
        low, high = column.box[time], column.box[time + 2]
        assert all(low < place[time] < high for place in places)
        assert [place[flow] for place in places] == [place[flow] for place in steps[0]]
        shift = [place[time] - first[time] for place, first in zip(places, steps[0], strict=True)]
        assert np.allclose(shift, shift[0])
        assert t == 0 or (shift[0] > 0) == (direction == "LR")
    edges = [(column.box[time], column.box[time + 2]) for column in layout.columns]
    assert all(b < c for (_, b), (c, _) in pairwise(edges)) == (direction == "LR")
    assert all(a > d for (a, _), (_, d) in pairwise(edges)) == (direction == "TB")


def test_before_stands_left_after_stands_right(layouter):
    w, h = leaf("w"), leaf("h0") * 2
    for t in (7, 9):
        with tg.scope(step=t):
            h = np.tanh(h @ w)
    graph, layout = lay_out(h.sum())
    x = {v.operation or v.name: layout.centres[i][0] for i, v in enumerate(graph.vertices) if v.step is None}
    first, last = layout.columns
    assert (first.steps, last.steps) == ((7,), (9,))
    assert x["h0"] < first.box[0]
    assert x["multiply"] < first.box[0]
    assert x["w"] < first.box[0]
    assert x["sum"] > last.box[2]


def test_without_time_the_computation_runs_in_the_direction(layouter):
    output = np.tanh(np.exp(leaf("x"))).sum()
    for direction, axis, sign in (("LR", 0, 1), ("TB", 1, -1)):
        graph, layout = lay_out(output, direction)
        way = [sign * layout.centres[i][axis] for i in range(len(graph.vertices))]
        assert way == sorted(way)
        assert layout.columns == []


def test_line_of_a_shared_leaf_runs_below_all_columns():
    graph, layout = lay_out(lstm(4))
    bottom = min(column.box[1] for column in layout.columns)
    heights = []
    for i, vertex in enumerate(graph.vertices):
        if vertex.operation is None:
            x, y = layout.centres[i]
            heights.append(y)
            assert y < bottom
            for edge in graph.edges:
                if edge.source == i:
                    points = layout.curves[edge.target, edge.argument].points
                    assert points[0] == (pytest.approx(x + layout.sizes[i][0] / 2), y)
                    assert points[1][1] == points[2][1] == points[3][1] == y
    assert len(set(heights)) == 3


def test_one_long_name_makes_room_in_every_column(layouter):
    w, h = leaf("w"), leaf("h0")
    for t in range(4):
        with tg.scope(step=t):
            h = np.tanh(h @ w)
        h.name = "a remarkable state" if t == 2 else None
    graph, layout = lay_out(h.sum())
    check(graph, layout)
    assert len({layout.sizes[i] for i, v in enumerate(graph.vertices) if v.operation == "tanh"}) == 1
    for lines, size in zip(layout.lines, layout.sizes, strict=True):
        assert np.greater_equal(size, box_size(lines)).all()


def test_modules_within_a_step_are_framed():
    w, hs = leaf("w"), [leaf("a"), leaf("b")]
    for t in range(3):
        x = tg.Tensor(np.ones((2, 2)))
        for k in range(2):
            with tg.scope(f"net/layer {k}", step=t):
                x = hs[k] = np.tanh(x @ w + hs[k])
    graph, layout = lay_out(x.sum())
    assert sorted(frame.name for frame in layout.frames) == ["layer 0"] * 3 + ["layer 1"] * 3
    for frame in layout.frames:
        held = [v.path for i, v in enumerate(graph.vertices) if inside(layout.centres[i], frame.box) and v.operation]
        assert held == [f"net/{frame.name}"] * 3


def test_every_step_different_is_laid_out_without_graphviz(monkeypatch):
    """A block that Graphviz lays out costs a run of it; a thousand different ones must not cost a thousand."""
    runs = []
    known = block_layout.run
    monkeypatch.setattr(block_layout, "run", lambda *args, **kwargs: runs.append(args) or known(*args, **kwargs))
    w, h = leaf("w"), leaf("h0")
    for t in range(40):
        with tg.scope(step=t):
            for _ in range(1 + t):
                h = h * 2 if t % 2 else np.tanh(h)
            h = h @ w
    check(*lay_out(h.sum()))
    assert len(runs) < 40


def test_unscoped_loop_and_deep_chain_need_neither_time_nor_recursion():
    w, h = leaf("w"), leaf("h0")
    for _ in range(300):
        h = np.tanh(h @ w)
    graph, layout = lay_out(h.sum())
    assert len(layout.curves) == len(graph.edges) == 901
    x = leaf("x")
    for _ in range(5000):
        x = x + 1
    limit = sys.getrecursionlimit()
    depth = len(traceback.extract_stack())
    sys.setrecursionlimit(depth + 150)
    try:
        graph, layout = lay_out(x.sum())
    finally:
        sys.setrecursionlimit(limit)
    assert len(layout.centres) == len(graph.vertices) == 5002


@given(st.dictionaries(st.integers(), st.tuples(st.integers(0, 20), st.integers(0, 8)), max_size=30))
def test_lanes_that_touch_have_different_heights_and_none_is_wasted(given_stretches):
    stretches = {key: (start, start + length) for key, (start, length) in given_stretches.items()}
    lanes = stacked(stretches)
    assert set(lanes) == set(stretches)
    for a, b in combinations(stretches, 2):
        if stretches[a][0] <= stretches[b][1] and stretches[b][0] <= stretches[a][1]:
            assert lanes[a] != lanes[b]
    busiest = max((sum(a <= x <= b for a, b in stretches.values()) for x in range(30)), default=0)
    assert max(lanes.values(), default=-1) + 1 == busiest
