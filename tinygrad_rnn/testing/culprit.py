"""Which operation is to blame: each recorded node, checked by itself on the values it had."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..graph import Node, Spread, newest_first
from ..primitives import keeping_everything
from ..tensor import Tensor, record
from ..walk import ITEM
from .comparison import Comparison
from .derivatives import Options, Subject, compare, live_of

_DIRECTIONS = 3  # of an operation with larger arguments than these, so many directions are tried
_WRITTEN_OUT = 2000  # numbers in a snippet


class Culprit(NamedTuple):
    """What was found by checking node by node.

    Attributes:
        operation: The first one that is wrong, and where it was recorded: ``multiply at encoder, t=3``; None: none is.
        comparison: What is wrong with it.
        snippet: Python that reproduces it.
        kink: The first operation that sits on a kink, if none is wrong.
    """

    operation: str | None
    comparison: Comparison | None
    snippet: str | None
    kink: str | None


def find(subject: Subject, order: int, options: Options) -> Culprit:
    """Record the function once more, keeping all values, and check the nodes one by one, oldest first."""
    with keeping_everything():
        outputs = subject.results(1, recorded=True)
    nodes = newest_first([y.node for y in live_of(outputs) if y.node is not None])
    kink = None
    for node in reversed(nodes):
        if node.primitive is None or node.primitive is ITEM or node.args is None:
            continue
        local = _subject(node)
        if local is None:
            continue
        largest = max(v.size for v in local.variables.values())
        narrow = options._replace(mode="reverse", projections=_DIRECTIONS if largest > 100 else None)
        for k in range(1, order + 1):
            comparisons = compare(local, k, narrow)
            wrong = [c for c in comparisons if c.wrong]
            if wrong:
                return Culprit(node.words(), wrong[0], snippet(node, local, k), None)
            if kink is None and any(c.kink.any() for c in comparisons):
                kink = node.words()
    return Culprit(None, None, None, kink)


def _subject(node: Node) -> Subject | None:
    """The node's function on leaves with the values it had; None where they are not float64."""
    parents = iter(node.parents)
    variables: dict[str, Tensor] = {}

    def own(value: Any, words: str) -> Any:
        if next(parents) is None:
            return value
        variables[words] = Tensor(np.array(value), requires_grad=True)
        return variables[words]

    args: list[Any] = []
    for i, arg in enumerate(node.args or ()):
        if isinstance(arg, Spread):
            args.append([own(part, f"argument {i}[{j}]") for j, part in enumerate(arg)])
        else:
            args.append(own(arg, f"argument {i}"))
    if any(v.dtype != np.float64 for v in variables.values()):
        return None
    call: Callable[[], Any] = lambda: record(node.primitive, args, node.kwargs or None)  # type: ignore[arg-type] # noqa: E731
    return Subject(variables, call)


def snippet(node: Node, local: Subject, order: int) -> str:
    """Python that runs the check of one operation again, on the same numbers."""
    imports, name = _name(node.primitive.function)  # type: ignore[union-attr]
    flat = iter(node.parents)
    values: list[str] = []
    words: list[str] = []
    inputs: list[str] = []
    for arg in node.args or ():
        parts = arg if isinstance(arg, Spread) else [arg]
        own: list[str] = []
        for part in parts:
            if next(flat) is None:
                own.append(_literal(part))
            else:
                inputs.append(f"x{len(inputs)}")
                values.append(_literal(part))
                own.append(inputs[-1])
        words.append(f"[{', '.join(own)}]" if isinstance(arg, Spread) else own[0])
    words = words[: max((i + 1 for i, word in enumerate(words) if word != "None"), default=0)]
    words += [f"{k}={_literal(v)}" for k, v in (node.kwargs or {}).items()]
    call = f"{words[0]}[{words[1]}]" if name == "getitem" else f"{name}({', '.join(words)})"
    several = f"({', '.join(values)},)"
    options = "" if order == 1 else f", order={order}"
    return "\n".join([*imports, f"tg.testing.gradcheck(lambda {', '.join(inputs)}: {call}, {several}{options})"])


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
    if getattr(sys.modules.get(module), name, None) is function:
        return [*imports, f"from {module} import {name}"], name
    return [*imports, f"# {name} is your own function, from {module}"], name


def _literal(value: Any) -> str:
    if isinstance(value, np.ndarray):
        if value.size > _WRITTEN_OUT:
            return f"np.load(...)  # {value.dtype}, shape {value.shape}: too long to write out"
        kind = "" if value.dtype == np.float64 else f", np.{value.dtype.name}"
        text = np.array2string(value, separator=", ", threshold=sys.maxsize, floatmode="unique", max_line_width=100)
        text = text.replace("nan", "np.nan").replace("inf", "np.inf")
        return f"np.zeros({value.shape}{kind})" if value.size == 0 else f"np.array({text}{kind})"
    if isinstance(value, np.generic):
        return repr(value.item())
    if isinstance(value, (list, tuple)):
        inside = ", ".join(_literal(part) for part in value)
        return f"[{inside}]" if isinstance(value, list) else f"({inside}{',' if len(value) == 1 else ''})"
    if isinstance(value, np.dtype):
        return f"np.{value.name}"
    return repr(value)
