"""Random recurrent nets with data: layers, cells in a loop, and steps written by hand on ``tg.scan``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from random import Random
from typing import Any

import numpy as np
from hypothesis import strategies as st

from ... import functional as F
from ... import nn
from ...recurrence import scan
from ...tensor import Tensor
from ...tree import map_leaves

_LAYERS: dict[str, Callable[..., Any]] = {"RNN": nn.RNN, "LSTM": nn.LSTM, "GRU": nn.GRU}
_CELLS: dict[str, Callable[..., Any]] = {"RNNCell": nn.RNNCell, "LSTMCell": nn.LSTMCell, "GRUCell": nn.GRUCell}
_STEPS = ("leaky", "gated")
CELLS = (*_LAYERS, *_CELLS, *_STEPS)
LOSSES = ("sum", "mean", "mse", "cross_entropy", "binary_cross_entropy_with_logits")
_IGNORED = -100


class RecurrentNet(nn.Module):
    """A recurrent net in float64 with data to run it on; ``net(*net.inputs)`` is its loss.

    The parameters and the data are drawn from ``seed``: its ``repr`` makes the same net again.

    Args:
        cell: "RNN", "LSTM" or "GRU": a layer of ``tg.nn``; "RNNCell", "LSTMCell" or "GRUCell": that cell in a Python
            loop; "leaky" (a state h) or "gated" (a state of h and c): a step written by hand, on ``tg.scan``.
        input_size, hidden_size: I, H.
        steps, batch: T, B of the data.
        num_layers, bidirectional, learn_initial_state, checkpoint: Of a layer.
        nonlinearity: "tanh" or "relu", of an "RNN" or "RNNCell".
        bias: Whether the cell has biases.
        lengths: Of the sequences, B numbers in 0..T; None: all T.
        reverse: Go from the last step to the first (not for layers).
        batch_first: The inputs are (B, T, I) (for layers only).
        initial_state: The inputs have a first state.
        vocabulary: V: the inputs are indices into an embedding of so many vectors; None: numbers (T, B, I).
        layer_norm: Normalise what the loss looks at.
        head: O: a linear layer of so many outputs after it; None: none.
        readout: What the loss looks at: "outputs" (of all steps) or "last" (the last hidden state).
        masked: Multiply what the loss looks at by a mask of zeros and ones.
        loss: "sum", "mean", "mse", "cross_entropy" (padding is ignored) or "binary_cross_entropy_with_logits".
        seed: Of everything random.

    Attributes:
        inputs: A tuple: numbers or indices, and the first state (a pair of them, or a dict) if there is one.

    >>> import tinygrad_rnn as tg
    >>> net = tg.testing.strategies.RecurrentNet("GRU", lengths=(3, 0), loss="mse")
    >>> net, net.inputs[0].shape
    (tg.testing.strategies.RecurrentNet('GRU', lengths=(3, 0), loss='mse'), (3, 2, 2))
    >>> tg.testing.gradcheck(net, net.inputs)
    True
    """

    def __init__(
        self,
        cell: str = "RNN",
        *,
        input_size: int = 2,
        hidden_size: int = 2,
        steps: int = 3,
        batch: int = 2,
        num_layers: int = 1,
        bidirectional: bool = False,
        learn_initial_state: bool = False,
        checkpoint: int | None = None,
        nonlinearity: str = "tanh",
        bias: bool = True,
        lengths: Sequence[int] | None = None,
        reverse: bool = False,
        batch_first: bool = False,
        initial_state: bool = False,
        vocabulary: int | None = None,
        layer_norm: bool = False,
        head: int | None = None,
        readout: str = "outputs",
        masked: bool = False,
        loss: str = "sum",
        seed: int = 0,
    ) -> None:
        given = {name: value for name, value in locals().items() if name in _DEFAULTS}
        self._given = {k: v for k, v in given.items() if v != _DEFAULTS[k]}
        if cell not in CELLS or loss not in LOSSES:
            raise ValueError(f"RecurrentNet: expected a cell of {CELLS} and a loss of {LOSSES}, got {cell!r}, {loss!r}")
        if reverse and cell in _LAYERS:
            raise ValueError(f"RecurrentNet: reverse is for cells and steps, not for the layer {cell!r}")
        if cell not in _LAYERS and (found := [name for name in _OF_LAYERS[1:] if name in self._given]):
            raise ValueError(f"RecurrentNet: {found[0]} is for layers, not for {cell!r}")
        self.cell, self.hidden_size, self.steps, self.batch = cell, hidden_size, steps, batch
        self.num_layers, self.directions = num_layers, 2 if bidirectional else 1
        self.lengths = None if lengths is None else list(lengths)
        self.reverse, self.batch_first = reverse, batch_first and cell in _LAYERS
        self.readout, self.loss = readout, loss
        self.embedding = None if vocabulary is None else nn.Embedding(vocabulary, input_size)
        layer = {"bidirectional": bidirectional, "learn_initial_state": learn_initial_state, "checkpoint": checkpoint}
        self._make(cell, input_size, hidden_size, nonlinearity, bias, {"num_layers": num_layers, **layer})
        width = hidden_size * (self.directions if readout == "outputs" else 1)  # of what the loss looks at
        self.norm = nn.LayerNorm(width, eps=0.1) if layer_norm else None
        self.head = None if head is None else nn.Linear(width, head)
        rng = np.random.default_rng(seed)
        self.astype(np.float64)
        for parameter in self.parameters():
            parameter.data = rng.uniform(-1, 1, parameter.shape)
        self.inputs = self._inputs(rng, input_size, vocabulary, initial_state)
        shape = (steps, batch) if readout == "outputs" else (batch,)
        self._mask = rng.integers(0, 2, (*shape, 1)) * 1.0 if masked else None
        self._target = self._targets(rng, (*shape, width if head is None else head))

    def _make(self, cell: str, inputs: int, hidden: int, nonlinearity: str, bias: bool, layer: dict[str, Any]) -> None:
        """The recurrent part: ``self.recurrent``, or the weights of a step."""
        options: dict[str, Any] = {"bias": bias}
        if cell.startswith("RNN"):
            options["nonlinearity"] = nonlinearity
        if cell in _LAYERS:
            self.recurrent = _LAYERS[cell](inputs, hidden, batch_first=self.batch_first, **options, **layer)
        elif cell in _CELLS:
            self.recurrent = _CELLS[cell](inputs, hidden, **options)
        else:
            self.from_x = nn.Linear(inputs, hidden, bias=bias)
            self.from_h = nn.Linear(hidden, hidden, bias=False)
            self.leak = nn.Parameter(np.zeros(hidden))

    def _inputs(self, rng: np.random.Generator, size: int, vocabulary: int | None, state: bool) -> tuple[Any, ...]:
        order = (self.batch, self.steps) if self.batch_first else (self.steps, self.batch)
        xs: Any = rng.normal(size=(*order, size)) if vocabulary is None else rng.integers(0, vocabulary, order)
        if not state:
            return (xs,)
        axis = (self.num_layers * self.directions,) if self.cell in _LAYERS else ()
        h, c = rng.normal(size=(2, *axis, self.batch, self.hidden_size))
        return (xs, self._state(h, c))

    def _state(self, h: Any, c: Any) -> Any:
        return (h, c) if "LSTM" in self.cell else {"h": h, "c": c} if self.cell == "gated" else h

    def _targets(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
        if self.loss == "mse":
            return rng.normal(size=shape)
        if self.loss != "cross_entropy":
            return rng.integers(0, 2, shape) * 1.0
        classes = rng.integers(0, shape[-1], shape[:-1])
        if self.lengths is not None and self.readout == "outputs" and any(self.lengths):
            classes[np.arange(self.steps)[:, None] >= np.array(self.lengths)] = _IGNORED
        return classes

    def forward(self, xs: Any, state: Any = None) -> Any:
        if self.embedding is not None:
            xs = self.embedding(xs)
        outputs, last = self._unrolled(xs, state)
        y = outputs if self.readout == "outputs" else last
        if self.norm is not None:
            y = self.norm(y)
        if self.head is not None:
            y = self.head(y)
        return self._loss(y if self._mask is None else y * self._mask)

    def _loss(self, y: Any) -> Any:
        if self.loss == "mse":
            return F.mse_loss(y, self._target)
        if self.loss == "cross_entropy":
            return F.cross_entropy(y, self._target, axis=-1, ignore_index=_IGNORED)
        if self.loss == "binary_cross_entropy_with_logits":
            return F.binary_cross_entropy_with_logits(y, self._target)
        return np.sum(y) if self.loss == "sum" else np.mean(y)

    def _unrolled(self, xs: Any, state: Any) -> tuple[Any, Any]:
        """The outputs (T, B, H), and the last hidden state (B, H)."""
        if self.cell in _LAYERS:
            outputs, last = self.recurrent(xs, state, self.lengths)
            last = last[0] if self.cell == "LSTM" else last
            return (np.swapaxes(outputs, 0, 1) if self.batch_first else outputs), last[-1]
        if state is None:
            zeros = Tensor(np.zeros((self.batch, self.hidden_size)))
            state = self._state(zeros, zeros)
        if self.cell in _CELLS:
            return self._loop(xs, state)
        step = self._leaky if self.cell == "leaky" else self._gated
        last, outputs = scan(step, state, xs, reverse=self.reverse, lengths=self.lengths)
        return outputs, last["h"] if self.cell == "gated" else last

    def _loop(self, xs: Any, state: Any) -> tuple[Any, Any]:
        """The cell in a plain loop; a mask holds the state of sequences that have ended, or not yet begun."""
        outputs: list[Any] = []
        for t in reversed(range(self.steps)) if self.reverse else range(self.steps):
            new = self.recurrent(xs[t], state)
            if self.lengths is not None:
                running = (np.array(self.lengths) > t)[:, None]
                new = map_leaves(lambda a, b, m=running: np.where(m, a, b), new, state)
            state = new
            outputs.append(state[0] if isinstance(state, tuple) else state)
        return np.stack(outputs[::-1] if self.reverse else outputs), outputs[-1]

    def _leaky(self, h: Any, x: Any) -> tuple[Any, Any]:
        leak = F.sigmoid(self.leak)
        h = (1 - leak) * h + leak * np.tanh(self.from_x(x) + self.from_h(h))
        return h, h

    def _gated(self, state: dict[str, Any], x: Any) -> tuple[dict[str, Any], Any]:
        forget = F.sigmoid(self.from_h(state["h"]) + self.leak)
        c = forget * state["c"] + (1 - forget) * self.from_x(x)
        h = np.tanh(c)
        return {"h": h, "c": c}, h * forget

    def __repr__(self) -> str:
        words = [repr(self._given["cell"])] if "cell" in self._given else []
        words += [f"{name}={value!r}" for name, value in self._given.items() if name != "cell"]
        return f"tg.testing.strategies.RecurrentNet({', '.join(words)})"


_DEFAULTS: dict[str, Any] = {
    name: parameter.default
    for name, parameter in inspect.signature(RecurrentNet.__init__).parameters.items()
    if name != "self"
}


_OF_LAYERS = ("batch_first", "num_layers", "bidirectional", "learn_initial_state", "checkpoint")


def _architecture(rnd: Random, cells: Sequence[str], steps: int, batch: int, size: int) -> dict[str, Any]:
    """The arguments of a net. Always as many decisions, and the first of each list is the simplest: for shrinking."""

    def choose(*options: Any) -> Any:
        return options[rnd.randrange(len(options))]

    found = {
        "cell": choose(*cells),
        "input_size": 1 + rnd.randrange(size),
        "hidden_size": 1 + rnd.randrange(size),
        "steps": 1 + rnd.randrange(steps),
        "batch": 1 + rnd.randrange(batch),
        "nonlinearity": choose("tanh", "tanh", "relu"),
        "bias": choose(True, True, False),
        "reverse": choose(False, True),
        "batch_first": choose(False, True),
        "initial_state": choose(False, True),
        "vocabulary": choose(None, None, 3),
        "layer_norm": choose(False, False, True),
        "head": choose(None, 2, 1, 3),
        "readout": choose("outputs", "last"),
        "masked": choose(False, False, True),
        "loss": choose(*LOSSES),
        "seed": rnd.randrange(1000),
        "num_layers": choose(1, 2),
        "bidirectional": choose(False, True),
        "learn_initial_state": choose(False, False, True),
        "checkpoint": choose(None, 2, 1),
    }
    ragged = choose(False, True)
    lengths = [rnd.randrange(256) * (found["steps"] + 1) // 256 for _ in range(batch)]
    found["lengths"] = tuple(lengths[: found["batch"]]) if ragged else None
    others = ("reverse",) if found["cell"] in _LAYERS else _OF_LAYERS
    return {name: value for name, value in found.items() if name not in others}


def _known(cells: Iterable[str] | None) -> tuple[str, ...]:
    chosen = CELLS if cells is None else tuple(cells)
    if not chosen or set(chosen) - set(CELLS):
        raise ValueError(f"recurrent_nets: expected cells out of {CELLS}, got {chosen}")
    return chosen


def recurrent_nets(
    cells: Iterable[str] | None = None, *, max_steps: int = 3, max_batch: int = 2, max_size: int = 2
) -> st.SearchStrategy[RecurrentNet]:
    """A Hypothesis strategy of random recurrent nets with data, in float64.

    They vary in the cell and its options, sizes, layers, directions, lengths (also 0), first state, recomputation,
    embedding, layer normalisation, linear head, masks and loss. They are small, so that a check is quick.

    Args:
        cells: Only these, by the names of ``RecurrentNet``; None: all.
        max_steps, max_batch: The largest T and B.
        max_size: The largest I and H.

    Raises:
        ValueError: a cell of another name.

    >>> import tinygrad_rnn as tg
    >>> from hypothesis import given, settings
    >>> @settings(max_examples=5, deadline=None)
    ... @given(tg.testing.strategies.recurrent_nets(["LSTM", "GRUCell"]))
    ... def test_nets(net):
    ...     tg.testing.gradcheck(net, net.inputs)
    >>> test_nets()
    """
    known = _known(cells)

    @st.composite
    def drawn(draw: Any) -> RecurrentNet:
        rnd = draw(st.randoms(use_true_random=False))
        return RecurrentNet(**_architecture(rnd, known, max_steps, max_batch, max_size))

    return drawn()


def sample_recurrent_nets(
    seed: int, cells: Iterable[str] | None = None, *, max_steps: int = 3, max_batch: int = 2, max_size: int = 2
) -> Iterator[RecurrentNet]:
    """Endlessly many nets as ``recurrent_nets`` draws them, from a seed and without Hypothesis.

    >>> from tinygrad_rnn.testing.strategies import sample_recurrent_nets
    >>> net = next(sample_recurrent_nets(0))
    >>> net(*net.inputs).shape
    ()
    """
    known, rnd = _known(cells), Random(seed)
    while True:
        yield RecurrentNet(**_architecture(rnd, known, max_steps, max_batch, max_size))
