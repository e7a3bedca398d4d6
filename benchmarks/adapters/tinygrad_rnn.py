"""This library."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_rnn as tg

from . import Adapter, Arrays, Step


class TinygradRNN(Adapter):
    name = "tinygrad_rnn"
    version = tg.__version__
    tanh = staticmethod(np.tanh)
    sigmoid = staticmethod(tg.functional.sigmoid)
    has_layers = True
    no_grad = staticmethod(tg.no_grad)

    def stack(self, parts: Sequence[Any]) -> Any:
        return np.stack(parts)

    def split(self, x: Any, parts: int) -> Sequence[Any]:
        return np.split(x, parts, axis=-1)

    def variable(self, array: np.ndarray) -> Any:
        return tg.Tensor(array, requires_grad=True)

    def to_numpy(self, gradient: Any) -> np.ndarray:
        return np.asarray(gradient.numpy())

    def layer(
        self, cell: str, variables: Arrays, lengths: np.ndarray | None, **options: Any
    ) -> tuple[Callable[[Any], Any], dict[str, Any]]:
        layer = loaded(getattr(tg.nn, cell.upper()), variables, **options)
        return lambda x: layer(x, lengths=lengths)[0], dict(layer.named_parameters())

    def scan_step(self, cell: str, variables: Arrays, constants: Arrays, **options: Any) -> Step:
        """Like ``layer_step``, of ``tg.scan`` over the cell."""
        names = {name: name.removesuffix("_l0") for name in variables}
        module = loaded(getattr(tg.nn, f"{cell.upper()}Cell"), {names[name]: a for name, a in variables.items()})
        parameters = dict(module.named_parameters())
        zero = np.zeros((variables["x"].shape[1], module.hidden_size), np.float32)

        def step(state: Any, x_t: Any) -> Any:
            state = module(x_t, state)
            return state, state[0] if cell == "lstm" else state

        def apply(x: Any) -> Any:
            return tg.scan(step, (zero, zero) if cell == "lstm" else zero, x, **options)[1]

        leaves = {name: parameters[short] for name, short in names.items() if name != "x"}
        return self.step_of(apply, leaves | {"x": self.variable(variables["x"])}, constants["upstream"])

    def step_scope(self, path: str, step: int) -> AbstractContextManager[Any]:
        return tg.scope(path, step=step)

    def picture(self, output: Any, _leaves: Mapping[str, Any], path: Path) -> tuple[int, int]:
        drawing = tg.draw(output)
        drawing.save(path)
        return len(drawing.graph.vertices), len(drawing.graph.edges)


def loaded(kind: Any, variables: Arrays, **options: Any) -> Any:
    """A layer or cell with these parameters."""
    weights = {name: array for name, array in variables.items() if name != "x"}
    hidden, inputs = (next(a for name, a in weights.items() if key in name).shape[1] for key in ("_hh", "_ih"))
    module = kind(inputs, hidden, **options)
    module.load_state_dict(weights)
    return module


ADAPTER = TinygradRNN()
