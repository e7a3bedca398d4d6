"""Keeps freed memory for the next training step, where the C library would hand it back to the system.

A training step frees its whole graph, and the next one wants the same amount again. The GNU C library gives freed
memory back as soon as 128 KB lie at the end of its heap, and maps each block of 128 KB or more anew, so each step would
pay for thousands of page faults: for small ones more than the arithmetic costs, for an LSTM of 100 steps of 64 times
512 numbers 5 to 10 % of its time. Both bounds are raised here (mallopt(3)). Other C libraries are not affected, and
where the user has set these bounds in the environment (MALLOC_TRIM_THRESHOLD_, ...), that holds.
"""

import os

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # <malloc.h>
_KEPT = 256 << 20  # bytes
_MAPPED = 32 << 20  # bytes: DEFAULT_MMAP_THRESHOLD_MAX, the most that is allowed
_USERS_OWN = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


def keep_freed_memory() -> None:
    """Let the C library keep up to 256 MB of freed memory, in blocks of up to 32 MB.

    >>> keep_freed_memory()
    """
    if any(name in os.environ for name in _USERS_OWN):
        return
    try:
        import ctypes  # some Pythons have none

        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, ImportError, OSError, TypeError):  # another C library, or another system
        return
    mallopt(_M_MMAP_THRESHOLD, _MAPPED)
    mallopt(_M_TRIM_THRESHOLD, _KEPT)
