"""One call of a function, recorded on copies of its inputs, and the walks back from its results to them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import versions
from ..context import current
from ..tensor import Tensor, lift
from ..tree import leaves, map_leaves, structure
from ..walk import walk


class Recorded:
    """What one call of ``f`` recorded.

    Every level of derivatives works on copies of its own and walks to those only, so that an inner derivative is never
    mistaken for an outer one, whatever ``f`` closes over (perturbation confusion: Siskind and Pearlmutter, 2008,
    "Nesting forward-mode AD in a functional framework", *Higher-Order and Symbolic Computation* 21, 361-376). A copy of
    a tensor that requires a gradient is recorded, and so leads on to the outer level.

    Attributes:
        inputs: ``x`` with copies for leaves, which ``f`` was called with: ``f(*inputs)`` if ``x`` is a tuple (and no
            named tuple), else ``f(inputs)``.
        variables: The tensors of ``inputs``, flat.
        outputs: What ``f`` returned.
        results: The tensors of ``outputs``, flat.
    """

    def __init__(self, name: str, f: Callable[..., Any], x: Any, where: str) -> None:
        if not callable(f):
            raise TypeError(f"{name}: expected a function, got {type(f).__name__}; for tensors use tg.grad")
        self.name = name
        self._began = versions.tick()
        with recording():
            self.variables = [_variable(name, place, leaf) for place, leaf in leaves(x, where)]
            if not self.variables:
                raise TypeError(f"{name}: expected something to differentiate with respect to, got {where} = {x!r}")
            self.inputs, given = filled(x, self.variables), filled(x, self.variables)  # f may change what it is given
            outputs = f(*given) if type(x) is tuple else f(given)
        self.results = _results(name, outputs)
        self.outputs = filled(outputs, self.results)

    def connected(self, given: Sequence[Tensor] = ()) -> bool:
        """Is a derivative to carry a graph? ``given`` are the vectors that the results are multiplied with."""
        if not current.get().recording:
            return False
        return any(v.node is not None for v in given) or _leads_outside(self.results, self._began)

    def handed_out(self, tensor: Tensor, given: Sequence[Tensor] = ()) -> Tensor:
        """``tensor``, without its graph if that leads to nothing outside: older than the call, or ``given`` later."""
        entrances = {v.node.order for v in given if v.node is not None}
        if tensor.node is None or (current.get().recording and _leads_outside([tensor], self._began, entrances)):
            return tensor
        return tensor.detach()

    def gradient(self) -> list[Tensor]:
        """The gradient of the result, which must be one number, for each variable: recorded, to be walked over."""
        out = self.outputs
        if not isinstance(out, Tensor):
            raise TypeError(f"{self.name}: expected f to return one scalar tensor, got {structure(out)}")
        if out.size != 1:
            raise ValueError(f"{self.name}: expected f to return a scalar, got shape {out.shape}; use tg.jacobian")
        one = lift(None, np.ones(out.shape, out.dtype))
        return pulled_back([out], [one], self.variables, create_graph=True)


def _variable(name: str, where: str, leaf: Any) -> Tensor:
    """A copy of one input, to differentiate with respect to."""
    try:
        tensor = leaf if isinstance(leaf, Tensor) else Tensor(leaf)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name}: expected {where} to be an array of floats, got {type(leaf).__name__}") from error
    if tensor.dtype.kind != "f":
        raise TypeError(
            f"{name}: expected {where} to be floats to differentiate with respect to, got {tensor.dtype} of shape "
            f"{tensor.shape}; let f close over what is constant"
        )
    return tensor.copy() if tensor.requires_grad else Tensor(tensor.numpy(), requires_grad=True, name=tensor.name)


def _results(name: str, outputs: Any) -> list[Tensor]:
    """The tensors in what a function returned."""
    found = list(leaves(outputs, "f(...)"))
    for where, leaf in found:
        if not isinstance(leaf, Tensor):
            raise TypeError(
                f"{name}: expected {where} to be a tensor, got {type(leaf).__name__}: its graph was lost, if it had "
                f"one; compute it from f's arguments with operators and NumPy functions, without .numpy() or .item()"
            )
    results = [leaf for _, leaf in found]
    if not any(is_float(result) for result in results):
        got = ", ".join(str(result.dtype) for result in results) or "nothing"
        raise TypeError(f"{name}: expected f to return a tensor of floats, got {got}")
    return results


@contextmanager
def recording() -> Iterator[None]:
    """Operations are recorded inside, also under ``tg.no_grad()``."""
    context = current.get()
    token = current.set(context.but(True, context.anomaly))
    try:
        yield
    finally:
        current.reset(token)


def _leads_outside(tensors: Sequence[Tensor], began: int, entrances: Collection[int] = ()) -> bool:
    """Was any of these computed from a node older than ``began``, or from one whose order is in ``entrances``?"""
    stack = [tensor.node for tensor in tensors if tensor.node is not None]
    seen: set[int] = set()
    while stack:
        node = stack.pop()
        if node.order < began or node.order in entrances:
            return True
        if node.order not in seen:
            seen.add(node.order)
            stack.extend(parent for parent in node.parents if parent is not None)
    return False


def is_float(tensor: Tensor) -> bool:
    return bool(tensor.dtype.kind == "f")


def pulled_back(
    results: Sequence[Tensor], cotangents: Sequence[Tensor], variables: Sequence[Tensor], *, create_graph: bool = False
) -> list[Tensor]:
    """The sum over results of cotangent^T (d result / d variable), for each variable; 0 where nothing leads to it.

    The graph stays, for more walks.
    """
    arrived = walk(
        [
            (result.node, cotangent if create_graph else cotangent.numpy())
            for result, cotangent in zip(results, cotangents, strict=True)
            if result.node is not None
        ],
        lift,
        [variable.node for variable in variables if variable.node is not None],
        retain_graph=True,
        create_graph=create_graph,
    )
    gradients = [None if variable.node is None else arrived.get(variable.node) for variable in variables]
    return [
        g if isinstance(g, Tensor) else lift(None, np.zeros(variable.shape, variable.dtype) if g is None else g)
        for variable, g in zip(variables, gradients, strict=True)
    ]


def dummies(results: Sequence[Tensor]) -> list[Tensor]:
    """Cotangents of no particular value, to differentiate with respect to: what a walk makes of them is linear."""
    return [Tensor(np.zeros(result.shape, result.dtype), requires_grad=is_float(result)) for result in results]


def filled(tree: Any, values: Sequence[Any]) -> Any:
    """The tree with these leaves, in their order."""
    following = iter(values)
    return map_leaves(lambda _leaf: next(following), tree)


def vectors(name: str, like: Any, given: Any, where: str) -> list[Tensor]:
    """The tensors of a cotangent or tangent, flat, each in the dtype of its counterpart.

    Raises:
        ValueError: the structure or a shape differs from ``like``'s.
        TypeError: something is not real numbers.
    """
    return [_vector(name, tensor, leaf, place) for tensor, leaf, place in _paired(name, like, given, where)]


def _paired(name: str, like: Any, given: Any, where: str) -> Iterator[tuple[Tensor, Any, str]]:
    """Each leaf of ``like`` with what stands in its place in ``given``, and words for the place."""
    if isinstance(like, (tuple, list)):
        fits = type(given) is type(like) and len(given) == len(like)
        parts = [(i, part) for i, part in enumerate(like)]
    elif isinstance(like, dict):
        fits = isinstance(given, dict) and given.keys() == like.keys()
        parts = list(like.items())
    elif like is None:
        fits, parts = given is None, []
    else:
        yield like, given, where
        return
    if not fits:
        raise ValueError(f"{name}: expected {where} to have structure {structure(like)}, got {structure(given)}")
    for key, part in parts:
        yield from _paired(name, part, given[key], f"{where}[{key!r}]")


def _vector(name: str, like: Tensor, given: Any, where: str) -> Tensor:
    if isinstance(given, Tensor):
        vector = given
    else:
        try:
            vector = lift(None, np.array(given))  # a copy: graphs may keep it
        except (TypeError, ValueError) as error:
            raise TypeError(f"{name}: expected {where} to be an array, got {type(given).__name__}") from error
    if vector.dtype.kind not in "fbiu":
        got = vector.dtype if hasattr(given, "dtype") else type(given).__name__
        raise TypeError(f"{name}: expected {where} to be real numbers, got {got}")
    if vector.shape != like.shape:
        raise ValueError(f"{name}: expected {where} to have shape {like.shape}, got {vector.shape}")
    return vector if vector.dtype == like.dtype else vector.astype(like.dtype)
