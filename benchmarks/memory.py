"""What checkpointing saves: the peak of memory of one training step of an LSTM over a long sequence, with and without.

Only what lies beyond inputs, outputs and their gradients counts, since those are there in any case. Of these, x, the
parameters and the gradient of the outputs are there before the step, and so are no part of the peak; the outputs and
the gradients of x and the parameters come into being during the step, and are taken off it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from .agreement import TOLERANCE, largest_deviation
from .cells import Size, layer_data
from .progress import Progress
from .report import mb, table, verdict
from .workers import Worker

LIBRARY = "tinygrad_rnn"  # the others have no such option
CELL = "lstm"


class Case(NamedTuple):
    """One thing to measure.

    Attributes:
        what: Its name in the report.
        method: Of the adapter, that makes the step.
        promised: What was promised of the ratio, or None.
    """

    what: str
    method: str
    size: Size
    promised: float | None


CASES = (
    Case("tg.nn.LSTM", "layer_step", Size(10_000, 16, 128, 128), 0.1),
    Case("tg.scan of tg.nn.LSTMCell", "scan_step", Size(1_000, 16, 128, 128), None),
)
QUICK_CASES = (
    Case("tg.nn.LSTM", "layer_step", Size(1_000, 16, 64, 64), None),
    Case("tg.scan of tg.nn.LSTMCell", "scan_step", Size(400, 16, 64, 64), None),
)


def run(cases: Sequence[Case], every: int | None, threads: int) -> dict[str, Any]:
    """Each measurement in a process of its own.

    Args:
        every: Keep the state of so many steps (``checkpoint=``); None: the square root of T.
    """
    result = []
    with Progress("memory", 2 * len(cases)) as progress:
        for what, method, size, promised in cases:
            k = every or round(math.sqrt(size.T))
            progress.at(f"{what} {size}")
            rows = []
            for checkpoint in (k, None):
                with Worker(LIBRARY, threads) as worker:
                    options = {} if checkpoint is None else {"checkpoint": checkpoint}
                    answer = worker.ask("peak", method, CELL, size, False, options)
                rows.append({"checkpoint": checkpoint} | answer)
                progress.tick()
            gradients = [(f"checkpoint={row['checkpoint']}", row.pop("gradients")) for row in rows]
            shapes = {name: g.shape for name, g in gradients[-1][1].items()}
            deviation = largest_deviation(f"{what} {size}: the gradient of", gradients, shapes)
            counted = bytes_of(size)
            taken_off = sum(counted["during the step"].values())
            for row in rows:
                row["beyond"] = None if row["bytes"] is None else row["bytes"] - taken_off
            case = {"what": what, "size": size, "rows": rows, "counted": counted, "deviation": deviation}
            result.append(case | {"promised": promised, "ratio": ratio_of(*(row["beyond"] for row in rows))})
    return {"cases": result, "library": LIBRARY}


def bytes_of(size: Size) -> dict[str, dict[str, int]]:
    """The bytes of the inputs, outputs and their gradients, those before the step and those that come during it."""
    variables, constants = layer_data(CELL, size._replace(T=1), ragged=False)
    x, outputs = variables.pop("x").nbytes * size.T, constants["upstream"].nbytes * size.T
    parameters = sum(array.nbytes for array in variables.values())
    return {
        "before the step": {"x": x, "parameters": parameters, "gradient of the outputs": outputs},
        "during the step": {"outputs": outputs, "gradient of x": x, "gradients of the parameters": parameters},
    }


def ratio_of(with_it: int | None, without: int | None) -> float | None:
    """None where a number is missing, or where nothing was found that could be saved."""
    return None if without is None or with_it is None or without <= 0 else with_it / without


def report(result: dict[str, Any]) -> str:
    parts = []
    for case in result["cases"]:
        title = f"{case['what']}, (T, B, in, hidden) = {case['size']}, float32"
        header = [title, "peak MB", "of that inputs, outputs, gradients", "MB beyond them", "s"]
        taken_off = sum(case["counted"]["during the step"].values())
        body = []
        for row in case["rows"]:
            label = "without" if row["checkpoint"] is None else f"checkpoint={row['checkpoint']}"
            sizes = [mb(row["bytes"]) or "not known", mb(taken_off), mb(row["beyond"]) or "not known"]
            body.append([label, *sizes, f"{row['seconds']:.2f}"])
        lines = [table(header, body), ""]
        for when, sizes in case["counted"].items():
            lines.append(f"{when}: " + ", ".join(f"{name} {mb(size)} MB" for name, size in sizes.items()))
        lines += sorted({f"measured by {row['method']}" for row in case["rows"]})
        words = f"largest relative difference of the parameters' gradients: {case['deviation']:.1e}"
        lines.append(f"{words} (allowed: {TOLERANCE:g})")
        what = f"beyond inputs, outputs and their gradients, checkpoint={case['rows'][0]['checkpoint']} over without"
        if case["ratio"] is None:
            lines.append(f"{what}: not known")
        elif case["promised"] is None:
            lines.append(f"{what}: {case['ratio']:.2f}")
        else:
            lines.append(verdict(what, case["ratio"], case["promised"], result["library"]))
        parts.append("\n".join(lines))
    return "\n\n".join(parts)
