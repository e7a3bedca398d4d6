"""The loop over time: one step, applied again and again, records the unrolled net."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from contextlib import ContextDecorator
from contextvars import ContextVar, Token
from typing import Any, TypeVar

import numpy as np

from .checkpoint import checkpoint as checkpointed
from .context import current, scope, site
from .tensor import Tensor
from .tree import leaves, map_leaves, structure

State = TypeVar("State")


def scan(
    step: Callable[[State, Any], tuple[State, Any]],
    init: State,
    xs: Any,
    *,
    length: int | None = None,
    reverse: bool = False,
    lengths: Any = None,
    truncate: int | None = None,
    checkpoint: int | None = None,
) -> tuple[State, Any]:
    """Apply ``step`` along axis 0 of ``xs``, handing its state on: state_t, y_t = step(state_{t-1}, x_t).

    A plain Python loop, each turn under ``scope(step=t)``: the graph it records *is* the unrolled net (lecture, section
    1, "RNN Diagram"), and a walk back over it is backpropagation through time. Argument order as ``jax.lax.scan``.

    Args:
        step: ``step(state, x_t) -> (state, y_t)``; the state keeps its structure and shapes.
        init: The first state: a tensor, or nested tuples, lists and dicts of tensors. With ``lengths``: (B, ...).
        xs: Inputs (T, ...), or nested ones that share T; with ``lengths`` (T, B, ...). None: steps without input.
        length: T, where ``xs`` is None; otherwise it must agree.
        reverse: Go from the last element to the first. ``ys`` stay in the order of ``xs``.
        lengths: (B,) whole numbers in 0..T. What lies past them is padding: it is zeroed before ``step`` sees it, so
            that even NaN there changes nothing; a finished sequence keeps its state; its ``ys`` are 0. With ``reverse``
            each sequence starts at its own last element. (A finished sequence still goes through ``step``, on zeros;
            its results are thrown away, but a step whose derivative at zero is NaN makes the gradient NaN.)
        truncate: Cut the graph of the state before the processed steps k, 2k, ...: truncated backpropagation through
            time, whose gradients reach back at most k steps (Williams and Peng, 1990). With ``lengths`` each sequence
            counts its own steps, from where it starts; padding is none.
        checkpoint: Keep the state before the processed steps 0, k, 2k, ... alone, and compute the steps between once
            more in the walk: memory for T/k + k steps, not for T (Chen et al., "Training Deep Nets with Sublinear
            Memory Cost", 2016). The second time a step must do the same; what it draws from ``tg.manual_seed``'s
            generator, dropout for one, is drawn again (in the meantime no other thread should draw). A tensor that an
            earlier step has computed and put by, outside the state, is an error in the walk.

    Returns:
        The last state, and ``ys`` (T, ...): the ``y_t``, stacked leaf by leaf.

    Raises:
        ValueError: T is 0 or not the same everywhere; ``step`` changes the state's structure or a shape; ``lengths``
            do not fit.
        TypeError: ``step`` does not return a pair, or something is not an array.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> w = tg.Tensor(0.5, requires_grad=True)
    >>> h, ys = tg.scan(lambda h, x: (w * h + x,) * 2, tg.Tensor(0.0), np.array([1.0, 1.0, 1.0], np.float32))
    >>> ys
    Tensor([1.  , 1.5 , 1.75], node=stack)
    >>> h.backward()  # d/dw of 1 + w + w^2
    >>> w.grad
    Tensor(2.)
    """
    xs, state = _as_tensors(xs, "xs"), _as_tensors(init, "state")
    steps = _length(xs, None if length is None else _whole(length, "length"))
    form, shapes = structure(state), {where: leaf.shape for where, leaf in leaves(state, "state")}
    ends = None if lengths is None else _ends(lengths, steps, xs, state)
    for name, every in (("truncate", truncate), ("checkpoint", checkpoint)):
        if every is not None and _whole(every, name) < 1:
            raise ValueError(f"{_here()}: expected {name} >= 1, got {every}")

    def run(state: Any, xs: Any, first: int, last: int) -> tuple[Any, list[Any]]:
        """The processed steps ``first`` to ``last``, whose inputs are ``xs``: the state after them, and each y."""
        ys: list[Any] = []
        start = steps - last if reverse else first  # where xs[0] stands in time
        for done in range(first, last):
            t = steps - 1 - done if reverse else done
            with scope(step=t):
                if truncate is not None:
                    state = _cut(state, t, done, ends, reverse, truncate)
                x = map_leaves(lambda leaf, i=t - start: leaf[i], xs)
                running = None if ends is None or (ends > t).all() else ends > t
                if running is not None:
                    x = map_leaves(lambda leaf, m=running: _zeroed(m, leaf), x)
                new, y = _checked(step(state, x), form, shapes)
                if ends is not None:
                    _check_batch(y, "y", 0, ends.size)
                if running is not None:
                    new = map_leaves(lambda a, b, m=running: np.where(_beside(m, a), a, b), new, state)
                    y = map_leaves(lambda leaf, m=running: _zeroed(m, leaf), y)
                state = new
                ys.append(y)
        return state, ys[::-1] if reverse else ys

    if checkpoint is None:
        state, ys = run(state, xs, 0, steps)
        return state, _together(ys, np.stack, range(steps))
    pieces = []
    for first in range(0, steps, checkpoint):
        last = min(first + checkpoint, steps)
        start = steps - last if reverse else first
        part = map_leaves(lambda leaf, a=start, b=start + last - first: leaf[a:b], xs)
        state, piece = _kept_no_longer(run, state, part, first, last, start)
        pieces.append((start, piece))
    pieces.sort(key=lambda pair: pair[0])
    return state, _together([piece for _, piece in pieces], np.concatenate, [start for start, _ in pieces])


def _kept_no_longer(run: Callable[..., Any], state: Any, xs: Any, first: int, last: int, start: int) -> tuple[Any, Any]:
    """A stretch of steps as one recorded node: the state after it and its ys, stacked."""
    forms: list[Any] = []

    def stretch(*inputs: Any) -> list[Any]:
        flat = iter(inputs)
        before, part = map_leaves(lambda _: next(flat), (state, xs))
        after, ys = run(before, part, first, last)
        found = (after, _together(ys, np.stack, range(start, start + last - first)))
        forms[:] = [structure(found)]  # not the tensors: the second run's graph must not outlive the walk
        return [leaf for _, leaf in leaves(found)]

    flat = iter(checkpointed(stretch, [leaf for _, leaf in leaves((state, xs))]))
    after, ys = map_leaves(lambda _: next(flat), forms.pop())
    return after, ys


_unrolled: ContextVar[bool] = ContextVar("tinygrad_rnn_unrolled", default=False)


class unrolled(ContextDecorator):
    """Inside, recurrent layers record every operation of every step, not one node for a whole sequence.

    The numbers are the same; it is slower. For pictures of the unrolled net, and for what needs each step's own nodes:
    hooks, per-step gradients.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> layer = tg.nn.RNN(3, 4)
    >>> x = np.ones((5, 2, 3), np.float32)
    >>> with tg.unrolled():
    ...     output, h_n = layer(x)
    >>> output.node.words()  # five states, stacked
    'stack at layer 0'
    """

    def __init__(self) -> None:
        self._tokens: list[Token[bool]] = []

    def __enter__(self) -> None:
        self._tokens.append(_unrolled.set(True))

    def __exit__(self, *exc: object) -> None:
        _unrolled.reset(self._tokens.pop())

    def _recreate_cm(self) -> unrolled:  # a decorated function may run in several threads: each call its own tokens
        return unrolled()


def is_unrolled() -> bool:
    """Are we inside ``tg.unrolled()``?"""
    return _unrolled.get()


def _as_tensor(leaf: Any) -> Tensor:
    return leaf if isinstance(leaf, Tensor) else Tensor(leaf, copy=False)


def _as_tensors(tree: Any, name: str) -> Any:
    """The tree with a tensor for each leaf."""
    try:
        return map_leaves(_as_tensor, tree)
    except (TypeError, ValueError) as error:
        for where, leaf in leaves(tree, name):
            try:
                _as_tensor(leaf)
            except (TypeError, ValueError):
                raise TypeError(f"{_here()}: expected {where} to be an array, got {type(leaf).__name__}") from error
        raise


def _whole(value: Any, name: str) -> int:
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError as error:
        raise TypeError(f"{_here()}: expected {name} to be a whole number, got {value!r}") from error


def _length(xs: Any, length: int | None) -> int:
    """T, from everything that knows it."""
    known = {} if length is None else {"length": length}
    for where, leaf in leaves(xs, "xs"):
        if leaf.ndim == 0:
            raise ValueError(f"{_here()}: expected {where} to have time as its axis 0, got a scalar")
        known[where] = leaf.shape[0]
    if not known:
        raise ValueError(f"{_here()}: with xs=None, give length=T")
    if len(set(known.values())) > 1:
        raise ValueError(f"{_here()}: expected the same number of steps everywhere, got {known}")
    steps = next(iter(known.values()))
    if steps < 1:
        raise ValueError(f"{_here()}: expected at least one step, got T={steps}")
    return steps


def ends_of(lengths: Any, steps: int, batch: int | None, where: str) -> Any:
    """Lengths as an array (B,) of whole numbers in 0..T of its own, whatever they were given as.

    Args:
        lengths: What a user gave.
        steps: T.
        batch: B; None: any.
        where: Who asks, as error messages begin.

    Raises:
        ValueError: they are something else.
    """
    ends = lengths.numpy() if isinstance(lengths, Tensor) else np.asarray(lengths)
    fits = ends.ndim == 1 if batch is None else ends.shape == (batch,)
    if not fits or (ends.dtype.kind not in "iu" and ends.size):
        size = "B" if batch is None else batch
        raise ValueError(
            f"{where}: expected lengths to be whole numbers of shape ({size},), got {ends.dtype} {ends.shape}"
        )
    if ends.size and (ends.min() < 0 or ends.max() > steps):
        raise ValueError(f"{where}: expected lengths in 0..{steps}, got {ends.min()}..{ends.max()}")
    return ends.astype(np.intp)


def _ends(lengths: Any, steps: int, xs: Any, state: Any) -> Any:
    """The lengths, checked against the inputs (batch is axis 1) and the state (batch is axis 0)."""
    ends = ends_of(lengths, steps, None, _here())
    _check_batch(xs, "xs", 1, ends.size)
    _check_batch(state, "state", 0, ends.size)
    return ends


def _cut(state: Any, t: int, done: int, ends: Any, reverse: bool, every: int) -> Any:
    """The state before step t without its graph, for the sequences that have ``every``, 2 ``every``, ... steps behind
    them and go on."""
    own: Any = done if ends is None or not reverse else ends - 1 - t
    due = (own > 0) & (own % every == 0) & (True if ends is None else ends > t)
    if not np.any(due):
        return state
    if np.all(due):
        return map_leaves(lambda leaf: leaf.detach(), state)
    return map_leaves(lambda leaf: np.where(_beside(due, leaf), leaf.detach(), leaf), state)


def _check_batch(tree: Any, name: str, axis: int, size: int) -> None:
    for where, leaf in leaves(tree, name):
        if leaf.ndim <= axis or leaf.shape[axis] != size:
            raise ValueError(
                f"{_here()}: {size} lengths, so expected axis {axis} of {where} to have {size} entries, "
                f"got shape {leaf.shape}"
            )


def _zeroed(mask: Any, leaf: Any) -> Any:
    """``leaf``, and 0 of its own dtype where the mask is False."""
    return np.where(_beside(mask, leaf), leaf, leaf.dtype.type(0))


def _beside(mask: Any, leaf: Any) -> Any:
    """A (B,) mask with as many axes as ``leaf`` (B, ...)."""
    return mask.reshape(mask.shape + (1,) * (leaf.ndim - 1))


def _checked(result: Any, form: Any, shapes: dict[str, tuple[int, ...]]) -> tuple[Any, Any]:
    """What a step returned, as tensors; an error if the state has changed its form."""
    if not isinstance(result, tuple) or len(result) != 2:
        raise TypeError(f"{_here()}: expected step to return a pair (state, y), got {type(result).__name__}")
    new, y = _as_tensors(result[0], "state"), _as_tensors(result[1], "y")
    if structure(new) != form:
        raise ValueError(f"{_here()}: step changed the state's structure, expected {form}, got {structure(new)}")
    for where, leaf in leaves(new, "state"):
        if leaf.shape != shapes[where]:
            raise ValueError(
                f"{_here()}: step changed the shape of {where}, expected {shapes[where]}, got {leaf.shape}"
            )
    return new, y


def _here() -> str:
    return site("scan", current.get())


def _together(ys: Sequence[Any], join: Callable[..., Any], times: Sequence[int]) -> Any:
    """The outputs of steps (``np.stack``), or of stretches of them (``np.concatenate``), in one, leaf by leaf."""
    skip = int(join is np.concatenate)  # axis 0 of a stretch is time: the last may be shorter
    form, shapes = structure(ys[0]), {where: leaf.shape[skip:] for where, leaf in leaves(ys[0], "y")}
    for t, y in zip(times, ys, strict=True):
        if structure(y) != form:
            raise ValueError(f"{_here()}: y at t={t} has structure {structure(y)}, expected {form} as at t={times[0]}")
        for where, leaf in leaves(y, "y"):
            if leaf.shape[skip:] != shapes[where]:
                raise ValueError(
                    f"{_here()}: {where} at t={t} has shape {leaf.shape[skip:]}, expected {shapes[where]} as at "
                    f"t={times[0]}"
                )
    return map_leaves(lambda *leaf: join(leaf), *ys)
