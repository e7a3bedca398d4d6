"""What is written over a picture: the delays of edges through time, the legend of gradients."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

from .block_layout import Box
from .colours import NO_GRADIENT, NOT_FINITE, GradientScale, Paint
from .labels import NOTE_SIZE, width
from .layout import DELAY, Layout
from .model import Graph
from .words import Words, delay_words


def delays(graph: Graph, layout: Layout) -> Iterator[tuple[Box, Words]]:
    """A black square on each way from one time step to another (Goodfellow et al., "Deep Learning", 2016, 10.1)."""
    done: set[tuple[int, int]] = set()
    for edge in graph.edges:
        if not edge.delay:
            continue
        points = layout.curves[edge.slot].points
        axis = 1 if layout.upward else 0  # a lane is further up, or in a picture that runs down further right, than all
        a, b = max(pairwise(points), key=lambda pair: (round(min(pair[0][axis], pair[1][axis])), math.dist(*pair)))
        x, y = (a[0] + b[0]) / 2, (a[1] + b[1]) / 2
        if (round(x), round(y)) in done:
            continue
        done.add((round(x), round(y)))
        text = delay_words(edge)
        level = abs(a[0] - b[0]) >= abs(a[1] - b[1])
        half = DELAY / 2
        place = (x, y + half + 5.5) if level else (x + DELAY + width(text, NOTE_SIZE) / 2, y)
        yield (x - half, y - half, x + half, y + half), Words(text, place)


def legend(scale: GradientScale, layout: Layout) -> Iterator[tuple[Box, Paint, Words]]:
    """A colour for each power of ten, above the picture; and one for where nothing flows."""
    left = min(x for x, _ in layout.centres.values()) - 20
    tops = [column.box[3] for column in layout.columns] + [y + 20 for _, y in layout.centres.values()]
    tops += [y for curve in layout.curves.values() for _, y in curve.points]
    y = max(tops) + 34
    step = max(1, round((scale.high - scale.low) / 8))
    powers = range(scale.low, scale.high + 1, step)
    texts = [f"≤ 1e{power}" if scale.beyond and power == scale.low else f"1e{power}" for power in powers]
    wide = max(34.0, *(width(text, NOTE_SIZE) + 4.0 for text in texts))
    for k, (power, words) in enumerate(zip(powers, texts, strict=True)):
        x = left + k * wide
        yield (x, y, x + wide, y + 9), scale.paint(10.0**power), Words(words, (x + wide / 2, y - 7))
        last = x + wide
    others = [(NO_GRADIENT, "none"), *([(NOT_FINITE, "inf, nan")] if scale.not_finite else [])]
    for k, (paint, words) in enumerate(others):
        x = last + 24 + k * (wide + 24)
        yield (x, y, x + wide, y + 9), paint, Words(words, (x + wide / 2, y - 7))
    title = "2-norm of the gradient"
    nowhere = left + width(title, NOTE_SIZE) / 2, y + 17
    yield (left, y, left, y), scale.paint(None), Words(title, nowhere)
