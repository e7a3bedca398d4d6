"""Whole Jacobians and Hessians, by as many walks as they have rows or columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..tensor import Tensor, lift
from .recorded import Recorded, dummies, filled, pulled_back

_COLUMN_COST = 2  # a walk back over a recorded walk takes up to so many plain walks ...
_RECORDING_COST = 5  # ... and the recorded walk itself about so many


def jacobian(f: Callable[..., Any], x: Any) -> Any:
    """Return all first derivatives of a function: J[i..., j...] = d f(x)[i...] / d x[j...].

    ``f`` is called and recorded once. J comes row by row, one walk back for each element of the output; or, where the
    input is much smaller than the output, column by column, one walk for each element of the input, over the recorded
    walk of ``tg.jvp`` (which takes rules that can be recorded; if one cannot be, it is rows after all).

    Args:
        f: Called ``f(x)``, or ``f(*x)`` if ``x`` is a tuple; returns a tensor, or nested tuples, lists and dicts.
        x: A float array, number or tensor, or nested tuples, lists and dicts of them.

    Returns:
        For each tensor of the output, in the output's structure, the structure of ``x`` with the derivatives by each
        of its leaves: shape ``output.shape + input.shape``, dtype of the input. Just a tensor if both are one. 0 for
        an integer or boolean output, and where the output does not depend on the input.

    Raises:
        TypeError: as ``tg.vjp``.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> tg.jacobian(lambda x: x * x[0], np.array([2.0, 3.0]))
    Tensor([[4., 0.],
            [3., 2.]], dtype=float64)
    >>> tg.jacobian(lambda w, b: w * 5 + b, (np.array([2.0]), np.array(1.0)))
    (Tensor([[5.]], dtype=float64), Tensor([1.], dtype=float64))
    """
    call = Recorded("jacobian", f, x, "x")
    create_graph = call.connected()
    found = _by_columns(call.results, call.variables, create_graph) if _is_tall(call) else None
    blocks = _by_rows(call.results, call.variables, create_graph) if found is None else found
    trees = [filled(call.inputs, [call.handed_out(block) for block in row]) for row in blocks]
    return filled(call.outputs, trees)


def hessian(f: Callable[..., Any], x: Any) -> Any:
    """Return all second derivatives of a scalar function: H[i..., j...] = d^2 f(x) / d x[i...] d x[j...].

    The Jacobian of the gradient: one recorded walk, and one walk over that for each element of ``x``. For products of
    the Hessian with vectors ``tg.hvp`` is cheaper, and needs no room for H.

    Args:
        f: Called ``f(x)``, or ``f(*x)`` if ``x`` is a tuple, once; returns a scalar tensor.
        x: A float array, number or tensor, or nested tuples, lists and dicts of them.

    Returns:
        For each leaf of ``x``, in its structure, the structure of ``x`` with the second derivatives by this leaf and
        each other: shape ``leaf.shape + other.shape``, dtype of the other. Just a tensor if ``x`` is one.

    Raises:
        TypeError: as ``tg.vjp``; ``f`` returns more than one tensor.
        ValueError: ``f`` returns no scalar.
        RuntimeError: a ``joint=`` rule without ``definition=`` is met.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> tg.hessian(lambda x: x[0] * x[0] * x[1], np.array([2.0, 3.0]))
    Tensor([[6., 4.],
            [4., 0.]], dtype=float64)
    """
    call = Recorded("hessian", f, x, "x")
    blocks = _by_rows(call.gradient(), call.variables, call.connected())
    trees = [filled(call.inputs, [call.handed_out(block) for block in row]) for row in blocks]
    return filled(call.inputs, trees)


def _is_tall(call: Recorded) -> bool:
    """Are columns cheaper than rows?"""
    rows = sum(result.size for result in call.results if result.node is not None)
    columns = sum(variable.size for variable in call.variables)
    return rows > _COLUMN_COST * columns + _RECORDING_COST


def _by_rows(results: Sequence[Tensor], variables: Sequence[Tensor], create_graph: bool) -> list[list[Tensor]]:
    """The block of each result (outer list) and each variable; one walk for each element of a result."""
    blocks = []
    for result in results:
        units = [] if result.node is None else _units(result)
        rows = [pulled_back([result], [unit], variables, create_graph=create_graph) for unit in units]
        blocks.append([_block(result, v, [row[j] for row in rows], 0) for j, v in enumerate(variables)])
    return blocks


def _by_columns(
    results: Sequence[Tensor], variables: Sequence[Tensor], create_graph: bool
) -> list[list[Tensor]] | None:
    """The same, with one walk for each element of a variable, over the recorded walk; None if none can be recorded."""
    u = dummies(results)
    try:
        gradients = pulled_back(results, u, variables, create_graph=True)
    except Exception:  # a rule for arrays only may fail on tensors in any way; rows do without, or say what is wrong
        return None
    blocks: list[list[Tensor]] = [[] for _ in results]
    for variable, g in zip(variables, gradients, strict=True):
        units = [] if g.node is None else _units(g)
        columns = [pulled_back([g], [unit], u, create_graph=create_graph) for unit in units]
        for i, result in enumerate(results):
            blocks[i].append(_block(result, variable, [column[i] for column in columns], -1))
    return blocks


def _units(tensor: Tensor) -> Iterator[Tensor]:
    """For each element, the cotangent that is 1 there and 0 elsewhere."""
    for k in range(tensor.size):
        unit = np.zeros(tensor.size, tensor.dtype)
        unit[k] = 1
        yield lift(None, unit.reshape(tensor.shape))


def _block(result: Tensor, variable: Tensor, parts: Sequence[Tensor], axis: int) -> Tensor:
    """The rows (axis 0) or columns (axis -1) of a block put together; no parts are zeros."""
    shape = result.shape + variable.shape
    if not parts:
        return lift(None, np.zeros(shape, variable.dtype))
    stacked: Any = np.stack(parts, axis)
    block: Tensor = stacked.reshape(shape)
    return block if block.dtype == variable.dtype else block.astype(variable.dtype)
