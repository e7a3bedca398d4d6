"""Optional packages for the examples, with a word on how to get the one that is missing."""

import importlib
from types import ModuleType


def needed(module: str, extra: str) -> ModuleType:
    """Import what an extra of tinygrad-rnn installs; if it is missing, end the program with one clear sentence."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise SystemExit(
            f'This example needs the package {package}: pip install "tinygrad-rnn[{extra}]" ({error})'
        ) from error
