"""Calls of every primitive, to ask a wrong rule at: from the cases of ``tests/rules``, which know nothing of the suite.

The property suite draws programs; the cases draw arguments of their own, for the comparison with PyTorch, and
``tests/rules/forms.py`` lists the ways in which people write a call. What the suite never tries is tried here.
"""

from __future__ import annotations

import random
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import hypothesis
import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn.primitives import Primitive
from tinygrad_rnn.tensor import Tensor

from .suite import entries

_EXAMPLES = 40  # of each case
_MOST = 500  # calls of one primitive


class Point(NamedTuple):
    """A call of a primitive: its arguments."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


@contextmanager
def recording() -> Iterator[dict[Primitive, list[Point]]]:
    """Inside, calls of all primitives leave their arguments."""
    found: dict[Primitive, list[Point]] = defaultdict(list)
    before = {entry: entry.call for entry in entries()}

    def noting(entry: Primitive) -> Any:
        def noted(*args: Any, **kwargs: Any) -> Any:
            found[entry].append(Point(args, kwargs))
            return before[entry](*args, **kwargs)

        return noted

    for entry in before:
        entry.call = noting(entry)
    try:
        yield found
    finally:
        for entry, call in before.items():
            entry.call = call


def differentiated(results: list[Any], inputs: list[Tensor]) -> None:
    """Record the derivative of some results too: rules call primitives in their turn."""
    rng = np.random.default_rng(1)
    live = [y for y in results if isinstance(y, Tensor) and y.requires_grad]
    if live:
        starts = [rng.standard_normal(y.shape) for y in live]
        tg.grad(live, inputs, starts, create_graph=True, allow_unused=True)


def independent_points() -> dict[Primitive, list[Point]]:
    """For each primitive, calls that the cases of the tests make, in random order; sequences from those of layers."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    import layers
    import test_functional
    from rules import elementwise, linalg, reduction, shape
    from rules.case import calls, silence
    from rules.forms import SAME, VALUES

    with recording() as found, silence(), np.errstate(all="ignore"):
        for case in (
            *elementwise.CASES,
            *reduction.CASES,
            *shape.CASES,
            *linalg.CASES,
            *test_functional.CASES,
        ):

            @hypothesis.settings(
                max_examples=_EXAMPLES, derandomize=True, database=None, deadline=None,
                suppress_health_check=list(hypothesis.HealthCheck),
            )  # fmt: skip
            @hypothesis.given(calls(case))
            def ask(call: Any) -> None:
                inputs, results = call.ours()
                differentiated(results, inputs)

            ask()

        @hypothesis.settings(
            max_examples=_EXAMPLES * 3, derandomize=True, database=None, deadline=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )  # fmt: skip
        @hypothesis.given(layers.cases(least=0), *[hypothesis.strategies.sampled_from([None, 1, 2])] * 2)
        def ask_layer(case: Any, checkpoint: int | None, truncate: int | None) -> None:
            layer = layers.here(case, checkpoint=checkpoint, truncate=truncate)
            results, inputs = layers.run(case, lambda x, state: layer(x, state, case.lengths), layers.leaf_here)
            differentiated([*results.values()], [*inputs.values(), *layer.parameters()])

        ask_layer()
        for forms in SAME.values():
            for form in forms:
                x = Tensor(VALUES, requires_grad=True)
                y = form(x)
                differentiated(list(y) if isinstance(y, (list, tuple)) else [y], [x])
    rnd = random.Random(0)
    return {entry: rnd.sample(points, min(len(points), _MOST)) for entry, points in found.items()}
