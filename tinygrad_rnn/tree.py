"""Nested tuples, lists and dicts of arrays: what a recurrent state or a batch of inputs is made of (JAX's pytrees).

A named tuple is a tuple, ``None`` holds nothing, and everything else is a leaf.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


def leaves(tree: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each leaf after the words for its place, dict keys in the order they were put in.

    >>> list(leaves({"h": 1, "c": (2, None, 3)}, "state"))
    [("state['h']", 1), ("state['c'][0]", 2), ("state['c'][2]", 3)]
    """
    if isinstance(tree, (tuple, list)):
        for i, part in enumerate(tree):
            yield from leaves(part, f"{where}[{i}]")
    elif isinstance(tree, dict):
        for key, part in tree.items():
            yield from leaves(part, f"{where}[{key!r}]")
    elif tree is not None:
        yield where, tree


def structure(tree: Any) -> Any:
    """What two trees must share to be mapped over together; a leaf is ``*``.

    >>> structure({"h": 1, "c": (2, None)})
    {'h': '*', 'c': ('*', None)}
    """
    return map_leaves(lambda _: "*", tree)


def map_leaves(function: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """The tree of ``function(leaf, other_leaf, ...)``; the others have the same structure.

    >>> map_leaves(lambda a, b: a + b, {"h": 1, "c": (2, None)}, {"h": 10, "c": (20, None)})
    {'h': 11, 'c': (22, None)}
    """
    if isinstance(tree, (tuple, list)):
        parts = [map_leaves(function, *together) for together in zip(tree, *others, strict=True)]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    if isinstance(tree, dict):
        return {key: map_leaves(function, part, *(other[key] for other in others)) for key, part in tree.items()}
    return None if tree is None else function(tree, *others)
