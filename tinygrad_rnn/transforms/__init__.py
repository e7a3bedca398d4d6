"""Derivatives as functions of their inputs.

``grad`` differentiates outputs that are there already; the others take a function. Such a function is called once, and
is recorded whatever is on outside (also under ``tg.no_grad()``), on copies of its inputs: no ``.grad`` is touched. Its
floats are differentiated, its integer and boolean results are constants.

Everything nests, for derivatives of any order. A result carries a graph exactly if recording is on where it is asked
for, and it depends on something outside that requires a gradient: an input, a cotangent, tangent or vector, or what the
function closes over (a module's parameters).
"""

from .gradient import grad
from .matrices import hessian, jacobian
from .products import hvp, jvp, vjp

__all__ = ["grad", "hessian", "hvp", "jacobian", "jvp", "vjp"]
