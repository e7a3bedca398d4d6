"""The two sides of a check: a function's derivatives by the walk, and by differences of what it computes.

A function stands here as a ``Subject``: its leaves, and a call without arguments. Derivatives of order k are first
derivatives of its gradient of order k - 1, along cotangents that are drawn once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..tensor import Tensor
from ..transforms import grad
from ..tree import leaves
from .comparison import Comparison, Tolerance
from .differences import Derivative, differentiate, noise_of

WHOLE_JACOBIAN = 100  # up to so many results each has a row of its own
PROJECTIONS = 10


class Options(NamedTuple):
    """How the comparison is made; see ``gradcheck``."""

    mode: str
    first: float
    tolerance: Tolerance
    projections: int | None  # how many directions of each input are tried; None: every element of it


@dataclass
class Subject:
    """A function at a point.

    Attributes:
        variables: The leaves that are varied, by their words.
        call: Runs the function on them.
    """

    variables: dict[str, Tensor]
    call: Callable[[], Any]

    def results(self, order: int, recorded: bool) -> dict[str, Any]:
        """The float results (order 1), or the gradients of order ``order - 1``, by their words.

        ``recorded``: with a graph, also where the last of several walks would not need one.
        """
        outputs = {where: y for where, y in leaves(self.call(), "output") if _array(y).dtype.kind == "f"}
        for where, y in outputs.items():
            if isinstance(y, Tensor) and y.dtype != np.float64:
                raise TypeError(
                    f"gradcheck: {where} of f is {y.dtype}, expected float64; are f's own tensors float64 "
                    f"(astype(np.float64), dtype=np.float64), and is nothing in it cast down?"
                )
        if not outputs:
            raise ValueError("gradcheck: f returned no float array or tensor, so there is nothing to differentiate")
        for k in range(1, order):
            outputs = self._gradient(outputs, k, recorded or k < order - 1)
        return outputs

    def _gradient(self, outputs: dict[str, Any], k: int, recorded: bool) -> dict[str, Any]:
        """The gradients of <cotangent, output> with respect to all variables."""
        rng = np.random.default_rng(k)
        starts = {where: rng.standard_normal(np.shape(_array(y))) for where, y in outputs.items()}
        live = {where: y for where, y in outputs.items() if isinstance(y, Tensor) and y.requires_grad}
        found: Sequence[Tensor | None] = [None] * len(self.variables)
        if live:
            cotangents = [starts[where] for where in live]
            variables = list(self.variables.values())
            found = grad(list(live.values()), variables, cotangents, create_graph=recorded, allow_unused=True)
        kind = "gradient" if k == 1 else f"gradient of order {k}"
        return {
            f"({kind} by {where})": np.zeros(variable.shape) if g is None else g
            for (where, variable), g in zip(self.variables.items(), found, strict=True)
        }


def _array(y: Any) -> Any:
    return y.data if isinstance(y, Tensor) else np.asarray(y)


def flat(outputs: dict[str, Any]) -> Any:
    return np.concatenate([np.ravel(_array(y)) for y in outputs.values()])


def element(label: str, index: Sequence[int]) -> str:
    return f"{label}[{', '.join(map(str, index))}]" if index else label


def compare(
    subject: Subject, order: int, options: Options, tick: Callable[[], None] = lambda: None
) -> list[Comparison]:
    """Compare the derivatives of one order with differences, input by input; ``tick`` is called for each column."""
    outputs = subject.results(order, recorded=True)
    y = flat(outputs)
    rows = [element(label, index) for label, part in outputs.items() for index in np.ndindex(_array(part).shape)]
    weights = None
    if y.size > WHOLE_JACOBIAN:
        rows = [f"projection {k} of the output" for k in range(PROJECTIONS)]
        weights = np.random.default_rng(0).standard_normal((PROJECTIONS, y.size))
    moves = {label: _moves(variable, options.projections) for label, variable in subject.variables.items()}
    analytic = (_by_columns if options.mode == "forward" else _by_rows)(outputs, subject.variables, weights, moves)

    def enough(value: Any) -> Any:
        return 0.1 * options.tolerance.of(value)

    def values() -> Any:
        found = flat(subject.results(order, recorded=False))
        return found if weights is None else weights @ found

    start, noise = values(), _noise(subject, values)
    comparisons: list[Comparison] = []
    for label, variable in subject.variables.items():
        derivatives = []
        for move in moves[label] if moves[label] is not None else np.ndindex(variable.shape):
            with _moving(variable.data, move) as at:
                first = options.first * _scale(variable.data, move)
                derivatives.append(differentiate(_along(at, values), start, noise, first, enough))
            tick()
        several = moves[label] is not None
        columns = (
            [f"direction {k} of {label}" for k in range(len(moves[label]))]
            if several
            else [element(label, index) for index in np.ndindex(variable.shape)]
        )
        comparisons.append(
            Comparison(
                label,
                variable.name,
                variable.shape,
                rows,
                columns,
                analytic=analytic[label],
                derivatives=derivatives,
                tolerance=options.tolerance,
            )
        )
    equal = [*_two_walks(rows, y if weights is None else weights @ y, start, options)] if order > 1 else []
    if options.mode == "reverse":
        equal += _linear(outputs, subject.variables, weights, moves, analytic, options)
    return [*comparisons, *(comparison for comparison in equal if comparison.wrong)]


def _two_walks(rows: Sequence[str], recorded: Any, plain: Any, options: Options) -> Iterator[Comparison]:
    """The gradient by a walk on tensors beside that by a walk on arrays: rules must say the same on both."""
    yield _equal("recorded walk against plain walk", rows, recorded, plain, options)


def _linear(
    outputs: dict[str, Any],
    variables: dict[str, Tensor],
    weights: Any,
    moves: dict[str, Any],
    analytic: dict[str, Any],
    options: Options,
) -> Iterator[Comparison]:
    """A walk with large random cotangents beside the same sum of the rows: the walk must be linear in them."""
    size = sum(_array(y).size for y in outputs.values())
    shares = 10 * np.random.default_rng(5).standard_normal(size if weights is None else len(weights))
    found = pulled(outputs, list(variables.values()), shares if weights is None else shares @ weights)
    for (label, variable), g in zip(variables.items(), found, strict=True):
        whole = np.zeros(variable.size) if g is None else np.ravel(g.data)
        if moves[label] is not None:
            whole = moves[label].reshape(len(moves[label]), variable.size) @ whole
        columns = [f"{label}, column {k}" for k in range(whole.size)]
        words = f"{label}: a walk with all cotangents at once against the sum of walks with each"
        yield _equal(words, columns, whole, shares @ analytic[label], options)


def _equal(label: str, places: Sequence[str], found: Any, expected: Any, options: Options) -> Comparison:
    """Numbers that two ways to the same gradient give, as a comparison of one row."""
    nothing = np.zeros(1)
    derivatives = [Derivative(np.array([value]), nothing, nothing, ~np.isfinite([value])) for value in expected]
    return Comparison(
        label,
        None,
        (len(places),),
        [""],
        places,
        analytic=found[None],
        derivatives=derivatives,
        tolerance=options.tolerance,
        phrase="{}{}",
    )


def _along(at: Callable[[float], None], values: Callable[[], Any]) -> Callable[[float], Any]:
    def line(h: float) -> Any:
        at(h)
        return values()

    return line


def _noise(subject: Subject, values: Callable[[], Any]) -> Any:
    """How far rounding throws the results off, along a line on which all inputs move."""
    rng = np.random.default_rng(4)
    with ExitStack() as stack:
        moves = [
            (stack.enter_context(_moving(v.data, rng.choice([-1.0, 1.0], v.shape))), _scale(v.data, ...))
            for v in subject.variables.values()
        ]

        def at(h: float) -> None:
            for move, scale in moves:
                move(h * scale)

        return noise_of(_along(at, values))


def columns(subject: Subject, options: Options) -> int:
    """How many lines ``compare`` will differentiate along."""
    return sum(
        v.size if options.projections is None or v.size <= options.projections else options.projections
        for v in subject.variables.values()
    )


def _moves(variable: Tensor, projections: int | None) -> Any:
    """Random directions of length 1 in the variable's space, (K, *shape); None: its elements one by one."""
    if projections is None or variable.size <= projections:
        return None
    directions = np.random.default_rng(1).standard_normal((projections, *variable.shape))
    return directions / np.sqrt(np.sum(directions * directions, axis=tuple(range(1, directions.ndim)), keepdims=True))


def _scale(array: Any, move: Any) -> float:
    """A power of two: 1 up to |x| = 65536, then in proportion, so that a step is never lost in rounding."""
    largest = abs(array[move]) if isinstance(move, tuple) else np.max(np.abs(array), initial=0)
    return float(2.0 ** max(0, np.ceil(np.log2(max(largest, 1.0) * 2.0**-16))))


@contextmanager
def _moving(array: Any, move: Any) -> Iterator[Callable[[float], None]]:
    """Inside, ``at(h)`` moves the array by h: one element of it, or along a direction. A raw write: the graphs of
    others see the old values again, unstamped."""
    place = move if isinstance(move, tuple) else ...
    old = np.array(array[place])

    def at(h: float) -> None:
        array[place] = old + h if isinstance(move, tuple) else old + h * move

    try:
        yield at
    finally:
        array[place] = old


def _starts(flat_cotangent: Any, outputs: dict[str, Any]) -> list[Any]:
    """A flat cotangent, cut into one for each output, for those that have a graph."""
    stops = np.cumsum([_array(y).size for y in outputs.values()])[:-1]
    parts = zip(np.split(flat_cotangent, stops), outputs.values(), strict=True)
    return [np.reshape(part, y.shape) for part, y in parts if isinstance(y, Tensor) and y.requires_grad]


def live_of(outputs: dict[str, Any]) -> list[Tensor]:
    return [y for y in outputs.values() if isinstance(y, Tensor) and y.requires_grad]


def pulled(outputs: dict[str, Any], variables: Sequence[Tensor], cotangent: Any, create_graph: bool = False) -> Any:
    """The products of a flat cotangent (an array, or one tensor a live output) with the Jacobian, one a variable."""
    live = live_of(outputs)
    starts = cotangent if isinstance(cotangent, list) else _starts(cotangent, outputs)
    if not live:
        return [None] * len(variables)
    return grad(live, variables, starts, create_graph=create_graph, retain_graph=True, allow_unused=True)


class Pushed:
    """Products of the Jacobian with directions: the walk of a walk. v -> J v is the transpose of u -> J^T u."""

    def __init__(self, outputs: dict[str, Any], variables: Sequence[Tensor]) -> None:
        self.outputs = outputs
        self.live = live_of(outputs)
        self.dummies = [Tensor(np.zeros(y.shape), requires_grad=True) for y in self.live]
        self.first = pulled(outputs, variables, self.dummies, create_graph=True)

    def along(self, directions: Sequence[Any]) -> Any:
        """J v, flat, for one direction a variable (None: that variable does not move)."""
        pairs = [
            (g, v)
            for g, v in zip(self.first, directions, strict=True)
            if g is not None and v is not None and g.requires_grad
        ]
        found: Any = [None] * len(self.live)
        if pairs:
            starts = [v for _, v in pairs]
            found = grad([g for g, _ in pairs], self.dummies, starts, retain_graph=True, allow_unused=True)
        products = iter(found)
        parts = []
        for y in self.outputs.values():
            product = next(products) if isinstance(y, Tensor) and y.requires_grad else None
            parts.append(np.zeros(_array(y).size) if product is None else np.ravel(product.data))
        return np.concatenate(parts)


def _by_rows(outputs: dict[str, Any], variables: dict[str, Tensor], weights: Any, moves: dict[str, Any]) -> Any:
    """Reverse mode: a walk for each row. For each variable the Jacobian, (rows, columns)."""
    size = sum(_array(y).size for y in outputs.values())
    cotangents = np.eye(size) if weights is None else weights
    products = {label: np.zeros((len(cotangents), *v.shape)) for label, v in variables.items()}
    for k, cotangent in enumerate(cotangents):
        for product, g in zip(products.values(), pulled(outputs, list(variables.values()), cotangent), strict=True):
            if g is not None:
                product[k] = g.data
    found = {}
    for label, product in products.items():
        found[label] = product.reshape(len(cotangents), variables[label].size)
        if moves[label] is not None:
            found[label] = found[label] @ moves[label].reshape(len(moves[label]), variables[label].size).T
    return found


def _by_columns(outputs: dict[str, Any], variables: dict[str, Tensor], weights: Any, moves: dict[str, Any]) -> Any:
    """Forward mode: a product J v for each column. For each variable the Jacobian, (rows, columns)."""
    pushed = Pushed(outputs, list(variables.values()))
    found = {}
    for i, (label, variable) in enumerate(variables.items()):
        directions = moves[label]
        if directions is None:
            directions = np.eye(variable.size).reshape(variable.size, *variable.shape)
        still: list[Any] = [None] * len(variables)
        rows = [pushed.along([*still[:i], v, *still[i + 1 :]]) for v in directions]
        whole = np.stack(rows, axis=1) if rows else np.zeros((sum(_array(y).size for y in outputs.values()), 0))
        found[label] = whole if weights is None else weights @ whole
    return found
