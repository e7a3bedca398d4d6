"""The mutation score: how many of the wrong rules that a machine can think of does the property suite find?"""

from __future__ import annotations

import json
import resource
import statistics
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from tinygrad_rnn.nn.fused.sequence import KERNELS
from tinygrad_rnn.primitives import Primitive

from .equivalence import POINTS, differs_at, points_of
from .mutation import mutants
from .points import Point, independent_points
from .suite import PIECES, PROGRAMS, by_entry, entries, failure, in_pieces

_FEW = 6
_SHARES_OF_SEQUENCES = 6  # their nets take long: in one piece they would come to an end after all others
_MEMORY = 4 << 30  # bytes
EXPLAINED = Path(__file__).with_name("survivors.json")


class Result(NamedTuple):
    """What became of one mutant.

    Attributes:
        mutant: Words for it.
        kind: Of mistake.
        outcome: "killed", "survived" or "equivalent".
        detail: Killed: by what; survived: at which of the random points it differs.
        programs: How many it took to kill it.
    """

    mutant: str
    kind: str
    outcome: str
    detail: str
    programs: int


_PROGRAMS: dict[Primitive, Any] = {}
_POINTS: dict[Primitive, list[Point]] = {}


def _start(count: int) -> None:
    _PROGRAMS.update(by_entry(count))
    _POINTS.update(independent_points())
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))  # nor may one take all memory


def judge(number: int, share: tuple[int, int] = (0, 1)) -> list[Result]:
    """Plant each mutant of one entry, or of a share of its sites, and see what the suite says."""
    entry = entries()[number]
    few = _FEW if entry.function not in KERNELS else _FEW // 3
    programs = _PROGRAMS.get(entry, [])
    calls = [*_POINTS.get(entry, []), *points_of(entry, programs)]
    found = []
    for mutant in mutants(entry, share):
        difference = None
        for sizes in PIECES if entry.function in KERNELS else PIECES[:1]:
            with in_pieces(sizes):
                difference = difference or differs_at(mutant, calls)
        with mutant.planted():  # what is equal on arrays may still fail on tensors: try a few programs
            seen = failure(programs if difference is not None else programs[:few])
        if seen is not None:
            found.append(Result(str(mutant), mutant.kind, "killed", seen[1], seen[0]))
        else:
            outcome = "equivalent" if difference is None else "survived"
            found.append(Result(str(mutant), mutant.kind, outcome, difference or "", 0))
    return found


def run(only: str | None = None, count: int = PROGRAMS, processes: int | None = None) -> list[Result]:
    """Judge all mutants of the table, or of the entries named ``only``."""
    tasks = []
    for number, entry in enumerate(entries()):
        if only in (None, entry.name):
            shares = _SHARES_OF_SEQUENCES if entry.function in KERNELS else 1
            tasks += [(number, (k, shares)) for k in range(shares)]
    if not tasks:
        raise ValueError(f"mutants: no entry of the table is called {only!r}")
    tasks.sort(key=lambda task: -task[1][1])  # what takes long first
    found = []
    with (
        ProcessPoolExecutor(processes, initializer=_start, initargs=(count,)) as pool,
        tqdm(total=len(tasks), desc="mutants", unit="task") as bar,
    ):
        for done in as_completed([pool.submit(judge, *task) for task in tasks]):
            found += done.result()
            bar.update()
    return sorted(found)


def report(found: list[Result], seconds: float) -> str:
    """The table, and the lists of those that live."""
    explained: dict[str, str] = json.loads(EXPLAINED.read_text()) if EXPLAINED.exists() else {}
    kinds = sorted({r.kind for r in found}, key=lambda kind: -sum(r.kind == kind for r in found))
    lines = [f"{'kind of mistake':<36}{'killed':>8}{'survived':>10}{'equivalent':>12}"]
    for kind in [*kinds, None]:
        counts = Counter(r.outcome for r in found if kind in (r.kind, None))
        numbers = f"{counts['killed']:>8}{counts['survived']:>10}{counts['equivalent']:>12}"
        lines.append(f"{kind or 'all':<36}{numbers}")
    killed, survived = (sum(r.outcome == outcome for r in found) for outcome in ("killed", "survived"))
    by_value = sum(r.detail == "derivative" for r in found)
    lines += [
        "",
        f"{killed} of {killed + survived} mutants that change a derivative were killed: "
        f"{100 * killed / max(killed + survived, 1):.2f} %; {by_value} by a wrong derivative, {killed - by_value} by "
        f"an error, half of them by at most {statistics.median([r.programs for r in found if r.programs] or [0]):g} "
        f"programs; {len(found) - killed - survived} equivalent at {POINTS} random points",
        f"run time: {seconds:.0f} s",
    ]
    for outcome in ("survived", "equivalent"):
        chosen = [r for r in found if r.outcome == outcome]
        if chosen:
            lines += ["", f"{outcome}:"]
            lines += [
                f"  {r.mutant}{f': {r.detail}' if r.detail else ''}"
                + (f"\n    {explained.get(r.mutant, 'NOT EXPLAINED')}" if outcome == "survived" else "")
                for r in chosen
            ]
    return "\n".join(lines)


def main(only: str | None, count: int, processes: int | None) -> str:
    started = time.perf_counter()
    found = run(only, count, processes)
    return report(found, time.perf_counter() - started)
