"""Draw the pictures of pictures.md and of the README anew: run their code in the folder that the pictures are in.

python docs/draw_pictures.py
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

HERE = Path(__file__).parent


def draw(page: Path, folder: Path) -> None:
    """Run a page's Python, block by block, up to the last one that saves a picture."""
    code = re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    saved = [re.findall(r'save\("(.*?\.svg)"\)', block) for block in code]
    last = max(k for k, paths in enumerate(saved) if paths)
    names: dict[str, object] = {}
    with contextlib.chdir(folder):
        for block, paths in zip(code[: last + 1], saved, strict=False):
            exec(block, names)
            for path in paths:
                print(f"wrote {folder / path}")


def main() -> None:
    (HERE / "pictures").mkdir(exist_ok=True)
    draw(HERE / "pictures.md", HERE)
    draw(HERE.parent / "README.md", HERE / "pictures")


if __name__ == "__main__":
    main()
