"""Derivatives against central differences, element by element.

The derivative of f along one element is (f(x + h) - f(x - h)) / 2h + O(h^2); rounding adds O(u / h) with u the unit
roundoff, so h near the cube root of u is best, and float64 is needed (Press et al., *Numerical Recipes*, 3rd ed.,
section 5.7).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..tensor import Tensor
from ..transforms import grad
from ..tree import leaves, map_leaves

_STEP = float(np.finfo(np.float64).eps ** (1 / 3))
_WHOLE_JACOBIAN = 100  # up to so many outputs each has a walk of its own
_PROJECTIONS = 10


class GradcheckError(AssertionError):
    """A derivative is wrong. The message has a line for every input; the attributes describe the worst entry.

    Attributes:
        input: Which input, such as ``"inputs[1]['weight']"``.
        index: The element of that input.
        output: The element of the output, or the projection of it, that was differentiated.
        analytic: What the walk gave.
        numeric: What the central difference gave.
        wrong: How many derivatives are wrong, over all inputs.
        total: How many were compared.
    """

    def __init__(self, comparisons: Sequence[_Comparison], hint: str = "") -> None:
        worst = max(comparisons, key=lambda c: c.excess.max(initial=-1.0))
        row, *index = worst.place
        self.input, self.index, self.output = worst.label, tuple(index), worst.rows[row]
        self.analytic, self.numeric = float(worst.found[worst.place]), float(worst.expected[worst.place])
        self.wrong = sum(c.wrong for c in comparisons)
        self.total = sum(c.excess.size for c in comparisons)
        lines = [f"gradcheck: {self.wrong} of {self.total} derivatives are wrong", *map(str, comparisons), hint]
        super().__init__("\n  ".join(filter(None, lines)))


class _Comparison:
    """One input's analytic (``found``) and numeric (``expected``) Jacobian, both (K rows, *shape of the input)."""

    def __init__(
        self, label: str, name: str | None, rows: Sequence[str], *, found: Any, expected: Any, atol: float, rtol: float
    ) -> None:
        self.label, self.name, self.rows = label, name, rows
        self.found, self.expected = found, expected
        self.allowed = atol + rtol * np.abs(expected)
        off = np.abs(found - expected)
        bad = ~(off <= self.allowed)  # so that NaN is bad
        self.wrong = int(bad.sum())
        self.excess = np.where(bad, np.where(np.isfinite(off), off - self.allowed, np.inf), -1.0)

    @property
    def place(self) -> tuple[int, ...]:
        """Row and index of the entry that is most wrong."""
        return tuple(int(k) for k in np.unravel_index(np.argmax(self.excess), self.excess.shape))

    def __str__(self) -> str:
        words = f"{self.label} {self.name!r}" if self.name else self.label
        words = f"{words}, shape {self.found.shape[1:]}:"
        if not self.wrong:
            return f"{words} all {self.excess.size} right"
        row, *index = place = self.place
        analytic, numeric = self.found[place], self.expected[place]
        return (
            f"{words} {self.wrong} of {self.excess.size} wrong, worst "
            f"d {self.rows[row]} / d {_element(self.label, index)}: analytic {analytic:.9g}, numeric {numeric:.9g}, "
            f"off by {abs(analytic - numeric):.3g} where {self.allowed[place]:.3g} is allowed"
        )


def _element(label: str, index: Sequence[int]) -> str:
    return f"{label}[{', '.join(map(str, index))}]" if index else label


def gradcheck(
    f: Callable[..., Any],
    inputs: Any,
    *,
    order: int = 1,
    mode: str = "reverse",
    eps: float | None = None,
    atol: float | None = None,
    rtol: float | None = None,
) -> bool:
    """Compare the derivatives of ``f`` that the walk gives with central differences, over all elements of all inputs.

    Of an output of up to 100 elements the whole Jacobian is compared, entry by entry; of a larger one ten projections
    ``v @ J``, with normally distributed ``v`` from a fixed seed. An entry is right if
    ``|analytic - numeric| <= atol + rtol * |numeric|``. Costs ``2 n`` calls of ``f`` for ``n`` input elements.

    Args:
        f: Called ``f(*inputs)`` (or ``f(inputs)`` if that is no tuple); returns a tensor of any shape, or nested
            tuples, lists and dicts of them. Results that are not floats are ignored.
        inputs: A float64 array or tensor, or a tuple of arguments, each of them possibly nested. An array becomes a new
            tensor. A leaf tensor that requires a gradient is itself perturbed in place, element by element, and
            restored, so ``f`` may as well close over it: ``gradcheck(lambda *_: loss(), tuple(model.parameters()))``.
            Everything else (Python numbers, integer arrays, tensors without ``requires_grad``) is handed on unchanged.
        order: Only 1 so far.
        mode: Only "reverse" so far.
        eps: Step, relative to ``max(1, |x|)``; by default 6.1e-6, the cube root of float64's precision.
        atol: Absolute tolerance, by default 1e-6.
        rtol: Relative tolerance, by default 1e-5.

    Returns:
        True, always: a wrong derivative raises.

    Raises:
        GradcheckError: a derivative is wrong. Says which, by how much, and how many.
        TypeError: an input or the result is of another float type than float64; differences would be too coarse.
        ValueError: nothing to check, an input that was computed or that is read-only, an ``f`` that gives another
            result when called again, another ``order`` or ``mode``.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> tg.testing.gradcheck(lambda x, w: np.tanh(x @ w), (np.ones((2, 3)), np.ones((3, 4))))
    True
    >>> tg.testing.gradcheck(lambda x: x * x.detach(), np.array([1.0, 3.0]))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    tinygrad_rnn.testing.gradient_check.GradcheckError: gradcheck: 2 of 4 derivatives are wrong
      inputs, shape (2,): 2 of 4 wrong, worst d output[1] / d inputs[1]: analytic 3, numeric 6, off by 3 where ...
    """
    if order != 1:
        raise ValueError(f"gradcheck: only order=1 exists so far, got {order!r}; check tg.grad(...) itself for more")
    if mode != "reverse":
        raise ValueError(f'gradcheck: only mode="reverse" exists so far, got {mode!r}')
    several = type(inputs) is tuple
    arguments = map_leaves(_as_variable, inputs)
    variables: dict[str, Tensor] = {}
    for label, leaf in leaves(arguments, "inputs"):
        if isinstance(leaf, Tensor) and leaf.requires_grad and all(leaf is not known for known in variables.values()):
            _check_variable(label, leaf)
            variables[label] = leaf
    if not variables:
        raise ValueError("gradcheck: expected a float64 array or a tensor with requires_grad=True among the inputs")

    def call() -> dict[str, Any]:
        results = leaves(f(*arguments) if several else f(arguments), "output")
        floats = {label: y for label, y in results if np.asarray(_values(y)).dtype.kind == "f"}
        for label, y in floats.items():
            if isinstance(y, Tensor) and y.dtype != np.float64:
                raise TypeError(
                    f"gradcheck: {label} of f is {y.dtype}, expected float64; are f's own tensors float64 "
                    f"(astype(np.float64), dtype=np.float64), and is nothing in it cast down?"
                )
        if not floats:
            raise ValueError("gradcheck: f returned no float array or tensor, so there is nothing to differentiate")
        return floats

    outputs = call()
    y = _flat(outputs)
    _check_repeats(y, _flat(call()))
    whole = y.size <= _WHOLE_JACOBIAN
    rows = _elements(outputs) if whole else [f"projection {k} of the output" for k in range(_PROJECTIONS)]
    directions = np.eye(y.size) if whole else np.random.default_rng(0).standard_normal((_PROJECTIONS, y.size))
    comparisons: list[_Comparison] = []
    analytic = _walked(outputs, list(variables.values()), directions)
    for (label, variable), found in zip(variables.items(), analytic, strict=True):
        jacobian = _differences(lambda: _flat(call()), variable.data, _STEP if eps is None else eps, y.size)
        comparisons.append(
            _Comparison(
                label,
                variable.name,
                rows,
                found=found,
                expected=jacobian if whole else np.tensordot(directions, jacobian, 1),
                atol=1e-6 if atol is None else atol,
                rtol=1e-5 if rtol is None else rtol,
            )
        )
    if any(comparison.wrong for comparison in comparisons):
        recorded = any(isinstance(out, Tensor) and out.requires_grad for out in outputs.values())
        hint = "" if recorded else "no result requires a gradient: is something detached, or is this under no_grad?"
        raise GradcheckError(comparisons, hint)
    return True


def _as_variable(leaf: Any) -> Any:
    """Arrays of floats become tensors of their own, everything else stays."""
    if isinstance(leaf, (np.ndarray, np.floating)) and leaf.dtype.kind == "f":
        return Tensor(leaf, requires_grad=True)
    return leaf


def _check_variable(label: str, variable: Tensor) -> None:
    if variable.dtype != np.float64:
        raise TypeError(
            f"gradcheck: expected {label} to be float64, got {variable.dtype}, whose central differences have only "
            f"3 or 4 digits; pass x.astype(np.float64), or make the module's parameters float64"
        )
    if not variable.is_leaf:
        raise ValueError(f"gradcheck: {label} was computed, so it cannot be varied by itself; pass what it came from")
    if not variable.data.flags.writeable:
        raise ValueError(f"gradcheck: {label} is read-only, but is to be varied in place; pass a copy")


def _values(y: Any) -> Any:
    return y.data if isinstance(y, Tensor) else y


def _flat(outputs: dict[str, Any]) -> Any:
    return np.concatenate([np.ravel(_values(y)) for y in outputs.values()])


def _elements(outputs: dict[str, Any]) -> list[str]:
    """Words for each element of the outputs."""
    return [_element(label, index) for label, y in outputs.items() for index in np.ndindex(np.shape(_values(y)))]


def _check_repeats(first: Any, second: Any) -> None:
    if first.shape != second.shape or not np.array_equal(first, second, equal_nan=True):
        raise ValueError(
            "gradcheck: f gave another result when it was called again on the same inputs, so differences mean "
            "nothing; draw random numbers outside f, switch dropout off with eval(), and let f change no state"
        )


def _walked(outputs: dict[str, Any], variables: Sequence[Tensor], directions: Any) -> list[Any]:
    """For each variable, the products of all ``directions`` with the Jacobian: shape (K, *variable.shape)."""
    recorded = [y for y in outputs.values() if isinstance(y, Tensor) and y.requires_grad]
    products = [np.zeros((len(directions), *variable.shape)) for variable in variables]
    stops = np.cumsum([np.size(_values(y)) for y in outputs.values()])[:-1]
    for k, direction in enumerate(directions if recorded else ()):
        starts = [
            np.reshape(part, y.shape)
            for part, y in zip(np.split(direction, stops), outputs.values(), strict=True)
            if isinstance(y, Tensor) and y.requires_grad
        ]
        found = grad(recorded, variables, starts, retain_graph=True, allow_unused=True)
        for product, g in zip(products, found, strict=True):
            if g is not None:
                product[k] = g.data
    return products


def _differences(call: Callable[[], Any], array: Any, eps: float, size: int) -> Any:
    """The Jacobian of ``call`` by central differences in ``array``, of shape (size, *array.shape)."""
    jacobian = np.empty((size, *array.shape))
    for index in np.ndindex(array.shape):
        x = array[index]
        h = eps * max(1.0, abs(x))
        above, below = x + h, x - h
        with _held_at(array, index, above):
            high = call()
        with _held_at(array, index, below):
            low = call()
        jacobian[(slice(None), *index)] = (high - low) / (above - below)
    return jacobian


@contextmanager
def _held_at(array: Any, index: tuple[int, ...], value: float) -> Iterator[None]:
    """``array[index]`` is ``value`` inside. A raw write: the graphs of others see the old value again, unstamped."""
    old = array[index]
    array[index] = value
    try:
        yield
    finally:
        array[index] = old
