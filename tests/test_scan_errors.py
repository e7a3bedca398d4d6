"""tg.scan: each mistake is named with what was expected, what came, and where."""

import numpy as np
import pytest
from leaves import leaf

import tinygrad_rnn as tg

# ----------------------------------------------------------------------------------------------------------- errors


def keep(state, x):
    return state, x


ERRORS = {
    "no steps": (lambda: tg.scan(keep, 0.0, np.zeros((0, 3))), ValueError, "at least one step, got T=0"),
    "length 0": (lambda: tg.scan(keep, 0.0, None, length=0), ValueError, "at least one step, got T=0"),
    "negative length": (lambda: tg.scan(keep, 0.0, None, length=-1), ValueError, "at least one step, got T=-1"),
    "no length": (lambda: tg.scan(keep, 0.0, None), ValueError, "with xs=None, give length=T"),
    "only nothing": (lambda: tg.scan(keep, 0.0, {"a": None}), ValueError, "give length=T"),
    "length is not whole": (lambda: tg.scan(keep, 0.0, None, length=2.5), TypeError, "length.*whole number.*2.5"),
    "length disagrees": (
        lambda: tg.scan(keep, 0.0, np.zeros(3), length=4),
        ValueError,
        "same number of steps everywhere.*'length': 4.*'xs': 3",
    ),
    "inputs disagree": (
        lambda: tg.scan(keep, 0.0, {"a": np.zeros(3), "b": (np.zeros(2),)}),
        ValueError,
        r"same number of steps everywhere.*xs\['a'\].*3.*xs\['b'\]\[0\].*2",
    ),
    "a scalar input": (
        lambda: tg.scan(keep, 0.0, (np.zeros(3), 2.0)),
        ValueError,
        r"xs\[1\] to have time as its axis 0",
    ),
    "inputs that are no array": (lambda: tg.scan(keep, 0.0, {"a": "text"}), TypeError, r"xs\['a'\].*str"),
    "a state that is no array": (lambda: tg.scan(keep, {"h": "text"}, np.zeros(3)), TypeError, r"state\['h'\].*str"),
    "step returns no pair": (
        lambda: tg.scan(lambda s, x: s, 0.0, np.zeros(3)),
        TypeError,
        "at encoder, t=0.*pair.*Tensor",
    ),
    "step returns three": (
        lambda: tg.scan(lambda s, x: (s, x, x), 0.0, np.zeros(3)),
        TypeError,
        "at encoder, t=0.*pair.*tuple",
    ),
    "step returns a list": (
        lambda: tg.scan(lambda s, x: [s, x], 0.0, np.zeros(3)),
        TypeError,
        "at encoder, t=0.*pair.*list",
    ),
    "step returns a state that is no array": (
        lambda: tg.scan(lambda s, x: ({"h": "text"}, x), {"h": 0.0}, np.zeros(3)),
        TypeError,
        r"at encoder, t=0.*state\['h'\].*str",
    ),
    "step returns a y that is no array": (
        lambda: tg.scan(lambda s, x: (s, ["text"]), 0.0, np.zeros(3)),
        TypeError,
        r"at encoder, t=0.*y\[0\].*str",
    ),
    "the state's shape changes": (
        lambda: tg.scan(lambda s, x: ({"h": (s["h"][0][None],)}, x), {"h": (np.zeros(2),)}, np.zeros(3)),
        ValueError,
        r"at encoder, t=0: step changed the shape of state\['h'\]\[0\], expected \(2,\), got \(1, 2\)",
    ),
    "the state's shape changes later": (
        lambda: tg.scan(lambda s, x: (s if x.item() < 2 else s[:1], x), np.zeros(2), np.arange(4.0)),
        ValueError,
        r"at encoder, t=2: step changed the shape of state, expected \(2,\), got \(1,\)",
    ),
    "the state broadcasts": (
        lambda: tg.scan(lambda s, x: (s + x, None), 0.0, np.zeros((3, 2))),
        ValueError,
        r"at encoder, t=0: step changed the shape of state, expected \(\), got \(2,\)",
    ),
    "the state's structure changes": (
        lambda: tg.scan(lambda s, x: ((s[0], s[0]), x), (0.0,), np.zeros(3)),
        ValueError,
        r"at encoder, t=0: step changed the state's structure, expected \('\*',\), got \('\*', '\*'\)",
    ),
    "the state's keys change": (
        lambda: tg.scan(lambda s, x: ({"g": s["h"]}, x), {"h": 0.0}, np.zeros(3)),
        ValueError,
        "at encoder, t=0: .*structure.*'h'.*'g'",
    ),
    "the state becomes None": (
        lambda: tg.scan(lambda s, x: (None, x), 0.0, np.zeros(3)),
        ValueError,
        "at encoder, t=0: .*structure",
    ),
    "the output's structure changes": (
        lambda: tg.scan(lambda s, x: (s, x if x.item() < 1 else (x, x)), 0.0, np.arange(3.0)),
        ValueError,
        "y at t=1 has structure",
    ),
    "the output's structure changes, reversed": (
        lambda: tg.scan(lambda s, x: (s, x if x.item() < 1 else None), 0.0, np.arange(3.0), reverse=True),
        ValueError,
        "y at t=1 has structure.*as at t=0",
    ),
    "the output's shape changes": (
        lambda: tg.scan(lambda s, x: (s, {"y": np.ones(int(x.item()))}), 0.0, np.arange(1.0, 4.0)),
        ValueError,
        r"encoder: y\['y'\] at t=1 has shape \(2,\), expected \(1,\) as at t=0",
    ),
    "float lengths": (
        lambda: tg.scan(keep, np.zeros(2), np.zeros((3, 2)), lengths=[1.0, 2.0]),
        ValueError,
        "lengths.*whole numbers.*float64",
    ),
    "bool lengths": (
        lambda: tg.scan(keep, np.zeros(2), np.zeros((3, 2)), lengths=[True, False]),
        ValueError,
        "whole numbers.*bool",
    ),
    "negative lengths": (
        lambda: tg.scan(keep, np.zeros(2), np.zeros((3, 2)), lengths=[-1, 2]),
        ValueError,
        r"in 0\.\.3, got -1\.\.2",
    ),
    "lengths past T": (
        lambda: tg.scan(keep, np.zeros(2), np.zeros((3, 2)), lengths=[1, 4]),
        ValueError,
        r"in 0\.\.3, got 1\.\.4",
    ),
    "a scalar for lengths": (
        lambda: tg.scan(keep, np.zeros(2), np.zeros((3, 2)), lengths=2),
        ValueError,
        r"shape \(B,\), got int64 \(\)",
    ),
    "wrong B of xs": (
        lambda: tg.scan(keep, np.zeros(2), {"a": np.zeros((3, 4))}, lengths=[1, 2]),
        ValueError,
        r"2 lengths.*axis 1 of xs\['a'\] to have 2 entries, got shape \(3, 4\)",
    ),
    "no batch axis in xs": (
        lambda: tg.scan(keep, np.zeros(2), np.zeros(3), lengths=[1, 2]),
        ValueError,
        r"axis 1 of xs .*got shape \(3,\)",
    ),
    "wrong B of the state": (
        lambda: tg.scan(keep, (np.zeros((3, 2)),), np.zeros((3, 2)), lengths=[1, 2]),
        ValueError,
        r"axis 0 of state\[0\] to have 2 entries, got shape \(3, 2\)",
    ),
    "a scalar state with lengths": (
        lambda: tg.scan(keep, 0.0, np.zeros((3, 2)), lengths=[1, 2]),
        ValueError,
        r"axis 0 of state .*got shape \(\)",
    ),
    "outputs without a batch": (
        lambda: tg.scan(lambda s, x: (s, {"y": x.sum()}), np.zeros(2), np.zeros((3, 2)), lengths=[3, 3]),
        ValueError,
        r"t=0.*axis 0 of y\['y'\] to have 2 entries, got shape \(\)",
    ),
    "outputs with another batch": (
        lambda: tg.scan(lambda s, x: (s, np.ones((1, 2))), np.zeros(2), np.zeros((3, 2)), lengths=[3, 1]),
        ValueError,
        r"t=0.*axis 0 of y to have 2 entries, got shape \(1, 2\)",
    ),
    "truncate 0": (lambda: tg.scan(keep, 0.0, np.zeros(3), truncate=0), ValueError, "truncate >= 1, got 0"),
    "negative truncate": (lambda: tg.scan(keep, 0.0, np.zeros(3), truncate=-2), ValueError, "truncate >= 1, got -2"),
    "truncate is not whole": (
        lambda: tg.scan(keep, 0.0, np.zeros(3), truncate=1.5),
        TypeError,
        "truncate.*whole number.*1.5",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_say_what_was_expected_what_came_and_where(name):
    make, kind, words = ERRORS[name]
    with tg.scope("encoder"), pytest.raises(kind, match=words):
        make()


def test_errors_inside_a_step_say_where():
    w = leaf(np.ones((2, 3)))
    with tg.scope("encoder"), pytest.raises(ValueError, match=r"matmul at encoder, t=1: .*\(4, 2\) .*\(3, 2\)"):
        tg.scan(lambda n, x: (n + 1, x @ (w if n.item() == 0 else w.T)), 0, np.zeros((2, 4, 2)))
