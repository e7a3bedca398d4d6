"""The parent's side: starts a worker process for each library, and gives them turns so that one runs at a time."""

from __future__ import annotations

import math
import os
import pickle
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .quiet import Meter, least_disturbed

ROOT = Path(__file__).resolve().parent.parent
# An idle thread of OpenBLAS or OpenMP spins on its core for some 30 ms before it sleeps: wait until it does.
SETTLE = 0.05
# Variables that say how many threads to use; the last one is XLA's, and so JAX's.
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NPROC")


class Worker:
    """A process that runs one library; blocks on its pipe, using no processor, until asked."""

    def __init__(self, library: str, threads: int) -> None:
        self.library = library
        limits = {name: str(threads) for name in THREADS}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", library, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=os.environ | limits,
            process_group=0,  # so that what it started can be ended with it
        )

    @property
    def process(self) -> int:
        return self._process.pid

    def ask(self, method: str, *arguments: Any, limit: float | None = None) -> Any:
        """The answer of ``worker.Bench.method(*arguments)``.

        Raises:
            RuntimeError: it failed; with the worker's words.
            TimeoutError: no answer came within ``limit`` seconds; the worker is then no more.
        """
        requests, answers = self._process.stdin, self._process.stdout
        assert requests is not None
        assert answers is not None
        try:
            pickle.dump((method, arguments), requests, protocol=5)
            requests.flush()
            if limit is not None and not select.select([answers], [], [], limit)[0]:
                self.kill()
                raise TimeoutError(f"the worker of {self.library} took more than {limit:g} s for {method!r}")
            done, answer = pickle.load(answers)
        except (EOFError, BrokenPipeError):
            code = self._process.wait()
            raise RuntimeError(f"the worker of {self.library} ended with code {code} during {method!r}") from None
        if not done:
            raise RuntimeError(f"the worker of {self.library} failed in {method!r}:\n{answer}")
        return answer

    def close(self) -> None:
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):  # a request that it did not live to read
                self._process.stdin.close()
        self._process.wait()

    def kill(self) -> None:
        """End it, whatever it is doing, with the programs that it has started."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, kind: object, *exc: object) -> None:
        if kind is None:
            self.close()
        else:  # also an interrupt from the keyboard, which does not reach its process group
            self.kill()


class Turn(NamedTuple):
    """One of the things that are timed beside each other.

    Attributes:
        brief: Its blocks are short: one repeat will do where that takes long, and there is no other to warm up.
    """

    worker: Worker
    key: str
    brief: bool


class Effort(NamedTuple):
    """How long to measure.

    Attributes:
        blocks: Of each thing, alternating with the others'.
        seconds, repeats: Each block takes at least so long, and holds at least so many (less where a turn is brief).
        chains, imports, pictures: How many of these; each takes a process of its own.
        patience: Run at most so many times as much, where other programs disturb.
    """

    blocks: int
    seconds: float
    repeats: int
    chains: int
    imports: int
    pictures: int
    patience: int


FULL = Effort(blocks=10, seconds=0.25, repeats=3, chains=3, imports=30, pictures=5, patience=3)
QUICK = Effort(blocks=2, seconds=0.02, repeats=2, chains=1, imports=2, pictures=1, patience=1)


Repeat = tuple[float, float | None]  # seconds of the whole, and of its forward part


class Times(NamedTuple):
    """Seconds: medians, and the quartiles of the whole."""

    total: float
    forward: float | None
    backward: float | None
    quartiles: tuple[float, float]
    repeats: int


class Timed(NamedTuple):
    """The times of each turn, and what share of the machine other programs used meanwhile."""

    times: list[Times]
    others: float


def turns_of(workers: Sequence[Worker], keys: Sequence[str]) -> list[Turn]:
    """Each key for each worker; brief for all but the first and the last, which are compared in detail."""
    return [Turn(worker, key, worker not in (workers[0], workers[-1])) for worker in workers for key in keys]


def alternate(turns: Sequence[Turn], effort: Effort, tick: Callable[[], None] = lambda: None) -> Timed:
    """Time prepared steps in alternating blocks (A B, B A, A B, ...), so that the machine's drift hits all alike."""
    repeats: list[int] = []
    for worker, key, brief in turns:
        time.sleep(SETTLE)
        first = min(total for total, _ in worker.ask("measure", key, 2))
        seconds, least = (effort.seconds / 5, 1) if brief else (effort.seconds, effort.repeats)
        repeats.append(max(least, math.ceil(seconds / first)))
    order = list(range(len(turns)))
    meter = Meter({turn.worker.process for turn in turns})

    def blocks() -> dict[int, list[Repeat]]:
        answers = {}
        for i in order:
            time.sleep(SETTLE)
            with meter:
                answers[i] = turns[i].worker.ask("measure", turns[i].key, repeats[i], 0 if turns[i].brief else 1)
        order.reverse()
        tick()
        return answers

    rounds, others = least_disturbed(blocks, meter, effort.blocks, effort.patience)
    times = [_summary([repeat for answers in rounds for repeat in answers[i]]) for i in range(len(turns))]
    return Timed(times, others)


def _summary(times: Sequence[Repeat]) -> Times:
    totals = [total for total, _ in times]
    low, middle, high = (float(q) for q in np.quantile(totals, [0.25, 0.5, 0.75]))
    split = [(forward, total - forward) for total, forward in times if forward is not None]
    forward, backward = (float(m) for m in np.median(split, axis=0)) if split else (None, None)
    return Times(middle, forward, backward, (low, high), len(totals))
