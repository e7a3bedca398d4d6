"""What is written on a picture, and in its tooltips."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from .colours import GradientScale, norm_words
from .curves import Point
from .fold import Folded, Slot, Tag
from .labels import NOTE_SIZE, shape_words, shortened, visible, width
from .measures import largest
from .model import Edge, Graph, Vertex

NAME_HEIGHT = 12.0  # of a weight's name on an edge
_COLUMN = 4  # names of weights one below the other


class Words(NamedTuple):
    """A line of text, and its middle."""

    text: str
    place: Point


class Bunch(NamedTuple):
    """The weights that are written at one end of an edge, in columns.

    Attributes:
        widths: Of the columns.
    """

    slot: Slot
    columns: list[list[Tag]]
    widths: list[float]

    @property
    def tags(self) -> list[Tag]:
        """All of them."""
        return [tag for column in self.columns for tag in column]

    @property
    def at_end(self) -> bool:
        """At the edge's end, or else at its beginning."""
        return self.columns[0][0].at_end

    @property
    def size(self) -> tuple[float, float]:
        """Width and height."""
        return sum(self.widths) + len(self.widths) - 1, max(map(len, self.columns)) * (NAME_HEIGHT + 1)


def step_words(steps: Sequence[int]) -> str:
    """Time steps in words: ``t = 3``, or from the first to the last."""
    return f"t = {steps[0]}" if len(steps) == 1 else f"t = {min(steps)} … {max(steps)}"


def title_width(steps: Sequence[int]) -> float:
    """How wide the title of a column is, which is bold."""
    return 1.25 * width(step_words(steps))


def vertex_lines(vertex: Vertex) -> list[str]:
    """What is written on a vertex: ``h = tanh`` or the leaf's name, and the shape; of a box its name and contents."""
    name = shortened(vertex.name) if vertex.name else None
    operation = shortened(vertex.operation) if vertex.operation is not None else None
    first = f"{name} = {operation}" if name and operation else name or operation or "leaf"
    if vertex.is_box:
        count = vertex.operations
        words = f"{count:,} operations" if count > 1 else shortened(vertex.where)
        return [first, f"{words} in {vertex.steps:,} steps" if vertex.steps > 1 else words]
    return [first, shortened(shape_words(vertex.shape))] if vertex.dtype else [first]


def edge_words(edge: Edge) -> str:
    """What is written on an edge: which of several results it carries, and that one's name."""
    number = "" if edge.result is None else f"[{edge.result}]"
    return f"{shortened(edge.name)} {number}" if edge.name and number else number


def vertex_tooltip(vertex: Vertex, gradients: bool, values: bool) -> list[str]:
    """Name, where it was recorded, shape and dtype; what flows back to it; what its numbers are like."""
    lines = [] if vertex.name is None else [vertex.name]
    lines.append(vertex.where)
    if vertex.is_box:
        return [vertex.operation or "", *lines, *_gradient_lines(vertex, gradients, "largest gradient norm")]
    if vertex.dtype:
        lines.append(f"{shape_words(vertex.shape)} {vertex.dtype}")
    several = "largest " if len(vertex.stands_for) > 1 else ""
    lines += _gradient_lines(vertex, gradients and bool(vertex.stands_for), f"{several}gradient norm")
    if values and vertex.dtype:
        v = vertex.values
        lines.append(
            "values: not kept by the graph"
            if v is None
            else f"mean {v.mean:.4g}, std {v.std:.4g}, from {v.smallest:.4g} to {v.largest:.4g}"
        )
        if v is not None and v.saturated is not None:
            lines.append(f"{v.saturated:.1%} saturated")
    return lines


def _gradient_lines(vertex: Vertex, gradients: bool, words: str) -> list[str]:
    return [f"{words} {norm_words(vertex.gradient)}"] if gradients else []


def delay_words(edge: Edge) -> str:
    """What is written on an edge from one time step to another: when its value was computed."""
    low, high = edge.later
    sign, nearest, furthest = ("−", low, high) if low > 0 else ("+", -high, -low)
    return f"t {sign} {nearest}" if nearest == furthest else f"t {sign} {nearest} … {furthest}"


def _delay_tooltip(edge: Edge) -> str:
    low, high = sorted(map(abs, edge.later))
    far = f"the step {low}" if low == high else f"a step {low} to {high}"
    return f"to {far} {'later' if edge.delay > 0 else 'earlier'}"


def edge_tooltip(edge: Edge, source: str, target: str, gradients: bool) -> list[str]:
    """From where to where, as which argument; how many recorded edges it stands for; what flows back along it."""
    if not edge.stands_for:
        return [f"{source} → {target}: not recorded"]
    count = len(edge.stands_for)
    lines = [f"{source} → {target}, argument {edge.argument}" if not edge.folded else f"{source} → {target}"]
    if edge.delay:
        lines.append(_delay_tooltip(edge))
    if edge.folded:
        lines.append(f"{count:,} recorded edge{'s' if count > 1 else ''}")
    if gradients:
        lines.append(f"{'largest ' if count > 1 else ''}gradient norm {norm_words(edge.gradient)}")
    return lines


@dataclass
class Lettering:
    """All words of one picture, which layout makes room for.

    Attributes:
        lines: On each vertex; where weights are written in a box, their names in a last line.
        in_boxes: For each vertex the weights written in it.
        scale: Of gradients, if they are shown.
        values: Are they shown?
        bunches: What is written at the ends of edges, by edge and whether it is its end.
        written_on: For each use of a weight, a recorded edge, on how many edges its name is written.
        delay: How wide the widest delay is; 0 where there is none.
    """

    lines: list[list[str]]
    scale: GradientScale | None
    values: bool
    recorded: Graph
    in_boxes: dict[int, list[Tag]] = field(default_factory=dict)
    bunches: dict[tuple[Slot, bool], Bunch] = field(default_factory=dict)
    written_on: Counter[int] = field(default_factory=Counter)
    delay: float = 0.0

    @classmethod
    def of(cls, folded: Folded, recorded: Graph, scale: GradientScale | None, values: bool) -> Lettering:
        """The words of a folded graph."""
        lettering = cls([], scale, values, recorded)
        lettering.written_on.update(use for tag in folded.tags for use in tag.uses)
        at_edges: dict[tuple[Slot, bool], list[Tag]] = {}
        for tag in folded.tags:
            if tag.slot is None:
                lettering.in_boxes.setdefault(tag.box, []).append(tag)
            else:
                at_edges.setdefault((tag.slot, tag.at_end), []).append(tag)
        lettering.bunches = {end: lettering.bunch(end[0], tags) for end, tags in at_edges.items()}
        for i, vertex in enumerate(folded.graph.vertices):
            lines = vertex_lines(vertex)
            if values and vertex.values is not None:
                lines.append(f"{vertex.values.mean:.2g} ± {vertex.values.std:.2g}")
                if vertex.values.saturated is not None:
                    lines.append(f"{vertex.values.saturated:.0%} saturated")
            if i in lettering.in_boxes:
                wide = sum(lettering.pill_width(tag) + 3 for tag in lettering.in_boxes[i])
                lines.append("n" * int(wide / width("n") + 1))
            lettering.lines.append(lines)
        for edge in folded.graph.edges:
            if edge.delay:
                lettering.delay = max(lettering.delay, width(delay_words(edge), NOTE_SIZE))
        return lettering

    def bunch(self, slot: Slot, tags: Sequence[Tag]) -> Bunch:
        """Weights written at one end of an edge."""
        columns = [list(tags[k : k + _COLUMN]) for k in range(0, len(tags), _COLUMN)]
        return Bunch(slot, columns, [max(map(self.pill_width, column)) for column in columns])

    def is_written_on(self, slot: Slot, both: bool = False) -> bool:
        """Does an edge bear the names of weights, at one end or at ``both``?"""
        found = [(slot, end) in self.bunches for end in (False, True)]
        return all(found) if both else any(found)

    @cached_property
    def room(self) -> tuple[float, float]:
        """How wide and how high what is written on edges is at most."""
        sizes = [bunch.size for bunch in self.bunches.values()]
        return max((wide for wide, _ in sizes), default=0.0), max((high for _, high in sizes), default=0.0)

    def written(self, i: int, vertex: Vertex) -> list[str]:
        """The lines on a vertex, without what is written there by itself."""
        return [*self.lines[i][:-1], " "] if i in self.in_boxes else self.lines[i]

    def branch(self, edge: Edge, graph: Graph) -> list[str]:
        """What may be written on a weight's way into a step, the best first."""
        name = [vertex_lines(graph.vertices[edge.source])[0]] if graph.vertices[edge.source].name else []
        if self.scale is None:
            return name
        norm = norm_words(edge.gradient)
        return [*(f"{one} {norm}" for one in name), norm]

    def pill(self, tag: Tag) -> str:
        """What is written for a weight."""
        name = vertex_lines(self.recorded.vertices[tag.leaf])[0]
        if self.scale is None:
            return name
        return f"{name} {norm_words(largest(self.recorded.edges[n].gradient for n in tag.uses))}"

    def pill_width(self, tag: Tag) -> float:
        """How wide that is."""
        return width(visible(self.pill(tag)), NOTE_SIZE) + 8.0

    def pill_tooltip(self, tag: Tag) -> list[str]:
        """All about the uses of a weight that are written as one."""
        count = len(tag.uses)
        lines = [vertex_lines(self.recorded.vertices[tag.leaf])[0], f"used {count:,} time{'s' if count > 1 else ''}"]
        edges = max(self.written_on[use] for use in tag.uses)
        if edges > 1:  # it is one use all the same
            lines[1] += f", on data that come by {edges} edges"
        if self.scale is not None:
            norm = largest(self.recorded.edges[n].gradient for n in tag.uses)
            lines.append(f"{'largest ' if count > 1 else ''}gradient norm of a use {norm_words(norm)}")
        return lines
