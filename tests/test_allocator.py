"""Memory that a step frees is there for the next one, without page faults (the GNU C library)."""

import os
import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource
import numpy as np
{imports}
def step():
    arrays = [np.ones(5 << 20, np.float32) for _ in range(6)]  # 120 MB
for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 5)
"""

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library than GNU's")


def faults(imports, **environment):
    """The page faults of one step, in a fresh interpreter: 30,000 for 120 MB, or 60 where pages are huge."""
    known = {name: value for name, value in os.environ.items() if "MALLOC" not in name and name != "GLIBC_TUNABLES"}
    answer = subprocess.run(
        [sys.executable, "-c", FAULTS.format(imports=imports)],
        env=known | environment, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    return float(answer.stdout)


def test_a_step_finds_the_memory_that_the_one_before_has_freed():
    kept, handed_back = faults("import tinygrad_rnn"), faults("")
    assert kept < 20
    assert handed_back > 40, "NumPy alone no longer hands memory back: the module is not needed any more"


def test_bounds_in_the_environment_hold():
    assert faults("import tinygrad_rnn", MALLOC_TRIM_THRESHOLD_=str(1 << 20)) > 40
