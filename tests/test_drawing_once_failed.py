"""Nets that were once drawn wrongly, or not at all: found by reviewers and by random search."""

import re
import warnings

import numpy as np
import pytest

pytest.importorskip("hypothesis", reason="property tests need the extra testing")
from drawing_programs import leaf, rnn
from drawn import assert_drawn, some_graphviz, system_dot

import tinygrad_rnn as tg


def module_again():
    """Graphviz 2.43 gives the way of one edge twice."""
    x = leaf("x")
    with tg.scope("a", step=0):
        h = np.ones((2, 2)) @ x
    with tg.scope("b", step=0):
        y = (h + 1) * h
    with tg.scope("a", step=0):
        return 2 * y


def aborting():
    """Graphviz 2.43 aborts on it: "merge_chain: Assertion `ED_to_virt(e) == NULL' failed"."""
    x, one = leaf("x"), np.ones((2, 2))
    with tg.scope("a", step=0):
        h = np.tanh(one @ x + one)
    with tg.scope("b", step=0):
        y = h * h
    with tg.scope("a", step=0):
        z = np.tanh(tg.functional.sigmoid(y) + one) * y
    return np.stack([h, z])


def later_source():
    """A box whose source comes after it in its block."""
    w, h = leaf("w"), leaf("h0")
    for t in range(2):
        with tg.scope("m", step=t):
            h = np.tanh(h)
            with tg.scope("k1"):
                p = h @ w
            h = p + leaf(f"x{t}")
            with tg.scope("k0"):
                h = np.tanh(h)
    with tg.scope("m", step=2):
        with tg.scope("k0"):
            h = np.tanh(h)
        h = np.tanh(h)
        with tg.scope("k0"):
            h = np.tanh(h)
    return h


def begins_anew():
    """A module within a step that goes on within another of its own."""
    v, h = leaf("v"), leaf("h0")
    with tg.scope("a", step=0):
        with tg.scope("b", step=0):
            h = v * h
        h = h * 0.5
    with tg.scope("a", step=0):
        for k in range(2):
            with tg.scope("b", step=k):
                h = np.tanh(v * h)
    return h


def outside_its_step():
    """A loop that does something outside of its scope."""
    w, h = leaf("w"), leaf("h0")
    for t in range(3):
        with tg.scope("h", step=t):
            h = np.tanh(w * h)
        h = h * 0.5
    return h


@some_graphviz
@pytest.mark.parametrize("view", ["unrolled", "cells", "rolled"])
@pytest.mark.parametrize("direction", ["LR", "TB"])
@pytest.mark.parametrize("net", [module_again, aborting, later_source, begins_anew, outside_its_step])
def test_nets_that_were_not_drawn_once(net, view, direction):
    assert_drawn(tg.draw(net().sum(), view=view, direction=direction, gradients=True))


def test_what_a_loop_does_outside_its_scope_is_between_its_steps():
    picture = tg.draw(outside_its_step(), view="rolled")
    assert [edge.later for edge in picture.drawn.graph.edges if edge.delay] == [(1, 1)]
    assert 'label="t − 1"' in picture.source


def test_delays_of_different_lengths_have_lanes_and_marks_of_their_own():
    h = leaf("x")
    for module, t in (("a", 0), ("b", 1), ("b", 4), ("b", 5)):
        with tg.scope(module, step=t):
            h = np.tanh(h)
    written = re.findall(r'label="(t −[^"]*)"', tg.draw(h, view="rolled").source)
    assert sorted(written) == ["t − 1", "t − 1 … 3"]


def test_inputs_of_several_shapes_drawn_as_one_have_none():
    w, h, shapes = leaf("w"), leaf("h0"), [(1, 2), (2, 2), (2, 2)]
    for t, shape in enumerate(shapes):
        x = tg.Tensor(np.ones(shape), requires_grad=True, name=f"x{t}")
        with tg.scope("h", step=t):
            h = np.tanh(x @ w + h)
    source = tg.draw(h.sum(), view="rolled", gradients=True).source
    (tooltip,) = re.findall(r'label="x0, x1, x2" .*tooltip="([^"]*)"', source)
    assert tooltip.startswith(r"x0, x1, x2\n3 inputs\nlargest gradient norm")


@system_dot
def test_a_png_that_is_scaled_down_says_so(tmp_path):
    picture = tg.draw(rnn(250))
    with pytest.warns(UserWarning, match=r"save: a \.png of \d+ pixels is the largest.*steps=.*\.svg"):
        picture.save(tmp_path / "long.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tg.draw(rnn(3)).save(tmp_path / "short.png")
