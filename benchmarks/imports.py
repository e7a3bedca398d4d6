"""``import tinygrad_rnn`` beside ``import numpy``, each in fresh interpreters, alternated, bytecode cached."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from tempfile import TemporaryDirectory
from typing import Any

from .progress import Progress
from .quiet import Meter, least_disturbed
from .report import disturbance, ms, table, verdict
from .workers import ROOT, Effort

MODULES = ("numpy", "tinygrad_rnn")


def seconds(module: str, environment: dict[str, str]) -> float:
    """How long the import takes by itself: the interpreter's start is the same for both, and would hide the ratio."""
    code = f"import time; start = time.perf_counter(); import {module}; print(time.perf_counter() - start)"
    command = [sys.executable, "-c", code]
    answer = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    return float(answer.stdout)


def run(effort: Effort) -> dict[str, Any]:
    repeats = effort.imports
    meter = Meter()
    # A cache of our own: the usual one may be switched off, and then every import would compile tinygrad_rnn again.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    with TemporaryDirectory() as cache, Progress("import", repeats) as progress:
        environment["PYTHONPYCACHEPREFIX"] = cache

        def both() -> dict[str, float]:
            progress.tick()
            with meter:
                return {module: seconds(module, environment) for module in MODULES}

        both()  # unmeasured: writes the bytecode, and fills the file cache
        rounds, others = least_disturbed(both, meter, repeats, effort.patience)
    times = {module: [answer[module] for answer in rounds] for module in MODULES}
    medians = {module: statistics.median(values) for module, values in times.items()}
    least = {module: min(values) for module, values in times.items()}
    numpy, ours = (medians[module] for module in MODULES)
    return {"median": medians, "least": least, "ratio": ours / numpy, "repeats": repeats, "others": others}


def report(result: dict[str, Any]) -> str:
    rows = [[f"import {name}", ms(result["median"][name]), ms(result["least"][name])] for name in MODULES]
    words = verdict(f"ratio of the medians of {result['repeats']}", result["ratio"], 1.3, MODULES[1])
    return f"{table(['', 'median ms', 'least ms'], rows)}\n\n{words}{disturbance(result['others'])}"
