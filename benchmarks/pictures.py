"""From a recorded graph to an SVG: how long that takes for an LSTM over more and more steps, and how much memory.

Beside ``tg.draw`` stands torchviz, which draws PyTorch's graph of the same operations and has Graphviz's engine ``dot``
lay it out. Its time grows much faster than its graph, so it has a limit; where that runs out, longer nets are skipped.
"""

from __future__ import annotations

import importlib.util
import statistics
from collections.abc import Sequence
from functools import partial
from typing import Any

from . import renderer
from .progress import Progress
from .quiet import Meter, least_disturbed
from .report import disturbance, mb, table, verdict
from .unrolled import BATCH, HIDDEN, INPUTS, NETS
from .workers import Effort, Worker

LENGTHS, QUICK_LENGTHS = (10, 40, 100, 1000), (3, 6)
LIMIT = 60.0  # seconds
OURS = "tinygrad_rnn"
DRAWN_BY = {OURS: "tg.draw", "torch": "torchviz"}
# What is promised on 2 cores, by steps: seconds after start-up, and megabytes.
SECONDS = {40: 0.5, 1000: 5.0}
MEGABYTES = {1000: 500.0}
LINEAR = (100, 1000)  # steps; is the time of these as their numbers?
MOST_TIMES = 1.2  # than that
_FEW = 3  # pictures by another library: one may take its whole limit


def run(libraries: Sequence[str], lengths: Sequence[int], limit: float, threads: int, effort: Effort) -> dict[str, Any]:
    """Each picture in a process of its own, in which what draws has been started.

    Args:
        lengths: Steps, in ascending order.
        limit: Seconds that another library has for a picture.
    """
    asked = [name for name in libraries if name in DRAWN_BY]
    missing = [name for name in asked if name != OURS and importlib.util.find_spec(DRAWN_BY[name]) is None]
    engine = renderer.words()
    drawing = [name for name in asked if name not in missing] if engine is not None else []
    rows: list[dict[str, Any]] = []
    meter = Meter()
    with Progress("pictures", len(NETS) * len(drawing) * len(lengths)) as progress:

        def picture(library: str, net: str, steps: int) -> dict[str, Any]:
            with meter, Worker(library, threads) as worker:
                start_up = worker.ask("record", net, steps)
                found: dict[str, Any] = worker.ask("picture", limit=None if library == OURS else limit)
                return found | {"start_up": start_up}

        for net in NETS:
            for library in drawing:
                count, patience = effort.pictures, effort.patience
                if library != OURS:
                    count, patience = min(count, _FEW), 1
                for steps in lengths:
                    progress.at(f"{net}, {steps} steps, {DRAWN_BY[library]}")
                    row = {"net": net, "library": library, "steps": steps}
                    try:
                        found, others = least_disturbed(partial(picture, library, net, steps), meter, count, patience)
                    except TimeoutError:
                        rows.append(row | {"median": None, "others": 0.0})
                        break
                    rows.append(row | _summary(found) | {"others": others})
                    progress.tick()
    names = [DRAWN_BY[name] for name in missing]
    return {"rows": rows, "lengths": list(lengths), "limit": limit, "missing": names, "renderer": engine}


def _summary(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The pictures of one net: what they have in common, the times' medians, and the largest peak."""
    seconds = [picture["seconds"] for picture in found]
    peaks = [picture["bytes"] for picture in found if picture["bytes"] is not None]
    return found[0] | {
        "seconds": seconds, "best": min(seconds), "median": statistics.median(seconds),
        "start_up": statistics.median(picture["start_up"] for picture in found), "bytes": max(peaks, default=None),
        "process_bytes": max(picture["process_bytes"] for picture in found),
    }  # fmt: skip


def report(result: dict[str, Any]) -> str:
    lines = [
        f'{name} is not installed, so nothing is compared with it: pip install "tinygrad-rnn[peers]"'
        for name in result["missing"]
    ]
    rows = result["rows"]
    if result["renderer"] is None:
        return "\n".join([*lines, 'not measured: there is no Graphviz; pip install "tinygrad-rnn[render]"'])
    if not rows:
        return "\n".join([*lines, f"not measured: of the libraries only {' and '.join(DRAWN_BY)} have pictures"])
    header = ["LSTM, drawn by", "steps", "nodes", "edges", "start-up s", "best s", "median s", "pictures"]
    header += ["s a 1,000 nodes", "added MB", "process MB", "SVG MB"]
    lines += [table(header, (_cells(row, result["limit"]) for row in rows)), ""]
    lines += [
        f"{_what(row)}: stopped after {result['limit']:g} s at {row['steps']} steps; longer ones were not tried"
        for row in rows
        if row["median"] is None and row["steps"] < result["lengths"][-1]
    ]
    for net in NETS:
        lines += _promises(net, {row["steps"]: row for row in rows if (row["net"], row["library"]) == (net, OURS)})
    sizes = f"batch {BATCH}, {INPUTS} inputs, {HIDDEN} hidden units"
    lines.append(f"loop: plain tensor operations, 18 a step with those of its loss; layer: the library's own; {sizes}")
    lines.append(f"{result['renderer']}; its start is not in the times")
    lines.append("added: by drawing, to the recorded graph and what else is there; process: all of it")
    lines += sorted({f"memory measured by {row['method']}" for row in rows if row["median"] is not None})
    return "\n".join(lines) + disturbance(max(row["others"] for row in rows))


def _what(row: dict[str, Any]) -> str:
    return f"{row['net']}, {DRAWN_BY[row['library']]}"


def _cells(row: dict[str, Any], limit: float) -> list[Any]:
    start = [_what(row), f"{row['steps']:,}"]
    if row["median"] is None:
        return [*start, None, None, None, None, f"> {limit:g}", None, None, None, None, None]
    times = [f"{row[key]:.3f}" for key in ("start_up", "best", "median")]
    each = f"{row['median'] / row['nodes'] * 1000:.3f}"
    sizes = [mb(row["bytes"]) or "not known", mb(row["process_bytes"]), f"{row['svg_bytes'] / 1e6:.2f}"]
    return [*start, f"{row['nodes']:,}", f"{row['edges']:,}", *times, len(row["seconds"]), each, *sizes]


def _promises(net: str, rows: dict[int, dict[str, Any]]) -> list[str]:
    """What is promised of our own pictures, beside what was measured.

    Args:
        rows: By number of steps.
    """
    lines = []
    for steps, row in rows.items():
        what = f"{net}, {steps:,} steps, {row['nodes']:,} nodes"
        if steps in SECONDS:
            lines.append(verdict(f"{what}: seconds", row["median"], SECONDS[steps], OURS))
        if steps in MEGABYTES:
            lines.append(verdict(f"{what}: process in MB", row["process_bytes"] / 1e6, MEGABYTES[steps], OURS))
    if all(steps in rows for steps in LINEAR):
        short, long = LINEAR
        times, nodes = (rows[long][key] / rows[short][key] for key in ("best", "nodes"))
        words = f"{net}, {long:,} steps over {short} ({long / short:g} times the steps, {nodes:.1f} times the nodes)"
        lines.append(verdict(f"{words}: times the best time", times, MOST_TIMES * nodes, OURS))
    return lines
