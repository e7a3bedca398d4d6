"""What a recorded computation is made of: nodes, the order to visit them in, and the checks on what they have saved.

Knows nothing of tensors: ``tensor.py`` makes the nodes and walks over them; pictures and diagnostics read them.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from . import versions
from .context import Context, current, site
from .primitives import Primitive, Saved

_new = object.__new__


class Notes:
    """What few nodes carry: a name, a kept gradient, hooks."""

    __slots__ = ("grad", "hooks", "name", "retain")

    def __init__(self, name: str | None = None, retain: bool = False) -> None:
        self.name = name
        self.grad: Any = None
        self.retain = retain
        self.hooks: dict[int, Callable[[Any], Any]] = {}


class Node:
    """One recorded call, or (``primitive`` None) one leaf.

    Attributes:
        order: Number in order of creation; parents have smaller ones.
        primitive: What was called.
        parents: The node of each argument, flat; None where no gradient is wanted.
        args: The arguments as the rules want them: arrays, or the argument's node where only its shape is wanted. None
            once released.
        kwargs: Keywords of the call; None where there are none and every argument is single: the walk's short path.
        y: The result, if a rule wants it.
        shape, dtype: Of the result (a list of shapes for several results).
        context: Where it was recorded.
    """

    __slots__ = ("args", "context", "dtype", "kwargs", "notes", "order", "parents", "primitive", "shape", "y")
    order: int
    primitive: Primitive | None
    parents: tuple[Node | None, ...]
    args: tuple[Any, ...] | None
    kwargs: dict[str, Any] | None
    y: Any
    shape: Any
    dtype: np.dtype[Any]
    context: Context
    notes: Notes | None

    @staticmethod
    def of(
        primitive: Primitive | None, parents: tuple[Node | None, ...], args: tuple[Any, ...], context: Context
    ) -> Node:
        """A new node, its shape and dtype still to be set (faster than an ``__init__``)."""
        node: Node = _new(Node)
        node.order = versions.tick()
        node.primitive = primitive
        node.parents = parents
        node.args = args
        node.context = context
        node.kwargs = node.y = node.notes = None
        return node

    @staticmethod
    def leaf(data: Any, name: str | None) -> Node:
        """The node of a tensor made by hand."""
        node = Node.of(None, (), (), current.get())
        node.shape, node.dtype, node.notes = data.shape, data.dtype, Notes(name)
        return node

    @property
    def path(self) -> str:
        """Module path, such as ``"encoder/lstm"``; "" at the top."""
        return self.context.path

    @property
    def step(self) -> int | None:
        """Time step; None outside time."""
        return self.context.step

    @property
    def name(self) -> str | None:
        """The name its tensor was given, if any."""
        return self.notes.name if self.notes is not None else None

    @property
    def grad(self) -> Any:
        """The gradient kept here: on leaves, and where ``retain_grad`` asked for it."""
        return self.notes.grad if self.notes is not None else None

    @property
    def is_leaf(self) -> bool:
        return self.primitive is None

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    def note(self) -> Notes:
        """This node's notes, made if there are none."""
        if self.notes is None:
            self.notes = Notes()
        return self.notes

    def words(self) -> str:
        """The operation and where it was recorded, as error messages have it: ``multiply at encoder/lstm, t=17``."""
        return site(self.primitive.name if self.primitive is not None else "leaf", self.context)

    def __repr__(self) -> str:
        return f"<Node {self.words()}{f' {self.name!r}' if self.name else ''} {self.shape}>"


class HookHandle:
    """What ``register_hook`` returns; ``remove()`` takes the hook away."""

    def __init__(self, hooks: dict[int, Callable[[Any], Any]], hook: Callable[[Any], Any]) -> None:
        self._hooks, self._key = hooks, versions.tick()
        hooks[self._key] = hook

    def remove(self) -> None:
        self._hooks.pop(self._key, None)


class Spread(list[Any]):
    """An argument that was a sequence of tensors: its elements stand flat among the node's parents."""


class Free(tuple[Any, ...]):
    """An argument that a function was not given but found in its surroundings: its array, if one was kept at all."""


def newest_first(roots: Sequence[Node], oldest: int = 0, since: int = 0) -> list[Node]:
    """All nodes that ``roots`` were made from, and themselves, each before its parents; none older than ``oldest``.

    What nodes older than ``since`` were made from is not asked.
    """
    found = {root.order: root for root in roots}
    stack = [root for root in found.values() if root.order >= since]
    while stack:
        for parent in stack.pop().parents:
            if parent is not None and parent.order >= oldest and parent.order not in found:
                found[parent.order] = parent
                if parent.order >= since:
                    stack.append(parent)
    return [found[order] for order in sorted(found, reverse=True)]


def leading_to(wanted: set[int], nodes: Sequence[Node], since: int = 0) -> set[int]:
    """Of ``nodes`` (newest first), the orders of those made from a wanted one: only they are walked over.

    Nodes older than ``since`` are not.
    """
    leading: set[int] = set()
    for node in reversed(nodes):
        if node.order < since:
            continue
        for parent in node.parents:
            if parent is not None and (parent.order in wanted or parent.order in leading):
                leading.add(node.order)
                break
    return leading


def is_finite(value: Any) -> bool:
    """Does an argument hold no NaN and no infinity? (If it does, what is computed from it is not the first.)"""
    return not any(array.dtype.kind == "f" and not np.isfinite(array).all() for _, array in _arrays_in(value, ""))


def check_finite(array: Any, where: str, what: str) -> None:
    """Raise FloatingPointError if ``array`` holds a NaN or an infinity."""
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return
    bad = np.argwhere(~np.isfinite(array))
    first = tuple(int(i) for i in bad[0])
    values = "1 value that is" if len(bad) == 1 else f"{len(bad)} values that are"
    raise FloatingPointError(f"{where}: the {what} has {values} not finite (first at index {first}: {array[first]})")


def _saved_arrays(node: Node) -> Iterator[tuple[str, Any]]:
    """What a node has kept for its rules: each array, with words for it."""
    flat = iter(node.parents)
    for i, arg in enumerate(node.args or ()):
        for j, value in enumerate(arg if isinstance(arg, Spread) else [arg]):
            parent = next(flat, None)
            name = parent.name if parent is not None else None
            element = f"[{j}]" if isinstance(arg, Spread) else ""
            yield from _arrays_in(value, f"tensor {name!r}" if name else f"argument {i}{element}")
    for key, value in (node.kwargs or {}).items():
        yield from _arrays_in(value, f"argument {key}")
    if node.y.__class__ is Saved:
        yield from _arrays_in(node.y.y, "its result")
        yield from _arrays_in(node.y.saved, "what it has saved")
    else:
        yield from _arrays_in(node.y, "its result")


def _arrays_in(value: Any, words: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, np.ndarray):
        yield words, value
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _arrays_in(part, words)
    elif isinstance(value, dict):
        for part in value.values():
            yield from _arrays_in(part, words)


def _checksum(array: Any) -> int:
    return zlib.crc32(np.ascontiguousarray(array).tobytes())


def watch(node: Node, y: Any) -> None:
    """Under anomaly detection: check a fresh result, and remember checksums of what was saved."""
    if node.context.anomaly is not None:
        check_finite(y, node.words(), "result")
        node.context.anomaly[node.order] = [_checksum(array) for _, array in _saved_arrays(node)]


def check_unwritten(node: Node) -> None:
    """Raise RuntimeError if something that the node saved was written into since."""
    sums = node.context.anomaly.get(node.order) if node.context.anomaly is not None else None
    for i, (words, array) in enumerate(_saved_arrays(node)):
        if versions.written_after(array, node.order) or (sums is not None and sums[i] != _checksum(array)):
            raise RuntimeError(
                f"{node.words()}: {words}, of shape {array.shape}, was modified in place after this operation used it "
                f"and before the backward walk; its derivative would be wrong. Call backward() before the update, or "
                f"work on a copy"
            )
