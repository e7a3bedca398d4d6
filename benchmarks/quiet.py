"""Measure while nobody else computes: rounds that other programs disturbed are repeated, and left out.

What others use is all the processor time of the machine less our own (Linux only; elsewhere every round counts).
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TypeVar

Round = TypeVar("Round")
QUIET = 0.05  # of the time of all cores
TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


class Meter:
    """``with meter:`` around what is timed: adds up how long it took, and how much others used meanwhile.

    Args:
        processes: Ids of processes that run for us and live on.
    """

    def __init__(self, processes: Collection[int] = ()) -> None:
        self._processes = processes
        self.reset()

    def reset(self) -> None:
        self._seconds = self._used = 0.0

    def __enter__(self) -> None:
        self._seconds -= time.perf_counter()
        self._used -= _others(self._processes)

    def __exit__(self, *exc: object) -> None:
        self._seconds += time.perf_counter()
        self._used += _others(self._processes)

    def share(self) -> float:
        """What part of the cores' time others used."""
        return max(0.0, self._used / (self._seconds * len(_cores()))) if self._seconds else 0.0


def least_disturbed(measure: Callable[[], Round], meter: Meter, count: int, patience: int) -> tuple[list[Round], float]:
    """The ``count`` rounds during which others used the machine least, in order, and their mean share of it meanwhile.

    Args:
        measure: One round; uses ``meter``.
        count: How many rounds to return; more are run if some are not quiet.
        patience: At most so many times ``count``.
    """
    rounds: list[tuple[float, Round]] = []
    quiet = 0
    while quiet < count and len(rounds) < patience * count:
        meter.reset()
        result = measure()
        rounds.append((meter.share(), result))
        quiet += meter.share() <= QUIET
    chosen = sorted(sorted(range(len(rounds)), key=lambda i: rounds[i][0])[:count])
    return [rounds[i][1] for i in chosen], sum(rounds[i][0] for i in chosen) / count


def _others(processes: Collection[int]) -> float:
    """Processor seconds that programs other than ours have used so far on our cores."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return 0.0
    cores = {f"cpu{k}" for k in _cores()}
    lines = (line.split() for line in stat.read_text().splitlines())
    # user nice system idle iowait irq softirq steal
    busy = sum(sum(map(int, line[1:4])) + sum(map(int, line[6:9])) for line in lines if line[0] in cores) / TICKS
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return busy - time.process_time() - ended.ru_utime - ended.ru_stime - sum(map(_used_by, processes))


def _used_by(process: int) -> float:
    """Processor seconds that a living process has used so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _cores() -> set[int]:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
