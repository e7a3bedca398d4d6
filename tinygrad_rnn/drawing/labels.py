r"""Words in a picture: names come from users, and are shown as text, whatever they hold.

Graphviz gives two things in a label a meaning of its own: backslashes (``\N`` is the node's name) and ``&...;`` (an
HTML entity); a third, ``<...>`` around the whole, has one only where it is not in quotes. They are taken away here, and
what cannot be seen (control characters, a reversal of the writing direction) is spelled as Python spells it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

FONT = "Helvetica"
SIZE, NOTE_SIZE = 11.0, 9.0  # points: of labels, and of words on edges and around groups
LONGEST_TOOLTIP = 400  # of each line
LONGEST = 28  # characters of a name that are shown; its tooltip has the rest
_JOINERS = "\u200c\u200d"  # invisible, but part of how Persian, Hindi and emoji are spelled
_NARROW, _WIDE = set("ijltfrI.,:;'|!()[]{} -"), set("mwMW@%")


def visible(text: str) -> str:
    r"""The text with all that is not printable spelled out.

    >>> print(visible("a\nb\x00"))
    a\nb\x00
    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in _JOINERS else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )


def shortened(text: str, longest: int = LONGEST) -> str:
    """At most ``longest`` characters, the last an ellipsis where some are missing.

    >>> shortened("weight_ih_l0_reverse", 8)
    'weight_…'
    """
    return text if len(text) <= longest else text[: longest - 1] + "…"


def label(lines: Iterable[str]) -> str:
    r"""A DOT label of these lines of text, one under the other, centred.

    >>> print(label(["a\\N", "<b> & c"]))
    a\\N\n<b> &amp; c
    """
    return _joined(lines, "\\\\")


def tooltip(lines: Iterable[str]) -> str:
    r"""A DOT tooltip of these lines of text. (Graphviz resolves the escapes in tooltips twice.)

    >>> print(tooltip(["a\\N", "<b> & c"]))
    a\\\\N\n<b> &amp; c
    """
    return _joined((shortened(line, LONGEST_TOOLTIP) for line in lines), "\\\\\\\\")


def _joined(lines: Iterable[str], backslash: str) -> str:
    return r"\n".join(visible(line).replace("&", "&amp;").replace("\\", backslash) for line in lines)


def shape_words(shape: tuple[object, ...]) -> str:
    """A shape as NumPy prints it; of several results, how many and the first's.

    >>> shape_words((4, 3)), shape_words(()), shape_words(((2, 3), (2, 3)))
    ('(4, 3)', '()', '2 × (2, 3)')
    """
    if shape and isinstance(shape[0], tuple):
        return f"{len(shape)} × {shape[0]}" if len(set(shape)) == 1 else ", ".join(str(one) for one in shape)
    return str(shape)


def width(text: str, size: float = SIZE) -> float:
    """About how many points wide the text is, in the widest of the fonts that may stand in for Helvetica."""
    ems = 0.0
    for c in text:
        if unicodedata.east_asian_width(c) in "WF":
            ems += 1.0
        elif c in _NARROW:
            ems += 0.36
        elif c in _WIDE:
            ems += 0.95
        else:
            ems += 0.7 if c.isupper() else 0.6
    return ems * size


def box_size(lines: Sequence[str]) -> tuple[float, float]:
    """Width and height in points of a box around these lines."""
    return max(44.0, max(width(visible(line)) for line in lines) + 12.0), 15.0 * len(lines) + 4.0
