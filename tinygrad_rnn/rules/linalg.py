"""Rules of products: matmul, tensordot, dot, outer, kron, einsum and their kin.

For C = A B the gradients are G B^T and A^T G (Petersen and Pedersen, *The Matrix Cookbook*, section 2); batches in
front are summed over by the walk where they were broadcast.
"""

import math
import string
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..primitives import Gather, defvjp, primitive_of


def product(a: Any, b: Any) -> Any:
    """a @ b; two matrices, or a stack of rows times one matrix, as one call of ``ndarray.dot``."""
    if a.__class__ is np.ndarray and b.__class__ is np.ndarray and b.ndim == 2:
        if a.ndim == 2:
            return a.dot(b)
        if a.ndim > 2:
            return rows_of(a).dot(b).reshape(*a.shape[:-1], b.shape[1])
    return np.matmul(a, b)


def product_transposed(a: Any, b: Any) -> Any:
    """a @ b^T. OpenBLAS is slow at it where a has few rows and b many entries, and fast at the transpose of b @ a^T."""
    bare = a.__class__ is np.ndarray and b.__class__ is np.ndarray
    if bare and a.ndim == 2 and b.ndim == 2 and len(a) <= 64 and b.size >= 1 << 14:
        return b.dot(a.T).T.copy()
    return product(a, b.swapaxes(-1, -2))


def rows_of(a: Any) -> Any:
    """A stack of matrices as one matrix of all their rows."""
    return a.reshape(math.prod(a.shape[:-1]), a.shape[-1])


def _column(g: Any) -> Any:
    return np.expand_dims(g, -1)


def _matmul_a(g: Any, _y: Any, _a: Any, b: Any) -> Any:
    if b.ndim == 1:
        return (g if _a.ndim == 1 else _column(g)) * b
    if _a.ndim == 1:
        return product(b, _column(g))[..., 0]
    return product_transposed(g, b)


def _matmul_b(g: Any, _y: Any, a: Any, _b: Any) -> Any:
    if a.ndim == 1:
        return g * a if _b.ndim == 1 else _column(a) * np.expand_dims(g, -2)
    if _b.ndim == 1:
        return product(a.swapaxes(-1, -2), _column(g))[..., 0]
    if _b.ndim == 2 and a.ndim > 2:
        return product(rows_of(a).swapaxes(0, 1), rows_of(g))
    return product(a.swapaxes(-1, -2), g)


def _weight_rows(g: Any, a: Any, _b: Any) -> int:
    return len(g) if a.ndim == 2 and g.ndim == 2 else 0


def _weight_gradient(calls: list[tuple[Any, tuple[Any, ...]]]) -> Any:
    """The sum of A^T G over calls, as one product."""
    if len(calls) == 1:
        g, (a, _) = calls[0]
        return product(a.T, g)
    return product(np.concatenate([a for _, (a, _) in calls]).T, np.concatenate([g for g, _ in calls]))


defvjp(np.matmul, _matmul_a, _matmul_b)
primitive_of(np.matmul).gather[1] = Gather(_weight_rows, _weight_gradient)
primitive_of(np.matmul, product)


def _paired(axes: Any, a_ndim: int, b_ndim: int) -> tuple[list[int], list[int]]:
    """The axes of either argument that ``tensordot`` sums over, in pairs."""
    if not isinstance(axes, (list, tuple)) and np.ndim(axes) == 0:
        return list(range(a_ndim - int(axes), a_ndim)), list(range(int(axes)))
    of_a, of_b = (np.ravel(part).tolist() for part in axes)
    return [k % a_ndim for k in of_a], [k % b_ndim for k in of_b]


def _in_order(y: Any, axes: list[int]) -> Any:
    """The array whose axes ``axes`` are those of y, put in their places."""
    return np.transpose(y, sorted(range(len(axes)), key=axes.__getitem__))


def _tensordot_a(g: Any, _y: Any, _a: Any, b: Any, axes: Any = 2) -> Any:
    """g and b summed over b's own axes; b's others stand where they met those of a."""
    ndim = np.ndim(b)
    of_a, of_b = _paired(axes, _a.ndim, ndim)
    own, others = [k for k in range(_a.ndim) if k not in of_a], [k for k in range(ndim) if k not in of_b]
    summed = np.tensordot(g, b, (range(len(own), g.ndim), others))
    return _in_order(summed, own + [k for _, k in sorted(zip(of_b, of_a, strict=True))])


def _tensordot_b(g: Any, _y: Any, a: Any, _b: Any, axes: Any = 2) -> Any:
    ndim = np.ndim(a)
    of_a, of_b = _paired(axes, ndim, _b.ndim)
    own, others = [k for k in range(_b.ndim) if k not in of_b], [k for k in range(ndim) if k not in of_a]
    summed = np.tensordot(a, g, (others, range(len(others))))
    return _in_order(summed, [k for _, k in sorted(zip(of_a, of_b, strict=True))] + own)


defvjp(np.tensordot, _tensordot_a, _tensordot_b)


def _last_but_one(ndim: int) -> int:
    """The axis of its second argument that ``dot`` sums over."""
    return max(ndim - 2, 0)


def _dot_a(g: Any, _y: Any, _a: Any, b: Any) -> Any:
    ndim = np.ndim(b)
    return g * b if _a.ndim == 0 or ndim == 0 else _tensordot_a(g, _y, _a, b, (-1, _last_but_one(ndim)))


def _dot_b(g: Any, _y: Any, a: Any, _b: Any) -> Any:
    return g * a if np.ndim(a) == 0 or _b.ndim == 0 else _tensordot_b(g, _y, a, _b, (-1, _last_but_one(_b.ndim)))


def _inner_a(g: Any, _y: Any, _a: Any, b: Any) -> Any:
    return g * b if _a.ndim == 0 or np.ndim(b) == 0 else _tensordot_a(g, _y, _a, b, (-1, -1))


def _inner_b(g: Any, _y: Any, a: Any, _b: Any) -> Any:
    return g * a if np.ndim(a) == 0 or _b.ndim == 0 else _tensordot_b(g, _y, a, _b, (-1, -1))


defvjp(np.dot, _dot_a, _dot_b)
defvjp(np.inner, _inner_a, _inner_b)
defvjp(
    np.vdot,
    lambda g, _y, _a, b: g * np.reshape(b, _a.shape),
    lambda g, _y, a, _b: g * np.reshape(a, _b.shape),
)
defvjp(
    np.outer,
    lambda g, _y, _a, b, _out=None: np.reshape(np.matmul(g, np.ravel(b)), _a.shape),
    lambda g, _y, a, _b, _out=None: np.reshape(np.matmul(np.ravel(a), g), _b.shape),
)


def _alternating(odd: tuple[int, ...], even: tuple[int, ...]) -> list[int]:
    """Two shapes as one, an axis of either in turn; the shorter has axes of length 1 before it."""
    ndim = max(len(odd), len(even))
    pairs = zip((1,) * (ndim - len(odd)) + odd, (1,) * (ndim - len(even)) + even, strict=True)
    return [n for pair in pairs for n in pair]


def _kron_a(g: Any, _y: Any, _a: Any, b: Any) -> Any:
    """Each axis of the result is one of a and one of b: summed over b's."""
    shape, ones = np.shape(b), (1,) * max(_a.ndim, np.ndim(b))
    terms = np.reshape(g, _alternating(_a.shape, shape)) * np.reshape(b, _alternating(ones, shape))
    return np.reshape(np.sum(terms, axis=tuple(range(1, terms.ndim, 2))), _a.shape)


def _kron_b(g: Any, _y: Any, a: Any, _b: Any) -> Any:
    shape, ones = np.shape(a), (1,) * max(np.ndim(a), _b.ndim)
    terms = np.reshape(g, _alternating(shape, _b.shape)) * np.reshape(a, _alternating(shape, ones))
    return np.reshape(np.sum(terms, axis=tuple(range(0, terms.ndim, 2))), _b.shape)


defvjp(np.kron, _kron_a, _kron_b)


def _letters(subscripts: Any, operands: Sequence[Any]) -> tuple[list[str], str]:
    """The subscripts of each operand and of the result, with ellipses and an implicit result written out."""
    if not isinstance(subscripts, str):
        raise TypeError("einsum: give the subscripts as a string; the form with lists of axes has no derivative rule")
    text = subscripts.replace(" ", "")
    left, arrow, right = text.partition("->")
    inputs = left.split(",")
    if not arrow:
        once = sorted(c for c in set(left) - set(",.") if left.count(c) == 1)
        right = ("..." if "..." in left else "") + "".join(once)
    free = [c for c in string.ascii_letters if c not in text]
    widths = [
        np.ndim(o) - len(t.replace("...", "")) if "..." in t else 0 for t, o in zip(inputs, operands, strict=True)
    ]
    batch = "".join(free[: max(widths, default=0)])
    written = [t.replace("...", batch[len(batch) - w :]) for t, w in zip(inputs, widths, strict=True)]
    return written, right.replace("...", batch)


def _einsum(i: int, g: Any, _y: Any, subscripts: Any, *operands: Any, **kwargs: Any) -> Any:
    """The same product with g in the place of operand i, and its subscripts as the result's.

    A subscript that the operand alone has was summed: its gradient is repeated along it. One that it has twice is a
    diagonal: the second becomes a letter of its own, tied to the first by an identity matrix.
    """
    inputs, output = _letters(subscripts, operands)
    k = i - 1
    mine, shape = inputs[k], operands[k].shape
    others = [(t, o) for j, (t, o) in enumerate(zip(inputs, operands, strict=True)) if j != k]
    factors: list[tuple[str, Any]] = [(output, g), *others]
    free = iter(c for c in string.ascii_letters if c not in "".join(inputs) + output)
    target = ""
    for axis, c in enumerate(mine):
        if c not in target:
            target += c
        else:
            target += next(free)
            factors.append((c + target[-1], np.eye(shape[axis], dtype=g.dtype)))
    reachable = {c for t, _ in factors for c in t}
    kept = "".join(c for c in target if c in reachable)
    formula = f"{','.join(t for t, _ in factors)}->{kept}"
    if not isinstance(kwargs.get("optimize", ""), str):  # a path that was given is one of the other formula
        kwargs["optimize"] = bool(kwargs["optimize"])
    answer = np.einsum(formula, *(o for _, o in factors), **kwargs)
    return np.reshape(answer, [answer.shape[kept.index(c)] if c in kept else 1 for c in target])


defvjp(np.einsum, rest=_einsum)
