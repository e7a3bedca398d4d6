"""The word lists of the names example: what is read, how it is split, and how it is padded."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("hypothesis", reason="property tests need the extra 'testing'")
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))
import extras
from char_names_data import FIRST_NAMES, IGNORED, SURNAMES, Alphabet, census_names, split, words_in

words = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12), min_size=1, max_size=30)


def test_the_census_has_as_many_names_as_it_should() -> None:
    pytest.importorskip("names", reason="the census names need the extra 'corpora'")
    first, last = census_names(FIRST_NAMES), census_names(SURNAMES)
    assert (len(first), len(last)) == (5163, 88799)
    assert len(set(first)) == 5163
    assert all(name.isascii() and name.isalpha() and name.isupper() for name in [*first, *last])
    assert "RICHARD" in first
    assert last[:3] == ["SMITH", "JOHNSON", "WILLIAMS"]


def test_a_word_list_is_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "towns.txt"
    path.write_bytes("\ufeffŁódź\r\n\r\n  New York \nŁódź\nBern".encode())
    assert words_in(path) == ["Łódź", "New York", "Bern"]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"", "is empty"), (b"\n  \n\n", "is empty"), (b"\xff\xfe\xfa", "is not UTF-8"), (None, "No such file")],
)
def test_a_bad_word_list_is_refused(content: bytes | None, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=f"{path}.*{complaint}"):
        words_in(path)


def test_a_folder_is_no_word_list(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot read the word list"):
        words_in(tmp_path)


@pytest.mark.parametrize("count", [10, 19, 20, 5163])
def test_the_split_is_80_10_10_and_always_the_same(count: int) -> None:
    given = [str(i) for i in range(count)]
    parts = split(given)
    assert split(given) == parts
    assert sorted([*parts.train, *parts.validation, *parts.test]) == sorted(given)
    assert len(parts.validation) == len(parts.test) == count // 10


def test_too_few_words_cannot_be_split() -> None:
    with pytest.raises(ValueError, match="at least 10 distinct words"):
        split(["A"] * 9)


@given(words)
def test_encoded_words_can_be_read_back(given: list[str]) -> None:
    alphabet = Alphabet(given)
    encoded = alphabet.encode(given)
    assert [alphabet.decode(row) for row in encoded.targets] == given
    for word, inputs, targets, length in zip(given, *encoded, strict=True):
        letters = [alphabet.characters.index(c) + 1 for c in word]
        assert length == len(word) + 1
        assert inputs[:length].tolist() == [alphabet.bos, *letters]
        assert targets[:length].tolist() == [*letters, alphabet.EOS]
        assert (targets[length:] == IGNORED).all()


@given(words, st.integers(1, 8), st.integers(0, 3))
def test_every_word_is_in_one_batch(given: list[str], size: int, seed: int) -> None:
    alphabet = Alphabet(given)
    encoded = alphabet.encode(given)
    for batches in (encoded.shuffled_batches(size, np.random.default_rng(seed)), encoded.sorted_batches(size)):
        found = list(batches)
        assert len(found) == math.ceil(len(given) / size)
        assert all(inputs.shape == targets.shape and inputs.shape[1] <= size for inputs, targets in found)
        assert all((targets != IGNORED).any(axis=1).all() for _, targets in found)  # no step that is padding alone
        assert sorted(alphabet.decode(row) for _, targets in found for row in targets.T) == sorted(given)


def test_batches_hold_words_of_similar_lengths() -> None:
    rng = np.random.default_rng(0)
    given = ["A" * n for n in rng.integers(1, 21, size=2000)]
    encoded = Alphabet(given).encode(given)
    targets = [t for _, t in encoded.shuffled_batches(50, rng)]
    padding = sum((t == IGNORED).sum() for t in targets) / sum(t.size for t in targets)
    assert padding < 0.1  # in random order it would be 45 %
    lengths = [len(t) for t in targets]
    assert lengths != sorted(lengths)


def test_a_missing_package_is_named_with_its_extra() -> None:
    with pytest.raises(SystemExit, match=r'needs the package no_such_package: pip install "tinygrad-rnn\[plots\]"'):
        extras.needed("no_such_package.part", "plots")
