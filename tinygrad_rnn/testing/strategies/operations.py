"""All operations that random programs are made of, by the function that each is there for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from . import elementwise, functions, indexing, joining, products, recurrences, reductions, structure
from .operation import Operation

OPERATIONS: tuple[Operation, ...] = (
    *elementwise.OPERATIONS,
    *reductions.OPERATIONS,
    *structure.OPERATIONS,
    *joining.OPERATIONS,
    *indexing.OPERATIONS,
    *products.OPERATIONS,
    *functions.OPERATIONS,
    *recurrences.OPERATIONS,
)


def chosen(
    functions: Iterable[Callable[..., Any] | str] | None, extra: Iterable[Operation | Callable[..., Any]]
) -> Sequence[Sequence[Operation]]:
    """The operations of each function that is asked for, and the user's own.

    Raises:
        ValueError: a function that there is no operation for; two of one name; or none at all is left.
    """
    every = list(OPERATIONS)
    if functions is not None:
        every = [operation for wanted in functions for operation in _named(wanted)]
    every += [Operation.of(function) for function in extra]
    if not every:
        raise ValueError("programs: no functions are left to choose from; name some, or give extra=")
    _check_names([operation for operation in every if operation.own])
    found: dict[Any, list[Operation]] = {}
    for operation in every:
        found.setdefault(operation.function, []).append(operation)
    return [tuple(dict.fromkeys(same)) for same in found.values()]


def _check_names(own: Iterable[Operation]) -> None:
    functions: dict[str, Any] = {}
    for operation in own:
        if functions.setdefault(operation.name, operation.function) is not operation.function:
            raise ValueError(f"programs: two functions are called {operation.name}; give one of them another name=")


def _named(wanted: Callable[..., Any] | str) -> list[Operation]:
    if isinstance(wanted, str):
        found = [o for o in OPERATIONS if wanted in (o.name, o.name.rpartition(".")[2])]
    else:
        found = [o for o in OPERATIONS if o.function == wanted]
    if not found:
        raise ValueError(f"programs: there is no operation for {wanted!r}; give functions of your own as extra=")
    return found
