"""Where pictures put loops: further layers above, what begins with another's last state to its right."""

from collections import Counter

import numpy as np
import pytest

pytest.importorskip("hypothesis", reason="property tests need the extra testing")
from drawing_programs import leaf, loops, programs, run, unroll
from hypothesis import assume, given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn.drawing.model import recorded
from tinygrad_rnn.drawing.timeline import timeline

X = np.ones((4, 2, 3), np.float32)


def placed(output):
    """Operations by place, and the columns' steps."""
    graph = recorded(output)
    time = timeline(graph)
    found = {}
    for vertex, place in zip(graph.vertices, time.places, strict=True):
        assert (place is None) == (vertex.operation is None)
        if place is not None:
            found.setdefault(place, []).append(vertex)
    return found, [column.steps for column in time.columns]


def paths_by_row(found):
    rows = {}
    for place, vertices in found.items():
        if any(vertex.step is not None for vertex in vertices):
            rows.setdefault(place.row, set()).update(vertex.path for vertex in vertices if vertex.step is not None)
    return [rows[row] for row in sorted(rows)]


def bands(found):
    """What stands on bands, from below."""
    return [[vertex.operation for vertex in found[place]] for place in sorted(found, key=lambda p: p.row) if place.band]


@given(programs)
def test_each_step_has_its_column_in_any_program(program):
    found, columns = placed(run(program))
    for place, vertices in found.items():
        for vertex in vertices:
            assert vertex.step is None or (columns[place.column] == (vertex.step,) and not place.band)
    for place in found:
        assert not place.band or columns[place.column]
    rows = {place.row for place in found}
    assert rows == set(range(len(rows)))


@given(loops)
def test_one_loop_is_one_row_of_columns(loop):
    found, columns = placed(unroll(loop))
    steps = [steps for steps in columns if steps]
    assert steps == sorted(steps)
    assert len({place.row for place, vertices in found.items() if any(v.step is not None for v in vertices)}) <= 1


def test_layers_stand_above_each_other_with_bands_between():
    with tg.unrolled():
        output, _ = tg.nn.RNN(3, 4, num_layers=2, bias=False)(X)
    found, columns = placed(output.sum())
    assert columns == [(), (0,), (1,), (2,), (3,), ()]
    assert paths_by_row(found) == [{"layer 0"}, {"layer 1"}]
    assert bands(found) == [["linear"], ["stack", "linear"]]


def test_both_directions_share_columns():
    with tg.unrolled():
        output, _ = tg.nn.RNN(3, 4, bidirectional=True, bias=False)(X)
    found, columns = placed(output.sum())
    assert columns == [(), (0,), (1,), (2,), (3,), ()]
    assert paths_by_row(found) == [{"layer 0"}, {"layer 0 reverse"}]


@pytest.mark.parametrize("steps", [1, 3])
def test_layers_of_one_step_and_loops_by_hand_stand_above_each_other(steps):
    xs, w = [leaf(f"x{t}") for t in range(steps)], leaf("w")
    for k in range(3):
        h = np.zeros((2, 2))
        for t in range(steps):
            with tg.scope(f"layer {k}", step=t):
                xs[t] = h = np.tanh(xs[t] @ w + h)
    found, columns = placed(xs[-1].sum())
    assert columns == [(), *((t,) for t in range(steps)), ()]
    assert paths_by_row(found) == [{"layer 0"}, {"layer 1"}, {"layer 2"}]
    assert bands(found) == []


def encoder_decoder(first, second, same_path=False):
    w, h, outputs = leaf("w"), leaf("h0"), []
    for t in range(first):
        with tg.scope("net" if same_path else "encoder", step=t):
            h = np.tanh(h @ w)
            outputs.append(h)
    memory = np.stack(outputs).sum(axis=0)
    for t in range(second):
        with tg.scope("net" if same_path else "decoder", step=t):
            h = np.tanh(h @ w + memory)
    return h.sum()


@pytest.mark.parametrize("same_path", [False, True])
def test_decoder_stands_right_of_its_encoder(same_path):
    """Also where a second pass of the same net goes on with the state of the first, and where all steps are read."""
    found, columns = placed(encoder_decoder(3, 2, same_path))
    assert columns == [(), (0,), (1,), (2,), (), (0,), (1,), ()]
    between = [vertex.operation for place, vertices in found.items() if place.column == 4 for vertex in vertices]
    assert between == ["stack", "sum"]
    assert not bands(found)


def test_cells_called_in_turns_are_one_loop():
    w, states = leaf("w"), [leaf("a"), leaf("b")]
    for t in range(3):
        x = np.ones((2, 2))
        for k in range(2):
            with tg.scope(f"cell {k}", step=t):
                x = states[k] = np.tanh(x @ w + states[k])
    found, _ = placed(x.sum())
    assert paths_by_row(found) == [{"cell 0", "cell 1"}]


def test_seq2seq_reads_from_left_to_right():
    tg.manual_seed(0)
    net = tg.nn.Seq2Seq(tg.nn.Encoder(6, 3, 4, num_layers=2), tg.nn.Decoder(6, 3, 4, num_layers=2), end_token=0)
    found, columns = placed(net.loss(np.array([[1], [2], [3]]), np.array([[4], [0]])))
    steps = [steps for steps in columns if steps]
    assert steps == [(0,), (1,), (2,), (0,), (1,)]
    encoders = {place.column for place, vs in found.items() if any(v.path.startswith("encoder") for v in vs)}
    decoders = {place.column for place, vs in found.items() if any(v.path.startswith("decoder/rnn/layer") for v in vs)}
    assert max(encoders) <= 4 < min(decoders)


def test_truncated_net_is_one_row():
    w = leaf("w")
    _, ys = tg.scan(lambda h, x: (np.tanh(h @ w + x),) * 2, tg.Tensor(np.zeros((2, 2))), np.ones((6, 2, 2)), truncate=2)
    found, columns = placed(ys.sum())
    assert columns == [(), (0,), (1,), (2,), (3,), (4,), (5,), ()]
    assert {place.row for place in found} == {0}


nested = st.tuples(
    st.integers(2, 4),  # steps of the outer loop
    st.integers(1, 4),  # of the inner one
    st.sampled_from(("before", "after", "both")),  # where the outer loop does something itself
    st.booleans(),  # is the inner loop's module within the outer loop's?
    st.booleans(),  # do both count down?
)


def run_nested(outer, inner, where, within, down):
    w, v, c = leaf("w"), leaf("v"), leaf("c0")
    for i in reversed(range(outer)) if down else range(outer):
        if where != "after":
            with tg.scope("outer", step=i):
                c = np.tanh(c @ v)
        h = c
        for t in reversed(range(inner)) if down else range(inner):
            with tg.scope("outer/inner" if within else "inner", step=t):
                h = np.tanh(h @ w)
        if where != "before":
            with tg.scope("outer", step=i):
                c = h @ v + c
        else:
            c = h
    return c.sum()


@given(nested)
def test_a_loop_within_a_loop_runs_one_way(program):
    """Nothing stands before what it was computed from, and no column is two moments of the inner loop."""
    outer, inner, _, _, down = program
    assume(inner > 1 or outer > 2)  # twice one step of the same number may as well be one step
    graph = recorded(run_nested(*program))
    time = timeline(graph)
    column = [place and place.column for place in time.places]
    for edge in graph.edges:
        start, end = column[edge.source], column[edge.target]
        if start is not None and end is not None:
            one_pass = bool(time.columns[start].steps) and time.columns[start].phase == time.columns[end].phase
            assert start >= end if down and one_pass else start <= end
    held = Counter(k for k, vertex in zip(column, graph.vertices, strict=True) if "inner" in vertex.path)
    assert list(held.values()) == [2] * outer * inner  # a product and a tanh
    others = {k for k, vertex in zip(column, graph.vertices, strict=True) if vertex.path == "outer"}
    assert others
    assert others.isdisjoint(held)


def test_a_module_in_some_of_the_steps_is_no_inner_loop():
    """It has something of the same loop before it and after it."""
    w, a, h = leaf("w"), leaf("a"), leaf("h0")
    for t in range(8):
        if 3 <= t < 6:
            with tg.scope("attention", step=t):
                h = h @ a
        with tg.scope("cell", step=t):
            h = np.tanh(h @ w)
    found, columns = placed(h.sum())
    assert [steps for steps in columns if steps] == [(t,) for t in range(8)]
    assert paths_by_row(found) == [{"cell", "attention"}]


@pytest.mark.parametrize("steps", [range(6), range(5, -1, -1)])
def test_a_module_in_one_step_alone_is_no_inner_loop(steps):
    w, a, h = leaf("w"), leaf("a"), leaf("h0")
    for t in steps:
        if t == 3:
            with tg.scope("attention", step=t):
                h = h @ a
        with tg.scope("cell", step=t):
            h = np.tanh(h @ w)
    found, columns = placed(h.sum())
    assert [steps for steps in columns if steps] == [(t,) for t in range(6)]
    assert paths_by_row(found) == [{"cell", "attention"}]


def test_what_two_outer_modules_do_between_inner_passes_shares_a_column():
    """Before the first pass, between two, and after the last one, where one of them does more in one step."""
    w, h = leaf("w"), leaf("h0")
    for i in range(4):
        with tg.scope("read", step=i):
            h = h * 0.5
        with tg.scope("attend", step=i):
            h = np.tanh(h)
        if i == 1:
            with tg.scope("once", step=i):
                h = h @ h
        if i == 3:
            break
        for t in range(3):
            with tg.scope("inner", step=t):
                h = np.tanh(h @ w)
    found, columns = placed(h.sum())
    seen = [(columns[place.column], {vertex.path for vertex in found[place]}) for place in sorted(found)]
    inner = [((t,), {"inner"}) for t in range(3)]
    outer = [((i,), {"read", "attend"} | ({"once"} if i == 1 else set())) for i in range(4)]
    assert [one for one in seen if one[0]] == [outer[0], *inner, outer[1], *inner, outer[2], *inner, outer[3]]


@pytest.mark.parametrize("lengths", [(1, 1, 1), (2, 1, 3), (1, 2, 1, 1, 3), (3, 1, 1)])
@pytest.mark.parametrize("down", [False, True])
def test_inner_loops_of_one_step_are_loops_too(lengths, down):
    """As where words are read letter by letter."""
    w, v, h = leaf("w"), leaf("v"), leaf("h0")
    words = list(enumerate(lengths))
    for i, length in words[::-1] if down else words:
        for t in range(length):
            with tg.scope("letters", step=t):
                h = np.tanh(h @ w)
        with tg.scope("words", step=i):
            h = h @ v
    found, columns = placed(h.sum())
    seen = [(columns[place.column], {vertex.path for vertex in found[place]}) for place in sorted(found)]
    expected = []
    for i, length in words[::-1] if down else words:
        expected += [*(((t,), {"letters"}) for t in range(length)), ((i,), {"words"})]
    assert [one for one in seen if one[0]] == expected


def test_an_inner_module_that_comes_back_in_each_step_is_within_its_loop():
    w, v, h = leaf("w"), leaf("v"), leaf("h0")
    for i in range(3):
        for t in range(2):
            with tg.scope("a", step=t):
                h = h @ w
            with tg.scope("b", step=t):
                h = np.tanh(h)
            with tg.scope("a", step=t):
                h = h + 1.0
        with tg.scope("outer", step=i):
            h = h @ v
    found, columns = placed(h.sum())
    seen = [(columns[place.column], {vertex.path for vertex in found[place]}) for place in sorted(found)]
    inner = [((t,), {"a", "b"}) for t in range(2)]
    assert [one for one in seen if one[0]] == [
        *inner,
        ((0,), {"outer"}),
        *inner,
        ((1,), {"outer"}),
        *inner,
        ((2,), {"outer"}),
    ]


def nested_scans(name, lengths, before):
    """A scan within a scan; what the outer step does comes after the inner one, or around it."""
    w, v = leaf("w"), leaf("v")

    def letter(h, x):
        h = np.tanh(h @ w + x)
        return h, h

    def word(c, xs):
        if before:
            c = c @ v
        with tg.scope(name):
            h, _ = tg.scan(letter, c, xs)
        return h @ v, h

    state, total = leaf("c0"), 0.0
    for i, length in enumerate(lengths):
        with tg.scope(step=i):
            state, last = word(state, np.ones((length, 2, 2)))
            total = total + last.sum()
    return total


@pytest.mark.parametrize("name", [None, "inner"])
@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("lengths", [(3, 3, 3), (2, 1, 3), (4,), (1, 2)])
def test_scans_within_scans_have_columns_in_the_order_of_events(name, before, lengths):
    """Also where both loops are of one module: what was recorded within a step says so."""
    graph = recorded(nested_scans(name, lengths, before))
    time = timeline(graph)
    seen = [column.steps for column in time.columns if column.steps]
    expected = []
    for i, length in enumerate(lengths):
        expected += [(i,)] * before + [(t,) for t in range(length)] + [(i,)]
    assert seen == expected
    where = [place and place.column for place in time.places]
    assert all(
        where[e.source] <= where[e.target] for e in graph.edges if None not in (where[e.source], where[e.target])
    )


@pytest.mark.parametrize("view", ["cells", "rolled"])
def test_scans_within_scans_have_delays_of_the_inner_steps_only(view):
    picture = tg.draw(nested_scans(None, (3, 2, 3), False), view=view)
    delays = [edge.delay for edge in picture.drawn.graph.edges if edge.delay]
    assert delays == ([] if view == "cells" else [1, 1, 1])


def test_a_layer_that_reads_a_step_at_a_time_has_no_loop_within_each_step():
    """Its sequences of length 1 all begin with t = 0."""
    layer, state, outputs = tg.nn.RNN(3, 4), None, []
    for t in range(5):
        with tg.scope(step=t):
            y, state = layer(np.ones((1, 2, 3), np.float32), state)
            outputs.append(y)
    found, columns = placed(np.stack(outputs).sum())
    assert [steps for steps in columns if steps] == [(t,) for t in range(5)]
    assert paths_by_row(found) == [{"", "layer 0"}]


def test_a_step_named_twice_is_one_step():
    w, h = leaf("w"), leaf("h0")
    for t in range(4):
        with tg.scope(step=t):
            h = h * 2.0
            with tg.scope("cell", step=t):
                h = np.tanh(h @ w)
    found, columns = placed(h.sum())
    assert [steps for steps in columns if steps] == [(t,) for t in range(4)]
    assert paths_by_row(found) == [{"", "cell"}]


@pytest.mark.parametrize("outer", [1, 2, 3])
def test_what_an_outer_step_does_between_inner_steps_is_in_none_of_its_own(outer):
    """It stands with the inner step that it follows, and nothing there runs backward."""
    v, h = leaf("v"), leaf("h0")
    for t in range(outer):
        with tg.scope("a", step=t):
            for k in range(3):
                with tg.scope("inner", step=k):
                    h = np.tanh(h @ v)
                with tg.scope("m"):
                    h = h * 0.5
    _, columns = placed(h.sum())
    expected = [step for t in range(outer) for step in ((0,), (1,), (2,), (t,))]  # what comes last is after the loop
    assert [steps for steps in columns if steps] == expected
    delays = {edge.later for edge in tg.draw(h.sum(), view="rolled").drawn.graph.edges if edge.delay}
    assert delays == {(1, 1)}


@pytest.mark.parametrize("checkpoint", [None, 1, 2, 3])
@pytest.mark.parametrize("truncate", [None, 2])
def test_a_checkpointed_scan_within_a_step_is_drawn_on_its_own_clock(checkpoint, truncate):
    w = leaf("w")

    def step(h, x):
        h = np.tanh(w * h + x)
        return h, h

    with tg.scope("net", step=2):
        _, ys = tg.scan(step, tg.Tensor(np.zeros((2, 2))), np.ones((4, 2, 2)), checkpoint=checkpoint, truncate=truncate)
    picture = tg.draw(ys.sum(), view="rolled")
    assert {edge.later for edge in picture.drawn.graph.edges if edge.delay} == {(1, 1)}
    found, columns = placed(ys.sum())
    assert [steps for steps in columns if steps] == [(0,), (1,), (2,), (3,), (2,)]
    where = {
        vertex.moment: place.column for place, those in found.items() for vertex in those if vertex.operation == "tanh"
    }
    assert where == {(2, t): 1 + t for t in range(4)}
