"""JAX on the CPU: the loop is ``jax.lax.scan``, and the training step is compiled as a whole.

It has no recurrent layers of its own: they are written here as its users do, with one product for all inputs before
the ``scan``.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from . import Adapter, Arrays, CellStep, Loss, State, Step

jax.config.update("jax_platforms", "cpu")


class JAX(Adapter):
    name = "jax"
    version = jax.__version__
    longest_chain = 0
    tanh = staticmethod(jnp.tanh)
    sigmoid = staticmethod(jax.nn.sigmoid)
    has_layers = True

    def split(self, x: Any, parts: int) -> Sequence[Any]:
        return jnp.split(x, parts, axis=-1)

    def scan(self, step: CellStep, state: State, x: Any) -> Any:
        def with_output(state: State, x_t: Any) -> tuple[State, Any]:
            state = step(state, x_t)
            return state, state[0]

        return jax.lax.scan(with_output, state, x)[1]

    def training_step(self, loss: Loss, variables: Arrays, constants: Arrays) -> Step:
        leaves, fixed = jax.device_put((dict(variables), dict(constants)))
        compiled = self.compiled(jax.value_and_grad(lambda leaves, fixed: loss(self, leaves, fixed)), leaves, fixed)

        def step(_mark: Callable[[], None]) -> dict[str, Any]:  # forward and backward are one
            gradients: dict[str, Any] = jax.block_until_ready(compiled(leaves, fixed))[1]
            return gradients

        return step

    def compiled(self, function: Callable[..., Any], *arguments: Any) -> Any:
        start = time.perf_counter()
        answer = jax.jit(function).lower(*arguments).compile()
        self.compile_seconds = time.perf_counter() - start
        return answer

    def layer_step(self, cell: str, variables: Arrays, constants: Arrays, **_options: Any) -> Step:
        def loss(_lib: Adapter, leaves: Any, fixed: Any) -> Any:  # its gradient with respect to the outputs is upstream
            return (layer(cell, leaves, fixed.get("lengths")) * fixed["upstream"]).sum()

        return self.training_step(loss, variables, constants)

    def layer_inference(self, cell: str, variables: Arrays, constants: Arrays, **_options: Any) -> Step:
        leaves, lengths = jax.device_put((dict(variables), constants.get("lengths")))
        compiled = self.compiled(partial(layer, cell), leaves, lengths)
        return lambda _mark: {"output": jax.block_until_ready(compiled(leaves, lengths))}


def layer(cell: str, leaves: Any, lengths: Any) -> Any:
    """All h_t (T, B, H), from states of zeros; 0 past the lengths (B,), if there are any."""
    x, w, b = leaves["x"], leaves["weight_hh_l0"].T, leaves["bias_hh_l0"]
    from_x = x @ leaves["weight_ih_l0"].T + leaves["bias_ih_l0"]

    def step(state: Any, inputs: Any) -> Any:
        t, from_x_t = inputs
        new: State = CELLS[cell](state, from_x_t, state[0] @ w + b)
        if lengths is None:
            return new, new[0]
        runs = (t < lengths)[:, None]
        return tuple(jnp.where(runs, s, old) for s, old in zip(new, state, strict=True)), jnp.where(runs, new[0], 0)

    zero = jnp.zeros((x.shape[1], w.shape[0]), x.dtype)
    return jax.lax.scan(step, (zero,) * (2 if cell == "lstm" else 1), (jnp.arange(len(x)), from_x))[1]


def rnn(_state: State, from_x: Any, from_h: Any) -> State:
    return (jnp.tanh(from_x + from_h),)


def lstm(state: State, from_x: Any, from_h: Any) -> State:
    i, f, g, o = jnp.split(from_x + from_h, 4, axis=-1)
    c = jax.nn.sigmoid(f) * state[1] + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def gru(state: State, from_x: Any, from_h: Any) -> State:
    (r_x, z_x, n_x), (r_h, z_h, n_h) = (jnp.split(part, 3, axis=-1) for part in (from_x, from_h))
    r, z = jax.nn.sigmoid(r_x + r_h), jax.nn.sigmoid(z_x + z_h)
    n = jnp.tanh(n_x + r * n_h)
    return ((1 - z) * n + z * state[0],)


CELLS = {"rnn": rnn, "lstm": lstm, "gru": gru}
ADAPTER = JAX()
