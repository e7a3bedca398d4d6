"""Keeps freed memory for the next training step, where the C library would hand it back to the system.

A training step frees its whole graph, and the next one wants the same amount again. The GNU C library gives freed
memory back as soon as 128 KB lie at the end of its heap, so each step would pay for thousands of page faults, more than
the arithmetic costs. But it learns: once a larger block of its own mapping has been freed, it raises that bound to
twice the block's size (mallopt(3), M_MMAP_THRESHOLD, "dynamic"; at most 64 MB). So one such block is asked for, and
freed untouched, which takes some microseconds and no memory. Other C libraries are not affected.
"""

import numpy as np

_LARGEST_THAT_COUNTS = 32 * 1024 * 1024 - 64 * 1024  # bytes: DEFAULT_MMAP_THRESHOLD_MAX, less the block's own header


def keep_freed_memory() -> None:
    """Let the C library keep up to 64 MB of freed memory.

    >>> keep_freed_memory()
    """
    np.empty(_LARGEST_THAT_COUNTS, np.uint8)
