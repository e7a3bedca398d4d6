"""Where a weight is written, in pictures that show modules rather than operations.

A weight that many steps share is no box there, but a name: on the edge along which comes what it multiplies, as the
lecture writes u, v and w; on the edge along which its product leaves; or in the box, where neither is one edge.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Sequence
from enum import Enum
from typing import NamedTuple, TypeAlias

from .model import Edge, Graph, Vertex

_PRODUCTS = {"matmul", "multiply", "dot", "linear", "embedding"}  # of a weight with data, the first two arguments
Moment: TypeAlias = tuple[int, ...] | None
_CHAIN = 4  # operations on a weight alone, a transpose for one, that are looked through


class Where(Enum):
    """Where a use of a weight is written."""

    IN = 0  # on edges into the box
    INPUT = 1  # on an edge for what was not recorded, a constant input
    START = 2  # the same, where other steps have what an earlier one computed: a constant initial state
    OUT = 3  # on the edge by which a result leaves
    BOX = 4


class Use(NamedTuple):
    """One recorded edge from a shared leaf.

    Attributes:
        edge: Its number.
        edges: The numbers of the recorded edges on which it is written; of ``START``, of those in another step.
        result: Of ``OUT``, the operation whose result leaves.
    """

    edge: int
    where: Where
    edges: tuple[int, ...] = ()
    result: int | None = None


def is_product(graph: Graph, edge: Edge) -> bool:
    """Does it lead into a product, such as of a weight with data?"""
    return graph.vertices[edge.target].operation in _PRODUCTS


def find_uses(graph: Graph, boxes: Sequence[Hashable], roles: Sequence[int], written: Collection[int]) -> list[Use]:
    """Where to write each of the uses ``written``, numbers of edges from weights.

    Args:
        boxes: For each vertex the one that it is in; None: it is not drawn.
        roles: For each vertex the one that has its place in the step that others are copies of.
    """
    finder = _Finder(graph, boxes, written)
    uses = [finder.use(number) for number in sorted(written)]
    alike: dict[tuple[int, int], list[Use]] = {}  # the same operation in different steps
    for use in uses:
        edge = graph.edges[use.edge]
        alike.setdefault((edge.source, roles[edge.target]), []).append(use)
    answer: list[Use] = []
    for those in alike.values():
        found = {use.where for use in those}
        started = next((use for use in those if use.where is Where.IN), None)
        for use in those:
            if Where.BOX in found:
                answer.append(Use(use.edge, Where.BOX))
            elif use.where is Where.INPUT and started is not None:
                answer.append(Use(use.edge, Where.START, started.edges[:1]))
            else:
                answer.append(use)
    return sorted(answer)


def initial_states(graph: Graph) -> set[int]:
    """The numbers of the edges by which a step has a leaf where others have what another step computed.

    Operations of different steps are compared by their order, in which a first step that does less than the others is
    out of step with them: of a leaf that other steps use as well, so many uses as they have are no initial state.
    """
    count: Counter[Hashable] = Counter()
    position: list[Hashable] = []  # of an operation in its step
    for vertex in graph.vertices:
        key = vertex.path, vertex.moment, vertex.operation or ""
        position.append((vertex.path, vertex.operation, count[key]))
        count[key] += 1
    handed_on: set[Hashable] = set()
    for edge in graph.edges:
        source, target = graph.vertices[edge.source], graph.vertices[edge.target]
        if source.operation is not None and _other_moment(source, target):
            handed_on.add((position[edge.target], edge.argument))
    instead: dict[tuple[int, str], dict[Moment, list[int]]] = {}  # of each leaf and module: by step, in such places
    others: dict[tuple[int, str], Counter[Moment]] = {}  # how many in other places
    for number, edge in enumerate(graph.edges):
        target = graph.vertices[edge.target]
        if graph.vertices[edge.source].operation is not None:
            continue
        use = edge.source, target.path
        if (position[edge.target], edge.argument) in handed_on:
            instead.setdefault(use, {}).setdefault(target.moment, []).append(number)
        else:
            others.setdefault(use, Counter())[target.moment] += 1
    answer: set[int] = set()
    for use, by_step in instead.items():
        usual = max(others.get(use, Counter()).values(), default=0)
        for moment, numbers in by_step.items():
            missing = usual - others.get(use, Counter())[moment]
            answer.update(numbers[missing:])
    return answer


def _other_moment(source: Vertex, target: Vertex) -> bool:
    """Were they recorded under different steps?"""
    return None not in (source.step, target.step) and source.moment != target.moment


class _Finder:
    def __init__(self, graph: Graph, boxes: Sequence[Hashable], written: Collection[int]) -> None:
        self.graph = graph
        self.boxes = boxes
        self.written = written
        self.incoming: list[list[int]] = [[] for _ in graph.vertices]
        self.outgoing: list[list[int]] = [[] for _ in graph.vertices]
        for number, edge in enumerate(graph.edges):
            self.incoming[edge.target].append(number)
            self.outgoing[edge.source].append(number)
        self.weighted = {graph.edges[number].target for number in written}

    def use(self, number: int) -> Use:
        """Where to write one use, seen for itself."""
        edge = self.graph.edges[number]
        operand, vertex = edge, edge.target
        for _ in range(_CHAIN):
            inputs = [n for n in self.incoming[vertex] if self.graph.edges[n] != operand]
            users = self.outgoing[vertex]
            alone = not inputs and self.graph.vertices[vertex].operation not in _PRODUCTS
            if not alone or len(users) != 1 or self._leaves_box(self.graph.edges[users[0]]):
                break
            operand, vertex = self.graph.edges[users[0]], self.graph.edges[users[0]].target
        data = [n for n in inputs if n not in self.written]
        if not data and self._has_constant(vertex):
            return Use(number, Where.INPUT)
        origins = self._origins(data)
        if origins:
            return Use(number, Where.IN, origins)
        result = self._result(vertex) if self.graph.vertices[vertex].operation in _PRODUCTS else None
        return Use(number, Where.BOX) if result is None else Use(number, Where.OUT, (), result)

    def _has_constant(self, vertex: int) -> bool:
        """Is it a product with something that needs no gradient, and was not recorded?"""
        recorded = {self.graph.edges[n].argument for n in self.incoming[vertex]}
        return self.graph.vertices[vertex].operation in _PRODUCTS and not {0, 1} <= recorded

    def _leaves_box(self, edge: Edge) -> bool:
        return self.boxes[edge.source] != self.boxes[edge.target] or self._other_step(edge)

    def _other_step(self, edge: Edge) -> bool:
        source, target = self.graph.vertices[edge.source], self.graph.vertices[edge.target]
        return source.operation is not None and _other_moment(source, target)

    def _origins(self, data: list[int]) -> tuple[int, ...]:
        """The edges by which data come into the box, if nothing on the way from there is a product with a weight."""
        origins: list[int] = []
        waiting, seen = list(data), set(data)
        while waiting:
            number = waiting.pop(0)
            edge = self.graph.edges[number]
            if self._leaves_box(edge):
                origins.append(number)
                continue
            if edge.source in self.weighted or not self.incoming[edge.source]:
                return ()
            for n in self.incoming[edge.source]:
                if n not in seen:
                    seen.add(n)
                    waiting.append(n)
        return tuple(origins)

    def _result(self, vertex: int) -> int | None:
        """The only operation by which what comes of ``vertex`` leaves the box, and not through another weight's."""
        exits: set[int] = set()
        waiting, seen = [vertex], {vertex}
        while waiting:
            v = waiting.pop()
            for n in self.outgoing[v]:
                edge = self.graph.edges[n]
                if self._leaves_box(edge):
                    exits.add(v)
                elif edge.target in self.weighted:
                    return None
                elif edge.target not in seen:
                    seen.add(edge.target)
                    waiting.append(edge.target)
        return exits.pop() if len(exits) == 1 else None
