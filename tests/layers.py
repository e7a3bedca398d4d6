"""A recurrent layer with random options and numbers: drawn, built here and in PyTorch, and what comes of it compared.

There are three sides. ``here`` is ``tg.nn``; ``in_torch`` is ``torch.nn``, with packed sequences where there are
lengths; ``by_hand`` is the formulas in a plain loop over the steps of each sequence by itself, in PyTorch's tensors, so
that nothing is padded, masked or fused: it also knows empty sequences, truncation and second derivatives.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from peer import torch

import tinygrad_rnn as tg

KINDS = ("RNN", "LSTM", "GRU")
KINDS_AND_NONLINEARITIES = [
    ("RNN", {"nonlinearity": "tanh"}),
    ("RNN", {"nonlinearity": "relu"}),
    ("LSTM", {}),
    ("GRU", {}),
]
GATES = {"RNN": 1, "LSTM": 4, "GRU": 3}
Outcome = dict[str, Any]


def parts(tree: Any) -> list[Any]:
    return list(tree) if isinstance(tree, (tuple, list)) else [tree]


@dataclass(frozen=True)
class Case:
    """A layer, what it is called with, and the loss: the sum of (result ** power) * weights over what is weighed."""

    kind: str
    options: dict[str, Any]  # as the constructors of both take them
    steps: int
    batch: int | None  # None: x is (T, I)
    inputs: int
    hidden: int
    lengths: list[int] | None = None
    given: bool = False  # is a first state given?
    learned: bool = False  # are the first states parameters?
    weighed: tuple[str, ...] = ("output", "h_n", "c_n")
    power: int = 1
    dtype: str = "float64"
    seed: int = 0

    @property
    def layers(self) -> int:
        return int(self.options.get("num_layers", 1))

    @property
    def directions(self) -> list[str]:
        return ["", "_reverse"] if self.options.get("bidirectional") else [""]

    @property
    def ends(self) -> list[int]:
        return [self.steps] * (self.batch or 1) if self.lengths is None else self.lengths

    @property
    def past_the_end(self) -> Any:
        """Where x and output are padding: (T, B), or (B, T) with batch_first."""
        padding = np.arange(self.steps)[:, None] >= np.array(self.ends)
        return padding.T if self.options.get("batch_first") else padding

    @property
    def results(self) -> tuple[str, ...]:
        return ("output", "h_n", "c_n") if self.kind == "LSTM" else ("output", "h_n")

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of x, of every parameter by its name, in PyTorch's order, and of the first state."""
        T, B, H = self.steps, self.batch, self.hidden
        outer = (T,) if B is None else (B, T) if self.options.get("batch_first") else (T, B)
        shapes: dict[str, tuple[int, ...]] = {"x": (*outer, self.inputs)}
        rows = GATES[self.kind] * H
        for k in range(self.layers):
            for direction in self.directions:
                end = f"_l{k}{direction}"
                shapes[f"weight_ih{end}"] = (rows, self.inputs if k == 0 else len(self.directions) * H)
                shapes[f"weight_hh{end}"] = (rows, H)
                if self.options.get("bias", True):
                    shapes[f"bias_ih{end}"] = shapes[f"bias_hh{end}"] = (rows,)
        states = ["h_0", "c_0"] if self.kind == "LSTM" else ["h_0"]
        for state in states:
            if self.learned:
                for k in range(self.layers):
                    for direction in self.directions:
                        shapes[f"{state}_l{k}{direction}"] = (H,)
            if self.given:
                D = len(self.directions)
                shapes[state] = (self.layers * D, H) if B is None else (self.layers * D, B, H)
        return shapes

    def numbers(self) -> dict[str, Any]:
        """Values for all of ``shapes``: small, so that no unit saturates, where float32 would lose its digits."""
        rng = np.random.default_rng([self.seed, 0])
        bounds = {"x": 1.0, "h_0": 1.0, "c_0": 1.0}
        return {
            name: (rng.uniform(-1, 1, shape) * bounds.get(name, 0.6)).astype(self.dtype)
            for name, shape in self.shapes().items()
        }

    def parameters(self) -> dict[str, Any]:
        return {name: value for name, value in self.numbers().items() if name not in ("x", "h_0", "c_0")}

    def weights(self) -> dict[str, Any]:
        """How the loss weighs each entry of each result."""
        T, B, D, H = self.steps, self.batch, len(self.directions), self.hidden
        output = (T,) if B is None else (B, T) if self.options.get("batch_first") else (T, B)
        state = (self.layers * D, H) if B is None else (self.layers * D, B, H)
        rng = np.random.default_rng([self.seed, 1])
        shapes = [(*output, D * H), *[state] * (len(self.results) - 1)]
        return {name: rng.normal(size=s).astype(self.dtype) for name, s in zip(self.results, shapes, strict=True)}

    def loss(self, results: dict[str, Any], constant: Callable[[Any], Any]) -> Any:
        weights = self.weights()
        return sum(
            (results[name] ** self.power * constant(weights[name])).sum() for name in results if name in self.weighed
        )


def drawn_lengths(steps: int, batch: int, least: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(least, steps), min_size=batch, max_size=batch)


@st.composite
def cases(
    draw: Any,
    kinds: Any = KINDS_AND_NONLINEARITIES,
    ragged: bool | None = None,
    least: int = 1,
    largest: tuple[int, int, int, int, int] = (3, 6, 4, 4, 4),
    **fixed: Any,
) -> Case:
    """Any layer: its kind, all its options, sizes up to ``largest`` (layers, T, B, I, H) and what it is given.

    Args:
        kinds: Pairs of a kind and options to choose from.
        ragged: Give lengths? None: sometimes.
        least: The shortest length (PyTorch takes no 0).
        fixed: Fields of the case that are not drawn.
    """
    most_layers, most_steps, *most = largest
    kind, more = draw(st.sampled_from(kinds))
    layers = draw(st.integers(1, most_layers))
    options = {
        **more,
        "num_layers": layers,
        "bias": draw(st.booleans()),
        "batch_first": draw(st.booleans()),
        "dropout": draw(st.sampled_from([0.0, 0.4])) if layers > 1 else 0.0,
        "bidirectional": draw(st.booleans()),
    }
    steps, batch, inputs, hidden = draw(st.integers(1, most_steps)), *(draw(st.integers(1, n)) for n in most)
    with_lengths = draw(st.booleans()) if ragged is None else ragged
    lengths = draw(drawn_lengths(steps, batch, least)) if with_lengths else None
    unbatched = not with_lengths and draw(st.sampled_from([False, False, True]))
    case = Case(
        kind,
        options,
        steps,
        None if unbatched else batch,
        inputs,
        hidden,
        lengths,
        draw(st.booleans()),
        seed=draw(st.integers(0, 9999)),
    )
    everything = case.results
    weighed = draw(st.sampled_from([everything, everything, *((name,) for name in everything)]))
    return replace(case, **{"weighed": weighed, **fixed})


# ------------------------------------------------------------------------------------------------ the three sides


def here(case: Case, **more: Any) -> Any:
    """The layer of ``tg.nn``, with the case's parameters, not in training."""
    learn = {"learn_initial_state": True} if case.learned else {}
    layer = getattr(tg.nn, case.kind)(case.inputs, case.hidden, **case.options, **learn, **more)
    layer.astype(case.dtype).load_state_dict(case.parameters())
    return layer.eval()


def in_torch(case: Case) -> Any:
    """The layer of ``torch.nn``, with the same parameters, not in training."""
    layer = getattr(torch.nn, case.kind)(case.inputs, case.hidden, **case.options)
    layer = layer.to(getattr(torch, case.dtype))
    layer.load_state_dict({name: torch.tensor(value) for name, value in case.parameters().items()})
    return layer.eval()


def packed(layer: Any, case: Case) -> Callable[[Any, Any], Any]:
    """How PyTorch is called with lengths: packed on the way in, padded on the way out."""
    rnn, first = torch.nn.utils.rnn, bool(case.options.get("batch_first"))

    def call(x: Any, state: Any) -> Any:
        sequence = rnn.pack_padded_sequence(x, case.lengths, first, enforce_sorted=False)
        output, last = layer(sequence, state)
        return rnn.pad_packed_sequence(output, first, total_length=case.steps)[0], last

    return layer if case.lengths is None else call


def hand_step(case: Case, p: dict[str, Any], end: str, x: Any, h: Any, c: Any) -> Any:
    """One step of one sequence: x (I,), h and c (H,)."""
    s, tanh = torch.sigmoid, torch.tanh
    from_x = p[f"weight_ih{end}"] @ x + p.get(f"bias_ih{end}", 0.0)
    from_h = p[f"weight_hh{end}"] @ h + p.get(f"bias_hh{end}", 0.0)
    if case.kind == "RNN":
        z = from_x + from_h
        return (torch.relu(z) if case.options.get("nonlinearity") == "relu" else tanh(z)), c
    if case.kind == "GRU":
        (x_r, x_z, x_n), (h_r, h_z, h_n) = from_x.chunk(3), from_h.chunk(3)
        z = s(x_z + h_z)
        return (1 - z) * tanh(x_n + s(x_r + h_r) * h_n) + z * h, c
    i, f, g, o = (from_x + from_h).chunk(4)
    c = s(f) * c + s(i) * tanh(g)
    return s(o) * tanh(c), c


def by_hand(case: Case, p: dict[str, Any], truncate: int | None = None) -> Callable[[Any, Any], Any]:
    """The layer as loops over layers, directions, sequences and steps; ``p``: its parameters.

    ``truncate=k`` detaches the state before the processed steps k, 2k, ... of each sequence.
    """

    def first(state: Any, name: str, k: int, d: int, b: int) -> Any:
        if case.learned:
            return p[f"{name}_l{k}{case.directions[d]}"]
        if state is None:
            return torch.zeros(case.hidden, dtype=getattr(torch, case.dtype))
        part = parts(state)["hc".index(name[0])]
        row = part[k * len(case.directions) + d]
        return row if case.batch is None else row[b]

    def call(x: Any, state: Any) -> Any:
        along = x[:, None] if case.batch is None else x.swapaxes(0, 1) if case.options.get("batch_first") else x
        sequences = [[along[t, b] for t in range(end)] for b, end in enumerate(case.ends)]
        last: dict[str, list[Any]] = {name: [] for name in case.results[1:]}
        for k in range(case.layers):
            ys = []
            for d, direction in enumerate(case.directions):
                rows: dict[str, list[Any]] = {name: [] for name in last}
                ys.append([[None] * end for end in case.ends])
                for b, sequence in enumerate(sequences):
                    h = first(state, "h_0", k, d, b)
                    c = first(state, "c_0", k, d, b) if case.kind == "LSTM" else h
                    for done in range(len(sequence)):
                        t = len(sequence) - 1 - done if d else done
                        if truncate is not None and done and done % truncate == 0:
                            h, c = h.detach(), c.detach()
                        h, c = hand_step(case, p, f"_l{k}{direction}", sequence[t], h, c)
                        ys[d][b][t] = h
                    for name, part in zip(rows, (h, c), strict=False):
                        rows[name].append(part)
                for name, row in rows.items():
                    last[name].append(torch.stack(row))
            sequences = [
                [torch.cat([ys[d][b][t] for d in range(len(ys))]) for t in range(end)]
                for b, end in enumerate(case.ends)
            ]
        nothing = torch.zeros(len(case.directions) * case.hidden, dtype=getattr(torch, case.dtype))
        padded = [torch.stack([*sequence, *[nothing] * (case.steps - len(sequence))]) for sequence in sequences]
        output = torch.stack(padded, 0 if case.options.get("batch_first") else 1)
        states = [torch.stack(rows) for rows in last.values()]
        if case.batch is None:
            output, states = output.reshape(case.steps, -1), [part[:, 0] for part in states]
        return output, tuple(states) if case.kind == "LSTM" else states[0]

    return call


# ---------------------------------------------------------------------------------------------- what comes of them


def leaf_here(values: Any) -> Any:
    return tg.Tensor(values, requires_grad=True)


def leaf_in_torch(values: Any) -> Any:
    return torch.tensor(values, requires_grad=True)


def state_of(case: Case, leaves: dict[str, Any]) -> Any:
    if not case.given:
        return None
    return (leaves["h_0"], leaves["c_0"]) if case.kind == "LSTM" else leaves["h_0"]


def run(case: Case, call: Any, leaf: Any, x: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Call a side with new leaves (x, and the first state): its results by name, and the leaves."""
    numbers = case.numbers()
    leaves = {name: leaf(numbers[name]) for name in ("x", "h_0", "c_0") if name in numbers}
    if x is not None:
        leaves["x"] = leaf(x)
    output, last = call(leaves["x"], state_of(case, leaves))
    return dict(zip(case.results, [output, *parts(last)], strict=True)), leaves


def outcome(case: Case, call: Any, named: Any, leaf: Any, x: Any = None, cut: bool = False) -> Outcome:
    """All results, and the gradient of the loss by every parameter (``named``) and leaf, as arrays by name.

    ``cut``: the loss may not depend on some of them, or on any (truncation; loops without a turn); then 0 is as good as
    no gradient. Otherwise each must have one.
    """
    results, leaves = run(case, call, leaf, x)
    loss = case.loss(results, lambda weights: leaf(weights).detach())
    if loss.requires_grad or not cut:
        loss.backward()
    found = {name: result.detach().numpy() for name, result in results.items()}
    for name, tensor in {**dict(named), **leaves}.items():
        assert cut or tensor.grad is not None, f"no gradient of {name}"
        found[f"d {name}"] = np.zeros_like(tensor.detach().numpy()) if tensor.grad is None else tensor.grad.numpy()
    return found


def outcome_here(case: Case, x: Any = None, lengths: Any = None, training: bool = False, **more: Any) -> Outcome:
    """Of ``tg.nn``; ``lengths``: instead of the case's; ``more``: options that PyTorch does not have."""
    layer, ends = here(case, **more).train(training), case.lengths if lengths is None else lengths
    cut = more.get("truncate") is not None
    return outcome(case, lambda x, state: layer(x, state, lengths=ends), layer.named_parameters(), leaf_here, x, cut)


def outcome_in_torch(case: Case) -> Outcome:
    layer = in_torch(case)
    return outcome(case, packed(layer, case), layer.named_parameters(), leaf_in_torch)


def outcome_by_hand(case: Case, truncate: int | None = None) -> Outcome:
    p = {name: leaf_in_torch(value) for name, value in case.parameters().items()}
    return outcome(case, by_hand(case, p, truncate), p, leaf_in_torch, cut=True)


def agree(found: Outcome, expected: Outcome, tolerance: float) -> None:
    """The same names, shapes and dtypes, and values within ``tolerance`` times the largest value of each array.

    An array whose largest value is below 0.1 counts as if that were 0.1: such a gradient is what is left where terms of
    order 1 have cancelled, and has as many digits fewer (in float32, PyTorch's is then itself 1e-5 from the truth).
    """
    assert sorted(found) == sorted(expected)
    for name, values in expected.items():
        assert (found[name].shape, found[name].dtype) == (values.shape, values.dtype), name
        off, largest = np.abs(found[name] - values).max(initial=0), np.abs(values).max(initial=0)
        assert off <= tolerance * max(largest, 0.1), f"{name} is off by {off:.2g}; its largest value is {largest:.2g}"


def identical(found: Outcome, expected: Outcome) -> None:
    """The same to the last bit."""
    agree(found, expected, 0.0)
