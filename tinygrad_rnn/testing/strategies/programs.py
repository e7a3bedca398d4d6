"""Strategies of random programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from random import Random
from typing import Any

from hypothesis import reject
from hypothesis import strategies as st

from .operation import Operation
from .operations import chosen
from .program import Builder, Program

Functions = Iterable[Callable[..., Any] | str] | None
Extra = Iterable[Operation | Callable[..., Any]]


def programs(
    functions: Functions = None, *, extra: Extra = (), min_operations: int = 1, max_operations: int = 8
) -> st.SearchStrategy[Program]:
    """A Hypothesis strategy of random differentiable programs over all functions that have a derivative rule.

    A program shares subexpressions, uses inputs several times, broadcasts, slices, reduces, joins, splits, multiplies
    matrices and runs ``tg.scan``. Every operation stays where its function is defined and smooth, and results stay
    finite and below 1000. Programs shrink towards one operation on a few simple numbers, and print as scripts.

    Args:
        functions: Only these, by NumPy's or ``tg``'s function or by name ("np.tanh", "tanh"; "getitem", "astype");
            None: all.
        extra: Functions of your own: an ``Operation``, which says where its operands may lie, or a function whose
            arguments without a default may be any float64 arrays that broadcast together.
        min_operations, max_operations: How many.

    Raises:
        ValueError: a function that there is no operation for; numbers that contradict each other.

    >>> import tinygrad_rnn as tg
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=5, deadline=None)
    ... @given(tg.testing.strategies.programs())
    ... def test_rules(program):
    ...     tg.testing.gradcheck(program, program.inputs)
    >>> test_rules()
    """
    table = _checked(functions, extra, min_operations, max_operations)

    @st.composite
    def drawn(draw: Any) -> Program:
        # One object for all decisions: draws of their own would be spans of one kind, which Hypothesis, once it has a
        # few examples, mostly copies onto one another instead of drawing new ones.
        rnd = draw(st.randoms(use_true_random=False))
        return Builder(table, rnd).build(min_operations, max_operations) or reject()

    return drawn()


def sample_programs(
    seed: int,
    functions: Functions = None,
    *,
    extra: Extra = (),
    min_operations: int = 1,
    max_operations: int = 8,
) -> Iterator[Program]:
    """Endlessly many programs as ``programs`` draws them, from a seed and without Hypothesis: five times as fast.

    >>> import numpy as np
    >>> from tinygrad_rnn.testing.strategies import sample_programs
    >>> program = next(sample_programs(0, ["tanh"], max_operations=1))
    >>> program.operations, bool((program(*program.inputs) == np.tanh(*program.inputs)).all())
    (('np.tanh',), True)
    """
    table = _checked(functions, extra, min_operations, max_operations)
    rnd = Random(seed)
    while True:
        program = Builder(table, rnd).build(min_operations, max_operations)
        if program is not None:
            yield program


def _checked(functions: Functions, extra: Extra, smallest: int, largest: int) -> Sequence[Sequence[Operation]]:
    if not 1 <= smallest <= largest:
        raise ValueError(f"programs: expected 1 <= min_operations <= max_operations, got {smallest} and {largest}")
    return chosen(functions, extra)
