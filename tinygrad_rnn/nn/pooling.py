"""Pooling over time: one vector for a whole sequence, from the outputs of a recurrent layer.

The lecture's prediction network reads the last hidden state; its alternative is the maximum and the average over all of
them (section 2, "RNN: Compute Prediction"). Join two by ``np.concatenate``:

>>> import numpy as np, tinygrad_rnn as tg
>>> output, _ = tg.nn.GRU(3, 4)(np.ones((5, 2, 3), np.float32), lengths=[5, 2])
>>> most, mean = tg.nn.MaxPooling(), tg.nn.MeanPooling()
>>> np.concatenate([most(output, [5, 2]), mean(output, [5, 2])], axis=-1).shape
(2, 8)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..recurrence import ends_of
from ..tensor import Tensor
from .layers import check_flags
from .module import Module


class Pooling(Module):
    """Base: ``pool(x, lengths=None)`` of x (T, B, H), without a batch (T, H), or with ``batch_first`` (B, T, H)."""

    def __init__(self, batch_first: bool = False) -> None:
        check_flags(type(self).__name__, batch_first=batch_first)
        self.batch_first = batch_first

    def forward(self, x: Any, lengths: Any = None) -> Any:
        t: Any = x if isinstance(x, Tensor) else Tensor(x, copy=False)
        if t.ndim not in (2, 3) or t.dtype.kind != "f":
            form = "(B, T, H)" if self.batch_first else "(T, B, H)"
            raise ValueError(
                f"{self.here()}: expected floats of shape {form}, or (T, H) without a batch, got {t.dtype} {t.shape}"
            )
        if t.ndim == 2:
            if lengths is not None:
                raise ValueError(f"{self.here()}: lengths need a batch; cut an unbatched input to its length instead")
            return self.forward(np.expand_dims(t, 0 if self.batch_first else 1))[0]
        t = np.swapaxes(t, 0, 1) if self.batch_first else t
        steps, batch, _ = t.shape
        ends = np.full(batch, steps) if lengths is None else ends_of(lengths, steps, batch, self.here())
        if not steps:
            return t.sum(axis=0)
        y = self.pooled(t, ends)
        return y if ends.all() else np.where((ends > 0)[:, None], y, 0)

    def pooled(self, x: Any, ends: Any) -> Any:
        """Pool x (T, B, H), T > 0, to (B, H); the row of a sequence of length 0 may hold anything."""
        raise NotImplementedError(f"{type(self).__name__} has no pooled()")

    def extra_repr(self) -> str:
        return "batch_first=True" if self.batch_first else ""


def _valid(x: Any, ends: Any) -> Any:
    """(T, B, 1): True before each length."""
    return (np.arange(x.shape[0])[:, None] < ends)[..., None]


class LastPooling(Pooling):
    """The last valid output of each sequence: what a recurrent layer knew when it had read everything.

    Lecture, section 2, "RNN: Last Hidden State". The same as ``h_n`` of the layer's last level, also of one that began
    from zeros and read nothing.

    Args:
        batch_first: x is (B, T, H).
        bidirectional: x is the output of a bidirectional layer, (T, B, 2H): its second half was read backwards, so its
            last step is at t = 0.

    Shapes: x (T, B, H), lengths (B,) or None for T, to (B, H); without a batch (T, H) to (H,). A sequence of length 0
    gives 0. Padding has no influence on value or gradient, not even NaN.

    Raises:
        TypeError: an option is not a boolean.
        ValueError: in the call, x is not floats of such a shape, H is odd though ``bidirectional``, or lengths are not
            whole numbers in 0..T.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> output, h_n = tg.nn.GRU(3, 4)(np.ones((5, 2, 3), np.float32), lengths=[5, 2])
    >>> last = tg.nn.LastPooling()(output, [5, 2])
    >>> bool((last.numpy() == h_n[0].numpy()).all())
    True
    """

    def __init__(self, batch_first: bool = False, bidirectional: bool = False) -> None:
        super().__init__(batch_first)
        check_flags("LastPooling", bidirectional=bidirectional)
        self.bidirectional = bidirectional

    def pooled(self, x: Any, ends: Any) -> Any:
        last = x[ends - 1, np.arange(len(ends))]  # of an empty sequence the very last, which forward() replaces by 0
        if not self.bidirectional:
            return last
        half, odd = divmod(x.shape[-1], 2)
        if odd:
            raise ValueError(f"{self.here()}: expected the two halves of a bidirectional output, got shape {x.shape}")
        return np.concatenate([last[:, :half], x[0, :, half:]], axis=-1)

    def extra_repr(self) -> str:
        return ", ".join(name + "=True" for name in ("batch_first", "bidirectional") if getattr(self, name))


class MeanPooling(Pooling):
    """The mean of each sequence's valid outputs: sum_{t < length} x_t / length.

    Lecture, section 2, "RNN: Compute Prediction" (average-pool).

    Args:
        batch_first: x is (B, T, H).

    Shapes: x (T, B, H), lengths (B,) or None for T, to (B, H); without a batch (T, H) to (H,). A sequence of length 0
    gives 0. Padding has no influence on value or gradient, not even NaN.

    Raises:
        TypeError: the option is not a boolean.
        ValueError: in the call, x is not floats of such a shape, or lengths are not whole numbers in 0..T.

    >>> import tinygrad_rnn as tg
    >>> x = tg.Tensor([[[1.0], [5.0]], [[3.0], [float("nan")]]])
    >>> tg.nn.MeanPooling()(x, lengths=[2, 1]).tolist()
    [[2.0], [5.0]]
    """

    def pooled(self, x: Any, ends: Any) -> Any:
        return np.where(_valid(x, ends), x, 0).sum(axis=0) / np.maximum(ends, 1).astype(x.dtype)[:, None]


class MaxPooling(Pooling):
    """The maximum of each sequence's valid outputs, entry by entry: max_{t < length} x_t.

    Lecture, section 2, "RNN: Compute Prediction" (max-pool). Where several steps have it, the first gets the whole
    gradient, as in ``torch.nn.MaxPool1d``.

    Args:
        batch_first: x is (B, T, H).

    Shapes: x (T, B, H), lengths (B,) or None for T, to (B, H); without a batch (T, H) to (H,). A sequence of length 0
    gives 0. Padding has no influence on value or gradient, not even NaN or infinity.

    Raises:
        TypeError: the option is not a boolean.
        ValueError: in the call, x is not floats of such a shape, or lengths are not whole numbers in 0..T.

    >>> import tinygrad_rnn as tg
    >>> x = tg.Tensor([[[-1.0], [-5.0]], [[-3.0], [0.0]]])
    >>> tg.nn.MaxPooling()(x, lengths=[2, 1]).tolist()
    [[-1.0], [-5.0]]
    """

    def pooled(self, x: Any, ends: Any) -> Any:
        step = np.argmax(np.where(_valid(x, ends), x.numpy(), -np.inf), axis=0)
        return np.take_along_axis(x, step[None], axis=0)[0]
