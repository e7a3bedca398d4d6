"""Hypothesis profiles, and the same start for every test.

``ci`` (the default) runs the same examples every time; ``HYPOTHESIS_PROFILE=thorough`` draws many new ones.
"""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.primitives import TABLE

try:
    from hypothesis import settings
except ImportError:  # without the extra "testing" the tests without properties still run
    pass
else:
    settings.register_profile("ci", derandomize=True, deadline=None, max_examples=20)
    settings.register_profile("thorough", deadline=None, max_examples=1000, print_blob=True)
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """The generators of NumPy and of tinygrad_rnn start each test alike, and the default dtype is float32."""
    np.random.seed(0)
    tg.manual_seed(0)
    tg.set_default_dtype(np.float32)
    yield
    tg.set_default_dtype(np.float32)


@pytest.fixture
def table() -> Iterator[dict[Any, Any]]:
    """Rules registered for NumPy's own functions inside a test are taken away after it."""
    before = dict(TABLE)
    yield TABLE
    for function in set(TABLE) - set(before):
        del TABLE[function]
