"""A wrong rule may run for ever: it is stopped."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

PATIENCE = 5.0  # seconds for one program, or one point: hundreds of times what they take


@contextmanager
def limited(seconds: float = PATIENCE) -> Iterator[None]:
    """Inside, what takes too long gets a TimeoutError wherever it is, like any other failure (Unix, main thread)."""

    def stop(*_: Any) -> None:
        raise TimeoutError(f"not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
