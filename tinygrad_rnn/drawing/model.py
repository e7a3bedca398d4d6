"""The recorded graph as plain data: what a picture is drawn of.

One vertex for each recorded operation and each leaf, one edge for each argument that needed a gradient; constants are
not recorded, so they are not here either. Picking one result of a call with several (``np.split``) is no operation of
its own: it becomes the ``result`` of an edge. Nothing here points back to the graph, so a picture keeps no array alive;
and as a backward walk leaves nodes and parents where they are, a released graph gives the same model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..graph import Node, newest_first
from ..tensor import Tensor
from ..walk import ITEM


@dataclass(frozen=True, slots=True)
class Vertex:
    """One recorded operation, or (``operation`` None) one leaf.

    Attributes:
        order: The node's number in order of creation, by which what a walk observes finds its vertex.
        shape: Of the result; of each result in turn where there are several.
        where: Operation, module path and step in words, as error messages have them.
    """

    order: int
    operation: str | None
    name: str | None
    shape: tuple[Any, ...]
    dtype: str
    path: str
    step: int | None
    where: str


@dataclass(frozen=True, slots=True)
class Edge:
    """``source`` is argument number ``argument`` of ``target`` (sequences laid flat, constants counted).

    Attributes:
        source, target: Indices of vertices.
        result: Which of the source's results; None where it has one.
        name: The name given to that one of several results.
    """

    source: int
    target: int
    argument: int
    result: int | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Graph:
    """Vertices in order of creation, and edges by target and argument.

    Attributes:
        output: The vertex that was drawn from, and which of its results.
    """

    vertices: tuple[Vertex, ...]
    edges: tuple[Edge, ...]
    output: tuple[int, int | None]


def recorded(output: Tensor) -> Graph:
    """Read the graph that ``output`` was computed by, in time linear in its size (but for one sort).

    Raises:
        TypeError: ``output`` is not a tensor.
        RuntimeError: nothing it came from needs a gradient, so nothing was recorded.

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
    nodes = [node for node in reversed(newest_first([output.node])) if node.primitive is not ITEM]
    index = {node.order: i for i, node in enumerate(nodes)}
    edges = []
    for i, node in enumerate(nodes):
        for argument, parent in enumerate(node.parents):
            if parent is not None:
                maker, result, name = _made_by(parent)
                edges.append(Edge(index[maker.order], i, argument, result, name))
    maker, result, _ = _made_by(output.node)
    return Graph(tuple(_vertex(node) for node in nodes), tuple(edges), (index[maker.order], result))


def _made_by(node: Node) -> tuple[Node, int | None, str | None]:
    """The call that made a node: for one of several results the call, which result it is, and the result's name."""
    if node.primitive is not ITEM:
        return node, None, None
    (call,) = node.parents
    assert call is not None
    assert node.args is not None  # the walk leaves these: which result it is is structure, not a saved array
    return call, node.args[0], _name(node)


def _name(node: Node) -> str | None:
    return None if node.name is None else str(node.name)


def _vertex(node: Node) -> Vertex:
    operation = None if node.primitive is None else node.primitive.name
    return Vertex(
        node.order, operation, _name(node), tuple(node.shape), str(node.dtype), node.path, node.step, node.words()
    )
