"""Each rule in the table, by property: values, first and second derivatives, dtypes.

A rule that has no case here fails ``test_every_rule_has_a_case``.
"""

import math
import subprocess
import sys

import pytest
import test_functional
from hypothesis import given, seed, settings

from tinygrad_rnn import walk
from tinygrad_rnn.primitives import TABLE

from . import elementwise, linalg, reduction, shape
from .case import calls, check_differences, check_float32, check_torch, check_value, silence

CASES = [*elementwise.CASES, *reduction.CASES, *shape.CASES, *linalg.CASES]

LIST_TABLE = """
import tinygrad_rnn as tg
tg.functional, tg.nn, tg.optim
for entry in tg.primitives.TABLE.values():
    print(entry.function.__module__ if hasattr(entry.function, "__module__") else "numpy", entry.function.__name__)
"""


def run(case, check, share=1.0):
    """Run ``check`` on as many examples as the profile says, times the case's weight.

    In batches, because from the eleventh example on Hypothesis mostly repeats one with small changes.
    """

    @settings(max_examples=10)
    @given(calls(case))
    def property_of_rule(call):
        check(call)

    for batch in range(math.ceil(settings().max_examples * case.weight * share / 10)):
        (seed(batch)(property_of_rule) if settings().derandomize else property_of_rule)()


def recorded(case):
    """The primitives in the graphs that the case's calls record."""
    found = set()

    def note(call):
        nodes = [y.node for y in call.ours()[1] if y.node is not None]
        while nodes:
            node = nodes.pop()
            nodes.extend(parent for parent in node.parents if parent is not None)
            if node.primitive is not None:
                found.add(node.primitive.function)

    with silence():
        run(case, note, share=0.2)
    assert case not in CASES or TABLE[case.primitive].function in found
    return found


def test_every_rule_has_a_case():
    # the table is asked of a fresh process, because other tests register rules of their own
    listed = subprocess.run([sys.executable, "-c", LIST_TABLE], capture_output=True, text=True, check=True)
    functions = set().union(*(recorded(case) for case in [*CASES, *test_functional.CASES]))
    reached = {f"{getattr(f, '__module__', 'numpy')} {f.__name__}" for f in functions}
    untested = set(listed.stdout.splitlines()) - reached
    assert untested == {"tinygrad_rnn.walk _alias"}  # that one is made in the walk; see test_structure.py


@pytest.mark.parametrize("case", CASES, ids=str)
def test_value_is_numpys(case):
    run(case, check_value)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_first_and_second_derivatives_are_torchs(case):
    run(case, check_torch)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_first_derivative_is_the_central_difference(case):
    run(case, check_differences)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_float32_stays_float32(case, monkeypatch):
    # Not only the gradient, which the walk casts: no rule may compute it in float64 on the way.
    fitted = walk._fitted

    def fitted_without_cast(d, parent, node, i):
        assert not hasattr(d, "dtype") or d.dtype == parent.dtype
        return fitted(d, parent, node, i)

    monkeypatch.setattr(walk, "_fitted", fitted_without_cast)
    run(case, check_float32, share=0.5)
