"""Runs the Python blocks of a Markdown page, top to bottom, as a reader would type them, and checks what it shows.

A ``text`` block after a ``python`` block is what that one prints. Numbers in it may differ as they do from machine to
machine; words may not. Functions called ``test_...`` are called, as pytest would.
"""

import contextlib
import io
import re
import sys
import types
from pathlib import Path
from typing import NamedTuple

import pytest

_NUMBER = re.compile(r"-?\d+\.?\d*(?:e[-+]?\d+)?")
_BAR = re.compile(r"\+-\s*$")
CLOSE = 1e-6  # relative; for an error bar a factor of 10,000


class Block(NamedTuple):
    """A fenced block of a page, and the number of its first line, from 0."""

    kind: str
    text: str
    line: int


def blocks(page: str) -> list[Block]:
    found = re.finditer(r"^```(\w*)\n(.*?)^```$", page, flags=re.DOTALL | re.MULTILINE)
    return [Block(match[1], match[2], page.count("\n", 0, match.start(2))) for match in found]


def run(path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """Run the page's blocks in a module called ``name``."""
    module = types.ModuleType(name)
    monkeypatch.setitem(sys.modules, name, module)
    printed = ""
    for kind, text, line in blocks(path.read_text(encoding="utf-8")):
        if kind == "text":
            assert_shown(text, printed, f"{path.name}, line {line + 1}")
        if kind == "python":
            known = dict(vars(module))
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile("\n" * line + text, str(path), "exec"), vars(module))
                for key, value in list(vars(module).items()):
                    if key.startswith("test_") and value is not known.get(key):
                        value()
            printed = out.getvalue()
    return module


def assert_shown(shown: str, printed: str, where: str) -> None:
    """The page shows what was printed: the same words, and numbers that are as good as equal."""
    message = f"{where} shows\n{shown}\nbut this was printed:\n{printed}"
    assert "".join(_NUMBER.sub("#", shown).split()) == "".join(_NUMBER.sub("#", printed).split()), message
    for ours, theirs in zip(_NUMBER.finditer(shown), _NUMBER.finditer(printed), strict=True):
        a, b = float(ours[0]), float(theirs[0])
        if _BAR.search(shown[: ours.start()]):
            assert b <= max(1e4 * a, 1e-12), message
        else:
            assert abs(a - b) <= CLOSE * max(abs(a), 1e-6), message
