"""Gradient clipping: what keeps an exploding gradient from throwing the parameters away."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..tensor import Tensor


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> float:
    """Scale all gradients together so that their norm is at most ``max_norm``: g <- eta g / ||g|| if ||g|| > eta.

    The lecture's rule exactly (section 3, "Gradient Clipping"; Pascanu, Mikolov and Bengio, 2013): unlike PyTorch's, no
    epsilon is added to the norm, and gradients within the bound are left alone. The norm is that of all gradients laid
    end to end, summed in float64 and scaled, so that it cannot overflow. Clipped gradients are new arrays: whoever else
    holds the old ones sees no change. A tied parameter counts once, one without a gradient not at all.

    Args:
        parameters: Tensors, or one tensor.
        max_norm: eta, at least 0.
        norm_type: p of the p-norm, more than 0; ``math.inf`` for the largest entry.
        error_if_nonfinite: Raise if a gradient holds NaN or infinity. Otherwise all gradients are then left as they
            are, and NaN or infinity is returned: ``if math.isfinite(norm): optimizer.step()``.

    Returns:
        The norm before clipping.

    Raises:
        ValueError: ``max_norm`` is negative or NaN, or ``norm_type`` is not positive.
        TypeError: ``parameters`` are not tensors.
        RuntimeError: a gradient is not finite and ``error_if_nonfinite``.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> p = tg.nn.Parameter([0.0, 0.0])
    >>> p.grad = tg.Tensor([3.0, 4.0])
    >>> tg.nn.utils.clip_grad_norm_([p], 1.0)
    5.0
    >>> p.grad
    Tensor([0.6, 0.8])
    """
    if not max_norm >= 0:
        raise ValueError(f"clip_grad_norm_: expected max_norm >= 0, got {max_norm}")
    if not norm_type > 0:
        raise ValueError(f"clip_grad_norm_: expected norm_type > 0, got {norm_type}")
    clipped = _with_gradients(parameters, "clip_grad_norm_")
    gradients = [gradient for _, gradient in clipped]
    largest = max((float(np.abs(g).max()) for g in gradients if g.size), default=0.0, key=_nan_first)
    if not math.isfinite(largest):
        if error_if_nonfinite:
            raise RuntimeError(
                f"clip_grad_norm_: the gradients hold NaN or infinity, so that their norm is {largest} and nothing can "
                f"be clipped"
            )
        return largest
    if largest == 0:
        return 0.0
    scale = math.ldexp(1.0, math.frexp(largest)[1] - 1)  # a power of two, so that dividing by it rounds nothing
    scaled = [g / np.float64(scale) for g in gradients]
    norm = _norm(scaled, float(norm_type))
    if norm * scale > max_norm:
        for (parameter, gradient), part in zip(clipped, scaled, strict=True):
            parameter.grad = Tensor((part / norm * max_norm).astype(gradient.dtype), copy=False)
    return norm * scale


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Clip each entry of each gradient to [-clip_value, clip_value]. NaN stays NaN; clipped gradients are new arrays.

    Raises:
        ValueError: ``clip_value`` is negative or NaN.
        TypeError: ``parameters`` are not tensors.

    >>> import tinygrad_rnn as tg
    >>> p = tg.nn.Parameter([0.0, 0.0])
    >>> p.grad = tg.Tensor([3.0, -0.5])
    >>> tg.nn.utils.clip_grad_value_([p], 1.0)
    >>> p.grad
    Tensor([ 1. , -0.5])
    """
    if not clip_value >= 0:
        raise ValueError(f"clip_grad_value_: expected clip_value >= 0, got {clip_value}")
    for parameter, gradient in _with_gradients(parameters, "clip_grad_value_"):
        parameter.grad = Tensor(np.clip(gradient, -clip_value, clip_value), copy=False)


def _with_gradients(parameters: Tensor | Iterable[Tensor], where: str) -> list[tuple[Tensor, Any]]:
    """The parameters that have a gradient, each once, with the gradient's array."""
    found: dict[int, tuple[Tensor, Any]] = {}
    for parameter in [parameters] if isinstance(parameters, Tensor) else parameters:
        if not isinstance(parameter, Tensor):
            raise TypeError(f"{where}: expected tensors, got {type(parameter).__name__}")
        if parameter.grad is not None:
            found[id(parameter)] = parameter, parameter.grad.data
    return list(found.values())


def _nan_first(x: float) -> float:
    return math.inf if math.isnan(x) else x


def _norm(arrays: list[Any], p: float) -> float:
    if p == math.inf:
        return max(float(np.abs(a).max()) for a in arrays if a.size)
    if p == 2:
        return math.sqrt(sum(float(np.vdot(a, a)) for a in arrays))
    return float(sum(float((np.abs(a) ** p).sum()) for a in arrays) ** (1 / p))
