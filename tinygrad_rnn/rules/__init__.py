"""The derivative of each NumPy function, one line an argument.

Importing this package fills the table in ``primitives.py``.
"""

from . import elementwise, linalg, reduction, shape

__all__ = ["elementwise", "linalg", "reduction", "shape"]
