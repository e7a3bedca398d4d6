"""Each rule in the table, by property: values, first and second derivatives, dtypes.

A rule that has no case here fails ``test_every_rule_has_a_case``.
"""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings

from tinygrad_rnn import walk

from . import elementwise, linalg, reduction, shape
from .case import calls, check_differences, check_float32, check_torch, check_value

CASES = [*elementwise.CASES, *reduction.CASES, *shape.CASES, *linalg.CASES]

# What is no function of numbers: test_structure.py tests these two by name.
OF_THE_WALK = {"tinygrad_rnn.walk._item", "tinygrad_rnn.walk._alias"}

LIST_TABLE = """
import tinygrad_rnn as tg
for function in tg.primitives.TABLE:
    print(f"{function.__module__}.{function.__qualname__}" if hasattr(function, "__module__") else function.__name__)
"""


def full_name(function):
    return f"{function.__module__}.{function.__qualname__}" if hasattr(function, "__module__") else function.__name__


def run(case, check, share=1.0):
    """Run ``check`` on as many examples as the profile says, times the case's weight."""

    @settings(max_examples=max(1, int(settings().max_examples * case.weight * share)))
    @given(calls(case))
    def property_of_rule(call):
        check(call)

    property_of_rule()


def test_every_rule_has_a_case():
    # asked of a fresh process, because other tests register rules of their own
    listed = subprocess.run([sys.executable, "-c", LIST_TABLE], capture_output=True, text=True, check=True)
    assert set(listed.stdout.split()) == {full_name(case.primitive) for case in CASES} | OF_THE_WALK


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
        assert not isinstance(d, (np.ndarray, np.generic)) or d.dtype == parent.dtype
        return fitted(d, parent, node, i)

    monkeypatch.setattr(walk, "_fitted", fitted_without_cast)
    run(case, check_float32, share=0.5)
