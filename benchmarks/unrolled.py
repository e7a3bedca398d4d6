"""The nets that the part ``pictures`` draws, for each library: an LSTM over so many steps, small as in a lecture.

What is compared is pictures, so the nets are small; the operations are as many in large ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .adapters import Adapter
from .cells import Size, layer_data, lstm, random_data

CELL = "lstm"
BATCH, INPUTS, HIDDEN = 2, 3, 4

Recorded = tuple[Any, Mapping[str, Any]]  # the loss, and the parameters by name


def loop(lib: Adapter, steps: int) -> Recorded:
    """Written by hand, each step with its own term of the loss: 18 operations a step, all of them recorded."""
    variables, constants = random_data(CELL, Size(steps, BATCH, INPUTS, HIDDEN))
    x, target = lib.constant(variables.pop("x")), lib.constant(constants["target"])
    leaves = {name: lib.variable(array) for name, array in variables.items()}
    step = lstm(lib, **leaves)
    state = (lib.constant(constants["initial"]),) * 2
    loss: Any = None
    for t in range(steps):
        with lib.step_scope(CELL, t):
            state = step(state, x[t])
            error = state[0] - target[t]
            term = (error * error).mean()
            loss = term if loss is None else loss + term
    return loss, leaves


def layer(lib: Adapter, steps: int) -> Recorded:
    """The library's own layer, which may be one operation: how much of it a picture shows is what is compared."""
    variables, constants = layer_data(CELL, Size(steps, BATCH, INPUTS, HIDDEN), ragged=False)
    apply, leaves = lib.layer(CELL, variables, None)
    error = apply(lib.constant(variables["x"])) - lib.constant(constants["upstream"])
    return (error * error).mean(), leaves


NETS: dict[str, Callable[[Adapter, int], Recorded]] = {"loop": loop, "layer": layer}
