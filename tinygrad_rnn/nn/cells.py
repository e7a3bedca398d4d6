"""One step of a recurrent net: the mathematics of the Elman net, the LSTM and the GRU, and a cell for each.

Each kind of net is a class that says how many gates it has, what its input gives to them, and its step. A cell applies
the step once; a layer (``recurrent.py``) applies the same step along a sequence. The parameters are PyTorch's:
``weight_ih`` (G H, I) and ``weight_hh`` (G H, H), the G gates stacked, with a bias each, all drawn from
U(-1/sqrt(H), 1/sqrt(H)).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..functional import linear, relu, sigmoid
from ..tensor import Tensor
from . import init
from .layers import as_input, check_sizes, new_parameter
from .module import Module

_ACTIVATIONS: dict[str, Callable[..., Any]] = {"tanh": np.tanh, "relu": relu}


class Recurrent(Module):
    """What cells and layers have in common: sizes, weights, and a state of zeros.

    A state is a tensor h, or, where ``memory``, a pair (h, c).
    """

    gates: int
    memory: bool = False

    def __init__(self, input_size: int, hidden_size: int, bias: bool) -> None:
        check_sizes(type(self).__name__, input_size=input_size, hidden_size=hidden_size)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias

    def add_weights(self, suffix: str, input_size: int) -> None:
        """Make the parameters of one step, their names ending in ``suffix``, and draw them."""
        rows, hidden = self.gates * self.hidden_size, self.hidden_size
        shapes = {"weight_ih": [rows, input_size], "weight_hh": [rows, hidden], "bias_ih": [rows], "bias_hh": [rows]}
        bound = 1 / math.sqrt(hidden) if hidden else 0.0
        for name, shape in shapes.items():
            if self.bias or name.startswith("weight"):
                setattr(self, name + suffix, init.uniform_(new_parameter(*shape), -bound, bound))

    def weights(self, suffix: str) -> tuple[Any, Any, Any, Any]:
        """W_ih, W_hh, b_ih and b_hh by the end of their names; the biases are None if ``bias=False``."""
        w_ih, w_hh = getattr(self, f"weight_ih{suffix}"), getattr(self, f"weight_hh{suffix}")
        return w_ih, w_hh, getattr(self, f"bias_ih{suffix}", None), getattr(self, f"bias_hh{suffix}", None)

    def from_input(self, x: Any, w_ih: Any, b_ih: Any, b_hh: Any) -> Any:
        """What the input gives to the gates, all steps at once: (..., I) to (..., G H)."""
        return linear(x, w_ih, None if b_ih is None else self.input_bias(b_ih, b_hh))

    def input_bias(self, b_ih: Any, b_hh: Any) -> Any:
        """The biases that do not depend on the state."""
        return b_ih + b_hh

    def step(self, state: Any, from_x: Any, w_hh: Any, b_hh: Any) -> Any:
        """The next state, from the last one and what ``from_input`` made of x_t."""
        raise NotImplementedError(f"{type(self).__name__} has no step()")

    def state_of_zeros(self, shape: tuple[int, ...], dtype: Any) -> Any:
        zeros = Tensor(np.zeros(shape, dtype), copy=False)
        return (zeros, zeros) if self.memory else zeros

    def check_state(self, state: Any, shape: tuple[int, ...]) -> None:
        """Raise unless ``state`` is an array, or a pair of them, of ``shape``."""
        pair = isinstance(state, (tuple, list)) and len(state) == 2
        if self.memory and not pair:
            raise TypeError(f"{self.here()}: expected the state to be a pair (h, c), got {type(state).__name__}")
        if not self.memory and isinstance(state, (tuple, list)):
            raise TypeError(f"{self.here()}: expected the state to be one array, got {type(state).__name__}")
        for name, part in zip("hc", state if self.memory else [state], strict=False):
            if np.shape(part) != shape:
                raise ValueError(
                    f"{self.here()}: expected the state {name} to have shape {shape}, got {np.shape(part)}"
                )

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


class Elman(Recurrent):
    """h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh). Elman, "Finding Structure in Time" (1990)."""

    gates = 1
    nonlinearity: str

    def choose(self, nonlinearity: str) -> None:
        if nonlinearity not in _ACTIVATIONS:
            raise ValueError(f"{type(self).__name__}: expected nonlinearity 'tanh' or 'relu', got {nonlinearity!r}")
        self.nonlinearity = nonlinearity

    def step(self, state: Any, from_x: Any, w_hh: Any, b_hh: Any) -> Any:
        return _ACTIVATIONS[self.nonlinearity](from_x + linear(state, w_hh))

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity!r}")


class LongShortTermMemory(Recurrent):
    """Gates that decide what a memory cell forgets, takes in and shows.

        i, f, g, o = sigmoid, sigmoid, tanh, sigmoid of the four blocks of W_ih x_t + b_ih + W_hh h_{t-1} + b_hh
        c_t = f * c_{t-1} + i * g
        h_t = o * tanh(c_t)

    Hochreiter and Schmidhuber, "Long Short-Term Memory" (1997), with the forget gate of Gers, Schmidhuber and Cummins,
    "Learning to Forget" (2000). Lecture, section 3, "LSTM Math"; the order of the gates is PyTorch's.
    """

    gates = 4
    memory = True

    def step(self, state: Any, from_x: Any, w_hh: Any, b_hh: Any) -> Any:
        h, c = state
        i, f, g, o = np.split(from_x + linear(h, w_hh), 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(c), c


class GatedRecurrentUnit(Recurrent):
    """Gates that decide how much of the old state is kept (z), and how much of it the new one sees (r).

        r = sigmoid(W_ir x_t + b_ir + W_hr h_{t-1} + b_hr)
        z = sigmoid(W_iz x_t + b_iz + W_hz h_{t-1} + b_hz)
        n = tanh(W_in x_t + b_in + r * (W_hn h_{t-1} + b_hn))
        h_t = (1 - z) * n + z * h_{t-1}

    Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder" (2014), in PyTorch's variant: r is applied
    after the product with W_hn, not before.
    """

    gates = 3

    def input_bias(self, b_ih: Any, b_hh: Any) -> Any:
        """b_ih alone: b_hh stays with the state, since r multiplies its last block."""
        return b_ih

    def step(self, state: Any, from_x: Any, w_hh: Any, b_hh: Any) -> Any:
        x_r, x_z, x_n = np.split(from_x, 3, axis=-1)
        h_r, h_z, h_n = np.split(linear(state, w_hh, b_hh), 3, axis=-1)
        r = sigmoid(x_r + h_r)
        z = sigmoid(x_z + h_z)
        n = np.tanh(x_n + r * h_n)
        return (1 - z) * n + z * state


class Cell(Recurrent):
    """One step, to be called in a loop of one's own: ``state = cell(x_t, state)``."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size, bias)
        self.add_weights("", input_size)

    def forward(self, x: Any, state: Any = None) -> Any:
        w_ih, w_hh, b_ih, b_hh = self.weights("")
        x = as_input(self, x, self.input_size, w_ih.dtype)
        from_x = self.from_input(x, w_ih, b_ih, b_hh)
        shape = (*x.shape[:-1], self.hidden_size)
        if state is None:
            state = self.state_of_zeros(shape, from_x.dtype)
        self.check_state(state, shape)
        return self.step(state, from_x, w_hh, b_hh)


class RNNCell(Elman, Cell):
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
        super().__init__(input_size, hidden_size, bias)
        self.choose(nonlinearity)


class LSTMCell(LongShortTermMemory, Cell):
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


class GRUCell(GatedRecurrentUnit, Cell):
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
