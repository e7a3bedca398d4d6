"""Layers without a memory: linear, embedding, dropout, layer normalisation, and the sequence of layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..context import get_default_dtype
from ..functional import dropout, embedding, layer_norm, linear
from ..tensor import Tensor
from . import init
from .module import Module, Parameter


def new_parameter(*shape: int) -> Parameter:
    """A parameter of the default dtype, its values still to be drawn."""
    return Parameter(np.zeros(shape, get_default_dtype()), copy=False)


def check_sizes(owner: str, **sizes: Any) -> None:
    """Raise ValueError unless every size is a whole number, at least 0."""
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 0:
            raise ValueError(f"{owner}: expected {name} to be a whole number >= 0, got {size!r}")


def check_flags(owner: str, **flags: Any) -> None:
    """Raise TypeError unless every flag is a boolean: a number here is most likely one place out of order."""
    for name, flag in flags.items():
        if not isinstance(flag, (bool, np.bool_)):
            raise TypeError(f"{owner}: expected {name} to be True or False, got {flag!r}")


class Linear(Module):
    """An affine map of the last axis: y = x W^T + b.

    Args:
        in_features: I.
        out_features: O.
        bias: Add b.

    Shapes: x (..., I) to y (..., O); ``weight`` (O, I), ``bias`` (O,). Both are drawn from U(-1/sqrt(I), 1/sqrt(I)), as
    ``torch.nn.Linear`` does. Integers become the weight's dtype.

    Raises:
        ValueError: a size is not a whole number; in the call, the last axis of x is not I.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> layer = tg.nn.Linear(3, 2)
    >>> layer(np.ones((5, 3), np.float32)).shape
    (5, 2)
    >>> layer
    Linear(3, 2)
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        check_sizes("Linear", in_features=in_features, out_features=out_features)
        self.in_features = in_features
        self.out_features = out_features
        self.weight = new_parameter(out_features, in_features)
        self.bias = new_parameter(out_features) if bias else None
        bound = 1 / math.sqrt(in_features) if in_features else 0.0
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def forward(self, x: Any) -> Any:
        return linear(as_input(self, x, self.in_features, self.weight.dtype), self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}" + ("" if self.bias is not None else ", bias=False")


def as_input(module: Module, x: Any, size: int, dtype: Any) -> Tensor:
    """What a module was called with, as a tensor of floats whose last axis has ``size`` entries.

    Integers and booleans (one-hot codes, say) become ``dtype``: left to NumPy's promotion they would become float64.
    """
    t = x if isinstance(x, Tensor) else Tensor(x, copy=False)
    if t.ndim == 0 or t.shape[-1] != size:
        raise ValueError(f"{module.here()}: expected an input of shape (..., {size}), got {t.shape}")
    if t.dtype.kind == "c":
        raise TypeError(f"{module.here()}: expected real numbers, got {t.dtype}")
    return t if t.dtype.kind == "f" else t.astype(dtype)


class Embedding(Module):
    """A table of vectors, looked up by index: y = weight[x].

    Args:
        num_embeddings: V, how many vectors.
        embedding_dim: E, how long each is.
        padding_idx: The index whose vector is 0 at first and gets no gradient; may be negative.

    Shapes: x (...) of integers in 0..V-1 to y (..., E); ``weight`` (V, E), drawn from N(0, 1).

    Raises:
        ValueError: a size is not a whole number, or ``padding_idx`` lies outside the table.
        IndexError: in the call, an index outside the table.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> tg.nn.Embedding(10, 4, padding_idx=0)(np.array([[1, 2, 0]])).shape
    (1, 3, 4)
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None) -> None:
        check_sizes("Embedding", num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ValueError(f"Embedding: expected padding_idx in 0..{num_embeddings - 1}, got {padding_idx}")
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = padding_idx if padding_idx is None else padding_idx % num_embeddings
        self.weight = init.normal_(new_parameter(num_embeddings, embedding_dim))
        if self.padding_idx is not None:
            rows = self.weight.data
            rows[self.padding_idx] = 0
            self.weight.data = rows

    def forward(self, x: Any) -> Any:
        return embedding(x, self.weight, padding_idx=self.padding_idx)

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"


class Dropout(Module):
    """In training, each entry is 0 with probability p and otherwise divided by 1 - p; in ``eval()``, y = x.

    Srivastava et al., "Dropout" (2014). Draws from ``tg.manual_seed``'s generator.

    Raises:
        ValueError: p is not in [0, 1].

    >>> import numpy as np, tinygrad_rnn as tg
    >>> tg.nn.Dropout(0.5).eval()(tg.Tensor([1.0, 2.0]))
    Tensor([1., 2.])
    """

    def __init__(self, p: float = 0.5) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: expected a probability in [0, 1], got {p}")
        self.p = p

    def forward(self, x: Any) -> Any:
        return dropout(x, p=self.p, training=self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class LayerNorm(Module):
    """Shift and scale the last axes to mean 0 and variance 1: y = (x - mean) / sqrt(var + eps) * weight + bias.

    Ba, Kiros and Hinton, "Layer Normalization" (2016).

    Args:
        normalized_shape: Shape of the last axes, or the length of the last one.
        eps: Added to the variance.
        elementwise_affine: Learn ``weight`` (ones at first) and ``bias`` (zeros), both of ``normalized_shape``.
        bias: False: no ``bias``.

    Raises:
        ValueError: a size is not a whole number; in the call, the last axes of x have another shape.

    >>> import tinygrad_rnn as tg
    >>> y = tg.nn.LayerNorm(4)(tg.Tensor([[1.0, 2.0, 3.0, 4.0]]))
    >>> round(y.mean().item(), 5), round(y.std().item(), 3)
    (0.0, 1.0)
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
    ) -> None:
        shape = (normalized_shape,) if isinstance(normalized_shape, (int, np.integer)) else tuple(normalized_shape)
        check_sizes("LayerNorm", **{f"normalized_shape[{i}]": size for i, size in enumerate(shape)})
        self.normalized_shape = shape
        self.eps = eps
        self.weight = init.ones_(new_parameter(*shape)) if elementwise_affine else None
        self.bias = new_parameter(*shape) if elementwise_affine and bias else None

    def forward(self, x: Any) -> Any:
        return layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        affine = "" if self.weight is not None else ", elementwise_affine=False"
        return f"{self.normalized_shape}, eps={self.eps}{affine}"


class Sequential(Module):
    """Modules, and plain functions such as ``np.tanh``, applied one after the other; named "0", "1", ...

    Raises:
        TypeError: something given cannot be called.
        IndexError: no layer at that place.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> net = tg.nn.Sequential(tg.nn.Linear(3, 4), np.tanh, tg.nn.Linear(4, 2))
    >>> net(np.ones((5, 3), np.float32)).shape
    (5, 2)
    >>> sorted(net.state_dict())
    ['0.bias', '0.weight', '2.bias', '2.weight']
    >>> len(net), net[-1]
    (3, Linear(4, 2))
    """

    def __init__(self, *layers: Callable[..., Any]) -> None:
        for layer in layers:
            self.append(layer)

    def append(self, layer: Callable[..., Any]) -> Sequential:
        """Add a layer at the end; returns the sequence."""
        if not callable(layer):
            raise TypeError(f"Sequential: expected modules or functions, got {layer!r}")
        setattr(self, str(len(self)), layer)
        return self

    def forward(self, x: Any) -> Any:
        for layer in self:
            x = layer(x)
        return x

    def __len__(self) -> int:
        return sum(name.isdecimal() for name in self.__dict__)

    def __iter__(self) -> Iterator[Callable[..., Any]]:
        return (self.__dict__[str(i)] for i in range(len(self)))

    def __getitem__(self, index: int | slice) -> Any:
        layers = list(self)
        return Sequential(*layers[index]) if isinstance(index, slice) else layers[index]

    def __repr__(self) -> str:
        lines = [f"({i}): {_described(layer)}".replace("\n", "\n  ") for i, layer in enumerate(self)]
        return "Sequential(\n  " + "\n  ".join(lines) + "\n)" if lines else "Sequential()"


def _described(layer: Any) -> str:
    return repr(layer) if isinstance(layer, Module) else getattr(layer, "__name__", repr(layer))
