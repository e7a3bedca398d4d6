"""HIPS autograd."""

from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd import make_vjp
from autograd.scipy.special import expit

from . import Adapter, Arrays, Loss, Step


class Autograd(Adapter):
    name = "autograd"
    version = version("autograd")
    longest_chain = 100_000
    tanh = staticmethod(anp.tanh)
    sigmoid = staticmethod(expit)

    def stack(self, parts: Sequence[Any]) -> Any:
        return anp.stack(parts)

    def split(self, x: Any, parts: int) -> Sequence[Any]:
        answer: Sequence[Any] = anp.split(x, parts, axis=-1)
        return answer

    def record(self, f: Callable[[Any], Any], array: np.ndarray) -> Callable[[], Any]:
        walk, value = make_vjp(f)(array)
        return lambda: walk(np.ones_like(value))

    def training_step(self, loss: Loss, variables: Arrays, constants: Arrays) -> Step:
        # What value_and_grad does, in two halves so that they can be timed apart.
        recorded = make_vjp(lambda traced: loss(self, traced, constants))

        def step(mark: Callable[[], None]) -> dict[str, Any]:
            walk, value = recorded(dict(variables))
            mark()
            gradients: dict[str, Any] = walk(np.ones_like(value))
            return gradients

        return step


ADAPTER = Autograd()
