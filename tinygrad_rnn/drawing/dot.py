"""The picture as DOT with every position given: Graphviz only has to draw it.

Written line by line rather than by the package ``graphviz``, whose quoting would take longer than all the rest.
"""

from __future__ import annotations

from collections.abc import Mapping

from .block_layout import Box
from .colours import BAND, BANDS, EDGE, INK, LINES, PAPER, SOFT, Paint
from .curves import ARROW, Point
from .fold import Folded
from .labels import FONT, NOTE_SIZE, SIZE, label, shortened, tooltip, visible, width
from .layout import Layout
from .marks import delays, legend
from .model import Edge, Graph
from .weight_names import Pill, pills
from .words import Lettering, Words, edge_tooltip, edge_words, step_words, vertex_lines, vertex_tooltip


def source(
    recorded: Graph, folded: Folded, layout: Layout, lettering: Lettering, paints: Mapping[int, Paint], view: str
) -> str:
    """DOT of a graph that has been laid out; its nodes are n0, n1, ... with sources before targets.

    Args:
        recorded: What the folded graph stands for.
        paints: The colours of leaves, by their numbers in the recorded graph.
        view: The name of the picture.
    """
    return _Writer(recorded, folded, layout, lettering, paints).write(view)


class _Writer:
    def __init__(
        self, recorded: Graph, folded: Folded, layout: Layout, lettering: Lettering, paints: Mapping[int, Paint]
    ) -> None:
        self.recorded, self.folded, self.layout, self.lettering, self.paints = (
            recorded,
            folded,
            layout,
            lettering,
            paints,
        )
        self.graph = folded.graph
        self.scale = lettering.scale
        self.names = [vertex_lines(vertex)[0] for vertex in self.graph.vertices]
        self.lines: list[str] = []

    def write(self, view: str) -> str:
        """The whole source."""
        defaults = {"fontname": FONT, "fontsize": f"{SIZE:g}"}
        self._statement("graph", bgcolor=PAPER, outputorder="nodesfirst", **defaults)
        rest = {"color": INK, "fillcolor": PAPER, "fontcolor": INK, "fixedsize": "true", "margin": "0"}
        self._statement("node", shape="box", style="rounded,filled", **rest, **defaults)
        words = {"fontname": FONT, "fontsize": f"{NOTE_SIZE:g}", "fontcolor": INK}
        self._statement("edge", arrowsize=f"{ARROW / 10:g}", color=SOFT, **words)
        self._add_boards()
        for i in range(len(self.graph.vertices)):
            self._add_vertex(i)
        if self.scale is not None:
            self._add_stems()
        for edge in self.graph.edges:
            self._add_edge(edge)
        self._add_marks()
        return "\n".join([f"digraph {view} {{", *self.lines, "}", ""])

    def _statement(self, what: str, **attributes: str) -> None:
        written = " ".join(f"{name.rstrip('_')}={_quoted(value)}" for name, value in attributes.items())
        self.lines.append(f"\t{what} [{written}]")

    # ---- behind everything

    def _add_boards(self) -> None:
        """Time steps, what stands across them, and modules."""
        for i, column in enumerate(self.layout.columns):
            colour, title = BANDS[i % 2], step_words(column.steps)
            self._add_board("column", i, column.box, fillcolor=colour, color=colour, tooltip=tooltip([title]))
            self._add_words(f"column {i} words", Words(title, column.middle), fontname=f"{FONT}-Bold")
        for i, band in enumerate(self.layout.bands):
            title = step_words(band.steps)
            self._add_board("band", i, band.box, fillcolor=BAND, color=EDGE, penwidth="0.7", tooltip=tooltip([title]))
            self._add_words(f"band {i} words", Words(title, band.middle), fontsize=f"{NOTE_SIZE:g}", fontcolor=SOFT)
        for i, frame in enumerate(self.layout.frames):
            left, lower, right, upper = frame.box
            name = shortened(visible(frame.name), max(2, int((right - left - 8) / (0.6 * NOTE_SIZE))))
            inset = width(name, NOTE_SIZE) / 2 + 4  # where nothing comes in
            place = left + inset, upper - 7 if self.layout.upward else lower + 7
            self._add_board("module", i, frame.box, color=SOFT, penwidth="0.7", tooltip=tooltip([frame.name]))
            self._add_words(f"module {i} words", Words(name, place), fontsize=f"{NOTE_SIZE:g}", fontcolor=SOFT)

    def _add_board(self, kind: str, number: int, box: Box, **attributes: str) -> None:
        """A plain area of given size. (Clusters would be the usual way: Graphviz's time grows with their square.)"""
        left, lower, right, upper = box
        size = {"width": f"{(right - left) / 72:.3f}", "height": f"{(upper - lower) / 72:.3f}"}
        pos = _point(((left + right) / 2, (lower + upper) / 2))
        self._statement(f'"{kind} {number}"', label="", class_=kind, pos=pos, **size, **attributes)

    def _add_words(self, name: str, words: Words, **attributes: str) -> None:
        """Words with nothing around them."""
        high = float(attributes.get("fontsize", SIZE))
        extent = width(visible(words.text), high) + 4.0
        size = {"width": f"{extent / 72:.3f}", "height": f"{1.25 * high / 72:.3f}"}  # so that the picture has it all
        looks = {"shape": "none", "style": "", "tooltip": " ", "class_": "words"}
        self._statement(f'"{name}"', label=label([words.text]), pos=_point(words.place), **size, **looks, **attributes)

    # ---- vertices and edges

    def leaf_paint(self, i: int) -> Paint | None:
        """The colour of a vertex that is a weight."""
        vertex = self.graph.vertices[i]
        if vertex.operation is not None or not vertex.stands_for:
            return None
        return self.paints.get(vertex.stands_for[0])

    def _add_vertex(self, i: int) -> None:
        vertex, (wide, high) = self.graph.vertices[i], self.layout.sizes[i]
        attributes = {
            "label": label(self.lettering.written(i, vertex)),
            "pos": _point(self.layout.centres[i]),
            "width": f"{wide / 72:.3f}",
            "height": f"{high / 72:.3f}",
            "tooltip": tooltip(vertex_tooltip(vertex, self.scale is not None, self.lettering.values)),
        }
        paint = self.leaf_paint(i)
        if vertex.operation is None:
            line = "dashed" if not vertex.stands_for else "solid" if paint is None else paint.line
            attributes["style"] = "filled" if line == "solid" else f"filled,{line}"
        if self.scale is not None and vertex.stands_for:
            flow = self.scale.paint(vertex.gradient)
            border = paint.colour if paint is not None else flow.colour
            attributes |= {"fillcolor": flow.colour, "color": border, "fontcolor": flow.words}
            if paint is not None:
                attributes["penwidth"] = "2.5"
        elif paint is not None:
            face = self._face(paint)
            attributes |= {"fillcolor": face.colour, "color": paint.colour, "fontcolor": face.words}
            if face != paint:
                attributes["penwidth"] = "2"
        if i == self.graph.output[0]:
            attributes |= {"penwidth": "2.5"} if self.scale is None else {"penwidth": "2.5", "color": INK}
        self._statement(f"n{i}", **attributes)

    def _add_edge(self, edge: Edge) -> None:
        points, tip = self.layout.curves[edge.slot]
        if self.scale is not None:  # of a line that many share, only its own branch
            points = points[self.layout.branches.get(edge.slot, 0) :]
        source, target = self.names[edge.source], self.names[edge.target]
        attributes = {
            "pos": f"e,{_point(tip)} {' '.join(map(_point, points))}",
            "tooltip": tooltip(edge_tooltip(edge, source, target, self.scale is not None)),
        }
        paint = self.leaf_paint(edge.source)
        if self.scale is not None and edge.stands_for:
            flow, wide = self.scale.paint(edge.gradient), self.scale.line_width(edge.gradient)
            attributes |= {"color": flow.colour, "penwidth": f"{wide:.1f}", "style": flow.line}
        elif paint is not None:
            attributes |= {"color": paint.colour, "penwidth": "1.5", "style": paint.line}
        elif not edge.stands_for:
            attributes |= {"style": "dashed"}
        elif edge.slot in self.layout.crossing:
            attributes |= {"color": INK, "penwidth": "1.7"}
        if edge.slot in self.layout.branch_names:
            name = self.layout.branch_names[edge.slot]
            attributes |= {"label": label([name.text]), "lp": _point(name.place)}
        elif edge.slot in self.layout.notes and (words := edge_words(edge)):
            attributes |= {"label": label([words]), "lp": _point(self.layout.notes[edge.slot])}
        self._statement(f"n{edge.source} -> n{edge.target}", **attributes)

    def _add_stems(self) -> None:
        """Where edges are coloured one by one: the lines that several share, in the colour of their leaf."""
        for i, (start, points) in enumerate(self.layout.stems):
            paint = self.leaf_paint(start)
            colour = SOFT if paint is None else paint.colour
            self._add_anchor(f"line {i}", points[0])
            pos = " ".join(map(_point, points))
            self._statement(f'"line {i}" -> "line {i}"', pos=pos, dir="none", color=colour, class_="line", tooltip=" ")

    # ---- what is written on the picture

    def _add_marks(self) -> None:
        marks = list(delays(self.graph, self.layout))
        for k, pill in enumerate(pills(self.folded, self.layout, self.lettering, marks)):
            self._add_pill(k, pill)
        for k, (area, words) in enumerate(marks):
            self._add_bar(f"delay {k}", area, class_="delay", color=INK, tooltip="the value of another time step")
            self._add_words(f"delay {k} words", words, fontsize=f"{NOTE_SIZE:g}")
        if self.scale is not None:
            for k, (area, paint, words) in enumerate(legend(self.scale, self.layout)):
                style = "filled" if paint.line == "solid" else "filled,dotted"
                self._add_board("legend", k, area, fillcolor=paint.colour, color=paint.colour, style=style, tooltip=" ")
                self._add_words(f"legend {k} words", words, fontsize=f"{NOTE_SIZE:g}")

    @staticmethod
    def _face(paint: Paint) -> Paint:
        """How the box of a weight is filled: with its colour, but where others have the same that is its rim only."""
        if paint.line == LINES[0]:
            return paint
        return Paint(PAPER if paint.line == LINES[1] else EDGE, "black")

    def _add_pill(self, k: int, pill: Pill) -> None:
        """A name on its colour."""
        paint = self.paints.get(pill.leaf, Paint(SOFT, "white"))
        words = {"label": label([pill.text]), "lp": _point(pill.centre), "tooltip": tooltip(pill.tooltip)}
        face = self._face(paint)
        if face != paint:
            self._add_bar(f"weight {k}", pill.area, class_="rim", color=paint.colour, tooltip=" ")
        (left, lower, right, upper), inset = pill.area, 0.0 if face == paint else 1.5
        area = left + inset, lower + inset, right - inset, upper - inset
        self._add_bar(f"weight {k}", area, class_="weight", color=face.colour, fontcolor=face.words, **words)

    def _add_bar(self, name: str, area: Box, **attributes: str) -> None:
        """A short broad line: lines are drawn over all that is not one."""
        left, lower, right, upper = area
        y = (lower + upper) / 2
        self._add_anchor(name, ((left + right) / 2, y))
        start, end = _point((left, y)), _point((right, y))
        pos, broad = f"{start} {start} {end} {end}", f"{upper - lower:g}"
        self._statement(f'"{name}" -> "{name}"', pos=pos, penwidth=broad, dir="none", **attributes)

    def _add_anchor(self, name: str, place: Point) -> None:
        """Nothing to be seen: Graphviz wants a node at the ends of every line."""
        nothing = {"label": "", "shape": "none", "style": "invis", "width": "0.01", "height": "0.01"}
        self._statement(f'"{name}"', pos=_point(place), **nothing)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"'


def _point(point: Point) -> str:
    return f"{point[0]:.1f},{point[1]:.1f}"
