"""Word lists for ``char_names.py``: read them, split them, turn them into padded minibatches of whole numbers."""

import importlib.resources
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from extras import needed

IGNORED = -100  # the target of padding: cross_entropy passes over it

FIRST_NAMES = ("dist.female.first", "dist.male.first")
SURNAMES = ("dist.all.last",)


def census_names(files: Sequence[str]) -> list[str]:
    """Names of the 1990 US census, from data files of the PyPI package ``names``: each once, in capitals."""
    needed("names", "corpora")
    folder = importlib.resources.files("names")
    lines = [line for file in files for line in (folder / file).read_text(encoding="ascii").splitlines()]
    return distinct(line.split()[0].upper() for line in lines if line.strip())


def words_in(path: Path) -> list[str]:
    """The lines of a text file (UTF-8) without surrounding white space, each once; empty lines are passed over.

    Raises:
        ValueError: there is no such file, it is not UTF-8, or it is empty.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ValueError(f"cannot read the word list {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"the word list {path} is not UTF-8 text: {error}") from error
    words = distinct(line.strip() for line in text.splitlines())
    if not words:
        raise ValueError(f"the word list {path} is empty: expected one word a line")
    return words


def distinct(words: Iterable[str]) -> list[str]:
    return [word for word in dict.fromkeys(words) if word]


class Split(NamedTuple):
    train: list[str]
    validation: list[str]
    test: list[str]


def split(words: Sequence[str]) -> Split:
    """80, 10 and 10 per cent, at random but always the same: results of different seeds can be compared.

    Raises:
        ValueError: fewer than ten words, so that a part would be empty.
    """
    if len(words) < 10:
        raise ValueError(f"expected at least 10 distinct words to split into 80/10/10 per cent, got {len(words)}")
    shuffled = [words[i] for i in np.random.default_rng(0).permutation(len(words))]
    tenth = len(words) // 10
    return Split(shuffled[2 * tenth :], shuffled[:tenth], shuffled[tenth : 2 * tenth])


class Encoded(NamedTuple):
    """N words as whole numbers, padded to the longest: what the net reads, and what it is to say, at each step.

    Word RICHARD: inputs <BOS> R I C H A R D, targets R I C H A R D <EOS>; both (N, longest + 1), lengths (N,).
    """

    inputs: Any
    targets: Any
    lengths: Any

    def batch(self, chosen: Any) -> tuple[Any, Any]:
        """Inputs and targets (T, B) of the chosen words, as long as the longest of them."""
        steps = self.lengths[chosen].max()
        return self.inputs[chosen, :steps].T, self.targets[chosen, :steps].T

    def shuffled_batches(self, size: int, rng: np.random.Generator) -> Iterator[tuple[Any, Any]]:
        """All words once, in batches of similar lengths, so that little is padding; the order is random."""
        order, pool = rng.permutation(len(self.lengths)), 20 * size
        chosen: list[Any] = []
        for start in range(0, len(order), pool):
            some = order[start : start + pool]
            some = some[np.argsort(self.lengths[some], kind="stable")]
            chosen += [some[i : i + size] for i in range(0, len(some), size)]
        return (self.batch(chosen[i]) for i in rng.permutation(len(chosen)))

    def sorted_batches(self, size: int) -> Iterator[tuple[Any, Any]]:
        order = np.argsort(self.lengths, kind="stable")
        return (self.batch(order[i : i + size]) for i in range(0, len(order), size))


class Alphabet:
    """Whole numbers for characters: 0 is <EOS>, 1 to C are the characters in order, C + 1 is <BOS>.

    <BOS> comes last because the net only reads it, never says it.
    """

    EOS = 0

    def __init__(self, words: Iterable[str]) -> None:
        self.characters = "".join(sorted(set("".join(words))))
        self.bos = len(self.characters) + 1

    def numbers(self, text: str) -> Any:
        codes = np.array([ord(c) for c in self.characters], np.uint32)
        return np.searchsorted(codes, np.frombuffer(text.encode("utf-32-le"), "<u4")) + 1

    def encode(self, words: Sequence[str]) -> Encoded:
        lengths = np.fromiter(map(len, words), np.int64, len(words))
        shape = len(words), int(lengths.max()) + 1
        inputs, targets = np.full(shape, self.EOS), np.full(shape, IGNORED)
        letters = np.arange(shape[1]) < lengths[:, None]
        targets[letters] = self.numbers("".join(words))
        targets[np.arange(len(words)), lengths] = self.EOS
        inputs[:, 0] = self.bos
        inputs[:, 1:][letters[:, :-1]] = targets[letters]
        return Encoded(inputs, targets, lengths + 1)

    def decode(self, numbers: Iterable[int]) -> str:
        """The characters up to the first <EOS>."""
        word = ""
        for number in numbers:
            if number == self.EOS:
                break
            word += self.characters[number - 1]
        return word
