"""``import tinygrad_rnn`` beside ``import numpy``, each in fresh interpreters, alternated, bytecode cached.

Of the other libraries a few imports only, for context: they take a second or two each.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
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


def run(libraries: Sequence[str], effort: Effort) -> dict[str, Any]:
    repeats, few = effort.imports, max(1, effort.imports // 10)
    peers = [library for library in libraries if library not in MODULES]
    meter = Meter()
    # A cache of our own: the usual one may be switched off, and then every import would compile tinygrad_rnn again.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    with TemporaryDirectory() as cache, Progress("import", repeats) as progress:
        plain = dict(environment)
        environment["PYTHONPYCACHEPREFIX"] = cache

        def both() -> dict[str, float]:
            progress.tick()
            with meter:
                return {module: seconds(module, environment) for module in MODULES}

        both()  # unmeasured: writes the bytecode, and fills the file cache
        rounds, others = least_disturbed(both, meter, repeats, effort.patience)
        times = {module: [answer[module] for answer in rounds] for module in MODULES}
        for library in peers:  # in the usual cache, which their installation filled
            progress.at(library)
            times[library] = [seconds(library, plain) for _ in range(few + 1)][1:]
    medians = {module: statistics.median(values) for module, values in times.items()}
    least = {module: min(values) for module, values in times.items()}
    numpy, ours = (medians[module] for module in MODULES)
    ratio = ours / numpy
    return {"median": medians, "least": least, "ratio": ratio, "repeats": repeats, "few": few, "others": others}


def report(result: dict[str, Any]) -> str:
    rows = [
        [f"import {name}", ms(median), ms(result["least"][name]), result["repeats" if name in MODULES else "few"]]
        for name, median in result["median"].items()
    ]
    words = verdict("ratio of the medians of tinygrad_rnn and numpy", result["ratio"], 1.3, MODULES[1])
    return f"{table(['', 'median ms', 'least ms', 'repeats'], rows)}\n\n{words}{disturbance(result['others'])}"
