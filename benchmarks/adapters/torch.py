"""PyTorch on the CPU."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from . import Adapter


class Torch(Adapter):
    name = "torch"
    version = torch.__version__
    tanh = staticmethod(torch.tanh)
    sigmoid = staticmethod(torch.sigmoid)

    def stack(self, parts: Sequence[Any]) -> Any:
        return torch.stack(tuple(parts))

    def split(self, x: Any, parts: int) -> Sequence[Any]:
        return torch.chunk(x, parts, dim=-1)

    def variable(self, array: np.ndarray) -> Any:
        return torch.tensor(array, requires_grad=True)

    def constant(self, array: np.ndarray) -> Any:
        return torch.tensor(array)

    def to_numpy(self, gradient: Any) -> np.ndarray:
        return np.asarray(gradient.numpy())

    def use_threads(self, threads: int) -> None:
        torch.set_num_threads(threads)


ADAPTER = Torch()
