"""What a compiled dependency would give: the LSTM's training step beside one whose elementwise work is a loop in C.

Both have the same matrix products, and the floor is these alone; the loop has besides no graph to record, and all its
arrays beforehand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .adapters import COMPILED, FLOOR
from .adapters.compiled import COMPILE, available
from .cells import Size
from .layers import timed
from .progress import Progress
from .report import disturbance, geometric_mean, ms, ratio, table
from .workers import Effort, Worker

LIBRARY, CELL = "tinygrad_rnn", "lstm"


def run(sizes: Sequence[Size], threads: int, effort: Effort) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    if not available():
        return {"rows": rows}
    workers = [Worker(name, threads) for name in (LIBRARY, COMPILED, FLOOR)]
    with workers[0], workers[1], workers[2], Progress("compiled", len(sizes) * effort.blocks) as progress:
        for size in sizes:
            row: dict[str, Any] = {"cell": CELL, "size": size, "ragged": False}
            progress.at(str(size))
            rows.append(row | timed(workers[:2], workers[2], row, "training", effort, progress.tick))
    return {"rows": rows}


def report(result: dict[str, Any]) -> str:
    rows = result["rows"]
    if not rows:
        return f"not measured: no C compiler, or not one that takes {' '.join(COMPILE)}"
    halves = ("forward", "backward")
    header = ["lstm (T, B, in, hidden)", f"{LIBRARY} ms", "compiled loop ms", "floor ms", f"{LIBRARY} over the loop"]
    header += [*halves, "the loop over the floor"]
    body, ratios = [], []
    for row in rows:
        ours, loop = (row["times"][name] for name in (LIBRARY, COMPILED))
        floor = row["floor"]["total"]
        ratios.append(ours["total"] / loop["total"])
        line = [str(row["size"]), ms(ours["total"]), ms(loop["total"]), ms(floor)]
        line += [ratio(ours[part], loop[part]) for part in ("total", *halves)]
        body.append([*line, ratio(loop["total"], floor)])
    words = f"geometric mean of {len(ratios)} ratios to the compiled loop: {geometric_mean(ratios):.2f}"
    deviation = f"largest relative difference of the gradients: {max(row['deviation'] for row in rows):.1e}"
    return f"{table(header, body)}\n\n{words}\n{deviation}" + disturbance(max(row["others"] for row in rows))
