"""A whole sequence of a layer and direction as one recorded node, with a derivative written for the machine.

The numbers are those of ``kinds.unroll``, which is the node's definition: walked under ``create_graph``, so that all
higher derivatives are there without a rule of their own.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from ...context import current
from ...primitives import Saved, defvjp, primitive_of
from ...tensor import Tensor, primitive
from ..kinds import ELMAN, GATED_RECURRENT_UNIT, LONG_SHORT_TERM_MEMORY, Kind, Weights, unroll
from .elman import Elman, RectifiedElman
from .gru import GatedRecurrentUnit
from .kernel import Kernel
from .lstm import LongShortTermMemory
from .plan import Block, Plan


class _Pass(NamedTuple):
    """What the forward pass leaves for the walk.

    Attributes:
        kernel, plan: As they were.
        x: (T, B, I).
        blocks: For each block its hidden states (k + 1, n, H), and what the kernel saved; nothing with checkpoints.
        starts: With checkpoints, the states that the segments began with.
    """

    kernel: Kernel
    plan: Plan
    x: Any
    blocks: list[Any]
    starts: dict[int, list[Any]]


def _states(h: Any, plan: Plan) -> Any:
    """(B, H) in the rows' order, as (H, B)."""
    return np.array((h if plan.order is None else h[plan.order]).T, order="C")


def _batch(state: Any, plan: Plan) -> Any:
    """(H, B) back as (B, H) in the batch's order."""
    found = np.empty(state.shape[::-1], state.dtype)
    found[slice(None) if plan.order is None else plan.order] = state.T
    return found


def _block(kernel: Kernel, plan: Plan, block: Block, x: Any, states: list[Any], hs: Any) -> Any:
    """Run a block forward: ``states`` (H, B) are brought up to date in place; returns what the kernel saved."""
    inner = [np.ascontiguousarray(state[:, : block.rows]) for state in states]
    hs[0] = inner[0].T
    rows = plan.processed(x)[block.start : block.stop, plan.rows(block)]
    new, saved = kernel.forward(rows, inner, hs)
    for state, part in zip(states, new, strict=True):
        state[:, : block.rows] = part
    return saved


def _forward(
    kernel: Kernel,
    x: Any,
    state: Sequence[Any],
    lengths: Any,
    reverse: bool,
    checkpoint: Any,
    truncate: Any,
    keep: bool,
) -> Saved:
    steps, batch = x.shape[:2]
    size = kernel.hidden
    plan = Plan(steps, batch, lengths, reverse, kernel.width, checkpoint, truncate)
    states = [_states(part, plan) for part in state]
    left = _Pass(kernel, plan, x, [], {})
    if plan.whole:  # the hidden states before and after all steps: the outputs are a part of it
        every = np.empty((steps + 1, batch, size), x.dtype)
        ys, every = (every[:-1] if reverse else every[1:]), plan.processed(every)
    else:
        ys = np.zeros((steps, batch, size), x.dtype)
    for block in plan.blocks:
        if keep and checkpoint is not None and block.start % checkpoint == 0:
            left.starts[block.start // checkpoint] = [part.copy() for part in states]
        if not block.rows:
            left.blocks.append(None)
            continue
        span = slice(block.start, block.stop + 1)
        hs = every[span] if plan.whole else np.empty((block.stop - block.start + 1, block.rows, size), x.dtype)
        saved = _block(kernel, plan, block, x, states, hs)
        if not plan.whole:
            plan.processed(ys)[block.start : block.stop, plan.rows(block)] = hs[1:]
        if keep and checkpoint is None:
            left.blocks.append((hs, saved))
    return Saved((ys, *(_batch(part, plan) for part in states)), left if keep else None)


def _again(left: _Pass, blocks: Sequence[Block], states: list[Any]) -> list[Any]:
    """The blocks of a segment once more, from the states it began with."""
    found: list[Any] = []
    for block in blocks:
        shape = (block.stop - block.start + 1, block.rows, left.kernel.hidden)
        hs = np.empty(shape, left.x.dtype)
        saved = _block(left.kernel, left.plan, block, left.x, states, hs) if block.rows else None
        found.append((hs, saved))
    return found


def _backward(left: _Pass, g: Sequence[Any], of_x: bool, learns: bool, checkpoint: Any) -> list[Any]:
    """The gradients of x and of the state to begin with; those of the weights are in the kernel."""
    plan, x = left.plan, left.x
    gys, steps = plan.processed(g[0]), len(x)
    dstates = [_states(part, plan) for part in g[1:]]
    dx = None if not of_x else np.empty_like(x) if plan.whole else np.zeros_like(x)
    numbered = list(enumerate(plan.blocks))
    segments = [[*part] for _, part in groupby(numbered, lambda pair: pair[1].start // (checkpoint or steps))]
    for segment in reversed(segments):
        if checkpoint is None:
            found = [left.blocks[i] for i, _ in segment]
        else:
            states = [part.copy() for part in left.starts[segment[0][1].start // checkpoint]]
            found = _again(left, [block for _, block in segment], states)
        for _, block in reversed(segment):
            hs_and_saved = found.pop()
            if block.rows:
                _block_back(left, block, hs_and_saved, gys, dstates, dx, learns)
                if (cut := plan.cut(block)) is not None:
                    for part in dstates:
                        part[:, cut] = 0
    return [dx, *(_batch(part, plan) for part in dstates)]


def _block_back(
    left: _Pass, block: Block, hs_and_saved: Any, gys: Any, dstates: list[Any], dx: Any, learns: bool
) -> None:
    """Run a block back: ``dstates`` (H, B) and ``dx`` are brought up to date in place."""
    plan, rows, span = left.plan, left.plan.rows(block), slice(block.start, block.stop)
    hs, saved = hs_and_saved
    x, gy = plan.processed(left.x)[span, rows], gys[span, rows]
    inner = [part[:, : block.rows] for part in dstates]
    into = None if dx is None else plan.processed(dx)[span, rows]  # a view, unless the rows have another order
    new = left.kernel.backward(saved, x, hs, gy, inner, into, learns)
    if dx is not None and plan.order is not None:
        plan.processed(dx)[span, rows] = into
    for part, d in zip(inner, new, strict=True):
        part[...] = d


KERNELS: dict[Any, type[Kernel]] = {}  # of each primitive


def _registered(kind: Kind, make: type[Kernel]) -> Callable[..., Any]:
    """The primitive of a kind: ``(x, *state, *weights, **options)`` to outputs (T, B, H) and the parts of the state."""
    parts = 2 if kind.memory else 1

    def sequence(x: Any, *rest: Any, lengths: Any, reverse: bool, checkpoint: Any, truncate: Any, keep: bool) -> Saved:
        dtype = np.result_type(x, *(a for a in rest if a is not None))
        x, *rest = (a if a is None else np.asarray(a, dtype) for a in (x, *rest))  # type: ignore[assignment]
        kernel = make(Weights(*rest[parts:]))
        return _forward(kernel, x, rest[:parts], lengths, reverse, checkpoint, truncate, keep)

    def joint(
        needed: Sequence[bool],
        g: Sequence[Any],
        _y: Any,
        saved: Any,
        *_args: Any,
        checkpoint: Any,
        **_: Any,
    ) -> list[Any]:
        learns = any(needed[1 + parts :])
        kernel = copy.copy(saved.kernel)  # the graph may be walked again, or by two threads
        kernel.forget()
        found = _backward(saved._replace(kernel=kernel), g, needed[0], learns, checkpoint)
        return [*found, *kernel.gradients()] if learns else [*found, *[None] * 4]

    def definition(x: Any, *rest: Any, keep: bool, **options: Any) -> tuple[Any, ...]:
        state = tuple(rest[:parts]) if kind.memory else rest[0]
        ys, last = unroll(kind, x, state, Weights(*rest[parts:]), **options)
        return (ys, *last) if kind.memory else (ys, last)

    sequence.__name__ = sequence.__qualname__ = kind.name
    recorded = primitive(sequence)
    defvjp(recorded, joint=joint, definition=definition)
    primitive_of(recorded).fresh = True
    KERNELS[recorded] = make
    return recorded


rnn_tanh = _registered(ELMAN["tanh"], Elman)
rnn_relu = _registered(ELMAN["relu"], RectifiedElman)
lstm = _registered(LONG_SHORT_TERM_MEMORY, LongShortTermMemory)
gru = _registered(GATED_RECURRENT_UNIT, GatedRecurrentUnit)
_SEQUENCES = {sequence.__name__: sequence for sequence in (rnn_tanh, rnn_relu, lstm, gru)}


def fused(
    kind: Kind,
    x: Any,
    state: Any,
    weights: Weights,
    *,
    lengths: Any = None,
    reverse: bool = False,
    checkpoint: int | None = None,
    truncate: int | None = None,
) -> tuple[Any, Any]:
    """``kinds.unroll`` in one recorded node: the same arguments, and the same numbers."""
    parts = tuple(state) if kind.memory else (state,)
    args = (x, *parts, *weights)
    keep = current.get().recording and any(isinstance(a, Tensor) and a.requires_grad for a in args)
    found = _SEQUENCES[kind.name](
        *args, lengths=lengths, reverse=reverse, checkpoint=checkpoint, truncate=truncate, keep=keep
    )
    ys, *last = found
    return ys, tuple(last) if kind.memory else last[0]
