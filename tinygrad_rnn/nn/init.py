"""Initialisers: each writes into a tensor in place, drawing from ``tg.manual_seed``'s generator, and returns it.

Names, arguments and distributions are PyTorch's (``torch.nn.init``); ``identity_`` is its ``eye_``. Those that begin
with ``recurrent_``, and ``forget_gate_bias_``, take a module and write into the weights of every recurrent layer and
cell in it, all layers, directions and gates.
"""

from __future__ import annotations

import math
from typing import Any, TypeVar

import numpy as np

from ..context import generator
from ..tensor import Tensor
from .module import Module, Parameter

T = TypeVar("T", bound=Tensor)
M = TypeVar("M", bound=Module)

_GAINS = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 0.75}


def _write(tensor: T, values: Any) -> T:
    """Put values into the tensor's array, and let graphs notice."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"init: expected a tensor to write into, got {type(tensor).__name__}")
    array = tensor.data
    array[...] = values
    tensor.data = array
    return tensor


def constant_(tensor: T, val: float) -> T:
    """Fill with ``val``.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> tg.nn.init.constant_(tg.Tensor(np.zeros(2)), 0.5).tolist()
    [0.5, 0.5]
    """
    return _write(tensor, val)


def zeros_(tensor: T) -> T:
    """Fill with 0."""
    return _write(tensor, 0)


def ones_(tensor: T) -> T:
    """Fill with 1."""
    return _write(tensor, 1)


def uniform_(tensor: T, a: float = 0.0, b: float = 1.0) -> T:
    """Draw from U(a, b).

    Raises:
        ValueError: a > b.
    """
    if not a <= b:
        raise ValueError(f"uniform_: expected a <= b, got a={a}, b={b}")
    return _write(tensor, generator().uniform(a, b, tensor.shape))


def normal_(tensor: T, mean: float = 0.0, std: float = 1.0) -> T:
    """Draw from N(mean, std^2).

    Raises:
        ValueError: ``std`` is negative.
    """
    if not std >= 0:
        raise ValueError(f"normal_: expected std >= 0, got {std}")
    return _write(tensor, generator().normal(mean, std, tensor.shape))


def identity_(tensor: T, gain: float = 1.0) -> T:
    """Write ``gain`` on the diagonal and 0 elsewhere: a hidden state that keeps its value by default.

    Lecture, section 3, "Idea: Initialization"; Le, Jaitly and Hinton, "A Simple Way to Initialize Recurrent Networks of
    Rectified Linear Units" (2015).

    Raises:
        ValueError: not a matrix.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> tg.nn.init.identity_(tg.Tensor(np.empty((2, 2)))).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    if tensor.ndim != 2:
        raise ValueError(f"identity_: expected a matrix, got shape {tensor.shape}")
    rows, columns = tensor.shape
    return _write(tensor, gain * np.eye(rows, columns))


def orthogonal_(tensor: T, gain: float = 1.0) -> T:
    """Draw a matrix with orthonormal rows or columns (whichever are fewer), times ``gain``; later axes count as one.

    The orthogonal factor of a Gaussian matrix, with R's diagonal made positive, so that it is uniform (Saxe, McClelland
    and Ganguli, 2013; Mezzadri, 2007).

    Raises:
        ValueError: fewer than 2 axes.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> q = tg.nn.init.orthogonal_(tg.Tensor(np.empty((2, 3)))).numpy()
    >>> bool(np.allclose(q @ q.T, np.eye(2)))
    True
    """
    if tensor.ndim < 2:
        raise ValueError(f"orthogonal_: expected at least 2 axes, got shape {tensor.shape}")
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])
    drawn = generator().standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(drawn)
    q = q * np.where(np.diag(r) < 0, -1.0, 1.0)
    return _write(tensor, gain * (q if rows >= columns else q.T).reshape(tensor.shape))


def xavier_uniform_(tensor: T, gain: float = 1.0) -> T:
    """Draw from U(-a, a) with a = gain sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010).

    Raises:
        ValueError: fewer than 2 axes.
    """
    fan_in, fan_out = _fans(tensor, "xavier_uniform_")
    bound = gain * math.sqrt(6 / max(fan_in + fan_out, 1))
    return uniform_(tensor, -bound, bound)


def xavier_normal_(tensor: T, gain: float = 1.0) -> T:
    """Draw from N(0, s^2) with s = gain sqrt(2 / (fan_in + fan_out)) (Glorot and Bengio, 2010).

    Raises:
        ValueError: fewer than 2 axes.
    """
    fan_in, fan_out = _fans(tensor, "xavier_normal_")
    return normal_(tensor, 0.0, gain * math.sqrt(2 / max(fan_in + fan_out, 1)))


def kaiming_uniform_(tensor: T, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu") -> T:
    """Draw from U(-b, b) with b = gain sqrt(3 / fan) (He, Zhang, Ren and Sun, 2015).

    Args:
        tensor: At least two axes: (out, in, ...).
        a: The negative slope of the leaky ReLU that follows.
        mode: ``"fan_in"`` keeps the size of what goes forward, ``"fan_out"`` that of the gradients.
        nonlinearity: What follows: "leaky_relu", "relu", "tanh", "sigmoid", "selu" or "linear".

    Raises:
        ValueError: fewer than 2 axes, or an unknown mode or nonlinearity.
    """
    fans = dict(zip(("fan_in", "fan_out"), _fans(tensor, "kaiming_uniform_"), strict=True))
    if mode not in fans:
        raise ValueError(f"kaiming_uniform_: expected mode 'fan_in' or 'fan_out', got {mode!r}")
    bound = calculate_gain(nonlinearity, a) * math.sqrt(3 / max(fans[mode], 1))
    return uniform_(tensor, -bound, bound)


def calculate_gain(nonlinearity: str, param: float = 0.01) -> float:
    """Return the factor that keeps a signal's size through a nonlinearity; ``param`` is the slope of leaky_relu.

    Raises:
        ValueError: unknown nonlinearity.

    >>> import tinygrad_rnn as tg
    >>> round(tg.nn.init.calculate_gain("tanh"), 4)
    1.6667
    """
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + param * param))
    if nonlinearity not in _GAINS:
        known = ", ".join(sorted([*_GAINS, "leaky_relu"]))
        raise ValueError(f"calculate_gain: expected one of {known}, got {nonlinearity!r}")
    return _GAINS[nonlinearity]


def _fans(tensor: Tensor, name: str) -> tuple[int, int]:
    """How many numbers go into one unit, and how many units one number goes to: weights are (out, in, ...)."""
    if tensor.ndim < 2:
        raise ValueError(f"{name}: expected at least 2 axes, (out, in, ...), got shape {tensor.shape}")
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


# ---- of whole modules


def recurrent_identity_(module: M, gain: float = 1.0) -> M:
    """Write ``gain`` times the identity into every weight_hh, one (H, H) block for each gate, and 0 into the biases.

    With nonlinearity "relu" this is the IRNN of Le, Jaitly and Hinton, "A Simple Way to Initialize Recurrent Networks
    of Rectified Linear Units" (2015): h_t = relu(h_{t-1} + W_ih x_t), a state that keeps its value by default, with the
    identity as its Jacobian (lecture, section 3, "Idea: Initialization").

    Args:
        module: A recurrent layer or cell, or a module that has some in it.
        gain: Below 1, the state fades; the paper takes a small one (0.01) for tasks without long dependencies.

    Raises:
        TypeError: not a module.
        ValueError: no recurrent weights in it.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> irnn = tg.nn.init.recurrent_identity_(tg.nn.RNN(3, 2, nonlinearity="relu"))
    >>> _, h_n = irnn(np.zeros((100, 1, 3), np.float32), tg.Tensor([[[0.5, 2.0]]]))
    >>> h_n.tolist()
    [[[0.5, 2.0]]]
    """
    for prefix, suffix, weight, gates in _recurrent_weights(module, "recurrent_identity_"):
        _write(weight, gain * np.tile(np.eye(weight.shape[1]), (gates, 1)))
        for bias in _biases(module, prefix, suffix):
            zeros_(bias)
    return module


def recurrent_orthogonal_(module: M, gain: float = 1.0) -> M:
    """Draw every weight_hh with ``orthogonal_``, an (H, H) matrix for each gate; biases stay.

    Products of orthogonal matrices neither grow nor shrink what they are applied to, as the lecture's explosion and
    vanishing would. Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear
    neural networks" (2013); for recurrent nets, Henaff, Szlam and LeCun, "Recurrent Orthogonal Networks and Long-Memory
    Tasks" (2016).

    Args:
        module: A recurrent layer or cell, or a module that has some in it.
        gain: The factor.

    Raises:
        TypeError: not a module.
        ValueError: no recurrent weights in it.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> lstm = tg.nn.init.recurrent_orthogonal_(tg.nn.LSTM(3, 2))
    >>> forget = lstm.weight_hh_l0.numpy()[2:4]
    >>> bool(np.allclose(forget @ forget.T, np.eye(2), atol=1e-6))
    True
    """
    for _, _, weight, gates in _recurrent_weights(module, "recurrent_orthogonal_"):
        hidden = weight.shape[1]
        blocks = [orthogonal_(Tensor(np.empty((hidden, hidden))), gain).data for _ in range(gates)]
        _write(weight, np.concatenate(blocks) if gates else 0)
    return module


def forget_gate_bias_(module: M, value: float = 1.0) -> M:
    """Set the bias of every LSTM's forget gate, so that its cells remember by default: f = sigmoid(... + value).

    An LSTM adds two biases: the forget block (entries H to 2H) of b_ih becomes ``value``, that of b_hh becomes 0, and
    the other gates' biases stay. Just remembering is the reasonable default (lecture, section 3, "LSTM"). Gers,
    Schmidhuber and Cummins, "Learning to Forget" (2000); Jozefowicz, Zaremba and Sutskever, "An Empirical Exploration
    of Recurrent Network Architectures" (2015), who recommend 1.

    Args:
        module: An LSTM layer or cell, or a module whose recurrent layers are all LSTMs.
        value: The bias; 1 opens the gate to 0.73, 5 to 0.99.

    Raises:
        TypeError: not a module.
        ValueError: no recurrent weights in it, or some without a forget gate, or without biases.

    >>> import tinygrad_rnn as tg
    >>> lstm = tg.nn.init.forget_gate_bias_(tg.nn.LSTM(3, 2), 1.0)
    >>> (lstm.bias_ih_l0 + lstm.bias_hh_l0).tolist()[2:4]
    [1.0, 1.0]
    """
    name = "forget_gate_bias_"
    found: list[tuple[int, list[Parameter]]] = []
    for prefix, suffix, weight, _ in _recurrent_weights(module, name):
        rows, hidden = weight.shape
        if rows != 4 * hidden:
            raise ValueError(
                f"{name}: expected LSTMs only, weight_hh of shape (4 H, H), but {prefix}weight_hh{suffix} of shape "
                f"{weight.shape} has no forget gate"
            )
        biases = _biases(module, prefix, suffix)
        if len(biases) != 2:
            raise ValueError(f"{name}: {prefix}weight_hh{suffix} has no biases beside it (bias=False)")
        found.append((hidden, biases))
    for hidden, biases in found:
        for bias, forget in zip(biases, (value, 0.0), strict=True):
            values = bias.data.copy()
            values[hidden : 2 * hidden] = forget
            _write(bias, values)
    return module


def _recurrent_weights(module: Module, name: str) -> list[tuple[str, str, Parameter, int]]:
    """Each weight_hh in the module: what stands before and after in its name, the parameter, how many gates it has."""
    if not isinstance(module, Module):
        raise TypeError(f"{name}: expected a module with recurrent weights, got {type(module).__name__}")
    found = []
    for path, parameter in module.named_parameters():
        owner, dot, own = path.rpartition(".")
        if own.startswith("weight_hh") and parameter.ndim == 2:
            rows, hidden = parameter.shape
            gates, rest = divmod(rows, max(hidden, 1))
            if rest:
                raise ValueError(f"{name}: expected {path} to have gates of (H, H), got shape {parameter.shape}")
            found.append((owner + dot, own.removeprefix("weight_hh"), parameter, gates))
    if not found:
        raise ValueError(f"{name}: {type(module).__name__} has no recurrent weights (parameters named weight_hh...)")
    return found


def _biases(module: Module, prefix: str, suffix: str) -> list[Parameter]:
    """b_ih and b_hh that go with a weight_hh, as far as they exist."""
    named = dict(module.named_parameters())
    return [named[key] for kind in ("ih", "hh") if (key := f"{prefix}bias_{kind}{suffix}") in named]
