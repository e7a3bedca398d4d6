"""Where a picture puts things: columns of steps, rows of operations, lines that touch what they connect and no more."""

import sys
from itertools import combinations

import numpy as np
import pytest

pytest.importorskip("hypothesis", reason="property tests need the extra testing")
from drawing_programs import leaf, loops, programs, run, unroll
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn.drawing import block_layout
from tinygrad_rnn.drawing.layout import lay_out_graph
from tinygrad_rnn.drawing.model import recorded

directions = st.sampled_from(("LR", "TB"))


@pytest.fixture(params=["Graphviz", "plain"])
def layouter(request, monkeypatch):
    """Both ways to lay out a step: by Graphviz (if there is any), and without."""
    if request.param == "plain":
        monkeypatch.setattr(block_layout, "_MOST", -1)
    return request.param


def lay_out(output, direction="LR"):
    graph = recorded(output)
    return graph, lay_out_graph(graph, direction)


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
