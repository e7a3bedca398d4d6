"""The trust commands: mutants are what they say, the table comes back unharmed, and both verdicts can be reached."""

import contextlib
import subprocess
import sys

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.primitives import TABLE
from tinygrad_rnn.testing.strategies import programs
from trust import alarms, limits, mutants, planted
from trust.equivalence import differs_at, points_of
from trust.mutation import Mutant, Site, sites
from trust.mutation import mutants as mutants_of
from trust.sources import changes, definition_of
from trust.suite import check, entries, failure, programs_of


def test_every_entry_has_mutants_of_every_rule_and_the_source_of_each_is_found():
    every = {entry: list(mutants_of(entry)) for entry in entries() if definition_of_ours(entry)}
    assert sum(map(len, every.values())) > 3000
    for entry, found in every.items():
        for site in sites(entry):
            assert definition_of(site.rule) is not None, site
            kinds = {m.kind for m in found if m.site == site}
            by_source = site.part == "definition" or site.owner is not None
            assert kinds >= ({"call dropped"} if by_source else {"sign flipped", "factor 2"}), site


def definition_of_ours(entry):
    """Is it a rule of the package, and not one that another test has registered?"""
    rules = [site.rule for site in sites(entry)]
    return all(rule.__module__.startswith("tinygrad_rnn.") and rule.__module__ in sys.modules for rule in rules)


def example(g, y, a, b, axis=None):
    if axis is None:
        return -g * (a - b)
    return np.sum(g / b, axis=axis, keepdims=True)[1:]


def test_changes_to_a_source():
    found = {(c.kind, c.detail) for c in changes(example)}
    assert found >= {
        ("sign flipped", "-g -> g"),
        ("sign flipped", "a - b -> a + b"),
        ("term dropped", "a - b -> a"),
        ("operands swapped", "a - b -> b - a"),
        ("factor dropped", "-g * (a - b) -> -g"),
        ("wrong axis", "axis -> 0"),
        ("flag flipped", "True -> False"),
        ("output for input", "b -> y"),
        ("wrong operand", "a -> b"),
        ("number off by one", "1 -> 2"),
    }
    for change in changes(example):
        assert change.function is not example
    (halved,) = (c for c in changes(example) if (c.kind, c.detail) == ("term dropped", "a - b -> a"))
    assert halved.function(2.0, 0.0, 3.0, 1.0) == -6.0
    assert example(2.0, 0.0, 3.0, 1.0) == -4.0


def test_a_mutant_is_in_the_table_only_while_it_is_planted():
    for function in (np.multiply, np.matmul, np.einsum, TABLE_GETITEM, tg.functional.kernels.cross_entropy):
        entry = TABLE[function]
        state = (entry.rules, entry.rest, entry.joint, entry.definition, entry.keeps, entry.into, entry.gather)
        for mutant in mutants_of(entry):
            with contextlib.suppress(KeyError), mutant.planted():
                inside = (entry.rules, entry.rest, entry.joint, entry.definition, entry.into, entry.gather)
                assert inside != (*state[:4], *state[5:])
                raise KeyError
            after = (entry.rules, entry.rest, entry.joint, entry.definition, entry.keeps, entry.into, entry.gather)
            assert after == state


TABLE_GETITEM = next(entry.function for entry in TABLE.values() if entry.name == "getitem")


@pytest.mark.parametrize("name", ["tanh", "divide", "cumsum", "concatenate", "matmul"])
def test_the_suite_kills_mutants_and_passes_what_is_right(name):
    entry = next(entry for entry in entries() if entry.name == name)
    sample = programs_of(entry.function, 20)
    assert failure(sample) is None
    for mutant in list(mutants_of(entry))[:3]:  # sign flipped, factor 2, gradient dropped
        with mutant.planted():
            assert failure(sample) is not None, mutant


def test_equal_rules_are_called_equivalent_and_others_are_not():
    entry = TABLE[np.multiply]
    calls = points_of(entry, programs_of(np.multiply, 10))
    site = Site(entry, "rule", 0)
    assert differs_at(Mutant(site, "the same", "", lambda g, _y, _a, b: b * g), calls) is None
    assert differs_at(Mutant(site, "nearly", "", lambda g, _y, _a, b: g * b * (1 + 1e-7)), calls) is not None
    assert differs_at(Mutant(site, "fails", "", lambda g, _y, _a, b: g @ b @ b), calls) is not None
    assert "only 0 points" in differs_at(Mutant(site, "the same", "", site.rule), [])


def test_a_rule_that_never_ends_is_stopped(monkeypatch):
    monkeypatch.setattr(limits.limited.__wrapped__, "__defaults__", (0.2,))

    def endless(*_args):
        while True:
            pass

    entry = TABLE[np.tanh]
    mutant = Mutant(Site(entry, "rule", 0), "endless", "", endless)
    sample = programs_of(np.tanh, 3)
    assert differs_at(mutant, points_of(entry, sample)) == "TimeoutError at point 1"
    with mutant.planted():
        assert failure(sample) == (1, "TimeoutError")


def test_no_false_alarm_and_no_false_pass_in_a_small_run():
    text = alarms.run(count=16, planted=8, seed=1, processes=1, order=1)
    assert "false alarms: 0 of 16" in text
    assert "false passes: 0 of 8" in text
    assert "8 programs with a planted wrong rule" in text


def test_a_false_alarm_and_a_false_pass_would_be_counted(monkeypatch):
    monkeypatch.setattr(alarms, "verdict", lambda subject, order=1: "wrong")
    assert alarms._right_rules("programs", 0, 3, 1)["wrong"] == 3
    monkeypatch.setattr(alarms, "verdict", lambda subject, order=1: "right")
    found = alarms._wrong_rules(0, 3)
    assert found["right"] == 3
    assert sum(words.startswith("FALSE PASS") for words in found) == 3


def test_a_hunt_finds_and_shrinks(monkeypatch):
    few = programs(["np.tanh", "np.multiply", "np.sum", "np.split"])
    monkeypatch.setattr(planted, "programs", lambda: few)
    monkeypatch.setattr(planted, "_POINTS", {TABLE[np.tanh]: points_of(TABLE[np.tanh], programs_of(np.tanh, 5))})
    number = next(k for k, entry in enumerate(planted.functions()) if entry.name == "tanh")
    hunt = planted.hunt(number)
    assert hunt.mutant == "tanh, argument 0: sign flipped"
    assert hunt.examples <= planted.EXAMPLES
    assert hunt.operations <= 3


def test_the_report_counts_and_lists():
    found = [
        mutants.Result("a, argument 0: x", "x", "killed", "derivative", 2),
        mutants.Result("a, argument 0: y", "y", "killed", "ValueError", 1),
        mutants.Result("b, argument 1: x", "x", "survived", "differs at point 3", 0),
        mutants.Result("c, argument 0: z", "z", "equivalent", "", 0),
    ]
    text = mutants.report(found, 12.0)
    assert (
        "2 of 3 mutants that change a derivative were killed: 66.67 %; 1 by a wrong derivative, 1 by an error" in text
    )
    assert "half of them by at most 1.5 programs; 1 equivalent at 1000 random points" in text
    assert "b, argument 1: x: differs at point 3\n    NOT EXPLAINED" in text


def test_the_commands_explain_themselves():
    found = subprocess.run([sys.executable, "-m", "trust", "--help"], capture_output=True, text=True, check=True)
    for part in ("mutants", "alarms", "planted", "coverage", "lstm"):
        assert part in found.stdout
    found = subprocess.run(
        [sys.executable, "-m", "trust", "coverage", "--count", "5"], capture_output=True, text=True, check=True
    )
    assert "rules reached by 5 programs" in found.stdout


def test_a_check_passes_kinks_by():
    class Kinked:
        inputs = (np.zeros(2),)

        def __call__(self, x):
            return tg.functional.relu(x)

    check(Kinked())
