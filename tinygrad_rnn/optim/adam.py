"""Adam and AdamW: running means of the gradient and of its square."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from .optimizer import Optimizer, decayed, kept


class Adam(Optimizer):
    """m <- b1 m + (1 - b1) g, v <- b2 v + (1 - b2) g^2, x <- x - lr m' / (sqrt(v') + eps), m' and v' unbiased.

    At step t, m' = m / (1 - b1^t) and v' = v / (1 - b2^t). Equal to ``torch.optim.Adam``. Kingma and Ba, "Adam" (2015);
    ``amsgrad`` uses the largest v so far (Reddi, Kale and Kumar, 2018).

    Args:
        params: Tensors, or dicts of groups.
        lr: Learning rate, at least 0.
        betas: b1 and b2, in [0, 1).
        eps: Added to the root.
        weight_decay: Adds weight_decay x to the gradient.
        amsgrad: Keep the largest v.

    Raises:
        ValueError, TypeError: as ``Optimizer`` says.

    >>> import tinygrad_rnn as tg
    >>> w = tg.nn.Parameter([1.0, 2.0])
    >>> optimizer = tg.optim.Adam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.numpy().round(4)
    array([0.9, 1.9], dtype=float32)
    """

    decoupled = False  # is the weight decay kept out of the running means?

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
    ) -> None:
        options = {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad}
        super().__init__(params, options)

    def check(self, group: dict[str, Any]) -> None:
        super().check(group)
        betas = group["betas"]
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"{type(self).__name__}: expected two betas in [0, 1), got {betas}")

    def update(self, x: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        beta1, beta2 = group["betas"]
        lr = group["lr"]
        if self.decoupled:
            x *= 1 - lr * group["weight_decay"]
        else:
            g = decayed(g, x, group)
        step = state["step"] = state.get("step", 0) + 1
        m, v, t = kept(state, "exp_avg", x), kept(state, "exp_avg_sq", x), np.empty_like(x)
        np.subtract(g, m, out=t)
        t *= 1 - beta1
        m += t
        np.multiply(g, g, out=t)
        t *= 1 - beta2
        v *= beta2
        v += t
        if group["amsgrad"]:
            largest = kept(state, "max_exp_avg_sq", x)
            v = np.maximum(largest, v, out=largest)
        np.sqrt(v, out=t)
        t /= math.sqrt(1 - beta2**step)
        t += group["eps"]
        np.divide(m, t, out=t)
        t *= lr / (1 - beta1**step)
        x -= t


class AdamW(Adam):
    """Adam with the weight decay apart from the gradient: first x <- x - lr weight_decay x, then Adam's step.

    Equal to ``torch.optim.AdamW``. Loshchilov and Hutter, "Decoupled Weight Decay Regularization" (2019).

    Args: as ``Adam``; ``weight_decay`` is 0.01 if not given.

    >>> import tinygrad_rnn as tg
    >>> w = tg.nn.Parameter([1.0, 2.0])
    >>> optimizer = tg.optim.AdamW([w], lr=0.1, weight_decay=0.5)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.numpy().round(4)
    array([0.85, 1.8 ], dtype=float32)
    """

    decoupled = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad)
