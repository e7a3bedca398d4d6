"""What NumPy lacks for neural nets, by PyTorch's names and arguments, with NumPy's ``axis``.

Arrays and lists may stand where tensors may; the result is always a tensor. Floats keep their dtype; integers and
booleans, where floats are wanted, become the default dtype. Complaints about bad input begin with the function and the
place in the model (module path, time step) where it was called.
"""

from .activations import (
    binary_threshold,
    elu,
    hardtanh,
    leaky_relu,
    log_softmax,
    logsumexp,
    relu,
    sigmoid,
    silu,
    softmax,
    softplus,
)
from .affine import linear
from .layers import dropout, embedding, layer_norm, one_hot
from .losses import binary_cross_entropy_with_logits, cross_entropy, l1_loss, mse_loss, nll_loss

__all__ = [
    "binary_cross_entropy_with_logits",
    "binary_threshold",
    "cross_entropy",
    "dropout",
    "elu",
    "embedding",
    "hardtanh",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "logsumexp",
    "mse_loss",
    "nll_loss",
    "one_hot",
    "relu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
]
