"""What surrounds a computation: is it recorded, where in the model and at which time step, and with which defaults.

One context variable holds one immutable record, so reading it costs one look-up and it is safe under threads and
asyncio. Two habits of Python to know: a new thread starts with an empty path and recording on, and a ``with`` block
around a ``yield`` stays open for whoever consumes the generator.
"""

from __future__ import annotations

import operator
from contextlib import ContextDecorator
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # numpy.typing takes time to load, and only readers want it
    from numpy.typing import DTypeLike


class Context:
    """Where an operation was recorded: module ``path`` (``"encoder/lstm"``) and time ``step``; immutable by habit.

    Where one loop runs within another, ``within`` has the steps of the loops around, the outermost first.
    """

    __slots__ = ("anomaly", "path", "recording", "step", "within")

    def __init__(
        self,
        recording: bool,
        path: str,
        step: int | None,
        anomaly: dict[int, list[int]] | None,
        within: tuple[int, ...] = (),
    ) -> None:
        self.recording = recording
        self.path = path
        self.step = step
        self.anomaly = anomaly  # under detect_anomaly: for each node's order, the checksums of what it saved
        self.within = within

    def but(self, recording: bool, anomaly: dict[int, list[int]] | None) -> Context:
        """The same place, with recording on or off, and with another record of anomalies."""
        return Context(recording, self.path, self.step, anomaly, self.within)

    def __str__(self) -> str:
        place = [f"at {self.path}"] if self.path else []
        if self.step is not None:
            time = " within ".join(f"t={step}" for step in (self.step, *reversed(self.within)))
            place.append(time if place else f"at {time}")
        return ", ".join(place)


def site(name: str, context: Context) -> str:
    """An operation and where it happened, as error messages have it: ``multiply at encoder/lstm, t=17``."""
    place = str(context)
    return f"{name} {place}" if place else name


_OUTSIDE = Context(True, "", None, None)
current: ContextVar[Context] = ContextVar("tinygrad_rnn_context", default=_OUTSIDE)


class _Changed(ContextDecorator):
    """Base of the context managers below: on entry, replaces the current context by a changed one."""

    def __init__(self) -> None:
        self._tokens: list[Token[Context]] = []

    def _changed(self, context: Context) -> Context:
        raise TypeError(f"{type(self).__name__} does not say what it changes")

    def __enter__(self) -> None:
        self._tokens.append(current.set(self._changed(current.get())))

    def __exit__(self, *exc: object) -> None:
        current.reset(self._tokens.pop())

    def _recreate_cm(self) -> _Changed:  # a decorated function may run in several threads: each call its own tokens
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__, _tokens=[])
        return copy


class no_grad(_Changed):
    """Record nothing inside: results need no gradient (PyTorch's ``no_grad``; also a decorator).

    >>> import tinygrad_rnn as tg
    >>> w = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> with tg.no_grad():
    ...     print((w * 2).requires_grad)
    False
    """

    def _changed(self, context: Context) -> Context:
        return context.but(False, context.anomaly)


def _whole(step: Any) -> int:
    try:
        return operator.index(step)
    except TypeError:
        raise TypeError(f"scope: expected step to be a whole number or None, got {step!r}") from None


class scope(_Changed):
    """Name the module path, and the time step, of what is recorded inside.

    Scopes nest: ``scope("encoder")`` around ``scope("lstm", step=3)`` records at ``encoder/lstm``, ``t=3``. Pictures,
    error messages and per-step gradients read it. A step within another step is one of a loop within a loop.

    Args:
        name: One segment (or several, joined by "/") appended to the path; None leaves the path as it is.
        step: The time step, a whole number; None leaves the step as it is.

    >>> import tinygrad_rnn as tg
    >>> w = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> with tg.scope("encoder", step=3):
    ...     y = w * 2
    >>> y.node.path, y.node.step
    ('encoder', 3)
    """

    def __init__(self, name: str | None = None, *, step: int | None = None) -> None:
        self._tokens = []
        if name is not None and type(name) is not str:
            raise TypeError(f"scope: expected a name (str) or None, got {name!r}; a time step goes by step=")
        if step is not None and type(step) is not int:
            step = _whole(step)
        self.name = name
        self.step = step

    def _changed(self, context: Context) -> Context:
        name, step, path, within = self.name, self.step, context.path, context.within
        if name:
            path = f"{path}/{name}" if path else name
        if step is None:
            step = context.step
        elif context.step is not None:
            within = (*within, context.step)
        return Context(context.recording, path, step, context.anomaly, within)


class detect_anomaly(_Changed):
    """Stop at the first NaN or infinity, forward or backward, and say which operation made it, and where.

    Inside, every result and every gradient is checked, and raw NumPy writes into the arrays that a graph has saved are
    caught by checksums. Slow: for finding a fault, not for training.

    Raises:
        FloatingPointError: at the operation whose result, or whose gradient, is the first that is not finite.
        RuntimeError: in the walk, if a saved array was written into behind the graph's back.

    >>> import tinygrad_rnn as tg
    >>> x = tg.Tensor([0.0], requires_grad=True)
    >>> with tg.detect_anomaly(), tg.scope("encoder", step=17):
    ...     1 / x
    Traceback (most recent call last):
        ...
    FloatingPointError: divide at encoder, t=17: the result has 1 value that is not finite (first at index (0,): inf)
    """

    def _changed(self, context: Context) -> Context:
        return context.but(context.recording, {})


_default_dtype: np.dtype[Any] = np.dtype(np.float32)


def set_default_dtype(dtype: DTypeLike) -> None:
    """Set the dtype that Python floats become in ``Tensor(...)`` and that parameters start with (float32 at first).

    Raises:
        TypeError: if ``dtype`` is not a real floating-point dtype.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> tg.set_default_dtype(np.float64)
    >>> tg.Tensor([1.0]).dtype
    dtype('float64')
    >>> tg.set_default_dtype(np.float32)
    """
    global _default_dtype
    chosen = np.dtype(dtype)
    if chosen.kind != "f":
        raise TypeError(f"set_default_dtype: expected a floating-point dtype such as np.float32, got {chosen}")
    _default_dtype = chosen


def get_default_dtype() -> np.dtype[Any]:
    """Return the dtype that Python floats become.

    >>> import tinygrad_rnn as tg
    >>> tg.get_default_dtype()
    dtype('float32')
    """
    return _default_dtype


_generator: np.random.Generator | None = None  # made on first use: numpy.random takes time to load


def manual_seed(seed: int) -> None:
    """Seed the generator that initialisers, dropout and shuffling draw from: the same seed, the same run.

    >>> import tinygrad_rnn as tg
    >>> tg.manual_seed(0)
    >>> a = tg.nn.Linear(2, 2).weight.numpy()
    >>> tg.manual_seed(0)
    >>> bool((a == tg.nn.Linear(2, 2).weight.numpy()).all())
    True
    """
    global _generator
    _generator = np.random.default_rng(seed)


def generator() -> np.random.Generator:
    """Return the library's random generator, as ``manual_seed`` left it.

    >>> import tinygrad_rnn as tg
    >>> tg.manual_seed(0)
    >>> round(tg.context.generator().random(), 3)
    0.637
    """
    global _generator
    if _generator is None:
        _generator = np.random.default_rng()
    return _generator
