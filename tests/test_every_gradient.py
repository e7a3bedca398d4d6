"""The property suite on the rules as they are: random programs of every function, first and second derivatives."""

import pytest
from hypothesis import settings

from tinygrad_rnn.testing.strategies.operations import OPERATIONS
from trust.suite import check, programs_of

FUNCTIONS = list(dict.fromkeys(operation.function for operation in OPERATIONS))


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: next(o.name for o in OPERATIONS if o.function == f))
def test_first_and_second_derivatives_are_the_differences(function):
    for program in programs_of(function, settings().max_examples // 2):
        check(program)
