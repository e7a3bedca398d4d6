"""Is a step as fast in a long sequence as in a short one? A walk that copied the sequence at each step would not be.

The first library and the last run each cell; those between, some of which take seconds for a sequence, only one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from .cells import Size, random_data
from .progress import Progress
from .report import disturbance, table, verdict
from .workers import Effort, Worker, alternate, turns_of

LENGTHS = (200, 2_000)
QUICK_LENGTHS = (20, 200)
WIDTH = (8, 32, 32)  # B, in, hidden


def run(workers: Sequence[Worker], cells: Sequence[str], lengths: Sequence[int], effort: Effort) -> dict[str, Any]:
    rows = []
    turns = turns_of(workers, [str(length) for length in lengths])
    with Progress("steps", len(cells) * effort.blocks) as progress:
        for cell in cells:
            progress.at(cell)
            for worker, key, _ in turns:
                worker.ask("prepare", key, cell, *random_data(cell, Size(int(key), *WIDTH)))
            times, others = alternate(turns, effort, progress.tick)
            for worker in dict.fromkeys(turn.worker for turn in turns):
                mine = (time for turn, time in zip(turns, times, strict=True) if turn.worker is worker)
                short, long = (time.total / length for time, length in zip(mine, lengths, strict=True))
                row = {"cell": cell, "library": worker.library, "others": others}
                rows.append(row | {"short": short, "long": long, "ratio": long / short})
                worker.ask("forget")
            turns = [turn for turn in turns if not turn.brief]
    return {"rows": rows, "lengths": list(lengths), "width": WIDTH}


def report(result: dict[str, Any]) -> str:
    short, long = result["lengths"]
    header = ["cell", "library", f"us a step at T={short}", f"us a step at T={long}", "ratio"]
    rows = [
        [row["cell"], row["library"], f"{row['short'] * 1e6:.1f}", f"{row['long'] * 1e6:.1f}", f"{row['ratio']:.2f}"]
        for row in result["rows"]
    ]
    ours = [row for row in result["rows"] if row["library"] == result["rows"][0]["library"]]
    worst = max(ours, key=lambda row: row["ratio"])
    words = verdict(f"worst cell, {worst['cell']}", worst["ratio"], 1.3, worst["library"])
    once = [
        library for library, count in Counter(row["library"] for row in result["rows"]).items() if count < len(ours)
    ]
    if once:
        words += f"\none cell only of {', '.join(once)}, to save time: name one alone (--libraries) for all its cells"
    return f"{table(header, rows)}\n\n{words}{disturbance(max(row['others'] for row in result['rows']))}"
