"""False alarms and false passes of the checker, on random programs and recurrent nets."""

from __future__ import annotations

import functools
import random
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import islice
from typing import Any

import numpy as np
from tqdm import tqdm

import tinygrad_rnn as tg
from tinygrad_rnn.primitives import TABLE, Primitive
from tinygrad_rnn.tensor import Tensor
from tinygrad_rnn.testing.strategies import Program, reached, sample_programs, sample_recurrent_nets
from tinygrad_rnn.tree import leaves

from .mutation import Mutant, mutants

BLOCK = 100
DIFFERENT = 1e-5  # relative to the largest: gradients further apart are different ones


def verdict(subject: Any, order: int = 1) -> str:
    """What the checker says of a program or a net."""
    projections = None if order == 1 else 3
    with warnings.catch_warnings(record=True) as caught, np.errstate(all="ignore"):
        warnings.simplefilter("always")
        try:
            tg.testing.gradcheck(subject, subject.inputs, order=order, projections=projections, progress=False)
        except tg.testing.KinkError:
            return "nothing to compare"
        except tg.testing.GradcheckError:
            return "wrong"
    kinked = any(issubclass(w.category, tg.testing.KinkWarning) for w in caught)
    return "right, as far as it goes" if kinked else "right"


def _right_rules(kind: str, seed: int, count: int, order: int) -> Counter[str]:
    sample: Callable[[int], Iterator[Any]] = sample_programs if kind == "programs" else sample_recurrent_nets
    found: Counter[str] = Counter()
    for subject in islice(sample(seed), count):
        said = verdict(subject, order)
        found[said] += 1
        if said == "wrong":
            found[f"FALSE ALARM in {kind} of seed {seed}:\n{subject!r}"] += 1
    return found


def _gradients(program: Program) -> list[Any]:
    """Of the sum of a program's results, each times a fixed random cotangent."""
    rng = np.random.default_rng(0)
    inputs = [Tensor(x, requires_grad=True) for x in program.inputs]
    results = [y for _, y in leaves(program(*inputs)) if isinstance(y, Tensor) and y.requires_grad]
    if not results:
        return []
    starts = [rng.standard_normal(y.shape) for y in results]
    found = tg.grad(results, inputs, starts, allow_unused=True)
    return [np.zeros(x.shape) if g is None else g.numpy() for x, g in zip(inputs, found, strict=True)]


def _differ(right: list[Any], wrong: list[Any]) -> bool:
    size = max((float(np.abs(g).max()) for g in right if g.size), default=0.0)
    return any(bool(np.any(~(np.abs(a - b) <= DIFFERENT * (1 + size)))) for a, b in zip(right, wrong, strict=True))


@functools.cache
def _mutants(entry: Primitive) -> list[Mutant]:
    return list(mutants(entry))


def _wrong_rules(seed: int, count: int) -> Counter[str]:
    """Programs with one random mutant each of a rule they use, whose gradient it really changes."""
    rnd = random.Random(seed)
    found: Counter[str] = Counter()
    for program in sample_programs(seed):
        used = sorted((TABLE[f] for f in reached(program, derivatives=False)), key=lambda entry: entry.name)
        used = [entry for entry in used if _mutants(entry)]
        if not used:
            continue
        mutant = rnd.choice(_mutants(rnd.choice(used)))
        said = _with_mutant(program, mutant)
        if said is None:
            continue
        found[said] += 1
        if said != "wrong":
            found[f"FALSE PASS of {mutant} in programs of seed {seed}:\n{program!r}"] += 1
        if sum(n for words, n in found.items() if "FALSE" not in words) == count:
            return found
    return found


def _with_mutant(program: Program, mutant: Mutant) -> str | None:
    """What the checker says with the mutant in the table; None if it fails otherwise, or changes no gradient here."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        right = _gradients(program)
        with mutant.planted():
            try:
                wrong = _gradients(program)
            except Exception:  # it betrays itself
                return None
            return verdict(program) if _differ(right, wrong) else None


def run(count: int, planted: int, seed: int, processes: int | None, order: int) -> str:
    """Check ``count`` programs and nets with the rules as they are, and ``planted`` programs with a wrong one each."""
    started = time.perf_counter()
    right: dict[str, Counter[str]] = {"programs": Counter(), "recurrent nets": Counter()}
    wrong: Counter[str] = Counter()
    nets = count // 4
    with ProcessPoolExecutor(processes) as pool, tqdm(total=count + planted, unit="check") as bar:
        jobs: dict[Any, tuple[Counter[str], int]] = {}
        for kind, number in (("recurrent nets", nets), ("programs", count - nets)):
            for k in range(0, number, BLOCK):
                size = min(BLOCK, number - k)
                jobs[pool.submit(_right_rules, kind, seed * 10_000_000 + k, size, order)] = (right[kind], size)
        for k in range(0, planted, BLOCK):
            size = min(BLOCK, planted - k)
            jobs[pool.submit(_wrong_rules, seed * 10_000_000 + 5_000_000 + k, size)] = (wrong, size)
        for job in as_completed(jobs):
            tally, size = jobs[job]
            tally.update(job.result())
            bar.update(size)
    lines = [f"derivatives of order {order}, float64, seed {seed}", ""]
    for words, tally in (*right.items(), ("programs with a planted wrong rule", wrong)):
        figures = {said: n for said, n in tally.items() if "FALSE" not in said}
        told = ", ".join(f"{n} {said}" for said, n in sorted(figures.items(), key=lambda pair: -pair[1]))
        lines.append(f"{sum(figures.values())} {words}: {told}")
    alarms = sum(tally["wrong"] for tally in right.values())
    lines += ["", f"false alarms: {alarms} of {count}", f"false passes: {planted - wrong['wrong']} of {planted}"]
    lines += [f"time: {time.perf_counter() - started:.0f} s"]
    details = [said for tally in (*right.values(), wrong) for said in tally if "FALSE" in said]
    return "\n".join([*lines, *(f"\n{said}" for said in details[:20])])
