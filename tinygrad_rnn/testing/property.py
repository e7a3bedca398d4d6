"""Gradient checks as properties: of whatever a Hypothesis strategy draws."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import hypothesis
from hypothesis.strategies import SearchStrategy

from .gradient_check import gradcheck
from .report import KinkError, KinkWarning


def assert_gradients(
    f: Callable[..., Any],
    strategy: SearchStrategy[Any],
    *,
    order: int = 1,
    mode: str = "reverse",
    settings: hypothesis.settings | None = None,
    **options: Any,
) -> None:
    """Check the derivatives of ``f`` at whatever the strategy draws; a failure is shrunk to the simplest inputs.

    The points are Hypothesis's: as many as the profile in force says (``hypothesis.settings.load_profile``), the same
    ones each time with ``derandomize=True``. A point where nothing can be compared, as it lies on a kink, is replaced.

    Args:
        f: Called ``f(*inputs)`` where the strategy draws tuples, ``f(inputs)`` otherwise.
        strategy: Draws the inputs, such as ``tg.testing.strategies.broadcastable(2)``.
        order, mode, options: As in ``gradcheck``.
        settings: Instead of the profile's.

    Raises:
        GradcheckError: with the simplest inputs found that show it.
        KinkError: nothing could be compared at any point.

    >>> import hypothesis, numpy as np, tinygrad_rnn as tg
    >>> pairs = tg.testing.strategies.broadcastable(2)
    >>> tg.testing.assert_gradients(np.multiply, pairs, settings=hypothesis.settings(max_examples=5, database=None))
    """

    kinked: list[KinkError] = []

    @(settings or hypothesis.settings())
    @hypothesis.given(strategy)
    def derivatives_are_right(inputs: Any) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", KinkWarning)
                gradcheck(f, inputs, order=order, mode=mode, progress=False, **options)
        except KinkError as error:
            kinked.append(error)
            hypothesis.reject()

    try:
        derivatives_are_right()
    except hypothesis.errors.Unsatisfiable:
        if kinked:
            raise kinked[-1] from None
        raise
