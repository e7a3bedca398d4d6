"""Which derivative rules random programs reach, and how often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from ...primitives import TABLE
from ...tensor import Tensor
from ...transforms import grad
from ...tree import leaves
from .program import Program


def reached(program: Program, derivatives: bool = True) -> set[Any]:
    """The primitives that a program records, and (``derivatives``) those that its gradient does."""
    inputs = [Tensor(x, requires_grad=True) for x in program.inputs]
    results = [y for _, y in leaves(program(*inputs)) if isinstance(y, Tensor) and y.requires_grad]
    if not results:
        return set()
    found = _recorded(results)
    if not derivatives:
        return found
    slopes = grad(results, inputs, [np.ones(y.shape) for y in results], create_graph=True, allow_unused=True)
    return found | _recorded([slope for slope in slopes if slope is not None])


def _recorded(tensors: Iterable[Tensor]) -> set[Any]:
    found: set[Any] = set()
    nodes: list[Any] = [tensor.node for tensor in tensors]
    seen = set()
    while nodes:
        node = nodes.pop()
        if node is not None and node not in seen:
            seen.add(node)
            nodes += node.parents
            if node.primitive is not None:
                found.add(node.primitive.function)
    return found


def coverage(programs: Iterable[Program]) -> Counter[str]:
    """In how many of the programs each primitive of the table was reached, those in none included.

    >>> from itertools import islice
    >>> from tinygrad_rnn.testing.strategies import coverage, sample_programs
    >>> counts = coverage(islice(sample_programs(0, ["np.tanh", "np.sum"]), 10))
    >>> counts["tanh"] > 0, counts["matmul"]
    (True, 0)
    """
    names = {entry.function: entry.name for entry in TABLE.values()}
    counts = Counter(dict.fromkeys(names.values(), 0))
    for program in programs:
        counts.update(names[function] for function in reached(program))
    return counts
