"""The gradients of outputs that are there already (torch.autograd.grad)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..backward import seed
from ..tensor import Tensor, lift
from ..walk import walk
from .recorded import recording


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Any = None,
    *,
    create_graph: bool = False,
    retain_graph: bool | None = None,
    allow_unused: bool = False,
) -> tuple[Tensor | None, ...]:
    """Return the gradients of ``outputs`` with respect to ``inputs``, and touch no ``.grad`` (torch.autograd.grad).

    For several outputs the gradients are those of the sum over outputs of <grad_output, output>.

    Args:
        outputs: A tensor or a sequence of them.
        inputs: The tensors to differentiate with respect to: leaves, or computed on the way.
        grad_outputs: What the walk starts with, one for each output and of its shape; None stands for 1 of a scalar.
        create_graph: Record the walk itself, so that the results can be differentiated again, at least with respect to
            the input each belongs to. (That of a constant gradient, as of ``relu(x).sum()``, is 0.)
        retain_graph: Keep what the graph has saved for another walk. None: as ``create_graph``.
        allow_unused: None for an input that the outputs do not depend on, instead of an error.

    Raises:
        TypeError: ``outputs`` is a function, or something is not a tensor.
        RuntimeError: an input that needs no gradient, or that is not used; and what ``Tensor.backward`` raises.

    >>> import tinygrad_rnn as tg
    >>> x = tg.Tensor(2.0, requires_grad=True)
    >>> (dx,) = tg.grad(x * x * x, x, create_graph=True)
    >>> dx, tg.grad(dx, x)[0]
    (Tensor(12., node=copy), Tensor(12.))
    """
    if callable(outputs):
        raise TypeError(
            "grad: expected tensors, got a function; tg.grad differentiates outputs that are there already. For a "
            "function use tg.vjp(f, x), tg.jacobian(f, x) or tg.hessian(f, x)"
        )
    outs, ins = _tensors(outputs, "outputs"), _tensors(inputs, "inputs")
    if grad_outputs is None:
        grad_outputs = [None] * len(outs)
    elif not isinstance(grad_outputs, (list, tuple)) or (
        isinstance(outputs, Tensor) and not _one_each(grad_outputs, outputs)
    ):
        grad_outputs = [grad_outputs]  # an array, or the numbers of one
    if len(grad_outputs) != len(outs):
        raise ValueError(f"grad: expected {len(outs)} grad_outputs, one for each output, got {len(grad_outputs)}")
    for i, tensor in enumerate(ins):
        if tensor.node is None:
            raise RuntimeError(f"grad: inputs[{i}] (shape {tensor.shape}) does not require a gradient")
    arrived = walk(
        [seed(out, g, create_graph) for out, g in zip(outs, grad_outputs, strict=True)],
        lift,
        [tensor.node for tensor in ins if tensor.node is not None],
        retain_graph=create_graph if retain_graph is None else retain_graph,
        create_graph=create_graph,
    )
    results: list[Tensor | None] = []
    given: set[int] = set()  # a tensor that is asked for twice gets two arrays
    for i, tensor in enumerate(ins):
        g = None if tensor.node is None else arrived.get(tensor.node)
        if g is None and not allow_unused:
            raise RuntimeError(
                f"grad: the outputs do not depend on inputs[{i}] (shape {tensor.shape}); pass allow_unused=True to get "
                f"None for it"
            )
        if g is not None and id(g) in given:
            g = np.copy(g)
        given.add(id(g))
        result = None if g is None else g if isinstance(g, Tensor) else lift(None, g)
        results.append(_led_to(tensor, result) if create_graph and result is not None else result)
    return tuple(results)


def _led_to(tensor: Tensor, gradient: Tensor) -> Tensor:
    """The same gradient; if it is constant, of a graph in which the derivative by its input is 0, and no error."""
    if gradient.requires_grad:
        return gradient
    with recording():
        attached: Any = np.where(False, tensor, gradient)
    return attached  # type: ignore[no-any-return]


def _one_each(grad_outputs: Sequence[Any], output: Tensor) -> bool:
    """Is this a sequence of gradients, as for several outputs, and not the numbers of one?"""
    if any(isinstance(g, (Tensor, np.ndarray)) for g in grad_outputs):
        return True
    return len(grad_outputs) == 1 and (grad_outputs[0] is None or np.shape(grad_outputs[0]) == output.shape)


def _tensors(given: Any, name: str) -> list[Tensor]:
    tensors = [given] if isinstance(given, Tensor) else given
    if not isinstance(tensors, Sequence) or not all(isinstance(t, Tensor) for t in tensors):
        raise TypeError(f"grad: expected {name} to be a tensor or a sequence of tensors, got {type(given).__name__}")
    return list(tensors)
