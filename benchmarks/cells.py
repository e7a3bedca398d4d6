"""Three recurrent nets, written once in tensor operations for every library; and data for them.

Shapes: x (T, B, I), states (B, H), weights (I, G H) and (H, G H) for G gates. The formulas are those of torch.nn.RNN,
LSTM and GRU.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from .adapters import Adapter, CellStep, Loss, State


class Size(NamedTuple):
    """Steps T, sequences in the batch B, inputs I, hidden units H."""

    T: int
    B: int
    I: int  # noqa: E741
    H: int

    def __str__(self) -> str:
        return f"({self.T}, {self.B}, {self.I}, {self.H})"


def rnn(lib: Adapter, w_x: Any, w_h: Any, b: Any) -> CellStep:
    def step(state: State, x_t: Any) -> State:
        (h,) = state
        return (lib.tanh(x_t @ w_x + h @ w_h + b),)

    return step


def lstm(lib: Adapter, w_x: Any, w_h: Any, b: Any) -> CellStep:
    def step(state: State, x_t: Any) -> State:
        h, c = state
        i, f, g, o = lib.split(x_t @ w_x + h @ w_h + b, 4)
        c = lib.sigmoid(f) * c + lib.sigmoid(i) * lib.tanh(g)
        return lib.sigmoid(o) * lib.tanh(c), c

    return step


def gru(lib: Adapter, w_x: Any, w_h: Any, b: Any, b_h: Any) -> CellStep:
    def step(state: State, x_t: Any) -> State:
        (h,) = state
        r_x, z_x, n_x = lib.split(x_t @ w_x + b, 3)
        r_h, z_h, n_h = lib.split(h @ w_h + b_h, 3)
        r = lib.sigmoid(r_x + r_h)
        z = lib.sigmoid(z_x + z_h)
        n = lib.tanh(n_x + r * n_h)
        return ((lib.one - z) * n + z * h,)

    return step


class Cell(NamedTuple):
    step: Callable[..., CellStep]
    gates: int
    states: int
    biases: tuple[str, ...]


CELLS = {"rnn": Cell(rnn, 1, 1, ("b",)), "lstm": Cell(lstm, 4, 2, ("b",)), "gru": Cell(gru, 3, 1, ("b", "b_h"))}


def loss_of(name: str) -> Loss:
    """The mean squared error of all the hidden states of cell ``name``, as a function of its variables."""
    cell = CELLS[name]

    def loss(lib: Adapter, variables: Mapping[str, Any], constants: Mapping[str, Any]) -> Any:
        x = variables["x"]
        step = cell.step(lib, **{key: value for key, value in variables.items() if key != "x"})
        error = lib.scan(step, (constants["initial"],) * cell.states, x) - constants["target"]
        return (error * error).mean()

    return loss


def random_data(name: str, size: Size, seed: int = 0) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Variables (inputs and parameters, U(-1/sqrt(H), 1/sqrt(H)) as torch starts them) and constants, float32."""
    cell, (T, B, inputs, H) = CELLS[name], size
    generator = np.random.default_rng(seed)
    bound = 1 / math.sqrt(H)

    def uniform(*shape: int) -> np.ndarray:
        return generator.uniform(-bound, bound, shape).astype(np.float32)

    variables = {"x": generator.standard_normal((T, B, inputs)).astype(np.float32)}
    variables |= {"w_x": uniform(inputs, cell.gates * H), "w_h": uniform(H, cell.gates * H)}
    variables |= {bias: uniform(cell.gates * H) for bias in cell.biases}
    target = generator.uniform(-1, 1, (T, B, H)).astype(np.float32)
    return variables, {"initial": uniform(B, H), "target": target}


def layer_data(name: str, size: Size, ragged: bool) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The same for the libraries' own layers: parameters with the names and shapes of torch's, and x; constants.

    The constants: the gradient that reaches the outputs (T, B, H), and where ``ragged``, lengths (B,) in 1..T, of which
    the first is T.
    """
    gates, (T, B, inputs, H) = CELLS[name].gates, size
    generator = np.random.default_rng(0)
    bound = 1 / math.sqrt(H)
    shapes = {"weight_ih_l0": (gates * H, inputs), "weight_hh_l0": (gates * H, H)}
    shapes |= {"bias_ih_l0": (gates * H,), "bias_hh_l0": (gates * H,)}
    variables = {"x": generator.standard_normal((T, B, inputs), np.float32)}
    for key, shape in shapes.items():
        variables[key] = generator.uniform(-bound, bound, shape).astype(np.float32)
    constants = {"upstream": generator.standard_normal((T, B, H), np.float32)}
    if ragged:
        constants["lengths"] = generator.integers(1, T + 1, B)
        constants["lengths"][0] = T
    return variables, constants
