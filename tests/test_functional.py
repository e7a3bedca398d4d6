"""tg.functional against PyTorch: values, first and second derivatives, dtypes, for every public function."""

import math

import numpy as np
import pytest
from hypothesis import strategies as st
from peer import torch
from rules.arrays import arrays, axes, shapes
from rules.case import CHECKS, Case, run

import tinygrad_rnn as tg

F, TF = tg.functional, torch.nn.functional


def away_from(*corners):
    """Are derivatives meaningful everywhere: is no value at a corner of the function?"""
    return lambda x, *_, **__: not np.isin(x, corners).any()


@st.composite
def one_array(draw, low=-6, high=6, **options):
    return [draw(arrays(low=low, high=high))], {k: draw(v) for k, v in options.items()}


def elementwise(ours, theirs, corners=(), low=-6, high=6, **options):
    return Case(ours, (ours,), theirs, one_array(low, high, **options), smooth=away_from(*corners))


# ---- softmax and its kin


@st.composite
def along_an_axis(draw, several=True, none=False, **options):
    x = draw(arrays(draw(shapes(min_dims=0 if none else 1)), -6, 6))
    return [x], {"axis": draw(axes(x.ndim, several, none)), **{k: draw(v) for k, v in options.items()}}


def torch_log_softmax(x, axis):
    return x - torch_logsumexp(x, axis, True) if isinstance(axis, tuple) else TF.log_softmax(x, axis)


def torch_logsumexp(x, axis, keepdims):
    return torch.logsumexp(x, tuple(range(x.ndim)) if axis is None else axis, keepdims)


# ---- linear, embedding, dropout, layer norm


@st.composite
def affine_maps(draw, bias):
    x = draw(arrays(draw(shapes(min_dims=1))))
    outputs = draw(st.integers(0, 3))
    return [x, draw(arrays((outputs, x.shape[-1]))), *[draw(arrays((outputs,))) for _ in range(bias)]], {}


@st.composite
def tables(draw):
    rows = draw(st.integers(1, 4))
    index = draw(arrays(draw(shapes()), 0, rows)).astype(draw(st.sampled_from([np.int64, np.uint8])))
    padding = draw(st.none() | st.integers(-rows, rows - 1))
    return [draw(arrays((rows, draw(st.integers(0, 3)))))], {"index": index, "padding_idx": padding}


def torch_embedding(weight, index, padding_idx):
    return TF.embedding(torch.tensor(index.astype(np.int64)), weight, padding_idx)


def seeded_dropout(x, p, training=True):
    tg.manual_seed(5)
    return F.dropout(x, p, training)


def torch_dropout(x, p):
    mask = seeded_dropout(np.ones(x.shape), p).numpy()
    return x * torch.tensor(mask, dtype=x.dtype)


@st.composite
def normalisations(draw, affine):
    x = draw(arrays(draw(shapes(min_dims=1)), -6, 6))
    shape = x.shape[draw(st.integers(0, x.ndim - 1)) :]
    return [x, *[draw(arrays(shape)) for _ in range(affine)]], {"normalized_shape": shape}


def layer_norm(x, weight=None, bias=None, **options):
    return F.layer_norm(x, weight=weight, bias=bias, eps=0.1, **options)


def torch_layer_norm(x, weight=None, bias=None, *, normalized_shape):
    return TF.layer_norm(x, normalized_shape, weight, bias, eps=0.1)


# ---- losses

REDUCTIONS = st.sampled_from(["none", "mean", "sum"])


@st.composite
def classified(draw, weighted=True, **options):
    """Scores, and class indices for one of their axes, some of them to be ignored."""
    shape = draw(shapes(min_dims=1))
    axis = draw(st.none() | st.integers(-len(shape), len(shape) - 1))
    classes = (1 if len(shape) > 1 else 0) if axis is None else axis % len(shape)
    shape = (*shape[:classes], draw(st.integers(1, 4)), *shape[classes + 1 :])
    ignore_index = draw(st.sampled_from([-100, 0]))
    target = draw(arrays((*shape[:classes], *shape[classes + 1 :]), 0, shape[classes])).astype(np.int64)
    if draw(st.booleans()):
        target = np.where(draw(arrays(target.shape)) > 1, ignore_index, target)
    weight = draw(st.none() | arrays((shape[classes],), 0, 3)) if weighted else None
    given_options = {"target": target, "axis": axis, "weight": weight, "ignore_index": ignore_index}
    return [draw(arrays(shape, -6, 6))], given_options | {k: draw(v) for k, v in options.items()}


def counts_something(_x, target, weight, ignore_index, reduction, **_):
    """Is the mean more than 0 / 0?"""
    counted = target[target != ignore_index]
    return reduction != "mean" or (counted.size if weight is None else weight[counted].sum())


def torch_loss(function):
    def loss(x, target, axis, weight, **options):
        x = x.movedim(axis, min(x.ndim - 1, 1)) if axis is not None else x
        return function(x, torch.tensor(target), None if weight is None else torch.tensor(weight.copy()), **options)

    return loss


@st.composite
def class_probabilities(draw):
    (x,), options = draw(classified(reduction=REDUCTIONS, label_smoothing=st.sampled_from([0.0, 0.3])))
    del options["target"], options["ignore_index"]
    return [x, draw(arrays(x.shape, 0, 2))], options


def torch_soft_cross_entropy(x, target, axis, weight, reduction, label_smoothing):
    if axis is not None:
        x, target = (a.movedim(axis, min(x.ndim - 1, 1)) for a in (x, target))
    weight = None if weight is None else torch.tensor(weight.copy())
    return TF.cross_entropy(x, target, weight, reduction=reduction, label_smoothing=label_smoothing)


@st.composite
def pairs(draw):
    shape = draw(shapes())
    return [draw(arrays(shape)), draw(arrays(shape))], {"reduction": draw(REDUCTIONS)}


@st.composite
def yes_or_no(draw, weights_are_options):
    shape = draw(shapes())
    x, t = draw(arrays(shape)), draw(arrays(shape, 0, 1))
    weights = [draw(arrays(draw(st.sampled_from([shape, shape[-1:]])), 0, 3)) for _ in range(2)]
    options = {"reduction": draw(REDUCTIONS)}
    if weights_are_options:
        return [x, t], dict(zip(("weight", "pos_weight"), weights, strict=True)) | options
    return [x, t, *weights], options


def not_empty(x, *_, **__):
    return x.size


def bce(x, t, weight, pos_weight, reduction):
    return F.binary_cross_entropy_with_logits(x, t, weight, reduction, pos_weight)


def torch_bce(x, t, weight, pos_weight, reduction):
    weight, pos_weight = torch.tensor(weight.copy()), torch.tensor(pos_weight.copy())
    return TF.binary_cross_entropy_with_logits(x, t, weight, reduction=reduction, pos_weight=pos_weight)


def defined_bce(x, t, weight, pos_weight, reduction):
    """By its definition: PyTorch's own function has no derivative with respect to the weights."""
    y = torch.sigmoid(x)
    loss = -weight * (pos_weight * t * y.log() + (1 - t) * (1 - y).log())
    return loss if reduction == "none" else getattr(loss, reduction)()


CASES = [
    elementwise(F.sigmoid, torch.sigmoid),
    elementwise(F.relu, TF.relu, corners=[0]),
    elementwise(F.leaky_relu, TF.leaky_relu, corners=[0], negative_slope=st.sampled_from([0.01, 0.5, 2.0])),
    elementwise(F.elu, TF.elu, corners=[0], alpha=st.sampled_from([1.0, 0.5, 3.0])),
    elementwise(F.silu, TF.silu),
    elementwise(
        F.softplus,
        TF.softplus,
        corners=[3],
        beta=st.sampled_from([1.0, 0.5, 2.0]),
        threshold=st.sampled_from([20.0, math.inf]),
    ),
    Case(F.softplus, (F.softplus,), TF.softplus, one_array(15, 25), away_from(20), away_from(20), note="threshold"),
    elementwise(F.hardtanh, TF.hardtanh, corners=[-1, 1]),
    elementwise(
        F.hardtanh,
        TF.hardtanh,
        corners=[-1, 0.5, 2],
        min_val=st.sampled_from([-1, 0.5]),
        max_val=st.sampled_from([0.5, 2.0]),
    ),
    elementwise(F.binary_threshold, lambda x: (x > 0).to(x.dtype) + 0 * x, corners=[0]),
    Case(F.softmax, (F.softmax,), lambda x, axis: torch_log_softmax(x, axis).exp(), along_an_axis()),
    Case(F.log_softmax, (F.log_softmax,), torch_log_softmax, along_an_axis()),
    Case(F.logsumexp, (F.logsumexp,), torch_logsumexp, along_an_axis(none=True, keepdims=st.booleans())),
    Case(F.linear, (F.linear,), TF.linear, affine_maps(0)),
    Case(F.linear, (F.linear,), TF.linear, affine_maps(1), note="with bias"),
    Case(
        F.embedding,
        (lambda w, index, padding_idx: F.embedding(index, w, padding_idx),),
        torch_embedding,
        tables(),
        smooth=lambda _, padding_idx, **__: padding_idx is None,  # the row that gets no gradient has a difference
        twice=lambda w, index, **_: w.size and index.size,  # torch's own second derivative fails on empty arrays
    ),
    Case(F.dropout, (seeded_dropout,), torch_dropout, one_array(p=st.sampled_from([0.0, 0.3, 0.9, 1.0]))),
    Case(F.layer_norm, (layer_norm,), torch_layer_norm, normalisations(0), note="alone"),
    Case(F.layer_norm, (layer_norm,), torch_layer_norm, normalisations(2), note="affine"),
    Case(
        F.cross_entropy,
        (F.cross_entropy,),
        torch_loss(TF.cross_entropy),
        classified(reduction=REDUCTIONS, label_smoothing=st.sampled_from([0.0, 0.3, 1.0])),
        counts_something,
        weight=3,
    ),
    Case(F.cross_entropy, (F.cross_entropy,), torch_soft_cross_entropy, class_probabilities(), note="of probabilities"),
    Case(F.nll_loss, (F.nll_loss,), torch_loss(TF.nll_loss), classified(reduction=REDUCTIONS), counts_something),
    Case(F.mse_loss, (F.mse_loss,), TF.mse_loss, pairs()),
    Case(F.l1_loss, (F.l1_loss,), TF.l1_loss, pairs(), smooth=lambda a, b, **_: not (a == b).any()),
    Case(F.binary_cross_entropy_with_logits, (bce,), torch_bce, yes_or_no(True)),
    Case(F.binary_cross_entropy_with_logits, (bce,), defined_bce, yes_or_no(False), not_empty, note="with weights"),
]


def test_every_public_function_is_reached():
    """one_hot returns integers, so it has tests of its own, in test_functional_input.py."""
    assert {case.primitive.__name__ for case in CASES} | {"one_hot"} == set(F.__all__)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_function(case, check):
    run(case, check)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "elu", "silu", "softplus", "hardtanh"])
def test_derivatives_at_the_corners_are_torchs(name):
    corners = np.array([-1.0, -0.0, 0.0, 1.0, 20.0, np.nan])
    ours, theirs = tg.Tensor(corners, requires_grad=True), torch.tensor(corners, requires_grad=True)
    y, expected = getattr(F, name)(ours), getattr(TF, name)(theirs)
    np.testing.assert_allclose(y.numpy(), expected.detach(), rtol=1e-14)
    (expected,) = torch.autograd.grad(expected.sum(), theirs)
    np.testing.assert_allclose(tg.grad(y.sum(), ours)[0].numpy(), expected, rtol=1e-14)
