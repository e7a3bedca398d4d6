"""The picture as DOT with every position given: Graphviz only has to draw it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import graphviz

from .block_layout import Box
from .curves import ARROW, Point
from .labels import FONT, NOTE_SIZE, SIZE, edge_words, label, shape_words, shortened, vertex_lines, visible, width
from .layout import Layout
from .model import Edge, Graph, Vertex


class Paint(NamedTuple):
    """How a leaf and its lines are drawn: colour, the colour of words on it, style of line."""

    colour: str
    words: str
    line: str


# Okabe and Ito, "Color Universal Design" (2008): told apart by colour-blind readers too. Their yellow is too pale for a
# line, their black is for operations; the wine is Tol's ("Colour Schemes", 2021).
PALETTE = (
    ("#0072B2", "white"), ("#D55E00", "black"), ("#009E73", "black"), ("#CC79A7", "black"),
    ("#E69F00", "black"), ("#56B4E9", "black"), ("#882255", "white"),
)  # fmt: skip
LINES = ("solid", "dashed", "dotted")  # for more leaves than colours
INK, SOFT, PAPER = "#222222", "#666666", "#FFFFFF"
BANDS = ("#F3F4F6", "#E9ECF1")  # neighbouring columns
LONGEST_TOOLTIP = 400


def source(graph: Graph, layout: Layout) -> str:
    """DOT of a graph that has been laid out; its nodes are n0, n1, ... in order of creation."""
    dot = graphviz.Digraph("unrolled")
    dot.attr(bgcolor=PAPER, rankdir="LR", outputorder="edgesfirst", fontname=FONT, fontsize=f"{SIZE:g}")
    dot.attr("node", shape="box", fixedsize="true", fontname=FONT, fontsize=f"{SIZE:g}", margin="0")
    dot.attr("node", style="rounded,filled", color=INK, fillcolor=PAPER, fontcolor=INK)
    dot.attr("edge", fontname=FONT, fontsize=f"{NOTE_SIZE:g}", fontcolor=INK, arrowsize=f"{ARROW / 10:g}", color=SOFT)
    _add_columns(dot, layout)
    _add_frames(dot, layout)
    paints = leaf_paints(graph)
    for i in range(len(graph.vertices)):
        dot.node(f"n{i}", label(layout.lines[i]), **_vertex_attributes(graph, layout, i, paints.get(i)))
    names = [vertex_lines(vertex)[0] for vertex in graph.vertices]
    for edge in graph.edges:
        attributes = _edge_attributes(layout, edge, names, paints.get(edge.source))
        dot.edge(f"n{edge.source}", f"n{edge.target}", **attributes)
    return str(dot.source)


def leaf_paints(graph: Graph) -> dict[int, Paint]:
    """A colour for each leaf, but for those that one of several time steps alone uses: they are its inputs."""
    users: dict[int, set[int | None]] = {}
    for edge in graph.edges:
        if graph.vertices[edge.source].operation is None:
            users.setdefault(edge.source, set()).add(graph.vertices[edge.target].step)
    steps = {vertex.step for vertex in graph.vertices if vertex.operation is not None} - {None}
    lasting = [leaf for leaf, where in users.items() if len(where) > 1 or where == {None} or len(steps) == 1]
    return {
        leaf: Paint(*PALETTE[k % len(PALETTE)], LINES[k // len(PALETTE) % len(LINES)])
        for k, leaf in enumerate(sorted(lasting))
    }


def _add_columns(dot: graphviz.Digraph, layout: Layout) -> None:
    """The bands of time steps: clusters of given size, which Graphviz draws before anything else."""
    for i, column in enumerate(layout.columns):
        title, colour = label([f"t = {column.step}"]), BANDS[i % 2]
        with dot.subgraph(name=f"cluster_step_{i}") as band:
            band.attr(label=title, lp=_point(column.title), fontname=f"{FONT}-Bold", tooltip=title)
            band.attr(bb=_box(column.box), style="rounded,filled", fillcolor=colour, color=colour)


def _add_frames(dot: graphviz.Digraph, layout: Layout) -> None:
    """The frames of modules, each with as much of its name as there is room for."""
    for i, frame in enumerate(layout.frames):
        left, lower, right, upper = frame.box
        name = shortened(visible(frame.name), max(2, int((right - left - 8) / (0.6 * NOTE_SIZE))))
        place = left + width(name, NOTE_SIZE) / 2 + 4, upper - 7 if layout.upward else lower + 7
        with dot.subgraph(name=f"cluster_module_{i}") as border:
            border.attr(label=label([name]), lp=_point(place), fontsize=f"{NOTE_SIZE:g}", fontcolor=SOFT)
            border.attr(bb=_box(frame.box), style="rounded,filled", fillcolor=PAPER, color=SOFT, penwidth="0.7")
            border.attr(tooltip=_tooltip([frame.name]))


def _vertex_attributes(graph: Graph, layout: Layout, i: int, paint: Paint | None) -> dict[str, str]:
    vertex, (wide, high) = graph.vertices[i], layout.sizes[i]
    attributes = {
        "pos": _point(layout.centres[i]),
        "width": f"{wide / 72:.3f}",
        "height": f"{high / 72:.3f}",
        "tooltip": _tooltip(_vertex_words(vertex)),
    }
    if vertex.operation is None:
        attributes |= {"style": "filled"}
    if paint is not None:
        attributes |= {"fillcolor": paint.colour, "color": paint.colour, "fontcolor": paint.words}
    if i == graph.output[0]:
        attributes |= {"penwidth": "2.5"}
    return attributes


def _edge_attributes(layout: Layout, edge: Edge, names: Sequence[str], paint: Paint | None) -> dict[str, str]:
    slot = edge.target, edge.argument
    points, tip = layout.curves[slot]
    attributes = {
        "pos": f"e,{_point(tip)} {' '.join(map(_point, points))}",
        "tooltip": _tooltip([f"{names[edge.source]} → {names[edge.target]}, argument {edge.argument}"]),
    }
    if paint is not None:
        attributes |= {"color": paint.colour, "penwidth": "1.5", "style": paint.line}
    elif slot in layout.crossing:
        attributes |= {"color": INK, "penwidth": "1.7"}
    if slot in layout.branch_names:
        attributes |= {"label": label([names[edge.source]]), "lp": _point(layout.branch_names[slot])}
    elif words := edge_words(edge):
        attributes |= {"label": label([words]), "lp": _point(layout.notes[slot])}
    return attributes


def _vertex_words(vertex: Vertex) -> list[str]:
    name = [] if vertex.name is None else [vertex.name]
    return [*name, vertex.where, f"{shape_words(vertex.shape)} {vertex.dtype}"]


def _tooltip(lines: Iterable[str]) -> str:
    return label([shortened(line, LONGEST_TOOLTIP) for line in lines])


def _point(point: Point) -> str:
    return f"{point[0]:.1f},{point[1]:.1f}"


def _box(box: Box) -> str:
    return ",".join(f"{side:.1f}" for side in box)
