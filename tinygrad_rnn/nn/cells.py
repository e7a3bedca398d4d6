"""One step of a recurrent net as a module: what cells and layers have in common, and the three cells.

The parameters are PyTorch's: ``weight_ih`` (G H, I) and ``weight_hh`` (G H, H), the G gates stacked, with a bias each,
all drawn from U(-1/sqrt(H), 1/sqrt(H)). The mathematics is in ``kinds.py``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..tensor import Tensor
from . import init
from .kinds import ELMAN, GATED_RECURRENT_UNIT, LONG_SHORT_TERM_MEMORY, Kind, Weights
from .layers import as_input, check_sizes, new_parameter
from .module import Module


class Recurrent(Module):
    """What cells and layers have in common: a kind, sizes and weights."""

    kind: Kind

    def __init__(self, input_size: int, hidden_size: int, bias: bool) -> None:
        check_sizes(type(self).__name__, input_size=input_size, hidden_size=hidden_size)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias

    def add_weights(self, suffix: str, input_size: int) -> None:
        """Make the parameters of one step, their names ending in ``suffix``, and draw them."""
        rows, hidden = self.kind.gates * self.hidden_size, self.hidden_size
        shapes = {"weight_ih": [rows, input_size], "weight_hh": [rows, hidden], "bias_ih": [rows], "bias_hh": [rows]}
        bound = 1 / math.sqrt(hidden) if hidden else 0.0
        for name, shape in shapes.items():
            if self.bias or name.startswith("weight"):
                setattr(self, name + suffix, init.uniform_(new_parameter(*shape), -bound, bound))

    def weights(self, suffix: str) -> Weights:
        """The parameters of one step by the end of their names; the biases are None if ``bias=False``."""
        w_ih, w_hh = getattr(self, f"weight_ih{suffix}"), getattr(self, f"weight_hh{suffix}")
        return Weights(w_ih, w_hh, getattr(self, f"bias_ih{suffix}", None), getattr(self, f"bias_hh{suffix}", None))

    def as_state(self, state: Any, shape: tuple[int, ...], dtype: Any) -> list[Tensor]:
        """The parts of a state, as tensors of floats; an error unless it is an array, or a pair of them, of ``shape``.

        Integers become ``dtype``, as in ``as_input``.
        """
        pair = isinstance(state, (tuple, list)) and len(state) == 2
        if self.kind.memory and not pair:
            raise TypeError(f"{self.here()}: expected the state to be a pair (h, c), got {type(state).__name__}")
        if not self.kind.memory and isinstance(state, (tuple, list)):
            raise TypeError(f"{self.here()}: expected the state to be one array, got {type(state).__name__}")
        parts = state if self.kind.memory else [state]
        for name, part in zip("hc", parts, strict=False):
            if np.shape(part) != shape:
                raise ValueError(
                    f"{self.here()}: expected the state {name} to have shape {shape}, got {np.shape(part)}"
                )
        return [as_input(self, part, self.hidden_size, dtype) for part in parts]

    def extra_repr(self) -> str:
        words = f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")
        return words + (", nonlinearity='relu'" if self.kind.name == ELMAN["relu"].name else "")


def elman(owner: str, nonlinearity: str) -> Kind:
    """The plain recurrent net with this nonlinearity."""
    if nonlinearity not in tuple(ELMAN):  # what cannot be hashed is none either
        raise ValueError(f"{owner}: expected nonlinearity 'tanh' or 'relu', got {nonlinearity!r}")
    return ELMAN[nonlinearity]


class Cell(Recurrent):
    """One step, to be called in a loop of one's own: ``state = cell(x_t, state)``."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size, bias)
        self.add_weights("", input_size)

    def forward(self, x: Any, state: Any = None) -> Any:
        weights = self.weights("")
        x = as_input(self, x, self.input_size, weights.w_ih.dtype)
        from_x = self.kind.from_input(x, weights)
        shape = (*x.shape[:-1], self.hidden_size)
        if state is None:
            zeros = Tensor(np.zeros(shape, from_x.dtype), copy=False)
            state = (zeros, zeros) if self.kind.memory else zeros
        parts = self.as_state(state, shape, weights.w_ih.dtype)
        return self.kind.advance(tuple(parts) if self.kind.memory else parts[0], from_x, weights)


class RNNCell(Cell):
    """One step of a plain recurrent net: h' = tanh(W_ih x + b_ih + W_hh h + b_hh) (Elman, 1990).

    Args:
        input_size: I.
        hidden_size: H.
        bias: Have b_ih and b_hh.
        nonlinearity: "tanh" or "relu".

    Shapes: x (B, I) or (I,), state h (B, H) or (H,), zeros if None, to h' of the state's shape.

    Raises:
        ValueError: a size or the nonlinearity is not one; in the call, x or the state has another shape.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> cell = tg.nn.RNNCell(3, 4)
    >>> h = cell(np.ones((2, 3), np.float32))
    >>> cell(np.ones((2, 3), np.float32), h).shape
    (2, 4)
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh") -> None:
        self.nonlinearity = nonlinearity
        self.kind = elman("RNNCell", nonlinearity)
        super().__init__(input_size, hidden_size, bias)


class LSTMCell(Cell):
    """One step of an LSTM: (h', c') = cell(x, (h, c)) (Hochreiter and Schmidhuber, 1997; lecture, "LSTM Math").

        i, f, g, o = sigmoid, sigmoid, tanh, sigmoid of the four blocks of W_ih x + b_ih + W_hh h + b_hh
        c' = f * c + i * g
        h' = o * tanh(c')

    Args:
        input_size: I.
        hidden_size: H.
        bias: Have b_ih and b_hh.

    Shapes: x (B, I) or (I,); h and c (B, H) or (H,), zeros if the state is None, and so h' and c'.

    Raises:
        ValueError: a size is not one; in the call, x or the state has another shape.
        TypeError: the state is not a pair.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> h, c = tg.nn.LSTMCell(3, 4)(np.ones((2, 3), np.float32))
    >>> h.shape, c.shape
    ((2, 4), (2, 4))
    """

    kind = LONG_SHORT_TERM_MEMORY


class GRUCell(Cell):
    """One step of a GRU: h' = (1 - z) * n + z * h (Cho et al., 2014, in PyTorch's variant).

        r, z = sigmoid of the first two blocks of W_ih x + b_ih + W_hh h + b_hh
        n = tanh(W_in x + b_in + r * (W_hn h + b_hn))

    Args:
        input_size: I.
        hidden_size: H.
        bias: Have b_ih and b_hh.

    Shapes: x (B, I) or (I,), state h (B, H) or (H,), zeros if None, to h' of the state's shape.

    Raises:
        ValueError: a size is not one; in the call, x or the state has another shape.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> tg.nn.GRUCell(3, 4)(np.ones((2, 3), np.float32)).shape
    (2, 4)
    """

    kind = GATED_RECURRENT_UNIT
