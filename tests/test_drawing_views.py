"""Folded pictures: boxes for modules, one place for all steps, steps left out; and every count exact."""

from collections import Counter

import numpy as np
import pytest

pytest.importorskip("hypothesis", reason="property tests need the extra testing")
from drawing_programs import leaf, loops, programs, run, unroll
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn.drawing.model import recorded
from tinygrad_rnn.drawing.picture import kept_columns
from tinygrad_rnn.drawing.timeline import timeline
from tinygrad_rnn.drawing.views import cells, rolled, whole, without
from tinygrad_rnn.testing import strategies


def every_step(graph, time):
    return without(graph, time, range(len(time.columns)))


def ends(graph, time):
    return without(graph, time, kept_columns(time, 1))


def middle(graph, time):
    return without(graph, time, [len(time.columns) // 2])


def cells_at_the_ends(graph, time):
    return cells(graph, time, kept_columns(time, 1))


def cells_in_the_middle(graph, time):
    return cells(graph, time, [len(time.columns) // 2])


folds = st.sampled_from((whole, cells, rolled, every_step, ends, middle, cells_at_the_ends, cells_in_the_middle))


def assert_counts_are_exact(output, fold):
    """Each recorded operation in one vertex; each recorded edge in one edge, inside one vertex, or one use written."""
    graph = recorded(output)
    folded = fold(graph, timeline(graph))
    drawn = folded.graph
    held = Counter(i for vertex in drawn.vertices for i in vertex.stands_for)
    written = Counter(n for tag in folded.tags for n in tag.uses)
    missing = set(range(len(graph.vertices))) - set(held)
    assert all(count == 1 for count in held.values())
    lines = {graph.edges[n].source for edge in drawn.edges for n in edge.stands_for}
    # a weight is a vertex, or written wherever it is used; both where it is an initial state as well
    assert missing == {graph.edges[n].source for n in written} - lines
    assert all(graph.vertices[i].operation is None for i in missing)
    home = {i: k for k, vertex in enumerate(drawn.vertices) for i in vertex.stands_for}
    crossing = Counter(n for edge in drawn.edges for n in edge.stands_for)
    assert all(count == 1 for count in crossing.values())
    for n, edge in enumerate(graph.edges):
        inside = edge.source in home and home[edge.source] == home[edge.target] and not crossing[n]
        assert bool(crossing[n]) + bool(written[n]) + inside == 1
    for edge in drawn.edges:
        for n in edge.stands_for:
            assert (home[graph.edges[n].source], home[graph.edges[n].target]) == (edge.source, edge.target)
    for tag in folded.tags:
        assert {graph.edges[n].source for n in tag.uses} == {tag.leaf}
        assert {home[graph.edges[n].target] for n in tag.uses} == {tag.box}
        slots = {edge.slot: edge for edge in drawn.edges}
        assert tag.slot is None or tag.box in (slots[tag.slot].target, slots[tag.slot].source)
    assert len({edge.slot for edge in drawn.edges}) == len(drawn.edges)
    assert home[graph.output[0]] == drawn.output[0]
    for vertex in drawn.vertices:  # what stands for nothing is a constant, and says so
        assert vertex.stands_for or "not recorded" in vertex.where
    return folded


@given(programs, folds)
def test_counts_are_exact_in_any_program(program, fold):
    assert_counts_are_exact(run(program), fold)


@given(loops, folds)
def test_counts_are_exact_in_any_loop(loop, fold):
    assert_counts_are_exact(unroll(loop), fold)


@given(strategies.recurrent_nets(), folds)
def test_counts_are_exact_in_any_net(net, fold):
    assert_counts_are_exact(net(*net.inputs).sum(), fold)


@given(programs)
def test_whole_and_every_step_kept_fold_nothing(program):
    graph = recorded(run(program))
    time = timeline(graph)
    for fold in (whole, every_step):
        drawn = fold(graph, time).graph
        assert all(len(one.stands_for) == 1 for one in (*drawn.vertices, *drawn.edges))
        assert len(drawn.vertices) == len(graph.vertices)
        assert len(drawn.edges) == len(graph.edges)


# ------------------------------------------------------------------------------------------------- the lecture's nets


def lecture_net(steps=4, module=True):
    """Lecture, section 3: z = u x + w h, h = phi(z), r = v h, y = phi(r)."""
    u, v, w = (tg.Tensor(0.5, requires_grad=True, name=name) for name in "uvw")
    h, ys = tg.Tensor(0.0, requires_grad=True, name="h0"), []
    for t in range(steps):
        x = tg.Tensor(float(t), requires_grad=True, name=f"x{t}")
        with tg.scope("h" if module else None, step=t):
            h = np.tanh(u * x + w * h)
        with tg.scope("y" if module else None, step=t):
            ys.append(tg.functional.sigmoid(v * h))
    return np.stack(ys).sum()


def tags_of(folded, recorded_graph):
    """For each weight's name, where it is written: on an edge from what to what, or in which box."""
    names = [vertex.operation or vertex.name for vertex in folded.graph.vertices]
    slots = {edge.slot: edge for edge in folded.graph.edges}
    found = {}
    for tag in folded.tags:
        edge = slots.get(tag.slot)
        where = names[tag.box] if edge is None else (names[edge.source], names[edge.target])
        found.setdefault(recorded_graph.vertices[tag.leaf].name, []).append(where)
    return found


def test_cells_are_the_lectures_unrolled_graph():
    graph = recorded(lecture_net())
    folded = cells(graph, timeline(graph))
    boxes = Counter((vertex.operation, vertex.step) for vertex in folded.graph.vertices if vertex.is_box)
    assert boxes == {(name, t): 1 for name in "hy" for t in range(4)}
    tags = tags_of(folded, graph)
    assert tags["u"] == [(f"x{t}", "h") for t in range(4)]
    assert tags["v"] == [("h", "y")] * 4
    assert tags["w"] == [("h0", "h")] + [("h", "h")] * 3


def test_rolled_is_the_lectures_graph_with_a_self_loop():
    graph = recorded(lecture_net())
    folded = rolled(graph, timeline(graph))
    names = [vertex.operation or vertex.name for vertex in folded.graph.vertices]
    assert sorted(names) == ["h", "h0", "stack", "sum", "x0 … x3", "y"]
    arrows = {
        (names[edge.source], names[edge.target]): (edge.delay, len(edge.stands_for)) for edge in folded.graph.edges
    }
    assert arrows == {
        ("x0 … x3", "h"): (0, 4),
        ("h0", "h"): (0, 1),
        ("h", "h"): (1, 3),
        ("h", "y"): (0, 4),
        ("y", "stack"): (0, 4),
        ("stack", "sum"): (0, 1),
    }
    assert set(tags_of(folded, graph)) == {"u", "v", "w"}


def test_cells_left_out_are_one_box_with_the_weights_of_all():
    """And those that are drawn are as they are without any left out."""
    graph = recorded(lecture_net(9))
    time = timeline(graph)
    folded = cells(graph, time, kept_columns(time, 2))
    boxes = Counter((vertex.operation, vertex.step) for vertex in folded.graph.vertices if vertex.is_box)
    assert boxes == {("… 5 steps", None): 1} | {(name, t): 1 for name in "hy" for t in (0, 1, 7, 8)}
    (left_out,) = (vertex for vertex in folded.graph.vertices if vertex.operation == "… 5 steps")
    assert (left_out.operations, left_out.steps) == (6 * 5, 5)
    assert Counter(graph.vertices[i].name for i in left_out.stands_for) >= Counter(f"x{t}" for t in range(2, 7))
    tags = tags_of(folded, graph)
    assert tags["u"] == [("x0", "h"), ("x1", "h"), "… 5 steps", ("x7", "h"), ("x8", "h")]
    assert tags["v"] == [("h", "y")] * 2 + ["… 5 steps"] + [("h", "y")] * 2
    assert tags["w"] == [("h0", "h"), ("h", "h"), "… 5 steps", ("… 5 steps", "h"), ("h", "h")]
    uses = Counter(graph.vertices[tag.leaf].name for tag in folded.tags for _ in tag.uses)
    assert uses == {"u": 9, "v": 9, "w": 9}


@pytest.mark.parametrize("kept", [[0], [1], [3], [8], [0, 8], [3, 6], [5, 6, 7]])
def test_a_constant_state_stands_where_it_is_used_whichever_steps_are_left_out(kept):
    """Also where no step is drawn that has a computed one in its place."""
    w, h, losses = tg.Tensor(0.5, requires_grad=True, name="w"), 1.0, []
    for t in range(9):
        with tg.scope("cell", step=t):
            h = np.tanh(w * (h if t % 3 else 1.0))
            losses.append(h * h)
    graph = recorded(np.stack(losses))
    time = timeline(graph)
    columns = [k for k, column in enumerate(time.columns) if set(column.steps) & set(kept)]
    folded = cells(graph, time, columns)
    constants = [vertex for vertex in folded.graph.vertices if not vertex.stands_for]
    assert [vertex.name for vertex in constants] == ["constant"] * len({0, 3, 6} & set(kept))
    assert Counter(n for tag in folded.tags for n in tag.uses).total() == 9


def first_step_alone(recurrent):
    """Nets without an initial state: their first step has no recurrent term, and so fewer operations."""
    (w, u, b), h = (tg.Tensor(0.5, requires_grad=True, name=name) for name in "wub"), None
    for t in range(4):
        with tg.scope("cell", step=t):
            h = recurrent(h, w, u, b, t)
    return h.sum()


@pytest.mark.parametrize("fold", [cells, rolled])
@pytest.mark.parametrize(
    ("recurrent", "names"),
    [
        (lambda h, w, u, b, t: np.tanh(u * (1.0 + t) if h is None else h * w + u * (1.0 + t)), "uw"),
        (lambda h, w, u, b, t: np.tanh(b + 1.0) if h is None else np.tanh(h + b) * w, "bw"),
    ],
)
def test_a_first_step_without_a_state_takes_no_weight_for_one(recurrent, names, fold):
    output = first_step_alone(recurrent)
    graph, folded = recorded(output), assert_counts_are_exact(output, fold)
    uses = Counter(graph.vertices[tag.leaf].name for tag in folded.tags for _ in tag.uses)
    assert uses == {names[0]: 4, names[1]: 3}
    assert not any(vertex.operation is None and vertex.stands_for for vertex in folded.graph.vertices)


@pytest.mark.parametrize("fold", [cells, rolled])
def test_a_weight_that_is_the_initial_state_too_is_both(fold):
    """Each use is judged for itself: h[0] = w, h[t + 1] = tanh(w h[t])."""
    w = h = tg.Tensor(0.5, requires_grad=True, name="w")
    for t in range(4):
        with tg.scope("cell", step=t):
            h = np.tanh(w * h)
    folded = assert_counts_are_exact(h * 1.0, fold)
    assert Counter(use for tag in folded.tags for use in tag.uses).total() == 4
    (box,) = (i for i, vertex in enumerate(folded.graph.vertices) if vertex.operation is None)
    assert [edge.stands_for for edge in folded.graph.edges if edge.source == box] == [(1,)]
    assert folded.timeline.places[box] is not None  # before the loop


@pytest.mark.parametrize("fold", [cells, rolled])
def test_a_state_that_moves_towards_its_beginning(fold):
    """Of h[0] = m, h[t + 1] = (1 - g) h[t] + g m."""
    g, m = (tg.Tensor(0.5, requires_grad=True, name=name) for name in "gm")
    h = m
    for t in range(4):
        with tg.scope("cell", step=t):
            h = (1.0 - g) * h + g * m
    output = h * 1.0
    graph, folded = recorded(output), assert_counts_are_exact(output, fold)
    uses = Counter(graph.vertices[tag.leaf].name for tag in folded.tags for _ in tag.uses)
    assert uses == {"g": 8, "m": 4}
    (box,) = (vertex for vertex in folded.graph.vertices if vertex.operation is None)
    assert box.name == "m"


def test_a_step_without_modules_is_one_box():
    graph = recorded(lecture_net(module=False))
    folded = cells(graph, timeline(graph))
    assert [vertex.operation for vertex in folded.graph.vertices if vertex.is_box] == ["step"] * 4
    assert [len(vertex.stands_for) for vertex in folded.graph.vertices if vertex.is_box] == [6] * 4


def test_a_bias_is_written_in_the_box_and_constants_are_dashed_inputs():
    w, u, b, h = leaf("w"), leaf("u"), leaf("b"), tg.Tensor(np.zeros((2, 2)))
    for t in range(3):
        with tg.scope("rnn", step=t):
            h = np.tanh(np.ones((2, 2)) @ u + h @ w + b)
    graph = recorded(h.sum())
    folded = cells(graph, timeline(graph))
    assert tags_of(folded, graph) == {
        "u": [("input", "rnn")] * 3,
        "w": [("constant", "rnn"), ("rnn", "rnn"), ("rnn", "rnn")],
        "b": ["rnn"] * 3,
    }
    invented = [vertex.name for vertex in folded.graph.vertices if not vertex.stands_for]
    assert sorted(invented) == ["constant", "input", "input", "input"]


def test_modules_that_call_each_other_back_and_forth_are_one_box():
    w, h = leaf("w"), leaf("h0")
    for t in range(3):
        with tg.scope("cell", step=t):
            with tg.scope("gates"):
                a = h @ w
            with tg.scope("candidate"):
                b = np.tanh(a)
            with tg.scope("gates"):
                h = b * a + b @ w
    graph = recorded(h.sum())
    folded = cells(graph, timeline(graph))
    boxes = [vertex for vertex in folded.graph.vertices if vertex.is_box]
    assert [len(vertex.stands_for) for vertex in boxes] == [5, 5, 5]
    assert {vertex.operation for vertex in boxes} == {"cell"}


def test_steps_left_out_are_counted():
    graph = recorded(lecture_net(10))
    folded = ends(graph, timeline(graph))
    (left_out,) = (vertex for vertex in folded.graph.vertices if vertex.is_box)
    assert left_out.operation == "… 8 steps"
    assert len(left_out.stands_for) == 8 * 7  # u x, w h, +, tanh, v h, sigmoid; and x itself
    into = [edge for edge in folded.graph.edges if folded.graph.vertices[edge.target] is left_out]
    names = {folded.graph.vertices[edge.source].name: len(edge.stands_for) for edge in into}
    assert {name: names[name] for name in "uvw"} == {"u": 8, "v": 8, "w": 8}


def test_choice_of_steps():
    time = timeline(recorded(lecture_net(6)))
    steps = lambda kept: sorted(time.columns[k].steps[0] for k in kept)  # noqa: E731
    assert steps(kept_columns(time, 2)) == [0, 1, 4, 5]
    assert steps(kept_columns(time, 9)) == [0, 1, 2, 3, 4, 5]
    assert steps(kept_columns(time, range(2, 4))) == [2, 3]
    assert steps(kept_columns(time, [5, 77])) == [5]
    with pytest.raises(ValueError, match=r"got \[77\]; it has 6, from 0 to 5"):
        kept_columns(time, [77])
    with pytest.raises(ValueError, match="at least 1, got 0"):
        kept_columns(time, 0)
    assert kept_columns(time, np.array(2)) == kept_columns(time, np.int64(2)) == kept_columns(time, 2)
    assert kept_columns(time, np.array([2, 3])) == kept_columns(time, range(2, 4))
    for wrong in (1.5, True, "ab", [0.5], np.array([[1, 2]])):
        with pytest.raises(TypeError, match="whole number, or several such as"):
            kept_columns(time, wrong)
    with pytest.raises(TypeError, match="whole number"):
        kept_columns(time, True)
    with pytest.raises(ValueError, match="it has no time steps"):
        kept_columns(timeline(recorded(leaf("x") * 2)), [0])


@pytest.mark.parametrize("fold", [cells, rolled])
def test_a_weight_turned_around_for_others_is_written_where_that_is_done(fold):
    """In a module of its own, or for two products: neither is an edge along which the weight itself acts."""
    w, h = leaf("w"), leaf("h0")
    for t in range(3):
        with tg.scope("turn", step=t):
            turned = w.T
        with tg.scope("cell", step=t):
            h = np.tanh(h @ turned)
    folded, boxes = folded_boxes(h.sum(), fold)
    assert {boxes[tag.box] for tag in folded.tags} == {"turn"}
    assert {tag.slot for tag in folded.tags} == {None}


@pytest.mark.parametrize("fold", [cells, rolled])
def test_a_weight_turned_around_for_two_products_is_written_in_the_box(fold):
    w, h, g = leaf("w"), leaf("h0"), leaf("g0")
    for t in range(3):
        with tg.scope("cell", step=t):
            turned = w.T
            h, g = np.tanh(h @ turned), np.tanh(g @ turned)
    folded, boxes = folded_boxes((h + g).sum(), fold)
    assert {boxes[tag.box] for tag in folded.tags} == {"cell"}
    assert {tag.slot for tag in folded.tags} == {None}


def folded_boxes(output, fold):
    graph = recorded(output)
    folded = fold(graph, timeline(graph))
    return folded, [vertex.operation for vertex in folded.graph.vertices]


def test_an_encoders_state_in_all_steps_of_a_decoder_is_one_edge():
    """Rolled up: it is the same value for all, however far they are."""
    w, v, h = leaf("w"), leaf("v"), leaf("h0")
    for t in range(3):
        with tg.scope("encoder", step=t):
            h = np.tanh(h @ w)
    d = h
    for t in range(4):
        with tg.scope("decoder", step=t):
            d = np.tanh(d @ v + h)
    folded, boxes = folded_boxes(d.sum(), rolled)
    between = [e for e in folded.graph.edges if (boxes[e.source], boxes[e.target]) == ("encoder", "decoder")]
    assert [len(edge.stands_for) for edge in between] == [5]  # its first state, and a use in each of four steps
    assert {edge.delay for edge in between} == {0}


def both_read(steps=4):
    """Two modules that read the same input in each step."""
    u, w, p, q = (leaf(name) for name in "uwpq")
    a = b = leaf("h0")
    sums = []
    for t in range(steps):
        x = leaf(f"x{t}")
        with tg.scope("a", step=t):
            a = np.tanh(x @ u + a @ w)
        with tg.scope("b", step=t):
            b = np.tanh(x @ p + b @ q)
        with tg.scope("sum", step=t):
            sums.append(a + b)
    return np.stack(sums).sum()


def both_ways(steps=4):
    """Two loops, in rows of their own, that read the same inputs."""
    u, w, p, q = (leaf(name) for name in "uwpq")
    a, b, xs = leaf("a0"), leaf("b0"), [leaf(f"x{t}") for t in range(steps)]
    for t in range(steps):
        with tg.scope("a", step=t):
            a = np.tanh(xs[t] @ u + a @ w)
    for t in reversed(range(steps)):
        with tg.scope("b", step=t):
            b = np.tanh(xs[t] @ p + b @ q)
    return (a + b).sum()


@pytest.mark.parametrize("net", [both_read, both_ways])
def test_an_input_that_several_modules_of_its_step_read_is_no_weight(net):
    graph, folded = recorded(net()), assert_counts_are_exact(net(), cells)
    names = {i: vertex.operation or vertex.name for i, vertex in enumerate(folded.graph.vertices)}
    reads = Counter((names[e.source], names[e.target]) for e in folded.graph.edges if names[e.source].startswith("x"))
    assert reads == {(f"x{t}", box): 1 for t in range(4) for box in "ab"}
    assert {graph.vertices[tag.leaf].name for tag in folded.tags} == set("uwpq")
    folded = assert_counts_are_exact(net(), rolled)
    (inputs,) = (vertex for vertex in folded.graph.vertices if vertex.name and vertex.name.startswith("x"))
    assert (len(inputs.stands_for), set(inputs.name.split(" … "))) == (4, {"x0", "x3"})
