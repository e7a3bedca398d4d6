"""What ``tg.draw`` returns: DOT, files of it, and itself in a notebook."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from .dot import source
from .layout import lay_out_graph
from .model import Graph, recorded
from .renderers import NoGraphvizError, run

VIEWS = ("unrolled",)
DIRECTIONS = ("LR", "TB")
SUFFIXES = (".svg", ".dot", ".png", ".pdf")
