"""No library: a training step of an LSTM whose work between the matrix products is a compiled loop (``lstm.c``).

It says how much a compiled dependency would give. The products stay NumPy's, with features as rows; all arrays are
there beforehand.
"""

import ctypes
import subprocess
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from . import COMPILED, Adapter, Arrays, Step

SOURCE = Path(__file__).with_name("lstm.c")
COMPILE = ("cc", "-O3", "-march=native", "-ffast-math", "-fPIC", "-c")
LINK = ("cc", "-shared")  # by itself: linked with -ffast-math it would switch off denormal numbers everywhere


def available() -> bool:
    try:
        loops()
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


@cache
def loops() -> ctypes.CDLL:
    """Compile and load the loops.

    Raises:
        OSError: there is no compiler.
        subprocess.CalledProcessError: they do not compile.
    """
    with tempfile.TemporaryDirectory() as folder:
        compiled, library = (str(Path(folder) / name) for name in ("lstm.o", "lstm.so"))
        for command in ([*COMPILE, str(SOURCE), "-o", compiled], [*LINK, compiled, "-o", library, "-lm"]):
            subprocess.run(command, check=True, capture_output=True)
        return ctypes.CDLL(library)


class Compiled(Adapter):
    name = COMPILED
    version = "C"

    def layer_step(self, _cell: str, variables: Arrays, constants: Arrays, **_options: Any) -> Step:
        net = LongShortTermMemory(variables, constants["upstream"])

        def step(mark: Callable[[], None]) -> dict[str, Any]:
            net.forward()
            mark()
            return net.backward()

        return step


class LongShortTermMemory:
    """One layer from a zero state: x (T, B, I), upstream (T, B, H), parameters as torch has them."""

    def __init__(self, variables: Arrays, upstream: np.ndarray) -> None:
        self.x, self.upstream = variables["x"], upstream
        self.w_ih, self.w_hh = variables["weight_ih_l0"], variables["weight_hh_l0"]
        self.bias = variables["bias_ih_l0"] + variables["bias_hh_l0"]
        (T, B, inputs), H = self.x.shape, upstream.shape[2]
        self.size, self.inputs = H, inputs

        def array(*shape: int) -> np.ndarray:
            return np.zeros(shape, np.float32)

        self.xh = array(T + 1, inputs + H + 1, B)
        self.gates, self.squashed = array(T + 1, 5 * H, B), array(T, H, B)
        self.hs, self.outputs = array(T, B, H), array(T, B, H)
        self.given, self.each, self.dz = array(T, H, B), array(T, 4 * H, B), array(4 * H, T, B)
        self.dh, self.dc = array(H, B), array(H, B)
        states = self.xh[1:, inputs : inputs + H]
        parts = (self.gates, self.gates[1:, 4 * H :], self.squashed, states)
        self.addresses = [*zip(*(steps(part)[:T] for part in parts), strict=True)]
        back = (self.gates, self.squashed, self.given, self.each)
        self.addresses_back = [*zip(*(steps(part)[:T][::-1] for part in back), strict=True)]

    def forward(self) -> None:
        size, states = self.size, slice(self.inputs, self.inputs + self.size)
        wide = np.concatenate([self.w_ih, self.w_hh, self.bias[:, None]], axis=1)
        self.xh[:-1, : self.inputs] = self.x.swapaxes(1, 2)
        self.xh[:, -1] = 1
        run, n = loops().forward, ctypes.c_long(self.squashed[0].size)
        for t, (gates, c, squashed, h) in enumerate(self.addresses):
            np.dot(wide, self.xh[t], self.gates[t, : 4 * size])
            run(n, gates, c, squashed, h)
        self.outputs[...] = self.xh[1:, states].swapaxes(1, 2)
        self.hs[1:] = self.outputs[:-1]

    def backward(self) -> dict[str, Any]:
        size = self.size
        back = np.ascontiguousarray(self.w_hh.T)
        self.given[...] = self.upstream.swapaxes(1, 2)
        self.dh[...] = self.dc[...] = 0
        dh, dc = (ctypes.c_void_p(a.ctypes.data) for a in (self.dh, self.dc))
        run, n = loops().backward, ctypes.c_long(self.dh.size)
        for dz, (gates, squashed, given, dz_at) in zip(self.each[::-1], self.addresses_back, strict=True):
            run(n, gates, squashed, given, dh, dc, dz_at)
            np.dot(back, dz, self.dh)
        self.dz[...] = self.each.swapaxes(0, 1)
        flat = self.dz.reshape(4 * size, -1)
        bias = np.dot(flat, np.ones(flat.shape[1], np.float32))
        return {
            "x": np.dot(flat.T, self.w_ih).reshape(self.x.shape),
            "weight_ih_l0": np.dot(flat, self.x.reshape(-1, self.inputs)),
            "weight_hh_l0": np.dot(flat, self.hs.reshape(-1, size)),
            "bias_ih_l0": bias, "bias_hh_l0": bias.copy(),
        }  # fmt: skip


def steps(array: np.ndarray) -> list[ctypes.c_void_p]:
    """Where each step of an array along time begins."""
    first, stride = array.ctypes.data, array.strides[0]
    return [ctypes.c_void_p(first + t * stride) for t in range(len(array))]


ADAPTER = Compiled()
