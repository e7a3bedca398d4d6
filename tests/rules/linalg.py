"""Cases of tinygrad_rnn/rules/linalg.py."""

import math
import operator

import numpy as np
from hypothesis import strategies as st

from .arrays import SIDES, arrays, broadcastable, shapes
from .case import Case, torch


@st.composite
def products(draw):
    """Vectors, matrices and stacks of them, whose stacks broadcast."""
    m, n, p = (draw(st.sampled_from(SIDES)) for _ in range(3))
    left, right = draw(broadcastable(2, max_dims=2))
    a = (*left, m, n) if left or draw(st.sampled_from([True, True, False])) else (n,)
    b = (*right, n, p) if right or draw(st.sampled_from([True, True, False])) else (n,)
    return [draw(arrays(a)), draw(arrays(b))], {}


@st.composite
def dots(draw):
    """Any two arrays, of any number of axes, of which dot sums a's last and b's last but one."""
    a, b = draw(shapes()), list(draw(shapes()))
    if a and b:
        b[max(len(b) - 2, 0)] = a[-1]
    return [draw(arrays(a)), draw(arrays(tuple(b)))], {}


def their_dot(a, b):
    return a * b if a.ndim == 0 or b.ndim == 0 else torch.tensordot(a, b, ([-1], [max(b.ndim - 2, 0)]))


@st.composite
def inners(draw):
    """Any two arrays whose last axes are equally long, or a number and anything."""
    a, b = draw(shapes()), draw(shapes())
    if a and b:
        b = (*b[:-1], a[-1])
    return [draw(arrays(a)), draw(arrays(b))], {}


@st.composite
def of_one_size(draw):
    a = draw(shapes())
    b = draw(st.sampled_from([a, a[::-1], (math.prod(a),)]))
    return [draw(arrays(a)), draw(arrays(b))], {}


@st.composite
def contractions(draw):
    """Any number of pairs of axes, in any order and from either end; or the number of those that meet in the middle."""
    a, b = draw(shapes()), list(draw(shapes()))
    count = draw(st.integers(0, min(len(a), len(b))))
    if draw(st.booleans()):
        b[:count] = a[len(a) - count :]
        return [draw(arrays(a)), draw(arrays(tuple(b)))], {"axes": count}
    of_a, of_b = draw(st.permutations(range(len(a))))[:count], draw(st.permutations(range(len(b))))[:count]
    for i, k in zip(of_a, of_b, strict=True):
        b[k] = a[i]
    of_a = [draw(st.sampled_from([k, k - len(a)])) for k in of_a]
    of_b = [draw(st.sampled_from([k, k - len(b)])) for k in of_b]
    alone = count == 1 and draw(st.booleans())
    axes = (of_a[0], of_b[0]) if alone else draw(st.sampled_from([(of_a, of_b), [tuple(of_a), tuple(of_b)]]))
    return [draw(arrays(a)), draw(arrays(tuple(b)))], {"axes": axes}


def their_contraction(a, b, axes):
    listed = not isinstance(axes, int) and [[k] if isinstance(k, int) else list(k) for k in axes]
    return torch.tensordot(a, b, listed or axes)


@st.composite
def any_two(draw, max_dims=3):
    return [draw(arrays(draw(shapes(max_dims=max_dims)))) for _ in range(2)], {}


@st.composite
def formulas(draw, max_operands=3):
    """Any formula of one to three operands: subscripts repeated inside an operand, summed alone, ellipses, no arrow."""
    sizes = {c: draw(st.sampled_from(SIDES)) for c in "ijk"}
    batch = draw(shapes(max_dims=2))
    terms, operands, dotted = [], [], draw(st.booleans())
    for _ in range(draw(st.integers(1, max_operands))):
        letters = [draw(st.sampled_from("ijk")) for _ in range(draw(st.sampled_from([2, 1, 3, 2, 0])))]
        single = draw(st.sampled_from(["", "", "", "i", "j"]))  # of length 1 here, and so broadcast
        shape = [1 if c == single else sizes[c] for c in letters]
        if dotted and draw(st.booleans()):
            place = draw(st.integers(0, len(letters)))
            lead = batch[draw(st.sampled_from(range(len(batch) + 1))) :]
            letters.insert(place, "...")
            shape[place:place] = [n if draw(st.integers(0, 3)) else 1 for n in lead]
        terms.append("".join(letters))
        operands.append(draw(arrays(tuple(shape))))
    left = ",".join(terms)
    if draw(st.integers(0, 2)) == 2:
        return operands, {"formula": left}
    used = sorted(set(left) - set(".,"))
    right = draw(st.permutations(draw(st.sets(st.sampled_from(used)).map(sorted)))) if used else []
    if "..." in left:
        right.insert(draw(st.integers(0, len(right))), "...")
    return operands, {"formula": f"{left}->{''.join(right)}"}


CASES = [
    Case(np.matmul, (np.matmul, operator.matmul), torch.matmul, products(), weight=4),
    Case(np.dot, (np.dot, lambda a, b: np.dot(a, b=b)), their_dot, dots(), weight=2),
    Case(np.inner, (np.inner,), torch.inner, inners(), weight=2),
    Case(
        np.vdot,
        (np.vdot,),
        lambda a, b: torch.dot(a.reshape(-1), b.reshape(-1)),
        of_one_size(),
        weight=1,
    ),
    Case(
        np.outer,
        (np.outer, lambda a, b: np.outer(a, b=b)),
        lambda a, b: torch.outer(a.reshape(-1), b.reshape(-1)),
        any_two(),
        weight=1,
    ),
    Case(
        np.tensordot,
        (np.tensordot, lambda a, b, axes: np.tensordot(a, axes=axes, b=b)),
        their_contraction,
        contractions(),
        weight=3,
    ),
    Case(np.kron, (np.kron,), torch.kron, any_two(max_dims=2), weight=2),
    Case(
        np.einsum,
        (
            lambda *operands, formula: np.einsum(formula, *operands),
            lambda *operands, formula: np.einsum(formula, *operands, optimize=True),
        ),
        lambda *operands, formula: torch.einsum(formula, *operands),
        formulas(),
        weight=6,
    ),
]
