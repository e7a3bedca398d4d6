"""tinygrad_rnn: understand, draw, check and invent recurrent nets.

A small tensor class on NumPy with reverse-mode autodiff, in which an unrolled recurrent net is just a recorded graph.
"""

import importlib
from typing import TYPE_CHECKING, Any

from . import functional, nn, optim, rules
from .allocator import keep_freed_memory
from .context import detect_anomaly, get_default_dtype, manual_seed, no_grad, scope, set_default_dtype
from .primitives import Saved, defvjp
from .recurrence import scan, unrolled
from .tensor import Tensor, primitive
from .transforms import grad, hessian, hvp, jacobian, jvp, vjp

if TYPE_CHECKING:
    from . import drawing, testing
    from .drawing import draw

__version__ = "0.1.0"
keep_freed_memory()
__all__ = [
    "Saved",
    "Tensor",
    "defvjp",
    "detect_anomaly",
    "draw",
    "drawing",
    "functional",
    "get_default_dtype",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "manual_seed",
    "nn",
    "no_grad",
    "optim",
    "primitive",
    "rules",
    "scan",
    "scope",
    "set_default_dtype",
    "testing",
    "unrolled",
    "vjp",
]

_ON_FIRST_USE = {"draw": ".drawing", "drawing": ".drawing", "testing": ".testing"}  # rooms with packages of others


def __getattr__(name: str) -> Any:
    if name not in _ON_FIRST_USE:
        raise AttributeError(f"module 'tinygrad_rnn' has no attribute {name!r}")
    room = importlib.import_module(_ON_FIRST_USE[name], __name__)
    return room.draw if name == "draw" else room


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
