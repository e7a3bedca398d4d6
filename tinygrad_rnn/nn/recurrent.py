"""Recurrent layers: any depth, direction and lengths.

Each layer and direction is one recorded node (``fused/``), or under ``tg.unrolled()`` every operation of every step,
with the same numbers.
"""

from __future__ import annotations

import sys
import warnings
from numbers import Real
from typing import Any

import numpy as np

from ..context import scope
from ..functional import dropout as drop
from ..recurrence import ends_of, is_unrolled
from ..tensor import Tensor
from ..tree import map_leaves
from .cells import Recurrent, elman
from .fused import fused
from .kinds import GATED_RECURRENT_UNIT, LONG_SHORT_TERM_MEMORY, unroll
from .layers import as_input, check_flags, new_parameter


class Layer(Recurrent):
    """Recurrent layers on one another: PyTorch's parameter names (``weight_ih_l0``), shapes and order of gates."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        learn_initial_state: bool = False,
        checkpoint: int | None = None,
        truncate: int | None = None,
    ) -> None:
        owner = type(self).__name__
        flags = {"bias": bias, "batch_first": batch_first, "bidirectional": bidirectional}
        check_flags(owner, **flags, learn_initial_state=learn_initial_state)
        _check_number(owner, "num_layers", num_layers)
        _check_dropout(owner, dropout)
        if dropout and num_layers == 1:
            warnings.warn(
                f"{owner}: dropout={dropout} acts between layers, and there is only one (num_layers=1): nothing is "
                f"dropped",
                UserWarning,
                stacklevel=_users_line(),
            )
        for name, every in (("checkpoint", checkpoint), ("truncate", truncate)):
            if every is not None:
                _check_number(owner, name, every)
        super().__init__(input_size, hidden_size, bias)
        self.num_layers, self.batch_first, self.dropout = int(num_layers), batch_first, float(dropout)
        self.bidirectional, self.learn_initial_state = bidirectional, learn_initial_state
        self.checkpoint, self.truncate = checkpoint, truncate
        self._directions = ("", "_reverse") if bidirectional else ("",)
        for layer in range(self.num_layers):
            for direction in self._directions:
                self.add_weights(f"_l{layer}{direction}", hidden_size * len(self._directions) if layer else input_size)
        if learn_initial_state:
            for suffix in self._suffixes():
                for part in self._state_names():
                    setattr(self, part + suffix, new_parameter(hidden_size))

    def forward(self, x: Any, state: Any = None, lengths: Any = None) -> tuple[Any, Any]:
        x = self._input(x)
        single = x.ndim == 2
        lengths = None if lengths is None else self._lengths(lengths, x)
        x = np.expand_dims(x, 1) if single else self._time_first(x, lengths)
        first = self._first_states(state, x, single)
        last: list[Any] = []
        for layer in range(self.num_layers):
            if layer and self.dropout:
                x = drop(x, self.dropout, self.training)
            outputs = []
            for direction in self._directions:
                y, end = self._run(x, first[len(last)], layer, direction, lengths)
                outputs.append(y)
                last.append(end)
            x = np.concatenate(outputs, axis=-1) if len(outputs) > 1 else outputs[0]
        states = map_leaves(_stacked, *last)
        if single:
            return x[:, 0], map_leaves(lambda part: part[:, 0], states)
        return (np.swapaxes(x, 0, 1) if self.batch_first else x), states

    def _run(self, x: Any, state: Any, layer: int, direction: str, lengths: Any) -> tuple[Any, Any]:
        """One layer in one direction along x (T, B, ...): outputs (T, B, H), last state (B, H)."""
        run = unroll if is_unrolled() else fused
        with scope(f"layer {layer}{direction.replace('_', ' ')}"):
            return run(
                self.kind,
                x,
                state,
                self.weights(f"_l{layer}{direction}"),
                lengths=lengths,
                reverse=bool(direction),
                checkpoint=self.checkpoint,
                truncate=self.truncate,
            )

    # ---- what a call is given

    def _input(self, x: Any) -> Any:
        """The input as a tensor, its shape checked."""
        ndim = np.ndim(x)
        if ndim not in (2, 3):
            form = "(B, T, I)" if self.batch_first else "(T, B, I)"
            raise ValueError(
                f"{self.here()}: expected an input of shape {form}, or (T, I) without a batch, got {np.shape(x)}"
            )
        x = as_input(self, x, self.input_size, self.weights("_l0").w_ih.dtype)
        if x.shape[int(ndim == 3 and self.batch_first)] < 1:
            raise ValueError(f"{self.here()}: expected at least one step, got T=0")
        return x

    def _time_first(self, x: Any, lengths: Any) -> Any:
        """The input as (T, B, I)."""
        if not self.batch_first:
            return x
        if lengths is not None:  # so that no operation is recorded on what may be NaN there
            x = np.where((np.arange(x.shape[1]) < lengths[:, None])[..., None], x, x.dtype.type(0))
        return np.swapaxes(x, 0, 1)

    def _lengths(self, lengths: Any, x: Any) -> Any:
        """The lengths as an array of integers (B,)."""
        if x.ndim == 2:
            raise ValueError(f"{self.here()}: lengths need a batch; cut an unbatched input to its length instead")
        steps, batch = x.shape[1::-1] if self.batch_first else x.shape[:2]
        return ends_of(lengths, steps, batch, self.here())

    def _first_states(self, state: Any, x: Any, single: bool) -> list[Any]:
        """The state (B, H) that each layer and direction begins with: what was given, what was learned, or zeros."""
        suffixes, batch = self._suffixes(), x.shape[1]
        if state is None:
            shape = (batch, self.hidden_size)
            dtype = np.result_type(x.dtype, self.weights("_l0").w_ih.dtype)
            zeros = Tensor(np.zeros(shape, dtype), copy=False)
            parts = [
                [
                    np.broadcast_to(getattr(self, name + suffix), shape) if self.learn_initial_state else zeros
                    for name in self._state_names()
                ]
                for suffix in suffixes
            ]
        else:
            whole = (len(suffixes), *(() if single else (batch,)), self.hidden_size)
            given = self.as_state(state, whole, self.weights("_l0").w_ih.dtype)
            parts = [[part[k : k + 1] if single else part[k] for part in given] for k in range(len(suffixes))]
        return [tuple(part) if self.kind.memory else part[0] for part in parts]

    def _suffixes(self) -> list[str]:
        """The ends of the parameters' names, in the order of the states."""
        return [f"_l{layer}{direction}" for layer in range(self.num_layers) for direction in self._directions]

    def _state_names(self) -> tuple[str, ...]:
        return ("h_0", "c_0") if self.kind.memory else ("h_0",)

    def extra_repr(self) -> str:
        options = {
            "num_layers": 1, "batch_first": False, "dropout": 0.0, "bidirectional": False,
            "learn_initial_state": False, "checkpoint": None, "truncate": None,
        }  # fmt: skip
        given = {name: getattr(self, name) for name in options}
        words = [f"{name}={value!r}" for name, value in given.items() if value != options[name]]
        return ", ".join([super().extra_repr(), *words])


def _stacked(*parts: Any) -> Any:
    """The last states of all layers and directions, (L D, B, H)."""
    return np.stack(parts) if len(parts) > 1 else parts[0].reshape(1, *parts[0].shape)


def _users_line() -> int:
    """How far up the first line outside of the package is, as the caller's ``stacklevel``."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals["__name__"].startswith(f"{__name__.partition('.')[0]}."):
        level, frame = level + 1, frame.f_back
    return level


def _check_number(owner: str, name: str, number: Any) -> None:
    """Raise unless it is a whole number, at least 1."""
    if isinstance(number, bool) or not isinstance(number, (int, np.integer)):
        raise TypeError(f"{owner}: expected {name} to be an integer, got {number!r}")
    if number < 1:
        raise ValueError(f"{owner}: expected {name} >= 1, got {number}")


def _check_dropout(owner: str, dropout: Any) -> None:
    if isinstance(dropout, bool) or not isinstance(dropout, Real):
        raise TypeError(f"{owner}: expected dropout to be a number, got {dropout!r}")
    if not 0 <= float(dropout) <= 1:
        raise ValueError(f"{owner}: expected dropout to be a probability in 0..1, got {dropout}")


class RNN(Layer):
    """Plain recurrent layers: h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh) (Elman, 1990).

    Args:
        input_size: I.
        hidden_size: H.
        num_layers: L: each layer but the first has the outputs of the one before as its input.
        nonlinearity: "tanh" or "relu".
        bias: Have b_ih and b_hh.
        batch_first: x and output are (B, T, ...) instead of (T, B, ...); states never are.
        dropout: Probability with which the outputs of all layers but the last are dropped in training.
        bidirectional: D = 2 instead of 1: in each layer a second net goes from each sequence's last element to its
            first, and the outputs of both stand side by side.
        learn_initial_state: Begin with parameters ``h_0_l0``, ``h_0_l0_reverse``, ... (H,), at first 0, where no state
            is given.
        checkpoint: Keep only every k-th state, and compute the steps between once more in the backward walk: memory
            for T/k + k steps, not for T (Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016).
        truncate: Cut the graph of the state before the processed steps k, 2k, ...: truncated backpropagation through
            time, whose gradients reach back at most k steps (Williams and Peng, 1990). Each sequence counts its own
            steps, from where it starts; padding is none.

    Shapes: ``output, h_n = layer(x, state=None, lengths=None)`` with x (T, B, I), state (L D, B, H) or None for zeros,
    lengths (B,); output (T, B, D H) holds every h_t of the last layer, h_n (L D, B, H) the last of every layer and
    direction. Without a batch: x (T, I), state (L D, H), output (T, D H), h_n (L D, H). Past its length a sequence's
    output is 0, its h_n is the last valid state (the first, where the length is 0), and padding has no influence, not
    even NaN.

    Raises:
        ValueError: a size or an option is not one; in the call, a shape does not fit, T is 0, or lengths are not whole
            numbers in 0..T.
        TypeError: an option is of another type; in the call, the state is not one array.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> output, h_n = tg.nn.RNN(3, 4, num_layers=2, bidirectional=True)(np.ones((5, 2, 3), np.float32))
    >>> output.shape, h_n.shape
    ((5, 2, 8), (4, 2, 4))
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
        *,
        learn_initial_state: bool = False,
        checkpoint: int | None = None,
        truncate: int | None = None,
    ) -> None:
        self.nonlinearity = nonlinearity
        self.kind = elman("RNN", nonlinearity)
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            learn_initial_state=learn_initial_state,
            checkpoint=checkpoint,
            truncate=truncate,
        )


class LSTM(Layer):
    """LSTM layers (Hochreiter and Schmidhuber, 1997; lecture, section 3, "LSTM Math").

        i, f, g, o = sigmoid, sigmoid, tanh, sigmoid of the four blocks of W_ih x_t + b_ih + W_hh h_{t-1} + b_hh
        c_t = f * c_{t-1} + i * g
        h_t = o * tanh(c_t)

    Args:
        input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, checkpoint, truncate: As for
            ``RNN``.
        learn_initial_state: As for ``RNN``; also ``c_0_l0``, ...

    Shapes: ``output, (h_n, c_n) = layer(x, state=None, lengths=None)``, as for ``RNN``; the state is a pair (h_0, c_0)
    of (L D, B, H) or None for zeros, and so is the last one.

    Raises:
        ValueError, TypeError: as for ``RNN``; the state is not a pair.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> lstm = tg.nn.LSTM(3, 4)
    >>> output, (h_n, c_n) = lstm(np.ones((5, 2, 3), np.float32), lengths=[2, 5])
    >>> output.shape, h_n.shape, c_n.shape
    ((5, 2, 4), (1, 2, 4), (1, 2, 4))
    >>> bool((output[1, 0].numpy() == h_n[0, 0].numpy()).all()), float(abs(output[2:, 0]).max())
    (True, 0.0)
    """

    kind = LONG_SHORT_TERM_MEMORY


class GRU(Layer):
    """GRU layers (Cho et al., 2014, in PyTorch's variant).

        r, z = sigmoid of the first two blocks of W_ih x_t + b_ih + W_hh h_{t-1} + b_hh
        n = tanh(W_in x_t + b_in + r * (W_hn h_{t-1} + b_hn))
        h_t = (1 - z) * n + z * h_{t-1}

    Args:
        input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, learn_initial_state, checkpoint,
            truncate: As for ``RNN``.

    Shapes: ``output, h_n = layer(x, state=None, lengths=None)``, as for ``RNN``.

    Raises:
        ValueError, TypeError: as for ``RNN``.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> output, h_n = tg.nn.GRU(3, 4, batch_first=True)(np.ones((2, 5, 3), np.float32))
    >>> output.shape, h_n.shape
    ((2, 5, 4), (1, 2, 4))
    """

    kind = GATED_RECURRENT_UNIT
