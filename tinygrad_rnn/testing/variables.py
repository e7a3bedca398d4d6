"""What a check varies: the float64 leaves among the inputs, and those that the function itself brings."""

from __future__ import annotations

import dis
import functools
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import combinations
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType, NoneType, SimpleNamespace
from typing import Any

import numpy as np

from .. import nn
from ..graph import newest_first
from ..tensor import Tensor
from ..tree import leaves, map_leaves

_MOST = 10_000  # objects that are searched for tensors
_PLAIN = (str, bytes, int, float, complex, NoneType, np.ndarray, np.generic, np.dtype, np.ufunc, ModuleType)
_OTHERS = {"numpy", "torch", "hypothesis", "pytest", "_pytest", "tqdm", "matplotlib", __name__.partition(".")[0]}
_OTHERS |= sys.stdlib_module_names - {"test", "__main__"}


def prepared(inputs: Any) -> Any:
    """The inputs with a leaf of its own for each array of floats; everything else stays."""
    return map_leaves(_as_variable, inputs)


def _as_variable(leaf: Any) -> Any:
    if isinstance(leaf, (np.ndarray, np.floating)) and leaf.dtype.kind == "f":
        return Tensor(leaf, requires_grad=True)
    return leaf


def variables_of(f: Callable[..., Any], inputs: Any, call: Callable[[], Any]) -> dict[str, Tensor]:
    """The leaves to vary, by the words for their place: those of the inputs first, then those that ``f`` brings.

    ``call`` runs ``f`` on the inputs: what ``f`` brings in float32 matters only if it uses it.

    Raises:
        TypeError: one of them is not float64.
        ValueError: there is none, or one was computed, or is read-only, or two share memory.
    """
    given = [(where, leaf) for where, leaf in leaves(inputs, "inputs") if isinstance(leaf, Tensor)]
    brought = [(where, t) for where, t in _within_reach([("inputs", inputs), ("f", f)]) if t.is_leaf]
    found: dict[str, Tensor] = {}

    @functools.cache
    def used() -> set[int]:
        roots = [y.node for _, y in leaves(call()) if isinstance(y, Tensor) and y.node is not None]
        return {node.order for node in newest_first(roots)}

    for place, leaf in [*given, *brought]:
        if leaf.node is not None and all(leaf is not known for known in found.values()):
            if leaf.dtype != np.float64 and not place.startswith("inputs") and leaf.node.order not in used():
                continue
            names = (place if k == 1 else f"{place} ({k})" for k in range(1, _MOST))
            where = next(name for name in names if name not in found)
            _check(where, leaf)
            found[where] = leaf
    if not found:
        raise ValueError("gradcheck: expected a float64 array or a tensor with requires_grad=True among the inputs")
    for (a, one), (b, other) in combinations(found.items(), 2):
        if np.may_share_memory(one.data, other.data) and np.shares_memory(one.data, other.data):
            raise ValueError(
                f"gradcheck: {a} and {b} share memory, so that neither can be varied by itself; pass copies (tensors "
                f"made with copy=False share the memory of their array), or use one tensor in both places"
            )
    return found


def _check(where: str, variable: Tensor) -> None:
    if variable.dtype != np.float64:
        digits = ", whose differences have only 3 or 4 digits" if variable.dtype.itemsize < 8 else ""
        raise TypeError(
            f"gradcheck: expected {where} to be float64, got {variable.dtype}{digits}; pass x.astype(np.float64), or "
            f"make the module float64 with module.astype(np.float64)"
        )
    if not variable.is_leaf:
        raise ValueError(f"gradcheck: {where} was computed, so it cannot be varied by itself; pass what it came from")
    if not variable.data.flags.writeable:
        raise ValueError(f"gradcheck: {where} is read-only, but is to be varied in place; pass a copy")


def unvaried(outputs: Iterable[Tensor], variables: dict[str, Tensor], start: int) -> str:
    """Words for what else recorded outputs depend on, of all that is older than ``start``; "" if there is nothing.

    Raises:
        ValueError: a variable was used before, so that differences do not see all that depends on it.
    """
    roots = [y.node for y in outputs if y.node is not None]
    fresh = newest_first(roots, start)
    used = [*roots, *(parent for node in fresh for parent in node.parents if parent is not None)]
    old = {node.order: node for node in used if node.order < start}
    own = {v.node.order: where for where, v in variables.items() if v.node is not None}
    computed = [node for node in old.values() if node.primitive is not None]
    words = [f"{node.words()}, shape {node.shape}" for node in computed]
    late = [own[node.order] for node in newest_first(computed) if node.order in own]
    if late:
        raise ValueError(
            f"gradcheck: f uses a tensor that was computed from {late[0]} before the call ({'; '.join(words)}), and "
            f"that stays as it is when {late[0]} is varied; compute it inside f"
        )
    if computed:
        return (
            f"gradcheck: f uses a tensor that was computed before the call ({'; '.join(words)}), so what it was "
            f"computed from is not checked; compute it inside f"
        )
    missed = [old[order] for order in sorted(old) if order not in own]
    if not missed:
        return ""
    shapes = ", ".join(f"shape {node.shape}" + (f" {node.name!r}" if node.name else "") for node in missed)
    return (
        f"gradcheck: f also depends on {len(missed)} tensor{'s' if len(missed) > 1 else ''} not found in it that "
        f"require gradients ({shapes}), so not all is checked; pass them as inputs"
    )


# ------------------------------------------------------------------------------------------------ the search


def _within_reach(roots: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Tensor]]:
    """The tensors that can be reached from some objects, nearest first: by what they hold, and what their code names.

    What is not found in this way (in a C extension, say), ``unvaried`` tells.
    """
    queue = deque(roots)
    seen: dict[int, Any] = {}  # holds the objects, so that no other gets their id
    while queue and len(seen) < _MOST:
        where, value = queue.popleft()
        if isinstance(value, (*_PLAIN, BuiltinFunctionType)) or id(value) in seen:
            continue
        seen[id(value)] = value
        if isinstance(value, Tensor):
            yield where, value
        else:
            queue.extend(_parts(where, value))


def _parts(where: str, value: Any) -> Iterator[tuple[str, Any]]:
    """What an object holds, with words for its place."""
    if isinstance(value, dict):
        yield from ((f"{where}[{key!r}]", part) for key, part in value.items())
    elif isinstance(value, (list, tuple, set, frozenset, deque)):
        yield from ((f"{where}[{i}]", part) for i, part in enumerate(value))
    elif isinstance(value, functools.partial):
        yield where, value.func
        yield from ((f"{where}.args[{i}]", part) for i, part in enumerate(value.args))
        yield from ((f"{where}.keywords[{key!r}]", part) for key, part in value.keywords.items())
    elif isinstance(value, (MethodType, staticmethod, classmethod)):
        yield where, getattr(value, "__self__", None)
        yield where, value.__func__
    elif isinstance(value, property):
        yield where, value.fget
    elif isinstance(value, FunctionType):
        yield from ((f"variable {name!r}", part) for name, part in _scope(value))
        yield from ((f"{where}.{name}", part) for name, part in vars(value).items())
    elif isinstance(value, type):
        if not _is_anothers(value):
            yield from ((where, base) for base in value.__bases__)
            yield from ((f"{where}.{name}", part) for name, part in vars(value).items())
    else:
        yield from _attributes(where, value)


def _attributes(where: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The parts of an instance, and its class, whose methods may name more."""
    own = getattr(value, "__dict__", {})
    if isinstance(value, nn.Module):
        owner = "" if where == "f" else f" of {where}"
        yield from ((f"parameter {name!r}{owner}", parameter) for name, parameter in value.named_parameters())
    elif _is_anothers(type(value)) and not isinstance(value, SimpleNamespace):
        yield where, own.get("__wrapped__")  # functools.lru_cache
        return
    yield from ((f"{where}.{name}", part) for name, part in own.items())
    for slots in (vars(kind).get("__slots__", ()) for kind in type(value).__mro__):
        names = [slots] if isinstance(slots, str) else slots
        yield from ((f"{where}.{name}", getattr(value, name, None)) for name in names)
    yield where, type(value)


def _scope(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """The variables that a function brings: those it closes over, its defaults, and the globals that its code names."""
    code = function.__code__
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        yield name, _contents(cell)
    defaults = function.__defaults__ or ()
    yield from zip(code.co_varnames[code.co_argcount - len(defaults) : code.co_argcount], defaults, strict=True)
    yield from (function.__kwdefaults__ or {}).items()
    if _is_anothers(function):
        return
    names, attributes = _names(code)
    scope = function.__globals__
    queue = [(name, scope[name]) for name in names if name in scope]
    for name, value in queue:
        if isinstance(value, ModuleType):
            if value.__name__.partition(".")[0] not in _OTHERS and name.count(".") < 5:
                queue.extend((f"{name}.{word}", vars(value)[word]) for word in attributes if word in vars(value))
        else:
            yield name, value


def _contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return None


@functools.lru_cache(maxsize=1000)
def _names(code: CodeType) -> tuple[list[str], list[str]]:
    """The globals and the attributes that code names, with the functions, classes and comprehensions inside it."""
    codes = [code]
    for outer in codes:
        codes.extend(part for part in outer.co_consts if isinstance(part, CodeType))
    steps = [step for part in codes for step in dis.get_instructions(part)]
    names = {step.argval: None for step in steps if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    attributes = {step.argval: None for step in steps if step.opname in ("LOAD_ATTR", "LOAD_METHOD")}
    return list(names), list(attributes)


def _is_anothers(value: Any) -> bool:
    """Is it a function or a class of a library, which names no tensors of the user's?"""
    return (value.__module__ or "").partition(".")[0] in _OTHERS
