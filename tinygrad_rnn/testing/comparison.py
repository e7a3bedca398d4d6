"""Analytic beside numeric derivatives: which are right, which wrong, and which cannot be told."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .differences import Derivative

_BARS = 10  # an analytic value may be off by so many error bars of the numeric one
_COARSE = 1e-4  # a bar wider than this, relative to values above 1, says too little


class Tolerance(NamedTuple):
    """What is allowed beside the numeric value's own error: ``atol + rtol * |numeric|``.

    ``atol`` may have an entry for each row; None: a millionth of the largest derivative there, but from 1e-11 to 1e-8.
    """

    atol: Any
    rtol: float

    def fitting(self, largest: Any) -> Tolerance:
        """With an ``atol`` for rows whose derivatives are so large."""
        return self if self.atol is not None else self._replace(atol=np.clip(1e-6 * largest, 1e-11, 1e-8))

    def of(self, numeric: Any) -> Any:
        """For numbers whose last axis is that of the rows."""
        return self.atol + self.rtol * np.abs(numeric)


class Comparison:
    """The derivatives with respect to one input: rows are results (or projections of them), columns what was varied.

    Attributes:
        label, name, shape: Of the input.
        rows: Words for each row.
        columns: Words for each column.
        phrase: How the words of a row and of a column make those of an entry.
        analytic, numeric, error: The derivatives, and the error bars of the numeric ones: shape (rows, columns).
        bend: Slope on the right less slope on the left where there is a kink, NaN where only one of them is there.
        kink: Where there is no derivative to compare with.
        unsettled: Where the differences were too noisy to say anything.
    """

    def __init__(
        self,
        label: str,
        name: str | None,
        shape: tuple[int, ...],
        rows: Sequence[str],
        columns: Sequence[str],
        *,
        analytic: Any,
        derivatives: Sequence[Derivative],
        tolerance: Tolerance,
        phrase: str = "d {} / d {}",
    ) -> None:
        self.phrase = phrase
        self.label, self.name, self.shape, self.rows, self.columns = label, name, shape, rows, columns
        self.analytic = analytic
        parts = [np.zeros((len(rows), 0)), *(np.stack(d)[..., None] for d in derivatives)]
        numbers = np.concatenate([np.broadcast_to(part, (4, len(rows), part.shape[-1])) for part in parts], axis=-1)
        self.numeric, self.error, self.bend, kink = numbers
        # where one element has an infinite slope, 0 times that is NaN in the rows of all others
        edge = np.any(kink.astype(bool) & np.isnan(self.bend), axis=0) & np.isnan(analytic)
        self.bend = np.where(edge, np.nan, self.bend)
        self.kink = kink.astype(bool) | edge
        with np.errstate(invalid="ignore"):
            off = np.abs(analytic - self.numeric)
            tolerated = tolerance.of(self.numeric.T).T
            self.allowed = tolerated + _BARS * np.where(self.kink, 0, self.error)
            coarse = np.maximum(_COARSE * np.maximum(1, np.abs(self.numeric)), tolerated)
            self.unsettled = ~self.kink & ~(self.error <= coarse) & ~((analytic == 0) & (self.numeric == 0))
            # on a kink every convention gives a slope between the two sides
            outside = ~(off <= 0.5 * np.abs(self.bend) * (1 + 1e-3) + tolerated)
            bad = np.where(self.kink, outside & np.isfinite(self.bend), ~(off <= self.allowed) & ~self.unsettled)
        self.bad = bad.astype(bool)
        self.wrong = int(self.bad.sum())
        told = ~self.kink & ~self.unsettled & ~self.bad
        self.compared = int(told.sum())
        self.undefined = bool(np.any(self.bad & ~np.isfinite(analytic)))
        self.telling = bool(np.any(told & (np.abs(self.numeric) > self.allowed)))  # not only zeros
        self.excess = np.where(self.bad, np.where(np.isfinite(off), off - self.allowed, np.inf), -1.0)

    @property
    def total(self) -> int:
        return int(self.bad.size)

    @property
    def worst(self) -> tuple[int, int]:
        """Row and column of the entry that is most wrong."""
        row, column = np.unravel_index(np.argmax(self.excess), self.excess.shape)
        return int(row), int(column)

    def index_of(self, column: int) -> tuple[int, ...] | None:
        """Where in the input a column's element is; None if the columns are directions."""
        if len(self.columns) != math.prod(self.shape):
            return None
        return tuple(int(k) for k in np.unravel_index(column, self.shape))

    def words_of(self, place: tuple[int, int]) -> str:
        return self.phrase.format(self.rows[place[0]], self.columns[place[1]])

    def __str__(self) -> str:
        words = f"{self.label} {self.name!r}" if self.name else self.label
        words = f"{words}, shape {self.shape}:"
        if self.wrong:
            place = self.worst
            analytic, numeric, bar = self.analytic[place], self.numeric[place], self.error[place]
            sides = f" (a kink: the slopes on its sides differ by {self.bend[place]:.3g})" if self.kink[place] else ""
            words += (
                f" {self.wrong} of {self.total} wrong, worst {self.words_of(place)}: analytic {analytic:.9g}, numeric "
                f"{numeric:.9g} +- {bar:.1g}{sides}"
            )
        elif self.compared == self.total:
            words += f" all {self.total} right"
        else:
            words += f" {self.compared} of {self.total} right"
        return "; ".join([words, *self.left_out()])

    def left_out(self) -> list[str]:
        """Words for what could not be compared, with the first of each kind."""
        kinds = {
            "on a kink": self.kink & np.isfinite(self.bend) & ~self.bad,
            "without a derivative (at an edge of the domain, a pole, or an infinite slope)": self.kink
            & ~np.isfinite(self.bend),
            "whose differences do not settle": self.unsettled,
        }
        found = []
        for words, where in kinds.items():
            if where.any():
                row, column = (int(k) for k in np.argwhere(where)[0])
                found.append(f"{int(where.sum())} {words} (first: {self.words_of((row, column))})")
        return found
