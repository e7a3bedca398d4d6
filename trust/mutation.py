"""Wrong rules, one at a time, made mechanically from every rule in the table and put into it live."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_rnn.nn.fused import sequence
from tinygrad_rnn.nn.fused.kernel import Kernel
from tinygrad_rnn.primitives import Gather, Primitive

from .sources import changes

Rule = Callable[..., Any]
_WAY_BACK = ("backward", "_factors", "learn", "pass_on", "_add", "gradients")  # methods of a kernel


@dataclass(frozen=True)
class Site:
    """One function in a table entry that says something about derivatives.

    Attributes:
        entry: The primitive.
        part: "rule", "rest", "joint", "definition", "into" or "gather"; or, with an owner, the name of a function that
            a joint rule calls.
        argument: Whose gradient it gives; 0 where it gives several.
        owner: The class or module that such a function belongs to.
    """

    entry: Primitive
    part: str
    argument: int
    owner: Any = None

    @property
    def rule(self) -> Rule:
        if self.owner is not None:
            return vars(self.owner)[self.part]  # type: ignore[no-any-return]
        found = {
            "rule": lambda: self.entry.rules[self.argument],
            "into": lambda: self.entry.into[self.argument],
            "gather": lambda: self.entry.gather[self.argument].together,
        }.get(self.part, lambda: getattr(self.entry, self.part))()
        assert callable(found)
        return found

    @contextmanager
    def holding(self, rule: Rule) -> Iterator[None]:
        """Inside, this function stands where an owner has its own."""
        before = vars(self.owner)[self.part]
        setattr(self.owner, self.part, rule)
        try:
            yield
        finally:
            setattr(self.owner, self.part, before)

    def __str__(self) -> str:
        if self.owner is not None:
            return f"{self.entry.name}, {self.owner.__name__.rpartition('.')[2]}.{self.part}"
        where = "" if self.part == "rule" else f" ({self.part})"
        return f"{self.entry.name}, argument {self.argument}{where}"


@dataclass(frozen=True)
class Mutant:
    """A wrong rule for a site: the kind of mistake, and where in it."""

    site: Site
    kind: str
    detail: str
    rule: Rule

    def __str__(self) -> str:
        return f"{self.site}: {self.kind}{f' ({self.detail})' if self.detail else ''}"

    @contextmanager
    def planted(self) -> Iterator[None]:
        """Inside, the live table has the wrong rule."""
        if self.site.owner is not None:
            with self.site.holding(self.rule):
                yield
            return
        entry, part, i = self.site.entry, self.site.part, self.site.argument
        rules, keeps, into, gather, simple = entry.rules, entry.keeps, entry.into, entry.gather, entry.simple
        single = getattr(entry, part) if part in ("rest", "joint", "definition") else None
        entry.keeps = (-1,) * len(keeps)  # a wrong rule may ask for anything
        if part == "rule":
            entry.rules = (*rules[:i], self.rule, *rules[i + 1 :])
        elif part == "into":
            entry.into = {**into, i: self.rule}
        elif part == "gather":
            entry.gather = {**gather, i: Gather(gather[i].rows, self.rule)}
        else:
            setattr(entry, part, self.rule)
        try:
            yield
        finally:
            entry.rules, entry.keeps, entry.into, entry.gather, entry.simple = rules, keeps, into, gather, simple
            if single is not None:
                setattr(entry, part, single)


def sites(entry: Primitive) -> list[Site]:
    """Everything in an entry that can be wrong."""
    found = [Site(entry, "rule", i) for i, rule in enumerate(entry.rules) if rule is not None]
    found += [Site(entry, part, 0) for part in ("rest", "joint", "definition") if getattr(entry, part) is not None]
    found += [Site(entry, name, 0, owner) for owner, name in _called(entry)]
    return [*found, *(Site(entry, "into", i) for i in entry.into), *(Site(entry, "gather", i) for i in entry.gather)]


def _called(entry: Primitive) -> Iterator[tuple[Any, str]]:
    """What the joint rule of a fused sequence calls: the kernel's way back.

    What several kernels share counts once, for the last of them. (What the joint rule itself calls in its module is
    changed with it, for each entry.)
    """
    kernel = sequence.KERNELS.get(entry.function)
    if kernel is None:
        return
    kernels = [*sequence.KERNELS.values()]
    if kernel is kernels[-1]:
        yield from ((sequence, name) for name in ("_again", "_block_back"))
    for name in _WAY_BACK:
        if [k for k in kernels if getattr(k, name, None) is vars(Kernel).get(name, Kernel)][-1:] == [kernel]:
            yield Kernel, name
    for owner in kernel.__mro__[: kernel.__mro__.index(Kernel)]:
        yield from (
            (owner, name) for name in _WAY_BACK if name in vars(owner) and getattr(kernel, name) is vars(owner)[name]
        )


def mutants(entry: Primitive, share: tuple[int, int] = (0, 1)) -> Iterator[Mutant]:
    """All wrong rules for an entry: changes to what its rules answer or are given, and changes to their source.

    Args:
        share: (k, n): of n sites, one after the other, only the k-th.
    """
    part, parts = share
    for site in sites(entry)[part::parts]:
        if site.part != "definition" and site.owner is None:
            for kind, rule in _wrapped(site):
                yield Mutant(site, kind, "", rule)
        for change in changes(site.rule):
            yield Mutant(site, change.kind, change.detail, change.function)


def _wrapped(site: Site) -> Iterator[tuple[str, Rule]]:
    """Changes from outside, that fit any rule."""
    right = site.rule
    if site.part == "into":
        yield "sign flipped", lambda buffer, g, *args: right(buffer, -g, *args)
        yield "factor 2", lambda buffer, g, *args: right(buffer, 2 * g, *args)
        yield "gradient dropped", lambda buffer, g, *args: None
        return
    answers: dict[str, Callable[[Any], Any]] = {
        "sign flipped": lambda d: -d,
        "factor 2": lambda d: d * 2,
        "gradient dropped": lambda d: d * 0,
        "shifted by one": lambda d: np.roll(d, 1, axis=-1) if np.ndim(d) else d,
    }
    for kind, change in answers.items():
        yield kind, _answering(right, change)
    if site.part != "rule":
        return
    yield "un-broadcast missing", _first_instead_of_sum(right, site.argument)
    others = [(j, other) for j, other in enumerate(site.entry.rules) if other is not None and j != site.argument]
    for j, other in others:
        yield f"gradient of argument {j} instead", other


def _answering(right: Rule, change: Callable[[Any], Any]) -> Rule:
    """The rule with its answer changed; of several answers all of them are."""

    def wrong(*args: Any, **kwargs: Any) -> Any:
        d = right(*args, **kwargs)
        if isinstance(d, (list, tuple)):
            return type(d)([None if part is None else change(part) for part in d])
        return None if d is None else change(d)

    return wrong


def _first_instead_of_sum(right: Rule, argument: int) -> Rule:
    """Where the argument was broadcast, the gradient of its first copy instead of the sum over all."""

    def wrong(g: Any, y: Any, *args: Any, **kwargs: Any) -> Any:
        d = right(g, y, *args, **kwargs)
        shape = getattr(args[argument], "shape", None)
        if shape is None or isinstance(d, (list, tuple)) or np.ndim(d) < len(shape):
            return d
        d = d[(0,) * (np.ndim(d) - len(shape))] if 0 not in d.shape else d
        for axis, n in enumerate(shape):
            if n == 1 and np.ndim(d) == len(shape) and d.shape[axis] > 1:
                d = d[(slice(None),) * axis + (slice(0, 1),)]
        return d

    return wrong
