"""PyTorch on the CPU."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from .. import renderer
from . import Adapter, Arrays


class Torch(Adapter):
    name = "torch"
    version = torch.__version__
    tanh = staticmethod(torch.tanh)
    sigmoid = staticmethod(torch.sigmoid)
    has_layers = True
    no_grad = staticmethod(torch.inference_mode)

    def stack(self, parts: Sequence[Any]) -> Any:
        return torch.stack(tuple(parts))

    def split(self, x: Any, parts: int) -> Sequence[Any]:
        return torch.chunk(x, parts, dim=-1)

    def variable(self, array: np.ndarray) -> Any:
        return torch.tensor(array, requires_grad=True)

    def constant(self, array: np.ndarray) -> Any:
        return torch.tensor(array)

    def to_numpy(self, gradient: Any) -> np.ndarray:
        return np.asarray(gradient.numpy())

    def layer(
        self, cell: str, variables: Arrays, lengths: np.ndarray | None, **options: Any
    ) -> tuple[Callable[[Any], Any], dict[str, Any]]:
        weights = {name: torch.tensor(array) for name, array in variables.items() if name != "x"}
        hidden, inputs = weights["weight_hh_l0"].shape[1], weights["weight_ih_l0"].shape[1]
        layer = getattr(torch.nn, cell.upper())(inputs, hidden, **options)
        layer.load_state_dict(weights)
        steps, ends = len(variables["x"]), None if lengths is None else torch.tensor(lengths)

        def apply(x: Any) -> Any:
            if ends is None:
                return layer(x)[0]
            packed = pack_padded_sequence(x, ends, enforce_sorted=False)
            return pad_packed_sequence(layer(packed)[0], total_length=steps)[0]

        return apply, dict(layer.named_parameters())

    def use_threads(self, threads: int) -> None:
        torch.set_num_threads(threads)

    def start_pictures(self, _path: Path) -> None:
        import torchviz  # noqa: F401

        # No tiny picture: the embedded Graphviz may fail on the second graph that its engine dot lays out.
        renderer.laid_out("graph {}")

    def picture(self, output: Any, leaves: Mapping[str, Any], path: Path) -> tuple[int, int]:
        import torchviz

        sys.setrecursionlimit(1_000_000)  # torchviz calls itself for each node on a path
        dot = torchviz.make_dot(output, params=dict(leaves))
        path.write_bytes(renderer.laid_out(dot.source))
        edges = sum("->" in statement for statement in dot.body)
        return len(dot.body) - edges, edges


ADAPTER = Torch()
