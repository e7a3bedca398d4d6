"""What stands behind the nodes that stand for a stretch of time: a layer's fused sequence, a checkpointed scan.

Their definitions are run again, on aliases of their arguments, and what that records takes the node's place: a
``Part`` for each, and within it parts again. The recorded graph is not changed and does not lead to its expansion.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..graph import Free, Node, newest_first
from ..primitives import Primitive
from ..tensor import lift
from ..versions import written_after
from ..walk import ALIAS, ITEM, Rerun, run_definition, saved_with_parents

_CHECKPOINT = "checkpoint"  # the one primitive that may stand for anything
_FEW = 64


@dataclass(slots=True)
class Part:
    """One recorded graph: the outermost, or what the definition of one node has recorded.

    Attributes:
        since: Its own nodes are newer; older ones belong to the parts around it.
        entrances: For each result in use the node outside by which it is used, and the node here that makes it.
        nodes: Those that lead to an entrance, newest first, with all that has no step in time of its own: the picking
            of one of several results, the ends, the nodes that parts stand for.
        ends: Those of them that nothing here leads to: leaves, and what stands for a node outside.
        outside: The nodes of the parts around it that ends stand for, or are.
        inner: The parts that stand for nodes here.
        calls: The operations and leaves of this part and all inner ones, newest first.
        stale: Was something written into since that it was computed from? Then what it computed now is not the same.
    """

    since: int
    entrances: list[tuple[Node, Node]]
    nodes: list[Node] = field(default_factory=list)
    ends: list[Node] = field(default_factory=list)
    outside: list[Node] = field(default_factory=list)
    inner: list[Part] = field(default_factory=list)
    calls: list[Node] = field(default_factory=list)
    stale: bool = False


class Expansion:
    """The graph of ``output`` with everything in it that goes through time unrolled, if ``unroll``.

    Attributes:
        root: The recorded graph itself, with its inner parts.
        calls: All operations and leaves, each after those that it was made from.
    """

    def __init__(self, output: Node, unroll: bool = True) -> None:
        self._unroll = unroll
        self._stands_for: dict[int, Node | None] = {}  # by order: a node, and the one that a walk goes on from there
        self._names: dict[int, str] = {}  # by order: given to what a node stands for
        self._whole: set[Hashable] = (
            set()
        )  # calls whose definition does not go through time, as ``_call_like`` has them
        self.root = self._part([(output, output)], 0)
        self._there: set[int] = set()  # the orders of calls
        self.calls = [node for node in reversed(self.root.calls) if self._leads_back(node)]

    def maker(self, node: Node) -> tuple[Node, int | None, str | None] | None:
        """The call or leaf that a node was made by, which of its results it is, and the result's name.

        None where it turns out to be made from nothing that needs a gradient.
        """
        found = self._origin(node)
        if found is None:
            return None
        if found.primitive is not ITEM:
            return (found, None, None) if found.order in self._there else None
        (call,) = found.parents
        assert call is not None
        assert found.args is not None  # the walk leaves these: which result it is is structure, not a saved array
        return (call, found.args[0], self.name(found)) if call.order in self._there else None

    def name(self, node: Node) -> str | None:
        """The name that a node was given, or that what stands for it was."""
        name = self._names.get(node.order, node.name)
        return None if name is None else str(name)

    def _leads_back(self, call: Node) -> bool:
        """Is a call made from anything that needs a gradient, now that it is known what its arguments stand for?"""
        parents = [parent for parent in call.parents if parent is not None]
        leads_back = not parents or any(self.maker(parent) is not None for parent in parents)
        if leads_back:
            self._there.add(call.order)
        return leads_back

    def _origin(self, node: Node) -> Node | None:
        """What a node stands for: mostly itself."""
        passed: list[int] = []
        found: Node | None = node
        while found is not None and found.order in self._stands_for:
            passed.append(found.order)
            found = self._stands_for[found.order]
        for order in passed[:-1]:  # long ways are gone once
            self._stands_for[order] = found
        return found

    def _part(self, entrances: list[tuple[Node, Node]], since: int) -> Part:
        """What leads to the entrances, each node with a definition through time replaced by a part of its own."""
        part = Part(since, entrances)
        roots = [root for _, root in entrances]
        live = {root.order for root in roots}  # a result, or an argument, may turn out not to be used
        picked: dict[int, list[Node]] = {}  # for each call the results in use
        for node in newest_first(roots, since=since):
            if node.order not in live:
                continue
            part.nodes.append(node)
            if node.primitive is ITEM and node.order >= since:
                (call,) = node.parents
                assert call is not None
                live.add(call.order)
                picked.setdefault(call.order, []).append(node)
                continue
            outside = node.order < since or node.order in self._stands_for
            if outside or not node.parents:
                part.ends.append(node)
                if not outside:
                    part.calls.append(node)
                continue
            inner = self._through_time(node, picked.get(node.order, [node]))
            if inner is None:
                part.calls.append(node)
                live.update(parent.order for parent in node.parents if parent is not None)
            else:
                part.inner.append(inner)
                part.calls.extend(inner.calls)
                live.update(found.order for found in inner.outside)
        return part

    def _through_time(self, call: Node, used: Sequence[Node]) -> Part | None:
        """The part that stands for a call whose definition goes through time, to replace the ``used`` nodes; or None.

        A definition that cannot be run again as it was leaves the call what it is.
        """
        primitive = call.primitive
        if not self._unroll or primitive is None or primitive.definition is None:
            return None
        if call.args is None:  # released
            return None
        like = _call_like(call, primitive)
        if like in self._whole:
            return None
        try:
            rerun = run_definition(call, lift)
        except Exception:  # whatever a user's code raises that was not made to be run again: the graph is there to draw
            return None
        pairs = zip(rerun.ends, call.parents, strict=True)
        arguments = {end.order: parent for end, parent in pairs if end is not None and parent is not None}
        self._stands_for.update((order, parent) for order, parent in arguments.items() if order != parent.order)
        results = [rerun.results[_place(node)] for node in used]
        entrances = [(node, result) for node, result in zip(used, results, strict=True) if result is not None]
        part = self._part(entrances, rerun.since)
        if not part.inner and not self._has_steps(call, rerun):
            if primitive.name != _CHECKPOINT:
                self._whole.add(like)
            return None
        part.stale = any(_written_since(one, call.order) for one in (call, *part.calls))
        part.outside = [arguments[end.order] for end in part.ends if end.order in arguments]
        for node, result in zip(used, results, strict=True):
            self._replace(node, result)
        return part

    def _has_steps(self, call: Node, rerun: Rerun) -> bool:
        """Has a definition recorded operations in a time step of its own, or what stands for such, used or not?

        It may be the very step that the call was recorded in, where a layer is called at t=0 of an outer loop: then the
        context is a new one, and yet it has no new path.
        """
        inherited = (rerun.context, call.context)
        results = [(call, result) for result in rerun.results if result is not None]
        return any(
            node.order >= rerun.since
            and node.primitive not in (None, ALIAS)
            and node.context not in inherited
            and (node.step != call.step or (node.step is not None and node.path == call.path))
            for node in newest_first([result for _, result in results], since=rerun.since)
        ) or bool(self._part(results, rerun.since).inner)

    def _replace(self, node: Node, result: Node | None) -> None:
        """Let a result of a rerun stand for a node, and bear its name."""
        self._stands_for[node.order] = result
        name, origin = self.name(node), None if result is None else self._origin(result)
        if name is not None and origin is not None:
            self._names[origin.order] = name


def _written_since(call: Node, order: int) -> bool:
    """Was anything that a call has kept written into since ``order``?"""
    if call.args is None:
        return False
    kept = (one for value, _ in saved_with_parents(call) for one in (value if isinstance(value, Free) else [value]))
    return any(isinstance(one, np.ndarray) and written_after(one, order) for one in kept)


def _call_like(call: Node, primitive: Primitive) -> Hashable:
    """What calls share that run through as many time steps: shapes, and constants but for those of many numbers."""
    given = [_given(value, parent) for value, parent in saved_with_parents(call)]
    named = [(name, _given(value, None)) for name, value in (call.kwargs or {}).items()]
    return primitive, tuple(given), tuple(named)


def _given(value: Any, parent: Node | None) -> Hashable:
    if parent is not None:
        return tuple(parent.shape)
    if isinstance(value, np.ndarray):
        return value.shape, value.tobytes() if value.size <= _FEW else None
    try:
        return type(value), hash(value), value
    except TypeError:  # not hashable
        return type(value), repr(value)


def _place(node: Node) -> int:
    """Which result of its call a node is."""
    return node.args[0] if node.primitive is ITEM and node.args is not None else 0
