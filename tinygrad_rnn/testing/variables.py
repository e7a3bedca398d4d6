"""What a check varies: the float64 leaves among the inputs, and the parameters that the function itself brings."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from types import FunctionType, MethodType
from typing import Any

import numpy as np

from .. import nn
from ..tensor import Tensor
from ..tree import leaves, map_leaves


def prepared(inputs: Any) -> Any:
    """The inputs with a leaf of its own for each array of floats; everything else stays."""
    return map_leaves(_as_variable, inputs)


def _as_variable(leaf: Any) -> Any:
    if isinstance(leaf, (np.ndarray, np.floating)) and leaf.dtype.kind == "f":
        return Tensor(leaf, requires_grad=True)
    return leaf


def variables_of(f: Callable[..., Any], inputs: Any) -> dict[str, Tensor]:
    """The leaves to vary, by the words for their place: those of the inputs first, then those that ``f`` brings.

    Raises:
        TypeError: one of them is not float64.
        ValueError: there is none, or one was computed, or is read-only.
    """
    given = [(where, leaf) for where, leaf in leaves(inputs, "inputs") if isinstance(leaf, Tensor)]
    found: dict[str, Tensor] = {}
    for where, leaf in [*given, *_brought(f, set())]:
        if leaf.requires_grad and all(leaf is not known for known in found.values()):
            _check(where, leaf)
            found[where] = leaf
    if not found:
        raise ValueError("gradcheck: expected a float64 array or a tensor with requires_grad=True among the inputs")
    return found


def _brought(f: Any, seen: set[int]) -> Iterator[tuple[str, Tensor]]:
    """The tensors that a function closes over, and the parameters of the modules that it is, or closes over."""
    if id(f) in seen:
        return
    seen.add(id(f))
    if isinstance(f, nn.Module):
        for name, parameter in f.named_parameters():
            yield f"parameter {name!r}", parameter
    elif isinstance(f, functools.partial):
        for part in (f.func, *f.args, *f.keywords.values()):
            yield from _brought(part, seen)
    elif isinstance(f, MethodType):
        yield from _brought(f.__self__, seen)
        yield from _brought(f.__func__, seen)
    elif isinstance(f, FunctionType) and (len(seen) == 1 or not _is_ours(f)):
        scope = inspect.getclosurevars(f)
        for name, value in {**scope.globals, **scope.nonlocals}.items():
            for where, leaf in leaves(value, f"variable {name!r}"):
                if isinstance(leaf, Tensor) and leaf.is_leaf:
                    yield where, leaf
                elif isinstance(leaf, (nn.Module, functools.partial, MethodType, FunctionType)):
                    yield from _brought(leaf, seen)


def _is_ours(f: FunctionType) -> bool:
    """Is it a function of this package, which closes over no tensors of its own?"""
    return (f.__module__ or "").partition(".")[0] == __name__.partition(".")[0]


def _check(where: str, variable: Tensor) -> None:
    if variable.dtype != np.float64:
        raise TypeError(
            f"gradcheck: expected {where} to be float64, got {variable.dtype}, whose differences have only 3 or 4 "
            f"digits; pass x.astype(np.float64), or make the module float64 with module.astype(np.float64)"
        )
    if not variable.is_leaf:
        raise ValueError(f"gradcheck: {where} was computed, so it cannot be varied by itself; pass what it came from")
    if not variable.data.flags.writeable:
        raise ValueError(f"gradcheck: {where} is read-only, but is to be varied in place; pass a copy")
