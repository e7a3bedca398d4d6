"""``import tinygrad_rnn`` beside ``import numpy``, each in fresh interpreters, alternated, bytecode cached."""

from __future__ import annotations

import statistics
import subprocess
import sys
from typing import Any

from .progress import Progress
from .quiet import least_disturbed
from .report import disturbance, ms, table, verdict
from .workers import ROOT, Effort

MODULES = ("numpy", "tinygrad_rnn")


def seconds(module: str) -> float:
    """How long the import takes by itself: the interpreter's start is the same for both, and would hide the ratio."""
    code = f"import time; start = time.perf_counter(); import {module}; print(time.perf_counter() - start)"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    return float(answer.stdout)


def run(effort: Effort) -> dict[str, Any]:
    repeats = 10 * effort.fresh
    for module in MODULES:  # once unmeasured: writes the bytecode, and fills the file cache
        seconds(module)
    with Progress("import", repeats) as progress:

        def both() -> dict[str, float]:
            progress.tick()
            return {module: seconds(module) for module in MODULES}

        rounds, others = least_disturbed(both, repeats, effort.patience)
    times = {module: [answer[module] for answer in rounds] for module in MODULES}
    medians = {module: statistics.median(values) for module, values in times.items()}
    least = {module: min(values) for module, values in times.items()}
    numpy, ours = (medians[module] for module in MODULES)
    return {"median": medians, "least": least, "ratio": ours / numpy, "repeats": repeats, "others": others}


def report(result: dict[str, Any]) -> str:
    rows = [[f"import {name}", ms(result["median"][name]), ms(result["least"][name])] for name in MODULES]
    words = verdict(f"ratio of the medians of {result['repeats']}", result["ratio"], 1.3, MODULES[1])
    return f"{table(['', 'median ms', 'least ms'], rows)}\n\n{words}{disturbance(result['others'])}"
