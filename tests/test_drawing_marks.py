"""What is written over a picture: delays, weights, their shares of the gradient; and what these stand beside."""

import re
from collections import Counter
from itertools import combinations, pairwise, permutations, product

import numpy as np
import pytest

pytest.importorskip("hypothesis", reason="property tests need the extra testing")
from drawing_programs import leaf, loops, unroll
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn.drawing.colours import GradientScale
from tinygrad_rnn.drawing.curves import Curve
from tinygrad_rnn.drawing.labels import NOTE_SIZE, width
from tinygrad_rnn.drawing.layout import lay_out_graph
from tinygrad_rnn.drawing.marks import delays
from tinygrad_rnn.drawing.model import recorded
from tinygrad_rnn.drawing.timeline import timeline
from tinygrad_rnn.drawing.views import cells, rolled, whole, without
from tinygrad_rnn.drawing.weight_names import _along, _stretches, pills
from tinygrad_rnn.drawing.words import Lettering, delay_words


def laid_out(output, fold, direction="LR"):
    graph = recorded(output)
    folded = fold(graph, timeline(graph))
    lettering = Lettering.of(folded, graph, None, False)
    return graph, folded, lay_out_graph(folded.graph, folded.timeline, direction, lettering), lettering


def chain(steps, *, back=(1,), start=("h-3", "h-2", "h-1")):
    """A net whose state is computed from those of these many steps before."""
    w, states = leaf("w"), [leaf(name) for name in start]
    for t in steps:
        with tg.scope("cell", step=t):
            states.append(np.tanh(sum(states[-delay] @ w for delay in back)))
    return states[-1].sum()


def delays_of(output, direction="LR"):
    """The words and places of all delays on a rolled picture."""
    source = tg.draw(output, view="rolled", direction=direction).source
    marks = re.findall(r'"delay \d+ words" \[label="([^"]*)" pos="([-\d.]+),([-\d.]+)"', source)
    return [(words, (float(x), float(y))) for words, x, y in marks]


# ------------------------------------------------------------------------------------------------- delays


@pytest.mark.parametrize("direction", ["LR", "TB"])
@pytest.mark.parametrize("back", [(1,), (2,), (1, 2), (1, 3), (1, 2, 3)])
def test_each_delay_has_a_mark_of_its_own(back, direction):
    output = chain(range(8), back=back)
    _, folded, layout, _ = laid_out(output, rolled, direction)
    drawn = list(delays(folded.graph, layout))
    for (_, words), (square, _) in permutations(drawn, 2):  # no square lies on another one's word
        assert not overlap(around(words.place, (width(words.text, NOTE_SIZE), NOTE_SIZE)), square)
    marks = delays_of(output, direction)
    assert sorted(words for words, _ in marks) == [f"t − {delay}" for delay in back]
    for (one, (x, y)), (_, (u, v)) in combinations(marks, 2):  # no word lies on another, or on its line
        assert abs(y - v) > NOTE_SIZE or abs(x - u) > width(one, NOTE_SIZE)


def clockwork(steps=9, period=3):
    """A net of two parts, one of which moves at every third step only (Koutník and others, 2014)."""
    fast_w, slow_w, fast, slow = leaf("fast"), leaf("slow"), leaf("fast0"), leaf("slow0")
    for t in range(steps):
        with tg.scope("fast", step=t):
            fast = np.tanh(fast @ fast_w + slow)
        if t % period == period - 1:
            with tg.scope("slow", step=t):
                slow = np.tanh(slow @ slow_w + fast)
    return (fast + slow).sum()


def lies_on(place, curve):
    """Is it a point of a straight stretch of a curve?"""
    (x, y), close = place, 0.5
    return any(
        (abs(a - c) < close and abs(x - a) < close and min(b, d) <= y <= max(b, d))
        or (abs(b - d) < close and abs(y - b) < close and min(a, c) <= x <= max(a, c))
        for (a, b), (c, d) in pairwise(curve.points)
    )


@pytest.mark.parametrize("direction", ["LR", "TB"])
@pytest.mark.parametrize("net", [clockwork, lambda: chain(range(8), back=(1, 2, 3)), lambda: layers("LSTM")])
def test_every_line_through_time_has_its_mark_on_it(net, direction):
    _, folded, layout, _ = laid_out(net(), rolled, direction)
    marks = [((a + c) / 2, (b + d) / 2, words.text) for (a, b, c, d), words in delays(folded.graph, layout)]
    late = [edge for edge in folded.graph.edges if edge.delay]
    assert late
    for edge in late:
        on_it = {text for x, y, text in marks if lies_on((x, y), layout.curves[edge.slot])}
        assert on_it == {delay_words(edge)}


@pytest.mark.parametrize(
    ("steps", "words", "tooltip"),
    [
        (range(0, 50, 10), "t − 10", "to the step 10 later"),
        ((3, 10, 100), "t − 7 … 90", "to a step 7 to 90 later"),
        (range(3, -1, -1), "t + 1", "to the step 1 earlier"),
        (range(40, -1, -20), "t + 20", "to the step 20 earlier"),
    ],
)
def test_delays_are_told_in_the_steps_own_numbers(steps, words, tooltip):
    output = chain(steps)
    assert [word for word, _ in delays_of(output)] == [words]
    assert tooltip in tg.draw(output, view="rolled").source


@pytest.mark.parametrize("back", [(2, 5), (1, 5), (2, 3), (3,), (10, 11, 12)])
@pytest.mark.parametrize("by", [1, 2, -1, -3])
def test_steps_that_the_output_does_not_need_change_no_delay(back, by):
    """Nothing is recorded of them; h[t] is still computed from as long ago."""
    weights, states = {k: leaf(f"w{k}") for k in back}, []
    for i in range(26):
        with tg.scope("cell", step=i * by):
            z = leaf(f"x{i}")
            for k in back:
                z = z + weights[k] @ states[i - k] if i >= k else z
            states.append(np.tanh(z))
    picture = tg.draw(states[-1].sum(), view="rolled")
    words = sorted(words for words, _ in delays_of(states[-1].sum()))
    assert words == sorted(f"t {'−' if by > 0 else '+'} {k * abs(by)}" for k in back)
    loops = [edge for edge in picture.drawn.graph.edges if edge.delay]
    for edge in loops:
        ends = {(picture.graph.edges[n].source, picture.graph.edges[n].target) for n in edge.stands_for}
        steps = {picture.graph.vertices[b].step - picture.graph.vertices[a].step for a, b in ends}
        assert steps == {edge.delay}
    assert len(loops) == len(back)


def test_layers_run_by_hand_have_their_delays_one_above_the_other():
    weights = [leaf(f"w{k}") for k in range(5)]
    states = [leaf(f"h{k}") for k in range(5)]
    for t in range(3):
        x = leaf(f"x{t}")
        for k in range(5):
            with tg.scope(f"layer {k}", step=t):
                x = states[k] = np.tanh(x + states[k] @ weights[k])
    marks = delays_of(x.sum())
    assert [words for words, _ in marks] == ["t − 1"] * 5
    heights = sorted(y for _, (_, y) in marks)
    assert min(np.diff(heights)) > NOTE_SIZE


# ------------------------------------------------------------------------------------------------- initial states


@pytest.mark.parametrize("fold", [cells, rolled])
def test_initial_states_used_by_several_steps_are_no_weights(fold):
    """Of h[t] = tanh(h[t-1] A + h[t-2] B), whose states are all used once more in the end."""
    a, b, states = leaf("A"), leaf("B"), [leaf("h-2"), leaf("h-1")]
    for t in range(5):
        with tg.scope("cell", step=t):
            states.append(np.tanh(states[-1] @ a + states[-2] @ b))
    graph, folded, layout, _ = laid_out(np.stack(states).sum(), fold)
    assert {graph.vertices[tag.leaf].name for tag in folded.tags} == {"A", "B"}
    assert all(tag.slot is not None and tag.at_end for tag in folded.tags)  # on edges into the box
    drawn = {vertex.name: i for i, vertex in enumerate(folded.graph.vertices) if vertex.operation is None}
    assert drawn.keys() == {"h-2", "h-1"}
    first = min(left for _, (left, *_), _ in layout.columns)
    assert all(layout.centres[i][0] < first for i in drawn.values())  # before the loop
    (x, y), (u, v) = (layout.centres[i] for i in drawn.values())
    assert x == u  # one above the other
    assert y != v


@pytest.mark.parametrize("fold", [whole, cells])
def test_a_backward_loop_begins_on_the_right(fold):
    w, h = leaf("w"), leaf("h0")
    for t in reversed(range(4)):
        with tg.scope("cell", step=t):
            h = np.tanh(h @ w)
    _, folded, layout, _ = laid_out(h.sum(), fold)
    named = {vertex.name: i for i, vertex in enumerate(folded.graph.vertices)}
    assert layout.centres[named["h0"]][0] > max(right for _, (_, _, right, _), _ in layout.columns)
    arriving = [(curve.tip, curve.points[-1]) for curve in layout.curves.values()]
    for curve in layout.curves.values():  # none leaves where another arrives
        assert all(np.hypot(*np.subtract(curve.points[0], tip)) > 3 for tip, _ in arriving)


# ------------------------------------------------------------------------------------------------- weights


def around(centre, size):
    (x, y), (w, h) = centre, size
    return x - w / 2, y - h / 2, x + w / 2, y + h / 2


def overlap(one, other):
    (a, b, c, d), (e, f, g, h) = one, other
    return a < g and e < c and b < h and f < d


def attention():
    q, k, h = leaf("Wq"), leaf("Wk"), leaf("h0")
    states = [h]
    for t in range(4):
        with tg.scope("attend", step=t):
            memory = np.concatenate(states)
            found = tg.functional.softmax((h @ q) @ (memory @ k).T) @ memory
        with tg.scope("cell", step=t):
            h = np.tanh(found + h)
            states.append(h)
    return h.sum()


def layers(kind, **options):
    tg.manual_seed(0)
    out, _ = getattr(tg.nn, kind)(3, 4, **options)(np.ones((3, 2, 3), np.float32))
    return (out**2).sum()


NETS = {
    "attention": attention,
    "two delays": lambda: chain(range(5), back=(1, 2)),
    "LSTM": lambda: layers("LSTM", num_layers=2),
    "both ways": lambda: layers("GRU", bidirectional=True),
}


@pytest.mark.parametrize("direction", ["LR", "TB"])
@pytest.mark.parametrize("fold", [cells, rolled])
@pytest.mark.parametrize("net", NETS)
def test_names_of_weights_keep_off_boxes_titles_and_each_other(net, fold, direction):
    _, folded, layout, lettering = laid_out(NETS[net](), fold, direction)
    on_edges = [
        pill for pill in pills(folded, layout, lettering) if pill.leaf in {t.leaf for t in folded.tags if t.slot}
    ]
    in_boxes = {tag.leaf for tag in folded.tags if tag.slot is None}
    areas = [around(pill.centre, (pill.width, pill.height)) for pill in on_edges if pill.leaf not in in_boxes]
    assert areas
    assert not any(overlap(one, other) for one, other in combinations(areas, 2))
    boxes = [around(layout.centres[i], layout.sizes[i]) for i in layout.centres]
    titles = [around(column.middle, (30, 10)) for column in layout.columns]
    assert not any(overlap(area, other) for area in areas for other in (*boxes, *titles))


def test_names_of_weights_keep_off_the_lines_beside_them():
    """Where a loop runs backward, its state comes in and its output leaves on the same side."""
    w, h, states = leaf("w"), leaf("h0"), []
    for t in reversed(range(4)):
        with tg.scope("cell", step=t):
            h = np.tanh(h @ w)
            states.append(h)
    _, folded, layout, lettering = laid_out(np.stack(states).sum(), cells)
    areas = [around(pill.centre, (pill.width, pill.height)) for pill in pills(folded, layout, lettering)]
    own = {tag.slot for tag in folded.tags}
    level = [
        (min(x, u), y - 0.5, max(x, u), y + 0.5)
        for slot, curve in layout.curves.items()
        for (x, y), (u, v) in pairwise(curve.points)
        if abs(y - v) < 0.5 and x != u and slot not in own
    ]
    assert len(areas) == 4
    assert level
    assert not any(overlap(area, line) for area in areas for line in level)


def test_a_line_over_a_box_does_not_seem_to_come_from_it():
    """The encoder's last state goes over the stack of all of them to the decoder, where other lines begin as high."""
    e, d, h, states = leaf("E"), leaf("D"), leaf("h0"), []
    for t in range(3):
        with tg.scope("encoder", step=t):
            h = np.tanh(h @ e)
            states.append(h)
    memory = np.concatenate(states)
    for t in range(3):
        with tg.scope("attend", step=t):
            found = memory.mean(axis=0) * h
        with tg.scope("decoder", step=t):
            h = np.tanh(h @ d + found)
        with tg.scope("out", step=t):
            states.append(h * 2.0)
    _, folded, layout, _ = laid_out(np.stack(states[3:]).sum(), cells)
    named = [vertex.operation or vertex.name for vertex in folded.graph.vertices]
    (source,) = (i for i, name in enumerate(named) if name == "concatenate")
    begin = {layout.curves[edge.slot].points[0][1] for edge in folded.graph.edges if edge.source == source}
    over = [
        layout.curves[edge.slot].tip[1]
        for edge in folded.graph.edges
        if named[edge.source] == "encoder" and named[edge.target] in ("decoder", "attend")
    ]
    assert over
    assert all(abs(end - y) >= 4 for end in over for y in begin)


def inside_of(area, curve):
    """How many of the points along a curve lie in a box?"""
    left, lower, right, upper = area
    return sum(left < x < right and lower < y < upper for x, y in along(curve))


def own_and_beside(folded):
    """For each weight the edges that it is written on, and those that lead from the same box to the same."""
    source = {edge.slot: edge.source for edge in folded.graph.edges}
    found = {}
    for tag in folded.tags:
        those = [slot for slot in source if tag.slot and (source[slot], slot[0]) == (source[tag.slot], tag.slot[0])]
        found.setdefault(tag.leaf, set()).update(those or [None])
    return found


@pytest.mark.parametrize("direction", ["LR", "TB"])
@pytest.mark.parametrize("fold", [cells, rolled])
@pytest.mark.parametrize("net", ["attention", "two delays", "LSTM", "clockwork", "early inputs"])
def test_names_of_weights_keep_off_lines_that_are_not_theirs(net, fold, direction):
    _, folded, layout, lettering = laid_out({**NETS, **LOOPS}[net](), fold, direction)
    slots = own_and_beside(folded)
    written = [pill for pill in pills(folded, layout, lettering) if None not in slots[pill.leaf]]
    assert written
    for pill in written:
        others = {slot: curve for slot, curve in layout.curves.items() if slot not in slots[pill.leaf]}
        assert not [slot for slot, curve in others.items() if inside_of(pill.area, curve)]


def early_inputs(steps=6):
    """Of z[t] = u x[t] + w1 h[t-1] + w2 h[t-2], whose first two steps have no such states: three kinds of inputs."""
    u, w1, w2, states = leaf("u"), leaf("w1"), leaf("w2"), []
    for t in range(steps):
        with tg.scope("cell", step=t):
            z = leaf(f"x{t}") @ u
            if t >= 1:
                z = z + states[-1] @ w1
            if t >= 2:
                z = z + states[-2] @ w2
            states.append(np.tanh(z))
    return states[-1].sum()


LOOPS = {"clockwork": clockwork, "early inputs": early_inputs}


@pytest.mark.parametrize("direction", ["LR", "TB"])
@pytest.mark.parametrize("gradients", [False, True])
def test_a_weight_is_written_on_each_edge_from_below_nearest_to_it(gradients, direction):
    """And with the share of the gradient of that edge's own uses."""
    picture = tg.draw(early_inputs(), view="rolled", gradients=gradients, direction=direction)
    lettering = Lettering.of(picture.drawn, picture.graph, GradientScale.of([1.0]) if gradients else None, False)
    layout = lay_out_graph(picture.drawn.graph, picture.drawn.timeline, direction, lettering)
    named = [vertex.name for vertex in picture.graph.vertices]
    tags = {tag.slot: tag for tag in picture.drawn.tags if named[tag.leaf] == "u"}
    assert sorted(len(tag.uses) for tag in tags.values()) == [1, 1, 4]
    written = [pill for pill in pills(picture.drawn, layout, lettering) if named[pill.leaf] == "u"]
    assert len(written) == 3
    for pill in written:
        beside = min(tags, key=lambda slot: distance(pill.centre, layout.curves[slot]))
        assert pill.text == lettering.pill(tags.pop(beside))


def along(curve, count=20):
    """Points along a curve, by de Casteljau's construction."""
    points = np.array(curve.points)
    for i in range(0, len(points) - 1, 3):
        for k in range(count + 1):
            part = points[i : i + 4]
            while len(part) > 1:
                part = part[:-1] + (part[1:] - part[:-1]) * k / count
            yield tuple(part[0])
    for k in range(count + 1):
        yield tuple(points[-1] + (np.array(curve.tip) - points[-1]) * k / count)


def distance(place, curve):
    """From a place to the nearest point of a curve."""
    return min(np.hypot(x - place[0], y - place[1]) for x, y in along(curve))


@pytest.mark.parametrize("direction", ["LR", "TB"])
def test_a_weight_used_twice_in_a_row_stands_at_both_edges(direction):
    """Where there is no time."""
    w = leaf("W")
    output = np.tanh(np.ones(w.shape[0]) @ w @ w).sum()
    _, folded, layout, lettering = laid_out(output, rolled, direction)
    written, slots = list(pills(folded, layout, lettering)), [tag.slot for tag in folded.tags]
    assert len(written) == len(slots) == 2
    nearest = {min(slots, key=lambda slot: distance(pill.centre, layout.curves[slot])) for pill in written}
    assert nearest == set(slots)
    assert all(min(distance(pill.centre, layout.curves[slot]) for slot in slots) < pill.width for pill in written)


@pytest.mark.parametrize("direction", ["LR", "TB"])
def test_names_of_weights_on_one_edge_stand_one_below_the_other(direction):
    """Where two edges from below bear names, each has room for all of its own."""
    a, b, c, h = leaf("a"), leaf("b"), leaf("c"), leaf("h0")
    for t in range(3):
        x, z = leaf(f"x{t}"), leaf(f"z{t}")
        with tg.scope("cell", step=t):
            h = np.tanh(x @ a + x @ b + z @ c + h)
    graph, folded, layout, lettering = laid_out(h.sum(), cells, direction)
    named = {}
    for pill in pills(folded, layout, lettering):
        named.setdefault(graph.vertices[pill.leaf].name, []).append(pill)
    assert {name: len(those) for name, those in named.items()} == {"a": 3, "b": 3, "c": 3}
    for one, other in zip(named["a"], named["b"], strict=True):
        assert one.centre[0] == pytest.approx(other.centre[0])
        assert 0 < one.centre[1] - other.centre[1] < 2 * one.height


@pytest.mark.parametrize("direction", ["LR", "TB"])
@pytest.mark.parametrize("fold", [cells, rolled])
@pytest.mark.parametrize("net", ["attention", "two delays", "LSTM", "both ways", "clockwork", "early inputs"])
def test_names_of_weights_stand_on_their_edges_or_close_beside_them(net, fold, direction):
    _, folded, layout, lettering = laid_out({**NETS, **LOOPS}[net](), fold, direction)
    own = own_and_beside(folded)
    written = [pill for pill in pills(folded, layout, lettering) if None not in own[pill.leaf]]
    assert written
    for pill in written:
        near = min(distance(pill.centre, layout.curves[slot]) for slot in own[pill.leaf])
        bunch = max(len(bunch.tags) for bunch in lettering.bunches.values() if bunch.slot in own[pill.leaf])
        assert near < max(pill.height, pill.width) / 2 + 3 + (bunch - 1) * 13
        others = [curve for slot, curve in layout.curves.items() if slot not in own[pill.leaf]]
        if bunch == 1:
            assert all(near < distance(pill.centre, curve) for curve in others)


def test_sixteen_weights_on_one_edge_are_all_to_be_seen():
    weights, h = [leaf(f"w{k}") for k in range(16)], leaf("h0")
    for t in range(3):
        with tg.scope("cell", step=t):
            h = np.tanh(sum(h @ w for w in weights))
    for direction, fold in product(("LR", "TB"), (cells, rolled)):
        graph, folded, layout, lettering = laid_out(h.sum(), fold, direction)
        written = list(pills(folded, layout, lettering))
        names = Counter(graph.vertices[pill.leaf].name for pill in written)
        assert names == {f"w{k}": 3 if fold is cells else 2 for k in range(16)}
        assert not any(overlap(one.area, other.area) for one, other in combinations(written, 2))


def test_a_line_that_edges_share_is_told_apart_where_they_part():
    a, b, c = (1, 0), (2, 0), (3, 0)
    found = list(_stretches([(4.0, 5.0, c), (0.0, 2.0, a), (1.0, 3.0, b), (2.0, 3.0, a)]))
    assert [(low, high, set(owners)) for low, high, owners in found] == [
        (0.0, 1.0, {a}),
        (1.0, 2.0, {a, b}),
        (2.0, 3.0, {a, b}),
        (4.0, 5.0, {c}),
    ]
    (many,) = _stretches([(0.0, 1.0, (k, 0)) for k in range(100)])
    assert many.owners is None
    assert many.is_others({(1, 0)})
    assert not many.is_others({(k, 0) for k in range(100)})


@pytest.mark.parametrize("from_end", [False, True])
def test_places_along_a_curve_lie_on_it_in_order(from_end):
    curve = Curve([(0.0, 0.0), (0.0, 30.0), (60.0, 30.0), (60.0, 90.0)], (60.0, 100.0))
    places = [place for place, _, _ in _along(curve, from_end)]
    assert len(places) > 15
    fine = np.array(list(along(curve, 1000)))
    assert all(np.hypot(*(fine - place).T).min() < 0.5 for place in places)
    start = curve.tip if from_end else curve.points[0]
    assert distance(start, Curve([places[0]] * 4, places[0])) == pytest.approx(5.0, abs=0.1)
    assert all(4.8 < np.hypot(x - u, y - v) < 5.1 for (x, y), (u, v) in pairwise(places))


@given(loops, st.sampled_from([cells, rolled]))
def test_a_weight_is_written_once_at_each_side_of_a_box(loop, fold):
    _, folded, layout, lettering = laid_out(unroll(loop), fold)
    written = list(pills(folded, layout, lettering))
    assert {pill.leaf for pill in written} == {tag.leaf for tag in folded.tags}
    sides = {(t.leaf, t.slot[0] if t.at_end else -1, layout.curves[t.slot].tip) for t in folded.tags if t.slot}
    inside = Counter(tag.leaf for tag in folded.tags if tag.slot is None)
    for weight, count in Counter(pill.leaf for pill in written).items():
        assert inside[weight] <= count <= inside[weight] + len([side for side in sides if side[0] == weight])


def test_weights_of_one_colour_are_told_apart():
    """Seven colours, then the same as rims."""
    weights, h = [leaf(f"w{k}") for k in range(15)], leaf("h0")
    for t in range(3):
        with tg.scope("cell", step=t):
            for weight in weights:
                h = h * weight
    source = tg.draw(h.sum(), view="cells").source
    looks, rim = {}, None
    for line in re.findall(r'"weight \d+" -> .*', source):
        name, colour = re.search(r'label="(w\d+)"', line), re.search(r'\bcolor="(#\w+)"', line)[1]
        if name is None:
            assert 'class="rim"' in line
            rim = colour
        else:
            looks[name[1]], rim = (rim, colour), None
    assert len(looks) == 15
    assert len(set(looks.values())) == 15


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_each_use_of_a_weight_has_its_share_of_the_gradient_written_beside_it(kind):
    picture = tg.draw(layers(kind), gradients=True)
    uses = [
        edge
        for edge in picture.graph.edges
        if (picture.graph.vertices[edge.source].name or "").endswith("hh_l0")
        and picture.graph.vertices[edge.target].step is not None
    ]
    assert len(uses) == {"RNN": 3, "LSTM": 3, "GRU": 6}[kind]
    written = re.findall(r'n\d+ -> n\d+ \[[^\n]*label="(?:\w+ )?([-\de.]+)"', picture.source)
    assert len(written) == len(uses)
    for share, edge in zip(map(float, written), uses, strict=True):
        assert share == pytest.approx(edge.gradient, rel=0.06, abs=1e-12)


@pytest.mark.parametrize("fold", [cells, rolled])
def test_two_lines_from_one_box_to_another_are_told_apart(fold):
    """The two states of an LSTM."""
    _, folded, layout, _ = laid_out(NETS["LSTM"](), fold)
    tips = {}
    for edge in folded.graph.edges:
        if edge.stands_for and folded.graph.vertices[edge.source].is_box:
            tips.setdefault((edge.source, edge.target), []).append(layout.curves[edge.slot].tip)
    several = [ends for ends in tips.values() if len(ends) > 1]
    assert several
    assert all(np.hypot(*np.subtract(one, other)) >= 4 for ends in several for one, other in combinations(ends, 2))


@given(loops, st.sampled_from([whole, cells, rolled]))
def test_frames_of_steps_hold_what_is_in_them_and_no_more(loop, fold):
    _, folded, layout, _ = laid_out(unroll(loop), fold)
    time = folded.timeline
    steps = {column.steps: column.box for column in layout.columns}
    held = {box: [] for box in steps.values()}
    for i, place in enumerate(time.places):
        if place is not None and time.in_time(place):
            box = steps[time.columns[place.column].steps]
            own = around(layout.centres[i], layout.sizes[i])
            assert overlap(own, box)
            assert own[0] >= box[0] and own[1] >= box[1] and own[2] <= box[2] and own[3] <= box[3]  # noqa: PT018
            held[box].append(own)
    tallest = max(max(own[3] for own in inside) - min(own[1] for own in inside) for inside in held.values() if inside)
    assert all(box[3] - box[1] <= tallest + 160 for box in held)  # beside them leaves, and ways around


# ------------------------------------------------------------------------------------------------- modules


@pytest.mark.parametrize("fold", [cells, rolled])
def test_a_module_of_one_operation_keeps_its_name(fold):
    h = leaf("h0")
    for t in range(3):
        with tg.scope("decay", step=t):
            h = h * 0.5
    _, folded, *_ = laid_out(h.sum(), fold)
    assert {vertex.operation for vertex in folded.graph.vertices if vertex.is_box} == {"decay"}


def test_a_layer_alone_has_no_frame():
    """Its columns are its frame; what it does before and after its steps is told by tooltips."""
    _, _, layout, _ = laid_out(layers("RNN"), whole)
    assert layout.frames == []


def test_steps_left_out_change_no_frame():
    model = tg.nn.RNN(3, 4)
    with tg.scope("model"):
        out, _ = model(np.ones((6, 2, 3), np.float32))
    frames = set()
    for fold in (whole, lambda graph, time: without(graph, time, [1, 6])):
        _, _, layout, _ = laid_out(out.sum(), fold)
        frames.add(tuple(sorted({frame.name for frame in layout.frames})))
    assert len(frames) == 1
