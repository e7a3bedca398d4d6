"""Sequence to sequence: one network reads and memorises, another writes (lecture, section 5)."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np

from ..context import generator, no_grad
from ..functional import cross_entropy
from ..functional.arguments import whole_numbers
from ..recurrence import ends_of
from ..tensor import Tensor
from ..tree import map_leaves
from .layers import Embedding, Linear
from .module import Module
from .recurrent import GRU, LSTM, RNN

_CELLS = {"LSTM": LSTM, "GRU": GRU, "RNN": RNN}
_IGNORED = -100  # what cross_entropy passes over by default


class Reader(Module):
    """What encoder and decoder have in common: tokens become vectors, and a recurrent layer reads them."""

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        hidden_size: int,
        num_layers: int,
        cell: str,
        padding_idx: int | None,
        **options: Any,
    ) -> None:
        if cell not in tuple(_CELLS):  # what cannot be hashed is no cell either
            raise ValueError(f"{type(self).__name__}: expected cell 'LSTM', 'GRU' or 'RNN', got {cell!r}")
        self.cell = cell
        self.num_layers = num_layers
        self.embedding = Embedding(num_embeddings, embedding_dim, padding_idx)
        self.rnn = _CELLS[cell](embedding_dim, hidden_size, num_layers, **options)

    def read(self, tokens: Any, state: Any, lengths: Any) -> tuple[Any, Any]:
        """The recurrent layer's output and last state; what stands past the lengths need not be tokens."""
        index = whole_numbers(tokens, type(self).__name__, "tokens")
        if index.ndim not in (1, 2):
            form = "(B, T)" if self.rnn.batch_first else "(T, B)"
            raise ValueError(
                f"{self.here()}: expected tokens of shape {form}, or (T,) without a batch, got {index.shape}"
            )
        if lengths is not None and index.ndim == 2:
            index = np.where(self.valid(index, lengths), index, 0)
        return self.rnn(self.embedding(index), state, lengths)  # type: ignore[no-any-return]

    def valid(self, tokens: Any, lengths: Any) -> Any:
        """A mask of the tokens' shape, True before each length."""
        steps, batch = tokens.shape[:: -1 if self.rnn.batch_first else 1]
        mask = np.arange(steps)[:, None] < ends_of(lengths, steps, batch, self.here())
        return mask.T if self.rnn.batch_first else mask


class Encoder(Reader):
    """Reads a sequence of tokens and memorises it in its state: embedding, then a recurrent layer.

    Args:
        num_embeddings: V, the size of the vocabulary.
        embedding_dim: E, the length of a token's vector.
        hidden_size: H.
        num_layers: L, how many recurrent layers.
        cell: "LSTM", "GRU" or "RNN".
        batch_first: Tokens are (B, T) and the output (B, T, ...); states never are.
        dropout: Between the layers, in training only.
        bidirectional: Read backwards too (D = 2 directions, otherwise 1).
        padding_idx: The token whose vector is 0 and is not trained. What lengths exclude needs no such token.
        options: Others of the recurrent layer: ``bias``, ``learn_initial_state``, ``checkpoint``, ...

    Shapes: ``output, state = encoder(tokens, lengths=None)`` with tokens (T, B) of integers in 0..V-1, lengths (B,) in
    0..T; output (T, B, D H), 0 past each length. ``state`` is one for a decoder: h (L, B, D H), for an LSTM a pair
    (h, c). Of a bidirectional encoder it holds, layer by layer, the last states of both directions side by side, so
    that the decoder has hidden size 2 H, as in OpenNMT (Klein et al., 2017) and fairseq (Ott et al., 2019). Without a
    batch: tokens (T,), output (T, D H), h (L, D H). Past a length stands anything, tokens or not.

    Raises:
        ValueError: an option is not one; in the call, shapes do not fit, T is 0, lengths are not whole numbers in 0..T.
        TypeError: an option is of another type; in the call, tokens are not integers.
        IndexError: in the call, a token outside the vocabulary.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> encoder = tg.nn.Encoder(10, 3, 4)
    >>> output, (h, c) = encoder(np.array([[1, 2], [3, 4], [5, -1]]), lengths=[3, 2])
    >>> output.shape, h.shape, c.shape
    ((3, 2, 4), (1, 2, 4), (1, 2, 4))
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        cell: str = "LSTM",
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        padding_idx: int | None = None,
        **options: Any,
    ) -> None:
        options.update(batch_first=batch_first, dropout=dropout, bidirectional=bidirectional)
        super().__init__(num_embeddings, embedding_dim, hidden_size, num_layers, cell, padding_idx, **options)
        self.bidirectional = bidirectional

    def forward(self, tokens: Any, lengths: Any = None) -> tuple[Any, Any]:
        output, state = self.read(tokens, None, lengths)
        if self.bidirectional:
            state = map_leaves(lambda part: np.concatenate([part[0::2], part[1::2]], axis=-1), state)
        return output, state


class Decoder(Reader):
    """Writes: from a state and the tokens so far, the scores of the next one. Embedding, recurrent layer, linear head.

    By itself it is the lecture's language model (section 4).

    Args:
        num_embeddings: V, the size of the vocabulary.
        embedding_dim: E, the length of a token's vector.
        hidden_size: H; behind a bidirectional encoder twice that one's.
        num_layers: L, how many recurrent layers: as many as the encoder's.
        cell: "LSTM", "GRU" or "RNN".
        batch_first: Tokens are (B, T) and the scores (B, T, V); states never are.
        dropout: Between the layers, in training only.
        padding_idx: The token whose vector is 0 and is not trained, and which fills up what is generated.
        options: Others of the recurrent layer: ``bias``, ``checkpoint``, ``truncate``, ...

    Shapes: ``logits, state = decoder(tokens, state=None, lengths=None)`` with tokens (T, B) of integers in 0..V-1,
    state h (L, B, H), for an LSTM a pair (h, c), or None for the layer's own; logits (T, B, V), the scores of the token
    that follows each. Without a batch: tokens (T,), h (L, H), logits (T, V). Past a length stands anything, tokens or
    not, and the logits there are the head's bias: leave them out of a loss.

    Raises:
        ValueError: an option is not one; in the call, shapes do not fit, T is 0, lengths are not whole numbers in 0..T.
        TypeError: an option is of another type; in the call, tokens are not integers, or the state has another form.
        IndexError: in the call, a token outside the vocabulary.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> decoder = tg.nn.Decoder(10, 3, 4, cell="GRU")
    >>> logits, h = decoder(np.array([[1, 2], [3, 4]]))
    >>> logits.shape, h.shape
    ((2, 2, 10), (1, 2, 4))
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        cell: str = "LSTM",
        batch_first: bool = False,
        dropout: float = 0.0,
        padding_idx: int | None = None,
        **options: Any,
    ) -> None:
        if "bidirectional" in options:
            raise TypeError("Decoder: expected no option bidirectional; what is still to be written cannot be read")
        options.update(batch_first=batch_first, dropout=dropout)
        super().__init__(num_embeddings, embedding_dim, hidden_size, num_layers, cell, padding_idx, **options)
        self.out = Linear(hidden_size, num_embeddings)

    def forward(self, tokens: Any, state: Any = None, lengths: Any = None) -> tuple[Any, Any]:
        output, state = self.read(tokens, state, lengths)
        return self.out(output), state


class Seq2Seq(Module):
    """An encoder that reads a source, and a decoder, with weights of its own, that writes a target from its state.

    Sutskever, Vinyals and Le, "Sequence to Sequence Learning with Neural Networks" (2014); Cho et al. (2014); lecture,
    section 5. The end token makes the decoder begin: it is the decoder's first input, and each target's last token.

    Args:
        encoder: An ``Encoder``; its last state is the decoder's first.
        decoder: A ``Decoder``, as deep as the encoder, of hidden size H, or 2 H behind a bidirectional encoder of H.
        end_token: In the decoder's vocabulary.

    Training, by teacher forcing: ``logits = model(source, target, lengths=None, target_lengths=None)``. The decoder
    reads the end token and then the target's own tokens, whatever it would have written itself: its inputs are the
    target, shifted by one. So ``logits[t]`` are the scores of ``target[t]``, and ``model.loss(source, target, lengths,
    target_lengths)`` is ``cross_entropy(logits, target, axis=-1)`` without what stands past the target's lengths.

    Test time, token by token: ``tokens, lengths = model.generate(source, lengths, max_length=50)``.

    Shapes: source (S, B), target (T, B), integers, each target closed by the end token, which its length counts; logits
    (T, B, V). With ``batch_first`` (B, S), (B, T) and (B, T, V); without a batch (S,), (T,) and (T, V). Past a length
    stands anything, tokens or not: neither a result nor a gradient depends on it. A source of length 0 leaves the
    encoder's first state.

    Raises:
        TypeError: not an ``Encoder`` and a ``Decoder``.
        ValueError: encoder and decoder do not fit, or the end token is not in the vocabulary; in the call, source and
            target are not of one batch.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> model = tg.nn.Seq2Seq(tg.nn.Encoder(8, 3, 4), tg.nn.Decoder(6, 3, 4), end_token=0)
    >>> source, target = np.array([[1, 7], [2, -1]]), np.array([[5, 3], [1, 0], [0, -1]])
    >>> model(source, target, lengths=[2, 1], target_lengths=[3, 2]).shape
    (3, 2, 6)
    >>> model.loss(source, target, lengths=[2, 1], target_lengths=[3, 2]).backward()
    >>> tokens, lengths = model.generate(source, lengths=[2, 1], max_length=4)
    >>> lengths.shape, int(lengths.max()) == len(tokens) <= 4
    ((2,), True)
    """

    def __init__(self, encoder: Encoder, decoder: Decoder, *, end_token: int) -> None:
        for name, part, kind in (("encoder", encoder, Encoder), ("decoder", decoder, Decoder)):
            if not isinstance(part, kind):
                raise TypeError(f"Seq2Seq: expected {name} to be an nn.{kind.__name__}, got {type(part).__name__}")
        _check_fit(encoder, decoder)
        size = decoder.embedding.num_embeddings
        if not isinstance(end_token, (int, np.integer)) or isinstance(end_token, bool) or not 0 <= end_token < size:
            raise ValueError(f"Seq2Seq: expected end_token in the decoder's 0..{size - 1}, got {end_token!r}")
        self.encoder = encoder
        self.decoder = decoder
        self.end_token = int(end_token)
        self.batch_first = bool(decoder.rnn.batch_first)

    def forward(self, source: Any, target: Any, lengths: Any = None, target_lengths: Any = None) -> Any:
        source = whole_numbers(source, "Seq2Seq", "source")
        target = whole_numbers(target, "Seq2Seq", "target")
        batch = 0 if self.batch_first else -1
        if source.ndim != target.ndim or (target.ndim == 2 and source.shape[batch] != target.shape[batch]):
            raise ValueError(
                f"{self.here()}: expected source and target of one batch, got {source.shape} and {target.shape}"
            )
        _, state = self.encoder(source, lengths)
        logits, _ = self.decoder(self._shifted(target), state, target_lengths)
        return logits

    def loss(
        self,
        source: Any,
        target: Any,
        lengths: Any = None,
        target_lengths: Any = None,
        *,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> Any:
        """Cross-entropy of the target under teacher forcing, padding left out.

        Args:
            source, target, lengths, target_lengths: As in a call of the model.
            reduction: "mean" over the tokens (NaN if there is none), "sum", or "none" (0 past each length).
            label_smoothing: This much of each token is spread evenly over the vocabulary.

        Raises:
            IndexError: a token of the target is outside the vocabulary.
            ValueError: an option is not one.
        """
        logits = self(source, target, lengths, target_lengths)
        labels = whole_numbers(target, "Seq2Seq", "target")
        if target_lengths is not None:
            labels = np.where(self.decoder.valid(labels, target_lengths), labels, _IGNORED)
        return cross_entropy(logits, labels, axis=-1, reduction=reduction, label_smoothing=label_smoothing)

    def generate(
        self, source: Any, lengths: Any = None, *, max_length: int, temperature: float = 0.0
    ) -> tuple[Tensor, Tensor]:
        """Write token by token, each from the one before, until the end token: the lecture's test time (section 5).

        Records nothing. Modules stay as they are: call ``eval()`` before, or dropout goes on.

        Args:
            source: (S, B), or (B, S) with ``batch_first``, or (S,): integers.
            lengths: (B,), of the sources.
            max_length: At most so many tokens, the end token included.
            temperature: 0 takes the most probable token (greedy). Above 0, tokens are drawn from
                softmax(logits / temperature) with ``tg.manual_seed``'s generator; 1 is the model's own distribution.

        Returns:
            The tokens (N, B), or (B, N), or (N,), each sequence closed by the end token unless ``max_length`` cut it,
            and their lengths (B,) or (), the end token counted; N is the longest. Past its length a sequence is filled
            with the decoder's ``padding_idx``, or, if it has none, with the end token. A call of the model takes both
            as target and target_lengths.

        Raises:
            ValueError: ``max_length`` is not a whole number >= 1, or ``temperature`` not a finite one >= 0.

        >>> import numpy as np, tinygrad_rnn as tg
        >>> model = tg.nn.Seq2Seq(tg.nn.Encoder(8, 3, 4), tg.nn.Decoder(6, 3, 4), end_token=0)
        >>> model.decoder.out.bias.data = np.array([9, 0, 0, 0, 0, 0], np.float32)  # this one has nothing to say
        >>> model.generate(np.array([[1, 7], [2, 3]]), max_length=4)
        (Tensor([[0, 0]]), Tensor([1, 1]))
        """
        if not isinstance(max_length, (int, np.integer)) or isinstance(max_length, bool) or max_length < 1:
            raise ValueError(f"Seq2Seq.generate: expected max_length to be a whole number >= 1, got {max_length!r}")
        if not isinstance(temperature, Real) or not 0 <= temperature < math.inf:
            raise ValueError(f"Seq2Seq.generate: expected a finite temperature >= 0, got {temperature!r}")
        with no_grad():
            _, state = self.encoder(source, lengths)
            h = state[0] if self.decoder.cell == "LSTM" else state
            tokens, ends = self._written(state, h.shape[1:-1], int(max_length), float(temperature))
        if tokens.ndim == 2 and self.batch_first:
            tokens = tokens.T
        return Tensor(tokens, copy=False), Tensor(ends, copy=False)

    def _shifted(self, target: Any) -> Any:
        """What the decoder reads: the end token, then the target but for its last token."""
        time = 1 if self.batch_first and target.ndim == 2 else 0
        return np.insert(target, 0, self.end_token, axis=time).take(range(target.shape[time]), axis=time)

    def _written(self, state: Any, batch: tuple[int, ...], max_length: int, temperature: float) -> tuple[Any, Any]:
        """Tokens (N, *batch) and their lengths (*batch), from the decoder's first state."""
        time = 1 if self.batch_first and batch else 0
        padding = self.decoder.embedding.padding_idx
        filler = self.end_token if padding is None else padding
        last, running, ends = np.full(batch, self.end_token), np.ones(batch, bool), np.zeros(batch, np.intp)
        written = np.full((0, *batch), filler)
        while running.any() and len(written) < max_length:
            logits, state = self.decoder(np.expand_dims(last, time), state)
            last = _chosen(np.squeeze(logits.numpy(), time), temperature)
            written = np.concatenate([written, np.where(running, last, filler)[None]])
            ends = ends + running
            running = running & (last != self.end_token)
        return written, ends

    def extra_repr(self) -> str:
        return f"end_token={self.end_token}"


def _check_fit(encoder: Encoder, decoder: Decoder) -> None:
    """Raise ValueError unless the encoder's last state can be the decoder's first."""
    if (encoder.cell == "LSTM") != (decoder.cell == "LSTM"):
        raise ValueError(
            f"Seq2Seq: expected encoder and decoder with states of one kind, (h, c) of an LSTM or h alone, got cells "
            f"{encoder.cell!r} and {decoder.cell!r}"
        )
    if encoder.num_layers != decoder.num_layers:
        raise ValueError(
            f"Seq2Seq: expected a decoder with the encoder's num_layers={encoder.num_layers}, got {decoder.num_layers}"
        )
    directions = 2 if encoder.bidirectional else 1
    if decoder.rnn.hidden_size != directions * encoder.rnn.hidden_size:
        why = "twice a bidirectional encoder's, since the decoder takes the states of both directions, side by side"
        raise ValueError(
            f"Seq2Seq: expected a decoder of hidden_size {directions * encoder.rnn.hidden_size} "
            f"({why if encoder.bidirectional else 'as the encoder'}), got {decoder.rnn.hidden_size}"
        )
    if encoder.rnn.batch_first != decoder.rnn.batch_first:
        raise ValueError(
            f"Seq2Seq: expected encoder and decoder with the same batch_first, got {encoder.rnn.batch_first} and "
            f"{decoder.rnn.batch_first}"
        )


def _chosen(logits: Any, temperature: float) -> Any:
    """A token for each row of logits (..., V): the most probable, or one drawn from softmax(logits / temperature).

    Drawn by the Gumbel-max trick (Gumbel, 1954): the largest of scores plus Gumbel noise is distributed as the softmax.
    """
    if temperature == 0:
        return logits.argmax(axis=-1)
    scores = (logits - logits.max(axis=-1, keepdims=True)).astype(np.float64) / temperature
    return (scores + generator().gumbel(size=logits.shape)).argmax(axis=-1)
