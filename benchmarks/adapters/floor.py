"""No library: the matrix products of a recurrent layer and nothing else, written for NumPy as fast as they go.

The state is zero before the first step, which therefore has no product with it, forward or backward.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from . import FLOOR, Adapter, Arrays, Step

# Of the product of each step: sequences are rows, as in x, or columns.
LAYOUTS = ("rows", "columns")


class Floor(Adapter):
    name = FLOOR
    version = np.__version__

    def layer_step(self, _cell: str, variables: Arrays, constants: Arrays, **options: Any) -> Step:
        products = Products(variables, constants["upstream"], **options)  # as good as any for h

        def step(mark: Callable[[], None]) -> dict[str, Any]:
            products.forward()
            mark()
            products.backward()
            return products.gradients

        return step

    def layer_inference(self, _cell: str, variables: Arrays, constants: Arrays, **options: Any) -> Step:
        products = Products(variables, constants["upstream"], **options)

        def step(_mark: Callable[[], None]) -> dict[str, Any]:
            products.forward()
            return {"z": products.z}

        return step


class Products:
    """What lies between the products (the gates) is left out, so numbers of the right shapes stand for h and dz.

    Attributes:
        h: The states (T, B, H).
        dz: The gradients of the gates' sums (T, B, G H).
        z: The products with the inputs (T, B, G H).
        from_h: The products with the states, of each step but the first: (T - 1, B, G H), or with columns (.., G H, B).
        dh: What dz sends back to the state before, likewise.
        gradients: Of x and the weights.
    """

    def __init__(self, variables: Arrays, h: np.ndarray, layout: str) -> None:
        self.x, self.h = variables["x"], h
        self.w_ih, self.w_hh = variables["weight_ih_l0"], variables["weight_hh_l0"]
        steps, batch, hidden = h.shape
        rows = len(self.w_hh)
        self.dz = np.random.default_rng(1).standard_normal((steps, batch, rows), np.float32)
        self.z = np.empty_like(self.dz)
        arrays = {"x": self.x, "weight_ih_l0": self.w_ih, "weight_hh_l0": self.w_hh}
        self.gradients = {name: np.empty_like(a) for name, a in arrays.items()}
        w_hh_t = np.ascontiguousarray(self.w_hh.T)
        if layout == "rows":
            self.from_h, self.dh = (np.empty((steps - 1, batch, n), np.float32) for n in (rows, hidden))
            self._steps = [(a, w_hh_t, y) for a, y in zip(h[:-1], self.from_h, strict=True)]
            self._steps_back = [(a, self.w_hh, y) for a, y in zip(self.dz[1:], self.dh, strict=True)]
        else:
            self.from_h, self.dh = (np.empty((steps - 1, n, batch), np.float32) for n in (rows, hidden))
            h_t, dz_t = (np.ascontiguousarray(a.swapaxes(1, 2)) for a in (h[:-1], self.dz[1:]))
            self._steps = [(self.w_hh, a, y) for a, y in zip(h_t, self.from_h, strict=True)]
            self._steps_back = [(w_hh_t, a, y) for a, y in zip(dz_t, self.dh, strict=True)]

    def forward(self) -> None:
        np.dot(_flat(self.x), self.w_ih.T, out=_flat(self.z))
        for a, b, out in self._steps:
            np.dot(a, b, out=out)

    def backward(self) -> None:
        for a, b, out in reversed(self._steps_back):
            np.dot(a, b, out=out)
        dz = _flat(self.dz)
        np.dot(dz, self.w_ih, out=_flat(self.gradients["x"]))
        np.dot(dz.T, _flat(self.x), out=self.gradients["weight_ih_l0"])
        np.dot(_flat(self.dz[1:]).T, _flat(self.h[:-1]), out=self.gradients["weight_hh_l0"])


def _flat(a: np.ndarray) -> np.ndarray:
    """(T, B, N) as (T B, N), without a copy."""
    return a.reshape(-1, a.shape[-1])


ADAPTER = Floor()
