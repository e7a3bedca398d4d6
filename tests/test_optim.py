"""Optimisers: every step equal to PyTorch's; groups, ties, saving, guards and errors."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn.optim.optimizer import Optimizer

SHAPES = [(2, 3), (), (0,), (4,)]
DTYPES = [np.float32, np.float64]
ALL = [tg.optim.SGD, tg.optim.RMSprop, tg.optim.Adam, tg.optim.AdamW]

rates = st.floats(1e-4, 1.0)
decays = st.sampled_from([0.0, 0.01, 0.5])
momenta = st.sampled_from([0.0, 0.5, 0.9])
eps = st.sampled_from([1e-8, 1e-3])
betas = st.tuples(st.sampled_from([0.0, 0.5, 0.9]), st.sampled_from([0.5, 0.9, 0.999]))
sgd = st.fixed_dictionaries(
    {"lr": rates, "momentum": momenta, "dampening": st.sampled_from([0.0, 0.3]), "weight_decay": decays}
) | st.fixed_dictionaries({"lr": rates, "momentum": st.just(0.9), "nesterov": st.just(True), "weight_decay": decays})
rmsprop = st.fixed_dictionaries(
    {
        "lr": rates,
        "alpha": st.sampled_from([0.5, 0.9, 0.99]),
        "eps": eps,
        "momentum": momenta,
        "centered": st.booleans(),
        "weight_decay": decays,
    }
)
adam = st.fixed_dictionaries(
    {"lr": rates, "betas": betas, "eps": eps, "amsgrad": st.booleans(), "weight_decay": decays}
)
settings = st.one_of(
    st.tuples(st.just("SGD"), sgd),
    st.tuples(st.just("RMSprop"), rmsprop),
    st.tuples(st.just("Adam"), adam),
    st.tuples(st.just("AdamW"), adam),
)


def parameters(dtype=np.float64):
    return [tg.nn.Parameter(np.random.standard_normal(shape).astype(dtype)) for shape in SHAPES]


def give_gradients(ours, theirs=()):
    """The same random gradients for both, and none for one parameter now and then."""
    skipped = np.random.randint(0, 2 * len(ours))
    for i, p in enumerate(ours):
        g = np.asarray(np.random.standard_normal(p.shape), p.dtype)
        p.grad = None if i == skipped else tg.Tensor(g)
        if theirs:
            theirs[i].grad = None if i == skipped else theirs[i].new_tensor(g)


class TestAgainstTorch:
    @given(settings, st.sampled_from(DTYPES))
    @example(("SGD", {}), np.float32)
    @example(("RMSprop", {}), np.float32)
    @example(("Adam", {}), np.float32)
    @example(("AdamW", {}), np.float32)
    def test_twenty_steps(self, setting, dtype):
        torch = pytest.importorskip("torch", reason="this test compares with PyTorch")
        name, options = setting
        ours = parameters(dtype)
        theirs = [torch.tensor(p.numpy(), requires_grad=True) for p in ours]
        mine, its = getattr(tg.optim, name)(ours, **options), getattr(torch.optim, name)(theirs, **options)
        tolerance = 1e-6 if dtype is np.float32 else 1e-12
        largest = 1.0  # of all values so far: rounding is relative to what was rounded
        for _ in range(20):
            give_gradients(ours, theirs)
            mine.step()
            its.step()
            for p, q in zip(ours, theirs, strict=True):
                assert p.dtype == dtype
                largest = max(largest, float(np.abs(p.numpy()).max(initial=0)))
                np.testing.assert_allclose(p.numpy(), q.detach().numpy(), rtol=0, atol=tolerance * largest)

    @pytest.mark.parametrize("kind", ["SGD", "RMSprop", "Adam", "AdamW"])
    def test_defaults_are_torchs(self, kind):
        torch = pytest.importorskip("torch", reason="this test compares with PyTorch")
        ours = getattr(tg.optim, kind)([tg.nn.Parameter([1.0])]).defaults
        theirs = getattr(torch.optim, kind)([torch.ones(1)]).defaults
        assert ours == {name: theirs[name] for name in ours}
        left = set(theirs) - set(ours) - {"foreach", "fused", "maximize", "capturable", "differentiable"}
        assert left <= {"decoupled_weight_decay"}

    @pytest.mark.parametrize(
        ("kind", "options"),
        [
            ("SGD", {"momentum": 0.9}),
            ("RMSprop", {"momentum": 0.9, "centered": True}),
            ("Adam", {"amsgrad": True}),
            ("AdamW", {}),
        ],
    )
    def test_goes_on_from_a_state_of_torchs(self, kind, options):
        torch = pytest.importorskip("torch", reason="this test compares with PyTorch")
        theirs = [torch.randn(3, dtype=torch.double, requires_grad=True) for _ in range(2)]
        its = getattr(torch.optim, kind)(theirs, lr=0.1, **options)
        for _ in range(3):
            for q in theirs:
                q.grad = torch.randn(3, dtype=torch.double)
            its.step()
        ours = [tg.nn.Parameter(q.detach().numpy()) for q in theirs]
        mine = getattr(tg.optim, kind)(ours)
        mine.load_state_dict(its.state_dict())
        for _ in range(3):
            give_gradients(ours, theirs)
            mine.step()
            its.step()
        for p, q in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(p.numpy(), q.detach().numpy(), rtol=1e-12)

    def test_groups_with_options_of_their_own(self):
        torch = pytest.importorskip("torch", reason="this test compares with PyTorch")
        ours = parameters()
        theirs = [torch.tensor(p.numpy(), requires_grad=True) for p in ours]
        mine = tg.optim.SGD([{"params": ours[:2], "lr": 0.5}, {"params": ours[2]}], lr=0.1, momentum=0.9)
        its = torch.optim.SGD([{"params": theirs[:2], "lr": 0.5}, {"params": theirs[2]}], lr=0.1, momentum=0.9)
        mine.add_param_group({"params": ours[3:], "momentum": 0.0})
        its.add_param_group({"params": theirs[3:], "momentum": 0.0})
        for _ in range(3):
            give_gradients(ours, theirs)
            mine.step()
            its.step()
        for p, q in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(p.numpy(), q.detach().numpy(), rtol=1e-12)


@pytest.mark.parametrize("kind", ALL)
def test_a_saved_state_resumes_exactly(kind):
    def train(model, optimizer, steps):
        for t in range(*steps):
            optimizer.zero_grad()
            model(np.full((2, 3), 1.0 + t, np.float32)).sum().backward()
            optimizer.step()

    def fresh():
        model = tg.nn.Linear(3, 2)
        options = {"momentum": 0.9} if kind in (tg.optim.SGD, tg.optim.RMSprop) else {"amsgrad": True}
        return model, kind(model.parameters(), lr=0.05, weight_decay=0.1, **options)

    model, optimizer = fresh()
    train(model, optimizer, (0, 5))
    saved = model.state_dict(), optimizer.state_dict()
    train(model, optimizer, (5, 10))  # must not write into what was saved
    other, resumed = fresh()
    other.load_state_dict(saved[0])
    resumed.load_state_dict(saved[1])
    train(other, resumed, (5, 10))
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        np.testing.assert_array_equal(p.numpy(), q.numpy())
    before = saved[1]["state"][0]
    resumed.load_state_dict(saved[1])
    train(other, resumed, (0, 1))  # nor into what it was loaded from
    for name, value in saved[1]["state"][0].items():
        np.testing.assert_array_equal(value, before[name])


@pytest.mark.parametrize("kind", ALL)
def test_an_update_is_in_place_and_noticed_by_a_graph_recorded_before(kind):
    w, x = tg.nn.Parameter([2.0], name="w"), tg.Tensor([3.0], requires_grad=True)
    array = w.numpy()
    (w * x).sum().backward()
    late = (w * x).sum()
    kind([w], lr=0.1).step()
    assert w.numpy() is array
    assert array[0] < 2
    with pytest.raises(RuntimeError, match=r"multiply: tensor 'w', of shape \(1,\), was modified in place"):
        late.backward()


def test_a_gradient_is_not_written_into():
    for kind, options in [
        (tg.optim.SGD, {"momentum": 0.9}),
        (tg.optim.Adam, {}),
        (tg.optim.RMSprop, {"momentum": 0.9}),
    ]:
        w = tg.nn.Parameter([2.0])
        w.grad = tg.Tensor([3.0])
        optimizer = kind([w], lr=0.1, weight_decay=0.1, **options)
        optimizer.step()
        optimizer.step()
        assert w.grad.tolist() == [3.0]


def test_tied_parameters_count_once():
    w = tg.nn.Parameter([1.0])
    optimizer = tg.optim.SGD([w, w], lr=0.25)
    w.grad = tg.Tensor([1.0])
    optimizer.step()
    assert w.tolist() == [0.75]
    assert len(optimizer.param_groups[0]["params"]) == 1


def test_a_learning_rate_from_numpy_does_not_change_the_dtype():
    for kind in ALL:
        (w,) = [tg.nn.Parameter([1.0, 2.0])]
        w.grad = tg.Tensor([1.0, 1.0])
        optimizer = kind([w], lr=np.float64(0.1))
        optimizer.step()
        assert w.dtype == np.float32
        assert {v.dtype for v in optimizer.state[w].values() if isinstance(v, np.ndarray)} <= {np.dtype(np.float32)}


def test_closure_and_zero_grad():
    w = tg.nn.Parameter([3.0])
    optimizer = tg.optim.SGD([w], lr=0.5)

    def closure():
        optimizer.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 9.0
    assert w.tolist() == [0.0]
    assert w.grad is not None
    optimizer.zero_grad()
    assert w.grad is None
    assert optimizer.step() is None


def test_a_regression_is_solved():
    x = np.random.standard_normal((64, 3))
    target = x @ np.array([1.0, -2.0, 0.5]) + 0.3
    for kind, lr in [(tg.optim.SGD, 0.3), (tg.optim.RMSprop, 0.03), (tg.optim.Adam, 0.1), (tg.optim.AdamW, 0.1)]:
        model = tg.nn.Linear(3, 1).astype(np.float64)
        optimizer = kind(model.parameters(), lr=lr)
        for _ in range(300):
            optimizer.zero_grad()
            loss = tg.nn.MSELoss()(model(x)[:, 0], target)
            loss.backward()
            optimizer.step()
        assert loss.item() < 1e-2, kind


def test_repr_names_the_options():
    assert repr(tg.optim.SGD([tg.nn.Parameter([1.0])], lr=0.5)) == (
        "SGD(\n  group 0: 1 parameters, lr=0.5, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False\n)"
    )


def read_only():
    array = np.ones(2)
    array.flags.writeable = False
    return tg.Tensor(array, requires_grad=True, copy=False)


SGD, Adam = tg.optim.SGD, tg.optim.Adam


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda w: SGD([]), ValueError, "SGD: got no parameters to optimise"),
        (lambda w: SGD([{"params": []}]), ValueError, "SGD, group 0: got no parameters to optimise"),
        (SGD, TypeError, "SGD: expected a list of tensors, or of dicts, got Parameter"),
        (lambda w: SGD(3), TypeError, "SGD: expected a list of tensors, or of dicts, got int"),
        (lambda w: SGD({w}), TypeError, "SGD: expected a list of tensors, or of dicts, got set"),
        (lambda w: SGD([{"params": {w}}]), TypeError, "SGD, group 0: expected a list of tensors, got a set"),
        (lambda w: SGD([w, 3]), TypeError, "SGD, group 0: expected tensors, got int as number 1"),
        (lambda w: SGD([w * 2]), ValueError, "SGD, group 0: parameter 0 was computed; only leaf tensors can be"),
        (lambda w: SGD([read_only()]), ValueError, "parameter 0 has a read-only array"),
        (
            lambda w: SGD([{"params": [w]}, {"params": [w]}]),
            ValueError,
            r"group 1: parameter 0 \('w'\) is in an earlier",
        ),
        (lambda w: SGD([{"lr": 1.0}]), TypeError, "SGD, group 0: expected a dict with 'params'"),
        (lambda w: SGD([{"params": [w]}, w]), TypeError, "SGD, group 1: expected a dict with 'params'"),
        (lambda w: SGD([{"params": [w], "rate": 1.0}]), ValueError, "unknown option 'rate'; there are lr, momentum"),
        (lambda w: SGD([w], lr=-1.0), ValueError, r"SGD: expected lr >= 0, got -1\.0"),
        (lambda w: SGD([w], lr=math.nan), ValueError, "SGD: expected lr >= 0, got nan"),
        (lambda w: SGD([{"params": [w], "momentum": -0.5}]), ValueError, r"expected momentum >= 0, got -0\.5"),
        (
            lambda w: SGD([w], nesterov=True),
            ValueError,
            r"nesterov needs momentum > 0 and dampening 0, got 0\.0 and 0\.0",
        ),
        (lambda w: SGD([w], weight_decay=-1), ValueError, "expected weight_decay >= 0, got -1"),
        (
            lambda w: Adam([w], betas=(0.9, 1.0)),
            ValueError,
            r"Adam: expected two betas in \[0, 1\), got \(0\.9, 1\.0\)",
        ),
        (lambda w: tg.optim.AdamW([w], betas=(0.9,)), ValueError, "AdamW: expected two betas"),
        (lambda w: Adam([w], eps=-1e-8), ValueError, "expected eps >= 0"),
        (lambda w: tg.optim.RMSprop([w], alpha=-0.1), ValueError, "RMSprop: expected alpha >= 0"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call(tg.nn.Parameter([1.0], name="w"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("state"), "expected a dict with 'state' and 'param_groups'"),
        (lambda s: s["param_groups"].append({"params": [7]}), r"expected groups of \[2\] parameters, got \[2, 1\]"),
        (lambda s: s["param_groups"][0]["params"].pop(), r"expected groups of \[2\] parameters, got \[1\]"),
        (lambda s: s["param_groups"][0].pop("eps"), "group 0 lacks 'eps'"),
        (lambda s: s["param_groups"][0].update(lr=-1), "expected lr >= 0, got -1"),
        (lambda s: s["state"].update({5: {}}), "state for parameter 5, which no group has"),
        (
            lambda s: s["state"][1].update(exp_avg=np.ones(3)),
            r"'exp_avg' of parameter 1: expected shape \(2,\), got \(3,\)",
        ),
    ],
)
def test_errors_of_loading_change_nothing(change, message):
    def made(lr):
        ours = [tg.nn.Parameter([1.0]), tg.nn.Parameter([1.0, 2.0])]
        optimizer = Adam(ours, lr=lr)
        for p in ours:
            p.grad = tg.Tensor(np.ones_like(p.numpy()))
        optimizer.step()
        return optimizer

    optimizer, broken = made(0.1), made(0.2).state_dict()
    change(broken)
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(broken)
    np.testing.assert_equal(optimizer.state_dict(), made(0.1).state_dict())


def test_an_optimiser_of_your_own_that_lacks_its_update_says_so():
    class Bare(tg.optim.SGD):
        update = Optimizer.update

    p = tg.nn.Parameter([1.0])
    p.grad = tg.Tensor([1.0])
    with pytest.raises(NotImplementedError, match=r"Bare has no update\(\)"):
        Bare([p], lr=0.1).step()
