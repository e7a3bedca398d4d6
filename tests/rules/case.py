"""A case: one primitive, how to draw its arguments, and what PyTorch calls it; and how the two are compared."""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from peer import torch

import tinygrad_rnn as tg
from tinygrad_rnn import walk


def always(*_arrays, **_options):
    return True


@dataclass(frozen=True)
class Case:
    """One primitive under test.

    Attributes:
        primitive: Its key in the table.
        forms: Functions of (*arrays, **options), equal to each other; the first also runs on plain arrays.
        theirs: The same of torch tensors.
        arguments: Strategy of pairs (arrays, options).
        smooth: Whether central differences mean anything for these arguments: no kink, no tie.
        twice: Whether torch's second derivatives are right for these arguments.
        weight: How many times as many examples as usual.
    """

    primitive: Any
    forms: tuple[Callable[..., Any], ...]
    theirs: Callable[..., Any]
    arguments: st.SearchStrategy[Any]
    smooth: Callable[..., bool] = always
    twice: Callable[..., bool] = always
    weight: float = 1.5
    note: str = ""

    def __str__(self):
        name = getattr(self.primitive, "__name__", str(self.primitive))
        return f"{name} {self.note}" if self.note else name


@dataclass
class Call:
    """A case with its arguments: which of them require a gradient, and in which form the function is called."""

    case: Case
    arrays: list[Any]
    options: dict[str, Any]
    roles: tuple[str, ...]  # of each array: "leaf", "array" or "constant"; "same": all are one leaf
    form: int

    def __repr__(self):
        arrays = ", ".join(f"{role}: {array!r}" for array, role in zip(self.arrays, self.roles, strict=True))
        return f"{self.case}, form {self.form}: [{arrays}], {self.options}"

    def ours(self, arrays=None):
        """The arguments as ``Tensor``s, those of them that require a gradient, and the results."""
        arrays = self.arrays if arrays is None else arrays
        if self.roles[0] == "same":
            leaf = tg.Tensor(arrays[0], requires_grad=True, copy=False)
            given, leaves = [leaf] * len(arrays), [leaf]
        else:
            given = [
                a if role == "array" else tg.Tensor(a, requires_grad=role == "leaf", copy=False)
                for a, role in zip(arrays, self.roles, strict=True)
            ]
            leaves = [t for t in given if isinstance(t, tg.Tensor) and t.requires_grad]
        return leaves, parts(self.case.forms[self.form](*given, **self.options))

    def theirs(self):
        """The same in torch."""
        given = [
            torch.tensor(a.copy(), requires_grad=role in ("leaf", "same"))
            for a, role in zip(self.arrays, self.roles, strict=True)
        ]
        if self.roles[0] == "same":
            given = given[:1] * len(given)
        leaves = given[:1] if self.roles[0] == "same" else [t for t in given if t.requires_grad]
        options = {k: cast(v, self.arrays[0].dtype) for k, v in self.options.items()}
        return leaves, parts(self.case.theirs(*given, **options))

    def astype(self, dtype):
        """The same call on arrays of another dtype."""
        return replace(self, arrays=[a.astype(dtype) for a in self.arrays])

    def plain(self, arrays=None):
        """NumPy's own results."""
        given = self.arrays if arrays is None else arrays
        with silence():
            return parts(self.case.forms[0](*given, **self.options))

    @property
    def varied(self):
        """Which arrays require a gradient: lists of places that are one variable."""
        if self.roles[0] == "same":
            return [list(range(len(self.arrays)))]
        return [[i] for i, role in enumerate(self.roles) if role == "leaf"]


@st.composite
def calls(draw, case):
    arrays, options = draw(case.arguments)
    same = len(arrays) > 1 and all(a.shape == arrays[0].shape for a in arrays)
    if same and draw(st.integers(0, 3)) == 0:
        arrays, roles = [arrays[0]] * len(arrays), ("same",) * len(arrays)
    else:
        kinds = st.sampled_from(("leaf", "leaf", "array", "constant"))
        roles = draw(st.tuples(*[kinds] * len(arrays)).filter(lambda r: "leaf" in r)) if len(arrays) > 1 else ("leaf",)
    return Call(case, list(arrays), options, roles, draw(st.integers(0, len(case.forms) - 1)))


def cast(value, dtype):
    """A float array in another dtype (torch mixes none); anything else as it is."""
    return value.astype(dtype) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value


def parts(y):
    return list(y) if isinstance(y, (list, tuple)) else [y]


class silence(warnings.catch_warnings):
    """Without NumPy's and torch's warnings of empty means and NaN."""

    def __enter__(self):
        super().__enter__()
        warnings.simplefilter("ignore")


def normal(like):
    """Cotangents of these arrays' shapes and dtypes: fixed, but no two alike."""
    rng = np.random.default_rng(7)
    return [rng.standard_normal(y.shape).astype(y.dtype) for y in like]


TOLERANCE = {np.dtype(np.float64): 1e-10, np.dtype(np.float32): 2e-5}


def close(ours, theirs, tolerance=None):
    """The same shape, the same dtype, and the same numbers; in float32 as compared with the largest of them."""
    ours = ours.numpy() if isinstance(ours, tg.Tensor) else ours
    theirs = theirs if isinstance(theirs, np.ndarray) else theirs.numpy(force=True)
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    tolerance = tolerance or TOLERANCE[ours.dtype]
    finite = np.abs(theirs[np.isfinite(theirs)])
    size = max(1.0, finite.max(initial=0.0)) if ours.dtype == np.float32 else 1.0
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance * size)


# ---- the checks that every function passes


def check_value(call):
    """Shape, dtype and value are NumPy's."""
    with silence():
        _, ours = call.ours()
    for found, expected in zip(ours, call.plain(), strict=True):
        assert isinstance(found, tg.Tensor)
        close(found, np.asarray(expected), 1e-12)


def check_torch(call):
    """Values, first derivatives (recorded and not) and second derivatives are torch's, with their shapes and dtypes."""
    with silence():
        leaves, ours = call.ours()
        their_leaves, theirs = call.theirs()
        for found, expected in zip(ours, theirs, strict=True):
            close(found, expected)
        cotangents = normal(ours)
        vs = [tg.Tensor(v, requires_grad=True) for v in cotangents]
        their_vs = [torch.tensor(v, requires_grad=True) for v in cotangents]
        first = tg.grad(ours, leaves, cotangents, retain_graph=True)
        recorded = tg.grad(ours, leaves, vs, create_graph=True)
        expected = torch.autograd.grad(theirs, their_leaves, their_vs, create_graph=True)
        for found, again, g in zip(first, recorded, expected, strict=True):
            close(found, g)
            close(again, g)
            assert not found.requires_grad
        if call.case.twice(*call.arrays, **call.options):
            check_second(recorded, [*leaves, *vs], expected, [*their_leaves, *their_vs])


def check_second(first, inputs, their_first, their_inputs):
    us = normal(first)
    live = [(g, u) for g, u in zip(first, us, strict=True) if g.requires_grad]
    second = [None] * len(inputs)
    if live:
        second = tg.grad([g for g, _ in live], inputs, [u for _, u in live], allow_unused=True)
    live = [(g, torch.tensor(u)) for g, u in zip(their_first, us, strict=True) if g.requires_grad]
    expected = [None] * len(inputs)
    if live:
        expected = torch.autograd.grad([g for g, _ in live], their_inputs, [u for _, u in live], allow_unused=True)
    for found, g, x in zip(second, expected, inputs, strict=True):
        zero = np.zeros(x.shape, x.dtype)
        close(zero if found is None else found, zero if g is None else g)


def check_torch_float32(call):
    """The same in float32."""
    check_torch(call.astype(np.float32))


def check_differences(call):
    """First derivatives are the central differences of NumPy's own function, over every element."""
    if not call.case.smooth(*call.arrays, **call.options):
        return
    with silence():
        leaves, ours = call.ours()
        cotangents = normal(ours)
        found = tg.grad(ours, leaves, cotangents)
    for places, g in zip(call.varied, found, strict=True):
        expected = np.zeros(g.shape)
        for index in np.ndindex(g.shape):
            changes = []
            for h in (6e-6, -6e-6):
                moved = [a.copy() if i in places else a for i, a in enumerate(call.arrays)]
                for i in places:
                    moved[i][index] += h
                results = zip(cotangents, call.plain(moved), strict=True)
                changes.append(sum(float(np.sum(v * y)) for v, y in results))
            expected[index] = (changes[0] - changes[1]) / 12e-6
        np.testing.assert_allclose(g.numpy(), expected, rtol=1e-6, atol=1e-6)


def fitted_without_cast(d, parent, node, i, fitted=walk._fitted):
    """The walk casts a rule's answer to its argument's dtype; here it has it already."""
    assert not hasattr(d, "dtype") or d.dtype == parent.dtype
    return fitted(d, parent, node, i)


def check_float32(call):
    """float32 stays float32, in results, all their derivatives and on the way there, and has the digits it can have."""
    narrow = call.astype(np.float32)
    with silence(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(walk, "_fitted", fitted_without_cast)
        leaves, results = narrow.ours()
        for found, expected in zip(results, narrow.plain(), strict=True):
            assert found.dtype == expected.dtype == np.float32
        exact_leaves, exact = call.ours()
        cotangents = normal(results)
        expected = tg.grad(exact, exact_leaves, cotangents)
        first = tg.grad(results, leaves, cotangents, retain_graph=True)
        recorded = tg.grad(results, leaves, cotangents, create_graph=True)
        live = [g for g in recorded if g.requires_grad]
        second = tg.grad(live, leaves, [np.ones(g.shape) for g in live], allow_unused=True) if live else ()
    assert all(g is None or g.dtype == np.float32 for g in (*first, *recorded, *second))
    for g, e in zip(first, expected, strict=True):
        np.testing.assert_allclose(g.numpy(), e.numpy(), rtol=1e-3, atol=1e-3)


# How many examples each check is worth, compared with the others.
SHARES = {check_value: 1.0, check_torch: 1.0, check_torch_float32: 0.5, check_differences: 1.0, check_float32: 0.5}
CHECKS = tuple(SHARES)


def run(case, check, share=None):
    """Run ``check`` on as many examples as the profile says, times the case's weight.

    In batches, because from the eleventh example on Hypothesis mostly repeats one with small changes.
    """

    @settings(max_examples=10)
    @given(calls(case))
    def property_of_rule(call):
        check(call)

    share = SHARES[check] if share is None else share
    for batch in range(math.ceil(settings().max_examples * case.weight * share / 10)):
        (seed(batch)(property_of_rule) if settings().derandomize else property_of_rule)()
