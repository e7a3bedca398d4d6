"""Which sequences run in which steps: a batch cut into blocks of equal steps.

Sequences of different lengths are put in order, longest first. Then the running ones are always the first rows: going
forward, fewer and fewer; going back, more and more. A block is a stretch of steps in which their number stays the same,
so that its arrays are full: no step computes on padding, and no mask is needed anywhere.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

_GATES_IN_BLOCK = 3 << 20  # elements: with all that is kept of a step, below 32 MB in float64 (``allocator.py``)


class Block(NamedTuple):
    """Steps ``start`` to ``stop`` in the order of processing, in which the first ``rows`` sequences run."""

    start: int
    stop: int
    rows: int


class Plan:
    """How a batch goes through time.

    Args:
        steps, batch: T, B.
        lengths: (B,) whole numbers in 0..T, or None: all T.
        reverse: From the last step to the first.
        gates: How many elements a sequence has in one step; blocks are cut so that they stay small.
        checkpoint: A block must end after every so many processed steps; None: after none.
        truncate: Likewise after every so many steps of each sequence's own.

    Attributes:
        order: (B,) which sequence stands in each row, longest first; None: as they are given.
        blocks: In the order of processing; in some of them nothing may run.
        whole: Whether all sequences run all the time.
    """

    def __init__(
        self,
        steps: int,
        batch: int,
        lengths: Any,
        reverse: bool,
        gates: int,
        checkpoint: int | None = None,
        truncate: int | None = None,
    ) -> None:
        self.reverse, self.truncate = reverse, truncate
        self.order: Any = None
        bounds = {0, steps, *range(0, steps, checkpoint or steps)}
        running = None
        if lengths is not None and (lengths < steps).any():
            if (np.diff(lengths) > 0).any():
                self.order = np.argsort(-lengths, kind="stable")
            running = np.count_nonzero(lengths > np.arange(steps)[:, None], axis=1)
            running = running[::-1] if reverse else running
            bounds.update((np.flatnonzero(np.diff(running)) + 1).tolist())
        late = reverse and running is not None  # then only the longest sequences start with the first processed step
        self._starts = np.sort(steps - lengths) if late else np.zeros(batch, np.intp)  # of each row
        if truncate is not None:
            bounds.update(cut for start in set(self._starts.tolist()) for cut in range(start, steps, truncate))
        self.whole = running is None
        self.blocks: list[Block] = []
        for start, stop in pairwise(sorted(bounds)):
            rows = batch if running is None else int(running[start])
            most = max(1, _GATES_IN_BLOCK // max(rows * gates, 1))
            for first in range(start, stop, most):
                self.blocks.append(Block(first, min(first + most, stop), rows))

    def rows(self, block: Block) -> Any:
        """Where in the batch the running sequences stand: an index."""
        return slice(0, block.rows) if self.order is None else self.order[: block.rows]

    def cut(self, block: Block) -> Any:
        """Which rows are cut from what was before the block: their numbers."""
        if self.truncate is None:
            return None
        own = block.start - self._starts[: block.rows]
        return np.flatnonzero((own > 0) & (own % self.truncate == 0))

    def processed(self, along_time: Any) -> Any:
        """An array (T, ...) in the order of processing, and back: a view."""
        return along_time[::-1] if self.reverse else along_time
