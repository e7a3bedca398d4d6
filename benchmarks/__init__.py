"""How fast is tinygrad_rnn, and beside what: ``python -m benchmarks --help``.

Eight parts, each a module with ``run`` (measure, return plain data) and ``report`` (say it in tables):

- ``layers``: a training step and inference of the libraries' own RNN, LSTM and GRU layers, beside the matrix products
  alone, and the peak of memory of the step.
- ``memory``: what ``checkpoint=`` saves in a long sequence.
- ``compiled``: the LSTM beside one whose elementwise work is a loop in C.
- ``loop``: a training step of a plain RNN, LSTM and GRU, written once in tensor operations (``cells.py``); a Python
  loop, except in JAX, where it is a compiled ``scan``.
- ``steps``: does the time of one step stay the same in a long sequence?
- ``imports``: ``import tinygrad_rnn`` beside ``import numpy``, and the other libraries'.
- ``chain``: 1,000,000 additions in a row, built, walked and freed (100,000 in the slower libraries).
- ``pictures``: from the recorded graph of an unrolled LSTM to an SVG, beside torchviz.

Each library runs in a process of its own (``workers.py``, ``worker.py``) behind an adapter (``adapters/``): to add a
library, add one file there. The first library is compared with all others, and in full with the last (PyTorch, unless
told otherwise): its turns are as long, forward and backward are told apart, and all gradients must agree with its own.
"""
