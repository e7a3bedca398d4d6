"""What the functions of ``tg.functional`` accept: floats, integers and constants, or else a clear complaint."""

from numbers import Real
from typing import Any

import numpy as np

from ..context import current, get_default_dtype, site
from ..tensor import Tensor

REDUCTIONS = ("mean", "sum", "none")


def here(name: str) -> str:
    """The function, and where in the model it was called, as messages begin."""
    return site(name, current.get())


def floats(value: Any, name: str) -> Tensor:
    """``value`` as a tensor of floats: what is none becomes one, integers and booleans become the default dtype."""
    t = value if isinstance(value, Tensor) else Tensor(value, copy=False)
    kind = t.dtype.kind
    if kind == "f":
        return t
    if kind == "c":
        raise TypeError(f"{here(name)}: expected real numbers, got {t.dtype}")
    return t.astype(get_default_dtype())


def like(value: Any, input: Tensor, name: str) -> Tensor:
    """``value`` as a tensor of ``input``'s dtype."""
    t = floats(value, name)
    return t if t.dtype == input.dtype else t.astype(input.dtype)


def number(value: Any, name: str, what: str) -> float:
    """An option as a Python number: as a NumPy scalar or array it would promote float32 to float64."""
    if isinstance(value, Real) or (isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in "iuf"):
        return float(value)
    got = f"a tensor of shape {value.shape}" if isinstance(value, Tensor) else repr(value)
    raise TypeError(f"{here(name)}: expected {what} to be a number (a constant, without a gradient), got {got}")


def whole_numbers(value: Any, name: str, what: str) -> Any:
    """``value`` as a bare array of integers."""
    array = value.numpy() if isinstance(value, Tensor) else np.asarray(value)
    if array.dtype.kind in "iu" or (array.size == 0 and not isinstance(value, (Tensor, np.ndarray))):
        return array.astype(np.intp, copy=False)
    raise TypeError(f"{here(name)}: expected {what} as integers, got {array.dtype} of shape {array.shape}")


def check_range(index: Any, size: int, name: str, what: str, ignored: int | None = None) -> None:
    """Raise IndexError at the first index that is neither in range(size) nor to be ignored."""
    if not index.size or (index.min() >= 0 and index.max() < size):
        return
    wrong = ((index < 0) | (index >= size)) & (True if ignored is None else index != ignored)
    if wrong.any():
        first = tuple(int(i) for i in np.argwhere(wrong)[0])
        spared = "" if ignored is None else f" (or {ignored}, which is ignored)"
        raise IndexError(f"{here(name)}: expected 0 <= {what} < {size}{spared}, got {index[first]} at {first}")


def class_weights(weight: Any, input: Tensor, axis: int, name: str) -> Any:
    """The weights of the classes as a bare array of ``input``'s dtype; None stays None."""
    if weight is None:
        return None
    if isinstance(weight, Tensor) and weight.requires_grad:
        raise TypeError(f"{here(name)}: weight is a constant and gets no gradient; pass weight.detach()")
    array = floats(weight, name).numpy()
    if array.shape != (input.shape[axis],):
        raise ValueError(f"{here(name)}: expected weight of shape ({input.shape[axis]},), got {array.shape}")
    return array.astype(input.dtype)  # a copy, as the graph does not watch it for writes in place


def class_axis(input: Tensor, axis: int | None, name: str) -> int:
    """The axis of the classes, counted from the front: ``axis``, or PyTorch's choice."""
    if input.ndim == 0:
        raise ValueError(f"{here(name)}: expected an input with an axis of classes, got a scalar")
    if axis is None:
        return 1 if input.ndim > 1 else 0
    if not -input.ndim <= axis < input.ndim:
        raise ValueError(f"{here(name)}: axis {axis} is out of range for an input of shape {input.shape}")
    return int(axis % input.ndim)


def check_reduction(reduction: str, name: str) -> None:
    if reduction not in REDUCTIONS:
        raise ValueError(f"{here(name)}: expected reduction 'mean', 'sum' or 'none', got {reduction!r}")


def same_shape(input: Tensor, target: Tensor, name: str) -> None:
    if input.shape != target.shape:
        raise ValueError(
            f"{here(name)}: expected a target of the input's shape {input.shape}, got {target.shape}; broadcasting "
            f"would pair every prediction with every target"
        )
