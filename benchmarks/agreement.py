"""Do the libraries compute the same? Otherwise their times mean nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

# Of the largest number in an array. Two orders of summation of 3,200 float32 products differ by some 1e-6.
TOLERANCE = 1e-4


def largest_deviation(
    what: str, answers: Sequence[tuple[str, Mapping[str, np.ndarray]]], shapes: Mapping[str, tuple[int, ...]]
) -> float:
    """By how much, relatively, the arrays of the libraries differ at most from those of the last.

    Args:
        what: Of what they are the arrays, for the message.
        answers: Of each library its name, and its arrays by name.
        shapes: Of each array.

    Raises:
        RuntimeError: they differ by more than TOLERANCE, or an array is of another form, zero everywhere, or not
            finite.
    """
    worst = 0.0
    last, expected = answers[-1]
    for library, arrays in answers:
        for name, a in arrays.items():
            where = f"{library}, {what} {name}"
            if a.shape != shapes[name] or a.dtype != np.float32:
                raise RuntimeError(f"{where} is {a.dtype} {a.shape}, expected float32 {shapes[name]}")
            if not np.isfinite(a).all() or not a.any():
                raise RuntimeError(f"{where} is not finite, or zero everywhere")
            deviation = float(np.abs(a - expected[name]).max() / np.abs(expected[name]).max())
            if deviation > TOLERANCE:
                raise RuntimeError(f"{where} is off by {deviation:.1e} from {last}'s")
            worst = max(worst, deviation)
    return worst
