"""``gradcheck``: are these derivatives right?"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..tensor import Tensor
from .comparison import Tolerance
from .culprit import Culprit, find
from .derivatives import PROJECTIONS, columns, compare
from .differences import FIRST_STEP
from .report import KinkError, KinkWarning, disagreement, not_adjoint, unseen
from .subject import Options, Subject, flat
from .variables import prepared, unvaried, variables_of
from .walks import Pushed, live_of, pulled

try:
    from tqdm.auto import tqdm
except ImportError:  # checks are as right without a progress bar
    tqdm = None

MODES = ("reverse", "forward", "adjoint")
_ELEMENTS, _ELEMENTS_OF_HIGHER_ORDERS = 10_000, 200  # up to so many, each is varied by itself
_PATIENCE = 2.0  # seconds before the progress bar is shown


def gradcheck(
    f: Callable[..., Any],
    inputs: Any,
    *,
    order: int = 1,
    mode: str = "reverse",
    eps: float | None = None,
    atol: float | None = None,
    rtol: float | None = None,
    projections: int | None = None,
    progress: bool = True,
) -> bool:
    """Compare the derivatives of ``f`` up to ``order`` with differences, over all its inputs and parameters.

    The numeric side needs no tuning: each derivative is extrapolated from central differences at smaller and smaller
    steps until it settles (Richardson; Ridders, 1982), and comes with an error bar. One is right if ``|analytic -
    numeric| <= atol + rtol |numeric| + 10 bars``. A point on a kink (relu at 0, a tie in max), where every convention
    may hold, is recognised by its two slopes; there only what lies outside of both is wrong. Besides, walks are
    compared with walks: they must be linear in the gradient they start with, the same to one input as to all of them,
    and (from order 2 on) the same on tensors as on arrays.

    Of a result of up to 100 elements the whole Jacobian J is compared; of a larger one, and for order k > 1 of the
    gradient of order k - 1 along random cotangents, ten projections ``u^T J`` with normally distributed ``u``. Inputs
    are varied element by element (6 to 8 calls of ``f`` each, dozens on a kink) up to 10,000 elements in all, or 200
    for higher orders; beyond, or with ``projections=K``, each input along K random directions ``v`` of length 1: then a
    check of any size and order costs about ``8 K`` calls of ``f`` an input. If J is wrong in an input of n elements,
    so that ``u^T J`` is off by a vector e, it passes only if every ``|e . v|`` stays below what is tolerated, t. As
    ``e . v`` is ``|e| / sqrt(n)`` times a variable of density at most 0.4 about 0 (nearly normal), that has a
    probability below ``0.8 t sqrt(n) / |e|`` for one direction, and below its K-th power for K: with n = 1,000, |e| =
    1e-3 and t = 1e-6 (derivatives ``u^T J v`` of about 1), 3 % and, for K = 10, 1e-16.

    Args:
        f: Called ``f(*inputs)`` (or ``f(inputs)`` if that is no tuple); returns a tensor of any shape, or nested
            tuples, lists and dicts of them. Results that are not floats are ignored.
        inputs: A float64 array or tensor, or a tuple of arguments, each of them possibly nested. An array becomes a new
            tensor. A leaf tensor that requires a gradient is itself varied in place and restored. Everything else
            (Python numbers, integer arrays, tensors without ``requires_grad``) is handed on unchanged. Varied, too, are
            the parameters of modules and the tensors that ``f`` brings: closed over, as attributes, as defaults, as
            globals that it names. What it depends on that cannot be found is reported by a UserWarning.
        order: Of the derivatives; all up to it are checked, those of order k as the derivatives of order k - 1's.
        mode: "reverse": the walk. "forward": products J v, by the walk of a walk. "adjoint": <J v, u> = <v, J^T u> for
            random u and v to 1e-9, without differences. That holds for a wrong rule, too, as long as it is linear in
            the gradient it is given, and the same on arrays and on tensors: it finds joint rules that differ from
            their definitions, in moments and at any size.
        eps: The largest step, by default 1/32.
        atol: Absolute tolerance, by default 1e-8, less where all derivatives of a result are small (below 0.01).
        rtol: Relative tolerance, by default 1e-6.
        projections: Random directions to try of each input, instead of all its elements.
        progress: Show a bar if it takes more than two seconds (needs tqdm).

    Returns:
        True, always: what is wrong raises.

    Raises:
        GradcheckError: a derivative is wrong. Says which, by how much, how many, which recorded operation is the first
            to be wrong by itself, and gives Python that reproduces that.
        KinkError: no derivative could be compared, or none but zeros, as the others sit on kinks.
        TypeError: an input or the result is of another float type than float64; differences would be too coarse.
        ValueError: nothing to differentiate; ``f`` gives another result each time, writes into an input, or uses a
            tensor that was computed from one before the call; two inputs share memory; an option makes no sense.

    Warns:
        KinkWarning: some derivatives could not be compared, the others are right.
        UserWarning: ``f`` depends on tensors that were not found, so they are not checked.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> tg.testing.gradcheck(lambda w, x: np.tanh(x @ w), (np.ones((3, 2)), np.ones((4, 3))), order=2)
    True
    """
    _check_options(order, mode, projections, eps=eps, atol=atol, rtol=rtol)
    several = isinstance(inputs, tuple)
    arguments = prepared(inputs)
    call: Callable[[], Any] = lambda: f(*arguments) if several else f(arguments)  # noqa: E731
    subject = Subject(variables_of(f, arguments, call), call)
    _check_repeats(subject)
    tolerance = Tolerance(atol, 1e-6 if rtol is None else rtol)
    options = Options(mode, FIRST_STEP if eps is None else eps, tolerance, projections)
    size = sum(v.size for v in subject.variables.values())
    notes = []
    with _bar(progress) as bar, np.errstate(all="ignore"):  # differences may step out of the domain of f
        for k in range(1, order + 1):
            if mode == "adjoint":
                _check_adjoint(subject, k, PROJECTIONS if projections is None else projections)
                continue
            many = size > (_ELEMENTS if k == 1 else _ELEMENTS_OF_HIGHER_ORDERS)
            chosen = options._replace(projections=PROJECTIONS) if projections is None and many else options
            notes.append(_check_order(subject, k, chosen, bar(columns(subject, chosen))))
    for note in filter(None, notes):
        warnings.warn(note, KinkWarning, stacklevel=2)
    return True


def _check_order(subject: Subject, order: int, options: Options, tick: Callable[[], None]) -> str:
    """Raise if derivatives of this order are wrong, or none can be told; return words for those that cannot."""
    comparisons = compare(subject, order, options, tick)
    culprit = Culprit(None, None, None, None)
    if any(c.wrong for c in comparisons):
        culprit = find(subject, order, options)
        if culprit.operation is not None or culprit.kink is None or any(c.undefined for c in comparisons):
            raise disagreement(comparisons, order, culprit, _hint(subject, culprit.kink))
        with _aside(subject):  # nothing is excused by a kink that is wrong beside it, too
            again = compare(subject, order, options)
            if any(c.wrong for c in again):
                raise disagreement(again, order, find(subject, order, options), _hint(subject, None))
    note = unseen(comparisons, culprit.kink)
    if note and not any(c.telling for c in comparisons):
        raise KinkError(note)
    return note


@contextmanager
def _aside(subject: Subject) -> Iterator[None]:
    """Inside, all variables stand a little aside, off any kink."""
    rng = np.random.default_rng(3)
    before = [v.data.copy() for v in subject.variables.values()]
    try:
        for v in subject.variables.values():
            v.data[...] += rng.standard_normal(v.shape) / 128
        yield
    finally:
        for v, old in zip(subject.variables.values(), before, strict=True):
            v.data[...] = old


def _hint(subject: Subject, kink: str | None) -> str:
    if kink is not None:
        return f"each recorded operation is right by itself, but {kink} sits on a kink or at an edge of its domain"
    if not live_of(subject.results(1, recorded=True)):
        return "no result requires a gradient: is something detached, or is this under no_grad?"
    return (
        "each recorded operation is right by itself: is something detached on the way, read through .data, .numpy() or "
        "float(), or is an input changed in place?"
    )


def _check_adjoint(subject: Subject, order: int, pairs: int) -> None:
    """Raise unless <J v, u> = <v, J^T u>, the left side by two recorded walks, the right side by one plain one."""
    outputs = subject.results(order, recorded=True)
    variables = list(subject.variables.values())
    rng = np.random.default_rng(2)
    y = flat(outputs)
    pushed = Pushed(outputs, variables)
    for pair in range(pairs):
        u = rng.standard_normal(y.size)
        vs = [rng.standard_normal(v.shape) for v in variables]
        left = u * pushed.along(vs)
        right = [v * g.data for v, g in zip(vs, pulled(outputs, variables, u), strict=True) if g is not None]
        forward, reverse = float(np.sum(left)), float(sum(np.sum(part) for part in right))
        size = float(np.sum(np.abs(left))) + float(sum(np.sum(np.abs(part)) for part in right))
        if not abs(forward - reverse) <= 1e-9 * (size + 1e-3):
            raise not_adjoint(forward, reverse, order, pair, pairs)


def _check_options(order: Any, mode: Any, projections: Any, **numbers: Any) -> None:
    if not _is_whole(order) or order < 1:
        raise ValueError(f"gradcheck: expected order to be a whole number from 1, got {order!r}")
    if mode not in MODES:
        raise ValueError(f"gradcheck: expected mode to be one of {', '.join(map(repr, MODES))}, got {mode!r}")
    if projections is not None and (not _is_whole(projections) or projections < 1):
        raise ValueError(f"gradcheck: expected projections to be a whole number from 1, or None, got {projections!r}")
    for name, value in numbers.items():
        if value is None:
            continue
        real = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
        if not real or not np.isfinite(value) or value < 0 or (name == "eps" and value == 0):
            kind = "a positive number" if name == "eps" else "a number from 0"
            raise ValueError(f"gradcheck: expected {name} to be {kind}, or None, got {value!r}")


def _is_whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _check_repeats(subject: Subject) -> None:
    """Raise if ``f`` writes into its inputs, or gives another result each time; warn if it uses what is not varied."""
    before = {where: (v, v.data, v.data.copy()) for where, v in subject.variables.items()}
    try:
        first = flat(subject.results(1, recorded=True))
        start = Tensor(0.0, requires_grad=True).node
        outputs = subject.results(1, recorded=True)
        written = [where for where, (v, _, old) in before.items() if not np.array_equal(v.data, old, equal_nan=True)]
    finally:
        for v, array, old in before.values():
            if v.data is not array:
                v.data = array
            if not np.array_equal(array, old, equal_nan=True):
                array[...] = old
    if written:
        raise ValueError(
            f"gradcheck: f writes into {', '.join(written)}, which it is to be differentiated by; let it work on a copy"
        )
    second = flat(outputs)
    if first.shape != second.shape or not np.array_equal(first, second, equal_nan=True):
        raise ValueError(
            "gradcheck: f gave another result when it was called again on the same inputs, so differences mean "
            "nothing; draw random numbers outside f, switch dropout off with eval(), and let f change no state"
        )
    note = unvaried(live_of(outputs), subject.variables, start.order if start is not None else 0)
    if note:
        warnings.warn(note, stacklevel=3)


@contextmanager
def _bar(wanted: bool) -> Iterator[Callable[[int], Callable[[], None]]]:
    """A progress bar that appears only if the work takes long; ``bar(more)`` announces work, its answer counts it."""
    if not wanted or tqdm is None:
        yield lambda more: lambda: None
        return
    with tqdm(total=0, desc="gradcheck", unit="line", delay=_PATIENCE, leave=False, mininterval=0.5) as shown:

        def more(lines: int) -> Callable[[], None]:
            shown.total += lines
            return lambda: shown.update() and None

        yield more
