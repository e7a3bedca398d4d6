"""How much memory this process has: now, at most so far, and at most during a call."""

from __future__ import annotations

import ctypes
import gc
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

Result = TypeVar("Result")
RESET = "the system's high-water mark, set back before the step"
EXCEEDED = "the system's high-water mark, which the step raised"
AT_LEAST = "how far the step raised the system's high-water mark: at least"
STATUS = Path("/proc/self/status")
# Linux counts pages for each processor, and adds them up now and then.
RESOLUTION = 500_000  # bytes


class Peak(NamedTuple):
    """The most memory that a process had during a call.

    Attributes:
        bytes: What the call added at most to what was there before; None where something earlier had been larger.
        process: The whole process, with all that was there before.
    """

    bytes: int | None
    method: str
    process: int


def memory() -> tuple[int, int]:
    """Bytes of this process in memory: now, and at most so far (on systems without /proc both are the latter)."""
    if STATUS.exists():
        fields = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
        return int(fields["VmRSS"].split()[0]) * 1024, int(fields["VmHWM"].split()[0]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return peak, peak


def peak_of(call: Callable[[], Result]) -> tuple[Result, Peak]:
    """Call it; return its result, and its peak of memory, of which the result is part.

    What was freed before is first given back to the system, where that is possible, so that it is not used unseen.
    It is right to some RESOLUTION bytes.
    """
    gc.collect()
    _give_back()
    method = RESET if _forget_peak() else EXCEEDED if STATUS.exists() else AT_LEAST
    before, highest_before = memory()
    result = call()
    highest = memory()[1]
    known = method == RESET or highest > highest_before
    return result, Peak(highest - before if known else None, method, highest)


def _give_back() -> None:
    """Have the C library return free memory to the system (the GNU one can be asked to)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _forget_peak() -> bool:
    """Let the high-water mark begin anew; False where the system does not do that."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True
