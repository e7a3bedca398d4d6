"""tinygrad_rnn: understand, draw, check and invent recurrent nets.

A small tensor class on NumPy with reverse-mode autodiff, in which an unrolled recurrent net is just a recorded graph.
"""

import importlib
from typing import TYPE_CHECKING, Any

from . import rules
from .context import detect_anomaly, get_default_dtype, manual_seed, no_grad, scope, set_default_dtype
from .primitives import Saved, defvjp
from .tensor import Tensor, primitive

__version__ = "0.1.0"
