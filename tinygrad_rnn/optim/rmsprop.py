"""RMSprop: steps divided by the recent size of the gradient."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .optimizer import Optimizer, decayed, kept


class RMSprop(Optimizer):
    """v <- alpha v + (1 - alpha) g^2 and x <- x - lr g / (sqrt(v) + eps).

    Equal to ``torch.optim.RMSprop``. Tieleman and Hinton, "Lecture 6.5" (2012); ``centered`` divides by the standard
    deviation instead, v - m^2 with m the running mean of g (Graves, "Generating Sequences with Recurrent Neural
    Networks", 2013).

    Args:
        params: Tensors, or dicts of groups.
        lr: Learning rate, at least 0.
        alpha: How slowly v forgets.
        eps: Added to the root.
        weight_decay: Adds weight_decay x to the gradient.
        momentum: With momentum, b <- momentum b + g / (sqrt(v) + eps) and x <- x - lr b.
        centered: Subtract the squared mean.

    Raises:
        ValueError, TypeError: as ``Optimizer`` says.

    >>> import tinygrad_rnn as tg
    >>> w = tg.nn.Parameter([1.0, 2.0])
    >>> optimizer = tg.optim.RMSprop([w], lr=0.01)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.numpy().round(4)
    array([0.9, 1.9], dtype=float32)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
    ) -> None:
        options = {"lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**options, "momentum": momentum, "centered": centered})

    def update(self, x: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        g, alpha = decayed(g, x, group), group["alpha"]
        state["step"] = state.get("step", 0) + 1
        v, t = kept(state, "square_avg", x), np.empty_like(x)
        np.multiply(g, g, out=t)
        t *= 1 - alpha
        v *= alpha
        v += t
        if group["centered"]:
            m = kept(state, "grad_avg", x)
            np.subtract(g, m, out=t)
            t *= 1 - alpha
            m += t
            np.multiply(m, m, out=t)
            np.subtract(v, t, out=t)
            np.sqrt(t, out=t)
        else:
            np.sqrt(v, out=t)
        t += group["eps"]
        np.divide(g, t, out=t)
        if group["momentum"] > 0:
            b = kept(state, "momentum_buffer", x)
            b *= group["momentum"]
            b += t
            np.multiply(b, group["lr"], out=t)
        else:
            t *= group["lr"]
        x -= t
