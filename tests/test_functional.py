"""tg.functional against PyTorch: values, first and second derivatives, dtypes, for every public function."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg

torch = pytest.importorskip("torch", reason="the functions are compared with PyTorch's")

from rules.arrays import arrays, axes, shapes
from rules.case import Case, calls, check_differences, check_float32, check_torch

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


# ---- embedding, dropout, layer norm


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
    return x * torch.tensor(mask)


@st.composite
def normalisations(draw, affine):
    x = draw(arrays(draw(shapes(min_dims=1)), -6, 6))
    shape = x.shape[draw(st.integers(0, x.ndim - 1)) :]
    return [x, *[draw(arrays(shape)) for _ in range(affine)]], {"normalized_shape": shape}


def layer_norm(x, weight=None, bias=None, **options):
    return F.layer_norm(x, weight=weight, bias=bias, eps=0.1, **options)


def torch_layer_norm(x, weight=None, bias=None, *, normalized_shape):
    return TF.layer_norm(x, normalized_shape, weight, bias, eps=0.1)


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
]


@pytest.mark.parametrize("case", CASES, ids=str)
@given(data=st.data())
def test_values_first_and_second_derivatives_are_torchs(case, data):
    check_torch(data.draw(calls(case)))


@pytest.mark.parametrize("case", CASES, ids=str)
@given(data=st.data())
def test_first_derivative_is_the_central_difference(case, data):
    check_differences(data.draw(calls(case)))


@pytest.mark.parametrize("case", CASES, ids=str)
@given(data=st.data())
def test_float32_stays_float32(case, data):
    check_float32(data.draw(calls(case)))
