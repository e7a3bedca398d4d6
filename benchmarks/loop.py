"""A training step (forward, backward to all parameters and inputs, freeing the graph) of each cell in a Python loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .agreement import TOLERANCE, largest_deviation
from .cells import CELLS, Size, random_data
from .progress import Progress
from .report import disturbance, geometric_mean, ms, ratio, table, verdict
from .workers import Effort, Worker, alternate, turns_of

SIZES = (
    Size(20, 1, 16, 16),
    Size(50, 8, 32, 32),
    Size(50, 32, 64, 64),
    Size(50, 32, 128, 128),
    Size(100, 32, 128, 256),
)
QUICK_SIZES = SIZES[:2]


def prepare(workers: Sequence[Worker], key: str, cell: str, size: Size) -> float:
    """Give all workers the same data; return by how much, relatively, their gradients differ at most.

    Raises:
        RuntimeError: they do not agree (``agreement.py``).
    """
    variables, constants = random_data(cell, size)
    answers = [(worker.library, worker.ask("prepare", key, cell, variables, constants)) for worker in workers]
    shapes = {name: array.shape for name, array in variables.items()}
    return largest_deviation(f"{cell} {size}: the gradient of", answers, shapes)


def run(workers: Sequence[Worker], cells: Sequence[str], sizes: Sequence[Size], effort: Effort) -> dict[str, Any]:
    rows = []
    with Progress("loop", len(cells) * len(sizes) * effort.blocks) as progress:
        for cell in cells:
            for size in sizes:
                progress.at(f"{cell} {size}")
                deviation = prepare(workers, "loop", cell, size)
                times, others = alternate(turns_of(workers, ["loop"]), effort, progress.tick)
                row: dict[str, Any] = {"cell": cell, "size": size, "others": others}
                row["deviation"] = deviation if len(workers) > 1 else None
                row["times"] = {w.library: t._asdict() for w, t in zip(workers, times, strict=True)}
                row["compile"] = {w.library: w.ask("compile_seconds") for w in workers}
                row["page_faults"] = {w.library: w.ask("page_faults", "loop") for w in workers}
                rows.append(row)
                for worker in workers:
                    worker.ask("forget")
    result: dict[str, Any] = {"rows": rows, "libraries": [worker.library for worker in workers], "ratios": {}}
    ours = workers[0].library
    for other in result["libraries"][1:]:
        ratios = {f"{r['cell']} {r['size']}": r["times"][ours]["total"] / r["times"][other]["total"] for r in rows}
        worst = max(ratios, key=ratios.__getitem__)
        result["ratios"][other] = {
            "geometric_mean": geometric_mean(list(ratios.values())), "worst": ratios[worst], "worst_cell": worst
        }  # fmt: skip
    return result


def report(result: dict[str, Any]) -> str:
    ours, *others = result["libraries"]
    header = ["cell (T, B, in, hidden)", f"{ours} ms", *(f"{name} ms" for name in others)]
    header += [f"ratio to {name}" for name in others]
    detailed = others[-1:]  # of the last one also the halves; of all, the table would be too wide to read
    header += [half for _ in detailed for half in ("forward", "backward")]
    rows = []
    for row in result["rows"]:
        times = row["times"]
        line = [f"{row['cell']} {row['size']}", *(ms(times[name]["total"]) for name in result["libraries"])]
        line += [ratio(times[ours]["total"], times[name]["total"]) for name in others]
        line += [ratio(times[ours][half], times[name][half]) for name in detailed for half in ("forward", "backward")]
        rows.append(line)
    lines = [table(header, rows)]
    for name, summary in result["ratios"].items():
        lines += [
            "",
            verdict(f"geometric mean of {len(rows)} ratios to {name}", summary["geometric_mean"], 0.8, ours, name),
            verdict(f"worst cell, {summary['worst_cell']}", summary["worst"], 1.0, ours, name),
        ]
        compiled = [row["compile"][name] for row in result["rows"] if row["compile"][name] is not None]
        if compiled:
            words = f"{min(compiled):.2g} to {max(compiled):.2g} s a row, before it was timed"
            lines.append(f"{name} compiled the whole step: {words}")
    if others:
        deviation = max(row["deviation"] for row in result["rows"])
        words = f"{deviation:.1e} (allowed: {TOLERANCE:g})"
        lines += ["", f"largest relative difference from {others[-1]}'s gradients: {words}"]
    return "\n".join(lines) + disturbance(max(row["others"] for row in result["rows"]))


def size_of(text: str) -> Size:
    """A size from the command line, such as ``50,8,32,32``."""
    parts = [int(part) for part in text.split(",")]
    if len(parts) != 4 or min(parts) < 1:
        raise ValueError(f"expected four whole numbers T,B,in,hidden, each at least 1, got {text!r}")
    return Size(*parts)


NAMES = tuple(CELLS)
