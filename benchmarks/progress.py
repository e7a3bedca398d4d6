"""How far a part has come, on standard error: tqdm's bar in a terminal, otherwise a line for each thing begun."""

from __future__ import annotations

import sys
from typing import Any

try:
    from tqdm import tqdm
except ImportError:
    tqdm = None


class Progress:
    def __init__(self, name: str, total: int) -> None:
        self._name = name
        self._bar: Any = tqdm(total=total, desc=name, leave=False) if tqdm is not None and sys.stderr.isatty() else None

    def at(self, what: str) -> None:
        """Say what is being measured now."""
        if self._bar is not None:
            self._bar.set_postfix_str(what)
        else:
            print(f"{self._name}: {what}", file=sys.stderr, flush=True)

    def tick(self) -> None:
        if self._bar is not None:
            self._bar.update()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._bar is not None:
            self._bar.close()
