"""Derivatives along a line by extrapolated differences, each with an error bar, and kinks told from smooth points.

Central differences D(h) = (f(x + h) - f(x - h)) / 2h = f' + c2 h^2 + c4 h^4 + ... are taken at halved steps and
extrapolated to h = 0 (Richardson); of all entries of the tableau the one whose neighbours differ least from it is
taken, and that difference is its error (Ridders, 1982; Press et al., *Numerical Recipes*, 3rd ed., section 5.7). So
every derivative finds its own step.

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
_LEVELS = 16  # the last step is then 1e-6: what bends within that is a kink
_COLUMNS = 5
_TINY = (1e-12, 1e-10, 1e-8)
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
    """A quantity at steps h, h/2, h/4, ..., extrapolated to 0 by powers p, p + 2, p + 4, ... of the step."""

    def __init__(self, shape: tuple[int, ...], power: int) -> None:
        self.factors = [2.0 ** (power + 2 * j) - 1 for j in range(_COLUMNS - 1)]
        self.row: list[Any] = []
        self.value = np.full(shape, np.nan)
        self.error = np.full(shape, np.inf)

    def add(self, new: Any, noise: Any) -> None:
        before, self.row = self.row, [new]
        for old, factor in zip(before, self.factors, strict=False):
            last = self.row[-1]
            finer = last + (last - old) / factor
            error = np.maximum(np.abs(finer - last), np.abs(finer - old)) + noise
            better = error < self.error
            self.value = np.where(better, finer, self.value)
            self.error = np.where(better, error, self.error)
            self.row.append(finer)


def noise_of(line: Callable[[float], Any]) -> Any:
    """How far rounding throws each result off, from differences of order 2 to 4 at steps too small for anything else.

    The differences of order k of independent errors of deviation s have the deviation s sqrt((2k)!) / k! (Moré and
    Wild, "Estimating computational noise", 2011). Where a result does not move at all, it is rounded coarsely: larger
    steps are tried, and the least difference that then appears is taken for the rounding.
    """
    found: Any = 0.0
    coarse: Any = False
    for step in _TINY:
        table = np.stack([line(k * step) for k in range(-3, 4)])
        with np.errstate(all="ignore"):
            moves = np.abs(np.diff(table, axis=0))
            least = np.min(np.where(moves > 0, moves, np.inf), axis=0)
            rounding = np.where(coarse & np.isfinite(least), np.fmax(least, _deviation(table)), _deviation(table))
            found = np.where(np.greater(found, 0), found, rounding)
        coarse = np.isinf(least)
        if not coarse.any():
            break
    return found


def _deviation(table: Any) -> Any:
    """Of the errors in values at equal distances along axis 0, by their differences of order 2 to 4."""
    found = np.zeros(table.shape[1:])
    for k in (2, 3, 4):
        differences = np.diff(table, n=k, axis=0)
        gain = math.sqrt(math.factorial(2 * k)) / math.factorial(k)
        found = np.fmax(found, np.sqrt(np.mean(differences * differences, axis=0)) / gain)
    return found


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
    rounding = noise
    with np.errstate(all="ignore"):
        for level in range(_LEVELS):
            h = first * 0.5**level
            above, below = line(h), line(-h)
            largest = np.maximum(np.maximum(np.abs(above), np.abs(below)), np.abs(y))
            rounding = _ROUNDING * largest / h
            blur = np.maximum(rounding, _NOISE * noise / h)
            slopes.append((above - below) / (2 * h))
            bends.append(((above - y) - (y - below)) / h)
            central.add(slopes[-1], blur)
            bend.add(bends[-1], blur)
            goal = enough(np.where(np.isfinite(central.value), central.value, 0))
            smooth = np.abs(bend.value) <= goal + 2 * bend.error
            settled = (central.error <= goal) & smooth
            if np.all(settled | ~finite):
                return Derivative(central.value, central.error, np.zeros(y.shape), ~finite)
        one_sided = ~np.isfinite(slopes[-1])
        crooked = _lasting(bends, 0.8) & (np.abs(bends[-1]) > 10 * (goal + rounding))
        unbounded = _lasting(slopes, 1.2) & (np.abs(slopes[-1]) > 10 * (goal + rounding))
        no_sides = ~finite | one_sided | _lasting(bends, 1.2) | (unbounded & ~crooked)
    kink = ~finite | (~settled & (one_sided | crooked | unbounded))
    sides = np.where(no_sides, np.nan, bends[-1])
    return Derivative(np.where(kink, slopes[-1], central.value), central.error, np.where(kink, sides, 0.0), kink)


def _lasting(values: list[Any], ratio: float) -> Any:
    """Did the last three halvings of the step each leave the sign, and at least ``ratio`` of the size?"""
    return np.logical_and.reduce([after / before >= ratio for before, after in pairwise(values[-4:])])
