"""Vertices of a graph put together, and the edges between them.

What a folded vertex or edge stands for is noted in it, so that its counts are exact: every recorded operation is in one
vertex, and every recorded edge is in one edge, or inside one vertex, or is one use of a weight written on the picture.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeAlias

from .blocks import beginning
from .boxes import Box, path_of, shared
from .distances import distances
from .labels import LONGEST
from .measures import largest
from .model import Edge, Graph, Vertex
from .tags import Use, Where
from .timeline import Place, Timeline

Key: TypeAlias = Hashable
Slot: TypeAlias = tuple[int, int]
_LISTED = 3  # inputs drawn as one, that are named one by one


class Tag(NamedTuple):
    """A weight written on the picture.

    Attributes:
        leaf: Which, in the recorded graph.
        slot: The edge on which it is written; None: in the box.
        at_end: At the edge's end, or else at its beginning.
        uses: The numbers of the recorded edges that it stands for.
    """

    leaf: int
    box: int
    slot: Slot | None
    at_end: bool
    uses: tuple[int, ...]


class Folded(NamedTuple):
    """A graph as it is drawn.

    Attributes:
        graph: Its vertices and edges stand for those of the recorded one.
        tags: Uses of shared leaves that are no edges here.
    """

    graph: Graph
    timeline: Timeline
    tags: tuple[Tag, ...] = ()


class Inputs(NamedTuple):
    """Leaves that are the same for each step, one of which they take the place of."""

    original: int


class _Bundle(NamedTuple):
    """What tells a folded edge from others: of several values, of several steps between."""

    source: int
    target: int
    role: Key
    delay: int


class _Spot(NamedTuple):
    """Where a use of a weight is written: on an edge that stands for recorded ones, or on one for a constant."""

    target: int
    role: Key
    bundle: _Bundle | None
    at_end: bool


class Folding:
    """Vertices put together by key (None: not drawn), and the edges between them.

    Attributes:
        index: For each recorded vertex the one that it is part of.
        members: The recorded vertices of each.
    """

    def __init__(
        self,
        graph: Graph,
        timeline: Timeline,
        drawn: Timeline,
        keys: Sequence[Key | None],
        roles: Sequence[int],
        states: Collection[int] = (),
        written: Collection[int] = (),
    ) -> None:
        self.graph, self.timeline, self.drawn, self.roles = graph, timeline, drawn, roles
        self.index: list[int | None] = []
        self.members: list[list[int]] = []
        self.keys: list[Key] = []
        known: dict[Key, int] = {}
        for i, key in enumerate(keys):
            if key is None:
                self.index.append(None)
                continue
            k = known.setdefault(key, len(self.members))
            if k == len(self.members):
                self.members.append([])
                self.keys.append(key)
            self.members[k].append(i)
            self.index.append(k)
        self.bundles: dict[_Bundle, list[int]] = {}
        self.bundle_of: dict[int, _Bundle] = {}
        self.users: dict[int, list[int]] = {}  # of each vertex those with an edge from it
        self.leaving: dict[int | None, _Bundle] = {}  # of each vertex, the first edge by which its result leaves
        far = distances(graph, timeline, self.index)
        meeting = self._meeting(far)
        for number, edge in enumerate(graph.edges):
            source, target, delay = self.index[edge.source], self.index[edge.target], self._delay(edge, far[number])
            if source is None or target is None or number in written or (source == target and not delay):
                continue
            role: Key = (meeting.get(number, (self.roles[edge.source], edge.result)), far[number])
            if isinstance(self.keys[target], int):
                role = edge.argument if isinstance(self.keys[source], int) else "left out"
            bundle = self.bundle_of[number] = _Bundle(source, target, role, delay)
            self.bundles.setdefault(bundle, []).append(number)
            self.leaving.setdefault(edge.source, bundle)
            self.users.setdefault(source, []).append(target)
        self.arguments: dict[tuple[Key, Key], int] = {}
        self.taken: set[Slot] = set()
        self.initial = {self._drawn(i) for i in states if keys[i] == i}  # what is an initial state

    def _meeting(self, far: Sequence[int | None]) -> dict[int, Key]:
        """What tells values apart that meet in a place of many steps, which are not quite alike.

        Where no step has more than one, they are one. Of several in a step, each is like those of other steps that
        were computed by the same operation, the first like the first.
        """
        between: dict[Key, dict[Key, dict[tuple[int, int | None], list[int]]]] = {}  # boxes; steps; value; edges
        for number, edge in enumerate(self.graph.edges):
            if self._is_for_many(edge.source) or self._is_for_many(edge.target):
                ends = self.index[edge.source], self.index[edge.target], far[number]
                steps = self._column(edge.source), self._column(edge.target)
                those = between.setdefault(ends, {}).setdefault(steps, {})
                those.setdefault((edge.source, edge.result), []).append(number)
        found: dict[int, Key] = {}
        for by_step in between.values():
            several = any(len(values) > 1 for values in by_step.values())
            for values in by_step.values():
                count: Counter[Key] = Counter()
                for (source, result), numbers in values.items():
                    kind = self.graph.vertices[source].operation, result
                    found |= dict.fromkeys(numbers, (kind, count[kind]) if several else None)
                    count[kind] += 1
        return found

    def _column(self, vertex: int) -> int | None:
        place = self.timeline.places[vertex]
        return None if place is None else place.column

    def _is_for_many(self, vertex: int) -> bool:
        """Does it stand in a place of many steps?"""
        place = self.drawn.places[vertex]
        return place is not None and len(self.drawn.columns[place.column].steps) > 1

    def _delay(self, edge: Edge, distance: int | None) -> int:
        """How far it leads from a box to one in the same place, where these stand for many steps."""
        start, end = self.drawn.places[edge.source], self.drawn.places[edge.target]
        if start is None or end is None or start.column != end.column or isinstance(self._key(edge.source), Place):
            return 0
        return distance or 0

    def _key(self, vertex: int) -> Key:
        k = self.index[vertex]
        return None if k is None else self.keys[k]

    def folded(self, uses: Sequence[Use]) -> Folded:
        """The graph of all that, its vertices in an order in which sources stand before targets."""
        spots = [self._spots(use) for use in uses]
        stubs = list(dict.fromkeys(spot for those in spots for spot in those if spot.bundle is None))
        order = self._order()
        number = {k: len(stubs) + i for i, k in enumerate(order)}
        slots = self._slots(number)
        edges = [self._edge(numbers, number[b.source], slots[b], b.delay) for b, numbers in self.bundles.items()]
        for i, stub in enumerate(stubs):
            edges.append(Edge(i, *self._slot(stub, slots, number), folded=True))
        tags: dict[tuple[int, int, Slot | None, bool], list[int]] = {}
        for use, those in zip(uses, spots, strict=True):
            edge = self.graph.edges[use.edge]
            box = number[self._drawn(edge.target)]
            written: list[tuple[Slot | None, bool]] = [(self._slot(spot, slots, number), spot.at_end) for spot in those]
            for slot, at_end in written or [(None, True)]:
                tags.setdefault((edge.source, box, slot, at_end), []).append(use.edge)
        vertices = [*(_stub(stub) for stub in stubs), *(self._vertex(k) for k in order)]
        places = [*(self._before(stub.target) if stub.role != "input" else None for stub in stubs)]
        places += [self._place(k) for k in order]
        output = number[self._drawn(self.graph.output[0])], self.graph.output[1]
        edges.sort(key=lambda edge: edge.slot)
        return Folded(
            Graph(tuple(vertices), tuple(edges), output),
            Timeline(self.drawn.columns, tuple(places)),
            tuple(Tag(*where, tuple(numbers)) for where, numbers in tags.items()),
        )

    def _slots(self, number: Mapping[int, int]) -> dict[_Bundle, Slot]:
        """Of each folded edge its target and a number there."""
        slots: dict[_Bundle, Slot] = {}
        for bundle in sorted(self.bundles, key=lambda bundle: not bundle.delay):
            slot = number[bundle.target], self._argument(bundle.target, self._role(bundle))
            if slot in self.taken:  # where steps are one: an initial state, beside what an earlier step has computed
                slot = number[bundle.target], self._argument(bundle.target, bundle)
                self.initial.add(bundle.source)
            slots[bundle] = slot
            self.taken.add(slot)
        return slots

    def _slot(self, spot: _Spot, slots: Mapping[_Bundle, Slot], number: Mapping[int, int]) -> Slot:
        if spot.bundle is not None:
            return slots[spot.bundle]
        slot = number[spot.target], self._argument(spot.target, spot.role)
        return slot if slot not in self.taken else (slot[0], self._argument(spot.target, spot))

    def _role(self, bundle: _Bundle) -> Key:
        """What it is for its target, in the same terms for all steps: the first use of it there."""
        those = [self.graph.edges[number] for number in self.bundles[bundle]]
        if isinstance(self.keys[bundle.target], int):
            return min(edge.argument for edge in those)
        return min((self.roles[edge.target], edge.argument) for edge in those)

    def _drawn(self, vertex: int) -> int:
        k = self.index[vertex]
        if k is None:
            raise ValueError(f"vertex {vertex} is a weight that is not drawn")
        return k

    def _spots(self, use: Use) -> list[_Spot]:
        target = self._drawn(self.graph.edges[use.edge].target)
        if use.where is Where.IN:
            bundles = dict.fromkeys(self.bundle_of[n] for n in use.edges if n in self.bundle_of)  # not from its own box
            return [_Spot(bundle.target, bundle.role, bundle, True) for bundle in bundles]
        if use.where is Where.INPUT:
            return [_Spot(target, "input", None, True)]
        if use.where is Where.START:
            other = self.bundle_of.get(use.edges[0])  # it may be in steps that are left out
            return [_Spot(target, "state" if other is None else self._role(other), None, True)]
        bundle = self.leaving.get(use.result) if use.where is Where.OUT else None
        return [] if bundle is None else [_Spot(bundle.target, bundle.role, bundle, False)]

    def _order(self) -> list[int]:
        """Sources before targets, otherwise as recorded; what runs in a circle through time as it was recorded."""
        into: Counter[int] = Counter()
        users: dict[int, list[int]] = {}
        for bundle in self.bundles:
            if not bundle.delay:
                into[bundle.target] += 1
                users.setdefault(bundle.source, []).append(bundle.target)
        ready = [k for k in range(len(self.members)) if not into[k]]
        order: list[int] = []
        while ready:
            k = heapq.heappop(ready)
            order.append(k)
            for user in users.get(k, ()):
                into[user] -= 1
                if not into[user]:
                    heapq.heappush(ready, user)
        done = set(order)
        return order + [k for k in range(len(self.members)) if k not in done]

    def _argument(self, target: int, role: Key) -> int:
        """The number of an argument: the same in all steps of a box."""
        key = self.keys[target]
        if isinstance(key, int):
            return role if isinstance(role, int) else -1
        box: Key = key._replace(place=key.place._replace(column=-1)) if isinstance(key, Box) else key
        return self.arguments.setdefault((box, role), len(self.arguments))

    def _edge(self, numbers: Sequence[int], source: int, slot: Slot, delay: int) -> Edge:
        those = [self.graph.edges[number] for number in numbers]
        name = those[0].name or self.graph.vertices[those[0].source].name
        edge = those[0] if len(those) == 1 else replace(those[0], gradient=largest(edge.gradient for edge in those))
        folded = not isinstance(self._key(those[0].target), int) or len(those) > 1
        name = name if folded else those[0].name
        return replace(
            edge,
            source=source,
            target=slot[0],
            argument=slot[1],
            name=name,
            delay=delay,
            later=self._later(those) if delay else (0, 0),
            stands_for=tuple(numbers),
            folded=folded,
        )

    def _later(self, edges: Sequence[Edge]) -> tuple[int, int]:
        """How much later edges from step to step end than they begin: the least, and the most."""
        steps = [self._step(edge.target) - self._step(edge.source) for edge in edges]
        return min(steps), max(steps)

    def _step(self, vertex: int) -> int:
        place = self.timeline.places[vertex]
        if place is None:
            raise ValueError(f"vertex {vertex} has no place in time")
        return self.timeline.columns[place.column].steps[0]

    def _place(self, k: int) -> Place | None:
        place = next((place for i in self.members[k] if (place := self.drawn.places[i]) is not None), None)
        if place is None and k in self.initial:
            befores = (self._before(target) for target in self.users[k])
            return next((before for before in befores if before is not None), None)
        return place

    def _before(self, k: int) -> Place | None:
        """The place of an initial state: where the loop begins that it is for; of one in its midst, a cut, none."""
        place = self._place(k)
        if place is None or not self.drawn.in_time(place):
            return None
        phase = self.drawn.columns[place.column].phase
        steps = [i for i, c in enumerate(self.drawn.columns) if c.steps and c.phase == phase]
        if place.column not in (steps[0], steps[-1]):
            return None
        return Place(beginning(self.drawn.columns, place.column), place.row)

    def _vertex(self, k: int) -> Vertex:
        members = self.members[k]
        those = [self.graph.vertices[i] for i in members]
        if isinstance(self.keys[k], int):
            return replace(those[0], stands_for=tuple(members))
        key = self.keys[k]
        if len(those) == 1 and isinstance(key, Box) and not key.path:
            return replace(those[0], path="", stands_for=tuple(members))
        if isinstance(key, Inputs):
            names = list(dict.fromkeys(vertex.name or "leaf" for vertex in those))
            every = f"{names[0]} … {names[-1]}" if len(names) > _LISTED else ", ".join(names)
            count = f"{len(those):,} inputs"
            name = every if len(every) <= LONGEST else count
            alike = len({(vertex.shape, vertex.dtype) for vertex in those}) == 1
            return replace(
                those[0],
                name=name,
                dtype=those[0].dtype if alike else "",
                where=count if name == every else every,
                gradient=largest(vertex.gradient for vertex in those),
                values=None,
                stands_for=tuple(members),
            )
        operations = [vertex for vertex in those if vertex.operation is not None]
        steps = {vertex.step for vertex in operations} - {None}  # a leaf may have been made in any other
        return Vertex(
            those[0].order,
            _title(self.keys[k], those, len(steps)),
            None,
            (),
            "",
            "",
            operations[0].step if len(steps) == 1 else None,
            _contents(those),
            gradient=largest(vertex.gradient for vertex in those),
            stands_for=tuple(members),
            operations=len(operations),
            steps=max(len(steps), 1),
        )


def _title(key: Key, members: Sequence[Vertex], steps: int) -> str:
    """What a box is called: its module, or what it does, or how many steps it stands for."""
    if isinstance(key, Place):
        return f"… {steps} steps" if steps > 1 else "… 1 step"
    if isinstance(key, Box) and key.path:
        return "/".join(key.path)
    names = {vertex.operation for vertex in members}
    if len(names) == 1 and len(members) == max(steps, 1):
        return str(names.pop())
    common = path_of(members[0].path)[: shared([path_of(vertex.path) for vertex in members])]
    return common[-1] if common else "step"


def _contents(members: Sequence[Vertex]) -> str:
    """All that is in a box, in words."""
    counts = Counter(vertex.operation or "leaf" for vertex in members)
    return ", ".join(f"{name} × {count}" if count > 1 else name for name, count in counts.items())


def _stub(spot: _Spot) -> Vertex:
    """What stands for a constant, which was not recorded."""
    words = "input" if spot.role == "input" else "constant"
    return Vertex(-1, None, words, (), "", "", None, f"{words}: it needs no gradient, so it was not recorded")
