"""The affine map of layers as one recorded operation, its weight as PyTorch stores it: y = x W^T + b.

Written as ``x @ W.T + b`` it would be three, and every gradient of W would come out transposed.
"""

from typing import Any

import numpy as np

from ..primitives import Gather, defvjp, primitive_of
from ..rules.linalg import product, product_transposed, rows_of
from ..tensor import Tensor, record, record2
from .arguments import floats, here


def _affine(x: Any, weight: Any, bias: Any = None) -> Any:
    y = product_transposed(x, weight)
    if bias is None:
        return y
    fresh = y.__class__ is np.ndarray and y.dtype == bias.dtype
    return np.add(y, bias, out=y) if fresh else y + bias


def _of_weight(g: Any, _y: Any, x: Any, _weight: Any, _bias: Any = None) -> Any:
    return product(rows_of(g).swapaxes(0, 1), rows_of(x))


def _weight_rows(g: Any, x: Any, *_: Any) -> int:
    return len(g) if g.ndim == 2 and x.ndim == 2 else 0


def _of_weight_together(calls: list[tuple[Any, tuple[Any, ...]]]) -> Any:
    """The sum of G^T X over calls, as one product."""
    if len(calls) == 1:
        g, args = calls[0]
        return product(g.T, args[0])
    return product(np.concatenate([g for g, _ in calls]).T, np.concatenate([args[0] for _, args in calls]))


_LINEAR = primitive_of(_affine)
defvjp(
    _affine,
    lambda g, _y, _x, weight, _bias=None: product(g, weight),
    _of_weight,
    lambda g, _y, _x, _weight, _bias=None: g,
)
_LINEAR.name = "linear"
_LINEAR.gather[1] = Gather(_weight_rows, _of_weight_together)


def linear(input: Any, weight: Any, bias: Any = None) -> Tensor:
    """An affine map of the last axis: y = x W^T + b.

    Args:
        input: x (..., I), floats.
        weight: W (O, I), floats.
        bias: b (O,), or None.

    Returns:
        (..., O).

    Raises:
        ValueError: the shapes do not fit.

    >>> import tinygrad_rnn as tg
    >>> tg.functional.linear([[1.0, 2.0]], [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], [0.0, 0.0, 0.5])
    Tensor([[1. , 2. , 3.5]])
    """
    x, w = floats(input, "linear"), floats(weight, "linear")
    if x.ndim == 0 or w.ndim != 2 or x.shape[-1] != w.shape[1]:
        raise ValueError(
            f"{here('linear')}: expected an input (..., I) and a weight (O, I), got shapes {x.shape} and {w.shape}"
        )
    if bias is None:
        return record2(_LINEAR, x, w)  # type: ignore[no-any-return]
    b = floats(bias, "linear")
    if b.shape != w.shape[:1]:
        raise ValueError(f"{here('linear')}: expected a bias of shape {w.shape[:1]}, got {b.shape}")
    return record(_LINEAR, (x, w, b))  # type: ignore[no-any-return]
