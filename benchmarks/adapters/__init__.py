"""One module a library, named like the library; its ``ADAPTER`` says how the library spells what the benchmarks use.

What ``@ + - * t[i] .mean()`` mean is common to all of them; an adapter supplies the rest. No composite operations:
``sigmoid`` and ``tanh`` are the library's own primitives, and there is no linear layer here. Its own recurrent layers,
where it has them, are for the part ``layers`` alone.

Two modules are no libraries: ``floor``, the matrix products of a recurrent layer and nothing else, and ``compiled``, an
LSTM whose elementwise work is a loop in C.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

Arrays = Mapping[str, np.ndarray]
Loss = Callable[["Adapter", Mapping[str, Any], Mapping[str, Any]], Any]
Step = Callable[[Callable[[], None]], dict[str, Any]]
State = tuple[Any, ...]
CellStep = Callable[[State, Any], State]
# Without which an adapter cannot be loaded: its library, and what that wants for the functions used here.
NEEDS = {"autograd": ("autograd", "scipy")}
FLOOR, COMPILED = "floor", "compiled"


class Adapter:
    """A library that records a graph in leaves with a ``grad``, as PyTorch does.

    A library of another kind (JAX, HIPS autograd) overrides ``training_step``, and has no ``variable``.

    Attributes:
        longest_chain: More additions in a row would take too long; 0: it records none while it runs.
        one: The number 1; ``one - t`` is float32 where t is.
        compile_seconds: How long the last training step took to compile; None: nothing is compiled.
        has_layers: Has it recurrent layers of its own?
        no_grad: The context in which it records nothing; used where it has layers.
    """

    name: str
    version: str
    longest_chain: float = math.inf
    one: Any = 1
    compile_seconds: float | None = None
    tanh: Callable[[Any], Any]
    sigmoid: Callable[[Any], Any]
    has_layers: bool = False
    no_grad: Callable[[], AbstractContextManager[Any]]

    def stack(self, parts: Sequence[Any]) -> Any:
        """Tensors of one shape as one, along a new first axis."""
        raise NotImplementedError(f"{self.name} has no stack of tensors")

    def split(self, x: Any, parts: int) -> Sequence[Any]:
        """``parts`` equal pieces of the last axis."""
        raise NotImplementedError(f"{self.name} has no split of a tensor")

    def scan(self, step: CellStep, state: State, x: Any) -> Any:
        """The first array of each state, stacked, where ``state = step(state, x[t])``: a loop in Python."""
        hidden = []
        for t in range(len(x)):
            state = step(state, x[t])
            hidden.append(state[0])
        return self.stack(hidden)

    def variable(self, array: np.ndarray) -> Any:
        """A leaf that requires a gradient."""
        raise NotImplementedError(f"{self.name} has no leaves with a gradient")

    def clear(self, leaf: Any) -> None:
        """Forget the gradient of the step before."""
        leaf.grad = None

    def constant(self, array: np.ndarray) -> Any:
        """What the library wants an array to be that needs no gradient."""
        return array

    def to_numpy(self, gradient: Any) -> np.ndarray:
        return np.asarray(gradient)

    def use_threads(self, threads: int) -> None:
        """Set the number of threads, where an environment variable is not enough."""

    def record(self, f: Callable[[Any], Any], array: np.ndarray) -> Callable[[], Any]:
        """Run ``f`` on a variable; the function returned walks the graph, holds it, and returns the gradient."""
        x = self.variable(array)
        y = f(x)

        def walk() -> Any:
            y.backward()
            return x.grad

        return walk

    def step_scope(self, path: str, step: int) -> AbstractContextManager[Any]:
        """Inside, operations are recorded as those of this time step, where the library can say so."""
        return nullcontext()

    def start_pictures(self, path: Path) -> None:
        """Load whatever is loaded for the first picture, by drawing a tiny one."""
        x = self.variable(np.ones(2, np.float32))
        self.picture((x * x).mean(), {"x": x}, path)

    def picture(self, output: Any, leaves: Mapping[str, Any], path: Path) -> tuple[int, int]:
        """Draw the graph of ``output`` into an SVG file; return how many nodes and edges it has."""
        raise NotImplementedError(f"{self.name} has no pictures of graphs")

    def training_step(self, loss: Loss, variables: Arrays, constants: Arrays) -> Step:
        """Make the function to be timed: forward, ``mark()``, backward; returns the gradient of each variable."""
        leaves = {name: self.variable(array) for name, array in variables.items()}
        fixed = {name: self.constant(array) for name, array in constants.items()}

        def step(mark: Callable[[], None]) -> dict[str, Any]:
            for leaf in leaves.values():
                self.clear(leaf)
            value = loss(self, leaves, fixed)
            mark()
            value.backward()
            return {name: leaf.grad for name, leaf in leaves.items()}

        return step

    def layer(
        self, cell: str, variables: Arrays, lengths: np.ndarray | None, **options: Any
    ) -> tuple[Callable[[Any], Any], dict[str, Any]]:
        """The library's own layer, as a function from x (T, B, I) to its outputs (T, B, H); and its parameters.

        Args:
            variables: Its parameters, with torch's names, and x.
            lengths: (B,) in 1..T, or None.
        """
        raise NotImplementedError(f"{self.name} has no recurrent layers")

    def layer_step(self, cell: str, variables: Arrays, constants: Arrays, **options: Any) -> Step:
        """Like ``training_step``, of the library's own layer; its outputs receive the gradient ``upstream``."""
        apply, leaves = self.layer(cell, variables, constants.get("lengths"), **options)
        return self.step_of(apply, leaves | {"x": self.variable(variables["x"])}, constants["upstream"])

    def step_of(self, apply: Callable[[Any], Any], leaves: Mapping[str, Any], upstream: np.ndarray) -> Step:
        """The step of a function of the leaf ``x``; its outputs receive the gradient ``upstream``.

        Args:
            leaves: x, and the function's parameters.
        """
        x, gradient = leaves["x"], self.constant(upstream)

        def step(mark: Callable[[], None]) -> dict[str, Any]:
            for leaf in leaves.values():
                self.clear(leaf)
            output = apply(x)
            mark()
            output.backward(gradient)
            return {name: leaf.grad for name, leaf in leaves.items()}

        return step

    def layer_inference(self, cell: str, variables: Arrays, constants: Arrays, **options: Any) -> Step:
        """The outputs of the library's own layer, recording nothing."""
        apply, _ = self.layer(cell, variables, constants.get("lengths"), **options)
        x = self.constant(variables["x"])

        def step(_mark: Callable[[], None]) -> dict[str, Any]:
            with self.no_grad():
                return {"output": apply(x)}

        return step


def known() -> list[str]:
    """Names of the libraries that have an adapter, tinygrad_rnn first."""
    names = [module.name for module in pkgutil.iter_modules(__path__) if module.name not in (FLOOR, COMPILED)]
    return sorted(names, key=lambda name: (name != "tinygrad_rnn", name))


def installed(name: str) -> bool:
    """Can the library be imported? (It is not: two thread pools in one process would disturb each other.)"""
    return all(importlib.util.find_spec(need) is not None for need in NEEDS.get(name, (name,)))


def load(name: str) -> Adapter:
    """Import the library and return its adapter; only worker processes do this."""
    adapter: Adapter = importlib.import_module(f"{__name__}.{name}").ADAPTER
    return adapter
