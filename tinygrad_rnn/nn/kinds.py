"""The kinds of recurrent net: one step of each in array operations, and the loop over time that unrolls it.

This is the mathematics, written once. A cell applies a step; ``unroll`` applies it along a sequence by ``tg.scan``,
so that the recorded graph is the unrolled net. The layers' fused sequences (``fused/``) compute the same numbers in one
node; ``unroll`` is their definition, which is walked wherever one node is not enough: for derivatives of higher
order, and for pictures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..functional import linear, relu, sigmoid
from ..recurrence import scan
from ..tensor import Tensor


class Weights(NamedTuple):
    """The parameters of one step: (G H, I), (G H, H) and two biases (G H,), or None for both."""

    w_ih: Any
    w_hh: Any
    b_ih: Any
    b_hh: Any


@dataclass(frozen=True)
class Kind:
    """A kind of recurrent net.

    Attributes:
        name: Of its fused sequence, as graphs show it.
        gates: G: how many blocks of H rows its weights have.
        memory: Whether its state is a pair (h, c), not h alone.
        step: ``step(state, from_x, w_hh, b_hh)`` returns the next state; ``from_x`` (..., G H) is the input's share.
        joins_biases: Whether b_hh is added to the input's share, and ``step`` is given None for it.
    """

    name: str
    gates: int
    memory: bool
    step: Callable[[Any, Any, Any, Any], Any]
    joins_biases: bool = True

    def from_input(self, x: Any, weights: Weights) -> Any:
        """What the input gives to the gates, all steps at once: (..., I) to (..., G H)."""
        w_ih, _, b_ih, b_hh = weights
        return linear(x, w_ih, b_ih + b_hh if self.joins_biases and b_ih is not None else b_ih)

    def advance(self, state: Any, from_x: Any, weights: Weights) -> Any:
        """The next state from the last one and what ``from_input`` made of x_t."""
        return self.step(state, from_x, weights.w_hh, None if self.joins_biases else weights.b_hh)


def _elman_tanh(h: Any, from_x: Any, w_hh: Any, _b_hh: Any) -> Any:
    """h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh). Elman, "Finding Structure in Time" (1990)."""
    return np.tanh(from_x + linear(h, w_hh))


def _elman_relu(h: Any, from_x: Any, w_hh: Any, _b_hh: Any) -> Any:
    """The same with max(0, .) for tanh. Le, Jaitly and Hinton (2015) start it with the identity for W_hh."""
    return relu(from_x + linear(h, w_hh))


def _long_short_term_memory(state: Any, from_x: Any, w_hh: Any, _b_hh: Any) -> Any:
    """Gates that decide what a memory cell forgets, takes in and shows.

        i, f, g, o = sigmoid, sigmoid, tanh, sigmoid of the four blocks of W_ih x_t + b_ih + W_hh h_{t-1} + b_hh
        c_t = f * c_{t-1} + i * g
        h_t = o * tanh(c_t)

    Hochreiter and Schmidhuber, "Long Short-Term Memory" (1997), with the forget gate of Gers, Schmidhuber and Cummins,
    "Learning to Forget" (2000). Lecture, section 3, "LSTM Math"; the order of the gates is PyTorch's.
    """
    h, c = state
    i, f, g, o = np.split(from_x + linear(h, w_hh), 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def _gated_recurrent_unit(h: Any, from_x: Any, w_hh: Any, b_hh: Any) -> Any:
    """Gates that decide how much of the old state is kept (z), and how much of it the new one sees (r).

        r = sigmoid(W_ir x_t + b_ir + W_hr h_{t-1} + b_hr)
        z = sigmoid(W_iz x_t + b_iz + W_hz h_{t-1} + b_hz)
        n = tanh(W_in x_t + b_in + r * (W_hn h_{t-1} + b_hn))
        h_t = (1 - z) * n + z * h_{t-1}

    Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder" (2014), in PyTorch's variant: r is applied
    after the product with W_hn, not before.
    """
    x_r, x_z, x_n = np.split(from_x, 3, axis=-1)
    h_r, h_z, h_n = np.split(linear(h, w_hh, b_hh), 3, axis=-1)
    r = sigmoid(x_r + h_r)
    z = sigmoid(x_z + h_z)
    n = np.tanh(x_n + r * h_n)
    return (1 - z) * n + z * h


ELMAN = {
    "tanh": Kind("rnn_tanh", 1, False, _elman_tanh),
    "relu": Kind("rnn_relu", 1, False, _elman_relu),
}
LONG_SHORT_TERM_MEMORY = Kind("lstm", 4, True, _long_short_term_memory)
GATED_RECURRENT_UNIT = Kind("gru", 3, False, _gated_recurrent_unit, joins_biases=False)


def unroll(
    kind: Kind,
    x: Any,
    state: Any,
    weights: Weights,
    *,
    lengths: Any = None,
    reverse: bool = False,
    checkpoint: int | None = None,
    truncate: int | None = None,
) -> tuple[Any, Any]:
    """Apply a step along x (T, B, I) from a state (B, H), operation by operation: outputs (T, B, H), last state.

    The input's share of the gates is one product for all steps; only the product with the state is left for each step.
    """
    if lengths is not None:
        x = _without_padding(x, lengths)

    def step(state: Any, from_x_t: Any) -> tuple[Any, Any]:
        state = kind.advance(state, from_x_t, weights)
        return state, state[0] if kind.memory else state

    from_x = kind.from_input(x, weights)
    last, ys = scan(step, state, from_x, lengths=lengths, reverse=reverse, checkpoint=checkpoint, truncate=truncate)
    return ys, last


def _without_padding(x: Any, lengths: Any) -> Any:
    """``x`` (T, B, I) with zeros past each length: NaN there would reach the weights' gradient through 0 * NaN."""
    ends = lengths.numpy() if isinstance(lengths, Tensor) else np.asarray(lengths)
    return np.where((np.arange(x.shape[0])[:, None] < ends)[..., None], x, 0)
