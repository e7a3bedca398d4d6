"""Operations that multiply and add: products of matrices and their generalisations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np

from .arrays import Shape
from .operation import Choices, Operand, Operation, square_of, with_axes

_BOUNDED = Operand()
_AXES = Operand(fits=with_axes)


def _right_of(a: Shape) -> Sequence[Shape]:
    """What a @ b takes for b."""
    n = a[-1]
    found: list[Shape] = [(n,), (n, 2), (n, 1), (n, 3)]
    if len(a) < 3:
        return [*found, (2, n, 2), (1, n, 1), (2, n, 1)]
    return [*found, (*a[:-2], n, 2), (1, n, 2)]


def _dotted(a: Shape) -> Sequence[Shape]:
    """What np.dot(a, b) takes for b: its last axis but one is summed."""
    if not a:
        return [(), (2,), (2, 2)]
    n = a[-1]
    return [(n,), (n, 2), (2, n, 2), (1, n, 1), (n, 3), ()]


def _inner(a: Shape) -> Sequence[Shape]:
    if not a:
        return [(), (2,), (2, 2)]
    n = a[-1]
    return [(n,), (2, n), (1, n), (2, 1, n), ()]


def _as_many(a: Shape) -> Sequence[Shape]:
    """Shapes of as many elements."""
    return [a, a[::-1], (math.prod(a),), (1, *a)]


def _small(shape: Shape) -> bool:
    return math.prod(shape) <= 6


def _small_shapes(*_before: Shape) -> Sequence[Shape]:
    return [(), (1,), (2,), (3,), (2, 2), (1, 2), (2, 1), (0,)]


# ---- tensordot: as many axes of one as of the other


def _contracted(a: Shape) -> Sequence[Shape]:
    found: list[Shape] = [a, a[::-1], (2,), (1, 2)]
    if a:
        found += [(a[-1], 2), (2, a[0]), (a[0],), (a[-1],)]
    if len(a) > 1:
        found += [(*a[-2:], 2), (2, a[1], a[0])]
    return found


def _axes(choose: Choices, a: Any, b: Any) -> dict[str, Any] | None:
    single = [(i, j) for i, j in product(range(a.ndim), range(b.ndim)) if a.shape[i] == b.shape[j]]
    options: list[Any] = [((i,), (j,)) for i, j in single]
    options += [(i, j - b.ndim) for i, j in single] + [((i - a.ndim,), (j - b.ndim,)) for i, j in single]
    options += [((i, k), (j, m)) for i, j in single for k, m in single if i != k and j != m]
    options += [n for n in (1, 2) if n <= min(a.ndim, b.ndim) and a.shape[a.ndim - n :] == b.shape[:n]]
    if a.size * b.size <= 24:
        options.append(0)
    fitting = [axes for axes in options if _contracted_size(a, b, axes) <= 64]
    return {"axes": choose(fitting)} if fitting else None


def _contracted_size(a: Any, b: Any, axes: Any) -> int:
    """How many elements the product has."""
    if isinstance(axes, int):
        return int(math.prod(a.shape[: a.ndim - axes]) * math.prod(b.shape[axes:]))
    summed = axes[0] if isinstance(axes[0], tuple) else axes[:1]
    once = math.prod(a.shape[k] for k in summed)
    return int(a.size * b.size // once**2) if once else 0


# ---- einsum: the lengths of letters that an operand before has named, any for the others


def _einsum(subscripts: str, options: str = "") -> Operation:
    """One formula; each operand's shapes follow from the letters."""
    inputs = subscripts.split("->", maxsplit=1)[0].split(",")
    operands = [_subscripted(inputs, i) for i in range(len(inputs))]
    names = ", ".join(f"{{{i}}}" for i in range(len(inputs)))
    return Operation(np.einsum, *operands, expression=f'np.einsum("{subscripts}", {names}{options})')


def _subscripted(inputs: Sequence[str], i: int) -> Operand:
    head, dots, tail = inputs[i].partition("...")

    def shapes(*before: Shape) -> Sequence[Shape]:
        known: dict[str, int] = {}
        for text, shape in zip(inputs, before, strict=False):
            known |= _lengths(text, shape)
        free = [c for c in dict.fromkeys(head + tail) if c not in known]
        found = []
        for lengths in product((2, 1, 3, 0)[: 4 if len(free) < 2 else 3], repeat=len(free)):
            side = {**known, **dict(zip(free, lengths, strict=True))}
            first, last = (tuple(side[c] for c in letters) for letters in (head, tail))
            found += [(*first, *batch, *last) for batch in (_batches(inputs, before) if dots else [()])]
        return found

    return Operand(shapes=shapes)


def _lengths(text: str, shape: Shape) -> dict[str, int]:
    """The length of each letter of an operand."""
    head, _, tail = text.partition("...")
    return dict(zip(head, shape, strict=False)) | dict(zip(reversed(tail), reversed(shape), strict=False))


def _batches(inputs: Sequence[str], before: Sequence[Shape]) -> list[Shape]:
    """What an ellipsis may stand for: what it stands for already, that without its first axis, or anything."""
    for text, shape in zip(inputs, before, strict=False):
        head, dots, tail = text.partition("...")
        if dots:
            whole = shape[len(head) : len(shape) - len(tail)]
            return [whole, whole[1:], tuple(1 for _ in whole)]
    return [(), (2,), (1,), (2, 1)]


# ---- a matrix, or a stack of them, and a vector

_MATRICES = Operand(shapes=lambda: [(2, 2), (2, 3), (2, 1, 2), (2, 2, 3), (3, 2, 1)])
_WITH_VECTOR: tuple[tuple[Callable[[Shape], Sequence[Shape]], str], ...] = (
    (lambda a: [(a[-1],)], "{0} @ {1}"),
    (lambda a: [(a[-2],)], "{1} @ {0}"),
)

_FORMULAS = (
    "ij,jk->ik", "i,i->", "i,j->ij", "ij->ji", "ii->i", "ii->", "ij->i", "ij->", "i->i", "ij,ij->i", "ij,kj,ij",
    "bij,bjk->bik", "ij,jk", "ba", "...i,...i->...", "...ij,jk->...ik", "iij->j", "i...->...", "ij,j,k->ik",
    "ii,i->i", "ij,ji->", "jii->ij", "iji->j", "cab", "db,ca", "...ij,j", "b...a", "...i,...", "j...,...i",
)  # fmt: skip

_WAYS = (", optimize=True", ", optimize='greedy'", ", optimize=['einsum_path', (0, 1), (0, 1)]")
_ONE_PRODUCT = ", optimize=['einsum_path', (0, 1)]"  # the derivative of a diagonal has one more

OPERATIONS = [
    Operation(np.matmul, _AXES, Operand(shapes=_right_of), expression=("{0} @ {1}", "np.matmul({0}, {1})")),
    Operation(np.matmul, _AXES, Operand(shapes=square_of), expression="{0} @ {1} @ {1}"),  # a weight used twice
    *(Operation(np.matmul, _MATRICES, Operand(shapes=vector), expression=text) for vector, text in _WITH_VECTOR),
    Operation(np.dot, _MATRICES, Operand(shapes=lambda a: [(a[-2],)]), expression="np.dot({1}, {0})"),
    Operation(np.dot, _BOUNDED, Operand(shapes=_dotted), expression=("np.dot({0}, {1})", "np.dot({0}, b={1})")),
    Operation(np.inner, _BOUNDED, Operand(shapes=_inner)),
    Operation(np.vdot, Operand(), Operand(shapes=_as_many)),
    Operation(np.kron, Operand(fits=_small), Operand(shapes=_small_shapes)),
    Operation(np.outer, Operand(fits=_small), Operand(shapes=_small_shapes)),
    Operation(
        np.tensordot,
        _BOUNDED,
        Operand(shapes=_contracted),
        expression="np.tensordot({0}, {1}, axes={axes})",
        options=_axes,
    ),
    Operation(
        np.tensordot,
        Operand(shapes=lambda: [(2, 2), (1, 3), (2, 3, 1), (2, 1, 2)]),
        Operand(shapes=lambda a: [a[-2:], (*a[-2:], 2), (*a[-2:], 1, 2)]),
        expression=("np.tensordot({0}, {1})", "np.tensordot({0}, {1}, 2)"),
    ),
    *(_einsum(subscripts) for subscripts in _FORMULAS),
    *(_einsum("ij,jk,kl->il", option) for option in _WAYS),
    _einsum("ii,i->i", _ONE_PRODUCT),
    Operation(
        np.einsum,
        Operand(shapes=lambda: [(1, 2), (1, 3)]),
        Operand(shapes=lambda a: [(2, a[1]), (3, a[1])]),
        expression=('np.einsum("ij,ij->ij", {0}, {1})', 'np.einsum("ij,ij", {1}, {0})'),
    ),
]
