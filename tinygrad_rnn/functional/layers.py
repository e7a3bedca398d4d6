"""The stateless halves of layers: embedding and one-hot codes, dropout, layer normalisation."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..context import generator
from ..tensor import Tensor
from . import kernels
from .arguments import check_range, floats, here, like, number, whole_numbers


def one_hot(input: Any, num_classes: int = -1) -> Tensor:
    """Each index k as a vector of 0s with a 1 at place k.

    Args:
        input: Integers, of any shape (...).
        num_classes: C, the length of the vectors; -1: one more than the largest index.

    Returns:
        Integers (int64) of shape (..., C). For floats, ``.astype``.

    Raises:
        TypeError: not integers.
        IndexError: an index is negative, or not less than ``num_classes``.
        ValueError: no ``num_classes``, and no index to infer it from.

    >>> import tinygrad_rnn as tg
    >>> tg.functional.one_hot([0, 2], num_classes=3)
    Tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    index = whole_numbers(input, "one_hot", "indices")
    if num_classes == -1:
        if not index.size:
            raise ValueError(f"{here('one_hot')}: pass num_classes; an empty input says nothing of how many there are")
        num_classes = max(int(index.max()), 0) + 1
    if num_classes < 1:
        raise ValueError(f"{here('one_hot')}: expected num_classes >= 1 (or -1 to infer it), got {num_classes}")
    check_range(index, num_classes, "one_hot", "index")
    return Tensor(np.equal(np.expand_dims(index, -1), np.arange(num_classes)).astype(np.int64), copy=False)


def embedding(input: Any, weight: Any, padding_idx: int | None = None) -> Tensor:
    """The rows of a table that indices name: y[...] = weight[input[...]] (Bengio et al. 2003).

    The same as ``one_hot(input) @ weight``, without the product. A row named twice gets the sum of two gradients.

    Args:
        input: Integers, of any shape (...).
        weight: (V, H), floats: a row a word.
        padding_idx: This row gets no gradient; a negative one counts from the end.

    Returns:
        (..., H), of ``weight``'s dtype.

    Raises:
        TypeError: ``input`` is not integers.
        IndexError: an index is negative, or not less than V.
        ValueError: ``weight`` has not two axes, or no row ``padding_idx``.

    >>> import tinygrad_rnn as tg
    >>> table = tg.Tensor([[0.0, 1.0], [2.0, 3.0]], requires_grad=True)
    >>> tg.functional.embedding([1, 1, 0], table).sum().backward()
    >>> table.grad
    Tensor([[1., 1.],
            [2., 2.]])
    """
    index = whole_numbers(input, "embedding", "indices")
    table = floats(weight, "embedding")
    if table.ndim != 2:
        raise ValueError(f"{here('embedding')}: expected a weight of shape (V, H), got {table.shape}")
    rows = table.shape[0]
    check_range(index, rows, "embedding", "index")
    if padding_idx is not None:
        if not -rows <= padding_idx < rows:
            raise ValueError(f"{here('embedding')}: padding_idx {padding_idx} is out of range for {rows} rows")
        padding_idx %= rows
    return kernels.embedding(table, index, padding_idx)  # type: ignore[no-any-return]


def dropout(input: Any, p: float = 0.5, training: bool = True) -> Tensor:
    """Set each entry to 0 with probability p, and divide the rest by 1 - p: the expectation stays what it was.

    Srivastava et al. 2014. Draws from the generator that ``tg.manual_seed`` seeds. Where nothing is to be dropped
    (``training=False``, p = 0), the input itself is returned.

    Raises:
        ValueError: p is not between 0 and 1.

    >>> import tinygrad_rnn as tg
    >>> tg.manual_seed(0)
    >>> tg.functional.dropout([1.0, 1.0, 1.0, 1.0])
    Tensor([2., 2., 2., 0.])
    """
    p = number(p, "dropout", "p")
    if not 0 <= p <= 1:
        raise ValueError(f"{here('dropout')}: expected a probability 0 <= p <= 1, got {p}")
    x = floats(input, "dropout")
    if not training or p == 0:
        return x
    kept = generator().random(x.shape, np.float32) >= p
    return kernels.dropout(x, kept.astype(x.dtype) * (1 / (1 - p) if p < 1 else 0))  # type: ignore[no-any-return]


def layer_norm(
    input: Any, normalized_shape: int | Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Tensor:
    """Shift and scale the last axes to mean 0 and variance 1: (x - mean) / sqrt(var + eps) * weight + bias.

    Ba et al. 2016 (arXiv:1607.06450). The variance is the mean square, without Bessel's correction.

    Args:
        input: (..., *normalized_shape), floats.
        normalized_shape: Of the axes to normalise over; an integer is the length of the last.
        weight, bias: ``normalized_shape``, or None.
        eps: Added to the variance.

    Raises:
        ValueError: the input does not end in ``normalized_shape``, or ``weight`` or ``bias`` has another shape.

    >>> import tinygrad_rnn as tg
    >>> tg.functional.layer_norm([[1.0, 2.0, 3.0]], 3).numpy().round(4)
    array([[-1.2247,  0.    ,  1.2247]], dtype=float32)
    """
    x = floats(input, "layer_norm")
    shape = (normalized_shape,) if isinstance(normalized_shape, (int, np.integer)) else tuple(normalized_shape)
    if not shape:
        raise ValueError(f"{here('layer_norm')}: expected normalized_shape to name at least one axis, got ()")
    if x.shape[-len(shape) :] != shape:
        expected = ", ".join(["...", *map(str, shape)])
        raise ValueError(f"{here('layer_norm')}: expected an input of shape ({expected}), got {x.shape}")
    y: Any = kernels.layer_norm(x, tuple(range(x.ndim - len(shape), x.ndim)), number(eps, "layer_norm", "eps"))
    for what, value in (("weight", weight), ("bias", bias)):
        if value is not None:
            t = like(value, x, "layer_norm")
            if t.shape != shape:
                raise ValueError(f"{here('layer_norm')}: expected {what} of shape {shape}, got {t.shape}")
            y = y * t if what == "weight" else y + t
    return y  # type: ignore[no-any-return]
