"""When was an array last written into? The clock that also numbers the nodes, and one stamp for each storage.

A graph saves arrays; if one of them is written into before the walk, the derivative would be silently wrong. So every
write through the library stamps the storage (the array at the bottom of a chain of views), and the walk compares stamps
with the number of the node that saved it. Nothing is paid in the forward pass, and nothing in the walk either as long
as no write came after the graph was made.
"""

from __future__ import annotations

import itertools
import weakref
from typing import Any

import numpy as np

_clock = itertools.count(1)
tick = _clock.__next__
last_write = 0
_writes: dict[int, tuple[weakref.ref[Any], int]] = {}


def _storage(array: Any) -> Any:
    while isinstance(base := getattr(array, "base", None), np.ndarray):
        array = base
    return array


def stamp(array: Any) -> None:
    """Note that ``array``, and so everything that shares its storage, was just written into.

    >>> import numpy as np
    >>> x = np.zeros(3)
    >>> before = tick()
    >>> stamp(x[1:])
    >>> written_after(x, before), written_after(np.zeros(3), before)
    (True, False)
    """
    global last_write
    storage = _storage(array)
    key = id(storage)

    def forget(dead: weakref.ref[Any]) -> None:
        if key in _writes and _writes[key][0] is dead:
            del _writes[key]

    last_write = tick()
    _writes[key] = (weakref.ref(storage, forget), last_write)


def written_after(array: Any, order: int) -> bool:
    """Was the storage of ``array`` stamped after the clock showed ``order``?

    >>> import numpy as np
    >>> written_after(np.zeros(3), tick())
    False
    """
    storage = _storage(array)
    entry = _writes.get(id(storage))
    return entry is not None and entry[0]() is storage and entry[1] > order
