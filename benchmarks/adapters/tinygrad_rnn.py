"""This library."""

from collections.abc import Sequence
from typing import Any

import numpy as np

import tinygrad_rnn as tg

from . import Adapter


class TinygradRNN(Adapter):
    name = "tinygrad_rnn"
    version = tg.__version__
    tanh = staticmethod(np.tanh)
    sigmoid = staticmethod(tg.functional.sigmoid)

    def stack(self, parts: Sequence[Any]) -> Any:
        return np.stack(parts)

    def split(self, x: Any, parts: int) -> Sequence[Any]:
        return np.split(x, parts, axis=-1)

    def variable(self, array: np.ndarray) -> Any:
        return tg.Tensor(array, requires_grad=True)

    def to_numpy(self, gradient: Any) -> np.ndarray:
        return np.asarray(gradient.numpy())


ADAPTER = TinygradRNN()
