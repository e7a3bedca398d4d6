"""Does a changed rule say anything else than the right one? Asked at random points, those of ``points.py`` first."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn.primitives import Primitive
from tinygrad_rnn.tensor import Tensor
from tinygrad_rnn.testing.strategies.coverage import recorded

from .limits import limited
from .mutation import Mutant, Site
from .points import Point, differentiated, recording

POINTS = 1000
_LONGEST = 30.0  # seconds for all points of a mutant, which are done in one or two
_JITTER = 0.04  # less than the distance that operands keep from kinks


def points_of(entry: Primitive, programs: Sequence[Any]) -> list[Point]:
    """The calls of a primitive that programs and their recorded derivatives make."""
    with recording() as points, np.errstate(all="ignore"):
        for program in programs:
            variables, results = recorded(program)
            differentiated(results, variables)
    return points[entry]


def _moved(value: Any, rng: np.random.Generator) -> Any:
    """Floats a little elsewhere, so that no number is a special one."""
    if isinstance(value, np.ndarray) and value.dtype == np.float64:
        return value + rng.uniform(-_JITTER, _JITTER, value.shape)
    if isinstance(value, list):
        return type(value)(_moved(part, rng) for part in value)
    return value


def _outcome(site: Site, rule: Callable[..., Any], point: Sequence[Any], y: Any, g: Any, kwargs: Any) -> Any:
    """What a rule says at a point, in a form that can be compared."""
    saved = getattr(y, "saved", None)
    y = getattr(y, "y", y)
    if site.owner is not None:
        with site.holding(rule):
            return list(site.entry.joint((True,) * len(point), g, y, saved, *point, **kwargs))  # type: ignore[misc]
    if site.part == "definition":
        return _gradients_of(rule, point, g, kwargs)
    if site.part == "joint":
        return list(rule((True,) * len(point), g, y, saved, *point, **kwargs))
    if site.part == "rest":
        return [_fitted(rule(i, g, y, *point, **kwargs), a) for i, a in enumerate(point) if isinstance(a, np.ndarray)]
    if site.part == "into":
        buffer = np.zeros(point[site.argument].shape)
        rule(buffer, g, *point)
        return buffer
    if site.part == "gather":
        if not site.entry.gather[site.argument].rows(g, *point):
            raise ValueError("such a call is not gathered")
        return rule([(g, tuple(point)), (g * 0.5, tuple(point))])
    return _fitted(rule(g, y, *point, **kwargs), point[site.argument])


def _gradients_of(definition: Callable[..., Any], point: Sequence[Any], g: Any, kwargs: Any) -> Any:
    """What a walk over a definition gives: its value does not matter."""
    leaf = [Tensor(a, requires_grad=True) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in point]
    results = definition(*leaf, **kwargs)
    pairs = zip(results, g, strict=True) if isinstance(results, (list, tuple)) else [(results, g)]
    total = sum(np.sum(y * part) for y, part in pairs)
    return list(tg.grad(total, [t for t in leaf if isinstance(t, Tensor)], allow_unused=True))


def _fitted(d: Any, argument: Any) -> Any:
    """A gradient as the walk fits it to its argument: summed where that was broadcast, repeated where it was summed."""
    if isinstance(argument, list):
        return [_fitted(part, a) for part, a in zip(d, argument, strict=True)]
    if not isinstance(argument, np.ndarray):
        raise TypeError("in such a call this argument has no gradient")
    d, shape = np.asarray(d), argument.shape
    d = d.sum(axis=tuple(range(max(d.ndim - len(shape), 0))))
    d = d.sum(axis=tuple(k for k in range(-d.ndim, 0) if shape[k] == 1 and d.shape[k] != 1), keepdims=True)
    return np.broadcast_to(d, shape)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, (list, tuple)):
        return isinstance(b, (list, tuple)) and len(a) == len(b) and all(map(_same, a, b))
    if a is None or b is None:
        return a is b
    a, b = (part.numpy() if isinstance(part, Tensor) else np.asarray(part) for part in (a, b))
    return a.shape == b.shape and np.allclose(a, b, rtol=1e-9, atol=1e-12, equal_nan=True)


def differs_at(mutant: Mutant, calls: Sequence[Point], points: int = POINTS) -> str | None:
    """Where the mutant is first seen to differ from the right rule, in words; None: at none of the random points.

    A point is one of the calls given, its floats moved a little, with a random gradient.
    """
    rng = np.random.default_rng(0)
    entry, right = mutant.site.entry, mutant.site.rule
    left, done, turn = list(calls), 0, 0
    ends = time.monotonic() + _LONGEST
    while left and done < points and time.monotonic() < ends:
        turn = (turn + 1) % len(left)
        call = left[turn]
        with np.errstate(all="ignore"):
            try:
                args = tuple(_moved(a, rng) for a in call.args)
                y = entry.call(*args, **call.kwargs)
                g = _gradient(getattr(y, "y", y), rng)
                expected = _outcome(mutant.site, right, args, y, g, call.kwargs)
            except Exception:  # this call does not go through this rule
                del left[turn]
                continue
            done += 1
            try:
                with limited():
                    same = _same(expected, _outcome(mutant.site, mutant.rule, args, y, g, call.kwargs))
            except Exception as error:  # whatever a wrong rule raises, it is not what the right one does
                return f"{type(error).__name__} at point {done}"
            if not same:
                return f"differs at point {done}"
    return None if done >= points else f"only {done} points could be tried, so it is not called equivalent"


def _gradient(y: Any, rng: np.random.Generator) -> Any:
    """A random gradient of a result, or of each of several."""
    if isinstance(y, (list, tuple)):
        return [rng.standard_normal(np.shape(part)) for part in y]
    return rng.standard_normal(np.shape(y))
