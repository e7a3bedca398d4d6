"""Trust: checking that a derivative is right."""

import importlib
from typing import TYPE_CHECKING, Any

from .gradient_check import gradcheck
from .report import GradcheckError, KinkError, KinkWarning

if TYPE_CHECKING:
    from . import strategies
    from .property import assert_gradients

__all__ = ["GradcheckError", "KinkError", "KinkWarning", "assert_gradients", "gradcheck", "strategies"]

_ON_FIRST_USE = {"assert_gradients": ".property", "strategies": ".strategies"}  # what needs Hypothesis


def __getattr__(name: str) -> Any:
    if name not in _ON_FIRST_USE:
        raise AttributeError(f"module 'tinygrad_rnn.testing' has no attribute {name!r}")
    try:
        module = importlib.import_module(_ON_FIRST_USE[name], __name__)
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
        raise ImportError(f'tg.testing.{name} needs Hypothesis: pip install "tinygrad-rnn[testing]"') from error
    return module if name == "strategies" else getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
