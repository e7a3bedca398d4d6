"""The fused sequence of the GRU.

Inside, the state's share of the gates stands in the order n, r, z, the input's in the order r, z, n. So the gradients
of both lie in one array of four blocks: W_hn h, r, z, n, of which the state's are the first three, and the input's the
last three.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kinds import Weights
from .kernel import Kernel, blocks, chunks, features_first


class GatedRecurrentUnit(Kernel):
    """r, z from the input's and the state's share; n = tanh(x_n + r h_n); h_t = n + z (h_{t-1} - n)."""

    def __init__(self, weights: Weights) -> None:
        super().__init__(weights)
        size = self.hidden
        w_ih, w_hh, b_ih, b_hh = weights
        self.from_x = w_ih.copy() if b_ih is None else np.concatenate([w_ih, b_ih[:, None]], axis=1)
        self.from_x[: 2 * size] *= self.half
        from_h = w_hh if b_hh is None else np.concatenate([w_hh, b_hh[:, None]], axis=1)
        self.from_h = blocks(from_h, size, (2, 0, 1))
        self.from_h[size:] *= self.half
        self.back = blocks(w_hh, size, (2, 0, 1)).T.copy()

    def forward(self, x: Any, state: list[Any], hs: Any) -> tuple[list[Any], Any]:
        (h,) = state
        k, n, inputs = x.shape
        size, half = self.hidden, self.half
        gates = np.empty((k, 3 * size, n), h.dtype)  # W_hn h + b_hn, r, z
        fresh = np.empty((k, size, n), h.dtype)  # n
        change = np.empty((k, size, n), h.dtype)  # h - n
        scratch = np.empty_like(h)
        both, from_n, r, z = gates[:, size:], gates[:, :size], gates[:, size : 2 * size], gates[:, 2 * size :]
        for a, b in chunks(k, (3 * size + self.from_x.shape[1]) * n):
            at = slice(a, b)
            xs = np.empty((b - a, self.from_x.shape[1], n), h.dtype)
            xs[:, :inputs] = features_first(x[at])
            xs[:, inputs:] = 1
            shares = np.matmul(self.from_x, xs)
            states = np.empty((b - a + 1, self.from_h.shape[1], n), h.dtype)
            states[:, size:] = 1
            hidden = states[:, :size]
            hidden[0] = h
            x_rz, x_n = shares[:, : 2 * size], shares[:, 2 * size :]
            parts = (hidden[1:], gates[at], both[at], from_n[at], r[at], z[at], x_rz, x_n, fresh[at], change[at])
            for h1, h, h_t, all_t, rz, h_n, r_t, z_t, x_rz_t, x_n_t, n_t, d_t in zip(
                states, hidden, *parts, strict=False
            ):
                np.dot(self.from_h, h1, all_t)
                np.add(rz, x_rz_t, rz)
                np.tanh(rz, rz)
                np.multiply(rz, half, rz)
                np.add(rz, half, rz)
                np.multiply(r_t, h_n, scratch)
                np.add(scratch, x_n_t, scratch)
                np.tanh(scratch, n_t)
                np.subtract(h, n_t, d_t)
                np.multiply(z_t, d_t, scratch)
                np.add(n_t, scratch, h_t)
            hs[a + 1 : b + 1] = features_first(hidden[1:])
            h = hidden[-1]
        return [h.copy()], (gates, fresh, change)

    def backward(self, saved: Any, x: Any, hs: Any, gy: Any, dstate: list[Any], dx: Any, learns: bool) -> list[Any]:
        gates, fresh, change = saved
        k, n, _ = x.shape
        size = self.hidden
        dh = dstate[0].copy()
        through = np.empty_like(dh)
        dz = np.empty((4 * size, k, n), dh.dtype)
        for a, b in reversed(chunks(k, 4 * size * n)):
            at = slice(a, b)
            factors = self._factors(gates[at], fresh[at], change[at])
            given = np.ascontiguousarray(features_first(gy[at]))
            by_gate = factors.reshape(b - a, 4, size, n)
            of_state, z = factors[:, : 3 * size], gates[at, 2 * size :]
            for d, d_state, z_t, g in zip(by_gate[::-1], of_state[::-1], z[::-1], given[::-1], strict=True):
                np.add(dh, g, dh)
                np.multiply(d, dh, d)
                np.dot(self.back, d_state, through)
                np.multiply(dh, z_t, dh)
                np.add(dh, through, dh)
            dz[:, at] = factors.transpose(1, 0, 2)
        flat = dz.reshape(4 * size, k * n)
        of_input, of_state = flat[size:], flat[: 3 * size]
        if learns:
            self.learn(of_input, of_state, x, hs)
        if dx is not None:
            self.pass_on(of_input, self.weights.w_ih, dx)
        return [dh]

    def _factors(self, gates: Any, fresh: Any, change: Any) -> Any:
        """What dh is multiplied by for the gradients of W_hn h + b_hn, r, z and n."""
        size = self.hidden
        from_n, r, z = (gates[:, j * size : (j + 1) * size] for j in range(3))
        found = np.empty((len(gates), 4 * size, gates.shape[2]), gates.dtype)
        of_h, of_r, of_z, of_n = (found[:, j * size : (j + 1) * size] for j in range(4))
        np.subtract(1, z, of_z)
        np.multiply(fresh, fresh, of_n)
        np.subtract(1, of_n, of_n)
        np.multiply(of_n, of_z, of_n)  # (1 - z) (1 - n^2)
        np.multiply(of_z, z, of_z)
        np.multiply(of_z, change, of_z)
        np.multiply(of_n, r, of_h)
        np.subtract(1, r, of_r)
        np.multiply(of_r, of_h, of_r)
        np.multiply(of_r, from_n, of_r)
        return found

    def gradients(self) -> list[Any]:
        d_ih, d_hh, db_ih, db_hh = super().gradients()
        db_hh = db_hh if db_hh is None else blocks(db_hh, self.hidden, (1, 2, 0))
        return [d_ih, blocks(d_hh, self.hidden, (1, 2, 0)), db_ih, db_hh]
