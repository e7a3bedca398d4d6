"""What gradcheck varies: nothing that f depends on goes unchecked in silence, wherever it comes from."""

import dataclasses
import functools
import types

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.testing import GradcheckError, gradcheck

X = np.array([0.5, -1.3, 2.0])


@tg.primitive
def bad_square(x):
    return x * x


tg.defvjp(bad_square, lambda g, _y, x: g * x)


def leaf(values=(1.0, 2.0, 3.0), **options):
    return tg.Tensor(np.array(values), requires_grad=True, **options)


GLOBAL = leaf()
ELSEWHERE = types.ModuleType("elsewhere")
ELSEWHERE.w = leaf()


class Scale(tg.nn.Module):
    def __init__(self):
        self.weight = tg.nn.Parameter(np.array([0.5, 2.0, 1.0]))

    def forward(self, x):
        return bad_square(self.weight) + x


class PlainAttribute(tg.nn.Module):
    def __init__(self):
        self.scale = leaf()

    def forward(self, x):
        return bad_square(self.scale) + x


class NamesAGlobal(tg.nn.Module):
    def forward(self, x):
        return bad_square(GLOBAL) + x


class Called:
    def __init__(self):
        self.w = leaf()

    def __call__(self, x):
        return self.method(x)

    def method(self, x):
        return bad_square(self.w) + x

    @staticmethod
    def of_no_one(x):
        return bad_square(GLOBAL) + x

    @classmethod
    def of_the_class(cls, x):
        return cls.of_no_one(x)


class Slotted:
    __slots__ = ("w",)

    def __init__(self):
        self.w = leaf()


@dataclasses.dataclass
class Weights:
    w: tg.Tensor


def add(w, x):
    return bad_square(w["w"] if isinstance(w, dict) else w[0] if isinstance(w, list) else w) + x


def closing_over(thing, read):
    return lambda x: bad_square(read(thing)) + x


def with_default(w):
    def f(x, w=w):
        return bad_square(w) + x

    return f


def with_keyword_default(w):
    def f(x, *, w=w):
        return bad_square(w) + x

    return f


def a_scan(w):
    return lambda x: tg.scan(lambda h, part: (bad_square(w[0]) + part + h,) * 2, 0.0 * x[0], x)


def a_scan_over_a_global(x):
    return tg.scan(lambda h, part: (bad_square(GLOBAL[0]) + part + h,) * 2, 0.0 * x[0], x)


def with_an_attribute():
    def f(x):
        return bad_square(f.w) + x

    f.w = leaf()
    return f


BRINGING = {
    "a module": Scale,
    "an attribute of a module": PlainAttribute,
    "a global that a module names": NamesAGlobal,
    "an object that is called": Called,
    "its bound method": lambda: Called().method,
    "a static method": lambda: Called.of_no_one,
    "a class method": lambda: Called.of_the_class,
    "a namespace": lambda: closing_over(types.SimpleNamespace(w=leaf()), lambda thing: thing.w),
    "a dataclass": lambda: closing_over(Weights(leaf()), lambda thing: thing.w),
    "an object with slots": lambda: closing_over(Slotted(), lambda thing: thing.w),
    "a set": lambda: closing_over({leaf()}, lambda thing: next(iter(thing))),
    "partial's tensor": lambda: functools.partial(add, leaf()),
    "partial's list": lambda: functools.partial(add, [leaf()]),
    "partial's dict": lambda: functools.partial(add, {"w": leaf()}),
    "partial's keyword": lambda: functools.partial(lambda x, w: add(w, x), w=leaf()),
    "a default": lambda: with_default(leaf()),
    "a keyword's default": lambda: with_keyword_default(leaf()),
    "a lambda inside that closes over it": lambda: a_scan(leaf()),
    "a lambda inside that names a global": lambda: a_scan_over_a_global,
    "lru_cache": lambda: closing_over(functools.lru_cache(lambda w=leaf(): w), lambda thing: thing()),  # noqa: B008
    "another module's": lambda: lambda x: bad_square(ELSEWHERE.w) + x,
    "a function's attribute": with_an_attribute,
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", BRINGING)
def test_what_a_function_brings_is_checked(name):
    with pytest.raises(GradcheckError) as caught:
        gradcheck(BRINGING[name](), X)
    assert not caught.value.input.startswith("inputs")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("holder", "read"),
    [
        (Scale(), lambda m: m.weight),
        ({"m": [Scale()]}, lambda tree: tree["m"][0].weight),
        (types.SimpleNamespace(w=leaf()), lambda thing: thing.w),
        (Weights(leaf()), lambda thing: thing.w),
    ],
)
def test_tensors_inside_the_inputs_are_checked(holder, read):
    with pytest.raises(GradcheckError) as caught:
        gradcheck(lambda x, thing: x + bad_square(read(thing)), (X, holder))
    assert "inputs[1]" in caught.value.input


def test_two_of_the_same_name_are_both_checked():
    def first(w=leaf()):  # noqa: B008
        return w * 1

    def second(w=leaf((4.0, 5.0, 6.0))):  # noqa: B008
        return bad_square(w)

    with pytest.raises(GradcheckError) as caught:
        gradcheck(lambda x: x + first() + second(), X)
    assert caught.value.input == "variable 'w' (2)"
    assert "variable 'w', shape (3,): all 9 right" in str(caught.value)


def hidden(*tensors):
    """A function of no code that could be searched: what it returns is found in the graph only."""
    return types.MappingProxyType({"tensors": tensors}).__getitem__


def test_what_is_not_found_is_told():
    read = hidden(leaf(), leaf([[1.0, 2.0], [3.0, 4.0]], name="w"))
    words = r"f also depends on 2 tensors .* \(shape \(3,\), shape \(2, 2\) 'w'\), so not all is checked; pass them"
    with pytest.warns(UserWarning, match=words):
        assert gradcheck(lambda x: x * np.sum(read("tensors")[0]) + np.sum(read("tensors")[1]), X)


@pytest.mark.filterwarnings("error")
def test_tensors_made_inside_and_those_used_raise_no_warning():
    w = leaf()

    def f(x):
        (g,) = tg.grad((x * x * w).sum(), x, create_graph=True)
        return g + leaf() * tg.Tensor(np.ones(3))

    assert gradcheck(f, X)


def test_float32_tensors_that_are_not_used_do_not_matter():
    called = Called()
    called.unused, called.used = leaf(dtype=np.float32), tg.nn.Linear(3, 3)
    with pytest.raises(GradcheckError):
        gradcheck(called.method, X)
    with pytest.raises(TypeError, match=r"parameter 'weight' of variable 'f'\.used to be float64, got float32"):
        gradcheck(lambda x, f=called: f.used(x[None]), X)


def test_tensors_computed_before_the_call():
    w, read = leaf(), hidden(leaf())
    double = w * 2
    with pytest.raises(ValueError, match=r"computed from variable 'w' before .*\(multiply, shape \(3,\)\).*inside f"):
        gradcheck(lambda x: x * double + w, X)
    late = read("tensors")[0] * 2
    with pytest.warns(UserWarning, match="uses a tensor that was computed before the call"):
        assert gradcheck(lambda x: x * late, X)
    cached = functools.lru_cache(lambda: np.sin(w))
    with pytest.raises(ValueError, match=r"computed from variable 'w' before the call \(sin"):
        gradcheck(lambda x: x * cached(), X)
