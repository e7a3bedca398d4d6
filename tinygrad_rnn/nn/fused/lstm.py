"""The fused sequence of the LSTM.

Inside, the gates stand in the order o, i, f, g: those with a sigmoid are the first three, and those through which the
memory's gradient goes are the last three, so that each of these is one array.
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
        self.wide[: 3 * self.hidden] *= 0.5
        self.back = last_block_first(weights.w_hh, self.hidden).T.copy()

    def forward(self, x: Any, state: list[Any], hs: Any) -> tuple[list[Any], Any]:
        h, c = state
        k, n, _ = x.shape
        size, rows = self.hidden, self.wide.shape[1]
        gates = np.empty((k, 4 * size, n), h.dtype)
        cells = np.empty((k + 1, size, n), h.dtype)
        squashed = np.empty((k, size, n), h.dtype)  # tanh(c_t)
        scratch = np.empty_like(c)
        cells[0] = c
        sigmoids = gates[:, : 3 * size]
        o, i, f, g = (gates[:, j * size : (j + 1) * size] for j in range(4))
        for a, b in chunks(k, rows * n):
            xh, hidden = self.stacked(x[a:b], h, rows)
            at = slice(a, b)
            parts = (gates[at], sigmoids[at], o[at], i[at], f[at], g[at], cells[at], cells[a + 1 : b + 1], squashed[at])
            for xh_t, h_t, z, s, o_t, i_t, f_t, g_t, before, c_t, tanh_c in zip(xh, hidden[1:], *parts, strict=False):
                np.dot(self.wide, xh_t, z)
                np.tanh(z, z)
                np.multiply(s, 0.5, s)
                np.add(s, 0.5, s)
                np.multiply(f_t, before, c_t)
                np.multiply(i_t, g_t, scratch)
                np.add(c_t, scratch, c_t)
                np.tanh(c_t, tanh_c)
                np.multiply(o_t, tanh_c, h_t)
            hs[a + 1 : b + 1] = features_first(hidden[1:])
            h = hidden[-1]
        return [h.copy(), cells[k]], (gates, cells, squashed)

    def backward(self, saved: Any, x: Any, hs: Any, gy: Any, dstate: list[Any], dx: Any, learns: bool) -> list[Any]:
        gates, cells, squashed = saved
        k, n, _ = x.shape
        size = self.hidden
        dh, dc = (d.copy() for d in dstate)
        scratch = np.empty_like(dh)
        dz = np.empty((4 * size, k, n), dh.dtype)
        for a, b in reversed(chunks(k, 4 * size * n)):
            at = slice(a, b)
            factors, of_c = self._factors(gates[at], cells[at], squashed[at])
            given = np.ascontiguousarray(features_first(gy[at]))
            forget = gates[at, 2 * size : 3 * size]
            by_gate = factors.reshape(b - a, 4, size, n)
            back = (part[::-1] for part in (factors, by_gate[:, 0], by_gate[:, 1:], of_c, forget, given))
            for d, d_o, d_ifg, f_c, f_t, g in zip(*back, strict=True):
                np.add(dh, g, dh)
                np.multiply(dh, f_c, scratch)
                np.add(dc, scratch, dc)
                np.multiply(d_o, dh, d_o)
                np.multiply(d_ifg, dc, d_ifg)
                np.multiply(dc, f_t, dc)
                np.dot(self.back, d, dh)
            dz[:, at] = factors.transpose(1, 0, 2)
        flat = dz.reshape(4 * size, k * n)
        if learns:
            self.learn(flat, flat, x, hs)
        if dx is not None:
            dx[...] = np.dot(flat.T, last_block_first(self.weights.w_ih, size)).reshape(dx.shape)
        return [dh, dc]

    def gradients(self) -> list[Any]:
        return [d if d is None else last_block_last(d, self.hidden) for d in super().gradients()]

    def _factors(self, gates: Any, cells: Any, squashed: Any) -> tuple[Any, Any]:
        """What dh (gate o) and dc (gates i, f, g) are multiplied by for the gates' gradients; and dh for that of c."""
        size = self.hidden
        sigmoids, g = gates[:, : 3 * size], gates[:, 3 * size :]
        found = np.empty_like(gates)
        of_sigmoids, of_g = found[:, : 3 * size], found[:, 3 * size :]
        np.subtract(1, sigmoids, of_sigmoids)
        np.multiply(of_sigmoids, sigmoids, of_sigmoids)
        for j, other in enumerate((squashed, g, cells)):
            part = found[:, j * size : (j + 1) * size]
            np.multiply(part, other, part)
        np.multiply(g, g, of_g)
        np.subtract(1, of_g, of_g)
        np.multiply(of_g, gates[:, size : 2 * size], of_g)
        of_c = np.multiply(squashed, squashed)
        np.subtract(1, of_c, of_c)
        np.multiply(of_c, gates[:, :size], of_c)
        return found, of_c
