"""The derivative of each NumPy function that recurrent nets use, one line an argument.

Importing this package fills the table in ``primitives.py``.
"""

from . import elementwise, linalg, reduction, shape

__all__ = ["elementwise", "linalg", "reduction", "shape"]
