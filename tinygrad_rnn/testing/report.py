"""What a check says when it does not simply pass."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import indent

import numpy as np

from .comparison import Comparison
from .culprit import Culprit


class KinkWarning(UserWarning):
    """Some of the derivatives could not be compared: they sit on a kink, or an edge, or are lost in noise."""


class KinkError(ValueError):
    """None of the derivatives could be compared, so nothing was checked."""


class GradcheckError(AssertionError):
    """A derivative is wrong. The message has a line for every input; the attributes describe the worst entry.

    Attributes:
        input: Which input, such as ``"inputs[1]['weight']"``.
        index: Where in that input; None for a direction.
        element: Words for the element of it, such as ``"inputs[1]['weight'][0, 2]"``, or for the direction in it.
        output: The element of the output, or the projection of it, that was differentiated.
        analytic: What the walk gave.
        numeric: What the differences gave.
        error: How far off the numeric value may be (its error bar).
        wrong: How many derivatives are wrong, over all inputs.
        total: How many there are.
        order: Of the derivative; 1 is the first.
        operation: The first recorded operation that is wrong by itself, and where it was recorded; None if none is.
        snippet: Python that reproduces it; None if there is no such operation.
    """

    input: str
    index: tuple[int, ...] | None
    element: str
    output: str
    analytic: float
    numeric: float
    error: float
    wrong: int
    total: int
    order: int
    operation: str | None = None
    snippet: str | None = None


def disagreement(comparisons: Sequence[Comparison], order: int, culprit: Culprit, hint: str) -> GradcheckError:
    """The error for derivatives that the differences contradict."""
    worst = max(comparisons, key=lambda c: c.excess.max(initial=-1.0))
    place = row, column = worst.worst
    wrong, total = sum(c.wrong for c in comparisons), sum(c.total for c in comparisons)
    kind = "derivatives" if order == 1 else f"derivatives of order {order}"
    lines = [f"gradcheck: {wrong} of {total} {kind} are wrong", *(f"  {c}" for c in comparisons)]
    undefined = [not np.isfinite(c.analytic[c.bad]).any() for c in comparisons if c.wrong]
    if culprit.outside is not None and any(c.undefined for c in comparisons):
        lines.append(
            f"  {culprit.outside} is outside of its domain there (or at its edge), and np.where passes 0 * nan on to "
            f"it: give it a safe argument, as in np.sqrt(np.where(t > 0, t, 1)) for np.sqrt(t)"
        )
    if culprit.operation is not None:
        lines.append(f"  first operation that is wrong by itself: {culprit.operation}: {culprit.comparison}")
        lines.append("  to reproduce it:\n" + indent(culprit.snippet or "", "    "))
    elif culprit.outside is None or not all(undefined):
        lines.append(f"  {hint}")
    error = GradcheckError("\n".join(lines))
    error.input, error.index, error.element = worst.label, worst.index_of(column), worst.columns[column]
    error.output = worst.rows[row]
    error.analytic, error.numeric = float(worst.analytic[place]), float(worst.numeric[place])
    error.error, error.wrong, error.total, error.order = float(worst.error[place]), wrong, total, order
    error.operation, error.snippet = culprit.operation, culprit.snippet
    return error


def not_adjoint(forward: float, reverse: float, order: int, pair: int, pairs: int) -> GradcheckError:
    """The error for <J v, u> that is not <v, J^T u>."""
    error = GradcheckError(
        f"gradcheck: <J v, u> = {forward:.12g}, but <v, J^T u> = {reverse:.12g}, for random u and v (pair {pair} of "
        f"{pairs}, order {order}): some rule is not linear in the gradient it is given, or does something else when it "
        f"is run on tensors (a joint rule and its definition that differ, a branch on the kind of its arguments)"
    )
    error.input, error.index, error.element = "inputs", None, f"direction {pair} of inputs"
    error.output = f"projection {pair} of the output"
    error.analytic, error.numeric, error.error = forward, reverse, 0.0
    error.wrong, error.total, error.order = 1, pairs, order
    return error


def unseen(comparisons: Sequence[Comparison], kink: str | None = None) -> str:
    """Words for the derivatives that could not be compared; "" if all were."""
    compared, total = sum(c.compared for c in comparisons), sum(c.total for c in comparisons)
    found = [f"{c.label}: {words}" for c in comparisons for words in c.left_out()]
    if kink is not None:
        found.append(f"{kink} sits on a kink inside the function, where any convention may hold")
    if not found:
        return ""
    return f"gradcheck: {total - compared} of {total} derivatives could not be compared: " + "; ".join(found)
