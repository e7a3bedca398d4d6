"""Random little programs and loops to be drawn; plain data, so that the same graph can be recorded again and again."""

import numpy as np
from hypothesis import strategies as st

import tinygrad_rnn as tg

OPERATIONS = ("tanh", "add", "multiply", "matmul", "plus constant", "swap halves", "stack", "constant", "leaf")
PATHS = ("", "cell", "net/layer 0", "net/layer 1", "net/layer 1/gate")
NAMES = (None, None, "h", 'a "name" <b>&amp;</b> \\N\n')

operation = st.sampled_from(OPERATIONS)
place = st.tuples(st.sampled_from(PATHS), st.sampled_from((None, 0, 1, 2, 5)))
instruction = st.tuples(operation, st.integers(0, 50), st.integers(0, 50), place, st.sampled_from(NAMES))
programs = st.lists(instruction, min_size=0, max_size=14)

body = st.lists(st.tuples(operation, st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=6)
loops = st.tuples(
    body,
    st.integers(1, 6),  # steps
    st.sampled_from(("constant", "leaf", "computed", "weight")),  # the initial state
    st.sampled_from(("last", "all", "loss in the loop")),
    st.booleans(),  # does an input of each step want a gradient?
)


def apply(kind, a, b):
    if kind == "tanh":
        return np.tanh(a)
    if kind == "add":
        return a + b
    if kind == "multiply":
        return a * b
    if kind == "matmul":
        return a @ b
    if kind == "plus constant":
        return a + np.ones((2, 2))
    if kind == "swap halves":
        upper, lower = np.split(a, 2)
        return np.concatenate([lower, upper])
    if kind == "stack":
        return np.stack([a, b, a])[0]
    return leaf("x") if kind == "leaf" else tg.Tensor(np.ones((2, 2)))


def leaf(name):
    return tg.Tensor(np.eye(2) / 2, requires_grad=True, name=name)


def run(program):
    """The last recorded tensor of a program that starts with three leaves."""
    values = [leaf("u"), leaf("w"), leaf(None)]
    for kind, i, j, (path, step), name in program:
        with tg.scope(path or None, step=step):
            value = apply(kind, values[i % len(values)], values[j % len(values)])
        if name is not None and value.requires_grad:
            value.name = name
        values.append(value)
    return next(value for value in reversed(values) if value.requires_grad)


def unroll(loop):
    """The output of a recurrent net with a random step."""
    instructions, steps, start, output, inputs = loop
    w, u = leaf("w"), leaf("u")
    state = {"constant": tg.Tensor(np.eye(2)), "leaf": leaf("h0"), "computed": w * u, "weight": w}[start]
    outputs, loss = [], u * 0
    for t in range(steps):
        x = tg.Tensor(np.ones((2, 2)) * t, requires_grad=inputs)
        with tg.scope("cell", step=t):
            values = [state, x, w, u]
            for kind, i, j in instructions:
                values.append(apply(kind, values[i % len(values)], values[j % len(values)]))
            state = np.tanh(values[-1] + state @ w)
            outputs.append(state)
            if output == "loss in the loop":
                loss = loss + (state * state).sum()
    return {"last": state, "all": np.stack(outputs), "loss in the loop": loss}[output]


def rnn(steps, inputs=False):
    """A loop over steps, whose inputs may want gradients."""
    w, u, v, b, h = (leaf(name) for name in ("w", "u", "v", "b", "h0"))
    for t in range(steps):
        x = tg.Tensor(np.ones((2, 2)) * t, requires_grad=inputs, name=f"x{t}")
        with tg.scope("rnn", step=t):
            h = np.tanh(x @ u + h @ w + b)
    return (h @ v).sum()
