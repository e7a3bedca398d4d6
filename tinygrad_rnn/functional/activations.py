"""Activations, and softmax with its kin."""

from typing import Any

import numpy as np

from ..tensor import Tensor
from . import kernels
from .arguments import floats, here, number


def sigmoid(input: Any) -> Tensor:
    """The logistic function, 1 / (1 + exp(-x)), in any shape.

    Every digit is right in the lower tail too, where y is tiny. Its derivative is y (1 - y), which is 0 once y has
    rounded to 1, as in PyTorch. The gates of an LSTM are sigmoids (Hochreiter and Schmidhuber 1997; lecture, section 3,
    "LSTM Math").

    >>> import tinygrad_rnn as tg
    >>> print(*(f"{y:.4g}" for y in tg.functional.sigmoid([-40.0, 0.0, 1e4])))
    4.248e-18 0.5 1
    """
    return kernels.sigmoid(floats(input, "sigmoid"))  # type: ignore[no-any-return]


def relu(input: Any) -> Tensor:
    """The rectifier, max(x, 0), in any shape (Nair and Hinton 2010). Its derivative at 0 is 0, as in PyTorch.

    >>> import tinygrad_rnn as tg
    >>> tg.functional.relu([-1.0, 0.0, 2.0])
    Tensor([0., 0., 2.])
    """
    return kernels.relu(floats(input, "relu"))  # type: ignore[no-any-return]


def leaky_relu(input: Any, negative_slope: float = 0.01) -> Tensor:
    """A rectifier with a slope left of 0: x where x > 0, else negative_slope x (Maas et al. 2013).

    Its derivative at 0 is ``negative_slope``, as in PyTorch.

    >>> import tinygrad_rnn as tg
    >>> tg.functional.leaky_relu([-1.0, 0.0, 2.0], negative_slope=0.1)
    Tensor([-0.1,  0. ,  2. ])
    """
    slope = number(negative_slope, "leaky_relu", "negative_slope")
    return kernels.leaky_relu(floats(input, "leaky_relu"), slope)  # type: ignore[no-any-return]


def elu(input: Any, alpha: float = 1.0) -> Tensor:
    """The exponential linear unit: x where x > 0, else alpha (exp(x) - 1) (Clevert et al. 2016, arXiv:1511.07289).

    Its derivative at 0 is ``alpha``, as in PyTorch.

    >>> import tinygrad_rnn as tg
    >>> tg.functional.elu([-1.0, 0.0, 2.0]).numpy().round(4)
    array([-0.6321,  0.    ,  2.    ], dtype=float32)
    """
    return kernels.elu(floats(input, "elu"), number(alpha, "elu", "alpha"))  # type: ignore[no-any-return]


def silu(input: Any) -> Tensor:
    """The sigmoid linear unit ("swish"): x sigmoid(x) (Elfwing et al. 2018, arXiv:1702.03118).

    >>> import tinygrad_rnn as tg
    >>> tg.functional.silu([-1.0, 0.0, 2.0]).numpy().round(4)
    array([-0.2689,  0.    ,  1.7616], dtype=float32)
    """
    return kernels.silu(floats(input, "silu"))  # type: ignore[no-any-return]


def softplus(input: Any, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """A smooth rectifier: log(1 + exp(beta x)) / beta, and x itself where beta x > threshold (Dugas et al. 2000).

    Above the threshold the two differ by less than exp(-threshold) / beta; ``threshold=math.inf`` is the exact
    function, which does not overflow either. Its derivative is sigmoid(beta x).

    Raises:
        ValueError: beta is not positive.

    >>> import tinygrad_rnn as tg
    >>> print(*(f"{y:.3g}" for y in tg.functional.softplus([-40.0, 0.0, 1e4])))
    4.25e-18 0.693 1e+04
    """
    beta, threshold = number(beta, "softplus", "beta"), number(threshold, "softplus", "threshold")
    if not beta > 0:
        raise ValueError(f"{here('softplus')}: expected beta > 0, got {beta}")
    return kernels.softplus(floats(input, "softplus"), beta, threshold)  # type: ignore[no-any-return]


def hardtanh(input: Any, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """A tanh of straight lines: x held between min_val and max_val (Collobert 2004).

    Its derivative at the two corners is 0, as in PyTorch (that of ``np.clip`` is 1 there).

    Raises:
        ValueError: min_val > max_val.

    >>> import tinygrad_rnn as tg
    >>> tg.functional.hardtanh([-3.0, 0.5, 3.0])
    Tensor([-1. ,  0.5,  1. ])
    """
    min_val, max_val = number(min_val, "hardtanh", "min_val"), number(max_val, "hardtanh", "max_val")
    if min_val > max_val:
        raise ValueError(f"{here('hardtanh')}: expected min_val <= max_val, got {min_val} > {max_val}")
    return kernels.hardtanh(floats(input, "hardtanh"), min_val, max_val)  # type: ignore[no-any-return]


def binary_threshold(input: Any) -> Tensor:
    """The binary threshold unit: h(x) = 1 if x > 0, else 0, in the input's dtype (lecture, section 1, "Parity").

    Its derivative is 0 wherever it has one, and 0 by convention at 0. So it is recorded, and can be drawn, but nothing
    is learned through it: every gradient that passes it is 0.

    >>> import tinygrad_rnn as tg
    >>> tg.functional.binary_threshold([-0.5, 0.0, 0.5])
    Tensor([0., 0., 1.])
    """
    return kernels.binary_threshold(floats(input, "binary_threshold"))  # type: ignore[no-any-return]


def softmax(input: Any, axis: int | tuple[int, ...] = -1) -> Tensor:
    """Scores made probabilities: exp(x_i) / sum_j exp(x_j) along ``axis`` (Bridle 1990).

    The largest score is subtracted first, so that scores of 1e4 do no harm. A score of -inf has probability 0; where
    all are -inf the result is NaN.

    Raises:
        ValueError, IndexError: the input has no such axis.

    >>> import tinygrad_rnn as tg
    >>> tg.functional.softmax([1e4, 1e4, -1e4])
    Tensor([0.5, 0.5, 0. ])
    """
    return kernels.softmax(floats(input, "softmax"), axis)  # type: ignore[no-any-return]


def log_softmax(input: Any, axis: int | tuple[int, ...] = -1) -> Tensor:
    """The logarithm of ``softmax``, x_i - log sum_j exp(x_j) along ``axis``, without its rounding to 0.

    Raises:
        ValueError, IndexError: the input has no such axis.

    >>> import tinygrad_rnn as tg
    >>> tg.functional.log_softmax([0.0, -1e4])
    Tensor([     0., -10000.])
    """
    return kernels.log_softmax(floats(input, "log_softmax"), axis)  # type: ignore[no-any-return]


def logsumexp(input: Any, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Tensor:
    """log sum_j exp(x_j) along ``axis`` (None: over all), without overflow; -inf for no terms at all.

    Its derivative is ``softmax``.

    Raises:
        ValueError, IndexError: the input has no such axis.

    >>> import tinygrad_rnn as tg
    >>> print(f"{tg.functional.logsumexp([1e4, 1e4]):.2f}")
    10000.69
    """
    x = floats(input, "logsumexp")
    axes = tuple(range(x.ndim)) if axis is None else axis
    y = kernels.logsumexp(x, axes)
    return y if keepdims else np.squeeze(y, axes)  # type: ignore[no-any-return]
