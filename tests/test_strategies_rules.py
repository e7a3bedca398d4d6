"""Random programs over the whole rule table: each rule is reached, right ones pass, planted faults are found."""

import subprocess
import sys
from contextlib import contextmanager
from itertools import chain, islice
from random import Random
from string import Formatter

import numpy as np
import pytest
from hypothesis import find, settings

import tinygrad_rnn as tg
from tinygrad_rnn.primitives import TABLE, Primitive, defvjp
from tinygrad_rnn.testing import strategies
from tinygrad_rnn.testing.strategies.operations import OPERATIONS
from tinygrad_rnn.testing.strategies.program import Builder
from tinygrad_rnn.tree import leaves

LIST_TABLE = """
import tinygrad_rnn as tg
tg.functional, tg.nn, tg.optim
for entry in tg.primitives.TABLE.values():
    print(entry.name)
"""


def ids(operation):
    return f"{operation.name} {operation.expressions[0]}"


@pytest.mark.parametrize("operation", OPERATIONS, ids=ids)
def test_an_operation_uses_all_its_operands_and_new_inputs_will_do(operation):
    for expression in operation.expressions:
        fields = {field for _, field, _, _ in Formatter().parse(expression) if field is not None}
        assert {field for field in fields if field.isdigit()} == {str(i) for i in range(len(operation.operands))}
    made = [Builder([[operation]], Random(seed)).build(1, 1) for seed in range(20)]
    assert sum(program is not None for program in made) >= 15


def test_every_public_function_has_an_operation():
    names = {operation.name for operation in OPERATIONS}
    assert {f"tg.functional.{name}" for name in tg.functional.__all__} - names == {"tg.functional.one_hot"}
    assert "tg.scan" in names


def test_every_rule_of_the_table_is_reached():
    # the table is asked of a fresh process, because other tests register rules of their own
    listed = subprocess.run([sys.executable, "-c", LIST_TABLE], capture_output=True, text=True, check=True)
    programs, nets = strategies.sample_programs(0), strategies.sample_recurrent_nets(0)
    counts = strategies.coverage(chain(islice(programs, 800), islice(nets, 60)))
    assert [name for name in dict.fromkeys(listed.stdout.split()) if not counts[name]] == []


# ---- a fast check: one directional derivative of one random combination of the results


def wrong(program):
    rng = np.random.default_rng(0)
    tensors = [tg.Tensor(x, requires_grad=True) for x in program.inputs]
    ys = [y for _, y in leaves(program(*tensors)) if y.requires_grad]
    if not ys:
        return False
    cotangents = [rng.normal(size=y.shape) for y in ys]
    slopes = tg.grad(ys, tensors, cotangents, allow_unused=True)
    for x, slope in zip(program.inputs, slopes, strict=True):
        v, sums = rng.normal(size=x.shape), []
        for h in (1e-5, -1e-5):
            moved = [y + h * v if y is x else y for y in program.inputs]
            found = [y for _, y in leaves(program(*(tg.Tensor(y, requires_grad=True) for y in moved)))]
            sums.append(
                sum(np.sum(u * y.data) for u, y in zip(cotangents, [y for y in found if y.requires_grad], strict=True))
            )
        numeric = (sums[0] - sums[1]) / 2e-5
        analytic = 0.0 if slope is None else np.sum(slope.data * v)
        if not abs(numeric - analytic) <= 1e-4 * (1 + abs(numeric)):
            return True
    return False


def test_right_rules_are_not_called_wrong():
    assert [program for program in islice(strategies.sample_programs(10), 400) if wrong(program)] == []


@contextmanager
def planted(function, *rules, **options):
    """``function`` has these rules inside."""
    entry = TABLE[function]
    before = {slot: getattr(entry, slot) for slot in Primitive.__slots__}
    defvjp(function, *rules, **options)
    try:
        yield
    finally:
        for slot, value in before.items():
            setattr(entry, slot, value)


def rules_of(function, place, wrong_rule):
    """The function's rules with one of them wrong: ``wrong_rule(right, g, y, *args)``."""
    right = TABLE[function].rules
    rules = list(right)
    rules[place] = lambda g, y, *args, **kwargs: wrong_rule(right[place], g, y, *args, **kwargs)
    return rules


def transposed(right, g, y, a, b):
    d = right(g, y, a, b)
    return d if b.ndim < 2 or d.shape[-1] != d.shape[-2] else np.swapaxes(d, -1, -2)


FAULTS = {
    "tanh, sign": (np.tanh, 0, lambda right, g, y, x: -right(g, y, x)),
    "cumsum, not flipped": (np.cumsum, 0, lambda right, g, y, a, axis=None: np.cumsum(g, axis).reshape(a.shape)),
    "matmul, gradient of b transposed": (np.matmul, 1, transposed),
    "where, branches swapped": (np.where, 1, lambda right, g, y, m, a, b: np.where(m, 0, g)),
    "split, sign": (np.split, 0, lambda right, g, y, a, s, axis=0: -right(g, y, a, s, axis)),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_and_shrunk(name):
    function, place, wrong_rule = FAULTS[name]
    calls, first = 0, None

    def fails(program):
        nonlocal calls, first
        calls += 1
        failed = wrong(program)
        first = calls if failed and first is None else first
        return failed

    options = settings(max_examples=200, derandomize=True, database=None, deadline=None)
    with planted(function, *rules_of(function, place, wrong_rule)):
        program = find(strategies.programs(), fails, settings=options)
        assert wrong(program)
    assert not wrong(program)
    assert first <= 200
    assert len(program.operations) <= 3
    # two or three small inputs; which ones depends on Hypothesis, whose draws depend on the modules that are loaded
    assert sum(x.size for x in program.inputs) <= 24
    numbers = np.concatenate([x.ravel() for x in program.inputs])
    assert np.mean(numbers * 4 == np.round(numbers * 4)) > 0.8


def test_a_fault_that_few_calls_show_is_found_among_few_functions():
    def reversed_parts(right, g, y, a, s, axis=0):
        return right(g[::-1], y, a, s, axis)  # shows only where several parts of one length are used differently

    few = strategies.programs([np.split, np.sin, np.multiply, np.sum])
    options = settings(max_examples=200, derandomize=True, database=None, deadline=None)
    with planted(np.split, *rules_of(np.split, 0, reversed_parts)):
        program = find(few, wrong, settings=options)
        assert wrong(program)
    assert not wrong(program)
    assert len(program.operations) <= 3


def test_the_real_check_finds_a_planted_fault_too():
    with planted(np.sort, lambda g, _y, _a, axis=-1: np.reshape(g, _a.shape)):
        moved = strategies.sample_programs(0, ["np.sort"], max_operations=1)
        program = next(p for p in moved if not np.array_equal(np.ravel(p(*p.inputs)), p.inputs[0].ravel()))
        with pytest.raises(tg.testing.GradcheckError, match="sort"):
            tg.testing.gradcheck(program, program.inputs)
    tg.testing.gradcheck(program, program.inputs)
