"""``tg.testing.assert_gradients``: a gradient check as a property."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn.testing import strategies

FEW = hypothesis.settings(max_examples=20, database=None, derandomize=True)


def test_right_derivatives_pass_and_each_point_is_asked():
    seen = []

    def product(a, b):
        seen.append(np.shape(a))
        return a * b

    tg.testing.assert_gradients(product, strategies.broadcastable(2), order=2, settings=FEW)
    assert len(set(seen)) > 5


def test_a_wrong_derivative_is_shown_at_the_simplest_point():
    @tg.primitive
    def tripled(x):
        return x * 3

    tg.defvjp(tripled, lambda g, y, x: g * np.where(x > 1, 4, 3))
    with pytest.raises(tg.testing.GradcheckError, match="1 of 1 derivatives are wrong"):
        tg.testing.assert_gradients(tripled, strategies.tensors(elements=(-5, 5), away_from=1), settings=FEW)


def test_points_on_kinks_are_replaced():
    points = st.sampled_from([-1.0, 0.0, 2.0]).map(np.array)
    tg.testing.assert_gradients(tg.functional.relu, points, settings=FEW)


def test_where_all_points_are_on_kinks_nothing_was_checked():
    with pytest.raises(tg.testing.KinkError, match="could not be compared"):
        tg.testing.assert_gradients(tg.functional.relu, st.just((np.zeros(3),)), settings=FEW)


def test_what_a_strategy_cannot_draw_stays_hypothesiss_to_say():
    with pytest.raises(hypothesis.errors.Unsatisfiable):
        tg.testing.assert_gradients(np.tanh, st.just(np.ones(2)).filter(lambda x: False), settings=FEW)
