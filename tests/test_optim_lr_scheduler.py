"""Schedules: every rate equal to PyTorch's, saving, and errors."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn.optim.lr_scheduler import EpochScheduler

schedules = tg.optim.lr_scheduler

CASES = [
    ("StepLR", {"step_size": 3, "gamma": 0.5}),
    ("CosineAnnealingLR", {"T_max": 7, "eta_min": 0.01}),
    ("LinearWarmup", {"warmup_steps": 4, "start_factor": 0.1}),
]


def optimizer_with_two_groups(lr=0.1):
    return tg.optim.SGD(
        [{"params": [tg.nn.Parameter([1.0])]}, {"params": [tg.nn.Parameter([1.0])], "lr": 2 * lr}], lr=lr
    )


def torchs_with_two_groups(torch, lr=0.1):
    return torch.optim.SGD([{"params": [torch.ones(1)]}, {"params": [torch.ones(1)], "lr": 2 * lr}], lr=lr)


def compare(ours, theirs, steps, metrics=None):
    for t in range(steps):
        np.testing.assert_allclose(ours.get_last_lr(), theirs.get_last_lr(), rtol=1e-9, atol=1e-12)
        theirs.optimizer.step()
        arguments = () if metrics is None else (metrics[t],)
        ours.step(*arguments)
        theirs.step(*arguments)


class TestAgainstTorch:
    @given(
        st.one_of(
            st.builds(
                lambda n, gamma: ("StepLR", {"step_size": n, "gamma": gamma}) * 2,
                st.integers(1, 10),
                st.floats(0.1, 1.5),
            ),
            st.builds(
                lambda n, low: ("CosineAnnealingLR", {"T_max": n, "eta_min": low}) * 2,
                st.integers(1, 30),
                st.floats(0, 0.2),
            ),
            st.builds(
                lambda n, s: (
                    "LinearWarmup",
                    {"warmup_steps": n, "start_factor": s},
                    "LinearLR",
                    {"total_iters": n, "start_factor": s},
                ),
                st.integers(1, 30),
                st.floats(0.01, 1.0),
            ),
        )
    )
    @example(("CosineAnnealingLR", {"T_max": 1}) * 2)
    def test_every_rate(self, case):
        torch = pytest.importorskip("torch", reason="this test compares with PyTorch")
        name, options, its_name, its_options = case
        ours = getattr(schedules, name)(optimizer_with_two_groups(), **options)
        theirs = getattr(torch.optim.lr_scheduler, its_name)(torchs_with_two_groups(torch), **its_options)
        compare(ours, theirs, 40)

    def test_defaults(self):
        torch = pytest.importorskip("torch", reason="this test compares with PyTorch")
        ours = schedules.StepLR(optimizer_with_two_groups(), 2)
        theirs = torch.optim.lr_scheduler.StepLR(torchs_with_two_groups(torch), 2)
        compare(ours, theirs, 6)
        ours = schedules.LinearWarmup(optimizer_with_two_groups(), 5)
        theirs = torch.optim.lr_scheduler.LinearLR(torchs_with_two_groups(torch))
        compare(ours, theirs, 8)

    def test_two_schedules_on_one_optimizer_multiply(self):
        torch = pytest.importorskip("torch", reason="this test compares with PyTorch")
        mine, its = optimizer_with_two_groups(), torchs_with_two_groups(torch)
        warm, its_warm = schedules.LinearWarmup(mine, 5), torch.optim.lr_scheduler.LinearLR(its, total_iters=5)
        steps, its_steps = schedules.StepLR(mine, 3), torch.optim.lr_scheduler.StepLR(its, 3)
        for _ in range(10):
            its.step()
            for schedule in (warm, its_warm, steps, its_steps):
                schedule.step()
            np.testing.assert_allclose(
                [group["lr"] for group in mine.param_groups], [group["lr"] for group in its.param_groups], rtol=1e-12
            )

    @given(
        st.fixed_dictionaries(
            {
                "mode": st.sampled_from(["min", "max"]),
                "factor": st.sampled_from([0.1, 0.5]),
                "patience": st.integers(0, 3),
                "threshold": st.sampled_from([0.0, 1e-4, 0.3]),
                "threshold_mode": st.sampled_from(["rel", "abs"]),
                "cooldown": st.integers(0, 3),
                "min_lr": st.sampled_from([0.0, 0.01, [0.02, 0.001]]),
                "eps": st.sampled_from([1e-8, 1e-3]),
            }
        ),
        st.lists(st.sampled_from([-1.0, 0.0, 0.5, 0.69, 0.7, 1.0, 1.3, math.nan, math.inf]), min_size=30, max_size=30),
    )
    def test_plateau(self, options, metrics):
        torch = pytest.importorskip("torch", reason="this test compares with PyTorch")
        ours = schedules.ReduceLROnPlateau(optimizer_with_two_groups(), **options)
        theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(torchs_with_two_groups(torch), **options)
        compare(ours, theirs, len(metrics), metrics)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_a_saved_schedule_resumes_exactly(name, options):
    optimizer = optimizer_with_two_groups()
    schedule = getattr(schedules, name)(optimizer, **options)
    for _ in range(3):
        schedule.step()
    saved = optimizer.state_dict(), schedule.state_dict()
    other = optimizer_with_two_groups(lr=7.0)
    resumed = getattr(schedules, name)(other, **dict.fromkeys(options, 1))
    other.load_state_dict(saved[0])
    resumed.load_state_dict(saved[1])
    for _ in range(10):
        assert resumed.get_last_lr() == schedule.get_last_lr()
        schedule.step()
        resumed.step()


def test_a_saved_plateau_resumes_exactly():
    optimizer = optimizer_with_two_groups()
    schedule = schedules.ReduceLROnPlateau(optimizer, patience=2, cooldown=1)
    for _ in range(3):
        schedule.step(tg.Tensor(1.0))
    other = optimizer_with_two_groups()
    other.load_state_dict(optimizer.state_dict())
    resumed = schedules.ReduceLROnPlateau(other)
    resumed.load_state_dict(schedule.state_dict())
    for _ in range(10):
        schedule.step(1.0)
        resumed.step(1.0)
        assert resumed.get_last_lr() == schedule.get_last_lr()
    assert schedule.get_last_lr()[0] < 0.01


def test_a_saved_state_is_a_copy():
    schedule = schedules.StepLR(optimizer_with_two_groups(), 1)
    saved = schedule.state_dict()
    saved["base_lrs"][0] = 99.0
    assert schedule.base_lrs == [0.1, 0.2]
    schedule.load_state_dict(saved)
    saved["base_lrs"][0] = 98.0
    assert schedule.base_lrs == [99.0, 0.2]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda o: schedules.StepLR("sgd", 1), TypeError, "StepLR: expected an optimizer, got str"),
        (lambda o: schedules.StepLR(o, 0), ValueError, "StepLR: expected step_size >= 1, got 0"),
        (lambda o: schedules.CosineAnnealingLR(o, 0), ValueError, "CosineAnnealingLR: expected T_max >= 1, got 0"),
        (lambda o: schedules.LinearWarmup(o, 0), ValueError, "LinearWarmup: expected warmup_steps >= 1, got 0"),
        (lambda o: schedules.LinearWarmup(o, 3, 0.0), ValueError, r"expected start_factor in \(0, 1\], got 0\.0"),
        (lambda o: schedules.ReduceLROnPlateau(o, mode="down"), ValueError, "expected mode 'min' or 'max' and thresh"),
        (lambda o: schedules.ReduceLROnPlateau(o, factor=1.0), ValueError, r"expected factor < 1, got 1\.0"),
        (
            lambda o: schedules.ReduceLROnPlateau(o, min_lr=[0.1]),
            ValueError,
            "expected 2 min_lr, one for each group, got 1",
        ),
        (
            lambda o: schedules.StepLR(o, 1).load_state_dict({}),
            ValueError,
            "StepLR.load_state_dict: 'base_lrs' is missing",
        ),
    ],
)
def test_errors_leave_the_rates_alone(call, error, message):
    optimizer = optimizer_with_two_groups()
    with pytest.raises(error, match=message):
        call(optimizer)
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.2]


def test_a_group_added_later_is_an_error():
    optimizer = optimizer_with_two_groups()
    step, plateau = schedules.StepLR(optimizer, 1), schedules.ReduceLROnPlateau(optimizer, patience=0)
    optimizer.add_param_group({"params": [tg.nn.Parameter([1.0])]})
    plateau.step(1.0)
    for late in (step.step, lambda: plateau.step(1.0)):
        with pytest.raises(RuntimeError, match="had 2 groups when the schedule was made, and now has 3"):
            late()
    assert step.last_epoch == 0


def test_a_schedule_of_your_own_that_lacks_its_rate_says_so():
    class Bare(EpochScheduler):
        pass

    schedule = Bare(tg.optim.SGD([tg.nn.Parameter([1.0])], lr=0.1))
    with pytest.raises(NotImplementedError, match=r"Bare has no next_lr\(\)"):
        schedule.step()
