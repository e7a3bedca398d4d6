"""The benchmarks run and measure the same computation in each library; no test here depends on a time.

The parts ``layers`` and ``memory`` have a file of their own, ``test_benchmarks_layers.py``; so has ``pictures``.
"""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
NEEDS = {"autograd": ("autograd", "scipy"), "jax": ("jax",), "mygrad": ("mygrad",), "torch": ("torch",)}
PEERS = [
    pytest.param(
        peer,
        marks=pytest.mark.skipif(
            any(importlib.util.find_spec(need) is None for need in needs),
            reason=f'measures {peer}, which is not installed (pip install "tinygrad-rnn[peers]")',
        ),
    )
    for peer, needs in NEEDS.items()
]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def python(code: str) -> str:
    """What it prints, in a process of its own."""
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


def results(file: Path, *arguments: str) -> tuple[dict[str, Any], str]:
    process = run(*arguments, "--quick", "--json", str(file))
    assert process.returncode == 0, process.stderr
    return json.loads(file.read_text()), process.stdout


def test_every_other_part_runs_for_tinygrad_rnn_alone(tmp_path: Path) -> None:
    parts = ("loop", "steps", "import", "chain")
    found, text = results(tmp_path / "r.json", *parts, "--libraries", "tinygrad_rnn", "--sizes", "3,2,4,5", "1,1,1,1")
    assert [(row["cell"], row["size"]) for row in found["loop"]["rows"]] == [
        (cell, size) for cell in ("rnn", "lstm", "gru") for size in ([3, 2, 4, 5], [1, 1, 1, 1])
    ]
    for row in found["loop"]["rows"]:
        times = row["times"]["tinygrad_rnn"]
        assert 0 < times["forward"] < times["total"]
    assert {row["cell"] for row in found["steps"]["rows"]} == {"rnn", "lstm", "gru"}
    assert set(found["import"]["median"]) == {"numpy", "tinygrad_rnn"}
    assert found["machine"]["versions"]["tinygrad_rnn"]
    for title in ("A training step in a Python loop", "Time a step", "Import", "A chain of additions"):
        assert f"## {title}" in text


def test_a_long_chain_is_freed_by_reference_counts_alone(tmp_path: Path) -> None:
    found, _ = results(tmp_path / "r.json", "chain", "--libraries", "tinygrad_rnn")
    assert found["chain"]["length"] == 20_000
    for row in found["chain"]["rows"]:
        assert row["left_objects"] < 10, "the collector was off: nodes that are still there form a cycle"


@pytest.mark.parametrize("peer", PEERS)
def test_the_libraries_gradients_agree(tmp_path: Path, peer: str) -> None:
    found, text = results(tmp_path / "r.json", "loop", "--sizes", "4,3,5,6", "--libraries", "tinygrad_rnn", peer)
    assert found["loop"]["libraries"] == ["tinygrad_rnn", peer]
    for row in found["loop"]["rows"]:
        assert 0 < row["deviation"] < 1e-5
        assert (row["times"][peer]["forward"] is None) == (peer == "jax")  # one compiled function
        assert (row["compile"][peer] is None) == (peer != "jax")
    assert f"geometric mean of 3 ratios to {peer}" in text


@pytest.mark.parametrize(
    ("array", "words"),
    [
        ("g * np.float32(1.001)", "off by 1.0e-03 from last's"),
        ("g.astype(np.float64)", "is float64 (2, 1, 3), expected float32 (2, 1, 3)"),
        ("g[:1]", "is float32 (1, 1, 3), expected float32 (2, 1, 3)"),
        ("g * 0", "is not finite, or zero everywhere"),
        ("g * np.float32('nan')", "is not finite, or zero everywhere"),
    ],
)
def test_a_library_with_another_gradient_is_not_timed(array: str, words: str) -> None:
    code = f"""
import numpy as np
from types import SimpleNamespace as Worker
from benchmarks import loop
def right(_method, _key, _cell, variables, _constants):
    return dict(variables)
def wrong(_method, _key, _cell, variables, _constants):
    return {{name: {array} if name == "x" else g for name, g in variables.items()}}
workers = [Worker(library=name, ask=right) for name in ("first", "middle", "last")]
print(loop.prepare(workers, "loop", "gru", loop.Size(2, 1, 3, 4)))
workers[1].ask = wrong
try:
    loop.prepare(workers, "loop", "gru", loop.Size(2, 1, 3, 4))
except RuntimeError as error:
    print(error)
"""
    deviation, message = python(code).splitlines()
    assert float(deviation) == 0
    assert message.startswith("middle, gru (2, 1, 3, 4): the gradient of x")
    assert message.endswith(words)


def test_libraries_between_the_first_and_the_last_are_timed_briefly() -> None:
    """``measure`` is asked of fake workers, whose steps last a tenth of a second."""
    code = """
from benchmarks import workers, steps
class Worker(workers.Worker):
    def __init__(self, library):
        self.library, self.asked, self.prepared = library, [], set()
    process = property(lambda self: __import__("os").getpid())
    def ask(self, method, *arguments):
        if method == "prepare":
            self.prepared.add(arguments[1])
        if method == "measure":
            self.asked.append(arguments[1])
            return [(0.1, None)] * arguments[1]
four = [Worker(name) for name in "abcd"]
workers.alternate(workers.turns_of(four, ["k"]), workers.FULL._replace(blocks=1))
print([worker.asked[1] for worker in four])
result = steps.run(four, ["rnn", "gru"], [2, 4], workers.QUICK)
print([row["cell"] + " " + row["library"] for row in result["rows"]])
print(steps.report(result))
"""
    repeats, rows, report = python(code).split("\n", 2)
    assert repeats == "[3, 1, 1, 3]"
    assert rows == "['rnn a', 'rnn b', 'rnn c', 'rnn d', 'gru a', 'gru d']"
    assert "one cell only of b, c, to save time" in report


@pytest.mark.parametrize("peer", [peer for peer in PEERS if peer.values != ("torch",)])
def test_each_library_that_records_is_measured_in_the_chain(tmp_path: Path, peer: str) -> None:
    found, text = results(tmp_path / "r.json", "chain", "--libraries", "tinygrad_rnn", peer)
    measured = {row["library"] for row in found["chain"]["rows"]}
    if peer == "jax":
        assert measured == {"tinygrad_rnn"}
        assert "jax has no such chain" in text
    else:
        assert measured == {"tinygrad_rnn", peer}
        assert f"time of tinygrad_rnn over {peer}'s, an addition, at width 1" in text


def test_long_chains_are_shortened_for_slow_libraries() -> None:
    code = """
from benchmarks import chain, workers
asked = []
class Worker:
    def __init__(self, library, threads): self.library = library
    def __enter__(self): return self
    def __exit__(self, *exc): pass
    def ask(self, method, length, width):
        asked.append((self.library, length, width))
        return {"build": 1, "walk": 1, "free": 1, "total": 3, "right": True} | dict.fromkeys(chain.COUNTS, 0)
chain.Worker = Worker
result = chain.run({"fast": float("inf"), "slow": 100, "none": 0}, 1, 1000, workers.QUICK)
print(asked)
print(chain.report(result))
"""
    asked, report = python(code).split("\n", 1)
    assert asked == "[('fast', 1000, 1), ('slow', 100, 1), ('fast', 1000, 32), ('slow', 100, 32)]"
    assert "time of fast over slow's, an addition, at width 1: 0.10" in report
    assert "none has no such chain" in report


def test_missing_libraries_are_skipped_and_the_extra_is_named() -> None:
    arguments = ["loop", "--quick", "--cells", "rnn", "--sizes", "2,2,2,2"]
    printed = python(
        "from benchmarks import adapters, __main__; adapters.installed = 'tinygrad_rnn'.__eq__; "
        f"__main__.main({arguments!r})"
    )
    for peer in NEEDS:
        words = f'{peer} is not installed, so nothing is compared with it: pip install "tinygrad-rnn[peers]"'
        assert words in printed
    assert "| rnn (2, 2, 2, 2)" in printed


@pytest.mark.parametrize("library", ["tinygrad_rnn", *PEERS])
def test_a_worker_imports_only_its_own_library_and_the_parent_none(library: str) -> None:
    printed = python(
        "import sys; from benchmarks import adapters, worker, __main__; "
        f"names = {['tinygrad_rnn', *NEEDS]!r}; print([name for name in names if name in sys.modules]); "
        f"adapters.load({library!r}); print([name for name in names if name in sys.modules])"
    )
    assert printed.splitlines() == ["[]", f"[{library!r}]"]


def test_what_an_adapter_lacks_is_named() -> None:
    code = """
import numpy as np
from benchmarks.adapters import load
lib, array = load("floor"), np.ones(2)
for lacking in (
    lambda: lib.stack([array]), lambda: lib.split(array, 2), lambda: lib.variable(array),
    lambda: lib.layer("lstm", {}, None), lambda: lib.picture(array, {}, None),
):
    try:
        lacking()
    except NotImplementedError as error:
        print(error)
"""
    assert python(code).splitlines() == [
        "floor has no stack of tensors",
        "floor has no split of a tensor",
        "floor has no leaves with a gradient",
        "floor has no recurrent layers",
        "floor has no pictures of graphs",
    ]


def test_a_worker_that_takes_too_long_is_ended() -> None:
    code = """
from benchmarks.workers import Worker
with Worker("tinygrad_rnn", 1) as worker:
    print(len(worker.ask("versions", limit=100)))
    try:
        worker.ask("chain", 100_000_000, 1, limit=0.5)
    except TimeoutError as error:
        print(error)
    print(worker._process.returncode)
"""
    words = "the worker of tinygrad_rnn took more than 0.5 s for 'chain'"
    assert python(code).splitlines() == ["3", words, "-9"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["looop"], "the parts are layers, compiled, memory, loop, steps, import, chain, pictures"),
        (["loop", "--sizes", "3,4,5"], "T,B,IN,HIDDEN"),
        (["loop", "--threads", "0"], "--threads: expected at least 1, got 0"),
        (["pictures", "--limit", "0"], "--limit: expected more than 0 seconds, got 0"),
        (["memory", "--checkpoint", "0"], "--checkpoint: expected at least 1, got 0"),
        (["loop", "--libraries", "abacus"], "invalid choice"),
    ],
)
def test_wrong_arguments_are_named(arguments: list[str], words: str) -> None:
    process = run(*arguments)
    assert process.returncode == 2
    assert words in process.stderr
