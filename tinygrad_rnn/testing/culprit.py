"""Which operation is to blame: each recorded node, checked by itself on the values it had."""

from __future__ import annotations

import inspect
import keyword
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..graph import Node, Spread, newest_first
from ..primitives import keeping_everything
from ..tensor import Tensor, record
from ..walk import ITEM
from .comparison import Comparison
from .derivatives import compare
from .differences import FIRST_STEP
from .subject import Options, Subject, flat
from .walks import live_of

_DIRECTIONS = 3  # along which each operation is tried first
_ELEMENTS = 200  # up to so many in an argument, one that is then suspected is tried element by element
_WRITTEN_OUT = 2000  # numbers in a snippet


class Culprit(NamedTuple):
    """What was found by checking node by node.

    Attributes:
        operation: The first one that is wrong, and where it was recorded: ``multiply at encoder, t=3``; None: none is.
        comparison: What is wrong with it.
        snippet: Python that reproduces it.
        kink: The first operation that sits on a kink, if none is wrong.
        outside: The first operation that has no derivative at all there.
    """

    operation: str | None
    comparison: Comparison | None
    snippet: str | None
    kink: str | None
    outside: str | None = None


def find(subject: Subject, order: int, options: Options) -> Culprit:
    """Record the function once more, keeping all values, and check the nodes one by one, oldest first."""
    with keeping_everything():
        outputs = subject.results(1, recorded=True)
    nodes = newest_first([y.node for y in live_of(outputs) if y.node is not None])
    kink = outside = None
    for node in reversed(nodes):
        if node.primitive is None or node.primitive is ITEM or node.args is None:
            continue
        local = _subject(node)
        if local is None:
            continue
        for k in range(1, order + 1):
            comparisons, used = _checked(local, k, options)
            nowhere = _has_no_derivative(local, comparisons)
            wrong = [c for c, somewhere in zip(comparisons, nowhere, strict=True) if (c.bad & ~somewhere).any()]
            if wrong:
                return Culprit(node.words(), wrong[0], snippet(node, local, k, used), None, outside)
            if outside is None and any(somewhere.any() for somewhere in nowhere):
                outside = node.words()
            if kink is None and any(c.kink.any() for c in comparisons):
                kink = node.words()
    return Culprit(None, None, None, kink, outside)


def _checked(local: Subject, order: int, options: Options) -> tuple[list[Comparison], Options]:
    """A check along a few directions; if that finds anything, one element by element. And how it was made."""
    each, few = options._replace(projections=None), options._replace(projections=_DIRECTIONS)
    largest = max(v.size for v in local.variables.values())
    if largest <= _DIRECTIONS:
        return compare(local, order, each), each
    screened = compare(local, order, few)
    if largest <= _ELEMENTS and any(c.compared < c.total for c in screened):
        closer = compare(local, order, each)
        if any(c.wrong for c in closer) or not any(c.wrong for c in screened):
            return closer, each
    return screened, few


def _has_no_derivative(local: Subject, comparisons: Sequence[Comparison]) -> list[Any]:
    """Where the walk's NaN and infinities are no mistake of the rule, as it was called outside of its domain, or at its
    edge: there 0 times the slope of one element is NaN in the rows of all others."""
    with np.errstate(all="ignore"):
        results = local.results(1, recorded=False)
    outside = not all(np.isfinite(x).all() for x in [flat(results), *(v.data for v in local.variables.values())])
    at_edge = {c.label: np.any(c.kink & np.isnan(c.bend), axis=0) for c in comparisons}
    edges = outside or any(edge.any() for edge in at_edge.values())
    return [
        ~(np.isfinite(c.analytic) & np.isfinite(c.numeric))
        & (outside | at_edge[c.label] if c.label in local.variables else edges)
        for c in comparisons
    ]


def _subject(node: Node) -> Subject | None:
    """The node's function on leaves with the values it had; None where they are not float64, or were not kept."""
    parents = iter(node.parents)
    variables: dict[str, Tensor] = {}
    own_of: dict[int, Tensor] = {}  # by the parent's order: what was the same tensor stays one

    def own(value: Any, words: str) -> Any:
        parent = next(parents)
        if parent is None:
            return value
        if parent.order not in own_of:
            own_of[parent.order] = variables[words] = Tensor(np.array(value), requires_grad=True)
        return own_of[parent.order]

    args: list[Any] = []
    values = [part for arg in node.args or () for part in (arg if isinstance(arg, Spread) else [arg])]
    inputs = [value for value, parent in zip(values, node.parents, strict=True) if parent is not None]
    if {node.dtype, *(np.asarray(value).dtype for value in inputs)} != {np.dtype(np.float64)}:  # a node, if not kept
        return None
    for i, arg in enumerate(node.args or ()):
        if isinstance(arg, Spread):
            args.append([own(part, f"argument {i}[{j}]") for j, part in enumerate(arg)])
        else:
            args.append(own(arg, f"argument {i}"))
    call: Callable[[], Any] = lambda: record(node.primitive, args, node.kwargs or None)  # type: ignore[arg-type] # noqa: E731
    return Subject(variables, call)


# ------------------------------------------------------------------------------------------------ as Python


def snippet(node: Node, local: Subject, order: int, options: Options) -> str:
    """Python that runs the check of one operation again, on the same numbers."""
    imports, name = _name(node.primitive.function)  # type: ignore[union-attr]
    notes: list[str] = []
    flat_parents = iter(node.parents)
    values: list[str] = []
    words: list[str] = []
    inputs: dict[int, str] = {}
    for arg in node.args or ():
        parts = arg if isinstance(arg, Spread) else [arg]
        own: list[str] = []
        for part in parts:
            parent = next(flat_parents)
            if parent is None:
                own.append(_literal(part, notes))
                continue
            if parent.order not in inputs:
                inputs[parent.order] = f"x{len(inputs)}"
                values.append(_literal(part, notes))
            own.append(inputs[parent.order])
        words.append(f"[{', '.join(own)}]" if isinstance(arg, Spread) else own[0])
    words = words[: max((i + 1 for i, word in enumerate(words) if word != "None"), default=0)]
    words += [f"{k}={_literal(v, notes)}" for k, v in (node.kwargs or {}).items()]
    call = f"{words[0]}[{words[1]}]" if name == "getitem" else f"{name}({', '.join(words)})"
    several = f"({', '.join(values)},)"
    last = f"tg.testing.gradcheck(lambda {', '.join(inputs.values())}: {call}, {several}{_options(order, options)})"
    return "\n".join([*imports, *notes, last])


def _options(order: int, options: Options) -> str:
    """What differs from gradcheck's defaults."""
    chosen = {
        "order": (order, 1),
        "mode": (options.mode, "reverse"),
        "eps": (options.first, FIRST_STEP),
        "atol": (options.tolerance.atol, None),
        "rtol": (options.tolerance.rtol, 1e-6),
        "projections": (options.projections, None),
    }
    return "".join(f", {word}={value!r}" for word, (value, default) in chosen.items() if value != default)


def _name(function: Any) -> tuple[list[str], str]:
    """The lines that import a function, and what it is then called."""
    imports = ["import numpy as np", "import tinygrad_rnn as tg"]
    name = getattr(function, "__name__", str(function))
    for prefix, space in (("np.", np), ("np.linalg.", np.linalg)):
        if getattr(space, name, None) is function:
            return imports, prefix + name
    module = getattr(function, "__module__", None) or "__main__"
    if name == "getitem":
        return imports, name
    if module != "__main__" and getattr(sys.modules.get(module), name, None) is function:
        return [*imports, f"from {module} import {name}"], name
    valid = name if name.isidentifier() and not keyword.iskeyword(name) and name not in ("np", "tg") else "operation"
    code = getattr(inspect.unwrap(function), "__code__", None)
    line = f", line {code.co_firstlineno}" if code is not None else ""
    full = getattr(function, "__qualname__", name)
    return [*imports, f"# put here, under the name {valid}, your function {full} (of {module}{line})"], valid


def _literal(value: Any, notes: list[str]) -> str:
    """Python for a value; ``notes`` are comments to put before it."""
    if isinstance(value, np.ndarray):
        if value.size > _WRITTEN_OUT and value.dtype.kind in "fiub":
            return _stand_in(value, notes)
        kind = "" if value.dtype == np.float64 else f", np.{value.dtype.name}"
        text = np.array2string(value, separator=", ", threshold=sys.maxsize, floatmode="unique", max_line_width=100)
        text = text.replace("nan", "np.nan").replace("inf", "np.inf")
        return f"np.zeros({value.shape}{kind})" if value.size == 0 else f"np.array({text}{kind})"
    if isinstance(value, np.generic):
        return _literal(value.item(), notes)
    if isinstance(value, float):
        return repr(value).replace("nan", "np.nan").replace("inf", "np.inf")
    if isinstance(value, (list, tuple)):
        inside = ", ".join(_literal(part, notes) for part in value)
        return f"[{inside}]" if isinstance(value, list) else f"({inside}{',' if len(value) == 1 else ''})"
    if isinstance(value, np.dtype):
        return f"np.{value.name}"
    return repr(value)


def _stand_in(value: np.ndarray[Any, Any], notes: list[str]) -> str:
    """Python for random numbers of an array's shape, dtype and range."""
    finite = value[np.isfinite(value)]
    low, high = (finite.min().item(), finite.max().item()) if finite.size else (0, 1)
    draw = f"np.random.default_rng({len(notes)})"
    notes.append(f"# {value.size} numbers of shape {value.shape} are too many to write out: random ones stand for them")
    if value.dtype.kind == "f":
        cast = "" if value.dtype == np.float64 else f".astype(np.{value.dtype.name})"
        return f"{draw}.uniform({low!r}, {high!r}, {value.shape}){cast}"
    return f"{draw}.integers({int(low)}, {int(high) + 1}, {value.shape}).astype(np.{value.dtype.name})"
