"""The analytic side: derivatives by walks, row by row (reverse mode) or column by column (forward mode)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..tensor import Tensor
from ..transforms import grad
from .subject import array_of


def _starts(flat_cotangent: Any, outputs: dict[str, Any]) -> list[Any]:
    """A flat cotangent, cut into one for each output, for those that have a graph."""
    stops = np.cumsum([array_of(y).size for y in outputs.values()])[:-1]
    parts = zip(np.split(flat_cotangent, stops), outputs.values(), strict=True)
    return [np.reshape(part, y.shape) for part, y in parts if isinstance(y, Tensor) and y.requires_grad]


def live_of(outputs: dict[str, Any]) -> list[Tensor]:
    return [y for y in outputs.values() if isinstance(y, Tensor) and y.requires_grad]


def pulled(outputs: dict[str, Any], variables: Sequence[Tensor], cotangent: Any, create_graph: bool = False) -> Any:
    """The products of a flat cotangent (an array, or one tensor a live output) with the Jacobian, one a variable."""
    live = live_of(outputs)
    starts = cotangent if isinstance(cotangent, list) else _starts(cotangent, outputs)
    if not live:
        return [None] * len(variables)
    return grad(live, variables, starts, create_graph=create_graph, retain_graph=True, allow_unused=True)


class Pushed:
    """Products of the Jacobian with directions: the walk of a walk. v -> J v is the transpose of u -> J^T u."""

    def __init__(self, outputs: dict[str, Any], variables: Sequence[Tensor]) -> None:
        self.outputs = outputs
        self.live = live_of(outputs)
        self.dummies = [Tensor(np.zeros(y.shape), requires_grad=True) for y in self.live]
        self.first = pulled(outputs, variables, self.dummies, create_graph=True)

    def along(self, directions: Sequence[Any]) -> Any:
        """J v, flat, for one direction a variable (None: that variable does not move)."""
        pairs = [
            (g, v)
            for g, v in zip(self.first, directions, strict=True)
            if g is not None and v is not None and g.requires_grad
        ]
        found: Any = [None] * len(self.live)
        if pairs:
            starts = [v for _, v in pairs]
            found = grad([g for g, _ in pairs], self.dummies, starts, retain_graph=True, allow_unused=True)
        products = iter(found)
        parts = []
        for y in self.outputs.values():
            product = next(products) if isinstance(y, Tensor) and y.requires_grad else None
            parts.append(np.zeros(array_of(y).size) if product is None else np.ravel(product.data))
        return np.concatenate(parts)


def by_rows(outputs: dict[str, Any], variables: dict[str, Tensor], weights: Any, moves: dict[str, Any]) -> Any:
    """Reverse mode: a walk for each row. For each variable the Jacobian, (rows, columns)."""
    products = {label: np.zeros((len(weights), v.size)) for label, v in variables.items()}
    for k, cotangent in enumerate(weights):
        for product, g in zip(products.values(), pulled(outputs, list(variables.values()), cotangent), strict=True):
            if g is not None:
                product[k] = np.ravel(g.data)
    return {label: along_directions(product, moves[label]) for label, product in products.items()}


def along_directions(gradients: Any, directions: Any) -> Any:
    """Flat gradients (..., n) as derivatives along each direction."""
    return gradients if directions is None else gradients @ directions.reshape(len(directions), -1).T


def by_columns(outputs: dict[str, Any], variables: dict[str, Tensor], weights: Any, moves: dict[str, Any]) -> Any:
    """Forward mode: a product J v for each column. For each variable the Jacobian, (rows, columns)."""
    pushed = Pushed(outputs, list(variables.values()))
    still: list[Any] = [None] * len(variables)
    found = {}
    for i, (label, variable) in enumerate(variables.items()):
        columns = [
            weights @ pushed.along([*still[:i], v, *still[i + 1 :]]) for v in each_direction(variable, moves[label])
        ]
        found[label] = np.stack(columns, axis=1) if columns else np.zeros((len(weights), 0))
    return found


def each_direction(variable: Tensor, directions: Any) -> Iterator[Any]:
    """The directions, or one unit array after the other."""
    if directions is not None:
        yield from directions
        return
    for index in np.ndindex(variable.shape):
        unit = np.zeros(variable.shape)
        unit[index] = 1
        yield unit


def one_walk(outputs: dict[str, Any], variables: dict[str, Tensor], cotangent: Any, moves: dict[str, Any]) -> Any:
    """For each variable, the derivatives of one combination of the results along its columns, by a plain walk."""
    found = pulled(outputs, list(variables.values()), cotangent)
    return {
        label: along_directions(np.zeros(variable.size) if g is None else np.ravel(g.data), moves[label])
        for (label, variable), g in zip(variables.items(), found, strict=True)
    }
