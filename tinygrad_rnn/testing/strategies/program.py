"""A program that was drawn at random: its inputs, its source, and how it is built up value by value."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from random import Random
from types import CodeType
from typing import Any

import numpy as np

import tinygrad_rnn as tg

from ...tensor import Tensor
from ...tree import leaves, map_leaves
from .arrays import BYTE, literal, pick
from .operation import Choices, Operand, Operation, admits, fitting

_NEW = 64  # of 256 picks of an operand, this many ask for a new input
_POOL = 28  # numbers below 256 that the elements of all inputs are picked with
_DECISIONS = 11  # numbers below 256 that decide about one operation
_BOUND = 1000.0  # of results
_DEEPEST = 4  # axes of a result
_LARGEST = 100  # elements of a result


class Program:
    """A differentiable program. Call it with its ``inputs`` to get arrays, with tensors of their shapes to get tensors.

    What it returns depends on its arguments alone (where there is dropout, it seeds ``tg``'s generator first). Its
    ``repr`` is a script that runs by itself.

    Attributes:
        inputs: Arrays; ``tg.testing.gradcheck(program, program.inputs)`` checks it.
        source: The text of ``def program(x0, x1, ...)``. It returns what no operation consumed: one value, or a tuple.
        operations: The names of its operations, in order.
    """

    def __init__(
        self, inputs: Sequence[Any], lines: Sequence[str], results: Sequence[str], operations: Sequence[Operation]
    ) -> None:
        self.inputs = tuple(inputs)
        self.operations = tuple(operation.name for operation in operations)
        self._own = {o.name: o.function for o in operations if o.own}
        names = ", ".join(f"x{i}" for i in range(len(inputs)))
        body = "\n".join(f"    {line}" for line in [*lines, f"return {', '.join(results)}"])
        self.source = f"def program({names}):\n{body}\n"
        self._function: Callable[..., Any] | None = None

    def __call__(self, *inputs: Any) -> Any:
        if self._function is None:
            namespace: dict[str, Any] = {"np": np, "tg": tg, **self._own}
            exec(self.source, namespace)
            self._function = namespace["program"]
        if any(isinstance(x, Tensor) for x in inputs):
            return self._function(*inputs)
        results = self._function(*(Tensor(x, copy=False) for x in inputs))
        return map_leaves(lambda y: y.data, results)

    def __repr__(self) -> str:
        imports = ["import numpy as np", "import tinygrad_rnn as tg"]
        imports += [_imported(name, function) for name, function in self._own.items()]
        values = [f"x{i} = {literal(array)}" for i, array in enumerate(self.inputs)]
        given = ", ".join(f"x{i}" for i in range(len(values)))
        call = f"tg.testing.gradcheck(program, ({given}{',' if len(values) == 1 else ''}))"
        return "\n".join([*imports, "", *values, "", self.source, call])

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        """For Hypothesis and IPython: the script on lines of its own, not indented, so that it can be copied."""
        printer.text(f"\n{self!r}\n")


def _imported(name: str, function: Any) -> str:
    """The line that brings a user's function into a script; what stands in no module can only be named."""
    module, path = getattr(function, "__module__", "__main__"), getattr(function, "__qualname__", name)
    if module == "__main__" or "<" in path:
        return f"# {name} is your own {path}"
    return f"from {module} import {path}" + ("" if path == name else f" as {name}")


class Value:
    """An array of a program under its name."""

    __slots__ = ("array", "name", "used")

    def __init__(self, name: str, array: Any) -> None:
        self.name = name
        self.array = array
        self.used = False


class Builder:
    """Builds a program: runs each operation on the actual arrays, so that the next one sees shapes and values.

    All decisions are numbers below 256 from ``rnd``, always as many, whatever is decided; a smaller number is a simpler
    decision. That is what lets Hypothesis shrink a program without losing the thread: lowering one number leaves the
    meaning of all others alone.
    """

    def __init__(self, table: Sequence[Sequence[Operation]], rnd: Random) -> None:
        self.table = table
        self.rnd = rnd
        self.pool = [rnd.randrange(BYTE) for _ in range(_POOL)]
        self.start = 0  # where in the pool the inputs of the current operation begin
        self.inputs: list[Value] = []
        self.values: list[Value] = []  # live ones: inputs and results, oldest first
        self.lines: list[str] = []
        self.operations: list[Operation] = []
        self.namespace: dict[str, Any] = {"np": np, "tg": tg}

    def build(self, smallest: int, largest: int) -> Program | None:
        """A program of so many operations; None if not even one could be applied."""
        count = len(self.table)
        skipped = count // 7 + 1  # the lowest numbers stand for no operation
        for left in range(largest, 0, -1):
            number = self.rnd.randrange(skipped + count) - skipped
            decisions = [self.rnd.randrange(BYTE) for _ in range(_DECISIONS)]
            self.start = 11 * left  # not where the last one ended: the values must stay when it is taken out
            if number >= 0 or len(self.operations) + left <= smallest:
                operation = pick(self.table[number % count], decisions[0])
                if not self.add(operation, decisions[1:]):
                    self.add(operation, [0] * len(operation.operands) + decisions[1 + len(operation.operands) :])
        if not self.operations:
            return None
        results = [value.name for value in self.values if not value.used]
        return Program([value.array for value in self.inputs], self.lines, results, self.operations)

    def add(self, operation: Operation, decisions: Sequence[int]) -> bool:
        """Append an operation; False, and nothing is changed, if these operands or the results will not do."""
        new: list[Value] = []
        operands: list[Value] = []
        for operand, decision in zip(operation.operands, decisions, strict=False):
            before = tuple(value.array.shape for value in operands)
            found = self.live(operand, before, decision - _NEW, new) if decision >= _NEW else None
            if found is None:
                shapes = fitting(operand, before)
                found = self.input(operand, shapes[decision % _NEW * len(shapes) // _NEW], len(new))
                new.append(found)
            operands.append(found)
        choose = Choices(decisions[len(operands) :])
        text = operation.text(choose, [v.name for v in operands], [v.array for v in operands])
        if text is None:
            return False
        scope = {**self.namespace, operation.name: operation.function} if operation.own else self.namespace
        result = evaluated(text, {**scope, **{value.name: value.array for value in operands}})
        arrays = [array for _, array in leaves(result)]
        if not all(map(_moderate, arrays)):
            return False
        self.append(operation, text, result, operands, new)
        return True

    def append(
        self, operation: Operation, text: str, result: Any, operands: Sequence[Value], new: Sequence[Value]
    ) -> None:
        self.inputs += new
        self.values += new
        for value in operands:
            value.used = True
        first = len(self.values) - len(self.inputs)
        made = [Value(f"v{first + k}", array) for k, (_, array) in enumerate(leaves(result))]
        names = iter([value.name for value in made])
        self.lines.append(f"{_target(map_leaves(lambda _: next(names), result))} = {text}")
        self.values += made
        self.operations.append(operation)

    def input(self, operand: Operand, shape: tuple[int, ...], known: int) -> Value:
        """A new input in the operand's domain, of elements that the pool picks."""
        start = self.start + 4 * known
        picks = [self.pool[(start + k) % _POOL] for k in range(math.prod(shape))]
        return Value(f"x{len(self.inputs) + known}", operand.drawn(shape, picks))

    def live(self, operand: Operand, before: tuple[Any, ...], decision: int, new: Sequence[Value]) -> Value | None:
        """A value of the program, or an input of this very operation, that may be the operand; or None."""
        candidates = [*self.values, *new]
        start = decision * len(candidates) // (BYTE - _NEW)
        for value in candidates[start:] + candidates[:start]:
            if admits(operand, before, value.array.shape) and operand.accepts(value.array):
                return value
        return None


def evaluated(text: str, namespace: dict[str, Any]) -> Any:
    """What an expression gives, as bare arrays."""
    with np.errstate(all="ignore"):
        result = eval(_compiled(text), namespace)
    return map_leaves(lambda y: y.data if isinstance(y, Tensor) else np.asarray(y), result)


@lru_cache(maxsize=8192)
def _compiled(text: str) -> CodeType:
    return compile(text, "<program>", "eval")


def _moderate(y: Any) -> bool:
    """Floats, not too many, finite, and not so large that differences would be coarse."""
    small = y.ndim <= _DEEPEST and y.size <= _LARGEST
    return small and y.dtype == np.float64 and bool((np.abs(y) <= _BOUND).all())


def _target(names: Any) -> str:
    """What stands left of ``=`` for a result of this structure."""
    if isinstance(names, str):
        return names
    parts = ", ".join(f"({_target(part)})" if isinstance(part, tuple) else _target(part) for part in names)
    return f"[{parts}]" if len(names) == 1 else parts
