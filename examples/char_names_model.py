"""The net of ``char_names.py``: a character-level LSTM that is trained by teacher forcing and speaks by itself."""

import contextlib
import copy
import math
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from char_names_data import IGNORED, Alphabet, Encoded
from extras import needed

import tinygrad_rnn as tg

BIT = math.log(2)  # in nats


class CharLSTM(tg.nn.Module):
    """p(next character | all characters so far), at every step (lecture, section 4)."""

    def __init__(self, characters: int, embedding: int = 32, hidden: int = 128, dropout: float = 0.2) -> None:
        self.embedding = tg.nn.Embedding(characters + 2, embedding)  # <EOS>, the characters, <BOS>
        self.lstm = tg.nn.LSTM(embedding, hidden)
        self.out = tg.nn.Linear(hidden, characters + 1)  # <EOS>, the characters
        self.dropout = tg.nn.Dropout(dropout)

    def forward(self, numbers: Any, state: Any = None) -> tuple[Any, Any]:
        """Characters (T, B) and a state to the logits (T, B, C + 1) of what comes next, and the state after them."""
        states, state = self.lstm(self.dropout(self.embedding(numbers)), state)
        return self.out(self.dropout(states)), state

    def loss(self, inputs: Any, targets: Any, reduction: str = "mean") -> Any:
        """Teacher forcing: whatever the net would have said, the next input is the true character. In nats."""
        logits, _ = self(inputs)
        return tg.functional.cross_entropy(logits, targets, axis=-1, ignore_index=IGNORED, reduction=reduction)


def bits_per_character(net: CharLSTM, words: Encoded) -> float:
    """The mean surprise at a character, <EOS> counted as one, <BOS> not."""
    net.eval()
    with tg.no_grad():
        nats = sum(net.loss(*batch, reduction="sum").item() for batch in words.sorted_batches(256))
    return float(nats / int(words.lengths.sum()) / BIT)


@dataclass
class Run:
    """A net in training, and how it went.

    Attributes:
        train: Bits per character in each epoch, with dropout, while the weights were changing.
        validation: Bits per character before the first epoch and after each.
        norms, clipped: The norm of the gradient at each update, before and after clipping; the loss is in nats.
        seconds: Of training, validation included.
    """

    seed: int
    net: CharLSTM
    train: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    clipped: list[float] = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False

    @property
    def best_epoch(self) -> int:
        return self.validation.index(min(self.validation))

    @property
    def best(self) -> float:
        return self.validation[self.best_epoch]


def train(
    run: Run,
    words: Encoded,
    validation: Encoded,
    *,
    epochs: int,
    batch_size: int,
    max_norm: float,
    patience: int = 3,
    lr: float = 8e-3,
) -> Run:
    """Adam with clipped gradients and a falling learning rate; the net ends with the weights that validated best.

    Stops early when ``patience`` epochs in a row have brought nothing better, and at Ctrl-C.
    """
    net, rng, started = run.net, np.random.default_rng(run.seed), time.perf_counter()
    run.validation.append(bits_per_character(net, validation))
    updates = epochs * math.ceil(len(words.lengths) / batch_size)
    optimizer = tg.optim.Adam(net.parameters(), lr=lr)
    schedule = tg.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=updates)
    weights = net.state_dict()
    tqdm = needed("tqdm", "training").tqdm
    with (
        interruptible() as interrupted,
        tqdm(total=updates, desc=f"seed {run.seed}", unit="update", mininterval=0.5) as bar,
    ):
        while len(run.train) < epochs and len(run.train) - run.best_epoch < patience and not interrupted.is_set():
            net.train()
            nats, characters = 0.0, 0
            for inputs, targets in words.shuffled_batches(batch_size, rng):
                loss = update(run, inputs, targets, optimizer, max_norm)
                schedule.step()
                count = int((targets != IGNORED).sum())
                nats, characters = nats + loss * count, characters + count
                bar.update()
                bar.set_postfix(
                    epoch=len(run.train) + 1,
                    bits=f"{loss / BIT:.3f}",
                    gradient_norm=f"{run.norms[-1]:.3f}",
                    validation=f"{run.validation[-1]:.3f}",
                    refresh=False,
                )
                if interrupted.is_set():
                    break
            run.train.append(nats / characters / BIT)
            run.validation.append(bits_per_character(net, validation))
            if run.best_epoch == len(run.train):
                weights = net.state_dict()
    net.load_state_dict(weights)
    net.eval()
    run.seconds, run.interrupted = time.perf_counter() - started, interrupted.is_set()
    return run


def update(run: Run, inputs: Any, targets: Any, optimizer: tg.optim.Optimizer, max_norm: float) -> float:
    """One step of the optimiser; returns the loss in nats per character."""
    loss = run.net.loss(inputs, targets)
    optimizer.zero_grad()
    loss.backward()
    parameters = list(run.net.parameters())
    run.norms.append(tg.nn.utils.clip_grad_norm_(parameters, max_norm))
    run.clipped.append(tg.nn.utils.clip_grad_norm_(parameters, math.inf))  # clips nothing: measures
    optimizer.step()
    return float(loss)


@contextlib.contextmanager
def interruptible() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets, so that an update is never cut in half; the second one interrupts."""
    event = threading.Event()
    before = signal.getsignal(signal.SIGINT)

    def first(*_: Any) -> None:
        event.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, first)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)


def spell(net: CharLSTM, alphabet: Alphabet, word: str) -> Any:
    """The probabilities (T, C + 1) of each next character while ``word`` is spelt, from <BOS> on."""
    inputs, _ = alphabet.encode([word]).batch(np.arange(1))
    with tg.no_grad():
        logits, _ = net(inputs)
        return tg.functional.softmax(logits[:, 0], axis=-1).numpy()


def sample(
    net: CharLSTM, alphabet: Alphabet, count: int, temperature: float, longest: int, rng: np.random.Generator
) -> list[str]:
    """Words that the net makes up: each character is drawn from softmax(logits / temperature) and is the next input.

    A temperature below 1 prefers what is likely. A word that has not ended after ``longest`` characters is cut off.
    """
    numbers, state = np.full(count, alphabet.bos), None
    said: list[Any] = []
    with tg.no_grad():
        for _ in range(longest):
            logits, state = net(numbers[None], state)
            p = tg.functional.softmax(logits[0].astype(np.float64) / temperature, axis=-1).numpy()
            numbers = (p.cumsum(axis=-1) < rng.random((count, 1))).sum(axis=-1).clip(max=p.shape[-1] - 1)
            said.append(numbers)
    return [alphabet.decode(column) for column in np.stack(said, axis=1)]


def check_gradients(net: CharLSTM, inputs: Any, targets: Any, directions: int) -> str:
    """Compare the gradient of the loss with differences, on a copy of the net in float64.

    Differences in each of tens of thousands of weights would take minutes. So every parameter is moved along random
    directions, which move all of its entries: a wrong entry of the gradient shows in every one of them.

    Returns:
        What was checked, in words.

    Raises:
        GradcheckError: the gradient is wrong.
    """
    twin = copy.deepcopy(net).astype(np.float64)
    tg.testing.gradcheck(lambda: twin.loss(inputs, targets), (), projections=directions)
    sizes = [parameter.size for parameter in twin.parameters()]
    return (
        f"{sum(min(size, directions) for size in sizes)} derivatives agree with differences: {directions} random "
        f"directions in each of the {len(sizes)} parameters, {sum(sizes):,} weights in all"
    )
