"""Losses. ``reduction`` is "none" (a loss for each target), "mean" or "sum"."""

from typing import Any

import numpy as np

from ..tensor import Tensor
from . import kernels
from .arguments import (
    check_range,
    check_reduction,
    class_axis,
    class_weights,
    floats,
    here,
    like,
    number,
    same_shape,
    whole_numbers,
)


def _reduced(loss: Any, reduction: str) -> Tensor:
    return loss if reduction == "none" else loss.sum() if reduction == "sum" else loss.mean()  # type: ignore[no-any-return]


def _without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return shape[:axis] + shape[axis + 1 :]


def _targets(input: Tensor, target: Any, axis: int, name: str, *, ignore_index: int, **options: Any) -> kernels.Targets:
    index = whole_numbers(target, name, "class indices")
    expected = _without(input.shape, axis)
    if index.shape != expected:
        raise ValueError(
            f"{here(name)}: expected class indices of shape {expected} for an input of shape {input.shape} with its "
            f"classes along axis {axis}, got {index.shape}"
        )
    check_range(index, input.shape[axis], name, "target", ignore_index)
    return kernels.Targets(input, index, axis=axis, ignore_index=ignore_index, **options)


def cross_entropy(
    input: Any,
    target: Any,
    *,
    axis: int | None = None,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """How surprising the targets are to a prediction: -log softmax(input)[target].

    The loss of a generative net at each time step (lecture, section 4, "Training Time Behaviour of Generative RNN").
    Fused into one operation, whose gradient is softmax(input) - one_hot(target).

    Args:
        input: Scores (logits), floats, with C of them along ``axis``; (N, C), (N, C, d1, ...) or (C,).
        target: Class indices, integers of the input's shape without ``axis``; or class probabilities, floats of the
            input's shape, which may need a gradient themselves: then the loss is -sum_c p_c log softmax(input)_c.
        axis: Of the classes. None is PyTorch's: 1, or 0 for a vector; a (T, B, V) input takes -1.
        weight: (C,), constants: how much each class counts.
        ignore_index: Targets of this value count nothing, wherever they are (padding). Not for probabilities.
        reduction: "mean" divides by the sum of the targets' weights (for probabilities by their number), and is NaN if
            that is 0.
        label_smoothing: This much of each target is spread evenly over all classes (Szegedy et al. 2016,
            arXiv:1512.00567).

    Raises:
        TypeError: the target is neither integers nor floats; ``weight`` wants a gradient.
        IndexError: a target is not a class.
        ValueError: shapes that do not fit; an unknown reduction; label_smoothing not in [0, 1]; ``ignore_index`` with
            probabilities.

    >>> import tinygrad_rnn as tg
    >>> logits = tg.Tensor([[2.0, 0.0, 0.0], [0.0, 0.0, 0.0]], requires_grad=True)
    >>> loss = tg.functional.cross_entropy(logits, [0, 2])
    >>> print(f"{loss:.4f}")
    0.6691
    >>> loss.backward()
    >>> logits.grad.numpy().round(4)
    array([[-0.1065,  0.0533,  0.0533],
           [ 0.1667,  0.1667, -0.3333]], dtype=float32)
    """
    name = "cross_entropy"
    check_reduction(reduction, name)
    label_smoothing = number(label_smoothing, name, "label_smoothing")
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"{here(name)}: expected 0 <= label_smoothing <= 1, got {label_smoothing}")
    x = floats(input, name)
    axis = class_axis(x, axis, name)
    options: dict[str, Any] = {
        "weight": class_weights(weight, x, axis, name),
        "ignore_index": ignore_index,
        "reduction": reduction,
        "label_smoothing": label_smoothing,
    }
    if _is_float(target):
        return _soft_cross_entropy(x, target, axis, **options)
    return kernels.cross_entropy(x, _targets(x, target, axis, name, **options))  # type: ignore[no-any-return]


def _is_float(target: Any) -> bool:
    array = target if isinstance(target, (Tensor, np.ndarray)) else np.asarray(target)
    return array.dtype.kind == "f" and (array.size > 0 or isinstance(target, (Tensor, np.ndarray)))


def _soft_cross_entropy(
    x: Tensor, target: Any, axis: int, *, weight: Any, ignore_index: int, reduction: str, label_smoothing: float
) -> Tensor:
    """Cross-entropy with class probabilities, in operations of its own: the target may need a gradient too."""
    name = "cross_entropy"
    p: Any = like(target, x, name)
    if p.shape != x.shape:
        raise ValueError(
            f"{here(name)}: expected class probabilities (floats) of the input's shape {x.shape}, or class indices "
            f"(integers) of shape {_without(x.shape, axis)}; got {p.dtype} of shape {p.shape}"
        )
    if ignore_index >= 0:
        raise ValueError(f"{here(name)}: ignore_index {ignore_index} means nothing for class probabilities")
    classes = x.shape[axis]
    if label_smoothing:
        p = p * (1 - label_smoothing) + label_smoothing / max(classes, 1)
    if weight is not None:
        p = p * weight.reshape(-1, *(1,) * (x.ndim - 1 - axis))
    loss: Any = -(p * kernels.log_softmax(x, axis)).sum(axis=axis)
    return _reduced(loss, reduction)


def nll_loss(
    input: Any,
    target: Any,
    *,
    axis: int | None = None,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """The negative log-likelihood of class indices, from log-probabilities: -input[target].

    ``cross_entropy`` is this after ``log_softmax``. Arguments and errors are the same.

    >>> import tinygrad_rnn as tg
    >>> logp = tg.functional.log_softmax([[2.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    >>> print(f"{tg.functional.nll_loss(logp, [0, 2]):.4f}")
    0.6691
    """
    name = "nll_loss"
    check_reduction(reduction, name)
    logp = floats(input, name)
    axis = class_axis(logp, axis, name)
    weight = class_weights(weight, logp, axis, name)
    targets = _targets(
        logp, target, axis, name, weight=weight, ignore_index=ignore_index, reduction=reduction, label_smoothing=0.0
    )
    return kernels.picked_loss(logp, targets)  # type: ignore[no-any-return]


def mse_loss(input: Any, target: Any, reduction: str = "mean") -> Tensor:
    """The squared error, (input - target)^2, of predictions and targets of one shape.

    The target is converted to the input's dtype.

    Raises:
        ValueError: the shapes differ (PyTorch warns, and broadcasts); an unknown reduction.

    >>> import tinygrad_rnn as tg
    >>> tg.functional.mse_loss([1.0, 2.0], [1.0, 4.0])
    Tensor(2.)
    """
    return _reduced(np.square(_difference(input, target, reduction, "mse_loss")), reduction)


def l1_loss(input: Any, target: Any, reduction: str = "mean") -> Tensor:
    """The absolute error, |input - target|, of predictions and targets of one shape; its derivative at 0 is 0.

    The target is converted to the input's dtype.

    Raises:
        ValueError: the shapes differ (PyTorch warns, and broadcasts); an unknown reduction.

    >>> import tinygrad_rnn as tg
    >>> tg.functional.l1_loss([1.0, 2.0], [1.0, 4.0])
    Tensor(1.)
    """
    return _reduced(np.absolute(_difference(input, target, reduction, "l1_loss")), reduction)


def _difference(input: Any, target: Any, reduction: str, name: str) -> Any:
    check_reduction(reduction, name)
    x = floats(input, name)
    t = like(target, x, name)
    same_shape(x, t, name)
    return x - t


def binary_cross_entropy_with_logits(
    input: Any, target: Any, weight: Any = None, reduction: str = "mean", pos_weight: Any = None
) -> Tensor:
    """Cross-entropy of yes-or-no predictions: -t log s(x) - (1 - t) log(1 - s(x)), with s the sigmoid.

    Computed as t softplus(-x) + (1 - t) softplus(x), which neither overflows nor cancels.

    Args:
        input: Scores (logits) x, floats, of any shape.
        target: t, of the input's shape: 0, 1, or a probability between.
        weight: Factor of each loss; broadcasts against the input.
        reduction: "none", "mean" (over all entries) or "sum".
        pos_weight: Factor of the first summand, so above 1 for rare positives; broadcasts against the input.

    Raises:
        ValueError: the shapes of input and target differ; an unknown reduction.

    >>> import tinygrad_rnn as tg
    >>> tg.functional.binary_cross_entropy_with_logits([0.0, 1e4], [1.0, 1.0], reduction="none")
    Tensor([0.6931472, 0.       ])
    """
    name = "binary_cross_entropy_with_logits"
    check_reduction(reduction, name)
    x = floats(input, name)
    t = like(target, x, name)
    same_shape(x, t, name)
    positive: Any = 1.0 if pos_weight is None else like(pos_weight, x, name)
    loss: Any = kernels.binary_cross_entropy(x, t, positive)
    if weight is not None:
        loss = loss * like(weight, x, name)
    return _reduced(loss, reduction)
