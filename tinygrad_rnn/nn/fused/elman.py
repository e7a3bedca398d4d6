"""The fused sequence of the plain recurrent net, h_t = f(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kinds import Weights
from .kernel import Kernel, chunks, features_first


class Elman(Kernel):
    """With tanh, or with max(0, .) where ``rectified``."""

    rectified = False

    def __init__(self, weights: Weights) -> None:
        super().__init__(weights)
        self.wide = self.widened()
        self.back = weights.w_hh.T.copy()

    def forward(self, x: Any, state: list[Any], hs: Any) -> tuple[list[Any], Any]:
        (h,) = state
        rows, zero = self.wide.shape[1], np.zeros((), x.dtype)
        for a, b in chunks(len(x), rows * x.shape[1]):
            xh, hidden = self.stacked(x[a:b], h, rows)
            for xh_t, h_t in zip(xh[:-1], hidden[1:], strict=True):
                np.dot(self.wide, xh_t, h_t)
                if self.rectified:
                    np.maximum(h_t, zero, out=h_t)
                else:
                    np.tanh(h_t, h_t)
            hs[a + 1 : b + 1] = features_first(hidden[1:])
            h = hidden[-1]
        return [h.copy()], None

    def backward(self, saved: Any, x: Any, hs: Any, gy: Any, dstate: list[Any], dx: Any, learns: bool) -> list[Any]:
        k, n, _ = x.shape
        dh = dstate[0].copy()
        dz = np.empty((self.hidden, k, n), dh.dtype)
        for a, b in reversed(chunks(k, self.hidden * n)):
            factors = np.empty((b - a, self.hidden, n), dh.dtype)
            factors[...] = features_first(hs[a + 1 : b + 1])
            if self.rectified:
                np.less_equal(factors, 0, out=factors)  # NaN is neither above nor below: it passes on, as in relu
                np.subtract(1, factors, factors)
            else:
                np.multiply(factors, factors, factors)
                np.subtract(1, factors, factors)
            given = np.ascontiguousarray(features_first(gy[a:b]))
            for d, g in zip(factors[::-1], given[::-1], strict=True):
                np.add(dh, g, dh)
                np.multiply(d, dh, d)
                np.dot(self.back, d, dh)
            dz[:, a:b] = factors.transpose(1, 0, 2)
        flat = dz.reshape(self.hidden, k * n)
        if learns:
            self.learn(flat, flat, x, hs)
        if dx is not None:
            self.pass_on(flat, self.weights.w_ih, dx)
        return [dh]


class RectifiedElman(Elman):
    rectified = True
