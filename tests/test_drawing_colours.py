"""Colours of pictures: words can be read on them, gradients can be told apart, also in grey and by the colour-blind."""

import math
import re
from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("hypothesis", reason="property tests need the extra testing")
from drawing_programs import leaf
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn.drawing.colours import NO_GRADIENT, NOT_FINITE, PALETTE, GradientScale, leaf_paints, norm_words
from tinygrad_rnn.drawing.model import recorded
from tinygrad_rnn.drawing.timeline import timeline

norms = st.one_of(st.none(), st.just(math.nan), st.floats(0), st.floats(1e-8, 1e8))


def linear(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return np.array([p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts])


def luminance(colour):
    """Relative luminance (WCAG 2.1)."""
    return linear({"white": "#FFFFFF", "black": "#000000"}.get(colour, colour)) @ [0.2126, 0.7152, 0.0722]


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(("colour", "words"), PALETTE)
def test_words_on_a_weights_colour_can_be_read(colour, words):
    """Contrast of at least 4.5 to 1 (WCAG 2.1, level AA); 2 to 1 of lines on paper."""
    assert contrast(colour, words) >= 4.5
    assert contrast(colour, "white") >= 2.0


@given(st.lists(norms, max_size=8), norms)
def test_words_on_a_gradients_colour_can_be_read(known, norm):
    scale = GradientScale.of(known)
    assert 1 <= scale.high - scale.low <= 12
    paint = scale.paint(norm)
    assert contrast(paint.colour, paint.words) >= 4.5
    assert contrast(paint.colour, "white") >= 1.9
    assert 0.5 <= scale.line_width(norm) <= 4


def test_words_can_be_read_all_along_the_scale():
    scale = GradientScale(0, 1)
    paints = [scale.paint(10.0**power) for power in np.linspace(0, 1, 2001)]
    assert min(contrast(paint.colour, paint.words) for paint in paints) >= 4.5
    assert {paint.words for paint in paints} == {"black", "white"}


@given(st.floats(-300, 300), st.floats(-300, 300))
def test_more_gradient_is_darker_and_wider(a, b):
    """In grey and in print too: luminance falls all along the scale."""
    scale = GradientScale(-6, 2)
    small, large = sorted((10.0**a, 10.0**b))
    assert luminance(scale.paint(small).colour) >= luminance(scale.paint(large).colour)
    assert scale.line_width(small) <= scale.line_width(large)


# How a reader without one kind of cone sees linear RGB: Viénot, Brettel and Mollon (1999).
DEUTERANOPIA = np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]])
PROTANOPIA = np.array([[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]])


@pytest.mark.parametrize("sight", [np.eye(3), DEUTERANOPIA, PROTANOPIA], ids=["all cones", "no green", "no red"])
def test_decades_can_be_told_apart(sight):
    scale = GradientScale(-6, 2)
    seen = [np.cbrt(np.clip(sight @ linear(scale.paint(10.0**power).colour), 0, 1)) for power in range(-6, 3)]
    steps = [np.abs(a - b).max() for a, b in pairwise(seen)]
    assert min(steps) > 0.04


def test_scale_spans_the_finite_norms():
    assert GradientScale.of([None, 0.0, 0.02, 30.0]) == GradientScale(-2, 2)
    assert GradientScale.of([0.02, math.inf, 30.0]) == GradientScale(-2, 2, not_finite=True)
    assert GradientScale.of([math.nan]) == GradientScale(-1, 0, not_finite=True)
    assert GradientScale.of([1.0]) == GradientScale(-1, 0)
    assert GradientScale.of([]) == GradientScale(-1, 0)
    assert GradientScale.of([0.0, None]) == GradientScale(-1, 0)
    assert GradientScale.of([1e-300, 10.0]) == GradientScale(-11, 1, beyond=True)
    assert GradientScale.of([1e-11, 10.0]) == GradientScale(-11, 1)


def test_what_is_no_number_has_colours_of_its_own():
    scale = GradientScale(-2, 2)
    assert scale.paint(None) == scale.paint(0.0) == NO_GRADIENT
    assert scale.paint(math.nan) == scale.paint(math.inf) == NOT_FINITE
    assert NOT_FINITE.colour not in {colour for colour, _ in PALETTE}


@pytest.mark.parametrize(("weight", "shown"), [(1e-3, {"≤ 1e-12", "1e0"}), (1e60, {"≤ 1e288", "inf, nan"})])
def test_the_legend_tells_what_is_off_the_scale(weight, shown):
    w, h = (tg.Tensor(np.array(x), requires_grad=True) for x in (weight, 1.0))
    for t in range(8):
        with tg.scope("h", step=t), np.errstate(over="ignore"):
            h = w * h
    with np.errstate(over="ignore"):
        legend = re.findall(r'"legend \d+ words" \[label="([^"]*)"', tg.draw(h, gradients=True).source)
    assert shown <= set(legend)
    assert ("inf, nan" in legend) == ("inf, nan" in shown)


def test_the_legend_of_a_short_range_has_no_more_than_there_is():
    w = tg.Tensor(3.0, requires_grad=True, name="w")
    legend = re.findall(r'"legend \d+ words" \[label="([^"]*)"', tg.draw(w * w * w, gradients=True).source)
    assert legend == ["1e0", "1e1", "1e2", "none", "2-norm of the gradient"]


def test_norms_in_words():
    words = [
        norm_words(norm) for norm in (0.0, 1.234e-7, 0.01, 1.0, 99.4, 123.4, 1234.5, 5e300, math.inf, math.nan, None)
    ]
    assert words == ["0", "1.2e-7", "0.01", "1", "99", "123", "1.2e3", "5.0e300", "inf", "nan", "no gradient"]


def test_twenty_leaves_are_told_apart():
    weights = [leaf(f"w{k}") for k in range(20)]
    x = weights[0]
    for weight in weights[1:]:
        x = x @ weight
    graph = recorded(x)
    assert len(set(leaf_paints(graph, timeline(graph)).values())) == 20


def test_inputs_of_single_steps_have_no_colour():
    w, h = leaf("w"), leaf("h0")
    for t in range(3):
        with tg.scope(step=t):
            h = np.tanh(h @ w + leaf(f"x{t}"))
    graph = recorded(h.sum())
    assert [graph.vertices[i].name for i in leaf_paints(graph, timeline(graph))] == ["w"]


def test_a_weight_that_begins_anew_in_each_outer_step_has_a_colour():
    """Its step has the same number each time, but is another moment."""
    w, v, h = leaf("w"), leaf("v"), leaf("h0")
    for t in range(3):
        with tg.scope("inner", step=0):
            h = np.tanh(h @ w)
        with tg.scope("outer", step=t):
            h = h @ v
    graph = recorded(h.sum())
    assert [graph.vertices[i].name for i in leaf_paints(graph, timeline(graph))] == ["w", "v"]
