"""What the kernels of all kinds have in common: their form, and the sums of the weights' gradients.

A kernel computes blocks (``plan.py``) forward and back in plain NumPy, written for the machine:

- arrays inside are (features, batch): the gates of one step are contiguous, and so is each of them, which NumPy's loops
  and the matrix products run fastest on;
- rows of gates with a sigmoid are halved beforehand, so that one ``tanh`` serves all gates: sigmoid(x) = (1 +
  tanh(x/2)) / 2;
- factors of the derivative that do not depend on the gradient that comes back through time are computed for many steps
  at once, as many as stay in the cache (``chunks``);
- the gradient of a weight is one product over all steps of a block.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ..kinds import Weights

_CHUNK = 1 << 17  # elements of an array that is gone through again and again: half a megabyte in float32


def chunks(steps: int, size: int) -> list[tuple[int, int]]:
    """Cut so many steps, of ``size`` elements each, into stretches that stay in the cache."""
    most = max(1, _CHUNK // max(size, 1))
    return list(pairwise([*range(0, steps, most), steps]))


def features_first(x: Any) -> Any:
    """(k, n, F) as (k, F, n): a view."""
    return x.transpose(0, 2, 1)


def blocks(w: Any, size: int, order: Sequence[int]) -> Any:
    """Blocks of ``size`` rows in another order."""
    return np.concatenate([w[j * size : (j + 1) * size] for j in order])


class Kernel(ABC):
    """The loop of one kind of net over one block, and back.

    Shapes: k steps, n rows; inputs x (k, n, I) and hidden states hs (k + 1, n, H), of which the first is the one to
    begin with, in the order of processing; states inside are lists of (H, n).
    """

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.hidden = weights.w_hh.shape[1]
        self.inputs = weights.w_ih.shape[1]
        self.width = len(weights.w_hh) + self.hidden  # elements that a row keeps for each step, about
        self.half = np.asarray(
            0.5, weights.w_hh.dtype
        )  # an array: to make one of a number takes as long as a small sum
        self.forget()

    def forget(self) -> None:
        """Start the sums of the weights' gradients anew."""
        self._sums: list[Any] = [None] * 4

    @abstractmethod
    def forward(self, x: Any, state: list[Any], hs: Any) -> tuple[list[Any], Any]:
        """Write h_1 ... h_k to ``hs``; return the last state, and what ``backward`` wants to find of the block."""

    @abstractmethod
    def backward(self, saved: Any, x: Any, hs: Any, gy: Any, dstate: list[Any], dx: Any, learns: bool) -> list[Any]:
        """From the gradients of h_1 ... h_k (k, n, H) and of the last state to that of the first.

        Adds to the weights' gradients if ``learns``, and writes the gradient of x to ``dx`` unless it is None.
        """

    def gradients(self) -> list[Any]:
        """Of w_ih, w_hh, b_ih and b_hh: the sums so far."""
        pairs = zip(self.weights, self._sums, strict=True)
        return [np.zeros_like(w) if d is None and w is not None else d for w, d in pairs]

    def widened(self) -> Any:
        """[W_ih W_hh b]: one product for input, state and bias; what it is multiplied with is [x; h; 1]."""
        w_ih, w_hh, b_ih, b_hh = self.weights
        return np.concatenate([w_ih, w_hh] if b_ih is None else [w_ih, w_hh, (b_ih + b_hh)[:, None]], axis=1)

    def stacked(self, x: Any, h: Any, rows: int) -> tuple[Any, Any]:
        """[x; h; 1] for a chunk of steps and one more, with the first h filled in; and its part of the h's."""
        k, n, inputs = x.shape
        found = np.empty((k + 1, rows, n), h.dtype)
        found[:k, :inputs] = features_first(x)
        found[:, inputs + self.hidden :] = 1
        hidden = found[:, inputs : inputs + self.hidden]
        hidden[0] = h
        return found, hidden

    def learn(self, d_input: Any, d_hidden: Any, x: Any, hs: Any) -> None:
        """Add what a block gives to the weights, from the gradients (G H, k n) of the input's and the state's share."""
        k, n, inputs = x.shape
        self._add(0, np.dot(d_input, x.reshape(k * n, inputs)))
        self._add(1, np.dot(d_hidden, hs[:-1].reshape(k * n, self.hidden)))
        if self.weights.b_ih is not None:
            ones = np.ones(k * n, d_input.dtype)  # a product sums rows faster than np.sum
            of_input = np.dot(d_input, ones)
            self._add(2, of_input)
            self._add(3, of_input.copy() if d_hidden is d_input else np.dot(d_hidden, ones))

    def pass_on(self, d_input: Any, w_ih: Any, dx: Any) -> None:
        """Write the gradient of x (k, n, I), from that of the input's share (G H, k n); the weights in its order."""
        if dx.flags.c_contiguous:
            np.dot(d_input.T, w_ih, dx.reshape(len(dx) * dx.shape[1], self.inputs))
        else:
            dx[...] = np.dot(d_input.T, w_ih).reshape(dx.shape)

    def _add(self, i: int, d: Any) -> None:
        self._sums[i] = d if self._sums[i] is None else np.add(self._sums[i], d, self._sums[i])
