"""A picture as a page of its own: one HTML file that any browser opens, with nothing to load and nothing to run."""

from __future__ import annotations

import html
import re

from .labels import visible

# What stands before the picture in a file of its own: an HTML parser would read it as text or as a bogus comment.
_PROLOG = re.compile(r"\s*(<\?xml.*?\?>\s*)?(<!DOCTYPE[^<>]*>\s*)?(<!--.*?-->\s*)*(?=<svg[\s>])", re.DOTALL)

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --ink: #222222; --soft: #595959; --ground: #f3f4f6; --rim: #d0d4da; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ink: #e8eaed; --soft: #a8adb5; --ground: #17191c; --rim: #3c4047; }}
}}
* {{ box-sizing: border-box; }}
body {{
  display: flex; flex-direction: column; gap: 0.75rem; height: 100vh; margin: 0; padding: 1rem;
  background: var(--ground); color: var(--ink); font: 1rem/1.4 system-ui, sans-serif;
}}
h1 {{ margin: 0; font-size: 1.25rem; overflow-wrap: anywhere; }}
p {{ margin: 0.25rem 0 0; color: var(--soft); }}
main {{
  align-self: flex-start; max-width: 100%; min-height: 12rem; padding: 0.75rem; overflow: auto; color-scheme: light;
  background: #ffffff; border: 1px solid var(--rim); border-radius: 0.75rem; forced-color-adjust: none;
}}
main:focus-visible {{ outline: 3px solid #56b4e9; outline-offset: 2px; }}
svg {{ display: block; }}
@page {{ size: landscape; margin: 12mm; }}
@media print {{
  :root {{ color-scheme: light; --ink: #000000; --soft: #444444; --ground: #ffffff; }}
  body {{ display: block; height: auto; padding: 0; }}
  main {{ margin-top: 0.75rem; padding: 0; overflow: visible; border: 0; print-color-adjust: exact; }}
  svg {{ max-width: 100%; max-height: 80vh; height: auto; }}
}}
</style>
</head>
<body>
<header>
<h1>{title}</h1>
<p>{summary}</p>
</header>
<main tabindex="0" aria-label="The picture; arrow keys scroll it">
{picture}</main>
</body>
</html>
"""


def page(svg: str, title: str, summary: str) -> str:
    r"""An HTML page around a picture, complete in itself.

    There is no script in it, so that nothing in it can be taken for one: the names in a picture come from users, and a
    page that runs none can forbid them all, as this one's Content-Security-Policy does, along with everything that
    would be loaded. What needs one elsewhere the browser does by itself: tooltips are the SVG's own, scrolling is CSS.
    The picture stands in its natural size (on paper, at most the sheet's), and keeps its light ground in the dark.

    Args:
        svg: As Graphviz writes it: with its prolog, which is left out, and all other characters as they are.
        title: Text, shown as it is.
        summary: Text, one line below.

    Raises:
        ValueError: not an SVG file.

    >>> from tinygrad_rnn.drawing.page import page
    >>> text = page('<?xml version="1.0"?>\n<svg><text>w &lt; 1</text></svg>\n', "w < 1", "Nodes: 1")
    >>> [line for line in text.splitlines() if "w &" in line]
    ['<title>w &lt; 1</title>', '<h1>w &lt; 1</h1>', '<svg><text>w &lt; 1</text></svg>']
    """
    prolog = _PROLOG.match(svg)
    if prolog is None:
        raise ValueError(f"page: expected an SVG file, got {svg[:60]!r}")
    return _PAGE.format(
        title=html.escape(visible(title)), summary=html.escape(visible(summary)), picture=svg[prolog.end() :]
    )
