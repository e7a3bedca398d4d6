"""Which derivative rules random programs reach, and how often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from ...primitives import TABLE
from ...tensor import Tensor
from ...transforms import grad
from ...tree import leaves, map_leaves
from .nets import RecurrentNet
from .program import Program


def recorded(subject: Program | RecurrentNet) -> tuple[list[Tensor], list[Tensor]]:
    """The tensors that a program, or a net, may be differentiated by, and the results that depend on them."""
    inputs = map_leaves(_leaf, subject.inputs)
    variables = [x for _, x in leaves(inputs) if isinstance(x, Tensor)]
    variables += subject.parameters() if isinstance(subject, RecurrentNet) else []
    results = [y for _, y in leaves(subject(*inputs)) if isinstance(y, Tensor) and y.requires_grad]
    return variables, results


def _leaf(x: Any) -> Any:
    return Tensor(x, requires_grad=True) if x.dtype.kind == "f" else x


def reached(subject: Program | RecurrentNet, derivatives: bool = True) -> set[Any]:
    """The primitives that a program or a net records, and (``derivatives``) those that its gradient does."""
    variables, results = recorded(subject)
    if not results:
        return set()
    found = _functions_in(results)
    if not derivatives:
        return found
    slopes = grad(results, variables, [np.ones(y.shape) for y in results], create_graph=True, allow_unused=True)
    return found | _functions_in([slope for slope in slopes if slope is not None])


def _functions_in(tensors: Iterable[Tensor]) -> set[Any]:
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


def coverage(subjects: Iterable[Program | RecurrentNet]) -> Counter[str]:
    """In how many of the programs and nets each primitive of the table was reached, those in none included.

    >>> from itertools import islice
    >>> from tinygrad_rnn.testing.strategies import coverage, sample_programs
    >>> counts = coverage(islice(sample_programs(0, ["np.tanh", "np.sum"]), 10))
    >>> counts["tanh"] > 0, counts["matmul"]
    (True, 0)
    """
    names = {entry.function: entry.name for entry in TABLE.values()}
    counts = Counter(dict.fromkeys(names.values(), 0))
    for subject in subjects:
        counts.update(names[function] for function in reached(subject))
    return counts
