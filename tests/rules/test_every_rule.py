"""Each rule in the table, by property: values, first and second derivatives, dtypes; see the checks in case.py.

A rule that has no case here fails ``test_every_rule_has_a_case``.
"""

import subprocess
import sys

import pytest
import test_functional

from tinygrad_rnn.primitives import TABLE

from . import elementwise, linalg, reduction, shape
from .case import CHECKS, run, silence

CASES = [*elementwise.CASES, *reduction.CASES, *shape.CASES, *linalg.CASES]

LIST_TABLE = """
import tinygrad_rnn as tg
tg.functional, tg.nn, tg.optim
for entry in tg.primitives.TABLE.values():
    print(entry.function.__module__ if hasattr(entry.function, "__module__") else "numpy", entry.function.__name__)
"""


def recorded(case):
    """The primitives in the graphs that the case's calls record."""
    found = set()

    def note(call):
        nodes = [y.node for y in call.ours()[1] if y.node is not None]
        while nodes:
            node = nodes.pop()
            nodes.extend(parent for parent in node.parents if parent is not None)
            if node.primitive is not None:
                found.add(node.primitive.function)

    with silence():
        run(case, note, share=0.2)
    assert case not in CASES or TABLE[case.primitive].function in found
    return found


def test_every_rule_has_a_case():
    # the table is asked of a fresh process, because other tests register rules of their own
    listed = subprocess.run([sys.executable, "-c", LIST_TABLE], capture_output=True, text=True, check=True)
    functions = set().union(*(recorded(case) for case in [*CASES, *test_functional.CASES]))
    reached = {f"{getattr(f, '__module__', 'numpy')} {f.__name__}" for f in functions}
    untested = set(listed.stdout.splitlines()) - reached
    assert untested == {
        "tinygrad_rnn.walk _alias",  # made in the walk; see test_structure.py
        "tinygrad_rnn.checkpoint _stretch",  # recorded by scan and layers; see test_checkpoint.py
        # sequences of layers; see test_layers.py
        *(f"tinygrad_rnn.nn.fused.sequence {name}" for name in ("rnn_tanh", "rnn_relu", "lstm", "gru")),
    }


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_rule(case, check):
    run(case, check)
