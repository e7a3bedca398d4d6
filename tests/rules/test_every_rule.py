"""Each rule in the table, by property: values, first and second derivatives, dtypes.

A rule that has no case here fails ``test_every_rule_has_a_case``.
"""

import subprocess
import sys

import pytest
from hypothesis import given, settings

pytest.importorskip("torch", reason="the rules are compared with PyTorch's")

from . import elementwise, linalg, reduction, shape
from .case import calls, check_differences, check_float32, check_torch, check_value

CASES = [*elementwise.CASES, *reduction.CASES, *shape.CASES, *linalg.CASES]


def run(case, check, share=1.0):
    """Run ``check`` on as many examples as the profile says, times the case's weight."""

    @settings(max_examples=max(1, int(settings().max_examples * case.weight * share)))
    @given(calls(case))
    def property_of_rule(call):
        check(call)

    property_of_rule()


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
def test_float32_stays_float32(case):
    run(case, check_float32, share=0.5)
