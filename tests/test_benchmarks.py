"""The benchmarks run and measure the same computation in each library; no test here depends on a time."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def results(file: Path, *arguments: str) -> tuple[dict[str, Any], str]:
    process = run(*arguments, "--quick", "--json", str(file))
    assert process.returncode == 0, process.stderr
    return json.loads(file.read_text()), process.stdout


def test_every_part_runs_for_tinygrad_rnn_alone(tmp_path: Path) -> None:
    found, text = results(tmp_path / "r.json", "--libraries", "tinygrad_rnn", "--sizes", "3,2,4,5", "1,1,1,1")
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


def test_the_libraries_gradients_agree(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the comparison needs PyTorch (extra peers)")
    found, text = results(tmp_path / "r.json", "loop", "--sizes", "4,3,5,6")
    assert found["loop"]["libraries"] == ["tinygrad_rnn", "torch"]
    for row in found["loop"]["rows"]:
        assert 0 < row["deviation"] < 1e-5
    assert "geometric mean of 3 ratios to torch" in text


def test_without_torch_the_extra_is_named() -> None:
    code = "from benchmarks import adapters, __main__; adapters.installed = 'tinygrad_rnn'.__eq__; __main__.main({!r})"
    arguments = ["loop", "--quick", "--cells", "rnn", "--sizes", "2,2,2,2"]
    process = subprocess.run(
        [sys.executable, "-c", code.format(arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert 'torch is not installed, so nothing is compared with it: pip install "tinygrad-rnn[peers]"' in process.stdout
    assert "| rnn (2, 2, 2, 2)" in process.stdout


def test_our_worker_and_the_parent_never_import_torch() -> None:
    code = (
        "import sys; from benchmarks import adapters, worker, __main__; adapters.load('tinygrad_rnn'); "
        "print('torch' in sys.modules)"
    )
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["looop"], "the parts are loop, steps, import, chain"),
        (["loop", "--sizes", "3,4,5"], "T,B,IN,HIDDEN"),
        (["loop", "--threads", "0"], "--threads: expected at least 1, got 0"),
        (["loop", "--libraries", "abacus"], "invalid choice"),
    ],
)
def test_wrong_arguments_are_named(arguments: list[str], words: str) -> None:
    process = run(*arguments)
    assert process.returncode == 2
    assert words in process.stderr
