"""Neural nets: modules, layers, recurrent cells and layers, losses, initialisers, gradient clipping.

Names, shapes, defaults, parameter names and initial distributions are PyTorch's.
"""

from . import init, utils
from .cells import GRUCell, LSTMCell, RNNCell
from .layers import Dropout, Embedding, LayerNorm, Linear, Sequential
from .losses import BCEWithLogitsLoss, CrossEntropyLoss, L1Loss, MSELoss, NLLLoss
from .module import Module, Parameter
from .recurrent import GRU, LSTM, RNN

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "Dropout",
    "Embedding",
    "GRUCell",
    "L1Loss",
    "LSTMCell",
    "LayerNorm",
    "Linear",
    "MSELoss",
    "Module",
    "NLLLoss",
    "Parameter",
    "RNNCell",
    "Sequential",
    "init",
    "utils",
]
