"""Trust: checking that a derivative is right."""

from .gradient_check import GradcheckError, gradcheck

__all__ = ["GradcheckError", "gradcheck"]
