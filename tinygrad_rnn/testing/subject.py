"""What is checked: a function at a point, as its leaves and a call without arguments.

Derivatives of order k are first derivatives of its gradient of order k - 1, along cotangents that are drawn once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..tensor import Tensor
from ..transforms import grad
from ..tree import leaves
from .comparison import Tolerance


class Options(NamedTuple):
    """How the comparison is made; see ``gradcheck``."""

    mode: str
    first: float
    tolerance: Tolerance
    projections: int | None  # how many directions of each input are tried; None: every element of it


@dataclass
class Subject:
    """A function at a point.

    Attributes:
        variables: The leaves that are varied, by their words.
        call: Runs the function on them.
    """

    variables: dict[str, Tensor]
    call: Callable[[], Any]

    def results(self, order: int, recorded: bool) -> dict[str, Any]:
        """The float results (order 1), or the gradients of order ``order - 1``, by their words.

        ``recorded``: with a graph, also where the last of several walks would not need one.
        """
        outputs = {where: y for where, y in leaves(self.call(), "output") if array_of(y).dtype.kind == "f"}
        for where, y in outputs.items():
            if isinstance(y, Tensor) and y.dtype != np.float64:
                raise TypeError(
                    f"gradcheck: {where} of f is {y.dtype}, expected float64; are f's own tensors float64 "
                    f"(astype(np.float64), dtype=np.float64), and is nothing in it cast down?"
                )
        if not outputs:
            raise ValueError("gradcheck: f returned no float array or tensor, so there is nothing to differentiate")
        for k in range(1, order):
            outputs = self._gradient(outputs, k, recorded or k < order - 1)
        return outputs

    def _gradient(self, outputs: dict[str, Any], k: int, recorded: bool) -> dict[str, Any]:
        """The gradients of <cotangent, output> with respect to all variables."""
        rng = np.random.default_rng(10 + k)
        starts = {where: rng.standard_normal(np.shape(array_of(y))) for where, y in outputs.items()}
        live = {where: y for where, y in outputs.items() if isinstance(y, Tensor) and y.requires_grad}
        found: Sequence[Tensor | None] = [None] * len(self.variables)
        if live:
            cotangents = [starts[where] for where in live]
            variables = list(self.variables.values())
            found = grad(list(live.values()), variables, cotangents, create_graph=recorded, allow_unused=True)
        kind = "gradient" if k == 1 else f"gradient of order {k}"
        return {
            f"({kind} by {where})": np.zeros(variable.shape) if g is None else g
            for (where, variable), g in zip(self.variables.items(), found, strict=True)
        }


def array_of(y: Any) -> Any:
    return y.data if isinstance(y, Tensor) else np.asarray(y)


def flat(outputs: dict[str, Any]) -> Any:
    return np.concatenate([np.ravel(array_of(y)) for y in outputs.values()])


def element(label: str, index: Sequence[int]) -> str:
    return f"{label}[{', '.join(map(str, index))}]" if index else label
