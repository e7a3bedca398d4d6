"""Bad input: each mistake has its exception, which says what was expected, what came, and where."""

import numpy as np
import pytest
from leaves import leaf

import tinygrad_rnn as tg


def vector():
    return leaf([1.0, 2.0]) * 2


def released():
    y = vector().sum()
    y.backward()
    return y


def unhashable_index():
    return vector()[{}]


MISTAKES = {
    # backward and grad
    "backward of a vector": (
        lambda: vector().backward(),
        RuntimeError,
        r"multiply at enc, t=3: only a scalar.*got shape \(2,\)",
    ),
    "backward of nothing": (
        (leaf(np.zeros((0,))) * 2).backward,
        RuntimeError,
        r"only a scalar.*got shape \(0,\)",
    ),
    "grad of a vector": (lambda: tg.grad(vector(), leaf(1.0)), RuntimeError, r"multiply at enc, t=3: only a scalar"),
    "a gradient of the wrong shape": (
        lambda: vector().backward(np.ones(3)),
        ValueError,
        r"multiply at enc, t=3: expected a gradient of shape \(2,\), got \(3,\)",
    ),
    "a gradient that would broadcast": (
        lambda: vector().backward(1.0),
        ValueError,
        r"expected a gradient of shape \(2,\), got \(\)",
    ),
    "a complex gradient": (
        lambda: vector().backward(np.ones(2) * 1j),
        TypeError,
        "enc, t=3: expected a real gradient, got complex128",
    ),
    "a gradient of words": (
        lambda: vector().backward(np.array(["a", "b"])),
        TypeError,
        "enc, t=3: expected a real gradient, got <U1",
    ),
    "a gradient of objects": (
        lambda: vector().backward([None, 1.0]),
        TypeError,
        "expected a real gradient, got object",
    ),
    "a ragged gradient": (lambda: vector().backward([[1.0], [1.0, 2.0]]), ValueError, "inhomogeneous"),
    "backward without a graph": (
        lambda: tg.Tensor([1.0], name="x").sum().backward(),
        RuntimeError,
        r"tensor of shape \(\) does not require a gradient",
    ),
    "backward of a constant by name": (
        lambda: tg.Tensor(1.0, name="x").backward(),
        RuntimeError,
        "tensor 'x' does not require a gradient",
    ),
    "backward after no_grad": (lambda: tg.no_grad()(vector)().sum().backward(), RuntimeError, "no_grad was on"),
    "backward of an integer result": (
        lambda: vector().argmax().backward(),
        RuntimeError,
        "does not require a gradient",
    ),
    "a second walk": (lambda: released().backward(), RuntimeError, r"sum at enc, t=3.*released.*retain_graph=True"),
    "grad of a function": (
        lambda: tg.grad(lambda x: x, leaf(1.0)),
        TypeError,
        r"got a function.*tg\.vjp.*tg\.jacobian",
    ),
    "grad of a number": (
        lambda: tg.grad(3.0, leaf(1.0)),
        TypeError,
        "outputs to be a tensor or a sequence of tensors, got float",
    ),
    "grad of an array": (lambda: tg.grad(np.ones(1), leaf(1.0)), TypeError, "outputs to be a tensor.*got ndarray"),
    "grad with respect to an array": (
        lambda: tg.grad(vector(), np.ones(1)),
        TypeError,
        "inputs to be a tensor.*got ndarray",
    ),
    "grad with respect to a list of arrays": (
        lambda: tg.grad(vector(), [np.ones(1)]),
        TypeError,
        r"inputs.*sequence of tensors",
    ),
    "grad with respect to a constant": (
        lambda: tg.grad(vector().sum(), [leaf(1.0), tg.Tensor(1.0)]),
        RuntimeError,
        r"inputs\[1\] \(shape \(\)\) does not require",
    ),
    "grad of a constant": (lambda: tg.grad(tg.Tensor(1.0), leaf(1.0)), RuntimeError, "does not require a gradient"),
    "too few grad_outputs": (
        lambda: tg.grad([vector(), vector()], leaf(1.0), [np.ones(2)]),
        ValueError,
        "expected 2 grad_outputs.*got 1",
    ),
    "one grad_output for two outputs": (
        lambda: tg.grad([vector(), vector()], leaf(1.0), np.ones(2)),
        ValueError,
        "expected 2 grad_outputs.*got 1",
    ),
    "a grad_output of the wrong shape": (
        lambda: tg.grad(vector(), leaf(1.0), np.ones(3)),
        ValueError,
        r"shape \(2,\), got \(3,\)",
    ),
    "grad with an unused input": (
        lambda: tg.grad(vector().sum(), leaf(1.0)),
        RuntimeError,
        r"inputs\[0\] \(shape \(\)\).*allow_unused",
    ),
    # shapes
    "shapes that do not broadcast": (
        lambda: vector() + np.ones(3),
        ValueError,
        r"add at enc, t=3: .*got \(2,\) float64, \(3,\) float64",
    ),
    "the same the other way round": (
        lambda: np.ones(3) * vector(),
        ValueError,
        r"multiply at enc, t=3: .*got \(3,\) float64, \(2,\) float64",
    ),
    "the same in constants": (
        lambda: tg.Tensor([1.0]) + tg.Tensor([1.0, 2.0]) + np.ones(3),
        ValueError,
        "add at enc, t=3",
    ),
    "matrices that do not fit": (
        lambda: leaf(np.ones((2, 3))) @ leaf(np.ones((2, 3))),
        ValueError,
        r"matmul at enc, t=3: .*got \(2, 3\) float64, \(2, 3\) float64",
    ),
    "matmul of a scalar": (lambda: vector() @ 3.0, ValueError, "matmul at enc, t=3"),
    "reshape": (lambda: vector().reshape(3), ValueError, r"reshape at enc, t=3: .*got \(2,\) float64"),
    "transpose": (lambda: vector().transpose(0, 1), ValueError, "transpose at enc, t=3"),
    "concatenate": (
        lambda: np.concatenate([vector(), leaf(np.ones((1, 2)))]),
        ValueError,
        r"concatenate at enc, t=3: .*got \[\(2,\), \(1, 2\)\]",
    ),
    "stack": (lambda: np.stack([vector(), np.ones(3)]), ValueError, r"stack at enc, t=3: .*got \[\(2,\), \(3,\)\]"),
    "stack of nothing": (lambda: np.stack([]), ValueError, "at least one array"),
    "split": (lambda: np.split(leaf(np.ones(3)), 2), ValueError, "split at enc, t=3: .*equal"),
    "squeeze": (lambda: vector().squeeze(0), ValueError, "squeeze at enc, t=3"),
    "an axis that is not there": (lambda: vector().sum(axis=1), ValueError, "sum at enc, t=3: axis 1 is out of bounds"),
    "an axis of a constant": (
        lambda: tg.Tensor([1.0]).mean(axis=2),
        ValueError,
        "mean at enc, t=3: axis 2 is out of bounds",
    ),
    "max of nothing": (lambda: leaf(np.zeros(0)).max(), ValueError, "max at enc, t=3: zero-size"),
    "broadcast_to": (lambda: np.broadcast_to(vector(), (3,)), ValueError, "broadcast_to at enc, t=3"),
    "einsum": (lambda: np.einsum("ij,j->i", vector(), vector()), ValueError, "einsum at enc, t=3"),
    # indices
    "an index out of bounds": (
        lambda: vector()[5],
        IndexError,
        r"getitem at enc, t=3: index 5 is out of bounds.*got \(2,\)",
    ),
    "too many indices": (lambda: vector()[0, 0], IndexError, "getitem at enc, t=3: too many indices"),
    "an index that is no whole number": (lambda: vector()[1.5], IndexError, "getitem at enc, t=3: only integers"),
    "an index that is a dict": (unhashable_index, IndexError, "getitem at enc, t=3: only integers"),
    "a mask of the wrong length": (
        lambda: vector()[np.array([True, False, True])],
        IndexError,
        "getitem at enc, t=3: boolean index",
    ),
    "take out of bounds": (lambda: np.take(vector(), [2]), IndexError, "take at enc, t=3: index 2 is out of bounds"),
    # things that are no numbers
    "add a word": (lambda: vector() + "a", TypeError, r"add at enc, t=3: .*got \(2,\) float64"),
    "add None": (lambda: vector() * None, TypeError, "multiply at enc, t=3"),
    "add a dict": (lambda: {} + vector(), TypeError, "add at enc, t=3"),
    "a complex factor": (
        lambda: vector() * 1j,
        TypeError,
        "multiply at enc, t=3: only real floats have gradients, the result is complex128",
    ),
    "astype of an unknown dtype": (lambda: vector().astype("number"), TypeError, "number"),
    "astype to words": (lambda: vector().astype(str), TypeError, "astype at enc, t=3: only real floats"),
    # writes
    "item assignment": (lambda: vector().__setitem__(0, 1.0), TypeError, r"t\[\.\.\.\] = v writes in place"),
    "out=": (
        lambda: np.add(vector(), 1.0, out=np.zeros(2)),
        TypeError,
        r"np\.add at enc, t=3: out= writes in place.*x = x \+ y",
    ),
    "out= of another function": (
        lambda: np.clip(vector(), 0, 1, out=np.zeros(2)),
        TypeError,
        r"np\.clip at enc, t=3.*writ",
    ),
    "np.copyto": (lambda: np.copyto(np.zeros(2), vector()), TypeError, r"np\.copyto at enc, t=3.*would write into"),
    "ufunc.at": (
        lambda: np.add.at(np.zeros(2), [0, 1], vector()),
        TypeError,
        r"np\.add\.at at enc, t=3.*is not defined on tensors",
    ),
    "a leaf in place": (
        lambda: leaf([1.0], name="w").__iadd__(1.0),
        RuntimeError,
        "tensor 'w' requires a gradient.*no_grad",
    ),
    # functions without a rule
    "a function without a rule": (
        lambda: np.sinc(vector()),
        TypeError,
        r"np\.sinc at enc, t=3 has no derivative rule.*tg\.defvjp",
    ),
    "a keyword without a rule": (
        lambda: np.sum(vector(), initial=1.0),
        TypeError,
        "sum at enc, t=3: the derivative rule knows no keyword 'initial'",
    ),
    "einsum with lists of axes": (
        lambda: np.einsum(vector(), [0]).sum().backward(),
        TypeError,
        "einsum.*subscripts as a string",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_what_came_and_where(mistake):
    make, kind, words = MISTAKES[mistake]
    with tg.scope("enc", step=3), pytest.raises(kind, match=words):
        make()


@pytest.mark.parametrize("mistake", MISTAKES)
def test_after_a_mistake_everything_works_as_before(mistake):
    make, kind, _ = MISTAKES[mistake]
    with pytest.raises(kind):
        make()
    x = leaf([1.0, 2.0])
    y = (x * x).sum()
    y.backward()
    assert (y.node.path, y.node.step, x.grad.tolist()) == ("", None, [2.0, 4.0])
