"""The fused sequence of the LSTM.

Inside, the gates stand in the order o, i, f, g, with c_{t-1} behind them. So the gates with a sigmoid are one array,
and so are i and f, and what they are multiplied by. The factors of the derivative stand in an order of the same kind:
what dh is multiplied by comes first, what dc is multiplied by last.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kinds import Weights
from .kernel import Kernel, chunks, features_first, last_block_first, last_block_last


class LongShortTermMemory(Kernel):
    """i, f, g, o from W_ih x_t + b_ih + W_hh h_{t-1} + b_hh; c_t = f c_{t-1} + i g; h_t = o tanh(c_t)."""

    def __init__(self, weights: Weights) -> None:
        super().__init__(weights)
        self.wide = last_block_first(self.widened(), self.hidden)
        self.wide[: 3 * self.hidden] *= self.half
        self.back = last_block_first(weights.w_hh, self.hidden).T.copy()

    def forward(self, x: Any, state: list[Any], hs: Any) -> tuple[list[Any], Any]:
        h, c = state
        k, n, _ = x.shape
        size, rows, half = self.hidden, self.wide.shape[1], self.half
        blocks = np.empty((k + 1, 5 * size, n), h.dtype)  # o, i, f, g, c_{t-1}; of the last step only c
        squashed = np.empty((k, size, n), h.dtype)  # tanh(c_t)
        both = np.empty((2 * size, n), h.dtype)
        from_g, from_c = both[:size], both[size:]
        blocks[0, 4 * size :] = c
        gates, cells = blocks[:-1], blocks[1:, 4 * size :]
        parts = (
            gates[:, : 4 * size], gates[:, : 3 * size], gates[:, :size], gates[:, size : 3 * size],
            gates[:, 3 * size :], cells, squashed,
        )  # fmt: skip
        for a, b in chunks(k, rows * n):
            xh, hidden = self.stacked(x[a:b], h, rows)
            at = (part[a:b] for part in parts)
            for xh_t, h_t, z, sigmoids, o, i_f, g_c, c_t, tanh_c in zip(xh, hidden[1:], *at, strict=False):
                np.dot(self.wide, xh_t, z)
                np.tanh(z, z)
                np.multiply(sigmoids, half, sigmoids)
                np.add(sigmoids, half, sigmoids)
                np.multiply(i_f, g_c, both)
                np.add(from_g, from_c, c_t)
                np.tanh(c_t, tanh_c)
                np.multiply(o, tanh_c, h_t)
            hs[a + 1 : b + 1] = features_first(hidden[1:])
            h = hidden[-1]
        return [h.copy(), cells[-1].copy()], (gates, squashed)

    def backward(self, saved: Any, x: Any, hs: Any, gy: Any, dstate: list[Any], dx: Any, learns: bool) -> list[Any]:
        gates, squashed = saved
        k, n, _ = x.shape
        size = self.hidden
        dh, dc = dstate[0].copy(), dstate[1]
        dz = np.empty((4 * size, k, n), dh.dtype)
        for a, b in reversed(chunks(k, 4 * size * n)):
            factors = self._factors(gates[a:b], squashed[a:b])
            given = np.ascontiguousarray(features_first(gy[a:b]))
            by_block = factors.reshape(b - a, 6, size, n)
            d_gates = factors[:, size : 5 * size]
            back = (part[::-1] for part in (by_block[:, 0], by_block[:, :2], by_block[:, 2:], d_gates, given))
            for dc_t, by_dh, by_dc, d, g in zip(*back, strict=True):
                np.add(dh, g, dh)
                np.multiply(by_dh, dh, by_dh)
                np.add(dc_t, dc, dc_t)
                np.multiply(by_dc, dc_t, by_dc)
                dc = by_dc[3]
                np.dot(self.back, d, dh)
            dz[:, a:b] = d_gates.transpose(1, 0, 2)
        flat = dz.reshape(4 * size, k * n)
        if learns:
            self.learn(flat, flat, x, hs)
        if dx is not None:
            self.pass_on(flat, last_block_first(self.weights.w_ih, size), dx)
        return [dh, dc.copy()]

    def _factors(self, gates: Any, squashed: Any) -> Any:
        """What dh is multiplied by for dc and for gate o, and dc for gates i, f and g, and for the dc before."""
        size = self.hidden
        found = np.empty((len(gates), 6 * size, gates.shape[2]), gates.dtype)
        of_c, of_sigmoids, of_o = found[:, :size], found[:, size : 4 * size], found[:, size : 2 * size]
        of_i_f, of_g = found[:, 2 * size : 4 * size], found[:, 4 * size : 5 * size]
        sigmoids, g = gates[:, : 3 * size], gates[:, 3 * size : 4 * size]
        np.multiply(squashed, squashed, of_c)
        np.subtract(1, of_c, of_c)
        np.multiply(of_c, gates[:, :size], of_c)
        np.subtract(1, sigmoids, of_sigmoids)
        np.multiply(of_sigmoids, sigmoids, of_sigmoids)
        np.multiply(of_o, squashed, of_o)
        np.multiply(of_i_f, gates[:, 3 * size :], of_i_f)
        np.multiply(g, g, of_g)
        np.subtract(1, of_g, of_g)
        np.multiply(of_g, gates[:, size : 2 * size], of_g)
        found[:, 5 * size :] = gates[:, 2 * size : 3 * size]
        return found

    def gradients(self) -> list[Any]:
        return [d if d is None else last_block_last(d, self.hidden) for d in super().gradients()]
