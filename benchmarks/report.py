"""Plain tables that can be pasted into a text or a Markdown page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table with aligned columns; numbers to the right, None as an empty cell."""
    cells = [list(header)] + [["" if value is None else str(value) for value in row] for row in rows]
    widths = [max(len(row[k]) for row in cells) for k in range(len(header))]
    lines = [
        [cell.ljust(w) if k == 0 else cell.rjust(w) for k, (cell, w) in enumerate(zip(row, widths, strict=True))]
        for row in cells
    ]
    rule = ["-" * w if k == 0 else "-" * (w - 1) + ":" for k, w in enumerate(widths)]
    return "\n".join("| " + " | ".join(line) + " |" for line in [lines[0], rule, *lines[1:]])


def ms(seconds: float | None) -> str | None:
    return None if seconds is None else f"{seconds * 1e3:.3g}" if seconds < 1 else f"{seconds * 1e3:.0f}"


def ratio(a: float | None, b: float | None) -> str | None:
    return None if not a or not b else f"{a / b:.2f}"


def geometric_mean(values: Sequence[float]) -> float:
    return math.exp(math.fsum(map(math.log, values)) / len(values))


def disturbance(share: float) -> str:
    """A warning, where other programs ran even in the quietest rounds."""
    if share <= 0.1:
        return ""
    return f"\nother programs used up to {share:.0%} of the machine meanwhile: take these numbers with care"


def mb(size: float | None) -> str | None:
    """Bytes in millions (a megabyte is 10^6 here: arrays are counted, not pages)."""
    return None if size is None else f"{size / 1e6:.1f}"


def verdict(
    what: str, value: float, target: float, ours: str, other: str = "torch", stretch: float | None = None
) -> str:
    """A measured number; and what was promised of this library beside PyTorch, if that is what was measured."""
    if (ours, other) != ("tinygrad_rnn", "torch"):
        return f"{what}: {value:.2f}"
    words = f"target: at most {target:g}; {_met(value, target)}"
    if stretch is not None:
        words += f"; stretch: {stretch:g}, {_met(value, stretch)}"
    return f"{what}: {value:.2f} ({words})"


def _met(value: float, target: float) -> str:
    return "met" if value <= target else "NOT met"
