"""``tg.draw``: a tensor's graph as a picture, for files and notebooks."""

from __future__ import annotations

import operator
import os
import secrets
import shutil
import warnings
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, SupportsIndex

import numpy as np

from ..tensor import Tensor
from .colours import GradientScale, leaf_paints
from .dot import source
from .fold import Folded
from .layout import lay_out_graph
from .model import Graph, recorded
from .page import page
from .renderers import NoGraphvizError, run
from .timeline import Timeline, timeline
from .views import cells, rolled, whole, without
from .words import Lettering, vertex_lines

VIEWS = ("unrolled", "cells", "rolled")
DIRECTIONS = ("LR", "TB")
SUFFIXES = (".svg", ".html", ".png", ".pdf", ".dot")
_MOST_PIXELS = 32766  # of a side, one less than the limit of cairo, which draws for Graphviz: it rounds


class Drawing:
    """A picture of a recorded graph; ``tg.draw`` makes it. In a notebook it shows itself.

    It holds words and positions, no arrays: the graph it was drawn from can be walked over and freed.

    Attributes:
        graph: What was drawn: vertices, edges, steps.
    """

    def __init__(
        self,
        graph: Graph,
        view: str = "unrolled",
        steps: int | Iterable[int] | None = None,
        direction: str = "LR",
        *,
        gradients: bool = False,
        values: bool = False,
    ) -> None:
        self.graph = graph
        self.view, self._direction, self._gradients, self._values = view, direction, gradients, values
        self._timeline = timeline(graph)
        self._kept = None if steps is None else kept_columns(self._timeline, steps)

    @cached_property
    def drawn(self) -> Folded:
        """The graph as it is drawn: its vertices and edges say which recorded ones they stand for."""
        if self.view == "rolled":
            return rolled(self.graph, self._timeline)
        if self.view == "cells":
            return cells(self.graph, self._timeline, self._kept)
        if self._kept is not None:
            return without(self.graph, self._timeline, self._kept)
        return whole(self.graph, self._timeline)

    @cached_property
    def source(self) -> str:
        """The picture as DOT, Graphviz's language, with all positions: ``neato -n2`` draws it."""
        scale = None
        if self._gradients:
            norms = [vertex.gradient for vertex in self.graph.vertices] + [edge.gradient for edge in self.graph.edges]
            scale = GradientScale.of(norms)
        lettering = Lettering.of(self.drawn, self.graph, scale, self._values)
        layout = lay_out_graph(self.drawn.graph, self.drawn.timeline, self._direction, lettering)
        paints = leaf_paints(self.graph, self._timeline)
        return source(self.graph, self.drawn, layout, lettering, paints, self.view)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture to a file, whole or not at all, and return its path.

        Args:
            path: Its suffix says what is written. ``.svg`` and ``.html`` (the picture on a page of its own, which any
                browser opens) need any Graphviz, ``.png`` and ``.pdf`` the program ``dot`` on the PATH, ``.dot`` none
                (without any, its positions come from a plainer layout).

        Warns:
            UserWarning: a ``.png`` that would be larger than Graphviz draws any, and was scaled down.

        Raises:
            TypeError: no path.
            ValueError: an unknown suffix, or a character that no path can have.
            FileNotFoundError, IsADirectoryError: there is no such folder, or it is one.
            OSError: the system cannot write there.
            RuntimeError: no Graphviz that can write this.

        >>> import tempfile, tinygrad_rnn as tg
        >>> w = tg.Tensor([1.0, 2.0], requires_grad=True, name="w")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     print(tg.draw((w * w).sum()).save(f"{folder}/square.dot").name)
        square.dot
        """
        path = _file(path)
        suffix = path.suffix.lower()
        if suffix == ".dot":
            content = self.source.encode()
        elif suffix == ".html":
            content = self._page().encode()
        else:
            content = run(self.source, suffix[1:], placed=True)
        if suffix == ".png" and (largest := max(int.from_bytes(content[i : i + 4]) for i in (16, 20))) >= _MOST_PIXELS:
            warnings.warn(
                f"save: a .png of {largest} pixels is the largest that Graphviz draws, so everything in it is smaller "
                f"than it should be; draw fewer steps (steps=), or save as .svg or .html",
                stacklevel=2,
            )
        try:
            _write(path.resolve(), content)  # a link stays one
        except OSError as error:
            raise OSError(error.errno, f"save: {error.strerror or error}", str(path)) from error
        return path

    def _page(self) -> str:
        svg = run(self.source, "svg", placed=True).decode()
        output = vertex_lines(self.graph.vertices[self.graph.output[0]])[0]
        summary = f"Nodes: {len(self.graph.vertices)} · edges: {len(self.graph.edges)} · time steps: {self._steps()}"
        return page(svg, f"Graph of {output}", summary)

    def _steps(self) -> int:
        """Columns of them: a decoder's come after its encoder's."""
        return sum(len(column.steps) for column in self._timeline.columns)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        try:
            return {"image/svg+xml": run(self.source, "svg", placed=True).decode(), "text/plain": repr(self)}
        except NoGraphvizError as error:
            return {"text/plain": f"{self!r}: {error}"}

    def __repr__(self) -> str:
        return f"<Drawing nodes={len(self.graph.vertices)} edges={len(self.graph.edges)} steps={self._steps()}>"


def draw(
    output: Tensor,
    *,
    view: str = "unrolled",
    gradients: bool = False,
    values: bool = False,
    steps: int | Iterable[int] | None = None,
    direction: str = "LR",
) -> Drawing:
    """Draw the graph that a tensor was computed by: for a recurrent net, the unrolled network.

    Each time step (``tg.scope(step=t)``; ``tg.scan`` and layers set it) is a column, in which each operation stands
    where it stands in every other. The state runs from column to column in black. A leaf that several steps share, a
    weight, is one box with one line of its own colour, from which every step branches off; a leaf that one step alone
    uses, an input, is white. What was computed before the loop stands left of it, what comes after, right; further
    layers stand above, what gathers or feeds all steps at once on a band across them, and what begins with another
    loop's last state, a decoder, to its right. Names show (``name=`` of a tensor), frames show modules, and tooltips
    tell where each node was recorded. The output has a bold border. Constants are not recorded, so they do not appear.
    A layer's fused sequence, and what ``checkpoint=`` did not keep, is run once more to show its operations.

    Args:
        output: Any tensor with a graph, also after ``backward()`` has released it; a fused sequence that was released
            is one box.
        view: ``"unrolled"``: every operation. ``"cells"``: a box for each module in each step, shared weights written
            on the edges along which they act (lecture, section 1, "RNN Diagram"). ``"rolled"``: a box for each module,
            edges from one step to another marked with their delay.
        gradients: Colour everything by the 2-norm of the gradient of ``output``, a scalar, on a logarithmic scale; of a
            shared weight, each use by its own share. A backward walk of its own finds them; no ``grad`` changes.
        values: Write mean and standard deviation of what each operation computed, and the share of saturated units of
            tanh and sigmoid, of zeros of relu; as far as the graph has kept it or it can be computed again. A box for
            several operations has none.
        steps: For long sequences, how many time steps to draw at most at either end, or those to draw (``range(10,
            20)``). The others become one box, which says how many they are. Not in the view ``"rolled"``.
        direction: Of time: ``"LR"``, left to right, or ``"TB"``, top to bottom; of the computation where there is no
            time.

    Returns:
        A drawing: ``.source`` is DOT, ``.save("graph.svg")`` writes a file, and a notebook shows it.

    Raises:
        TypeError: ``output`` is not a tensor, ``steps`` are no whole numbers, ``gradients`` or ``values`` no booleans.
        ValueError: an unknown view or direction; ``steps`` that name none of the graph's, less than one, or in the view
            ``"rolled"``.
        RuntimeError: the tensor has no graph; with ``gradients``, it is no scalar, or its graph was released.

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
    _check_choice("view", view, VIEWS)
    _check_choice("direction", direction, DIRECTIONS)
    for name, flag in (("gradients", gradients), ("values", values)):
        if not isinstance(flag, (bool, np.bool_)):
            raise TypeError(f"draw: expected {name} to be True or False, got {flag!r}")
    if steps is not None and view == "rolled":
        raise ValueError("draw: steps= is for the views 'unrolled' and 'cells'; in view='rolled' all steps are one")
    graph = recorded(output, gradients=gradients, values=values)
    return Drawing(graph, view, steps, direction, gradients=gradients, values=values)


def _check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    if not (isinstance(value, str) and value in choices):
        raise ValueError(f"draw: expected {name} to be one of {', '.join(map(repr, choices))}, got {value!r}")


def _file(path: str | os.PathLike[str]) -> Path:
    """The path of a file that a picture can be saved to."""
    if not isinstance(name := os.fspath(path) if isinstance(path, os.PathLike) else path, str):
        raise TypeError(f"save: expected a path, as text or a pathlib.Path, got {type(path).__name__}")
    if "\0" in name:
        raise ValueError(f"save: expected a path without null characters, got {name!r}")
    file = Path(name)
    if file.suffix.lower() not in SUFFIXES:
        raise ValueError(f"save: expected a file name ending in {', '.join(SUFFIXES)}, got {name!r}")
    if not os.path.isdir(file.parent):  # of a path too long for the system, Path.is_dir raises what it is told
        raise FileNotFoundError(f"save: there is no folder {str(file.parent)!r} to write {file.name!r} into")
    if name.endswith(("/", os.sep)) or os.path.isdir(file):
        raise IsADirectoryError(f"save: {name!r} is a folder")
    return file


def _write(target: Path, content: bytes) -> None:
    """Write a file whole or not at all, with the permissions of the one it replaces."""
    unfinished = target.parent / f".{secrets.token_hex(8)}.unfinished"
    try:
        unfinished.write_bytes(content)
        if target.exists():
            shutil.copymode(target, unfinished)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def kept_columns(timeline: Timeline, steps: int | Iterable[int]) -> set[int]:
    """The columns that ``steps`` chooses: the first and last k of each phase, or those of the steps named.

    Raises:
        TypeError: neither a whole number nor whole numbers.
        ValueError: less than one, or none of those that there are.
    """
    phases: dict[int, list[int]] = {}
    for k, column in enumerate(timeline.columns):
        if column.steps:
            phases.setdefault(column.phase, []).append(k)
    if isinstance(steps, Iterable) and getattr(steps, "ndim", True):
        wanted = steps if isinstance(steps, range) else {_whole(step) for step in steps}
        chosen = {k for columns in phases.values() for k in columns if timeline.columns[k].steps[0] in wanted}
        if not chosen:
            there = sorted({step for column in timeline.columns for step in column.steps})
            words = f"has {len(there)}, from {there[0]} to {there[-1]}" if there else "has no time steps"
            raise ValueError(f"draw: expected steps to name some of the graph's, got {steps!r}; it {words}")
        return chosen
    count = _whole(steps)
    if count < 1:
        raise ValueError(f"draw: expected steps, how many to draw at either end, to be at least 1, got {count}")
    return {k for columns in phases.values() for k in (*columns[:count], *columns[max(len(columns) - count, 0) :])}


def _whole(step: object) -> int:
    try:
        if isinstance(step, SupportsIndex) and not isinstance(step, bool):
            return operator.index(step)  # of an array with several numbers, a TypeError
    except TypeError:
        pass
    raise TypeError(f"draw: expected steps to be a whole number, or several such as range(10, 20), got {step!r}")
