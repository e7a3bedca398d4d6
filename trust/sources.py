"""Changed copies of functions: the source of a rule with one thing in it different, compiled in its place.

Every change is made at every place where it fits; nothing is picked by hand.
"""

from __future__ import annotations

import ast
import copy
import functools
import warnings
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any, NamedTuple

Definition = ast.Lambda | ast.FunctionDef


class Change(NamedTuple):
    """A changed function: what kind of change it is, and what the changed place says now."""

    kind: str
    detail: str
    function: Callable[..., Any]


COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
}  # fmt: skip


@functools.cache
def _module(path: str) -> ast.Module:
    with open(path, encoding="utf-8") as file:
        return ast.parse(file.read())


def definition_of(function: FunctionType) -> Definition | None:
    """The lambda or def in its file that a function was made from; None if it cannot be found."""
    code = function.__code__
    try:
        tree = _module(code.co_filename)
    except (OSError, SyntaxError):  # defined in no file, or in one of another kind
        return None
    spans = [span for span in code.co_positions() if None not in span and (span[0], span[2]) != (span[1], span[3])]
    places = [(line, column) for line, _, column, _ in spans]
    best: Definition | None = None
    for node in ast.walk(tree):
        if not isinstance(node, ast.Lambda if code.co_name == "<lambda>" else ast.FunctionDef):
            continue
        if isinstance(node, ast.FunctionDef) and node.name != code.co_name:
            continue
        inside = all((node.lineno, node.col_offset) <= p <= (node.end_lineno, node.end_col_offset) for p in places)
        if inside and (best is None or (node.lineno, node.col_offset) > (best.lineno, best.col_offset)):
            best = node
    return best


def changes(function: Any) -> Iterator[Change]:
    """All changed copies of a function, and of it with one of the functions of its own module that it calls changed."""
    if not isinstance(function, FunctionType):
        return
    definition = definition_of(function)
    if definition is None:
        return
    for kind, detail, changed in _variants(definition):
        yield Change(kind, detail, _compiled(changed, function, function.__globals__))
    for name in sorted({n.id for n in ast.walk(definition) if isinstance(n, ast.Name)}):
        called = function.__globals__.get(name)
        if isinstance(called, FunctionType) and called.__globals__ is function.__globals__ and called is not function:
            inner = None if hasattr(called, "__wrapped__") else definition_of(called)
            for kind, detail, changed in _variants(inner) if inner is not None else ():
                scope = {**function.__globals__, name: _compiled(changed, called, called.__globals__)}
                yield Change(kind, f"in {name}: {detail}", _compiled(definition, function, scope))


def _compiled(definition: Definition, like: FunctionType, scope: dict[str, Any]) -> Callable[..., Any]:
    """The function of a definition, with the globals given and the closure of the one it stands for."""
    free = like.__code__.co_freevars
    body: list[ast.stmt]
    plain = _bare(definition)
    if isinstance(plain, ast.Lambda):
        body = [ast.Return(plain)]
    else:
        body = [plain, ast.Return(ast.Name(plain.name, ast.Load()))]
    arguments = ast.arguments([], [ast.arg(name) for name in free], None, [], [], None, [])
    maker = ast.FunctionDef("make", arguments, body, [], None)
    module = ast.fix_missing_locations(ast.Module([maker], []))
    space = dict(scope)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # of comparisons that make no sense any more
        exec(compile(module, "<changed rule>", "exec"), space)
    made: Callable[..., Any] = space["make"](*(cell.cell_contents for cell in like.__closure__ or ()))
    return made


def _bare(definition: Definition) -> Definition:
    """A copy without what says nothing about its result: decorators, annotations, the docstring."""
    plain = copy.deepcopy(definition)
    if isinstance(plain, ast.FunctionDef):
        plain.decorator_list, plain.returns = [], None
        if ast.get_docstring(plain) is not None:
            plain.body = plain.body[1:]
        for argument in ast.walk(plain.args):
            if isinstance(argument, ast.arg):
                argument.annotation = None
    return plain


def _variants(definition: Definition) -> Iterator[tuple[str, str, Definition]]:
    """Each change that fits somewhere in a definition: its kind, words, and the changed definition."""
    definition = _bare(definition)
    arguments = [a.arg for a in (*definition.args.posonlyargs, *definition.args.args)]
    nodes = list(ast.walk(definition))
    for place, node in enumerate(nodes):
        for kind, new in _replacements(node, arguments):
            changed = copy.deepcopy(definition)
            target = list(ast.walk(changed))[place]
            after = _Replace(target, new).visit(changed)
            before, now = ast.unparse(node), ast.unparse(ast.fix_missing_locations(new))
            if before != now:
                yield kind, f"{before} -> {now}", after


class _Replace(ast.NodeTransformer):
    def __init__(self, target: ast.AST, new: ast.AST) -> None:
        self.target, self.new = target, new

    def visit(self, node: ast.AST) -> Any:
        return self.new if node is self.target else self.generic_visit(node)


def _replacements(node: ast.AST, arguments: list[str]) -> Iterator[tuple[str, ast.AST]]:
    """What may stand in the place of one node of a rule's source."""
    match node:
        case ast.BinOp(left, operator, right):
            if isinstance(operator, (ast.Add, ast.Sub)):
                other = ast.Sub() if isinstance(operator, ast.Add) else ast.Add()
                yield "sign flipped", ast.BinOp(left, other, right)
                yield from (("term dropped", left), ("term dropped", right))
            else:
                yield from (("factor dropped", left), ("factor dropped", right))
            if not isinstance(operator, (ast.Add, ast.Mult)):
                yield "operands swapped", ast.BinOp(right, operator, left)
        case ast.UnaryOp(ast.USub(), operand):
            yield "sign flipped", operand
        case ast.Constant(bool(value)):
            yield "flag flipped", ast.Constant(not value)
        case ast.Constant(int(value) | float(value)):
            yield "number off by one", ast.Constant(value + 1)
        case ast.Call(function, [first, *rest], keywords):
            if not isinstance(first, ast.Starred):
                yield "call dropped", first
            if rest and not any(isinstance(a, ast.Starred) for a in (first, *rest)):
                yield "operands swapped", ast.Call(function, [rest[0], first, *rest[1:]], keywords)
            if len(rest) > 1 and not any(isinstance(a, ast.Starred) for a in rest):
                yield "operands swapped", ast.Call(function, [first, *rest[:-2], rest[-1], rest[-2]], keywords)
        case ast.Compare(left, [operator], right) if type(operator) in COMPARISONS:
            yield "comparison shifted", ast.Compare(left, [COMPARISONS[type(operator)]()], right)
        case ast.IfExp(test, body, otherwise):
            yield "branches swapped", ast.IfExp(test, otherwise, body)
        case ast.If(test, body, otherwise):
            yield "condition negated", ast.If(ast.UnaryOp(ast.Not(), test), body, otherwise)
        case ast.Slice(None, upper, step):
            yield "slice shifted", ast.Slice(ast.Constant(1), upper, step)
        case ast.Name(name, ast.Load()) if name in ("axis", "axes", "axis1", "axis2"):
            yield from (("wrong axis", ast.Constant(0)), ("wrong axis", ast.Constant(-1)))
        case ast.Name(name, ast.Load()) if name in arguments[1:]:
            others = [a for a in arguments[1:] if a != name and a.lstrip("_") not in ("out", "dtype", "keepdims")]
            kinds = {a: "output for input" if arguments[1] in (name, a) else "wrong operand" for a in others}
            yield from ((kind, ast.Name(a, ast.Load())) for a, kind in kinds.items())
