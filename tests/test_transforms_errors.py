"""What is wrong with a function, an input or a vector, said with its place, what was expected and what came."""

import numpy as np
import pytest

import tinygrad_rnn as tg

X = np.array([1.0, 2.0])


def square(x):
    return (x * x).sum()


TRANSFORMS = {
    "vjp": tg.vjp,
    "jvp": lambda f, x: tg.jvp(f, (x,), (np.ones(2),)),
    "jacobian": tg.jacobian,
    "hessian": tg.hessian,
    "hvp": lambda f, x: tg.hvp(f, x, np.ones(2)),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_f_must_be_a_function(name):
    with pytest.raises(TypeError, match=f"^{name}: expected a function, got Tensor; for tensors use tg.grad"):
        TRANSFORMS[name](tg.Tensor(X), X)


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.array([1, 2]), r"to be floats to differentiate with respect to, got int64 of shape \(2,\); let f close"),
        (np.array([True, False]), "got bool"),
        (np.array([1j, 2.0]), "got complex128"),
        (tg.Tensor([1, 2]), "got int64"),
        (3, "got int64"),
        ("text", "to be an array of floats, got str"),
    ],
    ids=str,
)
def test_only_floats_are_differentiated_with_respect_to(name, x, words):
    place = r"primals\[0\]" if name in ("vjp", "jvp") else "x"
    with pytest.raises(TypeError, match=f"^{name}: expected {place} .*{words}"):
        TRANSFORMS[name](square, x)


def test_the_place_of_an_input_is_named():
    with pytest.raises(TypeError, match=r"^vjp: expected primals\[1\]\['h'\]\[0\] to be floats"):
        tg.vjp(lambda a, b: a, X, {"h": (np.arange(3),)})
    with pytest.raises(TypeError, match=r"^hessian: expected x\[1\] to be floats"):
        tg.hessian(lambda a, b: square(a), (X, np.arange(3)))
    with pytest.raises(TypeError, match=r"^jacobian: expected x\['n'\] to be floats"):
        tg.jacobian(lambda d: d["x"], {"x": X, "n": 3})


@pytest.mark.parametrize("x", [(), [], {}, None])
def test_no_inputs(x):
    with pytest.raises(TypeError, match=r"^jacobian: expected something to differentiate with respect to, got x = "):
        tg.jacobian(lambda *_: tg.Tensor(1.0), x)


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize(
    ("f", "words"),
    [
        (lambda x: x.numpy(), r"expected f\(...\) to be a tensor, got ndarray: its graph was lost"),
        (lambda x: (x, [float(x.numpy()[0])]), r"expected f\(...\)\[1\]\[0\] to be a tensor, got float: its graph was"),
        (lambda x: {"loss": x.sum().item()}, r"expected f\(...\)\['loss'\] to be a tensor, got float"),
        (lambda x: None, "expected f to return a tensor of floats, got nothing"),
        (lambda x: (x > 0, np.argsort(x)), "expected f to return a tensor of floats, got bool, int64"),
    ],
    ids=["array", "nested number", "number in a dict", "None", "integers"],
)
def test_f_must_return_tensors_of_floats(name, f, words):
    with pytest.raises(TypeError, match=f"^{name}: {words}"):
        TRANSFORMS[name](f, X)


@pytest.mark.parametrize("name", ["hessian", "hvp"])
def test_only_a_scalar_has_second_derivatives(name):
    with pytest.raises(ValueError, match=rf"^{name}: expected f to return a scalar, got shape \(2,\); use tg.jacobian"):
        TRANSFORMS[name](np.tanh, X)
    with pytest.raises(TypeError, match=rf"^{name}: expected f to return one scalar tensor, got \('\*', '\*'\)"):
        TRANSFORMS[name](lambda x: (x.sum(), x.sum()), X)


def f_nested(a):
    return {"y": a["x"] * 2.0, "z": [a["x"].sum()]}


NESTED = {"x": X}


@pytest.mark.parametrize(
    ("cotangent", "kind", "words"),
    [
        (X, ValueError, r"the cotangent to have structure {'y': '\*', 'z': \['\*'\]}, got \*"),
        ({"y": X}, ValueError, r"the cotangent to have structure .* got {'y': '\*'}"),
        ({"y": X, "z": (1.0,)}, ValueError, r"the cotangent\['z'\] to have structure \['\*'\], got \('\*',\)"),
        ({"y": X, "z": []}, ValueError, r"the cotangent\['z'\] to have structure \['\*'\], got \[\]"),
        ({"y": X, "z": [X]}, ValueError, r"the cotangent\['z'\]\[0\] to have shape \(\), got \(2,\)"),
        ({"y": 1.0, "z": [1.0]}, ValueError, r"the cotangent\['y'\] to have shape \(2,\), got \(\)"),
        ({"y": X * 1j, "z": [1.0]}, TypeError, r"the cotangent\['y'\] to be real numbers, got complex128"),
        ({"y": None, "z": [1.0]}, TypeError, r"the cotangent\['y'\] to be real numbers, got NoneType"),
        ({"y": "text", "z": [1.0]}, TypeError, r"the cotangent\['y'\] to be real numbers, got str"),
        ({"y": [[1.0], [1.0, 2.0]], "z": [1.0]}, TypeError, r"the cotangent\['y'\] to be an array, got list"),
    ],
)
def test_a_cotangent_must_fit_the_output(cotangent, kind, words):
    _, pullback = tg.vjp(f_nested, NESTED)
    with pytest.raises(kind, match=f"^pullback: expected {words}"):
        pullback(cotangent)
    assert pullback({"z": [0], "y": [1, 0]})[0]["x"].tolist() == [2.0, 0.0]  # keys in any order, and lists of numbers


@pytest.mark.parametrize(
    ("primals", "tangents", "kind", "words"),
    [
        ((X,), X, TypeError, "tangents to be a tuple with an entry for each argument of f, got ndarray"),
        (X, (X,), TypeError, "primals to be a tuple with an entry for each argument of f, got ndarray"),
        ((X,), (X, X), ValueError, r"tangents to have structure \('\*',\), got \('\*', '\*'\)"),
        ((X,), ({"x": X},), TypeError, r"tangents\[0\] to be real numbers, got dict"),
        ((NESTED,), (X,), ValueError, r"tangents\[0\] to have structure {'x': '\*'}, got \*"),
        ((X, X), (X, X[:1]), ValueError, r"tangents\[1\] to have shape \(2,\), got \(1,\)"),
    ],
)
def test_tangents_must_fit_the_primals(primals, tangents, kind, words):
    with pytest.raises(kind, match=f"^jvp: expected {words}"):
        tg.jvp(lambda *a: a[0], primals, tangents)


def test_a_vector_must_fit_the_input():
    with pytest.raises(ValueError, match=r"^hvp: expected v\[1\] to have shape \(\), got \(2,\)"):
        tg.hvp(lambda a, b: square(a) * b, (X, 1.0), (X, X))
    with pytest.raises(ValueError, match=r"^hvp: expected v to have structure \('\*', '\*'\), got \*"):
        tg.hvp(lambda a, b: square(a) * b, (X, 1.0), X)


def test_a_joint_rule_without_a_definition_says_so():
    @tg.primitive
    def triple(x):
        return tg.Saved(3.0 * x, None)

    tg.defvjp(triple, joint=lambda needed, g, y, saved, x: (3.0 * g,))
    assert tg.vjp(triple, X)[1](X)[0].tolist() == [3.0, 6.0]
    for name in ("jvp", "hessian", "hvp"):
        with pytest.raises(RuntimeError, match="triple: its joint rule gives first derivatives only; register def"):
            TRANSFORMS[name](triple if name == "jvp" else lambda x: triple(x).sum(), X)


def test_an_error_of_f_passes_through_and_recording_is_as_before():
    def fails(x):
        raise KeyError("mine")

    with tg.no_grad():
        for transform in TRANSFORMS.values():
            with pytest.raises(KeyError, match="mine"):
                transform(fails, X)
        assert not (tg.Tensor(X, requires_grad=True) * 2).requires_grad


def test_grad_of_a_function_names_the_transforms():
    with pytest.raises(TypeError, match=r"use tg.vjp\(f, x\), tg.jacobian\(f, x\) or tg.hessian\(f, x\)"):
        tg.grad(square, X)


def test_a_write_into_a_parameter_is_noticed_by_a_later_pullback():
    w = tg.Tensor(X, requires_grad=True, name="w")
    _, pullback = tg.vjp(lambda x: x * w, X)
    w.data -= 1.0
    with pytest.raises(RuntimeError, match=r"tensor 'w', of shape \(2,\), was modified in place"):
        pullback(X)
