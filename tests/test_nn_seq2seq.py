"""Encoder, decoder and the two together: against PyTorch's layers, token by token, and on a task to learn."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from peer import torch

import tinygrad_rnn as tg

WORDS, LETTERS, WIDTH, HIDDEN, END = 7, 5, 3, 4, 2
CELLS = ["LSTM", "GRU", "RNN"]


def model(cell="LSTM", num_layers=1, bidirectional=False, batch_first=False, **options):
    """A small model in float64, whose scores differ enough from token to token that it has something to say."""
    both = {"cell": cell, "batch_first": batch_first, **options}
    encoder = tg.nn.Encoder(WORDS, WIDTH, HIDDEN, num_layers, bidirectional=bidirectional, **both)
    decoder = tg.nn.Decoder(LETTERS, WIDTH, HIDDEN * (2 if bidirectional else 1), num_layers, **both)
    built = tg.nn.Seq2Seq(encoder, decoder, end_token=END).astype(np.float64)
    for parameter in built.parameters():
        parameter.data = parameter.data * 3
    return built


def in_torch(ours, cell, num_layers, bidirectional):
    """PyTorch's own layers under the same names with the same parameters."""
    kind, hidden = getattr(torch.nn, cell), HIDDEN * (2 if bidirectional else 1)
    parts = {
        "encoder": {
            "embedding": torch.nn.Embedding(WORDS, WIDTH),
            "rnn": kind(WIDTH, HIDDEN, num_layers, bidirectional=bidirectional),
        },
        "decoder": {
            "embedding": torch.nn.Embedding(LETTERS, WIDTH),
            "rnn": kind(WIDTH, hidden, num_layers),
            "out": torch.nn.Linear(hidden, LETTERS),
        },
    }
    theirs = torch.nn.ModuleDict({name: torch.nn.ModuleDict(inner) for name, inner in parts.items()}).double()
    theirs.load_state_dict({name: torch.tensor(value.numpy()) for name, value in ours.state_dict().items()})
    return theirs


def logits_in_torch(theirs, source, target, num_layers, bidirectional):
    """Scores (T, V) of one sentence: source (S,) and target (T,) without padding."""
    _, state = theirs["encoder"]["rnn"](theirs["encoder"]["embedding"](torch.tensor(source)))
    if bidirectional:
        join = lambda h: h.reshape(num_layers, 2, HIDDEN).reshape(num_layers, 2 * HIDDEN)  # noqa: E731
        state = tuple(join(h) for h in state) if isinstance(state, tuple) else join(state)
    output, _ = theirs["decoder"]["rnn"](theirs["decoder"]["embedding"](torch.tensor([END, *target[:-1]])), state)
    return theirs["decoder"]["out"](output)


def ragged(sentences, width, batch_first, padding):
    """Sentences as one array, rubbish past their ends, and their lengths."""
    array = np.random.default_rng(len(sentences)).choice(padding, (width, len(sentences)))
    for b, sentence in enumerate(sentences):
        array[: len(sentence), b] = sentence
    return array.T if batch_first else array, np.array([len(sentence) for sentence in sentences])


def sentences(vocabulary, shortest):
    """Between one and three of them; a target closes with the end token, and has no other."""
    tokens = [token for token in range(1, vocabulary) if token != END]
    return st.lists(st.lists(st.sampled_from(tokens), min_size=shortest, max_size=4), min_size=1, max_size=3)


cells, flags, depths = st.sampled_from(CELLS), st.booleans(), st.integers(1, 2)


class TestAgainstTorch:
    @given(cells, depths, flags, flags, sentences(WORDS, 1), st.data())
    def test_scores_loss_and_every_gradient_of_ragged_batches(
        self, cell, num_layers, bidirectional, batch_first, sources, data
    ):
        ours = model(cell, num_layers, bidirectional, batch_first)
        theirs = in_torch(ours, cell, num_layers, bidirectional)
        drawn = data.draw(st.lists(sentences(LETTERS, 0), min_size=len(sources), max_size=len(sources)))
        targets = [[*written[0], END] for written in drawn]
        source, lengths = ragged(sources, max(map(len, sources)) + 1, batch_first, [-100, 10**6])
        target, target_lengths = ragged(targets, max(map(len, targets)) + 1, batch_first, [-100, 10**6])
        logits = ours(source, target, lengths, target_lengths).numpy()
        loss = ours.loss(source, target, lengths, target_lengths)
        loss.backward()
        its_loss = 0.0
        for b, (read, written) in enumerate(zip(sources, targets, strict=True)):
            its = logits_in_torch(theirs, read, written, num_layers, bidirectional)
            mine = (logits if batch_first else np.swapaxes(logits, 0, 1))[b, : len(written)]
            np.testing.assert_allclose(mine, its.detach().numpy(), rtol=1e-10, atol=1e-10)
            its_loss = its_loss + torch.nn.functional.cross_entropy(its, torch.tensor(written), reduction="sum")
        its_loss = its_loss / sum(map(len, targets))
        its_loss.backward()
        assert abs(loss.item() - its_loss.item()) < 1e-10
        named = dict(theirs.named_parameters())
        for name, parameter in ours.named_parameters():
            np.testing.assert_allclose(parameter.grad.numpy(), named[name].grad.numpy(), rtol=1e-10, atol=1e-10)

    @pytest.mark.parametrize("cell", CELLS)
    @pytest.mark.parametrize("batch_first", [False, True])
    def test_one_sentence_without_a_batch(self, cell, batch_first):
        ours = model(cell, 2, True, batch_first)
        its = logits_in_torch(in_torch(ours, cell, 2, True), [3, 1, 6], [4, 1, END], 2, True)
        np.testing.assert_allclose(ours([3, 1, 6], [4, 1, END]).numpy(), its.detach().numpy(), rtol=1e-10, atol=1e-10)

    @pytest.mark.parametrize("bidirectional", [False, True])
    @pytest.mark.parametrize("cell", CELLS)
    def test_greedy_generation(self, cell, bidirectional):
        ours = model(cell, 2, bidirectional)
        theirs = in_torch(ours, cell, 2, bidirectional)
        sources = np.random.randint(0, WORDS, (4, 12))
        tokens, lengths = ours.generate(sources, max_length=6)
        for b in range(12):
            written = []
            while len(written) < 6 and written[-1:] != [END]:
                scores = logits_in_torch(theirs, sources[:, b], [*written, 0], 2, bidirectional)[-1]
                written.append(int(scores.argmax()))
            assert tokens.numpy()[: lengths.numpy()[b], b].tolist() == written


class TestLengths:
    @given(cells, depths, flags, flags, sentences(WORDS, 0), st.data())
    @example("LSTM", 2, True, False, [[1, 1, 1, 1], []], None)
    def test_padding_has_no_influence_not_even_nan(self, cell, num_layers, bidirectional, batch_first, sources, data):
        """Token 0 stands nowhere but past the lengths, so that even NaN for its vector must change nothing."""
        ours = model(cell, num_layers, bidirectional, batch_first)
        drawn = [[[3]]] * len(sources)
        if data is not None:
            drawn = data.draw(st.lists(sentences(LETTERS, 0), min_size=len(sources), max_size=len(sources)))
        targets, seen = [[*written[0], END] for written in drawn], []
        for padding, vector in [([1], 0.5), ([-(10**6), 10**6], 0.5), ([0], math.nan)]:
            for part in (ours.encoder, ours.decoder):
                rows = part.embedding.weight.data.copy()
                rows[0] = vector
                part.embedding.weight.data = rows
            source, lengths = ragged(sources, 5, batch_first, padding)
            target, target_lengths = ragged(targets, 6, batch_first, padding)
            ours.zero_grad()
            loss = ours.loss(source, target, lengths, target_lengths)
            loss.backward()
            logits = ours(source, target, lengths, target_lengths).numpy()
            written = ours.generate(source, lengths, max_length=1)  # its first token: it may not read token 0
            seen.append([loss.numpy(), logits, *(p.grad.numpy() for p in ours.parameters()), written[0].numpy()])
        for other in seen[1:]:
            for expected, got in zip(seen[0], other, strict=True):
                np.testing.assert_array_equal(got, expected)
        assert all(np.isfinite(array).all() for array in seen[2])
        assert not ours.encoder.embedding.weight.grad.numpy()[0].any()

    def test_scores_past_the_end_are_the_heads_bias(self):
        ours = model()
        logits = ours(np.ones((3, 2), int), np.ones((4, 2), int), target_lengths=[4, 1])
        np.testing.assert_array_equal(logits.numpy()[1:, 1], [ours.decoder.out.bias.numpy()] * 3)

    def test_an_empty_source_leaves_the_state_of_zeros(self):
        ours = model("GRU")
        target = np.array([[1, 3], [END, END]])
        mine = ours(np.full((2, 2), -1), target, lengths=[0, 0])
        its, _ = ours.decoder(np.array([[END, END], [1, 3]]))
        np.testing.assert_array_equal(mine.numpy(), its.numpy())

    def test_losses_of_single_tokens_and_smoothing(self):
        ours = model()
        source, target = np.ones((2, 2), int), np.array([[1, 3], [END, 4], [-1, END]])
        each = ours.loss(source, target, target_lengths=[2, 3], reduction="none")
        logits = ours(source, target, target_lengths=[2, 3])
        log = np.log(tg.functional.softmax(logits, axis=-1)).numpy()
        for t, b in [(0, 0), (1, 0), (0, 1), (1, 1), (2, 1)]:
            assert each.numpy()[t, b] == pytest.approx(-log[t, b, target[t, b]], abs=1e-12)
        assert each.numpy()[2, 0] == 0
        smooth = ours.loss(source, target, target_lengths=[2, 3], reduction="none", label_smoothing=0.3).numpy()
        assert smooth[1, 0] == pytest.approx(-0.7 * log[1, 0, END] - 0.3 * log[1, 0].mean(), abs=1e-12)
        assert smooth[2, 0] == 0


class TestEncoder:
    @pytest.mark.parametrize("cell", CELLS)
    def test_states_of_both_directions_stand_side_by_side(self, cell):
        encoder = tg.nn.Encoder(WORDS, WIDTH, HIDDEN, 2, cell=cell, bidirectional=True)
        tokens = np.random.randint(0, WORDS, (5, 3))
        output, state = encoder(tokens, [5, 1, 3])
        its_output, its_state = encoder.rnn(encoder.embedding(tokens), lengths=[5, 1, 3])
        np.testing.assert_array_equal(output.numpy(), its_output.numpy())
        for mine, its in zip(*[s if cell == "LSTM" else (s,) for s in (state, its_state)], strict=True):
            assert mine.shape == (2, 3, 2 * HIDDEN)
            for layer in range(2):
                np.testing.assert_array_equal(mine.numpy()[layer, :, :HIDDEN], its.numpy()[2 * layer])
                np.testing.assert_array_equal(mine.numpy()[layer, :, HIDDEN:], its.numpy()[2 * layer + 1])

    def test_the_padding_token_is_not_trained(self):
        ours = model(padding_idx=0)
        ours.loss(np.array([[1, 0], [0, 0]]), np.array([[1, 0], [0, END]])).backward()
        for part in (ours.encoder, ours.decoder):
            assert part.embedding.padding_idx == 0
            assert not part.embedding.weight.grad.numpy()[0].any()
            assert part.embedding.weight.grad.numpy()[1].all()

    def test_options_reach_the_layer(self):
        encoder = tg.nn.Encoder(WORDS, WIDTH, HIDDEN, cell="RNN", nonlinearity="relu", bias=False)
        assert [*encoder.state_dict()] == ["embedding.weight", "rnn.weight_ih_l0", "rnn.weight_hh_l0"]
        output, _ = encoder(np.ones((2, 3), int))
        assert (output.numpy() >= 0).all()

    def test_a_learned_first_state_is_what_remains_of_an_empty_source(self):
        encoder = tg.nn.Encoder(WORDS, WIDTH, HIDDEN, 2, learn_initial_state=True, bidirectional=True)
        ours = tg.nn.Seq2Seq(encoder, tg.nn.Decoder(LETTERS, WIDTH, 2 * HIDDEN, 2), end_token=END)
        learned = [p for name, p in encoder.named_parameters() if name.startswith(("rnn.h_0", "rnn.c_0"))]
        assert len(learned) == 8
        for parameter in learned:
            tg.nn.init.normal_(parameter)
        _, (h, c) = encoder(np.full((2, 3), -1), [0, 0, 0])
        np.testing.assert_array_equal(h.numpy()[1, 2], [*encoder.rnn.h_0_l1.data, *encoder.rnn.h_0_l1_reverse.data])
        np.testing.assert_array_equal(c.numpy()[0, 0], [*encoder.rnn.c_0_l0.data, *encoder.rnn.c_0_l0_reverse.data])
        ours.loss(np.full((2, 3), -1), np.full((2, 3), END), lengths=[0, 0, 0]).backward()
        assert all(parameter.grad.numpy().all() for parameter in learned)

    @pytest.mark.parametrize("cell", CELLS)
    def test_checkpoints_and_unrolling_change_no_number(self, cell):
        plain, sparing = model(cell, 2, True), model(cell, 2, True, checkpoint=2)
        sparing.load_state_dict(plain.state_dict())
        source, lengths = ragged([[1, 3, 5], [], [6], [4, 4, 4, 1]], 6, False, [-1])
        target, ends = ragged([[1, END], [3, 4, 1, END], [END], [4, END]], 5, False, [-1])
        plain.loss(source, target, lengths, ends).backward()
        sparing.loss(source, target, lengths, ends).backward()
        expected = [p.grad.numpy() for p in plain.parameters()]
        plain.zero_grad()
        with tg.unrolled():
            plain.loss(source, target, lengths, ends).backward()
        for ours in (plain, sparing):
            for p, its in zip(ours.parameters(), expected, strict=True):
                np.testing.assert_allclose(p.grad.numpy(), its, rtol=1e-12, atol=1e-14)

    def test_dropout_between_layers_in_training_only(self):
        ours = model(num_layers=2, dropout=0.5)
        source, target = np.ones((3, 2), int), np.ones((3, 2), int)
        assert (ours(source, target).numpy() != ours(source, target).numpy()).any()
        ours.eval()
        np.testing.assert_array_equal(ours(source, target).numpy(), ours(source, target).numpy())


class TestGenerate:
    @given(cells, flags, flags, st.sampled_from([None, 0]), st.integers(1, 5), st.integers(0, 999))
    def test_teacher_forcing_of_what_was_written_writes_it_again(
        self, cell, bidirectional, batch_first, padding, most, seed
    ):
        tg.manual_seed(seed)
        ours = model(cell, 2, bidirectional, batch_first, padding_idx=padding)
        source, lengths = ragged([[1, 3, 5], [], [6], [4, 4, 4, 1]], 4, batch_first, [-1])
        tokens, ends = ours.generate(source, lengths, max_length=most)
        logits = ours(source, tokens, lengths, ends)
        written, again = tokens.numpy(), logits.numpy().argmax(axis=-1)
        valid = np.arange(ends.numpy().max()) < ends.numpy()[:, None]
        valid = valid if batch_first else valid.T
        assert written.shape == valid.shape
        np.testing.assert_array_equal(written[valid], again[valid])
        assert (written[~valid] == (END if padding is None else padding)).all()

    @given(cells, flags, st.integers(0, 999), st.sampled_from([0.0, 1.0]))
    def test_each_sequence_ends_at_its_end_token_or_at_the_most(self, cell, batch_first, seed, temperature):
        tg.manual_seed(seed)
        ours = model(cell, batch_first=batch_first)
        source = np.random.default_rng(seed).integers(0, WORDS, (8, 2) if batch_first else (2, 8))
        tokens, ends = ours.generate(source, max_length=5, temperature=temperature)
        rows = tokens.numpy() if batch_first else tokens.numpy().T
        assert (ends.shape, rows.shape) == ((8,), (8, ends.numpy().max()))
        for row, end in zip(rows.tolist(), ends.tolist(), strict=True):
            assert END not in row[: end - 1]
            assert row[end - 1] == END or end == 5
            assert 1 <= end <= 5

    @pytest.mark.parametrize("batch_first", [False, True])
    def test_alone_a_sentence_gives_what_it_gives_in_a_batch(self, batch_first):
        ours = model("GRU", 2, True, batch_first)
        read = [[1, 3, 5], [6], [4, 4, 4, 1]]
        source, lengths = ragged(read, 6, batch_first, [-1])
        tokens, ends = ours.generate(source, lengths, max_length=7)
        assert len(set(ends.tolist())) > 1, "all of one length show nothing"
        for b, sentence in enumerate(read):
            alone, end = ours.generate(sentence, max_length=7)
            assert end.shape == ()
            together = (tokens.numpy() if batch_first else tokens.numpy().T)[b]
            assert alone.tolist() == together[: end.item()].tolist()
            assert end.item() == ends.tolist()[b]

    def test_nothing_is_recorded_and_nothing_is_left_behind(self, monkeypatch):
        ours, seen = model().train(), []
        forward = ours.decoder.forward
        monkeypatch.setattr(ours.decoder, "forward", lambda *a, **o: seen.append(forward(*a, **o)) or seen[-1])
        tokens, lengths = ours.generate(np.ones((2, 3), int), max_length=3)
        assert seen
        assert not any(logits.requires_grad or h.requires_grad or c.requires_grad for logits, (h, c) in seen)
        assert tokens.dtype.kind == lengths.dtype.kind == "i"
        assert ours.training
        assert all(p.grad is None for p in ours.parameters())

    def test_sampled_tokens_have_the_models_distribution_sharpened_by_the_temperature(self):
        ours, n = model("RNN"), 20_000
        source = np.full((1, n), 3)
        for temperature in (0.5, 1.0, 3.0):
            logits = ours(source[:, :1], np.array([[END]])).numpy()[0, 0] / temperature
            expected = np.exp(logits) / np.exp(logits).sum()
            tokens, _ = ours.generate(source, max_length=1, temperature=temperature)
            share = np.bincount(tokens.numpy()[0], minlength=LETTERS) / n
            assert (np.abs(share - expected) <= 4.5 * np.sqrt(expected * (1 - expected) / n)).all()

    def test_the_seed_decides_and_a_low_temperature_is_greedy(self):
        ours, source, drawn = model(), np.random.randint(0, WORDS, (3, 20)), []
        for seed in (1, 1, 2):
            tg.manual_seed(seed)
            drawn.append(ours.generate(source, max_length=6, temperature=1)[0].tolist())
        assert drawn[0] == drawn[1] != drawn[2]
        greedy, _ = ours.generate(source, max_length=6)
        for temperature in (1e-6, 1e-300):
            assert ours.generate(source, max_length=6, temperature=temperature)[0].tolist() == greedy.tolist()

    def test_an_empty_batch(self):
        tokens, lengths = model().generate(np.ones((3, 0), int), max_length=4)
        assert (tokens.shape, lengths.shape) == ((0, 0), (0,))


def task(rng, size):
    """Sentences of one to four tokens, ragged, and the same backwards, closed by the end token 0."""
    lengths = rng.integers(1, 5, size)
    source, target = rng.integers(1, 5, (4, size)), np.full((5, size), -1)
    for b, length in enumerate(lengths):
        target[: length + 1, b] = [*source[:length, b][::-1], 0]
        source[length:, b] = -1
    return source, target, lengths


def test_it_learns_to_reverse():
    """300 steps, about a second. With each of 20 seeds, all 200 new sentences came out without a mistake."""
    rng = np.random.default_rng(0)
    reverser = tg.nn.Seq2Seq(tg.nn.Encoder(5, 8, 32), tg.nn.Decoder(5, 8, 32), end_token=0)
    optimizer = tg.optim.Adam(reverser.parameters(), lr=0.01)
    for _ in range(300):
        source, target, lengths = task(rng, 64)
        optimizer.zero_grad()
        reverser.loss(source, target, lengths, lengths + 1).backward()
        optimizer.step()
    source, target, lengths = task(rng, 200)
    tokens, ends = reverser.generate(source, lengths, max_length=5)
    valid = np.arange(5)[:, None] <= lengths
    written = np.where(valid[: len(tokens)], tokens.numpy(), -1)
    right = (ends.numpy() == lengths + 1) & (written == target[: len(tokens)]).all(axis=0)
    assert right.mean() > 0.9


def test_parameters_path_and_repr():
    ours = model("GRU")
    assert list(ours.state_dict()) == [
        "encoder.embedding.weight",
        *(f"encoder.rnn.{name}_l0" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")),
        "decoder.embedding.weight",
        *(f"decoder.rnn.{name}_l0" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")),
        "decoder.out.weight",
        "decoder.out.bias",
    ]
    logits = ours(np.ones((2, 1), int), np.ones((2, 1), int))
    assert logits.node.path == "decoder/out"
    assert repr(ours).startswith("Seq2Seq(\n  end_token=2\n  (encoder): Encoder(\n    (embedding): Embedding(7, 3)\n")


def test_float32_stays_float32():
    ours = model().astype(np.float32)
    loss = ours.loss(np.ones((2, 2), int), np.ones((3, 2), int), [1, 2], [3, 1])
    loss.backward()
    assert {loss.dtype, *(p.grad.dtype for p in ours.parameters())} == {np.dtype(np.float32)}


ENCODER, DECODER = tg.nn.Encoder(7, 3, 4), tg.nn.Decoder(5, 3, 4)
ONES = np.ones((3, 2), int)


def pair(decoder=DECODER, encoder=ENCODER, end_token=END):
    return tg.nn.Seq2Seq(encoder, decoder, end_token=end_token)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: tg.nn.Encoder(7, 3, 4, cell="lstm"),
            ValueError,
            "Encoder: expected cell 'LSTM', 'GRU' or 'RNN', got 'l",
        ),
        (lambda: tg.nn.Decoder(7, 3, 4, bidirectional=False), TypeError, "Decoder: expected no option bidirectional"),
        (lambda: tg.nn.Encoder(7, 3, 4, droput=0.5), TypeError, "unexpected keyword argument 'droput'"),
        (lambda: tg.nn.Encoder(7, 3, 4, padding_idx=7), ValueError, r"expected padding_idx in 0\.\.6, got 7"),
        (lambda: pair(DECODER, DECODER), TypeError, "Seq2Seq: expected encoder to be an nn.Encoder, got Decoder"),
        (lambda: pair(ENCODER), TypeError, "Seq2Seq: expected decoder to be an nn.Decoder, got Encoder"),
        (
            lambda: pair(tg.nn.Decoder(5, 3, 4, cell="GRU")),
            ValueError,
            "states of one kind.*got cells 'LSTM' and 'GRU'",
        ),
        (lambda: pair(tg.nn.Decoder(5, 3, 4, 2)), ValueError, "the encoder's num_layers=1, got 2"),
        (lambda: pair(tg.nn.Decoder(5, 3, 8)), ValueError, r"a decoder of hidden_size 4 \(as the encoder\), got 8"),
        (
            lambda: pair(encoder=tg.nn.Encoder(7, 3, 4, bidirectional=True)),
            ValueError,
            r"a decoder of hidden_size 8 \(twice a bidirectional encoder's, .*\), got 4",
        ),
        (lambda: pair(tg.nn.Decoder(5, 3, 4, batch_first=True)), ValueError, "same batch_first, got False and True"),
        (lambda: pair(end_token=5), ValueError, r"Seq2Seq: expected end_token in the decoder's 0\.\.4, got 5"),
        (lambda: pair(end_token=True), ValueError, "got True"),
        (lambda: pair()(ONES, ONES[:, :1]), ValueError, r"source and target of one batch, got \(3, 2\) and \(3, 1\)"),
        (lambda: pair()(ONES, ONES[0]), ValueError, r"source and target of one batch, got \(3, 2\) and \(2,\)"),
        (lambda: pair()(ONES * 1.0, ONES), TypeError, r"Seq2Seq: expected source as integers, got float64 of shape"),
        (lambda: pair()(ONES * 9, ONES), IndexError, "embedding at encoder/embedding: expected 0 <= index < 7, got 9"),
        (lambda: pair()(ONES, ONES * 5), IndexError, "embedding at decoder/embedding: expected 0 <= index < 5, got 5"),
        (lambda: pair()(ONES[..., None], ONES[..., None]), ValueError, r"Encoder at encoder: expected tokens of shape"),
        (
            lambda: pair().encoder(ONES, [3]),
            ValueError,
            r"Encoder at encoder: expected lengths to be whole numbers of shape",
        ),
        (lambda: pair()(ONES, ONES, [3, 4]), ValueError, r"expected lengths in 0\.\.3, got 3\.\.4"),
        (lambda: pair()(ONES, ONES, None, [3.0, 1.0]), ValueError, "Decoder at decoder: expected lengths to be whole"),
        (lambda: pair()(ONES[:, 0], ONES[:, 0], [3]), ValueError, "lengths need a batch"),
        (lambda: pair()(ONES, ONES[:0]), ValueError, "expected at least one step, got T=0"),
        (
            lambda: pair().generate(ONES, max_length=0),
            ValueError,
            "expected max_length to be a whole number >= 1, got 0",
        ),
        (lambda: pair().generate(ONES, max_length=2.0), ValueError, r"whole number >= 1, got 2\.0"),
        (lambda: pair().generate(ONES, max_length=2, temperature=-1), ValueError, "a finite temperature >= 0, got -1"),
        (lambda: pair().generate(ONES, max_length=2, temperature=math.nan), ValueError, "temperature >= 0, got nan"),
        (lambda: pair().generate(ONES, max_length=2, temperature="hot"), ValueError, "temperature >= 0, got 'hot'"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("network", [tg.nn.Encoder, tg.nn.Decoder])
def test_a_warning_about_dropout_points_at_the_users_line(network):
    with pytest.warns(UserWarning, match="acts between layers") as caught:
        network(5, 3, 4, dropout=0.5)
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize("cell", ["lstm", ["LSTM"]])
def test_a_cell_is_named_as_its_class(cell):
    with pytest.raises(ValueError, match="expected cell 'LSTM', 'GRU' or 'RNN', got"):
        tg.nn.Encoder(5, 3, 4, cell=cell)
