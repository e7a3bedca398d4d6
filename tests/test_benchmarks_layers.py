"""The parts ``layers`` and ``memory`` of the benchmarks: what they compare, count and promise; not how fast it is."""

import shutil
from pathlib import Path

import pytest
from test_benchmarks import PEERS, python, results

MEASURED = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="this system does not say how much memory a process has now"
)


def peers(*names: str) -> list[object]:
    return [peer for peer in PEERS if peer.values[0] in names]


def test_layers_of_tinygrad_rnn_alone(tmp_path: Path) -> None:
    sizes = ("3,2,4,5", "1,1,1,1")
    found, text = results(tmp_path / "r.json", "layers", "--libraries", "tinygrad_rnn", "--sizes", *sizes)
    rows = found["layers"]["rows"]
    whole = [(cell, size, False) for cell in ("rnn", "lstm", "gru") for size in ([3, 2, 4, 5], [1, 1, 1, 1])]
    assert [(row["cell"], row["size"], row["ragged"]) for row in rows] == [
        *whole, *((cell, [1, 1, 1, 1], True) for cell in ("rnn", "lstm", "gru"))
    ]  # fmt: skip
    for row in rows:
        times = row["training"]["times"]["tinygrad_rnn"]
        assert 0 < times["forward"] < times["total"]
        assert row["inference"]["times"]["tinygrad_rnn"]["forward"] is None
        assert row["training"]["deviation"] is None
        assert ("floor" in row["training"]) == ("floor" in row["inference"]) == (not row["ragged"])
        assert set(row["peaks"]) == {"tinygrad_rnn"}
    for mode in ("training", "inference"):
        ratios = found["layers"]["ratios"][mode]["floor"]["each"]
        for row in rows[:6]:
            ours, floor = row[mode]["times"]["tinygrad_rnn"]["total"], row[mode]["floor"]["total"]
            assert ratios[f"{row['cell']} ({', '.join(map(str, row['size']))})"] == ours / floor
    assert "## The libraries' own recurrent layers" in text


@pytest.mark.parametrize("peer", peers("jax", "torch"))
def test_the_layers_agree_in_gradients_and_outputs_with_and_without_lengths(tmp_path: Path, peer: str) -> None:
    arguments = ("--sizes", "4,3,5,6", "--cells", "gru", "--libraries", "tinygrad_rnn", peer)
    found, text = results(tmp_path / "r.json", "layers", *arguments)
    rows = found["layers"]["rows"]
    assert [row["ragged"] for row in rows] == [False, True]
    for row in rows:
        for mode in ("training", "inference"):
            assert 0 < row[mode]["deviation"] < 1e-5
            assert (row[mode]["compile"][peer] is None) == (peer != "jax")
        assert set(row["peaks"]) == {"tinygrad_rnn", peer}
    ratio = rows[0]["training"]["times"]["tinygrad_rnn"]["total"] / rows[0]["training"]["times"][peer]["total"]
    assert found["layers"]["ratios"]["training"][peer]["all"]["geometric_mean"] == pytest.approx(ratio)
    assert f"geometric mean of 1 ratios to {peer}" in text
    assert ("target: at most 0.65" in text) == (peer == "torch")


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
@pytest.mark.parametrize("peer", peers("jax", "torch"))
def test_the_other_cells_agree_too(cell: str, peer: str) -> None:
    code = f"""
from benchmarks import layers, workers
with workers.Worker("tinygrad_rnn", 1) as ours, workers.Worker({peer!r}, 1) as theirs:
    for mode in layers.MODES:
        for ragged in (False, True):
            print(layers.prepare([ours, theirs], mode, {cell!r}, layers.Size(4, 3, 5, 6), ragged))
"""
    deviations = [float(line) for line in python(code).splitlines()]
    assert len(deviations) == 4
    assert max(deviations) < 1e-5


@pytest.mark.parametrize("peer", peers("mygrad", "autograd"))
def test_libraries_without_layers_are_named(tmp_path: Path, peer: str) -> None:
    found, text = results(tmp_path / "r.json", "layers", "--libraries", peer, "--sizes", "2,2,2,2")
    assert found["layers"]["rows"] == []
    assert f"{peer} has no recurrent layers" in text


@pytest.mark.parametrize("mode", ["training", "inference"])
def test_a_layer_that_computes_something_else_is_not_timed(mode: str) -> None:
    code = f"""
import numpy as np
from types import SimpleNamespace as Worker
from benchmarks import layers
from benchmarks.cells import layer_data
asked = []
def right(method, key, cell, size, ragged, training, options):
    asked.append((method, key, ragged, training, options))
    variables, constants = layer_data(cell, size, ragged)
    return variables if training else {{"output": constants["upstream"]}}
def wrong(*arguments):
    return {{name: a * np.float32(1.001) for name, a in right(*arguments).items()}}
workers = [Worker(library="first", ask=right), Worker(library="last", ask=right)]
size = layers.Size(2, 1, 3, 4)
print(layers.prepare(workers, {mode!r}, "gru", size, True), asked[0])
workers[0].ask = wrong
try:
    layers.prepare(workers, {mode!r}, "gru", size, True)
except RuntimeError as error:
    print(error)
"""
    first, message = python(code).splitlines()
    assert first == f"0.0 ('prepare_layer', {mode!r}, True, {mode == 'training'}, {{}})"
    array = "the gradient of x" if mode == "training" else "the output"
    assert message == f"first, gru (2, 1, 3, 4), ragged: {array} is off by 1.0e-03 from last's"


@pytest.mark.parametrize("layout", ["rows", "columns"])
@pytest.mark.parametrize("size", ["Size(5, 3, 4, 6)", "Size(4, 1, 2, 3)", "Size(1, 2, 3, 4)"])
def test_the_floor_is_all_the_matrix_products_of_a_layer(layout: str, size: str) -> None:
    """Against float64 sums over named axes: step (t), sequence (b), row of the gates (g), input (i), unit (h)."""
    python(f"""
import numpy as np
from benchmarks.adapters.floor import Products
from benchmarks.cells import Size, layer_data
variables, constants = layer_data("lstm", {size}, False)
p = Products(variables, constants["upstream"], {layout!r})
made = [p.z, p.from_h, p.dh, *p.gradients.values()]
for array in made:
    array.fill(np.nan)
p.forward()
p.backward()
x, h, dz, w_ih, w_hh = (a.astype(np.float64) for a in (p.x, p.h, p.dz, p.w_ih, p.w_hh))
columns = "{layout}" == "columns"
expected = [
    np.einsum("tbi,gi->tbg", x, w_ih),
    np.einsum("tbh,gh->tgb" if columns else "tbh,gh->tbg", h[:-1], w_hh),
    np.einsum("tbg,gh->thb" if columns else "tbg,gh->tbh", dz[1:], w_hh),
    np.einsum("tbg,gi->tbi", dz, w_ih),
    np.einsum("tbg,tbi->gi", dz, x),
    np.einsum("tbg,tbh->gh", dz[1:], h[:-1]),
]
for found, wanted in zip(made, expected, strict=True):
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
""")


def test_ragged_lengths_lie_in_the_sequence_and_the_first_fills_it() -> None:
    printed = python("""
from benchmarks.cells import Size, layer_data
for steps in range(1, 30):
    ends = layer_data("rnn", Size(steps, 50, 1, 1), True)[1]["lengths"]
    print(ends[0] == steps, 1 <= ends.min() <= ends.max() <= steps, ends.shape)
""")
    assert set(printed.splitlines()) == {"True True (50,)"}


def test_the_verdicts_are_of_the_means_over_all_cells_and_over_the_lstm_without_ragged_rows() -> None:
    """Made-up times: every RNN and GRU takes half of torch's time; the LSTM 1 to 2 times, 2 at the last size."""
    code = """
from benchmarks import layers
def row(cell, size, ragged, ratio):
    part = {"times": {"tinygrad_rnn": {"total": 0.5 * ratio}, "torch": {"total": 0.5}}, "floor": {"total": 0.5}}
    return {"cell": cell, "size": size, "ragged": ragged, "training": part, "inference": part}
rows = [row(cell, size, False, 0.5) for cell in ("rnn", "gru") for size in layers.SIZES]
rows += [row("lstm", size, False, 2.0 if size is layers.SIZES[-1] else 1.0) for size in layers.SIZES]
rows += [row("lstm", layers.SIZES[3], True, 100.0)]
libraries = ["tinygrad_rnn", "torch"]
result = {"rows": rows, "libraries": libraries, "ratios": layers.summary(rows, libraries)}
for mode in layers.MODES:
    print(*layers.verdicts(result, mode), sep="\\n")
"""
    lines = python(code).splitlines()
    assert lines == [
        "geometric mean of 18 ratios to torch: 0.65 (target: at most 0.65; NOT met)",  # 2 ** (-11 / 18) is 0.6547
        "worst cell, lstm (100, 64, 256, 512): 2.00 (target: at most 1.6; NOT met)",
        "geometric mean of 6 LSTM ratios to torch: 1.12 (target: at most 1.35; met; stretch: 1, NOT met)",
        "worst LSTM cell, lstm (100, 64, 256, 512): 2.00 (target: at most 1.6; NOT met)",
        "lstm (100, 64, 256, 512) over its matrix products alone: 2.00 (target: at most 1.35; NOT met)",
        "geometric mean of 18 ratios to torch: 0.65",
        "worst cell, lstm (100, 64, 256, 512): 2.00",
        "geometric mean of 6 LSTM ratios to torch: 1.12",
        "worst LSTM cell, lstm (100, 64, 256, 512): 2.00",
    ]


PEAKS = """
import numpy as np
from benchmarks import resident
def call():
    np.ones(60_000_000, np.uint8)
    return np.ones(20_000_000, np.uint8)
def peak_after(size):
    np.ones(size, np.uint8)
    result, peak = resident.peak_of(call)
    assert result.nbytes == 20_000_000
    return peak
"""


@MEASURED
def test_the_peak_is_of_the_call_alone() -> None:
    """A call that makes and frees 60 MB, then returns 20 MB; what came before it was smaller, and larger."""
    printed = python(f"""{PEAKS}
for before in (0, 30_000_000, 200_000_000):
    peak = peak_after(before)
    print(peak.bytes if peak.method == resident.RESET else "never")
""")
    if "never" in printed:
        pytest.skip("this system does not let a process set back its high-water mark")
    for peak in printed.split():
        assert 59_000_000 < int(peak) < 64_000_000


@MEASURED
def test_where_the_mark_cannot_be_set_back_a_peak_below_an_earlier_one_is_not_known() -> None:
    printed = python(f"""{PEAKS}
resident._forget_peak = lambda: False
first, second = peak_after(0), peak_after(200_000_000)
assert first.method == second.method == resident.EXCEEDED
print(first.bytes, second.bytes)
""")
    first, second = printed.split()
    assert 59_000_000 < int(first) < 64_000_000
    assert second == "None"


@MEASURED
def test_a_layer_and_a_scan_of_its_cell_have_the_same_gradients_and_take_at_least_what_they_make() -> None:
    code = """
import numpy as np
from benchmarks import memory, workers
size = memory.Size(300, 16, 64, 32)
answers = []
for method in ("layer_step", "scan_step"):
    with workers.Worker(memory.LIBRARY, 1) as worker:
        answers.append(worker.ask("peak", method, memory.CELL, size, False, {}))
layer, scan = (answer["gradients"] for answer in answers)
for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
    assert layer[name].any()
    np.testing.assert_allclose(scan[name], layer[name], rtol=1e-4, atol=1e-4 * abs(layer[name]).max())
print(sum(memory.bytes_of(size)["during the step"].values()), *(answer["bytes"] for answer in answers))
"""
    counted, *peaks = python(code).split()
    assert int(counted) == 4 * (300 * 16 * (64 + 32) + 4 * 32 * (64 + 32 + 2))
    for peak in peaks:
        assert int(peak) > int(counted)


def test_what_lies_beyond_is_the_peak_less_what_is_counted() -> None:
    """Made-up peaks: 2 MB and 20 MB beyond the bytes that are counted."""
    code = """
import numpy as np
from benchmarks import memory
asked = []
class Worker:
    def __init__(self, library, threads): asked.append(library)
    def __enter__(self): return self
    def __exit__(self, *exc): pass
    def ask(self, method, what, cell, size, ragged, options):
        asked.append((method, what, options))
        counted = sum(memory.bytes_of(size)["during the step"].values())
        beyond = 2_000_000 if options else 20_000_000
        gradients = {"w": np.ones(2, np.float32)}
        return {"bytes": peak(counted + beyond), "method": "a rule", "seconds": 1.0, "gradients": gradients}
memory.Worker = Worker
for peak in (lambda found: found, lambda found: None):
    result = memory.run([memory.Case("a layer", "layer_step", memory.Size(100, 1, 2, 3), 0.1)], None, 1)
    print([row["beyond"] for row in result["cases"][0]["rows"]], result["cases"][0]["ratio"])
    print(memory.report(result).splitlines()[-1])
print(asked[:4])
print(memory.report(result))
"""
    numbers, words, unknown, no_words, asked, report = python(code).split("\n", 5)
    assert numbers == "[2000000, 20000000] 0.1"
    what = "beyond inputs, outputs and their gradients, checkpoint=10 over without"
    assert words == f"{what}: 0.10 (target: at most 0.1; met)"
    assert (unknown, no_words) == ("[None, None] None", f"{what}: not known")
    step = "'tinygrad_rnn', ('peak', 'layer_step', "
    assert asked == f"[{step}{{'checkpoint': 10}}), {step}{{}})]"
    assert "not known" in report


@MEASURED
def test_checkpoints_save_memory_in_a_layer_and_in_a_scan(tmp_path: Path) -> None:
    found, text = results(tmp_path / "r.json", "memory")
    cases = found["memory"]["cases"]
    assert [case["what"] for case in cases] == ["tg.nn.LSTM", "tg.scan of tg.nn.LSTMCell"]
    for case in cases:
        with_it, without = case["rows"]
        assert (with_it["checkpoint"], without["checkpoint"]) == (round(case["size"][0] ** 0.5), None)
        if with_it["bytes"] is None or without["bytes"] is None:
            pytest.skip("this system does not let a process set back its high-water mark")
        assert with_it["beyond"] < without["beyond"] / 2
        assert case["ratio"] == with_it["beyond"] / without["beyond"]
    assert "## What checkpointing saves" in text


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_the_compiled_loop_is_the_same_lstm(tmp_path: Path) -> None:
    sizes = ("3,2,4,5", "1,1,1,1")
    found, text = results(tmp_path / "r.json", "compiled", "--libraries", "tinygrad_rnn", "--sizes", *sizes)
    rows = found["compiled"]["rows"]
    assert [row["size"] for row in rows] == [[3, 2, 4, 5], [1, 1, 1, 1]]
    for row in rows:
        assert set(row["times"]) == {"tinygrad_rnn", "compiled"}
        assert row["floor"]["total"] > 0
        assert row["deviation"] < 1e-5
    assert "geometric mean of 2 ratios to the compiled loop" in text


def test_without_a_compiler_no_loop_is_measured() -> None:
    code = """
from benchmarks import compiled
compiled.available = lambda: False
print(compiled.report(compiled.run([compiled.Size(1, 1, 1, 1)], 1, None)))
"""
    assert python(code).strip().startswith("not measured: no C compiler")
