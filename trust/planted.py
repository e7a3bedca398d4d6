"""Are wrong rules found, and shrunk to something a reader sees at once? One planted in each function of the table."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import NamedTuple

import hypothesis
from tqdm import tqdm

import tinygrad_rnn as tg
from tinygrad_rnn.nn.fused.sequence import KERNELS
from tinygrad_rnn.primitives import Primitive
from tinygrad_rnn.testing.strategies import Program, programs

from .equivalence import differs_at
from .mutation import Mutant, mutants
from .points import Point, independent_points
from .suite import check, entries

EXAMPLES = 200
_FEW_POINTS = 50


class Hunt(NamedTuple):
    """What became of one wrong rule: the examples until it was first seen (None: it was not), and the program that
    was left of it in the end."""

    mutant: str
    examples: int | None
    operations: int
    program: str


def wrong(program: Program) -> bool:
    """Does the property suite's check say so?"""
    try:
        check(program)
    except tg.testing.GradcheckError:
        return True
    return False


_POINTS: dict[Primitive, list[Point]] = {}


def _start() -> None:
    _POINTS.update(independent_points())


def functions() -> list[Primitive]:
    """All entries of the table but those that no program calls: the walk's own (``_item``, ``_alias``), and the fused
    sequences of layers, which stand in random nets (tests/test_strategies_nets.py plants mistakes there)."""
    return [entry for entry in entries() if not entry.name.startswith("_") and entry.function not in KERNELS]


def hunt(number: int) -> Hunt:
    """Plant a wrong rule of a function, and let Hypothesis look for it among all programs.

    The first that changes a derivative: most often its sign is flipped, but some derivatives are 0.
    """
    entry = functions()[number]
    mutant: Mutant = next(m for m in mutants(entry) if differs_at(m, _POINTS[entry], _FEW_POINTS) is not None)
    seen: list[int] = []
    tried = 0

    def found(program: Program) -> bool:
        nonlocal tried
        tried += 1
        is_wrong = wrong(program)
        if is_wrong and not seen:
            seen.append(tried)
        return is_wrong

    settings = hypothesis.settings(
        max_examples=EXAMPLES, database=None, deadline=None, derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip
    with mutant.planted():
        try:
            least = hypothesis.find(programs(), found, settings=settings)
        except hypothesis.errors.NoSuchExample:
            return Hunt(str(mutant), None, 0, "")
    return Hunt(str(mutant), seen[0], len(least.operations), least.source)


def run(every: int, processes: int | None) -> str:
    """Hunt for a wrong rule in every ``every``-th entry of the table."""
    started = time.perf_counter()
    numbers = range(0, len(functions()), every)
    with ProcessPoolExecutor(processes, initializer=_start) as pool:
        jobs = [pool.submit(hunt, number) for number in numbers]
        hunts = []
        with tqdm(total=len(jobs), desc="planted", unit="rule") as bar:
            for job in as_completed(jobs):
                hunts.append(job.result())
                bar.write(f"{hunts[-1].mutant}: found after {hunts[-1].examples}", file=sys.stderr)
                bar.update()
    lines = [f"{'planted':<48}{'found after':>12}{'shrunk to':>12}", ""]
    for h in sorted(hunts):
        after = "NOT FOUND" if h.examples is None else f"{h.examples} examples"
        lines.append(f"{h.mutant:<48}{after:>12}{f'{h.operations} operations':>15}")
    caught = [h for h in hunts if h.examples is not None]
    small = sum(h.operations <= 3 for h in caught)
    lines += [
        "",
        f"{len(caught)} of {len(hunts)} found within {EXAMPLES} examples, {small} of them shrunk to <= 3 operations",
        f"time: {time.perf_counter() - started:.0f} s",
    ]
    return "\n".join(lines)
