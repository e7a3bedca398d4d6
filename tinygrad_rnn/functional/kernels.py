"""The primitives behind ``tg.functional``: array functions that NumPy lacks, each with the rule of its derivative.

They take bare arrays or tensors and arguments already checked; the public functions around them check, document and
choose defaults. The rules are plain NumPy, so that running them on tensors gives every higher derivative. Where a
function has a corner, its first derivative there is PyTorch's.
"""

import math
from typing import Any

import numpy as np

from ..primitives import Saved, defvjp, primitive_of
from ..rules.shape import scatter
from ..tensor import Tensor, primitive

# ---- activations


@primitive
def sigmoid(x: Any) -> Any:
    """e / (1 + e) with e = exp(x): every digit right in the lower tail; past the bound the quotient is 1 anyway."""
    e = np.exp(np.minimum(x, 88 if x.dtype.itemsize > 2 else 11))
    whole = e + 1
    e /= whole
    return e


@primitive
def relu(x: Any) -> Any:
    return np.maximum(x, 0)


@primitive
def leaky_relu(x: Any, slope: float) -> Any:
    return np.where(x > 0, x, np.minimum(x, 0) * slope)


@primitive
def elu(x: Any, alpha: float) -> Any:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)) * alpha)


@primitive
def silu(x: Any) -> Any:
    return x * sigmoid(x)


@primitive
def softplus(x: Any, beta: float, threshold: float) -> Any:
    """max(x, 0) + log(1 + exp(-|beta x|)) / beta, which cannot overflow."""
    soft = np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x * beta))) / beta
    return soft if threshold == math.inf else np.where(x * beta > threshold, x, soft)


@primitive
def hardtanh(x: Any, lower: float, upper: float) -> Any:
    return np.clip(x, lower, upper)


@primitive
def binary_threshold(x: Any) -> Any:
    return (x > 0).astype(x.dtype)


defvjp(sigmoid, lambda g, y, _x: g * (y * (1 - y)))
defvjp(relu, lambda g, y, _x: np.where(y == 0, 0, g))
defvjp(leaky_relu, lambda g, _y, x, slope: np.where(x > 0, g, g * slope))
defvjp(elu, lambda g, _y, x, alpha: np.where(x <= 0, g * alpha * np.exp(np.where(x < 0, x, 0)), g))
defvjp(silu, lambda g, _y, x: g * (sigmoid(x) * (1 + x * sigmoid(-x))))
defvjp(softplus, lambda g, _y, x, beta, threshold: np.where(x * beta > threshold, g, g * sigmoid(x * beta)))
defvjp(hardtanh, lambda g, _y, x, lower, upper: np.where(np.logical_or(x <= lower, x >= upper), 0, g))
defvjp(binary_threshold, lambda g, _y, _x: np.zeros_like(g))

# ---- softmax and its kin; an axis of length 0 has the maximum -inf and the sum 0


def _highest(x: Any, axis: Any) -> Any:
    return np.maximum.reduce(x, axis=axis, keepdims=True, initial=-np.inf)


@primitive
def softmax(x: Any, axis: Any) -> Any:
    y = np.exp(x - _highest(x, axis))
    y /= np.add.reduce(y, axis=axis, keepdims=True)
    return y


@primitive
def log_softmax(x: Any, axis: Any) -> Any:
    y = x - _highest(x, axis)
    if y.size:
        y -= np.log(np.add.reduce(np.exp(y), axis=axis, keepdims=True))
    return y


@primitive
def logsumexp(x: Any, axis: Any) -> Any:
    """Keeps the summed axes, with length 1."""
    top = _highest(x, axis)
    top = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore"):  # the log of no probability at all is -inf
        return np.log(np.add.reduce(np.exp(x - top), axis=axis, keepdims=True)) + top


defvjp(softmax, lambda g, y, _x, axis: y * (g - np.sum(g * y, axis=axis, keepdims=True)))
defvjp(log_softmax, lambda g, y, _x, axis: g - np.exp(y) * np.sum(g, axis=axis, keepdims=True))
defvjp(logsumexp, lambda g, _y, x, axis: g * softmax(x, axis))

# ---- embedding, dropout, layer norm


@primitive
def embedding(weight: Any, index: Any, padding: int | None) -> Any:
    return weight[index]


def _unpadded(g: Any, index: Any, padding: int | None) -> Any:
    """The gradient without what went to the padding row."""
    return g if padding is None else np.where(np.expand_dims(index == padding, -1), 0, g)


def _add_rows(buffer: Any, index: Any, g: Any) -> None:
    """``buffer[index] += g`` with repeated rows: ``np.add.at`` on flat arrays, in blocks, is 3 to 5 times as fast."""
    width = buffer.shape[1]
    if not (buffer.flags.c_contiguous and width):
        return np.add.at(buffer, index, g)
    rows, values = index.astype(np.intp, copy=False).reshape(-1, 1), g.reshape(-1, width)
    block = max(1, 2**18 // width)
    for start in range(0, len(rows), block):
        places = rows[start : start + block] * width + np.arange(width)
        np.add.at(buffer.reshape(-1), places.reshape(-1), values[start : start + block].reshape(-1))
    return None


defvjp(embedding, lambda g, _y, _weight, index, padding: scatter(_unpadded(g, index, padding), index, _weight.shape))
primitive_of(embedding).into[0] = lambda buffer, g, _weight, index, padding: _add_rows(
    buffer, index, _unpadded(g, index, padding)
)


@primitive
def dropout(x: Any, mask: Any) -> Any:
    return x * mask


defvjp(dropout, lambda g, _y, _x, mask: g * mask)


def _mean(x: Any, axes: tuple[int, ...]) -> Any:
    return np.add.reduce(x, axis=axes, keepdims=True) / max(math.prod(x.shape[k] for k in axes), 1)


@primitive
def layer_norm(x: Any, axes: tuple[int, ...], eps: float) -> Any:
    centred = x - _mean(x, axes)
    return centred / np.sqrt(_mean(centred * centred, axes) + eps)


def _layer_norm(g: Any, y: Any, x: Any, axes: tuple[int, ...], eps: float) -> Any:
    """(g - mean(g) - y mean(g y)) / sigma: what changes x's mean or its variance has no effect."""
    centred = x - _mean(x, axes)
    sigma = np.sqrt(_mean(centred * centred, axes) + eps)
    return (g - _mean(g, axes) - y * _mean(g * y, axes)) / sigma


defvjp(layer_norm, _layer_norm)

# ---- losses


@primitive
def binary_cross_entropy(x: Any, target: Any, positive: Any) -> Any:
    """The two summands are never negative, so nothing cancels however sure and right the prediction is."""
    return positive * target * softplus(-x, 1, math.inf) + (1 - target) * softplus(x, 1, math.inf)


defvjp(
    binary_cross_entropy,
    lambda g, _y, x, target, positive: g * ((1 - target) * sigmoid(x) - positive * target * sigmoid(-x)),
    lambda g, _y, x, _target, positive: g * (positive * softplus(-x, 1, math.inf) - softplus(x, 1, math.inf)),
    lambda g, _y, x, target, _positive: g * (target * softplus(-x, 1, math.inf)),
)


class Targets:
    """Class indices made ready for a loss: where the entry of each stands, how much it counts, and how to add up.

    Attributes:
        index: Picks the entry of each target from the scores.
        counted: False where the target is to be ignored.
        scale: The weight of each target's class; 0 where it is ignored.
        weight: The weights of the classes, shaped to broadcast against the scores; or None.
        own, each, together: Label smoothing: the share of the target's class; that of every class; and these last, each
            times its class's weight, added up.
        divisor: What the sum of the losses is divided by; NaN if nothing counts.
    """

    def __init__(
        self,
        scores: Tensor,
        target: Any,
        *,
        axis: int,
        weight: Any,
        ignore_index: int,
        reduction: str,
        label_smoothing: float,
    ) -> None:
        classes = scores.shape[axis]
        self.axis, self.reduction = axis, reduction
        self.counted = target != ignore_index
        target = np.where(self.counted, target, 0)
        grid = np.indices(target.shape, sparse=True)
        self.index = (*grid[:axis], target, *grid[axis:])
        self.weight = None if weight is None else weight.reshape(-1, *(1,) * (scores.ndim - 1 - axis))
        self.scale = self.counted.astype(scores.dtype) if weight is None else np.where(self.counted, weight[target], 0)
        self.own, self.each = 1 - label_smoothing, label_smoothing / max(classes, 1)
        self.together = self.each * (classes if weight is None else float(np.sum(weight)))
        self.divisor = (float(np.sum(self.scale)) or math.nan) if reduction == "mean" else 1.0


def picked_loss(logp: Any, targets: Targets) -> Any:
    """The loss of log-probabilities, arrays or tensors: minus the targets' entries, weighted, smoothed and reduced."""
    loss = np.where(targets.counted, logp[targets.index], 0) * (-targets.own * targets.scale)
    if targets.each:
        spread = np.sum(logp if targets.weight is None else logp * targets.weight, axis=targets.axis)
        loss = loss - np.where(targets.counted, spread, 0) * targets.each
    return loss if targets.reduction == "none" else np.sum(loss) / targets.divisor


@primitive
def cross_entropy(x: Any, targets: Targets) -> Any:
    logp = log_softmax(x, targets.axis)
    return Saved(picked_loss(logp, targets), logp)


def _cross_entropy_rule(_needed: Any, g: Any, _y: Any, logp: Any, _x: Any, targets: Targets) -> Any:
    """g (Q softmax(x) - q), for a target distribution q that sums to Q."""
    g = np.where(targets.counted, g / targets.divisor, 0)
    picked = g * (targets.own * targets.scale)
    d = np.exp(logp)
    d *= np.expand_dims(picked + g * targets.together, targets.axis)
    d[targets.index] -= picked
    if targets.each:
        even = np.expand_dims(g * targets.each, targets.axis)
        d -= even if targets.weight is None else even * targets.weight
    return d, None


defvjp(
    cross_entropy,
    joint=_cross_entropy_rule,
    definition=lambda x, targets: picked_loss(log_softmax(x, targets.axis), targets),
)
