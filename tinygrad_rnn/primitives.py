"""The table of primitives: which functions can be recorded, and the derivative rule of each of their arguments.

A primitive *is* a NumPy function (or one of your own), and its rules stand beside it::

    defvjp(np.tanh,     lambda g, y, _x:    g * (1 - y * y))
    defvjp(np.multiply, lambda g, _y, _a, b: g * b,
                        lambda g, _y, a, _b: g * a)

The table knows nothing of tensors; ``tensor.py`` reads it to record a call and to walk back over it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np

from .context import Context, site

Rule = Callable[..., Any]


class Saved:
    """What a primitive with a ``joint`` rule returns: its result ``y``, and what its rule wants to find again."""

    __slots__ = ("saved", "y")

    def __init__(self, y: Any, saved: Any) -> None:
        self.y = y
        self.saved = saved


class Gather(NamedTuple):
    """How the gradients that many calls pass to one argument are computed together.

    A weight that is used at every time step gets a product of matrices from each; one product of all their rows is
    cheaper than their sum. ``rows(g, *args)`` says how many rows a call brings (0: it must be computed by itself), and
    ``together(calls)`` returns the sum over calls, pairs ``(g, args)``.
    """

    rows: Callable[..., int]
    together: Callable[[list[tuple[Any, tuple[Any, ...]]]], Any]


class Primitive:
    """A recordable function with its rules.

    Attributes:
        function: The function that users call, the key in the table.
        call: What is run on bare arrays; ``function`` itself, or something equal and faster.
        into: For argument i, ``into[i](buffer, g, *args)`` adds that argument's gradient to a buffer in place, where
            forming it whole would cost as much as the argument itself (slices of a long sequence).
        gather: For argument i, how the gradients of many calls are computed together.
        fresh: Whether all that its joint rule answers are arrays made there, which the walk may keep and add to.
    """

    __slots__ = (
        "call", "definition", "fresh", "function", "gather", "into", "joint", "keeps", "keywords", "name", "names",
        "optional", "plans", "rest", "rules", "simple",
    )  # fmt: skip

    def __init__(self, function: Callable[..., Any], call: Callable[..., Any] | None = None) -> None:
        self.function = function
        self.call = call or function
        self.name: str = getattr(function, "__name__", str(function))
        self.clear()

    def clear(self) -> None:
        self.rules: tuple[Rule | None, ...] = ()
        self.rest: Rule | None = None
        self.joint: Rule | None = None
        self.definition: Rule | None = None
        self.into: dict[int, Rule] = {}
        self.gather: dict[int, Gather] = {}
        self.keeps: tuple[int, ...] = ()  # for each rule a bit mask: bit 0 is y, bit i + 1 is argument i
        self.names: tuple[str, ...] = ()  # of the positional arguments, as the rules name them
        self.optional: dict[str, Any] = {}  # defaults of those that have one
        self.keywords: frozenset[str] | None = frozenset()  # that the rules accept; None: any
        self.plans: dict[tuple[Any, ...], tuple[list[tuple[str, Any]], list[str]]] = {}
        self.fresh = False
        self.simple = False  # one rule an argument and nothing else: the walk's short path

    @property
    def special(self) -> bool:
        return bool(self.into or self.gather)

    @property
    def has_rule(self) -> bool:
        return bool(self.rules or self.rest or self.joint or self.definition)

    def rule(self, i: int) -> Rule | None:
        """The rule of argument ``i``, to be called ``rule(g, y, *args, **kwargs)``; None: it has no gradient."""
        if i < len(self.rules):
            return self.rules[i]
        rest = self.rest
        return None if rest is None else lambda g, y, *args, **kwargs: rest(i, g, y, *args, **kwargs)

    def kept(self, i: int) -> int:
        """The bit mask of what the rule of argument ``i`` wants kept; -1 is everything."""
        return self.keeps[i] if i < len(self.keeps) else -1

    def positional(self, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[Sequence[Any], dict[str, Any]]:
        """The same call, with what was given by keyword moved to its position as far as it has one."""
        form = (len(args), *kwargs)
        plan = self.plans.get(form)
        if plan is None:
            plan = self.plans[form] = self._plan(len(args), kwargs)
        moved, left = plan
        return [*args, *[kwargs.get(name, default) for name, default in moved]], {k: kwargs[k] for k in left}

    def _plan(self, given: int, kwargs: dict[str, Any]) -> tuple[list[tuple[str, Any]], list[str]]:
        """The names, with their defaults, that follow ``given`` positional arguments; the keywords that stay."""
        last = max((i for i, name in enumerate(self.names) if name in kwargs), default=-1)
        moved: list[tuple[str, Any]] = []
        for name in self.names[given : last + 1]:
            if name not in kwargs and name not in self.optional:
                break
            moved.append((name, self.optional.get(name)))
        return moved, [k for k in kwargs if k not in dict(moved)]

    def check(self, args: Sequence[Any], kwargs: dict[str, Any] | None, context: Context, last: int = 0) -> None:
        """Raise TypeError for a call that is to be recorded, but that the rules could not walk back over.

        ``last`` is the place of the last argument that needs a gradient.
        """
        words = site(self.name, context)
        if not self.has_rule:
            raise TypeError(no_rule(self.function, context))
        if last >= len(self.rules) and not (self.rest or self.joint or self.definition):
            raise TypeError(
                f"{words}: no derivative rule for argument {last}, which needs a gradient; give tg.defvjp one more "
                f"rule, or None where there is no gradient"
            )
        for i, a in enumerate(args):
            if isinstance(a, (list, tuple)) and any(getattr(v, "node", None) is not None for v in a):
                self._check_sequence(i, a, words)
        if self.keywords is None:
            return
        unknown = [k for k in kwargs or () if k not in self.keywords]
        if unknown:
            known = ", ".join(sorted(self.keywords)) or "none"
            raise TypeError(f"{words}: the derivative rule knows no keyword {unknown[0]!r} (it knows {known})")
        if len(args) > len(self.names):
            names = ", ".join(self.names)
            raise TypeError(f"{words}: the derivative rule takes ({names}), got {len(args)} positional arguments")

    def _check_sequence(self, i: int, a: Sequence[Any], words: str) -> None:
        """Raise TypeError if a NumPy function was given a list of tensors in the place of one array."""
        if _is_numpys(self.function) and self.function not in JOINING:
            raise TypeError(
                f"{words}: expected one array for argument {i}, got a {type(a).__name__} of {len(a)} with tensors in "
                f"it; make one tensor of them with np.stack"
            )

    def explained(self, error: Exception, values: Sequence[Any], context: Context) -> Exception:
        """The same kind of exception, saying also which operation failed, where, and on what."""
        got = ", ".join(
            f"[{', '.join(str(np.shape(u)) for u in v)}]" if isinstance(v, list) else f"{v.shape} {v.dtype}"
            for v in values
            if isinstance(v, (list, np.ndarray))
        )
        kinds = (np.exceptions.AxisError, IndexError, ValueError, TypeError)
        kind = next(kind for kind in kinds if isinstance(error, kind))
        return kind(f"{site(self.name, context)}: {error}; got {got or 'no arrays'}")


def no_rule(function: Any, context: Context) -> str:
    """What to say of a function that has no rule, and how to give it one."""
    name = getattr(function, "__name__", str(function))
    module = "numpy" if getattr(np, name, None) is function else getattr(function, "__module__", None) or ""
    full = f"np{module[5:]}.{name}" if module.startswith("numpy") else name
    return (
        f"{site(full, context)} has no derivative rule. Register one with tg.defvjp({full}, lambda g, y, x: ...), or "
        f"call it on t.detach() if no gradient should pass"
    )


TABLE: dict[Any, Primitive] = {}


def primitive_of(function: Callable[..., Any], call: Callable[..., Any] | None = None) -> Primitive:
    """The table's entry for ``function``, made if there is none; ``call`` is an equal but faster way to run it."""
    entry = TABLE.get(function)
    if entry is None:
        entry = TABLE[function] = Primitive(function)
    if call is not None:
        entry.call = call
    return entry


_keepers: set[object] = set()  # who is inside keeping_everything()
_kept_before: dict[Primitive, tuple[int, ...]] = {}
_keepers_lock = Lock()


@contextmanager
def keeping_everything() -> Iterator[None]:
    """Inside, recorded calls keep all their arguments and results, whatever their rules want: for who checks them.

    Until the last who entered has left again. (Other threads' graphs then keep more, too: no number changes.)
    """
    keeper = object()
    try:
        with _keepers_lock:
            _keepers.add(keeper)
            for entry in list(TABLE.values()):
                entry.keeps = (-1,) * max(len(_kept_before.setdefault(entry, entry.keeps)), 2)
        yield
    finally:
        with _keepers_lock:
            _keepers.discard(keeper)
            if not _keepers:
                for entry, keeps in _kept_before.items():
                    entry.keeps = keeps
                _kept_before.clear()


def is_keeping_everything() -> bool:
    """Is someone inside ``keeping_everything()``?"""
    return bool(_keepers)


def defvjp(
    function: Callable[..., Any],
    *rules: Rule | None,
    rest: Rule | None = None,
    joint: Rule | None = None,
    definition: Rule | None = None,
) -> None:
    """Give a function its derivative: the vector-Jacobian product of each argument.

    A rule is called ``rule(g, y, *args, **kwargs)`` with the gradient of the result, the result, and the call's own
    arguments; it returns the gradient of its argument. It is written in plain NumPy functions and operators, with no
    write in place: run on bare arrays it gives the first derivative, run on tensors it is recorded itself and so gives
    every higher one. The walk undoes broadcasting, in both directions, and casts to the argument's dtype. A parameter
    whose name starts with ``_`` is not kept for the rule: in its place stands the argument's node, which knows
    ``shape``, ``dtype``, ``ndim`` and ``size``. Otherwise parameters bear the names of the function's own. For an
    argument that is a sequence of tensors the rule returns a sequence; a function with several results hands its rule
    the sequence of their gradients.

    Args:
        function: A NumPy function, or one decorated with ``tg.primitive``.
        rules: One for each positional argument; None: that argument has no gradient.
        rest: ``rest(i, g, y, *args, **kwargs)`` for the arguments past ``rules`` (variadic functions).
        joint: ``joint(needed, g, y, saved, *args, **kwargs)`` returns all gradients at once; ``needed`` says which are
            used, and those at the end that are not may be left out. ``saved`` is what the function kept by returning
            ``tg.Saved(y, saved)``, else None.
        definition: The same function in recorded operations. Walked instead under ``create_graph``, so that a
            ``joint`` rule need not be differentiable itself. It may use no other tensors that need a gradient than its
            arguments (an error in the walk: their gradient would be lost).

    Raises:
        TypeError: if something given is not callable, or no rule is given at all.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> @tg.primitive
    ... def cube(x):
    ...     return x * x * x
    >>> tg.defvjp(cube, lambda g, _y, x: g * 3 * x * x)
    >>> x = tg.Tensor([2.0], requires_grad=True)
    >>> cube(x).sum().backward()
    >>> x.grad
    Tensor([12.])
    """
    given = [*rules, rest, joint, definition]
    for rule in [function, *given]:
        if rule is not None and not callable(rule):
            raise TypeError(f"defvjp: expected functions (or None for no gradient), got {rule!r}")
    if all(rule is None for rule in given) and not rules:
        raise TypeError(f"defvjp: {function!r} was given no rule; pass one for each argument, rest=, or joint=")
    entry = primitive_of(function)
    entry.clear()
    entry.rules, entry.rest, entry.joint, entry.definition = rules, rest, joint, definition
    every = bool(rules) and None not in rules and len(rules) >= getattr(function, "nin", 0)
    entry.simple = every and rest is None and joint is None and definition is None
    if joint is None and rest is None:
        _read_signatures(entry)
        if definition is not None and rules:
            entry.keeps = (-1,) * len(rules)  # the definition is run again on everything
    else:
        entry.keywords = None
        own = _positional(_own_parameters(entry) or [])
        entry.names = tuple(p.name for p in own)
        entry.optional = {p.name: p.default for p in own if p.default is not _KINDS.empty}


_KINDS = inspect.Parameter  # POSITIONAL_OR_KEYWORD and its kin


class _Parameter(NamedTuple):
    name: str
    kind: Any
    default: Any = inspect.Parameter.empty


def _parameters(function: Callable[..., Any]) -> list[_Parameter]:
    """A function's parameters; for plain functions without ``inspect``, which would take a third of the import."""
    if function.__class__ is not FunctionType or hasattr(function, "__wrapped__"):
        return [_Parameter(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]
    code, names = function.__code__, list(function.__code__.co_varnames)
    count, keyword_only = code.co_argcount, code.co_argcount + code.co_kwonlyargcount
    defaults = [inspect.Parameter.empty] * (count - len(function.__defaults__ or ())) + [*(function.__defaults__ or ())]
    found = [_Parameter(n, _KINDS.POSITIONAL_OR_KEYWORD, d) for n, d in zip(names[:count], defaults, strict=True)]
    if code.co_flags & inspect.CO_VARARGS:
        found.append(_Parameter(names.pop(keyword_only), _KINDS.VAR_POSITIONAL))
    found += [_Parameter(n, _KINDS.KEYWORD_ONLY) for n in names[count:keyword_only]]
    if code.co_flags & inspect.CO_VARKEYWORDS:
        found.append(_Parameter(names[keyword_only], _KINDS.VAR_KEYWORD))
    return found


def _positional(parameters: Sequence[_Parameter]) -> list[_Parameter]:
    return [p for p in parameters if p.kind in (_KINDS.POSITIONAL_ONLY, _KINDS.POSITIONAL_OR_KEYWORD)]


def _own_parameters(entry: Primitive) -> list[_Parameter] | None:
    """The parameters of a user's own function; None for NumPy's, which are known to go by position."""
    function = inspect.unwrap(entry.function)
    return None if _is_numpys(function) else _parameters(function)


def _is_numpys(function: Callable[..., Any]) -> bool:
    return isinstance(function, np.ufunc) or (getattr(function, "__module__", None) or "").startswith("numpy")


def _read_signatures(entry: Primitive) -> None:
    """What the rules' own parameters say: which arguments they want kept, and which keywords they accept."""
    keeps: list[int] = []
    keywords: set[str] = set()
    anything = False
    for rule in entry.rules or (entry.definition,):
        if rule is None:
            keeps.append(0)
            continue
        parameters = _parameters(rule)
        if entry.rules:
            parameters = parameters[1:]  # g is always there
        mask = 0
        for bit, parameter in enumerate(parameters, start=0 if entry.rules else 1):
            wanted = not parameter.name.startswith("_")
            if parameter.kind is _KINDS.VAR_KEYWORD:
                anything = True
            elif parameter.kind is _KINDS.VAR_POSITIONAL:
                anything = True
                mask |= -1 << bit if wanted else 0
            elif wanted:
                mask |= 1 << bit
        keeps.append(mask)
        named = _positional(parameters)
        names = tuple(p.name.lstrip("_") for p in (named[1:] if entry.rules else named))
        if len(names) > len(entry.names):
            entry.names = names
        entry.optional |= {p.name.lstrip("_"): p.default for p in named if p.default is not _KINDS.empty}
        keywords |= {p.name for p in parameters if p.kind is _KINDS.KEYWORD_ONLY}
    own = _own_parameters(entry)
    if own is not None and not any(p.kind is _KINDS.VAR_POSITIONAL for p in own):
        entry.names = entry.names[: len(_positional(own))]
    entry.keeps = tuple(keeps)
    entry.keywords = None if anything else frozenset(keywords | set(entry.names))


# Functions whose results do not change, or jump, with a tensor's values: they take tensors, and record nothing.
CONSTANT: set[Any] = {
    np.greater, np.greater_equal, np.less, np.less_equal, np.equal, np.not_equal,
    np.logical_and, np.logical_or, np.logical_not, np.logical_xor,
    np.isnan, np.isinf, np.isfinite, np.signbit, np.isneginf, np.isposinf, np.isreal, np.iscomplex,
    np.isrealobj, np.iscomplexobj, np.isscalar, np.any, np.all, np.isclose, np.allclose, np.array_equal,
    np.array_equiv, np.argmax, np.argmin, np.argsort, np.argpartition, np.argwhere, np.nonzero, np.flatnonzero,
    np.count_nonzero, np.searchsorted, np.digitize, np.lexsort, np.isin,
    np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.min_scalar_type, np.common_type,
    np.zeros_like, np.ones_like, np.empty_like, np.may_share_memory, np.shares_memory,
    np.array_repr, np.array_str, np.array2string,
}  # fmt: skip

# Functions that take a sequence of arrays as one argument.
JOINING: set[Any] = {
    np.concatenate, np.stack, np.vstack, np.hstack, np.dstack, np.column_stack, np.block, np.select, np.choose,
    np.linalg.multi_dot,
}  # fmt: skip

# Functions that write into an array they are given.
WRITING: set[Any] = {np.copyto, np.put, np.place, np.putmask, np.put_along_axis, np.fill_diagonal}
