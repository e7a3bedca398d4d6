"""A chain of additions, y = y + x: built, walked and freed with the collector off and recursion forbidden."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from functools import partial
from typing import Any

from .progress import Progress
from .quiet import Meter, least_disturbed
from .report import disturbance, table, verdict
from .workers import Effort, Worker

LENGTH, QUICK_LENGTH = 1_000_000, 20_000
WIDTHS = (1, 32)  # of y, a vector
SECONDS = ("build", "walk", "free", "total")
COUNTS = ("peak_bytes", "left_bytes", "left_objects")


def run(longest: Mapping[str, float], threads: int, length: int, effort: Effort) -> dict[str, Any]:
    """Each repeat in a process of its own, so that its peak of memory is its own; the libraries alternate.

    Args:
        longest: The libraries, and how many additions each is given at most; 0: none.
    """
    lengths = {library: int(min(length, most)) for library, most in longest.items() if most}
    meter = Meter()
    with Progress("chain", effort.chains * len(WIDTHS)) as progress:

        def all_of(width: int) -> dict[str, Any]:
            progress.at(f"width {width}")
            answers = {}
            for library, additions in lengths.items():
                with meter, Worker(library, threads) as worker:
                    answers[library] = worker.ask("chain", additions, width)
                if not answers[library]["right"]:
                    raise RuntimeError(f"{library}: the gradient of a chain of {additions} additions is wrong")
            progress.tick()
            return answers

        found = {
            width: least_disturbed(partial(all_of, width), meter, effort.chains, effort.patience) for width in WIDTHS
        }
    rows = []
    for width, (rounds, others) in found.items():
        for library, additions in lengths.items():
            answers = [answer[library] for answer in rounds]
            row: dict[str, Any] = {"width": width, "library": library, "length": additions, "others": others}
            row |= {key: statistics.median(answer[key] for answer in answers) for key in SECONDS}
            rows.append(row | {key: max(answer[key] for answer in answers) for key in COUNTS})
    left_out = [library for library, most in longest.items() if not most]
    return {"rows": rows, "length": length, "repeats": effort.chains, "left_out": left_out}


def report(result: dict[str, Any]) -> str:
    header = [
        "y = y + x", "width", "additions", *(f"{part} s" for part in SECONDS),
        "peak MB", "left MB", "Python objects left",
    ]  # fmt: skip
    rows = []
    for row in result["rows"]:
        times = [f"{row[part]:.3f}" for part in SECONDS]
        megabytes = [f"{row[part] / 2**20:.0f}" for part in ("peak_bytes", "left_bytes")]
        rows.append([row["library"], row["width"], f"{row['length']:,}", *times, *megabytes, row["left_objects"]])
    lines = [table(header, rows), ""]
    ours = result["rows"][0]["library"]
    an_addition = {(row["width"], row["library"]): row["total"] / row["length"] for row in result["rows"]}
    for (width, library), seconds in an_addition.items():
        if library != ours:
            what = f"time of {ours} over {library}'s, an addition, at width {width}"
            lines.append(verdict(what, an_addition[width, ours] / seconds, 1.0, ours, library))
    for library in result["left_out"]:
        lines.append(f"{library} has no such chain: it compiles functions, and records nothing while they run")
    return "\n".join(lines).rstrip() + disturbance(max(row["others"] for row in result["rows"]))
