"""Stochastic gradient descent, with momentum."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .optimizer import Optimizer, decayed


class SGD(Optimizer):
    """Gradient descent: x <- x - lr g, or with momentum, b <- momentum b + (1 - dampening) g and x <- x - lr b.

    Equal to ``torch.optim.SGD``; b begins as g. With ``nesterov``, x <- x - lr (g + momentum b) (Sutskever, Martens,
    Dahl and Hinton, "On the Importance of Initialization and Momentum in Deep Learning", 2013).

    Args:
        params: Tensors, or dicts of groups.
        lr: Learning rate, at least 0.
        momentum: At least 0.
        dampening: Share of the gradient that does not go into the momentum.
        weight_decay: Adds weight_decay x to the gradient.
        nesterov: Look ahead; needs momentum, and no dampening.

    Raises:
        ValueError, TypeError: as ``Optimizer`` says.

    >>> import tinygrad_rnn as tg
    >>> w = tg.nn.Parameter([1.0, 2.0])
    >>> optimizer = tg.optim.SGD([w], lr=0.5)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.tolist()
    [0.0, 0.0]
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        options = {"lr": lr, "momentum": momentum, "dampening": dampening}
        super().__init__(params, {**options, "weight_decay": weight_decay, "nesterov": nesterov})

    def check(self, group: dict[str, Any]) -> None:
        super().check(group)
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ValueError(
                f"SGD: nesterov needs momentum > 0 and dampening 0, got {group['momentum']} and {group['dampening']}"
            )

    def update(self, x: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        g, momentum = decayed(g, x, group), group["momentum"]
        if momentum:
            b = state.get("momentum_buffer")
            if b is None:
                b = state["momentum_buffer"] = np.array(g, x.dtype)
            else:
                b *= momentum
                b += g * (1 - group["dampening"])
            g = g + momentum * b if group["nesterov"] else b
        x -= group["lr"] * g
