"""How long it takes to check an LSTM of about 1,000 parameters."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

import tinygrad_rnn as tg

CHECKS: dict[str, dict[str, Any]] = {
    "every element": {},
    "every element, forward mode": {"mode": "forward"},
    "adjoint identity": {"mode": "adjoint"},
    "10 random directions": {"projections": 10},
    "orders 1 and 2 (order 2 by random directions)": {"order": 2},
    "orders 1 to 3, 10 random directions": {"order": 3, "projections": 10},
}


def run() -> str:
    """Check ``tg.nn.LSTM(7, 12)`` on five steps of a batch of two, its input included, in every way."""
    tg.manual_seed(0)
    model = tg.nn.LSTM(7, 12).astype(np.float64)
    x = np.random.default_rng(0).normal(size=(5, 2, 7))
    size = sum(p.size for p in model.parameters())
    lines = [f"LSTM(7, 12): {size} parameters, and an input of {x.size} numbers", ""]
    for words, options in CHECKS.items():
        started = time.perf_counter()
        tg.testing.gradcheck(model, (x,), **options)
        lines.append(f"{words:<48}{time.perf_counter() - started:8.2f} s")
    return "\n".join(lines)
