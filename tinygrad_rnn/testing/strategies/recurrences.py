"""Operations on ``tg.scan``: steps of a few forms, over all of a sequence or over ragged ones, in both directions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ...recurrence import scan
from .arrays import Shape
from .operation import Choices, Operand, Operation, filled, same


def _small(shape: Shape) -> bool:
    return filled(shape) and math.prod(shape) <= 6


def _rows(shape: Shape) -> bool:
    """(B, H), or (H,)."""
    return 1 <= len(shape) <= 2 and _small(shape)


def _sequence(state: Shape, *_others: Shape) -> Sequence[Shape]:
    return [(steps, *state) for steps in (2, 1, 3)]


def _square(state: Shape, *_others: Shape) -> Sequence[Shape]:
    return [(state[-1], state[-1])]


def _last_axis(state: Shape, *_others: Shape) -> Sequence[Shape]:
    return [state[-1:], ()]


def _options(choose: Choices, state: Any, xs: Any, *_others: Any) -> dict[str, Any]:
    reverse = choose(("", ", reverse=True", ", checkpoint=2", ", checkpoint=1, reverse=True"))
    lengths = ""
    if state.ndim and choose((False, True)):
        lengths = f", lengths={choose.several(range(xs.shape[0], -1, -1), state.shape[0])}"
    return {"options": reverse + lengths}


def _length(choose: Choices, state: Any, *_others: Any) -> dict[str, Any]:
    return {"length": choose((2, 1, 3)), "options": choose(("", ", reverse=True", ", checkpoint=2"))}


_STATE = Operand(-6, 6, fits=_small)
_ROWS = Operand(-6, 6, fits=_rows)
_XS = Operand(-6, 6, shapes=_sequence)
_MATRIX = Operand(-3, 3, shapes=_square)

OPERATIONS = [
    Operation(
        scan,
        _STATE,
        _XS,
        expression=(
            "tg.scan(lambda h, x: (np.tanh(h + x), h), {0}, {1}{options})",
            "tg.scan(lambda h, x: (0.5 * h * x + x, np.sin(h)), {0}, {1}{options})",
            "tg.scan(lambda h, x: (h + x,) * 2, {0}, {1}{options})",
        ),
        options=_options,
    ),
    Operation(
        scan,
        _ROWS,
        _XS,
        _MATRIX,
        Operand(shapes=_last_axis),
        expression="tg.scan(lambda h, x: (np.tanh(h @ {2} + x), h * {3}), {0}, {1}{options})",
        options=_options,
    ),
    Operation(
        scan,
        _STATE,
        _XS,
        Operand(-6, 6, shapes=same),
        expression=(
            "tg.scan(lambda s, x: ((s[1], np.tanh(s[0] * x)), s[0] + x), ({0}, {2}), {1}{options})",
            "tg.scan(lambda s, x: ({{'h': np.sin(s['c']), 'c': s['h'] - x}}, {{'y': s['h'] * x}}),"
            " {{'h': {0}, 'c': {2}}}, {1}{options})[1]['y']",
        ),
        options=_options,
    ),
    Operation(
        scan,
        _STATE,
        expression="tg.scan(lambda h, _: (np.cos(h), h * h), {0}, None, length={length}{options})",
        options=_length,
    ),
    Operation(
        scan,
        _ROWS,
        _XS,
        _MATRIX,
        _MATRIX,
        expression="tg.scan(lambda h, x: ((y := tg.functional.sigmoid(x @ {2} + h @ {3})), y), {0}, {1}{options})",
        options=_options,
    ),
]
