"""The numeric side: inputs moved along lines, and the derivatives of the results along them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from ..tensor import Tensor
from .differences import Derivative, differentiate, noise_of
from .subject import Options, Subject


def directions_of(variable: Tensor, projections: int | None) -> Any:
    """Random directions of length 1 in the variable's space, (K, *shape); None: its elements one by one."""
    if projections is None or variable.size <= projections:
        return None
    directions = np.random.default_rng(1).standard_normal((projections, *variable.shape))
    return directions / np.sqrt(np.sum(directions * directions, axis=tuple(range(1, directions.ndim)), keepdims=True))


def _scale(x: Any) -> Any:
    """Powers of two: 1 up to |x| = 65536, then in proportion, so that a step is never lost in rounding."""
    return 2.0 ** np.maximum(0, np.ceil(np.log2(np.clip(np.abs(x), 1.0, 1e300) * 2.0**-16)))


@contextmanager
def moving(array: Any, move: Any) -> Iterator[Callable[[float], None]]:
    """Inside, ``at(h)`` moves the array by h: one element of it, or along a direction. A raw write: the graphs of
    others see the old values again, unstamped."""
    place = move if isinstance(move, tuple) else ...
    old = np.array(array[place])

    def at(h: float) -> None:
        array[place] = old + h if isinstance(move, tuple) else old + h * move

    try:
        yield at
    finally:
        array[place] = old


def along(at: Callable[[float], None], values: Callable[[], Any]) -> Callable[[float], Any]:
    def line(h: float) -> Any:
        at(h)
        return values()

    return line


def noise_along_all(subject: Subject, values: Callable[[], Any]) -> Any:
    """How far rounding throws the results off, along a line on which all inputs move."""
    rng = np.random.default_rng(4)
    with ExitStack() as stack:
        moves = [
            stack.enter_context(moving(v.data, rng.choice([-1.0, 1.0], v.shape) * _scale(v.data)))
            for v in subject.variables.values()
        ]

        def at(h: float) -> None:
            for move in moves:
                move(h)

        return noise_of(along(at, values))


def settled(
    line: Callable[[float], Any], start: Any, noise: Any, array: Any, move: Any, options: Options
) -> Derivative:
    """The derivative along a line; where it does not settle, once more with this line's own noise, and with steps that
    do not reach 0."""

    def enough(value: Any) -> Any:
        return 0.1 * options.tolerance.of(value)

    first = options.first * float(_scale(array[move] if isinstance(move, tuple) else np.max(np.abs(array), initial=0)))
    found = differentiate(line, start, noise, first, enough)
    loose = found.kink | (found.error > np.maximum(1e-4 * np.abs(found.value), enough(found.value)))
    if not loose.any():
        return found
    tries = []
    if isinstance(move, tuple) and 0 < (distance := abs(float(array[move])) / 8) < first:
        tries.append((distance, noise))
    if (loose & ~found.kink).any():  # another input, at a singular point, may have made the noise look large
        tries.append((first, np.fmin(noise, noise_of(line))))
    for step, blur in tries:
        again = differentiate(line, start, blur, step, enough)
        better = loose & ~again.kink & (found.kink | (again.error < found.error))
        found = Derivative(*(np.where(better, new, old) for new, old in zip(again, found, strict=True)))
    return found
