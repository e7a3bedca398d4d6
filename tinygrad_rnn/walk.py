"""The walk back over a recorded graph: reverse-mode differentiation.

Visits nodes newest first, hands each the gradient of its result, and passes the answers of its rules on to its parents
(Griewank and Walther, *Evaluating Derivatives*, 2nd ed., ch. 3). Over a graph that a loop has unrolled, this is
backpropagation through time (lecture, section 3, "Backprop Through Time").

For a first derivative everything here is a bare array. Under ``create_graph`` the same rules run on tensors, made from
what the nodes have saved by the function ``lift``; that is all this room knows of tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from . import versions
from .context import Context, current
from .graph import Free, Node, Notes, Spread, check_finite, check_unwritten, leading_to, newest_first
from .primitives import Gather, Saved, defvjp, primitive_of

Lift: TypeAlias = Callable[[Node | None, Any], Any]
Observer: TypeAlias = Callable[[Node, int, Any], None]
ndarray = np.ndarray
_GATHERED_ROWS = 1024  # enough for a product to run at full speed, few enough to hold little memory back


def _item(results: Sequence[Any], i: int) -> Any:
    """One of several results; its node hands its gradient to place i of theirs."""
    return results[i]


def _alias(x: Any) -> Any:
    """Its argument, as a node of its own: where the walk over a definition stops."""
    return x


ITEM, ALIAS = primitive_of(_item), primitive_of(_alias)
defvjp(_alias, lambda g, _y, _x: g)


def walk(
    outputs: Sequence[tuple[Node, Any]],
    lift: Lift,
    wanted: Sequence[Node] | None = None,
    *,
    retain_graph: bool = False,
    create_graph: bool = False,
    observe: Observer | None = None,
    since: int = 0,
) -> dict[Node, Any]:
    """Walk back from ``outputs`` and return the gradients that arrive, by node.

    Iterative, and newest node first, so that a node's gradient is complete when it is visited: the deepest graph needs
    no recursion. Gradients are summed in place only into arrays made here.

    Args:
        outputs: Pairs of a node and the gradient it starts with (an array; a tensor under ``create_graph``).
        lift: ``lift(node, array)`` makes the tensor of a node from its value.
        wanted: Only these nodes' gradients, going nowhere that does not lead to one. None: all leaves, and the nodes
            whose gradient is to be retained.
        retain_graph: Keep what the nodes have saved, for another walk.
        create_graph: Run the rules on tensors, so that the result can be differentiated again.
        observe: Called ``observe(node, argument, gradient)`` for each contribution that a node passes to an argument:
            each summand of a shared weight's gradient, for one.
        since: Nodes older than this are where the walk ends: with ``wanted``, gradients arrive there and go no further.

    Raises:
        RuntimeError: the graph was released, or something it saved was modified in place, or a rule's answer does not
            fit its argument.
        FloatingPointError: under ``detect_anomaly``, a gradient is not finite.
    """
    targets = None if wanted is None else {node.order for node in wanted}
    oldest = min(targets) if targets else 0  # what is older cannot have been made from a wanted node
    nodes = newest_first([node for node, _ in outputs], oldest, since)
    leading = None if targets is None else leading_to(targets, nodes, since)
    live = None if targets is None or leading is None else leading | targets
    context = current.get()
    grads: dict[int, Any] = {}  # by order: what has come together so far
    owned: set[int] = set()  # those that are arrays made here, with no one else looking
    pending: dict[int, tuple[Gather, list[tuple[Any, tuple[Any, ...]]]]] = {}  # by order: put aside for later
    arrived: dict[Node, Any] = {}
    slow = context.anomaly is not None or observe is not None

    def add(node: Node, d: Any) -> None:
        order = node.order
        old = grads.get(order)
        if old is None:
            grads[order] = d
        elif order in owned:
            old += d
        else:
            total = grads[order] = old + d
            if total.__class__ is ndarray:
                owned.add(order)

    def buffer(node: Node) -> Any:
        order = node.order
        old = grads.get(order)
        if order not in owned:
            old = grads[order] = np.zeros(node.shape, node.dtype) if old is None else np.array(old)
            owned.add(order)
        return old

    def wait(node: Node, gather: Gather, rows: int, g: Any, args: tuple[Any, ...]) -> None:
        """Put a contribution aside, to be computed together with others of the same argument."""
        waiting = pending.get(node.order)
        if waiting is None:
            waiting = pending[node.order] = (gather, [])
        elif waiting[0] is not gather:
            add_waiting(node)
            waiting = pending[node.order] = (gather, [])
        waiting[1].append((g, args))
        if rows * len(waiting[1]) >= _GATHERED_ROWS:
            add_waiting(node)

    def add_waiting(node: Node) -> None:
        gather, calls = pending.pop(node.order)
        d = gather.together(calls)
        if d.shape != node.shape or d.dtype is not node.dtype:
            d = _fitted(d, node, node, 0)
        add(node, d)

    def settle(node: Node, i: int, parent: Node, d: Any) -> None:
        """Check one answer of a rule, show it to the observer, and add it to what its argument has."""
        d = _fitted(d, parent, node, i)
        if context.anomaly is not None:
            check_finite(d.numpy() if hasattr(d, "numpy") else d, node.words(), f"gradient of argument {i}")
        if observe is not None:
            observe(node, i, d)
        add(parent, d)

    token = current.set(context.but(create_graph, context.anomaly))
    try:
        for node, g in outputs:
            add(node, g)
        for node in nodes:
            order, notes, primitive = node.order, node.notes, node.primitive
            if order in pending:
                add_waiting(node)
            g = grads.pop(order, None)
            if g is None:
                continue
            if notes is not None and notes.hooks and order >= since:
                g = _hooked(node, notes, g if order in owned else np.copy(g))  # hooks may keep it, or write into it
                owned.discard(order)
            if order in targets if targets is not None else primitive is None or (notes is not None and notes.retain):
                arrived[node] = g if order in owned else np.copy(g)
            if primitive is None or (leading is not None and order not in leading):
                continue
            args = node.args
            if args is None:
                raise RuntimeError(
                    f"{node.words()}: this part of the graph was released by an earlier backward walk; pass "
                    f"retain_graph=True to that one, or compute the outputs again"
                )
            if order < versions.last_write or node.context.anomaly is not None:
                check_unwritten(node)
            if primitive is ITEM:
                (parent,) = node.parents
                assert parent is not None
                parts, i = grads.get(parent.order), args[0]
                if parts is None:
                    parts = grads[parent.order] = [None] * len(parent.shape)
                parts[i] = g if parts[i] is None else parts[i] + g
                continue
            if g.__class__ is list:
                g = _filled(g, node)
            if node.kwargs is None and primitive.simple and not create_graph:
                y, rules = node.y, primitive.rules
                special = primitive.special and not slow
                i = -1
                for parent in node.parents:
                    i += 1
                    if parent is None or (live is not None and parent.order not in live):
                        continue
                    if special and i in primitive.into:
                        primitive.into[i](buffer(parent), g, *args)
                        continue
                    if special and i in primitive.gather and (rows := primitive.gather[i].rows(g, *args)):
                        wait(parent, primitive.gather[i], rows, g, args)
                        continue
                    d = rules[i](g, y, *args)  # type: ignore[misc]
                    if slow or d.__class__ is not ndarray or d.shape != parent.shape or d.dtype is not parent.dtype:
                        settle(node, i, parent, d)
                        continue
                    key = parent.order  # the same as add(), without the call
                    old = grads.get(key)
                    if old is None:
                        grads[key] = d
                    elif key in owned:
                        old += d
                    else:
                        total = grads[key] = old + d
                        if total.__class__ is ndarray:
                            owned.add(key)
            else:
                if create_graph:
                    current.set(node.context.but(True, context.anomaly))
                needed = [p is not None and (live is None or p.order in live) for p in node.parents]
                answers = _answers(node, g, needed, lift, create_graph)
                for i, (parent, need, d) in enumerate(zip(node.parents, needed, answers, strict=True)):
                    if need:
                        assert parent is not None
                        first = parent.order not in grads
                        settle(node, i, parent, d)
                        if first and primitive.fresh and not slow and not create_graph and grads[parent.order] is d:
                            owned.add(parent.order)
            if not retain_graph:
                node.args = node.y = None
                if node.context.anomaly is not None:
                    node.context.anomaly.pop(order, None)
    finally:
        current.reset(token)
    return arrived


def _hooked(node: Node, notes: Notes, g: Any) -> Any:
    """The gradient after the node's hooks have seen, and perhaps replaced, it."""
    for hook in list(notes.hooks.values()):
        answer = hook(g)
        if answer is None:
            continue
        if not hasattr(answer, "shape"):
            raise TypeError(f"{node.words()}: a hook returned {type(answer).__name__}, expected a tensor or None")
        if answer.shape != node.shape:
            raise ValueError(f"{node.words()}: a hook returned a gradient of {answer.shape}, expected {node.shape}")
        g = answer if answer.dtype == node.dtype else answer.astype(node.dtype)
    return g


def _filled(parts: list[Any], node: Node) -> list[Any]:
    """The gradients of several results, with zeros for those that were never used."""
    return [np.zeros(s, node.dtype) if part is None else part for part, s in zip(parts, node.shape, strict=True)]


def _answers(node: Node, g: Any, needed: Sequence[bool], lift: Lift, create_graph: bool) -> list[Any]:
    """The gradients of all arguments of a node, flat: the long path, for every form a rule can have."""
    primitive, saved, y = node.primitive, None, node.y
    assert primitive is not None
    assert node.args is not None
    if y.__class__ is Saved:
        y, saved = y.y, y.saved
    if primitive.definition is not None and (create_graph or not (primitive.rules or primitive.joint)):
        return _through_definition(node, g, needed, lift, create_graph)
    if create_graph and primitive.joint is not None:
        raise RuntimeError(
            f"{node.words()}: its joint rule gives first derivatives only; register definition= for more"
        )
    asked = _grouped(node.args, needed)
    args: Sequence[Any] = node.args
    if create_graph:
        tensors = [a if p is None or isinstance(a, Node) else lift(p, a) for a, p in saved_with_parents(node)]
        args = _grouped(node.args, tensors)
        y = _results(node, y, lift)
    kwargs = node.kwargs or {}
    if primitive.joint is not None:
        answers = list(primitive.joint(tuple(asked), g, y, saved, *args, **kwargs))
        for ask in asked[len(answers) :]:  # the last ones may be left out, if they need none
            if any(ask) if isinstance(ask, Spread) else ask:
                break
            answers.append(None)
    else:
        wants = [any(ask) if isinstance(ask, Spread) else ask for ask in asked]
        rules = [primitive.rule(i) if want else None for i, want in enumerate(wants)]
        answers = [None if rule is None else rule(g, y, *args, **kwargs) for rule in rules]
    flat: list[Any] = []
    for ask, answer in zip(asked, answers, strict=False):
        flat.extend(answer or [None] * len(ask)) if isinstance(ask, Spread) else flat.append(answer)
    if len(answers) != len(asked) or len(flat) != len(needed):
        given = len(flat) if len(answers) == len(asked) else len(answers)
        raise RuntimeError(f"{node.words()}: its rule returned {given} gradients for {len(needed)} arguments")
    return flat


def _results(node: Node, y: Any, lift: Lift) -> Any:
    """What a node has computed, as tensors that lead back to it."""
    if not isinstance(y, (list, tuple)):
        return y if y is None else lift(node, y)
    parts = []
    for i, part in enumerate(y):
        item = Node.of(ITEM, (node,), (i,), node.context)
        item.shape, item.dtype = part.shape, part.dtype
        parts.append(lift(item, part))
    return parts


def saved_with_parents(node: Node) -> list[tuple[Any, Node | None]]:
    """Saved arguments beside their nodes, sequences laid flat."""
    values: list[Any] = []
    for arg in node.args or ():
        values.extend(arg) if isinstance(arg, Spread) else values.append(arg)
    return list(zip(values, node.parents, strict=True))


def _grouped(args: Sequence[Any], values: Sequence[Any]) -> list[Any]:
    """Flat values put together again as the arguments were."""
    flat = iter(values)
    return [Spread(next(flat) for _ in arg) if isinstance(arg, Spread) else next(flat) for arg in args]


class Rerun(NamedTuple):
    """What running a node's definition has recorded, cut off from what the node was made from.

    Attributes:
        results: The node of each result, one by one; None where it has no gradient.
        ends: For each argument of the node, flat, where walks over the rerun end: an alias of its own, or, where the
            definition was not given it but found it in its surroundings, the argument's node; None for constants.
        since: What the rerun has recorded is newer than this.
        context: What it was run in.
    """

    results: list[Node | None]
    ends: list[Node | None]
    since: int
    context: Context


def run_definition(node: Node, lift: Lift) -> Rerun:
    """Run the definition of a node's function in recorded operations, on the node's own arguments.

    Raises:
        RuntimeError: it used something that needs a gradient and is none of its arguments.
    """
    assert node.primitive is not None
    assert node.primitive.definition is not None
    assert node.args is not None
    context, since = node.context.but(True, current.get().anomaly), versions.tick()
    ends: list[Node | None] = []
    values: list[Any] = []
    token = current.set(context)
    try:
        for a, parent in saved_with_parents(node):
            if parent is None or isinstance(a, Free):
                ends.append(parent)
                values.append(None if isinstance(a, Free) else a)
                continue
            alias = Node.of(ALIAS, (), (parent,), context)  # no parents yet: walks must end here
            alias.shape, alias.dtype = parent.shape, parent.dtype
            ends.append(alias)
            values.append(lift(alias, a))
        answer = node.primitive.definition(*_grouped(node.args, values), **(node.kwargs or {}))
    finally:
        current.reset(token)
    results = [result.node for result in (answer if isinstance(answer, (list, tuple)) else [answer])]
    _check_surroundings(node, [result for result in results if result is not None], ends, since)
    return Rerun(results, ends, since, context)


def _through_definition(node: Node, g: Any, needed: Sequence[bool], lift: Lift, create_graph: bool) -> list[Any]:
    """Walk back over the function's definition instead of the function."""
    results, ends, since, _ = run_definition(node, lift)
    pairs = zip(results, g if isinstance(g, (list, tuple)) else [g], strict=True)
    outputs = [(result, part) for result, part in pairs if result is not None]
    wanted = [end for end, need in zip(ends, needed, strict=True) if end is not None and need]
    arrived = walk(outputs, lift, wanted, retain_graph=create_graph, create_graph=create_graph, since=since)
    for end in ends:
        if end is not None and end.primitive is ALIAS and end.args is not None:
            end.parents = end.args
    return [None if end is None else arrived.get(end, 0.0) for end in ends]


def _check_surroundings(node: Node, outputs: Sequence[Node], ends: Sequence[Node | None], since: int) -> None:
    """Raise RuntimeError if a definition was made from something old that is none of the node's arguments: the gradient
    of that would be lost."""
    known = {end.order for end in ends if end is not None}
    for found in newest_first(outputs, since=since):
        if found.order < since and found.order not in known:
            raise RuntimeError(
                f"{node.words()}: run again for its derivative, it used {found!r}, which was made before and is none "
                f"of its arguments; its gradient would be lost. Compute it outside, or anew each time"
            )


def _fitted(d: Any, parent: Node, node: Node, i: int) -> Any:
    """A rule's answer in its argument's shape and dtype: sums what broadcasting repeated, repeats what was summed."""
    if d is None:
        raise RuntimeError(f"{node.words()}: its rule returned None for argument {i}, which needs a gradient")
    if isinstance(d, np.generic) or not hasattr(d, "shape"):
        d = np.asarray(d, parent.dtype)
    shape, given = parent.shape, d.shape
    if given != shape:
        if given[1:] == shape and d.__class__ is ndarray:
            d = np.add.reduce(d)  # a bias: the most common case
        extra = max(d.ndim - len(shape), 0)
        if extra:
            d = np.add.reduce(d, axis=tuple(range(extra)))
        repeated = tuple(k for k in range(-d.ndim, 0) if shape[k] == 1 and d.shape[k] != 1)
        if repeated:
            d = np.add.reduce(d, axis=repeated, keepdims=True)
        try:
            d = d if d.shape == shape else np.broadcast_to(d, shape)
        except ValueError as error:
            raise RuntimeError(
                f"{node.words()}: its rule for argument {i} returned a gradient of shape {given}, expected {shape}"
            ) from error
    return d if d.dtype == parent.dtype else d.astype(parent.dtype)
