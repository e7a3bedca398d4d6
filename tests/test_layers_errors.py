"""What recurrent layers refuse, and how they say it: what was expected, what came, and where."""

import math
from contextlib import nullcontext

import numpy as np
import pytest
from layers import KINDS, Case, here, leaf_here, run

import tinygrad_rnn as tg

DEEP = {"num_layers": 2, "bidirectional": True}
PATHS = ["fused", "unrolled"]
WRITTEN = "was modified in place after this operation used it"


def on(path):
    return tg.unrolled() if path == "unrolled" else nullcontext()


@pytest.mark.parametrize("kind", KINDS)
class TestOptions:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"num_layers": True}, "num_layers.* got True"),
            ({"num_layers": 1.0}, "num_layers.* got 1.0"),
            ({"num_layers": "relu"}, "num_layers.* got 'relu'"),
            ({"num_layers": None}, "num_layers.* got None"),
            ({"bias": 2}, "expected bias to be True or False, got 2"),
            ({"bias": None}, "expected bias to be True or False, got None"),
            ({"batch_first": None}, "expected batch_first to be True or False, got None"),
            ({"batch_first": 1.0}, "expected batch_first to be True or False, got 1.0"),
            ({"bidirectional": 0}, "expected bidirectional to be True or False, got 0"),
            ({"bidirectional": "yes"}, "expected bidirectional to be True or False, got 'yes'"),
            ({"learn_initial_state": 1}, "expected learn_initial_state to be True or False, got 1"),
            ({"dropout": False}, "expected dropout to be a number.* got False"),
            ({"dropout": "0"}, "expected dropout to be a number.* got '0'"),
            ({"dropout": None}, "expected dropout to be a number.* got None"),
            ({"checkpoint": 2.0}, "checkpoint.* got 2.0"),
            ({"checkpoint": "2"}, "checkpoint.* got '2'"),
            ({"truncate": 2.5}, "truncate.* got 2.5"),
            ({"truncate": [2]}, r"truncate.* got \[2\]"),
        ],
    )
    def test_of_another_type_are_refused(self, kind, options, message):
        with pytest.raises(TypeError, match=f"{kind}: .*{message}"):
            getattr(tg.nn, kind)(3, 4, **options)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"num_layers": 0}, "num_layers.* got 0"),
            ({"num_layers": -1}, "num_layers.* got -1"),
            ({"num_layers": np.int64(0)}, "num_layers.* got .*0"),
            ({"num_layers": 2, "dropout": -0.1}, "dropout.* got -0.1"),
            ({"num_layers": 2, "dropout": 1.5}, "dropout.* got 1.5"),
            ({"num_layers": 2, "dropout": math.nan}, "dropout.* got nan"),
            ({"num_layers": 2, "dropout": math.inf}, "dropout.* got inf"),
            ({"dropout": 2}, "dropout.* got 2"),
            ({"checkpoint": 0}, "checkpoint.* got 0"),
            ({"checkpoint": -3}, "checkpoint.* got -3"),
            ({"truncate": 0}, "truncate.* got 0"),
            ({"truncate": -3}, "truncate.* got -3"),
        ],
    )
    def test_out_of_range_are_refused(self, kind, options, message):
        with pytest.raises(ValueError, match=f"{kind}: .*{message}"):
            getattr(tg.nn, kind)(3, 4, **options)

    def test_sizes_are_whole_numbers(self, kind):
        with pytest.raises(ValueError, match=f"{kind}: expected hidden_size to be a whole number >= 0, got -5"):
            getattr(tg.nn, kind)(3, -5)
        with pytest.raises((ValueError, TypeError), match=rf"{kind}: expected input_size to be a whole .* got 2\.5"):
            getattr(tg.nn, kind)(2.5, 5)

    def test_whole_numbers_of_numpy_are_welcome(self, kind):
        layer = getattr(tg.nn, kind)(np.int64(3), np.int32(4), np.int64(2), checkpoint=np.int64(2), truncate=np.int8(3))
        assert layer(np.ones((5, 2, 3), np.float32))[0].shape == (5, 2, 4)

    def test_what_torch_does_not_have_goes_by_keyword(self, kind):
        arguments = [3, 4, 1, True, False, 0.0, False, True]
        if kind == "RNN":
            arguments.insert(3, "tanh")
        with pytest.raises(TypeError, match="positional argument"):
            getattr(tg.nn, kind)(*arguments)

    def test_a_second_layer_is_not_mistaken_for_a_bias(self, kind):
        assert "weight_hh_l1" in getattr(tg.nn, kind)(3, 4, 2).state_dict()


def test_the_nonlinearity_is_tanh_or_relu():
    with pytest.raises(ValueError, match="RNN: expected nonlinearity 'tanh' or 'relu', got 'sigmoid'"):
        tg.nn.RNN(3, 4, nonlinearity="sigmoid")
    for kind in ("LSTM", "GRU"):
        with pytest.raises(TypeError, match="nonlinearity"):
            getattr(tg.nn, kind)(3, 4, nonlinearity="relu")


def a_state(kind, *shape):
    part = np.zeros(shape, np.float32)
    return (part, part) if kind == "LSTM" else part


X, FLAT = np.ones((5, 2, 3), np.float32), np.ones((5, 3), np.float32)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("kind", KINDS)
class TestInput:
    def refused(self, kind, path, message, *arguments, error=ValueError, **options):
        net = tg.nn.Sequential(getattr(tg.nn, kind)(3, 4, **options))
        with on(path), pytest.raises(error, match=f"{kind} at 0: .*{message}"):
            net[0](*arguments)

    @pytest.mark.parametrize("options", [{}, DEEP, {"batch_first": True}])
    def test_of_another_shape_is_refused(self, kind, path, options):
        form = r"\(B, T, I\)" if options.get("batch_first") else r"\(T, B, I\)"
        wrong = rf"expected an input of shape {form}, or \(T, I\) without a batch, got "
        self.refused(kind, path, wrong + r"\(3,\)", np.ones(3), **options)
        self.refused(kind, path, wrong + r"\(5, 2, 3, 1\)", np.ones((5, 2, 3, 1)), **options)
        self.refused(kind, path, wrong + r"\(\)", np.float32(3.0), **options)
        self.refused(kind, path, r"expected an input of shape \(.*3\), got \(5, 2, 4\)", np.ones((5, 2, 4)), **options)
        self.refused(kind, path, r"expected an input of shape \(.*3\), got \(5, 4\)", np.ones((5, 4)), **options)

    def test_without_a_step_is_refused(self, kind, path):
        self.refused(kind, path, "expected at least one step, got T=0", np.ones((0, 2, 3)))
        self.refused(kind, path, "expected at least one step, got T=0", np.ones((0, 3)), **DEEP)
        self.refused(kind, path, "expected at least one step, got T=0", np.ones((2, 0, 3)), batch_first=True, **DEEP)
        self.refused(kind, path, "expected at least one step, got T=0", X[:0], None, [0, 0])

    @pytest.mark.parametrize("name", ["h", "c"])
    @pytest.mark.parametrize(
        ("options", "x", "expected", "came"),
        [
            ({}, X, (1, 2, 4), (2, 4)),
            ({}, X, (1, 2, 4), (1, 1, 4)),
            ({}, X, (1, 2, 4), (1, 2, 3)),
            ({}, FLAT, (1, 4), (1, 1, 4)),
            ({}, FLAT, (1, 4), (4,)),
            ({"num_layers": 3}, X, (3, 2, 4), (1, 2, 4)),
            (DEEP, X, (4, 2, 4), (2, 2, 4)),
            (DEEP, X, (4, 2, 4), (2, 4, 4)),
            (DEEP, X, (4, 2, 4), (4, 1, 4)),
            (DEEP, X, (4, 2, 4), (2, 2, 2, 4)),
            (DEEP, FLAT, (4, 4), (2, 4)),
            (DEEP, FLAT, (4, 4), (4, 1, 4)),
            ({**DEEP, "batch_first": True}, X, (4, 5, 4), (5, 4, 4)),
        ],
    )
    def test_with_a_state_of_another_shape_is_refused(self, kind, path, name, options, x, expected, came):
        state, right = np.zeros(came, np.float32), np.zeros(expected, np.float32)
        if kind == "LSTM":
            state = (state, right) if name == "h" else (right, state)
        elif name == "c":
            return
        words = f"expected the state {name} to have shape {expected}, got {came}"
        self.refused(kind, path, words.replace("(", r"\(").replace(")", r"\)"), x, state, **options)

    def test_with_a_state_of_another_form_is_refused(self, kind, path):
        part = np.zeros((1, 2, 4), np.float32)
        if kind == "LSTM":
            message = r"expected the state to be a pair \(h, c\), got "
            self.refused(kind, path, message + "ndarray", X, part, error=TypeError)
            self.refused(kind, path, message + "Tensor", X, tg.Tensor(part), error=TypeError)
            self.refused(kind, path, message + "tuple", X, (part, part, part), error=TypeError)
        else:
            message = "expected the state to be one array, got tuple"
            self.refused(kind, path, message, X, (part, part), error=TypeError)

    def test_that_is_complex_is_refused(self, kind, path):
        self.refused(kind, path, "expected real numbers, got complex64", X + 1j, error=TypeError)


# --------------------------------------------------------------------------------------- between forward and backward

WALKS = [("fused", {}), ("fused", {"checkpoint": 2}), ("unrolled", {}), ("unrolled", {"checkpoint": 2})]


def recorded(kind, path, **more):
    """A deep layer that was called: it, its results, and all that it was made from by name."""
    case = Case(kind, DEEP, 5, 3, 2, 3, [5, 0, 3], given=True)
    layer = here(case, **more)
    with on(path), tg.scope("encoder"):
        results, leaves = run(case, lambda x, state: layer(x, state, tg.Tensor(case.lengths)), leaf_here)
    return case, layer, results, {**dict(layer.named_parameters()), **leaves}


def gradients(tensors):
    return {name: t.grad.numpy() for name, t in tensors.items()}


def alarms(loss):
    """Does the walk say that something was written into? (Another error is an error.)

    Where steps are computed again there may be nothing to be wrong but that they come out differently.
    """
    try:
        loss.backward()
    except RuntimeError as error:
        if WRITTEN not in str(error) and "changed after the forward pass" not in str(error):
            raise
        return True
    return False


@pytest.mark.parametrize(("path", "more"), WALKS)
@pytest.mark.parametrize("kind", KINDS)
class TestInPlace:
    @pytest.mark.parametrize("end", ["_l0", "_l1", "_l0_reverse", "_l1_reverse"])
    def test_an_updated_weight_is_an_error_that_names_it(self, kind, path, more, end):
        case, _, results, tensors = recorded(kind, path, **more)
        tensors[f"weight_hh{end}"].data -= 0.1
        with pytest.raises(RuntimeError, match=rf"at encoder.*: tensor 'weight_hh{end}', of shape .*{WRITTEN}"):
            case.loss(results, tg.Tensor).backward()

    def test_an_optimiser_step_between_is_an_error(self, kind, path, more):
        case, layer, results, _ = recorded(kind, path, **more)
        for parameter in layer.parameters():
            parameter.grad = tg.Tensor(np.ones(parameter.shape))
        tg.optim.SGD(layer.parameters(), lr=0.1).step()
        with pytest.raises(RuntimeError, match=WRITTEN):
            case.loss(results, tg.Tensor).backward()

    def test_whatever_is_written_into_no_gradient_is_silently_wrong(self, kind, path, more):
        """An error, or, where the value is not needed (a bias, say), the right gradients all the same."""
        case, _, results, tensors = recorded(kind, path, **more)
        case.loss(results, tg.Tensor).backward()
        expected, noticed = gradients(tensors), set()
        for name in [*tensors, *results]:
            case, _, its_results, its_tensors = recorded(kind, path, **more)
            loss = case.loss(its_results, tg.Tensor)
            {**its_tensors, **its_results}[name].data += 0.5
            if alarms(loss):
                noticed.add(name)
                continue
            for key, values in gradients(its_tensors).items():
                np.testing.assert_array_equal(values, expected[key], err_msg=f"{key} after {name}")
        assert {"weight_hh_l0", "weight_ih_l0", "weight_ih_l1_reverse"} <= noticed

    def test_written_lengths_are_no_silent_error_either(self, kind, path, more):
        case = Case(kind, DEEP, 5, 3, 2, 3, [4, 1, 3], given=True)
        expected = None
        for write in (0, 1):
            layer, lengths = here(case, **more), tg.Tensor(case.lengths)
            with on(path):
                results, leaves = run(case, lambda x, state, a=layer, b=lengths: a(x, state, b), leaf_here)
            loss = case.loss(results, tg.Tensor)
            lengths += write
            if not alarms(loss):
                found = gradients({**dict(layer.named_parameters()), **leaves})
                for name, values in (expected or found).items():
                    np.testing.assert_array_equal(found[name], values)
                expected = found
        assert expected is not None

    def test_a_released_graph_is_an_error(self, kind, path, more):
        case, _, results, tensors = recorded(kind, path, **more)
        loss = case.loss(results, tg.Tensor)
        loss.backward(retain_graph=True)
        first = {name: t.grad.numpy().copy() for name, t in tensors.items()}
        for tensor in tensors.values():
            tensor.grad = None
        loss.backward()
        for name, tensor in tensors.items():
            np.testing.assert_array_equal(tensor.grad.numpy(), first[name])
        with pytest.raises(RuntimeError, match=r"released by an earlier backward walk; pass retain_graph=True"):
            loss.backward()
        part = results["output"].sum()
        with pytest.raises(RuntimeError, match=r"at encoder.*released by an earlier backward walk"):
            part.backward()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("kind", KINDS)
class TestAnomalies:
    def test_the_first_nan_is_named_with_the_path_of_its_layer(self, kind, path):
        net = tg.nn.Sequential(tg.nn.Linear(2, 2), getattr(tg.nn, kind)(2, 3, **DEEP))
        for x in (leaf_here(np.zeros((4, 1, 2))), tg.Tensor(np.zeros((4, 1, 2)))):
            x.data[2, 0, 1] = math.nan
            words = r"at encoder/1.*: the result has .*not finite"
            with tg.scope("encoder"), on(path), tg.detect_anomaly(), pytest.raises(FloatingPointError, match=words):
                net[1](x)

    def test_a_weight_that_is_nan_too(self, kind, path):
        net = tg.nn.Sequential(getattr(tg.nn, kind)(2, 3, **DEEP))
        values = net[0].weight_hh_l1_reverse.numpy().copy()
        values[0, 0] = math.nan
        net[0].weight_hh_l1_reverse.data = values
        words = r"at encoder/0.*: the result has .*not finite"
        with tg.scope("encoder"), on(path), tg.detect_anomaly(), pytest.raises(FloatingPointError, match=words):
            net[0](np.ones((4, 1, 2), np.float32))

    def test_the_first_gradient_that_is_nan_is_named_with_the_path_of_its_layer(self, kind, path):
        net = tg.nn.Sequential(getattr(tg.nn, kind)(2, 3, **DEEP))
        x = leaf_here(np.ones((4, 1, 2), np.float32))
        with tg.scope("encoder"), on(path), tg.detect_anomaly():
            output, _ = net[0](x)
            output.register_hook(lambda g: np.full(g.shape, math.nan, np.float32))
            with pytest.raises(FloatingPointError, match=r"at encoder/0.*: the gradient of argument .*not finite"):
                output.sum().backward()

    def test_finite_numbers_are_none(self, kind, path):
        case = Case(kind, DEEP, 4, 2, 2, 3, [4, 2], given=True)
        found = []
        for surroundings in (nullcontext(), tg.detect_anomaly()):
            layer = here(case)
            with on(path), surroundings:
                results, leaves = run(case, lambda x, state, layer=layer: layer(x, state, case.lengths), leaf_here)
                case.loss(results, tg.Tensor).backward()
            found.append(gradients({**dict(layer.named_parameters()), **leaves}))
        for name, values in found[0].items():
            np.testing.assert_allclose(found[1][name], values, rtol=1e-12)
