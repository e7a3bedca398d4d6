"""Neural nets: modules, layers, recurrent cells and layers, pooling over time, encoder and
decoder, losses, initialisers, gradient clipping.

Names, shapes, defaults, parameter names and initial distributions are PyTorch's. A cell of your own is a module with a
step, and ``tg.scan`` makes a layer of it:

>>> import numpy as np, tinygrad_rnn as tg
>>> class Leaky(tg.nn.Module):
...     def __init__(self, inputs, hidden):
...         self.from_x, self.from_h = tg.nn.Linear(inputs, hidden), tg.nn.Linear(hidden, hidden)
...         self.leak = tg.nn.Parameter(np.full(hidden, 0.5, np.float32))
...     def step(self, h, x):
...         h = (1 - self.leak) * h + self.leak * np.tanh(self.from_x(x) + self.from_h(h))
...         return h, h
...     def forward(self, xs, h):
...         return tg.scan(self.step, h, xs)
>>> last, hs = Leaky(3, 4)(np.ones((5, 2, 3), np.float32), np.zeros((2, 4), np.float32))
>>> hs.shape
(5, 2, 4)
"""

from . import init, utils
from .cells import GRUCell, LSTMCell, RNNCell
from .layers import Dropout, Embedding, LayerNorm, Linear, Sequential
from .losses import BCEWithLogitsLoss, CrossEntropyLoss, L1Loss, MSELoss, NLLLoss
from .module import Module, Parameter
from .pooling import LastPooling, MaxPooling, MeanPooling
from .recurrent import GRU, LSTM, RNN
from .seq2seq import Decoder, Encoder, Seq2Seq

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "Decoder",
    "Dropout",
    "Embedding",
    "Encoder",
    "GRUCell",
    "L1Loss",
    "LSTMCell",
    "LastPooling",
    "LayerNorm",
    "Linear",
    "MSELoss",
    "MaxPooling",
    "MeanPooling",
    "Module",
    "NLLLoss",
    "Parameter",
    "RNNCell",
    "Seq2Seq",
    "Sequential",
    "init",
    "utils",
]
