"""Walks beside walks: what must be the same numbers, whichever way they were come by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..tensor import Tensor
from .comparison import Comparison, Tolerance
from .differences import Derivative
from .walks import along_directions, pulled


def two_walks(rows: Sequence[str], recorded: Any, plain: Any, noise: Any, tolerance: Tolerance) -> list[Comparison]:
    """The gradient by a walk on tensors beside that by a walk on arrays: rules must say the same on both."""
    return [_equal("recorded walk against plain walk", rows, recorded, plain, noise, tolerance)]


def one_for_all(
    comparisons: Sequence[Comparison], found: dict[str, Any], shares: Any, tolerance: Tolerance
) -> list[Comparison]:
    """A walk with large random cotangents beside the same sum of the rows: a walk must be linear in them.

    In forward mode the rows were come by in another way, so this compares the two modes.
    """
    return [
        _equal(
            f"{c.label}: a walk with all cotangents at once against the sum of walks with each",
            c.columns,
            found[c.label],
            shares @ c.analytic,
            np.abs(shares) @ np.nan_to_num(c.error, nan=np.inf, posinf=np.inf),  # what the function's rounding allows
            tolerance,
        )
        for c in comparisons
    ]


def each_alone(
    outputs: dict[str, Any],
    variables: dict[str, Tensor],
    cotangent: Any,
    found: dict[str, Any],
    moves: dict[str, Any],
    tolerance: Tolerance,
) -> list[Comparison]:
    """A walk to one input beside a walk to all: a joint rule must say the same, whichever gradients it is asked for."""
    comparisons = []
    for label, variable in variables.items() if len(variables) > 1 else ():
        (g,) = pulled(outputs, [variable], cotangent)
        alone = along_directions(np.zeros(variable.size) if g is None else np.ravel(g.data), moves[label])
        columns = [f"{label}, column {k}" for k in range(alone.size)]
        words = f"{label}: a walk to it alone against one to all inputs"
        comparisons.append(_equal(words, columns, alone, found[label], 0 * alone, tolerance))
    return comparisons


def _equal(
    label: str, places: Sequence[str], found: Any, expected: Any, error: Any, tolerance: Tolerance
) -> Comparison:
    """Numbers that two ways to the same gradient give, as a comparison of one row."""
    size = float(np.max(np.abs(np.nan_to_num(expected, posinf=0, neginf=0)), initial=0))
    finite = np.isfinite(expected)  # elsewhere there is nothing to compare
    numbers = (expected, np.broadcast_to(error, np.shape(expected)), np.where(finite, 0, np.nan), ~finite)
    return Comparison(
        label,
        None,
        (len(places),),
        [""],
        places,
        analytic=found[None],
        derivatives=[Derivative(*(np.array([part]) for part in parts)) for parts in zip(*numbers, strict=True)],
        tolerance=Tolerance(max(1e-8, 1e-9 * size), tolerance.rtol),
        phrase="{}{}",
    )
