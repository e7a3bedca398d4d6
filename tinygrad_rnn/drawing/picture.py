"""``tg.draw``: a tensor's graph as a picture, for files and notebooks."""

from __future__ import annotations

import os
import secrets
from functools import cached_property
from pathlib import Path
from typing import Any

from ..tensor import Tensor
from .dot import source
from .layout import lay_out_graph
from .model import Graph, recorded
from .renderers import NoGraphvizError, run

VIEWS = ("unrolled",)
DIRECTIONS = ("LR", "TB")
SUFFIXES = (".svg", ".png", ".pdf", ".dot")


class Drawing:
    """A picture of a recorded graph; ``tg.draw`` makes it. In a notebook it shows itself.

    It holds words and positions, no arrays: the graph it was drawn from can be walked over and freed.

    Attributes:
        graph: What was drawn: vertices, edges, steps.
    """

    def __init__(self, graph: Graph, direction: str) -> None:
        self.graph = graph
        self._direction = direction

    @cached_property
    def source(self) -> str:
        """The picture as DOT, Graphviz's language, with all positions: ``neato -n2`` draws it."""
        return source(self.graph, lay_out_graph(self.graph, self._direction))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture to a file, whole or not at all, and return its path.

        Args:
            path: Its suffix says what is written. ``.svg`` needs any Graphviz, ``.png`` and ``.pdf`` the program
                ``dot`` on the PATH, ``.dot`` none (without any, its positions come from a plainer layout).

        Raises:
            ValueError: an unknown suffix.
            FileNotFoundError: there is no such folder.
            RuntimeError: no Graphviz that can write this.

        >>> import tempfile, tinygrad_rnn as tg
        >>> w = tg.Tensor([1.0, 2.0], requires_grad=True, name="w")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     print(tg.draw((w * w).sum()).save(f"{folder}/square.dot").name)
        square.dot
        """
        path = Path(path)
        suffix = path.suffix.lower()
        if suffix not in SUFFIXES:
            raise ValueError(f"save: expected a file name ending in {', '.join(SUFFIXES)}, got {str(path)!r}")
        if not path.parent.is_dir():
            raise FileNotFoundError(f"save: there is no folder {str(path.parent)!r} to write {path.name!r} into")
        content = self.source.encode() if suffix == ".dot" else run(self.source, suffix[1:], placed=True)
        unfinished = path.parent / f".{secrets.token_hex(8)}.unfinished"
        try:
            unfinished.write_bytes(content)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
        return path

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        try:
            return {"image/svg+xml": run(self.source, "svg", placed=True).decode(), "text/plain": repr(self)}
        except NoGraphvizError as error:
            return {"text/plain": f"{self!r}: {error}"}

    def __repr__(self) -> str:
        steps = len({vertex.step for vertex in self.graph.vertices if vertex.operation is not None} - {None})
        return f"<Drawing nodes={len(self.graph.vertices)} edges={len(self.graph.edges)} steps={steps}>"


def draw(output: Tensor, *, view: str = "unrolled", direction: str = "LR") -> Drawing:
    """Draw the graph that a tensor was computed by: for a recurrent net, the unrolled network.

    Each time step (``tg.scope(step=t)``; ``tg.scan`` and layers set it) is a column, in which each operation stands
    where it stands in every other. The state runs from column to column in black. A leaf that several steps share, a
    weight, is one box with one line of its own colour, from which every step branches off; a leaf that one step alone
    uses, an input, is white. What was computed before the loop stands left of it, what comes after, right. Names show
    (``name=`` of a tensor), frames show modules, and tooltips tell where each node was recorded. The output has a bold
    border. Constants are not recorded, so they do not appear.

    Args:
        output: Any tensor with a graph, also after ``backward()`` has released it.
        view: ``"unrolled"``: every operation.
        direction: Of time: ``"LR"``, left to right, or ``"TB"``, top to bottom; of the computation where there is no
            time.

    Returns:
        A drawing: ``.source`` is DOT, ``.save("graph.svg")`` writes a file, and a notebook shows it.

    Raises:
        TypeError: ``output`` is not a tensor.
        ValueError: an unknown view or direction.
        RuntimeError: the tensor has no graph.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> w = tg.Tensor(np.eye(2), requires_grad=True, name="w")
    >>> h = tg.Tensor(np.ones(2), requires_grad=True, name="h0")
    >>> for t in range(3):
    ...     with tg.scope("rnn", step=t):
    ...         h = np.tanh(h @ w)
    >>> picture = tg.draw(h.sum())
    >>> picture
    <Drawing nodes=9 edges=10 steps=3>
    >>> print(picture.source.splitlines()[0])
    digraph unrolled {
    """
    if view not in VIEWS:
        raise ValueError(f"draw: expected view to be one of {', '.join(map(repr, VIEWS))}, got {view!r}")
    if direction not in DIRECTIONS:
        raise ValueError(f"draw: expected direction to be {' or '.join(map(repr, DIRECTIONS))}, got {direction!r}")
    return Drawing(recorded(output), direction)
