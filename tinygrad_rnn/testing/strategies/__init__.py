"""Hypothesis strategies: random tensors, random differentiable programs, random recurrent nets with data."""

try:
    import hypothesis  # noqa: F401
except ImportError as error:
    raise ImportError(
        'tg.testing.strategies needs Hypothesis, which is not installed: pip install "tinygrad-rnn[testing]"'
    ) from error

from .arrays import broadcastable, tensors
from .coverage import coverage, reached
from .nets import RecurrentNet, recurrent_nets, sample_recurrent_nets
from .operation import Operand, Operation
from .program import Program
from .programs import programs, sample_programs

__all__ = [
    "Operand",
    "Operation",
    "Program",
    "RecurrentNet",
    "broadcastable",
    "coverage",
    "programs",
    "reached",
    "recurrent_nets",
    "sample_programs",
    "sample_recurrent_nets",
    "tensors",
]
