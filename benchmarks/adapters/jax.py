"""JAX on the CPU: the loop is ``jax.lax.scan``, and the training step is compiled as a whole."""

import time
from collections.abc import Callable, Sequence
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

    def split(self, x: Any, parts: int) -> Sequence[Any]:
        return jnp.split(x, parts, axis=-1)

    def scan(self, step: CellStep, state: State, x: Any) -> Any:
        def with_output(state: State, x_t: Any) -> tuple[State, Any]:
            state = step(state, x_t)
            return state, state[0]

        return jax.lax.scan(with_output, state, x)[1]

    def training_step(self, loss: Loss, variables: Arrays, constants: Arrays) -> Step:
        leaves, fixed = jax.device_put((dict(variables), dict(constants)))
        start = time.perf_counter()
        function = jax.jit(jax.value_and_grad(lambda leaves, fixed: loss(self, leaves, fixed)))
        compiled = function.lower(leaves, fixed).compile()
        self.compile_seconds = time.perf_counter() - start

        def step(_mark: Callable[[], None]) -> dict[str, Any]:  # forward and backward are one
            gradients: dict[str, Any] = jax.block_until_ready(compiled(leaves, fixed))[1]
            return gradients

        return step


ADAPTER = JAX()
