"""tg.testing.strategies: tensors and programs that Hypothesis draws, shrinks and prints."""

import math
import re
import subprocess
import sys
from itertools import islice

import numpy as np
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn.testing import strategies
from tinygrad_rnn.testing.strategies.arrays import SHAPES, literal, numbers
from tinygrad_rnn.tree import leaves

FIXED = settings(max_examples=300, derandomize=True, database=None, deadline=None)


def drawn(strategy, count=200):
    found = []

    @settings(FIXED, max_examples=count)
    @given(strategy)
    def collect(value):
        found.append(value)

    collect()
    return found


# ---- numbers and shapes


@pytest.mark.parametrize(("low", "high"), [(-3, 3), (0.1, 0.3), (-1e6, 1e6), (2, 2), (0, math.inf), (-math.inf, -5)])
def test_numbers_lie_within_bounds_and_the_simplest_come_first(low, high):
    table = numbers(low, high)
    assert 1 <= len(table) <= 256
    assert table.min() >= low
    assert table.max() <= high
    assert len(set(table)) == len(table)
    digits = [len(float(x).hex().rstrip("0")) for x in table]
    assert np.mean(digits[: len(digits) // 4 + 1]) <= np.mean(digits[len(digits) // 2 :])
    assert len(table) > 100 or low == high


@pytest.mark.parametrize("points", [(0.0,), (-1.0, 1.0), tuple(range(-3, 4))])
def test_numbers_keep_away_from_points(points):
    table = numbers(-3.5, 3.5, tuple(map(float, points)), 0.25)
    assert min(abs(x - p) for x in table for p in points) >= 0.25


def test_numbers_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="no number in"):
        numbers(-0.05, 0.05, (0.0,))
    with pytest.raises(ValueError, match="low <= high"):
        numbers(2, 1)


@pytest.mark.parametrize(
    "array", [np.array(0.5), np.zeros((0, 2)), np.array([[1.0, -2.5]]), np.array([[True], [False]])]
)
def test_literals_are_the_arrays(array):
    again = eval(literal(array), {"np": np})
    assert again.dtype == array.dtype
    np.testing.assert_array_equal(again, array, strict=True)


# ---- tensors


def test_tensors_of_any_small_shape():
    found = drawn(strategies.tensors(), 400)
    assert {t.shape for t in found} == set(SHAPES)
    assert all(t.dtype == np.float64 and t.requires_grad and t.is_leaf for t in found)
    values = np.concatenate([t.data.ravel() for t in found])
    assert len(set(values)) > 100
    assert np.abs(values).max() <= 3


def test_tensors_as_told():
    shapes = st.tuples(st.integers(1, 3), st.integers(0, 2))
    for t in drawn(strategies.tensors(shapes, np.float32, (0.5, 0.75), requires_grad=False), 50):
        assert t.ndim == 2
        assert t.dtype == np.float32
        assert not t.requires_grad
        assert ((t.data >= 0.5) & (t.data <= 0.75)).all()
    assert {t.shape for t in drawn(strategies.tensors(4), 3)} == {(4,)}


@pytest.mark.parametrize("elements", [None, (-2, 2), st.floats(-1, 1), st.integers(-1, 1)])
def test_tensors_keep_away_from_kinks(elements):
    found = drawn(strategies.tensors((3,), elements=elements, away_from=(0, 1), distance=0.25), 100)
    values = np.concatenate([t.data for t in found])
    assert min(np.abs(values).min(), np.abs(values - 1).min()) >= 0.25


def test_bad_requests_for_tensors_are_refused_at_once():
    with pytest.raises(TypeError, match="floating-point dtype, got int64"):
        strategies.tensors(dtype=np.int64)
    with pytest.raises(ValueError, match="no number in"):
        strategies.tensors(elements=(-0.05, 0.05), away_from=0)


def test_tensors_shrink_to_few_simple_numbers():
    t = find(strategies.tensors(), lambda t: t.size >= 3 and (t.data > 1).any(), settings=FIXED)
    assert t.size <= 4
    assert sorted(t.data.ravel()) == [0] * (t.size - 1) + [2]


def test_broadcastable_tensors():
    found = drawn(strategies.broadcastable(3))
    for tensors in found:
        np.broadcast_shapes(*(t.shape for t in tensors))
    shapes = [tuple(t.shape for t in tensors) for tensors in found]
    assert any(len({len(s) for s in three}) > 1 for three in shapes)  # missing axes
    assert any(1 in a and len(a) == len(b) and max(b) > 1 for a, b, _ in shapes)  # axes of length 1
    assert any(0 in s for three in shapes for s in three)
    assert sum(len(set(three)) == 3 for three in shapes) > len(shapes) // 10
    for tensors in drawn(strategies.broadcastable(2, (2, 3), elements=(1, 2), away_from=1.5), 30):
        for t in tensors:
            assert np.broadcast_shapes(t.shape, (2, 3)) == (2, 3)
            assert ((np.abs(t.data - 1.5) >= 0.1) & (t.data >= 1) & (t.data <= 2)).all()


# ---- programs


def results(program, *inputs):
    return [y for _, y in leaves(program(*inputs))]


@settings(max_examples=5 * settings().max_examples)
@given(strategies.programs())
def test_programs_run_are_finite_and_pure(program):
    before = [x.copy() for x in program.inputs]
    ys = results(program, *program.inputs)
    assert 1 <= len(program.operations) <= 8
    for y in ys:
        assert isinstance(y, np.ndarray)
        assert y.dtype == np.float64
        assert (np.abs(y) <= 1000).all()
    tensors = [tg.Tensor(x, requires_grad=True) for x in program.inputs]
    recorded = results(program, *tensors)
    for y, again, t in zip(ys, results(program, *program.inputs), recorded, strict=True):
        np.testing.assert_array_equal(y, again)
        np.testing.assert_allclose(t.data, y, rtol=1e-12, atol=1e-12)
    for x, old in zip(program.inputs, before, strict=True):
        np.testing.assert_array_equal(x, old, strict=True)


def test_every_value_is_used_or_returned():
    for program in islice(strategies.sample_programs(0), 300):
        *body, last = program.source.splitlines()[1:]
        made = re.findall(r"\bv\d+\b", " ".join(line.split(" = ")[0] for line in body))
        used = re.findall(r"\b[vx]\d+\b", " ".join(line.split(" = ", 1)[1] for line in body))
        returned = re.findall(r"\bv\d+\b", last)
        assert set(made) == set(returned) | {name for name in used if name[0] == "v"}
        assert set(returned).isdisjoint(used)
        assert {f"x{i}" for i in range(len(program.inputs))} == {name for name in used if name[0] == "x"}
        assert len(body) == len(program.operations)


def test_programs_share_values_and_repeat_inputs():
    texts = [program.source for program in islice(strategies.sample_programs(1), 300)]
    uses = [re.findall(r"\b[vx]\d+\b", text.split("return")[0]) for text in texts]
    assert sum(any(names.count(f"v{k}") > 2 for k in range(9)) for names in uses) > 30  # made once, used twice
    assert sum(names.count("x0") > 2 for names in uses) > 30


def test_the_same_seed_gives_the_same_programs():
    first, second, other = ([p.source for p in islice(strategies.sample_programs(s), 20)] for s in (3, 3, 4))
    assert first == second
    assert first != other
    assert len(set(first)) == 20


def test_numbers_of_operations():
    for program in islice(strategies.sample_programs(0, min_operations=3, max_operations=4), 50):
        assert 3 <= len(program.operations) <= 4
    for bounds in [(0, 2), (3, 2)]:
        with pytest.raises(ValueError, match="min_operations"):
            strategies.programs(min_operations=bounds[0], max_operations=bounds[1])


def test_programs_print_as_scripts_that_run(tmp_path):
    checked = 0
    for program in islice(strategies.sample_programs(5), 30):
        namespace = {}
        exec(repr(program), namespace)  # ends with the check
        for x, i in zip(program.inputs, range(99), strict=False):
            np.testing.assert_array_equal(namespace[f"x{i}"], x, strict=True)
        checked += 1
    assert checked == 30
    script = tmp_path / "program.py"
    script.write_text(repr(program) + "\nprint('checked')\n")
    ran = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert ran.stdout == "checked\n"


def test_a_failure_prints_the_script_where_it_can_be_copied():
    @settings(FIXED, max_examples=5, print_blob=False)
    @given(strategies.programs(["np.tanh"], max_operations=1))
    def fails(program):
        raise AssertionError

    with pytest.raises(AssertionError) as raised:
        fails()
    notes = "\n".join(raised.value.__notes__)
    script = notes[
        notes.index("import numpy") : notes.index("gradcheck(program, (x0,))") + len("gradcheck(program, (x0,))")
    ]
    exec(script, {})
    assert "v0 = np.tanh(x0)" in script


# ---- which functions


def test_only_the_functions_that_were_asked_for():
    wanted = [np.tanh, "np.sum", "matmul", tg.functional.relu, "getitem", tg.scan]
    names = {"np.tanh", "np.sum", "np.matmul", "tg.functional.relu", "getitem", "tg.scan"}
    found = {name for p in islice(strategies.sample_programs(0, wanted), 60) for name in p.operations}
    assert found == names
    with pytest.raises(ValueError, match=r"no operation for 'np\.nothing'"):
        strategies.programs(["np.nothing"])
    with pytest.raises(ValueError, match="no functions are left"):
        strategies.programs([])


@tg.primitive
def swish(x, slope):
    return x / (1 + np.exp(-slope * x))


tg.defvjp(swish, definition=lambda x, slope: x / (1 + np.exp(-slope * x)))


def halved(x):
    return x * 0.5


def test_functions_of_ones_own():
    extra = [strategies.Operation(swish, None, (0.5, 2.0)), halved]
    names = set()
    for program in islice(strategies.sample_programs(0, ["np.add", "np.sum"], extra=extra), 60):
        tg.testing.gradcheck(program, program.inputs)
        names |= set(program.operations)
        assert ("from test_strategies import swish" in repr(program)) == ("swish" in program.operations)
    assert names == {"np.add", "np.sum", "swish", "halved"}
    (alone,) = {p.operations for p in islice(strategies.sample_programs(0, [], extra=[halved], max_operations=1), 9)}
    assert alone == ("halved",)


def test_the_domain_of_ones_own_function_is_kept():
    seen = []

    def watched(x, y):
        seen.append((np.asarray(x), np.asarray(y)))
        return x * y

    watched.__qualname__ = "watched"
    inside = strategies.Operand(1.0, 2.0, fits=lambda shape: len(shape) == 1)
    operation = strategies.Operation(watched, inside, (-0.5, 0.0))
    for _ in islice(strategies.sample_programs(2, ["np.multiply", "np.negative", "np.stack"], extra=[operation]), 200):
        pass
    assert len(seen) > 100
    for x, y in seen:
        assert x.ndim == 1
        assert ((x >= 1) & (x <= 2)).all()
        assert ((y >= -0.5) & (y <= 0)).all()
    assert len({y.shape for _, y in seen}) > 3  # whatever broadcasts


def test_bad_operations_are_refused():
    with pytest.raises(TypeError, match="expected a function"):
        strategies.Operation("np.tanh", None)
    with pytest.raises(ValueError, match="a domain for each operand"):
        strategies.Operation(np.tanh)
    with pytest.raises(ValueError, match="name="):
        strategies.Operation(lambda x: x, None)
    with pytest.raises(TypeError, match="functions or Operations"):
        strategies.programs(extra=["np.tanh"])
    same = [strategies.Operation(function, None, name="same") for function in (lambda x: x, lambda x: x + 1)]
    assert set(next(strategies.sample_programs(0, [], extra=same[:1])).operations) == {"same"}
    with pytest.raises(ValueError, match="two functions are called same"):
        strategies.programs(extra=same)


def test_no_hypothesis_is_one_clear_sentence():
    code = "import sys; sys.modules['hypothesis'] = None\nimport tinygrad_rnn.testing.strategies"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.stderr.splitlines()[-1].startswith("ImportError: ")
    assert 'pip install "tinygrad-rnn[testing]"' in ran.stderr.splitlines()[-1]
