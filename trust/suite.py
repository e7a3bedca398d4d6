"""The property suite: random programs of every function in the table, their derivatives against differences.

``tests/test_every_gradient.py`` runs it on the rules as they are; ``python -m trust mutants`` on wrong ones.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice, product
from typing import Any

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn.nn.fused import kernel, plan
from tinygrad_rnn.nn.fused.sequence import KERNELS
from tinygrad_rnn.primitives import TABLE, Primitive
from tinygrad_rnn.testing.strategies import Program, reached, sample_programs, sample_recurrent_nets
from tinygrad_rnn.testing.strategies.nets import RecurrentNet
from tinygrad_rnn.testing.strategies.operations import OPERATIONS

from .limits import limited

PROGRAMS = 60  # of each function
_EACH_FORM = 8  # but more of a function that is written in many ways
LAYERS = ("RNN", "RNN", "LSTM", "GRU")  # what records fused sequences: an RNN one of two
_NETS = 24  # of each
# Numbers in a chunk and in a block of a fused sequence, so small that small nets, too, go through time in several.
PIECES = ((1, 1 << 22), (4, 20), (1 << 17, 8))
_ORDERS = (1, 2)
_DIRECTIONS = 5  # that nets are checked along: they have hundreds of parameters
KINKED = tg.testing.KinkError


def entries() -> list[Primitive]:
    """Everything in the table that has a rule, once."""
    return [entry for entry in dict.fromkeys(TABLE.values()) if entry.has_rule]


def programs_of(function: Any, count: int, seed: int = 0) -> list[Program]:
    """Random programs of one function, every second one with curved functions beside it, so that second derivatives
    are not all 0; the same ones for the same seed."""
    alone = sample_programs(seed, [function], max_operations=2)
    among = sample_programs(seed, [function, np.sin, np.multiply], min_operations=2, max_operations=4)
    name = next(o.name for o in OPERATIONS if o.function == function)
    curved = (program for program in among if name in program.operations)
    return [program for pair in islice(zip(alone, curved, strict=False), (count + 1) // 2) for program in pair][:count]


def enough(function: Any, count: int) -> int:
    """How many programs a function should have: ``count``, or as many as its ways to be written ask for."""
    forms = sum(len(o.expressions) for o in OPERATIONS if o.function == function)
    return max(count, forms * _EACH_FORM * count // PROGRAMS)


def by_entry(count: int = PROGRAMS) -> dict[Primitive, list[Any]]:
    """For each primitive the programs, or nets, that call it, and some of those whose recorded derivative does."""
    own: dict[Primitive, list[Any]] = defaultdict(list)
    direct: dict[Primitive, list[Program]] = defaultdict(list)
    indirect: dict[Primitive, list[Program]] = defaultdict(list)
    for function in dict.fromkeys(operation.function for operation in OPERATIONS):
        for program in programs_of(function, enough(function, count)):
            called = reached(program, derivatives=False)
            for found in reached(program):
                kind = indirect if found not in called else own if found is function else direct
                kind[TABLE[found]].append(program)
    for net in islice(sample_recurrent_nets(0, LAYERS), min(count, _NETS) * len(LAYERS)):
        for found in reached(net, derivatives=False):
            if found in KERNELS:
                own[TABLE[found]].append(net)
    few = count // 4
    return {
        entry: [
            *own[entry],
            *_evenly(direct[entry], few if own[entry] else count),
            *_evenly(indirect[entry], few if own[entry] or direct[entry] else count),
        ]
        for entry in {**own, **direct, **indirect}
    }


def _evenly(programs: Sequence[Any], count: int) -> list[Any]:
    """So many of them, evenly from all."""
    step = max(1, len(programs) // max(count, 1))
    return list(programs[::step])[:count]


def check(program: Program | RecurrentNet, orders: Sequence[int] = _ORDERS) -> None:
    """Raise GradcheckError if a derivative of one of these orders is wrong; a point on a kink says nothing."""
    with warnings.catch_warnings(), np.errstate(all="ignore"), suppress(KINKED):
        warnings.simplefilter("ignore")
        for order in orders:
            projections = 3 if order == 2 else _DIRECTIONS if isinstance(program, RecurrentNet) else None
            tg.testing.gradcheck(program, program.inputs, order=order, projections=projections, progress=False)


@contextmanager
def in_pieces(sizes: tuple[int, int]) -> Iterator[None]:
    """Inside, fused sequences go through time in chunks and blocks of these sizes."""
    before = kernel._CHUNK, plan._GATES_IN_BLOCK
    kernel._CHUNK, plan._GATES_IN_BLOCK = sizes
    try:
        yield
    finally:
        kernel._CHUNK, plan._GATES_IN_BLOCK = before


def failure(programs: Sequence[Program | RecurrentNet]) -> tuple[int, str] | None:
    """How many programs it took to see that something is wrong, and what was seen; None if nothing was.

    First derivatives of all come first: second ones of nets take three times as long.
    """
    for order, (k, program) in product(_ORDERS, enumerate(programs, start=1)):
        for sizes in PIECES if order == 1 and isinstance(program, RecurrentNet) else PIECES[:1]:
            try:
                with limited(), in_pieces(sizes):
                    check(program, [order])
            except tg.testing.GradcheckError:
                return k, "derivative"
            except Exception as error:  # a wrong rule may fail in any way
                return k, type(error).__name__
    return None
