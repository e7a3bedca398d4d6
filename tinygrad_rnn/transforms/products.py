"""Products of a vector with a Jacobian or a Hessian that is never formed: a few times the function's own cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .recorded import Recorded, dummies, filled, pulled_back, vectors


def vjp(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """Return ``f(*primals)`` and the function that multiplies a cotangent with its Jacobian: reverse mode (jax.vjp).

    ``pullback(u)`` is u^T J, one walk back over the recorded call, at a cost that does not depend on the number of
    inputs (Griewank and Walther, *Evaluating Derivatives*, 2nd ed., section 3.2).

    Args:
        f: Called ``f(*primals)``, once; returns a tensor, or nested tuples, lists and dicts of them.
        primals: Its arguments: float arrays, numbers or tensors of any shapes, or nested ones.

    Returns:
        ``f(*primals)``, and ``pullback(cotangent) -> tuple``. The cotangent has the structure and shapes of the output;
        what is given for an integer or boolean output is not used. The tuple has one entry for each primal, with its
        structure, shapes and dtypes, 0 where the output does not depend on it. ``pullback`` may be called again and
        again. (Where the output, or what ``pullback`` returns, carries a graph, that is the pullback's own: a walk over
        it without ``retain_graph=True`` is the end of both.)

    Raises:
        TypeError: ``f`` is not callable; a primal is not floats; ``f`` returns no tensor of floats, or something that
            is no tensor.
        ValueError: (the pullback) the cotangent's structure or a shape is not the output's.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> out, pullback = tg.vjp(lambda w, x: np.tanh(w @ x), np.eye(2), np.zeros(2))
    >>> pullback(np.array([1.0, 2.0]))[1]
    Tensor([1., 2.], dtype=float64)
    """
    call = Recorded("vjp", f, primals, "primals")

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        u = vectors("pullback", call.outputs, cotangent, "the cotangent")
        found = pulled_back(call.results, u, call.variables, create_graph=call.connected(u))
        return filled(call.inputs, [call.handed_out(g, u) for g in found])  # type: ignore[no-any-return]

    return filled(call.outputs, [call.handed_out(result) for result in call.results]), pullback


def jvp(f: Callable[..., Any], primals: Any, tangents: Any) -> tuple[Any, Any]:
    """Return ``f(*primals)`` and its derivative in the direction of ``tangents``: forward mode (jax.jvp).

    The derivative J v needs no rules of its own. Reverse mode computes g(u) = u^T J, which is linear in u; so walking
    back from g to u with the cotangent v gives v^T J^T = (J v)^T, whatever u is (Townsend, 2017, "A new trick for
    calculating Jacobian vector products"). It costs two walks, one of them recorded, so that every function met on the
    way must have rules that can be recorded (a ``joint=`` rule: a ``definition=``).

    Args:
        f: Called ``f(*primals)``, once; returns a tensor, or nested tuples, lists and dicts of them.
        primals: A tuple (or list) of its arguments: float arrays, numbers or tensors of any shapes, or nested ones.
        tangents: The direction: as many, each with the structure and shapes of its primal.

    Returns:
        ``f(*primals)``, and J v with its structure, shapes and dtypes; 0 for an integer or boolean output, and for one
        that does not depend on the primals.

    Raises:
        TypeError: as ``tg.vjp``; ``primals`` is no tuple.
        ValueError: the structure or a shape of ``tangents`` is not that of ``primals``.
        RuntimeError: a ``joint=`` rule without ``definition=`` is met.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> out, tangent_out = tg.jvp(lambda x: x * x, (np.array([1.0, 3.0]),), (np.array([1.0, 10.0]),))
    >>> tangent_out
    Tensor([ 2., 60.], dtype=float64)
    """
    for name, given in (("primals", primals), ("tangents", tangents)):
        if not isinstance(given, (tuple, list)):
            kind = type(given).__name__
            raise TypeError(f"jvp: expected {name} to be a tuple with an entry for each argument of f, got {kind}")
    call = Recorded("jvp", f, tuple(primals), "primals")
    v = vectors("jvp", call.inputs, tuple(tangents), "tangents")
    u = dummies(call.results)
    g = pulled_back(call.results, u, call.variables, create_graph=True)
    found = pulled_back(g, v, u, create_graph=call.connected(v))
    out = filled(call.outputs, [call.handed_out(result) for result in call.results])
    return out, filled(call.outputs, [call.handed_out(d) for d in found])


def hvp(f: Callable[..., Any], x: Any, v: Any) -> Any:
    """Return the product of the Hessian of a scalar function with a vector: H v, with H_ij = d^2 f / dx_i dx_j.

    H v is the gradient of <grad f(x), v>: one recorded walk and one over that, a small multiple of the cost of ``f``;
    H itself is never formed (Pearlmutter, 1994, "Fast exact multiplication by the Hessian", *Neural Computation* 6,
    147-160).

    Args:
        f: Called ``f(x)``, or ``f(*x)`` if ``x`` is a tuple, once; returns a scalar tensor.
        x: A float array, number or tensor, or nested tuples, lists and dicts of them.
        v: The vector, with the structure and shapes of ``x``.

    Returns:
        H v, with the structure, shapes and dtypes of ``x``.

    Raises:
        TypeError: as ``tg.vjp``; ``f`` returns more than one tensor.
        ValueError: ``f`` returns no scalar; the structure or a shape of ``v`` is not that of ``x``.
        RuntimeError: a ``joint=`` rule without ``definition=`` is met.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> tg.hvp(lambda x: (x * x * x).sum(), np.array([1.0, 2.0]), np.array([1.0, 10.0]))
    Tensor([  6., 120.], dtype=float64)
    """
    call = Recorded("hvp", f, x, "x")
    vs = vectors("hvp", call.inputs, v, "v")
    found = pulled_back(call.gradient(), vs, call.variables, create_graph=call.connected(vs))
    return filled(call.inputs, [call.handed_out(d) for d in found])
