"""Derivatives along a line by extrapolated differences, each with an error bar, and kinks told from smooth points.

Central differences D(h) = (f(x + h) - f(x - h)) / 2h = f' + c2 h^2 + c4 h^4 + ... are taken at smaller and smaller
steps and extrapolated to h = 0 (Richardson); of all entries of the tableau the one whose neighbours differ least from
it is taken, and that difference is its error (Ridders, 1982; Press et al., *Numerical Recipes*, 3rd ed., section 5.7).
So every derivative finds its own step.

The bend B(h) = (f(x + h) - 2 f(x) + f(x - h)) / h, slope on the right less slope on the left, goes to 0 as h f'' where
f is smooth; where it does not, x is on a kink, and D(h), the mean of two slopes, means nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

FIRST_STEP = 2.0**-5
_RATIO = 1.9  # of a step to the next: not 2, for which sin(512 pi x) would look flat at all steps
_LEVELS = 17  # the last step is then 1e-6: what bends within that is a kink
_COLUMNS = 5
_BENT = 0.1  # how much of the uncertainty of the bend counts as one of the slope
_TINY = (1e-12, 1e-10, 1e-8)
_STAIRS = (1e-6, 1e-4, 1e-2)
_NOISE = 4  # deviations
_ROUNDING = 4 * float(np.finfo(np.float64).eps)


class Derivative(NamedTuple):
    """The derivatives of all results along one line: arrays of one entry a result.

    Attributes:
        value: d result / d step.
        error: How far off the value may be.
        bend: Slope on the right less slope on the left, where ``kink``; NaN where one of them is missing.
        kink: Where there is no derivative: the slopes differ, or grow without bound, or one side is not defined.
    """

    value: Any
    error: Any
    bend: Any
    kink: Any


class _Extrapolation:
    """A quantity at smaller and smaller steps, extrapolated to 0 by powers p, p + 2, p + 4, ... of the step."""

    def __init__(self, shape: tuple[int, ...], power: int) -> None:
        self.factors = [_RATIO ** (power + 2 * j) - 1 for j in range(_COLUMNS - 1)]
        self.row: list[Any] = []
        self.value = np.full(shape, np.nan)
        self.error = np.full(shape, np.inf)

    def add(self, new: Any, noise: Any) -> None:
        """Extend the tableau by a row; its best entry replaces a worse one, and one that it contradicts."""
        before, self.row = self.row, [new]
        value, bar = new, np.full(np.shape(new), np.inf)
        for old, factor in zip(before, self.factors, strict=False):
            last = self.row[-1]
            finer = last + (last - old) / factor
            error = np.maximum(np.abs(finer - last), np.abs(finer - old)) + noise
            value, bar = np.where(error < bar, finer, value), np.fmin(error, bar)
            self.row.append(finer)
        better = (bar < self.error) | (np.abs(value - self.value) > 2 * (bar + self.error))
        self.value = np.where(better, value, self.value)
        self.error = np.where(better, bar, self.error)


def noise_of(line: Callable[[float], Any]) -> Any:
    """How far rounding throws each result off, from differences of order 2 to 4 at steps too small for anything else.

    The differences of order k of independent errors of deviation s have the deviation s sqrt((2k)!) / k! (Moré and
    Wild, "Estimating computational noise", 2011). Where a result does not move at all, it is rounded coarsely, or
    constant: larger steps are tried, and the least difference that then appears is taken for the rounding (past 1e-8
    only if the result goes in even, low stairs). All points lie on one side: a jump at 0 is not noise.
    """
    found: Any = 0.0
    still: Any = False
    for step in (*_TINY, *_STAIRS):
        table = np.stack([line(k * step) for k in range(1, 8)])
        with np.errstate(all="ignore"):
            moves = np.abs(np.diff(table, axis=0))
            moved = moves > 0
            least = np.min(np.where(moved, moves, np.inf), axis=0)
            stairs = np.any(np.logical_or.accumulate(moved, axis=0)[:-1] & ~moved[1:], axis=0)
            stairs &= (np.max(moves, axis=0) <= 20 * least) & (least <= 1e-2 * np.max(np.abs(table), axis=0))
            if step in _STAIRS:
                rounding = np.where(stairs, least, 0.0)
            else:
                rounding = np.where(still & np.isfinite(least), np.fmax(least, _deviation(table)), _deviation(table))
            found = np.where(np.equal(found, 0), rounding, found)
        still = ~moved.any(axis=0) & (still if step != _TINY[0] else True)
        if not still.any():
            break
    return found


def _deviation(table: Any) -> Any:
    """Of the errors in values at equal distances along axis 0, by their differences of order 2 to 4."""
    size = np.max(np.abs(table), axis=0)
    size = np.where((size > 0) & np.isfinite(size), size, 1.0)  # so that no square overflows
    found = np.zeros(table.shape[1:])
    for k in (2, 3, 4):
        differences = np.diff(table / size, n=k, axis=0)
        gain = math.sqrt(math.factorial(2 * k)) / math.factorial(k)
        found = np.fmax(found, np.sqrt(np.mean(differences * differences, axis=0)) / gain)
    return found * size


def differentiate(
    line: Callable[[float], Any], y: Any, noise: Any, first: float, enough: Callable[[Any], Any]
) -> Derivative:
    """Differentiate ``line`` at 0: float64 arrays of one dimension, ``y`` being ``line(0)``.

    Args:
        line: The results at a step along the line.
        y: The results at step 0.
        noise: How far rounding throws each of them off.
        first: The largest step.
        enough: ``enough(value)`` is the error at which no further step is taken.
    """
    central, bend = _Extrapolation(y.shape, 2), _Extrapolation(y.shape, 1)
    slopes: list[Any] = []
    bends: list[Any] = []
    finite = np.isfinite(y)
    blur = error = noise
    with np.errstate(all="ignore"):
        for level in range(_LEVELS):
            h = first * _RATIO**-level
            above, below = line(h), line(-h)
            largest = np.maximum(np.maximum(np.abs(above), np.abs(below)), np.abs(y))
            blur = np.maximum(_ROUNDING * largest, _NOISE * noise) / h
            slopes.append((above - below) / (2 * h))
            bends.append(((above - y) - (y - below)) / h)
            central.add(slopes[-1], blur)
            bend.add(bends[-1], blur)
            goal = enough(np.where(np.isfinite(central.value), central.value, 0))
            smooth = np.abs(bend.value) <= goal + 2 * bend.error
            # what is not yet known to be smooth is not known at all
            error = np.maximum(central.error, np.where(smooth, _BENT * bend.error, np.abs(bend.value)))
            settled = error <= goal
            if np.all(settled | ~finite):
                return Derivative(central.value, error, np.where(finite, 0, np.nan), ~finite)
        one_sided = ~np.isfinite(slopes[-1])
        crooked = _lasting(bends, 0.8) & (np.abs(bends[-1]) > 10 * (goal + blur))
        unbounded = _lasting(slopes, 1.2) & (np.abs(slopes[-1]) > 10 * (goal + blur))
        no_sides = ~finite | one_sided | _lasting(bends, 1.2) | (unbounded & ~crooked)
    kink = ~finite | (~settled & (one_sided | crooked | unbounded))
    sides = np.where(no_sides, np.nan, bends[-1])
    return Derivative(np.where(kink, slopes[-1], central.value), error, np.where(kink, sides, 0.0), kink)


def _lasting(values: list[Any], ratio: float) -> Any:
    """Did the last three reductions of the step each leave the sign, and at least ``ratio`` of the size?"""
    return np.logical_and.reduce([after / before >= ratio for before, after in pairwise(values[-4:])])
