"""Optional packages for the examples, with a word on how to get the one that is missing."""

import importlib
from types import ModuleType


def needed(module: str, extra: str) -> ModuleType:
    """Import a module that an extra of tinygrad-rnn installs; end the program with one clear sentence if it is missing."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise SystemExit(
            f'This example needs the package {package}: pip install "tinygrad-rnn[{extra}]" ({error})'
        ) from error
