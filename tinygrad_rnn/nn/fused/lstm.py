"""The fused sequence of the LSTM.

Inside, a step has six blocks of H rows: i, f, o, g, c_{t-1} and tanh(c_t). So the gates with a sigmoid are one array,
and so are i, f, o and what they are multiplied by: g, c_{t-1}, tanh(c_t).

Its factors of the derivative stand in another order, c_{t-1}, g, i, f, o, c_t, in which one product with dc serves the
first four, and one with dh the last two; the gradients of the gates lie in between.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kinds import Weights
from .kernel import Kernel, blocks, chunks, features_first


class LongShortTermMemory(Kernel):
    """i, f, g, o from W_ih x_t + b_ih + W_hh h_{t-1} + b_hh; c_t = f c_{t-1} + i g; h_t = o tanh(c_t)."""

    def __init__(self, weights: Weights) -> None:
        super().__init__(weights)
        self.wide = blocks(self.widened(), self.hidden, (0, 1, 3, 2))
        self.wide[: 3 * self.hidden] *= self.half
        self.back = blocks(weights.w_hh, self.hidden, (2, 0, 1, 3)).T.copy()

    def forward(self, x: Any, state: list[Any], hs: Any) -> tuple[list[Any], Any]:
        h, c = state
        k, n, _ = x.shape
        size, rows, half = self.hidden, self.wide.shape[1], self.half
        found = np.empty((k + 1, 6 * size, n), h.dtype)  # of the last one only c
        found[0, 4 * size : 5 * size] = c
        both = np.empty((2 * size, n), h.dtype)
        from_g, from_c = both[:size], both[size:]
        saved, cells = found[:-1], found[1:, 4 * size : 5 * size]
        parts = (
            saved[:, : 4 * size], saved[:, : 3 * size], saved[:, : 2 * size], saved[:, 3 * size : 5 * size],
            saved[:, 2 * size : 3 * size], cells, saved[:, 5 * size :],
        )  # fmt: skip
        for a, b in chunks(k, rows * n):
            xh, hidden = self.stacked(x[a:b], h, rows)
            at = (part[a:b] for part in parts)
            for xh_t, h_t, z, sigmoids, i_f, g_c, o, c_t, tanh_c in zip(xh, hidden[1:], *at, strict=False):
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
        return [h.copy(), cells[-1].copy()], saved

    def backward(self, saved: Any, x: Any, hs: Any, gy: Any, dstate: list[Any], dx: Any, learns: bool) -> list[Any]:
        k, n, _ = x.shape
        size = self.hidden
        dh, dc = dstate[0].copy(), dstate[1]
        dz = np.empty((4, size, k, n), dh.dtype)  # i, f, g, o
        for a, b in reversed(chunks(k, 4 * size * n)):
            factors = self._factors(saved[a:b])
            given = np.ascontiguousarray(features_first(gy[a:b]))
            by_block = factors.reshape(b - a, 6, size, n)
            back = (
                part[::-1]
                for part in (by_block[:, 5], by_block[:, 4:], by_block[:, :4], factors[:, size : 5 * size], given)
            )
            for dc_t, by_dh, by_dc, d, g in zip(*back, strict=True):
                np.add(dh, g, dh)
                np.multiply(by_dh, dh, by_dh)
                np.add(dc_t, dc, dc_t)
                np.multiply(by_dc, dc_t, by_dc)
                dc = by_dc[0]
                np.dot(self.back, d, dh)
            for gate, block in enumerate((2, 3, 1, 4)):
                dz[gate, :, a:b] = by_block[:, block].transpose(1, 0, 2)
        flat = dz.reshape(4 * size, k * n)
        if learns:
            self.learn(flat, flat, x, hs)
        if dx is not None:
            self.pass_on(flat, self.weights.w_ih, dx)
        return [dh, dc.copy()]

    def _factors(self, saved: Any) -> Any:
        """What dc is multiplied by for the dc before and for gates g, i and f, and dh for gate o and for dc."""
        steps, _, n = saved.shape
        size = self.hidden
        sigmoids, others = saved[:, : 3 * size], saved[:, 3 * size :]
        found = np.empty_like(saved)
        of_sigmoids = found[:, 2 * size : 5 * size]
        products = np.multiply(sigmoids, others)  # i g, f c_{t-1}, h_t
        np.subtract(1, sigmoids, of_sigmoids)
        np.multiply(of_sigmoids, products, of_sigmoids)  # g i (1 - i), c_{t-1} f (1 - f), tanh(c_t) o (1 - o)
        of = found.reshape(steps, 6, size, n)
        sigmoid, other, product = (a.reshape(steps, 3, size, n) for a in (sigmoids, others, products))
        np.multiply(other[:, ::2], product[:, ::2], of[:, 1::4])
        np.subtract(sigmoid[:, ::2], of[:, 1::4], of[:, 1::4])  # i (1 - g^2), o (1 - tanh^2(c_t))
        of[:, 0] = sigmoid[:, 1]
        return found
