"""A process that runs one library, and does what the parent asks for over its standard input.

Run as ``python -m benchmarks.worker LIBRARY THREADS``; the parent's side is ``workers.py``.
"""

from __future__ import annotations

import gc
import itertools
import os
import pickle
import platform
import resource
import sys
import time
import traceback
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from . import adapters
from .adapters import Adapter, Arrays, Step
from .cells import Size, layer_data, loss_of
from .resident import memory, peak_of
from .unrolled import NETS, Recorded


class Bench:
    """The requests that a worker answers: each public method is one.

    Attributes:
        lib: The adapter of the library that runs here.
        steps: The training steps prepared so far, by key.
        recorded: The net to draw.
    """

    recorded: Recorded

    def __init__(self, lib: Adapter) -> None:
        self.lib = lib
        self.steps: dict[str, Step] = {}

    def versions(self) -> dict[str, str]:
        return {self.lib.name: self.lib.version, "numpy": np.__version__, "python": platform.python_version()}

    def prepare(self, key: str, cell: str, variables: Arrays, constants: Arrays) -> dict[str, np.ndarray]:
        """Make the training step that is called ``key`` from now on; return its gradients."""
        step = self.steps[key] = self.lib.training_step(loss_of(cell), variables, constants)
        return {name: np.array(self.lib.to_numpy(g)) for name, g in step(lambda: None).items()}

    def has_layers(self) -> bool:
        return self.lib.has_layers

    def prepare_layer(
        self, key: str, cell: str, size: Size, ragged: bool, training: bool, options: dict[str, Any]
    ) -> dict[str, np.ndarray]:
        """Make the step of the library's own layer that is called ``key`` from now on.

        Returns its gradients, or where not ``training`` its output.
        """
        make = self.lib.layer_step if training else self.lib.layer_inference
        step = self.steps[key] = make(cell, *layer_data(cell, size, ragged), **options)
        return {name: np.array(self.lib.to_numpy(a)) for name, a in step(lambda: None).items()}

    def peak(self, what: str, cell: str, size: Size, ragged: bool, options: dict[str, Any]) -> dict[str, Any]:
        """The peak of memory of one training step, the first in this process; its seconds; the weights' gradients.

        Before it, a step of a sequence of two loads what is loaded on first use.

        Args:
            what: Which step: the adapter's method.
        """

        def step_of(steps: int) -> Step:
            variables, constants = layer_data(cell, size._replace(T=steps), ragged)
            step: Step = getattr(self.lib, what)(cell, variables, constants, **options)
            return step

        def timed() -> tuple[dict[str, Any], float]:
            start = time.perf_counter()
            gradients = step(lambda: None)
            return gradients, time.perf_counter() - start

        step_of(2)(lambda: None)
        step = step_of(size.T)
        (gradients, seconds), peak = peak_of(timed)
        weights = {name: np.array(self.lib.to_numpy(g)) for name, g in gradients.items() if name != "x"}
        return {"bytes": peak.bytes, "method": peak.method, "seconds": seconds, "gradients": weights}

    def forget(self) -> None:
        self.steps.clear()

    def measure(self, key: str, repeats: int, warm_up: int = 1) -> list[tuple[float, float | None]]:
        """Seconds of each repeat: the whole step, and of that the forward part (None where it cannot be told)."""
        step = self.steps[key]
        times: list[tuple[float, float | None]] = []
        marks: list[float] = []

        def mark() -> None:
            marks.append(time.perf_counter())

        for _ in range(warm_up + repeats):
            marks.clear()
            start = time.perf_counter()
            step(mark)
            end = time.perf_counter()
            times.append((end - start, marks[0] - start if marks else None))
        return times[warm_up:]

    def page_faults(self, key: str, repeats: int = 3) -> float:
        """Pages a repeat had to get from the system: many mean that memory is given back and asked for again."""
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(repeats):
            self.steps[key](lambda: None)
        return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / repeats

    def compile_seconds(self) -> float | None:
        """How long the step prepared last took to compile, if it was."""
        return self.lib.compile_seconds

    def record(self, net: str, steps: int) -> float:
        """Record the net to draw; before it, load what the first picture loads, and return the seconds of that."""
        with TemporaryDirectory() as folder:
            start = time.perf_counter()
            self.lib.start_pictures(Path(folder) / "tiny.svg")
            seconds = time.perf_counter() - start
        self.recorded = NETS[net](self.lib, steps)
        return seconds

    def picture(self) -> dict[str, Any]:
        """Draw it into an SVG file: its nodes and edges, the seconds, the peaks of memory, the file's size.

        The peaks are what drawing added to what was there, the recorded graph and a Graphviz that was started among
        it, and that of the whole process. A Graphviz that is a program of its own does not count.
        """

        def timed() -> tuple[tuple[int, int], float]:
            start = time.perf_counter()
            counts = self.lib.picture(*self.recorded, path)
            return counts, time.perf_counter() - start

        with TemporaryDirectory() as folder:
            path = Path(folder) / "graph.svg"
            ((nodes, edges), seconds), peak = peak_of(timed)
            size = path.stat().st_size
        found = {"nodes": nodes, "edges": edges, "seconds": seconds}
        return found | {
            "bytes": peak.bytes, "process_bytes": peak.process, "method": peak.method, "svg_bytes": size,
        }  # fmt: skip

    def longest_chain(self) -> float:
        return self.lib.longest_chain

    def chain(self, length: int, width: int) -> dict[str, Any]:
        """y = y + x, ``length`` times: seconds and bytes to build, walk and free it, with the collector off.

        The limit on recursion is set just above where we are, so that a walk that recurses fails.
        """

        def additions(x: Any, count: int) -> Any:
            y = x
            for _ in range(count):
                y = y + x
            return y.sum()

        ones = np.ones(width, np.float32)
        self.lib.record(partial(additions, count=1), ones)()  # what is set up on first use is not the chain's
        gc.collect()
        gc.disable()
        sys.setrecursionlimit(200)
        objects, resident = len(gc.get_objects()), memory()[0]
        clock = [time.perf_counter()]
        walk = self.lib.record(partial(additions, count=length), ones)
        clock.append(time.perf_counter())
        gradient = walk()
        clock.append(time.perf_counter())
        peak = memory()[1]
        del walk
        clock.append(time.perf_counter())
        sys.setrecursionlimit(1000)
        right = bool((self.lib.to_numpy(gradient) == length + 1).all())
        build, back, free = (end - start for start, end in itertools.pairwise(clock))
        return {
            "build": build, "walk": back, "free": free, "total": clock[-1] - clock[0], "right": right,
            "peak_bytes": peak - resident, "left_bytes": memory()[0] - resident,
            "left_objects": len(gc.get_objects()) - objects,
        }  # fmt: skip


def serve(library: str, threads: int) -> None:
    """Answer (method, arguments) with (True, result) or (False, words), until the input ends."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints must not break the answers
    lib = adapters.load(library)
    lib.use_threads(threads)
    bench = Bench(lib)
    while True:
        try:
            method, arguments = pickle.load(requests)
        except EOFError:
            return
        try:
            answer = (True, getattr(bench, method)(*arguments))
        except Exception:
            answer = (False, traceback.format_exc())
        pickle.dump(answer, answers, protocol=5)
        answers.flush()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
