"""A character-level LSTM that learns to make up names (lecture, section 4, "Text Generation with RNN").

Trained by teacher forcing between <BOS> and <EOS> on the 5,163 first names of the 1990 US census that the PyPI package
``names`` ships; tested in bits per character on names it never saw; then it speaks for itself. Prints a report, and
writes pictures and the trained weights into a folder.

    python examples/char_names.py
    python examples/char_names.py --quick
    python examples/char_names.py --surnames --epochs 4 --seeds 1
    python examples/char_names.py --file towns.txt --out outputs/towns
    python examples/char_names.py --resume outputs/char_names/weights.npz --epochs 4 --out outputs/longer

Ctrl-C ends the training; the report is then made from the best weights so far.
"""

import os

# Before NumPy starts: these products are small, so a second thread gains little, waits long where the machine is busy,
# and would add numbers up in another order.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import hashlib
import math
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from char_names_data import FIRST_NAMES, SURNAMES, Alphabet, Split, census_names, split, words_in
from char_names_model import CharLSTM, Run, bits_per_character, check_gradients, sample, spell, train
from char_names_pictures import draw_graph, plot_gradient_norms, plot_losses
from extras import needed

import tinygrad_rnn as tg

MAX_NORM = 0.5  # of the gradient of the loss in nats
SPELT = "RICHARD"  # the lecture's example
SAMPLES = 20
TEMPERATURES = (0.6, 1.0)


def report(run: Run, parts: Split, alphabet: Alphabet, folder: Path, directions: int) -> None:
    """What one trained net has learned: how it spells, what it makes up, whether its gradient is right."""
    rng = np.random.default_rng(run.seed)
    known = set(parts.train)
    word = SPELT if set(SPELT) <= set(alphabet.characters) else parts.test[0]
    print_spelling(run.net, alphabet, word, word in known)
    for temperature in TEMPERATURES:
        print_samples(run.net, alphabet, temperature, parts, rng)
    example = encoded_batch(alphabet, sorted(parts.test, key=len)[:3])
    print(f"\nGradient check of the trained net in float64, on {', '.join(sorted(parts.test, key=len)[:3])}:")
    print(f"  {check_gradients(run.net, *example, directions)}")
    short = next(w for w in sorted(known, key=lambda w: (len(w) < 3, len(w), w)))
    with tg.unrolled():  # every operation of every step, for the picture
        loss = run.net.loss(*encoded_batch(alphabet, [short]))
    path = draw_graph(loss, folder / "unrolled.svg")
    print(f"\nWrote {path}: the loss of {short}, unrolled")


def encoded_batch(alphabet: Alphabet, words: Sequence[str]) -> tuple[Any, Any]:
    return alphabet.encode(words).batch(np.arange(len(words)))


def print_spelling(net: CharLSTM, alphabet: Alphabet, word: str, known: bool) -> None:
    """Step by step: how likely is the true next character, given all true characters so far?"""
    p = spell(net, alphabet, word)
    first = np.argsort(-p[0])[:8]
    print(f"\nThe first character after <BOS>: {', '.join(f'{symbol(alphabet, k)} {p[0, k]:.3f}' for k in first)}, ...")
    print(f"\n{word}, which {'is' if known else 'is not'} in the training set:\n")
    numbers = [*alphabet.numbers(word), alphabet.EOS]
    probabilities = [float(p[t, k]) for t, k in enumerate(numbers)]
    bits = [-math.log2(q) for q in probabilities]
    print("  after        next  probability    bits  likeliest")
    for t, k in enumerate(numbers):
        before = word[:t][-13:] or "<BOS>"
        print(
            f"  {before:<13}{symbol(alphabet, k):<6}{probabilities[t]:>10.4f}{bits[t]:>8.2f}  "
            f"{symbol(alphabet, int(p[t].argmax()))} {p[t].max():.3f}"
        )
    print(f"  in all {sum(bits):.2f} bits, {sum(bits) / len(bits):.2f} a character")


def symbol(alphabet: Alphabet, number: int) -> str:
    return alphabet.decode([number]) or "<EOS>"


def print_samples(
    net: CharLSTM, alphabet: Alphabet, temperature: float, parts: Split, rng: np.random.Generator
) -> None:
    known, held_out = set(parts.train), {*parts.validation, *parts.test}
    longest = 2 * max(map(len, known))
    words = sample(net, alphabet, SAMPLES, temperature, longest, rng)
    new = [word for word in words if word not in known]
    print(f"\n{SAMPLES} samples at temperature {temperature}; * is not in the training set")
    marked = [(word or "(empty)") + ("*" if word not in known else "") for word in words]
    width = max(map(len, marked)) + 2
    columns = max(1, min(5, 110 // width))
    for i in range(0, SAMPLES, columns):
        print("  " + "".join(f"{word:<{width}}" for word in marked[i : i + columns]).rstrip())
    real = sum(word in held_out for word in new)
    print(f"  {len(new)} new, of which {real} are real ones that were held out")


def fingerprint(words: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(words).encode()).hexdigest()


def save(net: CharLSTM, words: Sequence[str], path: Path) -> None:
    weights = {name: value.numpy() for name, value in net.state_dict().items()}
    np.savez(path, **weights, fingerprint=np.array(fingerprint(words)))


def load(words: Sequence[str], path: Path) -> dict[str, Any]:
    """The weights that ``save`` wrote.

    Raises:
        ValueError: there are none, or they were trained on other words.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            weights = dict(archive)
    except OSError as error:
        raise ValueError(f"cannot read weights from {path}: {error.strerror or error}") from error
    except (ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"cannot read weights from {path}: it is not a whole .npz file of weights") from error
    if str(weights.pop("fingerprint", "")) != fingerprint(words):
        raise ValueError(f"{path} was not trained on these words, so it may know those that are held out here")
    return weights


def arguments_of(parser: argparse.ArgumentParser, given: Sequence[str] | None) -> argparse.Namespace:
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--surnames", action="store_true", help="learn the 88,799 surnames instead (1,110 updates an epoch)"
    )
    source.add_argument("--file", type=Path, help="learn any word list: UTF-8, one word a line")
    parser.add_argument("--out", type=Path, default=Path("outputs/char_names"), help="folder for pictures and weights")
    parser.add_argument("--epochs", type=int, default=14, help="at most (default 14)")
    parser.add_argument("--batch-size", type=int, default=64, help="words (default 64)")
    parser.add_argument("--seeds", type=int, help="how many nets to train (default 3; with --resume 1)")
    parser.add_argument("--seed", type=int, default=0, help="the first seed (default 0); the same seed, the same run")
    parser.add_argument("--resume", type=Path, metavar="WEIGHTS", help="start from the weights.npz of an earlier run")
    parser.add_argument("--quick", action="store_true", help="600 words, 2 epochs, 1 seed: only shows that it runs")
    chosen = parser.parse_args(given)
    if chosen.seeds is None:
        chosen.seeds = 1 if chosen.resume or chosen.quick else 3
    if chosen.quick:
        chosen.epochs = min(chosen.epochs, 2)
    if min(chosen.seeds, chosen.epochs, chosen.batch_size) < 1 or chosen.seed < 0:
        parser.error("expected --seeds, --epochs and --batch-size to be at least 1, and --seed at least 0")
    return chosen


def train_all(
    words: Split, alphabet: Alphabet, weights: dict[str, Any] | None, chosen: argparse.Namespace
) -> tuple[list[Run], list[float]]:
    """Train a net for each seed, until Ctrl-C; returns the runs and their bits per character on the test words."""
    train_words, validation_words, test_words = map(alphabet.encode, words)
    runs: list[Run] = []
    test: list[float] = []
    for seed in range(chosen.seed, chosen.seed + chosen.seeds):
        tg.manual_seed(seed)
        net = CharLSTM(len(alphabet.characters))
        if weights:
            net.load_state_dict(weights)
        run = train(
            Run(seed, net),
            train_words,
            validation_words,
            epochs=chosen.epochs,
            batch_size=chosen.batch_size,
            max_norm=MAX_NORM,
        )
        runs.append(run)
        test.append(bits_per_character(net, test_words))
        print(
            f"seed {seed}: test {test[-1]:.3f}, validation {run.best:.3f} bits per character, after epoch "
            f"{run.best_epoch} of {len(run.train)}, {run.seconds:.1f} s{' (interrupted)' if run.interrupted else ''}"
        )
        if run.interrupted:
            break
    print(
        f"mean of {len(test)}: test {np.mean(test):.3f} bits per character, <EOS> counted, <BOS> not "
        f"(a guess at random: {math.log2(len(alphabet.characters) + 1):.3f})"
    )
    return runs, test


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    chosen = arguments_of(parser, given)
    for module, extra in (("tqdm", "training"), ("matplotlib", "plots")):
        needed(module, extra)  # better now than after the training
    try:
        words = words_in(chosen.file) if chosen.file else census_names(SURNAMES if chosen.surnames else FIRST_NAMES)
        words = words[:600] if chosen.quick else words
        parts, alphabet = split(words), Alphabet(words)
        weights = load(words, chosen.resume) if chosen.resume else None
        chosen.out.mkdir(parents=True, exist_ok=True)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    print(
        f"{len(words):,} words: {len(parts.train):,} to train on, {len(parts.validation):,} to stop by, "
        f"{len(parts.test):,} to test on; {len(alphabet.characters)} characters"
    )
    runs, test = train_all(parts, alphabet, weights, chosen)
    best = min(runs, key=lambda run: run.best)
    print(f"What follows is about seed {best.seed}, the best on validation.")
    report(best, parts, alphabet, chosen.out, directions=3 if chosen.quick else 10)
    for path in (*plot_losses(runs, test, chosen.out), *plot_gradient_norms(best, MAX_NORM, chosen.out)):
        print(f"Wrote {path}")
    save(best.net, words, chosen.out / "weights.npz")
    print(f"Wrote {chosen.out / 'weights.npz'}: the weights, for --resume")


if __name__ == "__main__":
    main()
