"""Recurrent layers: a step applied along a sequence by ``tg.scan``, so that the recorded graph is the unrolled net.

The input's share of the gates is one product for all steps; only the product with the state is left for each step.
"""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

from ..recurrence import scan
from ..tensor import Tensor
from ..tree import map_leaves
from .cells import Elman, GatedRecurrentUnit, LongShortTermMemory, Recurrent
from .layers import as_input


class Layer(Recurrent):
    """One recurrent layer: PyTorch's parameter names (``weight_ih_l0``), shapes and order of gates."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
    ) -> None:
        owner = type(self).__name__
        _check_flags(owner, bias=bias, batch_first=batch_first, bidirectional=bidirectional)
        _check_single(owner, num_layers, dropout, bidirectional)
        super().__init__(input_size, hidden_size, bias)
        self.batch_first = batch_first
        self.add_weights("_l0", input_size)

    def forward(self, x: Any, state: Any = None, lengths: Any = None) -> tuple[Any, Any]:
        ndim = np.ndim(x)
        if ndim not in (2, 3):
            form = "(B, T, I)" if self.batch_first else "(T, B, I)"
            raise ValueError(
                f"{self.here()}: expected an input of shape {form}, or (T, I) without a batch, got {np.shape(x)}"
            )
        w_ih, w_hh, b_ih, b_hh = self.weights("_l0")
        x = as_input(self, x, self.input_size, w_ih.dtype)
        x = np.expand_dims(x, 1) if ndim == 2 else np.swapaxes(x, 0, 1) if self.batch_first else x
        if lengths is not None:
            if ndim == 2:
                raise ValueError(f"{self.here()}: lengths need a batch; cut an unbatched input to its length instead")
            x = _without_padding(x, lengths, self.here())
        from_x = self.from_input(x, w_ih, b_ih, b_hh)
        first = self.first_state(state, from_x, ndim)
        ys, last = self.run(from_x, first, w_hh, b_hh, lengths)
        if ndim == 2:
            return ys[:, 0], last
        last = map_leaves(lambda part: np.expand_dims(part, 0), last)
        return (np.swapaxes(ys, 0, 1) if self.batch_first else ys), last

    def run(self, from_x: Any, state: Any, w_hh: Any, b_hh: Any, lengths: Any) -> tuple[Any, Any]:
        """Apply the step along ``from_x`` (T, B, G H), from ``state`` (B, H): ys (T, B, H) and the last state."""

        def step(state: Any, from_x_t: Any) -> tuple[Any, Any]:
            state = self.step(state, from_x_t, w_hh, b_hh)
            return state, state[0] if self.memory else state

        last, ys = scan(step, state, from_x, lengths=lengths)
        return ys, last

    def first_state(self, state: Any, from_x: Any, ndim: int) -> Any:
        """The state to begin with, (B, H): zeros, or what was given: (1, B, H), or (1, H) without a batch."""
        batch = from_x.shape[1]
        if state is None:
            return self.state_of_zeros((batch, self.hidden_size), from_x.dtype)
        self.check_state(state, (1, batch, self.hidden_size) if ndim == 3 else (1, self.hidden_size))
        state = tuple(state) if self.memory else state
        return map_leaves(lambda part: part[0], state) if ndim == 3 else state

    def extra_repr(self) -> str:
        return super().extra_repr() + (", batch_first=True" if self.batch_first else "")


def _check_flags(owner: str, **flags: Any) -> None:
    """Raise TypeError unless every flag is a boolean: a number here is most likely one place out of order."""
    for name, flag in flags.items():
        if not isinstance(flag, (bool, np.bool_)):
            raise TypeError(f"{owner}: expected {name} to be True or False, got {flag!r}")


def _check_single(owner: str, num_layers: Any, dropout: Any, bidirectional: Any) -> None:
    """Raise unless a single layer in one direction is asked for."""
    if isinstance(num_layers, bool) or not isinstance(num_layers, (int, np.integer)):
        raise TypeError(f"{owner}: expected num_layers to be an integer, got {num_layers!r}")
    if isinstance(dropout, bool) or not isinstance(dropout, Real):
        raise TypeError(f"{owner}: expected dropout to be a number, got {dropout!r}")
    if num_layers != 1 or dropout != 0 or bidirectional:
        raise ValueError(
            f"{owner}: expected num_layers=1, dropout=0.0 and bidirectional=False, since only a single layer in one "
            f"direction is built today, got num_layers={num_layers}, dropout={dropout} and "
            f"bidirectional={bidirectional}; to stack layers, give the output of one to the next, with nn.Dropout "
            f"between them"
        )


def _without_padding(x: Any, lengths: Any, where: str) -> Any:
    """``x`` (T, B, I) with zeros past each length: NaN there would reach the weights' gradient through 0 * NaN."""
    ends = lengths.numpy() if isinstance(lengths, Tensor) else np.asarray(lengths)
    steps, batch = np.shape(x)[:2]
    if ends.shape != (batch,) or ends.dtype.kind not in "iu":
        raise ValueError(
            f"{where}: expected lengths to be whole numbers of shape ({batch},), got {ends.dtype} {ends.shape}"
        )
    return np.where((np.arange(steps)[:, None] < ends)[..., None], x, 0)


class RNN(Elman, Layer):
    """A plain recurrent layer: h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh) (Elman, 1990).

    Args:
        input_size: I.
        hidden_size: H.
        num_layers: Only 1 so far. To stack layers, give the output of one to the next.
        nonlinearity: "tanh" or "relu".
        bias: Have b_ih and b_hh.
        batch_first: x and output are (B, T, ...) instead of (T, B, ...); states never are.
        dropout, bidirectional: Only 0.0 and False so far.

    Shapes: ``output, h_n = layer(x, state=None, lengths=None)`` with x (T, B, I), state (1, B, H) or None for zeros,
    lengths (B,); output (T, B, H) holds every h_t, h_n (1, B, H) the last. Without a batch: x (T, I), state (1, H),
    output (T, H), h_n (1, H). Past its length a sequence's output is 0, its h_n is the last valid state, and padding
    has no influence, not even NaN.

    Raises:
        ValueError: a size or the nonlinearity is not one; more than a single layer in one direction, or dropout; in the
            call, a shape does not fit, T is 0, or lengths are not whole numbers in 0..T.
        TypeError: an option is of another type.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> output, h_n = tg.nn.RNN(3, 4)(np.ones((5, 2, 3), np.float32))
    >>> output.shape, h_n.shape
    ((5, 2, 4), (1, 2, 4))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
    ) -> None:
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional)
        self.choose(nonlinearity)


class LSTM(LongShortTermMemory, Layer):
    """An LSTM layer (Hochreiter and Schmidhuber, 1997; lecture, section 3, "LSTM Math").

        i, f, g, o = sigmoid, sigmoid, tanh, sigmoid of the four blocks of W_ih x_t + b_ih + W_hh h_{t-1} + b_hh
        c_t = f * c_{t-1} + i * g
        h_t = o * tanh(c_t)

    Args:
        input_size: I.
        hidden_size: H.
        num_layers: Only 1 so far. To stack layers, give the output of one to the next.
        bias: Have b_ih and b_hh.
        batch_first: x and output are (B, T, ...) instead of (T, B, ...); states never are.
        dropout, bidirectional: Only 0.0 and False so far.

    Shapes: ``output, (h_n, c_n) = layer(x, state=None, lengths=None)`` with x (T, B, I), state a pair (h_0, c_0) of
    (1, B, H) or None for zeros, lengths (B,); output (T, B, H) holds every h_t, h_n and c_n (1, B, H) the last. Without
    a batch: x (T, I), states (1, H), output (T, H). Past its length a sequence's output is 0, its state is the last
    valid one, and padding has no influence, not even NaN.

    Raises:
        ValueError: a size is not one; more than a single layer in one direction, or dropout; in the call, a shape does
            not fit, T is 0, or lengths are not whole numbers in 0..T.
        TypeError: an option is of another type; in the call, the state is not a pair.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> lstm = tg.nn.LSTM(3, 4)
    >>> output, (h_n, c_n) = lstm(np.ones((5, 2, 3), np.float32), lengths=[5, 2])
    >>> output.shape, h_n.shape, c_n.shape
    ((5, 2, 4), (1, 2, 4), (1, 2, 4))
    >>> bool((output[1, 1].numpy() == h_n[0, 1].numpy()).all()), float(abs(output[2:, 1]).max())
    (True, 0.0)
    """


class GRU(GatedRecurrentUnit, Layer):
    """A GRU layer (Cho et al., 2014, in PyTorch's variant).

        r, z = sigmoid of the first two blocks of W_ih x_t + b_ih + W_hh h_{t-1} + b_hh
        n = tanh(W_in x_t + b_in + r * (W_hn h_{t-1} + b_hn))
        h_t = (1 - z) * n + z * h_{t-1}

    Args:
        input_size: I.
        hidden_size: H.
        num_layers: Only 1 so far. To stack layers, give the output of one to the next.
        bias: Have b_ih and b_hh.
        batch_first: x and output are (B, T, ...) instead of (T, B, ...); states never are.
        dropout, bidirectional: Only 0.0 and False so far.

    Shapes: ``output, h_n = layer(x, state=None, lengths=None)``, as for ``RNN``.

    Raises:
        ValueError: a size is not one; more than a single layer in one direction, or dropout; in the call, a shape does
            not fit, T is 0, or lengths are not whole numbers in 0..T.
        TypeError: an option is of another type.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> output, h_n = tg.nn.GRU(3, 4, batch_first=True)(np.ones((2, 5, 3), np.float32))
    >>> output.shape, h_n.shape
    ((2, 5, 4), (1, 2, 4))
    """
