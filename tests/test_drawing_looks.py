"""What a picture says by colour, line and tooltip: read from its source, and held against the graph it shows."""

import math
import re
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("hypothesis", reason="property tests need the extra testing")
from drawing_programs import leaf, loops, programs, run, unroll
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import drawing
from tinygrad_rnn.drawing.colours import EDGE, INK, NO_GRADIENT, NOT_FINITE, PAPER, SOFT, GradientScale, leaf_paints
from tinygrad_rnn.drawing.timeline import timeline

VIEWS = ("unrolled", "cells", "rolled")


def statements(source):
    """The attributes of each vertex, by number, and of all edges between them, in the order written."""
    vertices, edges = {}, []
    for line in source.splitlines():
        attributes = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', line))
        if found := re.match(r"\tn(\d+) \[", line):
            vertices[int(found[1])] = attributes
        elif found := re.match(r"\tn(\d+) -> n(\d+) \[", line):
            edges.append((int(found[1]), int(found[2]), attributes))
    return vertices, edges


def scalar(output):
    return np.tanh(output).sum()


# ------------------------------------------------------------------------------------------------- gradients


def assert_coloured_by_gradient(picture):
    recorded, drawn = picture.graph, picture.drawn.graph
    scale = GradientScale.of([one.gradient for one in (*recorded.vertices, *recorded.edges)])
    paints = leaf_paints(recorded, timeline(recorded))
    vertices, edges = statements(picture.source)
    for i, vertex in enumerate(drawn.vertices):
        if not vertex.stands_for:
            continue
        members = [recorded.vertices[k].gradient for k in vertex.stands_for]
        assert_largest(vertex.gradient, members)
        looks = vertices[i]
        assert looks["fillcolor"] == scale.paint(vertex.gradient).colour
        weight = paints.get(vertex.stands_for[0]) if vertex.operation is None else None
        border = (scale.paint(vertex.gradient) if weight is None else weight).colour
        assert looks["color"] == (INK if i == drawn.output[0] else border)
    assert len(edges) == len(drawn.edges)
    for edge, (source, target, looks) in zip(drawn.edges, edges, strict=True):
        assert (edge.source, edge.target) == (source, target)
        if edge.stands_for:
            assert_largest(edge.gradient, [recorded.edges[k].gradient for k in edge.stands_for])
            assert looks["color"] == scale.paint(edge.gradient).colour
            assert looks["penwidth"] == f"{scale.line_width(edge.gradient):.1f}"
            assert looks["style"] == scale.paint(edge.gradient).line


def assert_largest(norm, members):
    known = [member for member in members if member is not None]
    if any(map(math.isnan, known)):
        assert math.isnan(norm)
    else:
        assert norm == max(known, default=None)


@given(loops, st.sampled_from(VIEWS))
def test_everything_has_the_colour_of_its_gradient(loop, view):
    assert_coloured_by_gradient(tg.draw(scalar(unroll(loop)), view=view, gradients=True))


@given(programs, st.sampled_from([None, 1]))
def test_any_program_has_the_colours_of_its_gradients(program, steps):
    assert_coloured_by_gradient(tg.draw(scalar(run(program)), steps=steps, gradients=True))


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("backward", [False, True])
def test_a_gradient_that_is_no_number_shows_in_every_view(view, backward):
    u, w, h = (tg.Tensor(value, requires_grad=True, name=name) for value, name in ((2.0, "u"), (0.9, "w"), (1.0, "h0")))
    for t in reversed(range(4)) if backward else range(4):
        with tg.scope("h", step=t):
            h = w * h + u * np.float32(np.nan if t == 2 else 1.0)
    picture = tg.draw(h, view=view, gradients=True)
    assert_coloured_by_gradient(picture)
    assert NOT_FINITE.colour in picture.source
    assert re.search(r'label="u nan"', picture.source)


def test_a_net_without_gradients_flowing_is_all_pale():
    w = leaf("w")
    vertices, edges = statements(tg.draw((w * 0.0).sum() * 0.0, gradients=True).source)
    assert {looks["fillcolor"] for looks in vertices.values()} >= {NO_GRADIENT.colour}
    assert {looks["style"] for _, _, looks in edges} == {"solid", "dotted"} or edges[0][2]["style"] == "dotted"


# ------------------------------------------------------------------------------------------------- without


@given(loops, st.sampled_from(VIEWS))
def test_lines_and_boxes_look_as_what_they_are(loop, view):
    picture = tg.draw(unroll(loop), view=view)
    drawn, paints = picture.drawn.graph, leaf_paints(picture.graph, timeline(picture.graph))
    vertices, edges = statements(picture.source)
    for i, vertex in enumerate(drawn.vertices):
        looks = vertices[i]
        weight = paints.get(vertex.stands_for[0]) if vertex.operation is None and vertex.stands_for else None
        is_output = i == drawn.output[0]
        assert (looks.get("penwidth") == "2.5") == is_output
        assert looks.get("color", INK) == (INK if weight is None else weight.colour)
        if vertex.operation is None:
            dashed = not vertex.stands_for or (weight is not None and weight.line == "dashed")
            assert looks["style"] == ("filled,dashed" if dashed else "filled")
        if weight is not None and weight.line == "solid":
            assert looks["fillcolor"] == weight.colour
    column = {i: place and place.column for i, place in enumerate(picture.drawn.timeline.places)}
    for edge, (_, _, looks) in zip(drawn.edges, edges, strict=True):
        source = drawn.vertices[edge.source]
        weight = paints.get(source.stands_for[0]) if source.operation is None and source.stands_for else None
        assert looks["pos"].startswith("e,")  # the arrow is at its end
        if weight is not None:
            assert (looks["color"], looks["style"]) == (weight.colour, weight.line)
        elif not edge.stands_for:
            assert looks["style"] == "dashed"
        elif None not in (column[edge.source], column[edge.target]) and column[edge.source] != column[edge.target]:
            assert looks["color"] == INK  # from step to step


def test_leaves_of_one_colour_are_told_apart_by_their_boxes():
    """Seven colours, then the same as rims around white, then around grey."""
    weights, h = [leaf(f"w{k}") for k in range(21)], leaf("h0")
    for t in range(2):
        with tg.scope("cell", step=t):
            for weight in weights:
                h = h * weight
    picture = tg.draw(h.sum())
    vertices, _ = statements(picture.source)
    looks = {
        (vertices[i]["fillcolor"], vertices[i]["color"])
        for i, vertex in enumerate(picture.graph.vertices)
        if (vertex.name or "").startswith("w")
    }
    assert len(looks) == 21
    assert Counter(fill if fill in (PAPER, EDGE) else None for fill, _ in looks) == {None: 7, PAPER: 7, EDGE: 7}
    assert SOFT not in {colour for _, colour in looks}


def test_weights_that_steps_share_have_the_first_colours():
    before = [leaf(f"b{k}") for k in range(9)]
    h = sum(before)
    w = leaf("w")
    for t in range(3):
        with tg.scope("cell", step=t):
            h = np.tanh(h @ w)
    picture = tg.draw(h.sum())
    names = [picture.graph.vertices[i].name for i in leaf_paints(picture.graph, timeline(picture.graph))]
    assert names[0] == "w"


# ------------------------------------------------------------------------------------------------- tooltips


def tooltips(source, pattern):
    return [re.sub(r"\\n", "\n", found) for found in re.findall(rf'{pattern}[^\n]*tooltip="([^"]*)"', source)]


@given(loops, st.sampled_from(["cells", "rolled"]))
def test_tooltips_count_what_was_recorded(loop, view):
    picture = tg.draw(unroll(loop), view=view)
    _, edges = statements(picture.source)
    for edge, (_, _, looks) in zip(picture.drawn.graph.edges, edges, strict=True):
        count = len(edge.stands_for)
        told = re.search(r"([\d,]+) recorded edge(s?)(?:\\n|$)", looks["tooltip"])
        if told is None:
            assert count == (1 if "not recorded" not in looks["tooltip"] else 0)
        else:
            assert (int(told[1].replace(",", "")), told[2] == "s") == (count, count > 1)
        assert ("later" in looks["tooltip"]) == (edge.delay > 0)
        assert ("earlier" in looks["tooltip"]) == (edge.delay < 0)


def test_uses_of_a_weight_are_counted_in_its_tooltip():
    """Lecture, section 3, rolled: of u, v and w each step has one use; h and y are a box each."""
    u, v, w = (tg.Tensor(0.5, requires_grad=True, name=name) for name in "uvw")
    h, ys = tg.Tensor(0.0, requires_grad=True, name="h0"), []
    for t in range(7):
        with tg.scope("h", step=t):
            h = np.tanh(u * tg.Tensor(1.0, requires_grad=True, name=f"x{t}") + w * h)
        with tg.scope("y", step=t):
            ys.append(tg.functional.sigmoid(v * h))
    source = tg.draw(np.stack(ys).sum(), view="rolled").source
    told = {words for words in tooltips(source, '"weight') if "used" in words}
    assert told == {"u\nused 7 times", "v\nused 7 times", "w\nused 1 time", "w\nused 6 times"}  # w's first with h0
    _, edges = statements(source)
    words = {looks["tooltip"].replace("\\n", "\n") for _, _, looks in edges}
    assert {"h → h\nto the step 1 later\n6 recorded edges", "h → y\n7 recorded edges"} <= words


def test_a_use_of_a_weight_on_data_from_several_edges_says_so():
    """Its name is on each of them, but it is one use: w (a x) in each of three steps."""
    w, a = (tg.Tensor(0.5, requires_grad=True, name=name) for name in ("w", "a0"))
    for t in range(3):
        x = tg.Tensor(1.0, requires_grad=True, name=f"x{t}")
        with tg.scope("h", step=t):
            a = np.tanh(w * (a * x))
    told = [words for words in tooltips(tg.draw(a, view="cells").source, '"weight') if "used" in words]
    assert told == ["w\nused 1 time, on data that come by 2 edges"] * 6


@pytest.mark.parametrize(("start", "inputs"), [(0, 0), (100, 0), (-1, 0)])
def test_a_box_for_left_out_steps_counts_operations_and_their_steps(start, inputs):
    """Not leaves, nor the steps that these were made in."""
    w, h, xs = leaf("w"), leaf("h0"), []
    for t in range(10):
        with tg.scope("cell", step=start + t):
            xs.append(leaf(f"x{t}"))
    for t in range(10):
        with tg.scope("cell", step=t):
            h = np.tanh(w * h + xs[t])
    picture = tg.draw(h.sum(), steps=2)
    (box,) = (vertex for vertex in picture.drawn.graph.vertices if vertex.is_box)
    assert (box.operation, box.operations, box.steps, len(box.stands_for)) == ("… 6 steps", 18, 6, 24 + inputs)
    vertices, _ = statements(picture.source)
    assert vertices[picture.drawn.graph.vertices.index(box)]["label"] == r"… 6 steps\n18 operations in 6 steps"
    assert repr(picture) == "<Drawing nodes=43 edges=51 steps=10>"


def test_steps_of_a_decoder_are_counted_beside_its_encoders():
    w, h = leaf("w"), leaf("h0")
    for name, steps in (("encoder", 3), ("decoder", 4)):
        for t in range(steps):
            with tg.scope(name, step=t):
                h = np.tanh(h @ w)
    assert "steps=7>" in repr(tg.draw(h.sum()))


def test_a_window_of_steps_may_be_far_longer_than_the_net():
    w, h = leaf("w"), leaf("h0")
    for t in range(10):
        with tg.scope("cell", step=t):
            h = np.tanh(h @ w)
    assert not any(vertex.is_box for vertex in tg.draw(h.sum(), steps=range(10**12)).drawn.graph.vertices)


# ------------------------------------------------------------------------------------------------- how long it takes


def simple(length):
    u, w, h = leaf("u"), leaf("w"), leaf("h0")
    for t in range(length):
        with tg.scope("cell", step=t):
            h = np.tanh(leaf(f"x{t}") @ u + h @ w)
    return h


def far_reaching(length):
    """Each step uses a state from anywhere before it, too: lanes all over the picture."""
    w, v, states = leaf("w"), leaf("v"), [leaf("h0")]
    for t in range(length):
        with tg.scope("cell", step=t):
            states.append(np.tanh(states[-1] @ w + states[t * t * 7919 % (t + 1)] @ v))
    return states[-1]


def many_loops(length):
    """Each with an initial state of its own."""
    w, last = leaf("w"), []
    for k in range(length):
        h = leaf(f"h{k}")
        for t in range(2):
            with tg.scope(f"loop {k}", step=t):
                h = np.tanh(h @ w)
        last.append(h)
    return np.stack(last)


def lines_run(net, length, options):
    """How many lines of the package ``drawing`` it takes to draw a net of so many steps."""
    output = net(length).sum()
    folder, count = str(Path(drawing.__file__).parent), 0

    def local(frame, event, argument):
        nonlocal count
        count += event == "line"
        return local

    def entered(frame, event, argument):
        return local if frame.f_code.co_filename.startswith(folder) else None

    before = sys.gettrace()
    sys.settrace(entered)
    try:
        assert tg.draw(output, **options).source
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize(
    ("net", "options"),
    [
        *((simple, o) for o in ({}, {"view": "cells"}, {"view": "rolled"}, {"gradients": True}, {"steps": 3})),
        *((far_reaching, {"view": view}) for view in VIEWS),
        (simple, {"view": "cells", "steps": 3}),
        (many_loops, {}),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_work_grows_with_the_number_of_steps_not_with_its_square(net, options):
    """Ten times the steps, at most eleven times the lines of Python; where each finds its lane among many, thirteen."""
    few, many = lines_run(net, 20, options), lines_run(net, 200, options)
    assert many < (13 if net is far_reaching else 11) * few
