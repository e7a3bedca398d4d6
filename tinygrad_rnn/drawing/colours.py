"""Colours: one for each weight, and a scale for gradients. Both can be told apart by colour-blind readers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .model import Graph
from .timeline import Timeline, columns_of_users, inputs_of_steps

INK, SOFT, PAPER = "#222222", "#666666", "#FFFFFF"
BANDS = ("#F3F4F6", "#E9ECF1")  # neighbouring columns
BAND, EDGE = "#FAFAFA", "#C4C8CF"  # what stands across them


class Paint(NamedTuple):
    """How a leaf and its lines are drawn: colour, the colour of words on it, style of line."""

    colour: str
    words: str
    line: str = "solid"


# Okabe and Ito, "Color Universal Design" (2008): told apart by colour-blind readers too. Their yellow is too pale for a
# line, their black is for operations; the wine is Tol's ("Colour Schemes", 2021).
PALETTE = (
    ("#0072B2", "white"), ("#D55E00", "black"), ("#009E73", "black"), ("#CC79A7", "black"),
    ("#E69F00", "black"), ("#56B4E9", "black"), ("#882255", "white"),
)  # fmt: skip
LINES = ("solid", "dashed", "dotted")  # for more leaves than colours

# Cividis (Nuñez, Anderton and Renslow, 2018), made for colour-blind readers, from pale to dark: also grey in print. Its
# brightest yellow is too pale for a line on paper.
SCALE = ("#C3B369", "#A59C74", "#8A8678", "#707173", "#575D6D", "#3B496C", "#123570", "#00224E")
NO_GRADIENT = Paint("#B8B8B8", "black", "dotted")
NOT_FINITE = Paint("#FF4FC3", "black")  # no weight's colour, nor on the scale
_DECADES = 12  # at most: what is smaller by more is as pale as that


def leaf_paints(graph: Graph, time: Timeline) -> dict[int, Paint]:
    """A colour for each leaf, but for inputs."""
    users = columns_of_users(graph, time)
    inputs = inputs_of_steps(graph, time)
    lasting = [leaf for leaf in users if leaf not in inputs]
    lasting.sort(key=lambda leaf: (len(users[leaf]) == 1, leaf))  # those that steps share have the first colours
    return {
        leaf: Paint(*PALETTE[k % len(PALETTE)], LINES[k // len(PALETTE) % len(LINES)]) for k, leaf in enumerate(lasting)
    }


class GradientScale(NamedTuple):
    """Colours for gradients' norms by their logarithms: 10 ** low and less is pale, 10 ** high is dark.

    Attributes:
        beyond: Are there norms below 10 ** low?
        not_finite: Are there any that are infinite or NaN?
    """

    low: int
    high: int
    beyond: bool = False
    not_finite: bool = False

    @classmethod
    def of(cls, norms: Iterable[float | None]) -> GradientScale:
        """The scale on which these can be told apart."""
        known = [g for g in norms if g]
        logarithms = [math.log10(g) for g in known if math.isfinite(g)]
        high = math.ceil(max(logarithms, default=0.0))
        low = math.floor(min(logarithms, default=high - 1.0))
        least = high - _DECADES
        return cls(max(min(low, high - 1), least), high, low < least, len(logarithms) < len(known))

    def share(self, norm: float) -> float:
        """Where on the scale, from 0 to 1."""
        if norm == 0:
            return 0.0
        return min(max((math.log10(norm) - self.low) / (self.high - self.low), 0.0), 1.0)

    def paint(self, norm: float | None) -> Paint:
        """The colour of a norm; None: no gradient flows there."""
        if norm is None or norm == 0:
            return NO_GRADIENT
        if not math.isfinite(norm):
            return NOT_FINITE
        place = self.share(norm) * (len(SCALE) - 1)
        k = min(int(place), len(SCALE) - 2)
        a, b = ([int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in SCALE[k : k + 2])
        mixed = [round(x + (place - k) * (y - x)) for x, y in zip(a, b, strict=True)]
        return Paint("#{:02X}{:02X}{:02X}".format(*mixed), "black" if _luminance(mixed) > _MIDDLE else "white")

    def line_width(self, norm: float | None) -> float:
        """How wide a line is drawn: what is dark is wide too, so that it can be told in print."""
        if norm is None or norm == 0:
            return 0.8
        return 1.0 + 2.4 * (self.share(norm) if math.isfinite(norm) else 1.0)


_MIDDLE = math.sqrt(1.05 * 0.05) - 0.05  # black is as far from it as white is


def _luminance(colour: Sequence[int]) -> float:
    """Relative luminance (WCAG 2.1), from 0 to 1, of red, green and blue from 0 to 255."""
    parts = (part / 255 for part in colour)
    r, g, b = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def norm_words(norm: float | None) -> str:
    """A gradient's norm in words.

    >>> norm_words(0.00123), norm_words(12.0), norm_words(None)
    ('1.2e-3', '12', 'no gradient')
    """
    if norm is None:
        return "no gradient"
    if norm == 0 or not math.isfinite(norm) or 0.01 <= norm < 1000:
        return f"{norm:.2g}" if norm < 100 else f"{norm:.0f}"
    digits, _, power = f"{norm:.1e}".partition("e")
    return f"{digits}e{int(power)}"
