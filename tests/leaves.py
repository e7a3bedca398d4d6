"""What many tests start from: a tensor, and a primitive that notes when it is walked over."""

from typing import Any

import numpy as np

import tinygrad_rnn as tg


def leaf(values: Any, **kwargs: Any) -> tg.Tensor:
    """A float64 tensor that requires a gradient."""
    return tg.Tensor(np.array(values, np.float64), requires_grad=True, **kwargs)


def noting() -> Any:
    """A primitive (identity) that notes each call of its rule, by the name it was given, in its list ``visited``."""
    visited: list[Any] = []

    @tg.primitive
    def seen(x: Any, name: Any) -> Any:
        return x.copy()

    def rule(g: Any, _y: Any, _x: Any, name: Any) -> Any:
        visited.append(name)
        return g

    tg.defvjp(seen, rule, None)
    seen.visited = visited  # type: ignore[attr-defined]
    return seen
