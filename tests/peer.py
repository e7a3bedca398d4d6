"""PyTorch, to compare with; where it is not installed, the tests that call it skip, and only they."""

from typing import Any

import pytest


class Absent:
    """Stands in for a package: naming its functions is harmless, calling one skips the test."""

    def __init__(self, package: str) -> None:
        self._package = package

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        pytest.skip(f"compares with {self._package}, which is not installed (make peers)")


try:
    import torch
except ImportError:
    torch = Absent("PyTorch")
else:
    torch.set_num_threads(1)
