"""Operations from ``tg.functional``: activations, layers without a state, losses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import functional as F
from .arrays import Shape
from .operation import Choices, Operand, Operation, filled_with_axes, matrix, same, square_of, with_axes

_ANY = Operand()
_AROUND_0 = Operand(-6, 6)
_OFF_0 = Operand(away_from=(0.0,))
_LOGITS = Operand(-6, 6, fits=filled_with_axes)

# ---- activations


def _slope(choose: Choices, _x: Any) -> dict[str, Any]:
    return {"slope": choose((0.01, 0.5, -0.5, 2.0))}


def _axis(choose: Choices, x: Any) -> dict[str, Any]:
    return {"axis": choose(range(-x.ndim, x.ndim))}


def _any_axis(choose: Choices, x: Any) -> dict[str, Any]:
    several = [(0, 1), (-1, 0)] if x.ndim > 1 else []
    return {"axis": choose([None, *range(-x.ndim, x.ndim), *several]), "keepdims": choose((False, True))}


def _softplus(choose: Choices, _x: Any) -> dict[str, Any]:
    return {"beta": choose((1.0, 2.0, 0.5))}


# ---- layers


def _weight_of(x: Shape) -> Sequence[Shape]:
    return [(2, x[-1]), (1, x[-1]), (3, x[-1]), (0, x[-1])]


def _bias_of(_x: Shape, weight: Shape) -> Sequence[Shape]:
    return [weight[:1]]


def _last_axis(x: Shape, *_others: Shape) -> Sequence[Shape]:
    return [x[-1:]]


def _rows(choose: Choices, weight: Any) -> dict[str, Any]:
    rows = range(weight.shape[0])
    places = choose.several(rows, 3)
    unused = next((row for row in rows if row not in places), None)  # as padding: one in use would cut its gradient
    return {"index": choose((places[:1], places, [places[:2], places[1:]], places[0])), "unused": unused}


def _normalized(choose: Choices, x: Any, *_affine: Any) -> dict[str, Any]:
    return {"shape": choose((x.shape[-1], x.shape[-1:]))}


def _normalized_two(choose: Choices, x: Any) -> dict[str, Any]:
    return {"shape": choose((x.shape[-1], *(x.shape[-n:] for n in range(1, x.ndim + 1))))}


def _p(choose: Choices, _x: Any) -> dict[str, Any]:
    return {"p": choose((0.5, 0.25)), "seed": choose(range(10))}


# ---- losses


def _targets(choose: Choices, x: Any) -> dict[str, Any]:
    """Class indices along an axis, some of them ignored, and how the losses are added up."""
    axis = choose(range(-x.ndim, x.ndim))
    shape = list(x.shape)
    classes = shape.pop(axis)
    counted = choose.several(range(classes), min(math.prod(shape), 6))
    target = np.resize(np.array(counted, int), shape)
    ignored = choose((None, -100, None))
    if ignored is not None and target.size > 1:
        target.flat[-1] = ignored
    weight = choose((None, [0.5 + 0.25 * k for k in range(classes)]))
    return {
        "target": target.tolist(),
        "axis": axis,
        "weight": weight,
        "reduction": choose(("mean", "sum", "none")),
    }


def _labels(choose: Choices, x: Any) -> dict[str, Any]:
    return {**_targets(choose, x), "smoothing": choose((0.0, 0.25))}


def _soft_labels(choose: Choices, x: Any, _p: Any) -> dict[str, Any]:
    return {"axis": choose(range(-x.ndim, x.ndim)), "reduction": choose(("mean", "sum", "none"))}


def _filled_reduction(choose: Choices, x: Any, *_others: Any) -> dict[str, Any]:
    return {"reduction": choose(("mean", "sum", "none") if x.size else ("sum", "none"))}


def _apart(x: Any, target: Any) -> bool:
    return not x.size or bool(np.abs(x - target).min() >= 0.1)


_SAME = Operand(shapes=same)
_PICKED = "({{0}}, {{target}}, axis={{axis}}, weight={{weight}}, reduction='{{reduction}}'{})"
_NORM = "tg.functional.layer_norm({0}, {shape}"

OPERATIONS = [
    Operation(F.sigmoid, _AROUND_0),
    Operation(F.silu, _AROUND_0),
    Operation(F.relu, _OFF_0),
    Operation(F.leaky_relu, _OFF_0, expression="tg.functional.leaky_relu({0}, {slope})", options=_slope),
    Operation(F.elu, _OFF_0, expression="tg.functional.elu({0}, {slope})", options=_slope),
    Operation(F.softplus, _AROUND_0, expression="tg.functional.softplus({0}, {beta})", options=_softplus),
    Operation(F.softplus, Operand(away_from=(3.0,)), expression="tg.functional.softplus({0}, threshold=3.0)"),
    Operation(F.hardtanh, Operand(away_from=(-1.0, 1.0))),
    Operation(F.hardtanh, Operand(away_from=(-2.0, 0.5)), expression="tg.functional.hardtanh({0}, -2.0, 0.5)"),
    Operation(F.binary_threshold, _OFF_0),
    Operation(
        F.softmax, Operand(-6, 6, fits=with_axes), expression="tg.functional.softmax({0}, {axis})", options=_axis
    ),
    Operation(
        F.log_softmax,
        Operand(-6, 6, fits=with_axes),
        expression="tg.functional.log_softmax({0}, {axis})",
        options=_axis,
    ),
    Operation(F.logsumexp, _LOGITS, expression="tg.functional.logsumexp({0}, {axis}, {keepdims})", options=_any_axis),
    Operation(F.linear, Operand(fits=with_axes), Operand(shapes=_weight_of), Operand(shapes=_bias_of)),
    Operation(F.linear, Operand(fits=with_axes), Operand(shapes=_weight_of)),
    Operation(
        F.linear,
        Operand(fits=with_axes),
        Operand(shapes=square_of),
        expression="tg.functional.linear(tg.functional.linear({0}, {1}), {1})",  # a weight used twice
    ),
    Operation(
        F.embedding,
        Operand(fits=lambda shape: matrix(shape) and shape[0] > 0),
        expression=(
            "tg.functional.embedding({index}, {0})",
            "tg.functional.embedding(np.array({index}), {0})",
            "tg.functional.embedding(np.array({index}), {0}, padding_idx={unused})",
        ),
        options=_rows,
    ),
    Operation(
        F.dropout,
        _ANY,
        expression="(tg.manual_seed({seed}), tg.functional.dropout({0}, p={p}))[1]",
        options=_p,
    ),
    Operation(
        F.layer_norm,
        Operand(apart="values", fits=filled_with_axes),
        Operand(shapes=_last_axis),
        Operand(shapes=_last_axis),
        expression=(f"{_NORM}, {{1}}, {{2}})", f"{_NORM}, weight={{1}}, bias={{2}}, eps=0.5)"),
        options=_normalized,
    ),
    Operation(
        F.layer_norm,
        Operand(apart="values", fits=filled_with_axes),
        expression=(f"{_NORM})", f"{_NORM}, eps=0.5)"),
        options=_normalized_two,
    ),
    Operation(
        F.cross_entropy,
        _LOGITS,
        expression="tg.functional.cross_entropy" + _PICKED.format(", label_smoothing={smoothing}"),
        options=_labels,
    ),
    Operation(
        F.cross_entropy,
        _LOGITS,
        Operand(0, 1, shapes=same),
        expression="tg.functional.cross_entropy({0}, {1}, axis={axis}, reduction='{reduction}')",
        options=_soft_labels,
    ),
    Operation(F.nll_loss, _LOGITS, expression="tg.functional.nll_loss" + _PICKED.format(""), options=_targets),
    Operation(
        F.mse_loss,
        Operand(-10, 10),
        _SAME,
        expression="tg.functional.mse_loss({0}, {1}, '{reduction}')",
        options=_filled_reduction,
    ),
    Operation(
        F.l1_loss,
        Operand(offset=0.0),
        Operand(offset=0.25, shapes=same),
        expression="tg.functional.l1_loss({0}, {1}, '{reduction}')",
        options=_filled_reduction,
        valid=_apart,
    ),
    Operation(
        F.binary_cross_entropy_with_logits,
        Operand(-6, 6),
        Operand(0, 1, shapes=same),
        expression="tg.functional.binary_cross_entropy_with_logits({0}, {1}, reduction='{reduction}')",
        options=_filled_reduction,
    ),
    Operation(
        F.binary_cross_entropy_with_logits,
        Operand(-6, 6),
        Operand(0, 1, shapes=same),
        Operand(0.25, 3, shapes=_last_axis),
        expression=(
            "tg.functional.binary_cross_entropy_with_logits({0}, {1}, pos_weight={2}, reduction='{reduction}')",
            "tg.functional.binary_cross_entropy_with_logits({0}, {1}, {2}, '{reduction}')",
        ),
        options=_filled_reduction,
    ),
]
