"""Losses as modules: each holds its options and calls the function of ``tg.functional`` that it is named after."""

from __future__ import annotations

from typing import Any

from ..functional import binary_cross_entropy_with_logits, cross_entropy, l1_loss, mse_loss, nll_loss
from ..functional.arguments import check_reduction
from .module import Module


class Loss(Module):
    """Base: ``loss(input, target)``, reduced over all entries by "mean" or "sum", or not at all by "none"."""

    def __init__(self, reduction: str = "mean") -> None:
        check_reduction(reduction, type(self).__name__)
        self.reduction = reduction

    def extra_repr(self) -> str:
        return "" if self.reduction == "mean" else f"reduction={self.reduction!r}"


class CrossEntropyLoss(Loss):
    """-log softmax(input)[target]: ``functional.cross_entropy`` with its options kept.

    Args:
        weight: (C,), a weight for each class.
        ignore_index: Targets of this value count for nothing.
        reduction: "mean", "sum" or "none".
        label_smoothing: Share of the target that is spread evenly over all classes.
        axis: Axis of the classes; None is PyTorch's: 1, or 0 for a vector. A (T, B, V) tensor takes -1.

    Raises:
        ValueError: an unknown reduction; in the call, shapes that do not fit.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> print(f"{tg.nn.CrossEntropyLoss()(tg.Tensor([[0.0, 0.0]]), np.array([1])):.4f}")
    0.6931
    """

    def __init__(
        self,
        weight: Any = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
        *,
        axis: int | None = None,
    ) -> None:
        super().__init__(reduction)
        self.weight = weight
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        self.axis = axis

    def forward(self, input: Any, target: Any) -> Any:
        return cross_entropy(
            input,
            target,
            axis=self.axis,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class NLLLoss(Loss):
    """-input[target], of log-probabilities: ``functional.nll_loss`` with its options kept.

    Args: as ``CrossEntropyLoss``.

    Raises:
        ValueError: an unknown reduction; in the call, shapes that do not fit.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> print(f"{tg.nn.NLLLoss()(tg.Tensor([[-0.5, -1.5]]), np.array([1])):.1f}")
    1.5
    """

    def __init__(
        self, weight: Any = None, ignore_index: int = -100, reduction: str = "mean", *, axis: int | None = None
    ) -> None:
        super().__init__(reduction)
        self.weight = weight
        self.ignore_index = ignore_index
        self.axis = axis

    def forward(self, input: Any, target: Any) -> Any:
        return nll_loss(
            input,
            target,
            axis=self.axis,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
        )


class MSELoss(Loss):
    """(input - target)^2: ``functional.mse_loss``.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.MSELoss()(tg.Tensor([1.0, 3.0]), tg.Tensor([1.0, 1.0]))
    Tensor(2.)
    """

    def forward(self, input: Any, target: Any) -> Any:
        return mse_loss(input, target, reduction=self.reduction)


class L1Loss(Loss):
    """|input - target|: ``functional.l1_loss``.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.L1Loss()(tg.Tensor([1.0, 3.0]), tg.Tensor([1.0, 1.0]))
    Tensor(1.)
    """

    def forward(self, input: Any, target: Any) -> Any:
        return l1_loss(input, target, reduction=self.reduction)


class BCEWithLogitsLoss(Loss):
    """-log of the probability that sigmoid(input) gives to target: ``functional.binary_cross_entropy_with_logits``.

    Args:
        weight: Multiplies each entry's loss.
        reduction: "mean", "sum" or "none".
        pos_weight: Multiplies the loss of targets that are 1.

    >>> import tinygrad_rnn as tg
    >>> print(f"{tg.nn.BCEWithLogitsLoss()(tg.Tensor([0.0]), tg.Tensor([1.0])):.4f}")
    0.6931
    """

    def __init__(self, weight: Any = None, reduction: str = "mean", pos_weight: Any = None) -> None:
        super().__init__(reduction)
        self.weight = weight
        self.pos_weight = pos_weight

    def forward(self, input: Any, target: Any) -> Any:
        return binary_cross_entropy_with_logits(
            input, target, weight=self.weight, reduction=self.reduction, pos_weight=self.pos_weight
        )
