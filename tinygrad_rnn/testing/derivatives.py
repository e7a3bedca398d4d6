"""The two sides of a check, put together: derivatives by walks, and by differences of what the function computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..tensor import Tensor
from .agreement import each_alone, one_for_all, two_walks
from .comparison import Comparison
from .lines import along, directions_of, moving, noise_along_all, settled
from .subject import Options, Subject, array_of, element, flat
from .walks import by_columns, by_rows, one_walk

WHOLE_JACOBIAN = 100  # up to so many results each has a row of its own
PROJECTIONS = 10


def compare(
    subject: Subject, order: int, options: Options, tick: Callable[[], None] = lambda: None
) -> list[Comparison]:
    """Compare the derivatives of one order with differences, input by input; ``tick`` is called for each column."""
    outputs = subject.results(order, recorded=True)
    y = flat(outputs)
    rows = [element(label, index) for label, part in outputs.items() for index in np.ndindex(array_of(part).shape)]
    whole = y.size <= WHOLE_JACOBIAN
    seen = whole | np.isfinite(y)  # in a projection one result that is not finite would drown all the others
    if whole:
        weights = np.eye(y.size)
    else:
        rows = [f"projection {k} of the output" for k in range(PROJECTIONS)]
        weights = np.random.default_rng(0).standard_normal((PROJECTIONS, y.size)) * seen
    moves = {label: directions_of(variable, options.projections) for label, variable in subject.variables.items()}
    analytic = (by_columns if options.mode == "forward" else by_rows)(outputs, subject.variables, weights, moves)
    sizes = [np.max(np.abs(np.nan_to_num(j, posinf=0, neginf=0)), axis=1, initial=0) for j in analytic.values()]
    options = options._replace(tolerance=options.tolerance.fitting(np.max(sizes, axis=0)))

    def values() -> Any:
        found = flat(subject.results(order, recorded=False))
        return found if whole else weights @ np.where(seen, found, 0)

    start, noise = values(), noise_along_all(subject, values)
    comparisons: list[Comparison] = []
    for label, variable in subject.variables.items():
        derivatives = []
        for move in moves[label] if moves[label] is not None else np.ndindex(variable.shape):
            with moving(variable.data, move) as at:
                derivatives.append(settled(along(at, values), start, noise, variable.data, move, options))
            tick()
        comparisons.append(
            Comparison(
                label,
                variable.name,
                variable.shape,
                rows,
                _column_words(label, variable, moves[label]),
                analytic=analytic[label],
                derivatives=derivatives,
                tolerance=options.tolerance,
            )
        )
    recorded = y if whole else weights @ np.where(seen, y, 0)
    equal = two_walks(rows, recorded, start, noise, options.tolerance) if order > 1 else []
    shares = 10 * np.random.default_rng(5).standard_normal(len(weights))
    found = one_walk(outputs, subject.variables, shares @ weights, moves)
    equal += one_for_all(comparisons, found, shares, options.tolerance)
    equal += each_alone(outputs, subject.variables, shares @ weights, found, moves, options.tolerance)
    return [*comparisons, *(comparison for comparison in equal if comparison.wrong)]


def _column_words(label: str, variable: Tensor, directions: Any) -> list[str]:
    if directions is None:
        return [element(label, index) for index in np.ndindex(variable.shape)]
    return [f"direction {k} of {label}" for k in range(len(directions))]


def columns(subject: Subject, options: Options) -> int:
    """How many lines ``compare`` will differentiate along."""
    return sum(
        v.size if options.projections is None or v.size <= options.projections else options.projections
        for v in subject.variables.values()
    )
