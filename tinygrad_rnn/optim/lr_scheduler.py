"""Schedules for the learning rate: call ``scheduler.step()`` once an epoch (or a step), after ``optimizer.step()``.

Each goes on from the rate that stands in the optimiser, as PyTorch's do, so two of them on one optimiser multiply.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any

from .optimizer import Optimizer


class Scheduler:
    """Base: counts the steps, and writes into the groups of the optimiser.

    Attributes:
        last_epoch: How many steps were taken.
        base_lrs: The learning rate that each group had at first.

    Raises:
        TypeError: not an optimiser.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(self).__name__}: expected an optimizer, got {type(optimizer).__name__}")
        self.optimizer = optimizer
        self.last_epoch = 0
        self.base_lrs = [group.setdefault("initial_lr", group["lr"]) for group in optimizer.param_groups]

    def get_last_lr(self) -> list[float]:
        """Return the learning rate of each group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def groups(self) -> list[dict[str, Any]]:
        """The optimiser's groups; RuntimeError if there are more now than when the schedule was made."""
        groups = self.optimizer.param_groups
        if len(groups) != len(self.base_lrs):
            raise RuntimeError(
                f"{type(self).__name__}: the optimizer had {len(self.base_lrs)} groups when the schedule was made, and "
                f"now has {len(groups)}; make the schedule after the last add_param_group"
            )
        return groups

    def state_dict(self) -> dict[str, Any]:
        """Return everything but the optimiser (whose own ``state_dict`` holds the learning rates)."""
        return {name: copy.copy(value) for name, value in self.__dict__.items() if name != "optimizer"}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what ``state_dict`` returned.

        Raises:
            ValueError: it has other names than this scheduler's.
        """
        ours = self.state_dict()
        if set(state_dict) != set(ours):
            odd = min(set(state_dict) ^ set(ours))
            raise ValueError(
                f"{type(self).__name__}.load_state_dict: {odd!r} is {'missing' if odd in ours else 'unknown'}"
            )
        self.__dict__.update({name: copy.copy(value) for name, value in state_dict.items()})


class EpochScheduler(Scheduler):
    """Base of the schedules that know nothing but the number of steps taken."""

    def next_lr(self, lr: float, base_lr: float) -> float:
        """The rate after ``last_epoch`` steps, from the one before and the first."""
        raise NotImplementedError(f"{type(self).__name__} has no next_lr()")

    def step(self) -> None:
        """Go to the next epoch's learning rates."""
        groups = self.groups()
        self.last_epoch += 1
        for group, base_lr in zip(groups, self.base_lrs, strict=True):
            group["lr"] = self.next_lr(group["lr"], base_lr)


class StepLR(EpochScheduler):
    """Multiply the rate by ``gamma`` every ``step_size`` steps; equal to torch's ``StepLR``.

    Raises:
        ValueError: ``step_size`` is less than 1.

    >>> import tinygrad_rnn as tg
    >>> optimizer = tg.optim.SGD([tg.nn.Parameter([1.0])], lr=1.0)
    >>> scheduler = tg.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    >>> for _ in range(3):
    ...     print(scheduler.get_last_lr())
    ...     scheduler.step()
    [1.0]
    [1.0]
    [0.5]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        super().__init__(optimizer)
        self.step_size = _at_least_one(step_size, "StepLR", "step_size")
        self.gamma = gamma

    def next_lr(self, lr: float, base_lr: float) -> float:
        return lr * self.gamma if self.last_epoch % self.step_size == 0 else lr


class CosineAnnealingLR(EpochScheduler):
    """lr_t = eta_min + (lr_0 - eta_min) (1 + cos(pi t / T_max)) / 2; equal to torch's ``CosineAnnealingLR``.

    Loshchilov and Hutter, "SGDR" (2017), without restarts; past T_max it rises again, with period 2 T_max.

    Raises:
        ValueError: ``T_max`` is less than 1.

    >>> import tinygrad_rnn as tg
    >>> optimizer = tg.optim.SGD([tg.nn.Parameter([1.0])], lr=1.0)
    >>> scheduler = tg.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=2)
    >>> for _ in range(3):
    ...     print([round(lr, 6) for lr in scheduler.get_last_lr()])
    ...     scheduler.step()
    [1.0]
    [0.5]
    [0.0]
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        super().__init__(optimizer)
        self.T_max = _at_least_one(T_max, "CosineAnnealingLR", "T_max")
        self.eta_min = eta_min

    def next_lr(self, lr: float, base_lr: float) -> float:
        t, turn = self.last_epoch, math.pi / self.T_max
        if (t - 1 - self.T_max) % (2 * self.T_max) == 0:  # the rate before was eta_min: no factor leads away from it
            return lr + (base_lr - self.eta_min) * (1 - math.cos(turn)) / 2
        return (1 + math.cos(turn * t)) / (1 + math.cos(turn * (t - 1))) * (lr - self.eta_min) + self.eta_min


class LinearWarmup(EpochScheduler):
    """Rise in equal steps from ``start_factor`` lr to lr, over ``warmup_steps`` steps, and stay there.

    Equal to torch's ``LinearLR(optimizer, start_factor, end_factor=1.0, total_iters=warmup_steps)``. The first rate
    is set at once.

    Raises:
        ValueError: ``warmup_steps`` is less than 1, or ``start_factor`` is not in (0, 1].

    >>> import tinygrad_rnn as tg
    >>> optimizer = tg.optim.SGD([tg.nn.Parameter([1.0])], lr=1.0)
    >>> scheduler = tg.optim.lr_scheduler.LinearWarmup(optimizer, warmup_steps=2, start_factor=0.5)
    >>> for _ in range(4):
    ...     print(scheduler.get_last_lr())
    ...     scheduler.step()
    [0.5]
    [0.75]
    [1.0]
    [1.0]
    """

    def __init__(self, optimizer: Optimizer, warmup_steps: int, start_factor: float = 1 / 3) -> None:
        super().__init__(optimizer)
        self.warmup_steps = _at_least_one(warmup_steps, "LinearWarmup", "warmup_steps")
        if not 0 < start_factor <= 1:
            raise ValueError(f"LinearWarmup: expected start_factor in (0, 1], got {start_factor}")
        self.start_factor = start_factor
        for group in optimizer.param_groups:
            group["lr"] *= start_factor

    def next_lr(self, lr: float, base_lr: float) -> float:
        if self.last_epoch > self.warmup_steps:
            return lr
        rise = 1 - self.start_factor
        return lr * (1 + rise / (self.warmup_steps * self.start_factor + (self.last_epoch - 1) * rise))


class ReduceLROnPlateau(Scheduler):
    """Multiply the rate by ``factor`` when a metric has not improved for ``patience`` steps; equal to torch's.

    Args:
        optimizer: Whose learning rates to change.
        mode: "min": less is better; "max": more is.
        factor: Less than 1.
        patience: How many steps without improvement pass before the next one reduces the rate.
        threshold: How much counts as an improvement.
        threshold_mode: "rel": as a share of the best; "abs": as it is.
        cooldown: Steps after a reduction in which nothing is counted.
        min_lr: No rate goes below it; a list has one for each group.
        eps: Smaller changes are not made.

    Raises:
        ValueError: an unknown mode, a factor of 1 or more, or another number of ``min_lr`` than of groups.

    >>> import tinygrad_rnn as tg
    >>> optimizer = tg.optim.SGD([tg.nn.Parameter([1.0])], lr=1.0)
    >>> scheduler = tg.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1)
    >>> for loss in [1.0, 1.0, 1.0]:
    ...     scheduler.step(loss)
    >>> scheduler.get_last_lr()
    [0.1]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        super().__init__(optimizer)
        if mode not in ("min", "max") or threshold_mode not in ("rel", "abs"):
            raise ValueError(
                f"ReduceLROnPlateau: expected mode 'min' or 'max' and threshold_mode 'rel' or 'abs', got {mode!r} and "
                f"{threshold_mode!r}"
            )
        if not factor < 1:
            raise ValueError(f"ReduceLROnPlateau: expected factor < 1, got {factor}")
        groups = len(optimizer.param_groups)
        self.min_lrs = [float(min_lr)] * groups if isinstance(min_lr, (int, float)) else list(min_lr)
        if len(self.min_lrs) != groups:
            raise ValueError(
                f"ReduceLROnPlateau: expected {groups} min_lr, one for each group, got {len(self.min_lrs)}"
            )
        self.mode = mode
        self.factor = factor
        self.patience = patience
        self.threshold = threshold
        self.threshold_mode = threshold_mode
        self.cooldown = cooldown
        self.eps = eps
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = 0
        self.cooldown_counter = 0

    def step(self, metrics: Any) -> None:
        """Take note of the metric, a number or a tensor of one element, and reduce the rates if it is time."""
        metric = float(metrics)
        self.last_epoch += 1
        if self._improves(metric):
            self.best, self.num_bad_epochs = metric, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0

    def _improves(self, metric: float) -> bool:
        sign = 1 if self.mode == "min" else -1
        if self.threshold_mode == "rel":
            return sign * metric < sign * self.best * (1 - sign * self.threshold)
        return sign * metric < sign * self.best - self.threshold

    def _reduce(self) -> None:
        for group, min_lr in zip(self.groups(), self.min_lrs, strict=True):
            lr = max(group["lr"] * self.factor, min_lr)
            if group["lr"] - lr > self.eps:
                group["lr"] = lr


def _at_least_one(value: int, owner: str, name: str) -> int:
    if value < 1:
        raise ValueError(f"{owner}: expected {name} >= 1, got {value}")
    return value
