"""The recorded graph as plain data: what a picture is drawn of.

One vertex for each recorded operation and each leaf, one edge for each argument that needed a gradient; constants are
not recorded, so they are not here either. Picking one result of a call with several (``np.split``) is no operation of
its own: it becomes the ``result`` of an edge. A node that stands for a stretch of time, a layer's sequence or a
checkpoint, is replaced by what it stands for (``expansion``). Nothing here points back to the graph, so a picture keeps
no array alive; and as a backward walk leaves nodes and parents where they are, a released graph gives the same model,
but for those stretches: what they were computed from is gone, and each is one vertex.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from ..backward import seed
from ..graph import Node
from ..primitives import keeping_everything
from ..tensor import Tensor
from . import measures
from .expansion import Expansion
from .measures import Flow, Values


@dataclass(frozen=True, slots=True)
class Vertex:
    """One recorded operation, or (``operation`` None) one leaf.

    Attributes:
        order: The node's number in order of creation, by which what a walk observes finds its vertex.
        shape: Of the result; of each result in turn where there are several.
        where: Operation, module path and step in words, as error messages have them.
        gradient: The 2-norm of the output's gradient with respect to the result (to all of them together); None where
            it was not asked for, or none flows back to here.
        values: What the numbers of the result (of all of them) are like; None where that was not asked for, or the
            graph has not kept them, nor what they can be computed from.
        within: The steps of the loops around, where one loop runs within another.
        stands_for: The indices of the recorded vertices that a folded one stands for.
        operations: How many of those are operations.
        steps: From how many time steps those are.
    """

    order: int
    operation: str | None
    name: str | None
    shape: tuple[Any, ...]
    dtype: str
    path: str
    step: int | None
    where: str
    gradient: float | None = field(default=None, kw_only=True)
    values: Values | None = field(default=None, kw_only=True)
    within: tuple[int, ...] = field(default=(), kw_only=True)
    stands_for: tuple[int, ...] = field(default=(), kw_only=True)
    operations: int = field(default=1, kw_only=True)
    steps: int = field(default=1, kw_only=True)

    @property
    def moment(self) -> tuple[int, ...] | None:
        """Its step, after those of the loops around; None outside time."""
        return None if self.step is None else (*self.within, self.step)

    @property
    def is_box(self) -> bool:
        """Does it stand for operations, rather than being one?"""
        return self.operation is not None and not self.dtype


@dataclass(frozen=True, slots=True)
class Edge:
    """``source`` is argument number ``argument`` of ``target`` (sequences laid flat, constants counted).

    Attributes:
        source, target: Indices of vertices.
        result: Which of the source's results; None where it has one.
        name: The name given to that one of several results.
        delay: How many of the steps that there are later its target is, where several are drawn in one place.
        later: The same in the steps' own numbers, the least and the most of all edges that it stands for.
        stands_for: The numbers of the recorded edges that a folded one stands for.
        folded: Does it, or may it, stand for several?
        gradient: The 2-norm of what flows back along it: of a shared weight's gradient, this use's own share. None
            where it was not asked for, or nothing flows.
    """

    source: int
    target: int
    argument: int
    result: int | None = None
    name: str | None = None
    delay: int = 0
    later: tuple[int, int] = (0, 0)
    stands_for: tuple[int, ...] = ()
    folded: bool = False
    gradient: float | None = field(default=None, kw_only=True)

    @property
    def slot(self) -> tuple[int, int]:
        """What tells it from every other edge."""
        return self.target, self.argument


@dataclass(frozen=True, slots=True)
class Graph:
    """Vertices in order of creation, and edges by target and argument.

    Attributes:
        output: The vertex that was drawn from, and which of its results.
    """

    vertices: tuple[Vertex, ...]
    edges: tuple[Edge, ...]
    output: tuple[int, int | None]


def recorded(output: Tensor, *, gradients: bool = False, values: bool = False) -> Graph:
    """Read the graph that ``output`` was computed by, in time linear in its size (but for one sort).

    Layers and checkpoints are computed once more to see their steps; the graph itself stays as it is.

    Args:
        output: Any tensor with a graph.
        gradients: Walk back from ``output``, which must be one number, and note how much gradient flows. No ``grad``
            changes; hooks run.
        values: Note what the numbers are like.

    Raises:
        TypeError: ``output`` is not a tensor.
        RuntimeError: nothing it came from needs a gradient, so nothing was recorded; with ``gradients`` also what
            ``backward()`` raises: it is not a scalar, or its graph was released.

    >>> import tinygrad_rnn as tg
    >>> from tinygrad_rnn.drawing.model import recorded
    >>> w = tg.Tensor([1.0, 2.0], requires_grad=True, name="w")
    >>> graph = recorded((w * w).sum())
    >>> [vertex.operation or vertex.name for vertex in graph.vertices]
    ['w', 'multiply', 'sum']
    >>> [(edge.source, edge.target, edge.argument) for edge in graph.edges]
    [(0, 1, 0), (0, 1, 1), (1, 2, 0)]
    """
    if not isinstance(output, Tensor):
        raise TypeError(f"draw: expected one Tensor, got {type(output).__name__}")
    if output.node is None:
        words = f"tensor {output.name!r}" if output.name else f"the tensor of shape {output.shape}"
        raise RuntimeError(
            f"draw: {words} has no graph: nothing it came from needs a gradient, or it was computed under no_grad or "
            f"detached"
        )
    if gradients and output.size != 1:
        raise RuntimeError(
            f"draw: expected a scalar to show the gradients of, got shape {output.shape} ({output.node.words()}); draw "
            f"its sum() for example"
        )
    start = seed(output, None, create_graph=False) if gradients else None
    with keeping_everything() if values else nullcontext():  # all that an expansion records, then, is known
        expansion = Expansion(output.node)
    if expansion.maker(output.node) is None:  # unrolled, it is a constant
        expansion = Expansion(output.node, unroll=False)
    flow = Flow() if start is None else measures.flow(expansion, start)
    known = measures.values(expansion, output) if values else {}
    index = {node.order: i for i, node in enumerate(expansion.calls)}
    edges = []
    for i, node in enumerate(expansion.calls):
        for argument, parent in enumerate(node.parents):
            if parent is not None and (made := expansion.maker(parent)) is not None:
                maker, result, name = made
                gradient = flow.edges.get((node.order, argument))
                edges.append(Edge(index[maker.order], i, argument, result, name, gradient=gradient))
    vertices = [
        _vertex(node, expansion.name(node), flow.vertices.get(node.order), known.get(node.order))
        for node in expansion.calls
    ]
    made = expansion.maker(output.node)
    assert made is not None
    return Graph(tuple(_in_loops(vertices)), tuple(edges), (index[made[0].order], made[1]))


def _in_loops(vertices: list[Vertex]) -> list[Vertex]:
    """The vertices, with steps of their own only in loops of several: a layer called a step at a time has none."""
    while deepest := max((len(vertex.within) for vertex in vertices if vertex.operation is not None), default=0):
        steps: dict[tuple[int, ...], set[int | None]] = {}
        for vertex in vertices:
            if vertex.operation is not None and len(vertex.within) == deepest:
                steps.setdefault(vertex.within, set()).add(vertex.step)
        if any(len(those) > 1 for those in steps.values()):
            break
        vertices = [
            replace(one, step=one.within[-1], within=one.within[:-1]) if len(one.within) >= deepest else one
            for one in vertices
        ]
    return vertices


def _vertex(node: Node, name: str | None, gradient: float | None, values: Values | None) -> Vertex:
    return Vertex(
        node.order,
        None if node.primitive is None else node.primitive.name,
        name,
        tuple(node.shape),
        str(node.dtype),
        node.path,
        node.step,
        node.words(),
        gradient=gradient,
        values=values,
        within=node.context.within,
    )
